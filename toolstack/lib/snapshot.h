/* SPDX-License-Identifier: MIT */
/*
 * Snapshots: a guest's memory and its disks as they were at one moment, under a name. Its memory is written while it runs; then it is suspended,
 * its disks are set down at that very point (clones, volumes, images: none of them copies data), what is left of its memory is written, and
 * it goes on. Reverting puts disks and memory back.
 *
 *   /var/lib/zendo/snapshots/NAME/SNAP/meta.json    when, and of which disks
 *                                     /memory       the stream of `xm save`
 *   /var/lib/zendo/snapshots/NAME/.SNAP.new         one that is being made
 *   /var/lib/zendo/snapshots/NAME/.SNAP.gone        one that is being deleted
 *
 * A folder becomes SNAP by one rename when all is on stable storage, so that what is listed can be reverted to. Copies of disks are named in
 * meta.json before they are made: what a killed command leaves behind is taken away by the next one. One command at a time for a guest,
 * by a lock. All functions: 0 or a negative error with fault().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "ctl.h"

struct snapshot_options {
    bool copy;        /* disks that cannot be snapshotted otherwise are copied, while the guest stands still */
    bool paused;      /* revert: leave the guest paused */
};

/* What making one cost. */
struct snapshot_cost {
    uint64_t suspend_us;        /* how long its kernel took to stop */
    uint64_t pause_us;          /* from the guest's stopping to its going on */
    uint64_t disks_us;          /* of these for the disks */
    uint64_t memory_bytes;      /* of the file, without its holes */
    uint64_t last_pages;        /* written in the pause */
    unsigned rounds;            /* before it; 0: all was written in the pause */
};

int snapshot_create(struct ctl *c, uint32_t domid, const char *snap, const struct snapshot_options *o, struct snapshot_cost *cost);
/*
 * The guest of that name, if there is one, is replaced. Everything that can fail is done before that; if it fails later the text says in what
 * state things are. The snapshot stays in any case.
 */
int snapshot_revert(struct ctl *c, const char *name, const char *snap, const struct snapshot_options *o, uint32_t *domid);
int snapshot_delete(struct ctl *c, const char *name, const char *snap);

struct snapshot_disk_info {
    char *vdev, *target, *method;  /* method: "reflink", "copy", "qcow2", "lvm-thin", "unchanged" */
    uint64_t bytes;                /* as the guest sees it; 0 = not known */
};
struct snapshot_info {
    char *guest, *name, *damage;   /* damage: what is missing; NULL = whole */
    time_t when;
    uint64_t memory_bytes;         /* on disk, of the memory file */
    uint64_t guest_memory;         /* KiB */
    struct snapshot_disk_info *disk;
    unsigned n_disks;
};
/* Of one guest, or of all (name NULL), oldest first; gives their number. */
int snapshot_list(const char *name, struct snapshot_info **list);
void snapshot_list_free(struct snapshot_info *list, unsigned n);

/* 1 to 63 letters, digits and -_. , the first one no -_. , and not only digits. */
int snapshot_check_name(const char *snap);
