/* SPDX-License-Identifier: MIT */
/*
 * Disks that are thin volumes of LVM: a thin snapshot VG/LV.SNAP shares its blocks with the volume and is as good as it. LVM makes one while
 * the guest runs, and that takes it a second; in the pause the kernel alone makes the same volume anew, as the disk is then (thin.h), of which
 * LVM's records need not know. Reverting makes another thin snapshot of the first, VG/LV.SNAP.new, which takes the volume's name; the
 * volume as it was goes away after that.
 */
#include "disk_private.h"
#include "fault.h"
#include "program.h"
#include "snapshot_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PACKAGE "lvm2"

static int lvm(const struct snap_disk *d, const char *const argv[], char *out, size_t size)
{
    char what[160];

    snprintf(what, sizeof(what), "disk %.100s", d->vdev);
    return program_need(what, PACKAGE, argv, out, size);
}

#define LVM(d, ...) lvm(d, (const char *const[]){ __VA_ARGS__, NULL }, NULL, 0)

/* "VG/LV" of a volume and what kind it is; -ENOENT (silent): no volume. name and kind of 256 bytes. */
static int volume_of(const char *path, char *name, char *kind)
{
    char out[1024], vg[128], lv[128];
    const char *const argv[] = { "lvs", "--noheadings", "--separator", " ", "-o", "vg_name,lv_name,segtype", path, NULL };

    if (program_run(argv, out, sizeof(out)))
        return -ENOENT;
    /* Warnings may stand before it: the last line counts. */
    char *line = strrchr(out, '\n');

    if (sscanf(line ? line : out, "%127s %127s %63s", vg, lv, kind) != 3)
        return -ENOENT;
    snprintf(name, 256, "%s/%s", vg, lv);
    return 0;
}

static bool volume_exists(const char *volume)
{
    const char *const argv[] = { "lvs", "--noheadings", "-o", "lv_name", volume, NULL };

    return !program_run(argv, NULL, 0);
}

static int plan(struct snap_disk *d, const struct disk_source *src, const char *snap, const struct snapshot_options *o)
{
    char name[256], kind[64];

    if (!S_ISBLK(src->st.st_mode) || volume_of(d->target, name, kind))
        return 0;
    if (strcmp(kind, "thin"))
        return fault(-EOPNOTSUPP, "disk %s: %s is a volume of kind '%s', and only thin volumes can be snapshotted without loss of speed; put it into a thin pool (lvconvert --thin)",
                     d->vdev, name, kind);
    d->origin = strdup(name);
    if (!d->origin || asprintf(&d->copy, "%s.%s", name, snap) < 0) {
        d->copy = NULL;
        return fault(-ENOMEM, "snapshot: no memory");
    }
    if (volume_exists(d->copy))
        return fault(-EEXIST, "disk %s: there is a volume %s already; rename it (lvrename), or choose another name for the snapshot", d->vdev, d->copy);
    return 1;
}

/* The volume's own name; a guest that stands still must not wait for that. */
static int find_origin(struct snap_disk *d)
{
    char name[256], kind[64];

    if (d->origin)
        return 0;
    if (volume_of(d->target, name, kind))
        return fault(-ENOENT, "disk %s: there is no volume %s any more; make one of that name (lvcreate), or bring it back", d->vdev, d->target);
    d->origin = strdup(name);
    return d->origin ? 0 : fault(-ENOMEM, "snapshot: no memory");
}

static const char *lv_of(const char *volume)
{
    const char *slash = strchr(volume, '/');

    return slash ? slash + 1 : volume;
}

/* The copy's number in its pool. */
static int find_number(struct snap_disk *d)
{
    char out[1024];
    const char *const argv[] = { "lvs", "--noheadings", "-o", "thin_id", d->copy, NULL };
    int rc = lvm(d, argv, out, sizeof(out));
    char *line = strrchr(out, '\n');

    if (rc)
        return rc;
    if (sscanf(line ? line : out, "%" SCNu32, &d->thin_copy) != 1 || d->thin_copy == d->thin.id)
        return fault(-EPROTO, "disk %s: lvs -o thin_id %s: not understood", d->vdev, d->copy);
    return 0;
}

