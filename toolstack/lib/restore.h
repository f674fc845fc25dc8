/* SPDX-License-Identifier: MIT */
/*
 * A stream to a guest: complete, with its memory, vCPUs, console, store nodes and devices, and paused. The caller unpauses it
 * (ctl_domain_unpause) or takes it away (domain_destroy). Whatever fails: nothing is left.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "ctl.h"
#include "stream.h"

struct restore_options {
    const char *name;        /* NULL: as in the stream. migration: "NAME--incoming" (domain_rename() later) */
    /* Another configuration (a file of the command line) in place of that in the stream; NULL: the stream's. */
    struct guest_config *config;
    bool no_devices;         /* leave disks and networks to restore_devices(): they may still be in use by the source */
    bool no_file_header;     /* the stream begins with libxl's; config must be given */
    int (*check)(const struct guest_config *cfg); /* may this guest be made here? Before anything is. May be NULL */
    void (*progress)(void *arg, uint64_t pages, uint64_t bytes); /* may be NULL */
    /*
     * The domain exists and /local/domain/N is written, its memory comes next: a move writes its number down and attaches its
     * devices now (with no_devices), while memory flows, so that the pause is short. Failure undoes it all. May be NULL.
     */
    int (*made)(void *arg, uint32_t domid, const struct guest_config *cfg);
    void (*read)(void *arg); /* all of its memory has come; in the process that has read it. May be NULL */
    void *arg;
};

/* What was made. */
struct restored {
    uint32_t domid;
    uint64_t pages, zero;    /* pages with data, and empty ones */
    struct guest_config config; /* config_dispose() it in any case */
};

int restore_domain(struct ctl *c, struct stream_in *from, const struct restore_options *o, struct restored *out);
/* Attaches what no_devices left out. On failure what was attached is detached again; the guest stays. */
int restore_devices(uint32_t domid, const struct guest_config *cfg);
