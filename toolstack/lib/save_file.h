/* SPDX-License-Identifier: MIT */
/*
 * A guest into a file: suspended, written beside the file's name and renamed when it is whole and on the disk. On failure the guest
 * runs on and the file is not there.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "save.h"

enum save_after { SAVE_DESTROY, SAVE_RUN, SAVE_PAUSE, SAVE_KEEP /* suspended, the caller goes on from there */ };

struct save_file_options {
    enum save_after after;
    enum save_zero zero;
    struct guest_config *config;    /* NULL: as save_config() finds it */
    unsigned timeout_ms;            /* for suspending; 0: SUSPEND_MS */
};

/* What was written: bytes of the file, and those that take room on the disk. */
struct save_file_result {
    struct save_count count;
    uint64_t bytes, on_disk;
};

int save_file(struct ctl *c, uint32_t domid, const char *path, const struct save_file_options *o, struct save_file_result *result);

/*
 * A guest that is suspended because the process that saved it or took a snapshot was killed: it goes on, and what there is of a file stays. 1: it does;
 * 0: this is not such a guest. -EEXIST: its file was complete and it was being ended: only that is left to do.
 */
int save_resume_left(struct ctl *c, uint32_t domid);
