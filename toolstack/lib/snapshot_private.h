/* SPDX-License-Identifier: MIT */
/* Shared by the snapshot*.c files and their tests. */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "snapshot.h"
#include "thin.h"

struct snap_method;
struct qmp;

/* One disk of a snapshot. Strings are owned. */
struct snap_disk {
    char *vdev, *target;            /* target: resolved, without links */
    char *copy;                     /* where it was set down: a path, VG/LV, or the name within a qcow2 image; NULL: unchanged */
    enum disk_format format;
    const struct snap_method *how;
    uint64_t bytes;
    bool made;                      /* copy is there (or perhaps): to be taken away if this comes to nothing */
    char *fresh;                    /* revert: what will take the target's place */
    /* Found out before the guest stands still. */
    char *origin;                   /* LVM: the target as VG/LV */
    struct thin thin;               /* ... and as the kernel knows it */
    uint32_t thin_copy;             /* ... and the copy's number in their pool */
    struct qmp *orders;             /* qcow2: who serves it, if he takes orders */
};

struct snap_disks {
    struct snap_disk *disk;
    unsigned n;
};

struct disk_source;

/*
 * A way of setting a disk down. 0 or a negative error with fault(); all but make() may be slow.
 *   plan     is this the way for that disk? 1 yes, copy is filled in; 0 no; negative: no way can do it
 *   ready    the guest runs: whatever spares time in make()
 *   make     the guest stands still and asks for nothing more; what goes on by itself may be awaited by
 *   finish   (NULL: make() has done it all) before the guest goes on; also after a failure elsewhere
 *   settle   to stable storage; the guest may run
 *   check    the copy is there
 *   remove   takes it away; that it is gone already is no failure
 *   prepare  revert, while the guest may still run: makes `fresh` out of the copy, beside the target
 *   swap     the guest is gone: the target becomes `fresh`
 *   drop     takes `fresh` away again
 */
struct snap_method {
    const char *name;
    int (*plan)(struct snap_disk *d, const struct disk_source *src, const char *snap, const struct snapshot_options *o);
    int (*ready)(struct snap_disk *d);
    int (*make)(struct snap_disk *d);
    int (*finish)(struct snap_disk *d);
    int (*settle)(struct snap_disk *d);
    int (*check)(struct snap_disk *d);
    int (*remove)(struct snap_disk *d);
    int (*prepare)(struct snap_disk *d);
    int (*swap)(struct snap_disk *d);
    void (*drop)(struct snap_disk *d);
};

extern const struct snap_method snap_reflink, snap_copy, snap_qcow2, snap_lvm, snap_unchanged;
/* In the order in which they are tried, NULL at the end; tests have their own. */
extern const struct snap_method *const *snap_methods;
const struct snap_method *snap_method_find(const char *name);

/* Clones a whole file's content by sharing its blocks (FICLONE); -errno, silent. Tests have their own. */
extern int (*snap_clone)(int to, int from);

/* --- all disks of a guest (snapshot_disks.c) ------------------------------------------------------------------------ */

/* Which disks, and how; nothing is touched. The first that cannot be set down is named. */
int snap_disks_plan(struct snap_disks *all, const struct guest_config *cfg, const char *snap, const struct snapshot_options *o);
/* While the guest runs. Take them away after a failure. */
int snap_disks_ready(struct snap_disks *all);
/* Writes what domain 0 still keeps of their files, so that it has not to be written in the pause; silent. */
void snap_disks_flush(const struct snap_disks *all);
/* If one fails all are taken away again. In two halves: the second waits, so that other things can be done between. */
int snap_disks_make(struct snap_disks *all);
int snap_disks_finish(struct snap_disks *all);
int snap_disks_settle(struct snap_disks *all);
int snap_disks_check(struct snap_disks *all);
/* Carries on after a failure and gives the first. */
int snap_disks_remove(struct snap_disks *all);
/* If one fails nothing is left. */
int snap_disks_prepare(struct snap_disks *all);
void snap_disks_drop(struct snap_disks *all);
/* Stops at a failure: *swapped have their old content already. */
int snap_disks_swap(struct snap_disks *all, unsigned *swapped);
void snap_disks_dispose(struct snap_disks *all);

/* --- folders and meta.json (snapshot_meta.c) ------------------------------------------------------------------------ */

struct snap_meta {
    char *guest, *snap;
    time_t when;
    uint64_t guest_memory, pause_us;
    struct snap_disks disks;
};

/* SNAP/FILE, or with a kind ".new", ".gone" .SNAP.KIND/FILE; file may be NULL. -ENAMETOOLONG. */
int snap_path(char *out, size_t size, const char *guest, const char *snap, const char *kind, const char *file);
/* A new file, complete and on stable storage, in place of an older one of that name. */
int snap_meta_write(const struct snap_meta *m, const char *folder);
/* Every field is checked. Dispose in any case. */
int snap_meta_read(struct snap_meta *m, const char *folder);
void snap_meta_dispose(struct snap_meta *m);

/* Makes snapshots/GUEST if wanted (-ENOENT: there is none), locks it, takes away what was left half made. The lock's descriptor. */
int snap_lock(const char *guest, bool make);
/* Takes the guest's folder away too if it has no snapshots left. */
void snap_unlock(int lock, const char *guest);
/* Removes a snapshot's folder with its files. */
int snap_remove_folder(const char *folder);
int snap_sync_folder(const char *folder);

/* --- the store (snapshot_store.c) ------------------------------------------------------------------------------------- */

/* Has the guest disks that its configuration does not know? -EOPNOTSUPP. */
int snap_check_attached(uint32_t domid, const struct guest_config *cfg);
/* Does another guest than that one use the disks? -EBUSY. */
int snap_check_users(const struct snap_disks *all, uint32_t but);

/* --- signals (snapshot_signals.c) ------------------------------------------------------------------------------------- */

void snap_hold_signals(bool on, sigset_t *before);
/* -EINTR if one waits. */
int snap_check_stop(void);