/* -ky: LVM does not activate it, so that the pool can give it up. */
static int ready(struct snap_disk *d)
{
    int rc = thin_find(d->target, &d->thin);

    rc = rc ? fault(rc, "disk %s", d->vdev) : LVM(d, "lvcreate", "-q", "-s", "-ky", "-n", lv_of(d->copy), d->origin);
    if (rc)
        return rc;
    d->made = true;
    return find_number(d);
}

static int make(struct snap_disk *d)
{
    int rc = thin_suspend(&d->thin, true);

    if (rc)
        return fault(rc, "disk %s", d->vdev);
    rc = thin_set(&d->thin, d->thin_copy);
    if (thin_suspend(&d->thin, false)) /* the worse of the two */
        rc = -EIO;
    return rc ? fault(rc, "disk %s", d->vdev) : 0;
}

/* Pools write their records through. */
static int settle(struct snap_disk *d)
{
    return 0;
}

static int check(struct snap_disk *d)
{
    return volume_exists(d->copy) ? 0 : fault(-ENOENT, "disk %s: its snapshot %s is missing (lvs)", d->vdev, d->copy);
}

static int remove_copy(struct snap_disk *d)
{
    return volume_exists(d->copy) ? LVM(d, "lvremove", "-q", "-f", d->copy) : 0;
}

static void drop(struct snap_disk *d)
{
    if (d->fresh && volume_exists(d->fresh) && LVM(d, "lvremove", "-q", "-f", d->fresh)) {
        warn("%s", fault_text());
        fault_clear();
    }
    free(d->fresh);
    d->fresh = NULL;
}

static int prepare(struct snap_disk *d)
{
    char old[300];
    int rc = find_origin(d);

    snprintf(old, sizeof(old), "%s.old", d->copy);
    if (!rc && volume_exists(old))
        rc = LVM(d, "lvremove", "-q", "-f", old);
    if (rc)
        return rc;
    if (asprintf(&d->fresh, "%s.new", d->copy) < 0) {
        d->fresh = NULL;
        return fault(-ENOMEM, "snapshot: no memory");
    }
    if (volume_exists(d->fresh)) /* of a revert that was killed */
        rc = LVM(d, "lvremove", "-q", "-f", d->fresh);
    if (rc)
        return rc;
    return LVM(d, "lvcreate", "-q", "-s", "-kn", "-n", lv_of(d->fresh), d->copy);
}

/* A volume may still be held open for a moment by a guest's backend that has just gone. */
static int retire(struct snap_disk *d, const char *old)
{
    int rc = -EIO;

    for (unsigned i = 0; i < 20 && rc; i++) {
        fault_clear();
        rc = LVM(d, "lvrename", d->origin, old);
        if (rc)
            usleep(100000);
    }
    return rc;
}

/* If the second rename fails the volume gets its name back. */
static int take_name(struct snap_disk *d, const char *old)
{
    int rc = retire(d, old);

    if (rc)
        return rc;
    rc = LVM(d, "lvrename", d->fresh, d->origin);
    if (rc && LVM(d, "lvrename", old, d->origin))
        return fault(rc, "disk %s: the volume is called %s now; lvrename %s %s", d->vdev, old, old, d->origin);
    return rc ? rc : LVM(d, "lvchange", "-q", "-ay", d->origin);
}

static int swap(struct snap_disk *d)
{
    char old[300];

    snprintf(old, sizeof(old), "%s.old", d->copy);
    int rc = take_name(d, old);

    if (rc)
        return rc;
    free(d->fresh);
    d->fresh = NULL;
    if (LVM(d, "lvremove", "-q", "-f", old)) { /* it takes room, no more */
        warn("%s; remove it by hand: lvremove %s", fault_text(), old);
        fault_clear();
    }
    return 0;
}

const struct snap_method snap_lvm = { "lvm-thin", plan, ready, make, NULL, settle, check, remove_copy, prepare, swap, drop };
