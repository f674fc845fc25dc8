/* SPDX-License-Identifier: MIT */
/*
 * Disks that are files, raw or qcow2: as a clone that shares the blocks (btrfs, XFS) or, if that is asked for, as a copy of what is not empty.
 * The clone stands beside the file as FILE@SNAP, since blocks are shared within one file system only. Reverting clones it
 * again to FILE@SNAP.new, and a rename puts that in FILE's place: whatever breaks, FILE is the old or the new one, whole.
 */
#include "disk_private.h"
#include "fault.h"
#include "program.h"
#include "snapshot_private.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int clone_file(int to, int from)
{
    return ioctl(to, FICLONE, from) ? -errno : 0;
}

int (*snap_clone)(int to, int from) = clone_file;

static bool is_file(const struct disk_source *src)
{
    return S_ISREG(src->st.st_mode);
}

/* --- content from one file to another ------------------------------------------------------------------------------------- */

static int copy_range(int to, int from, off_t at, off_t end)
{
    static char buf[1 << 20];

    while (at < end) {
        size_t want = end - at < (off_t)sizeof(buf) ? (size_t)(end - at) : sizeof(buf);
        ssize_t n = pread(from, buf, want, at);

        if (n <= 0)
            return n ? -errno : -EIO;
        if (pwrite(to, buf, (size_t)n, at) != n)
            return errno ? -errno : -EIO;
        at += n;
    }
    return 0;
}

/* Holes stay holes. */
static int copy_file(int to, int from)
{
    off_t end = lseek(from, 0, SEEK_END), at = 0;

    if (end < 0 || ftruncate(to, end))
        return -errno;
    while (at < end) {
        off_t data = lseek(from, at, SEEK_DATA), hole = data < 0 ? -1 : lseek(from, data, SEEK_HOLE);

        if (data < 0)
            return errno == ENXIO ? 0 : -errno;
        if (hole < 0)
            return -errno;
        int rc = copy_range(to, from, data, hole);

        if (rc)
            return rc;
        at = hole;
    }
    return 0;
}

/* A new file with the content, owner and rights of another. What was begun is taken away after a failure. */
static int duplicate(const char *from, const char *to, int (*how)(int to, int from), const char *what)
{
    struct stat st;
    int in = open(from, O_RDONLY | O_CLOEXEC), out = -1, rc;

    if (in < 0 || fstat(in, &st)) {
        rc = fault(-errno, "snapshot: %s cannot be opened: %s", from, strerror(errno));
    } else if ((out = open(to, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) < 0) {
        rc = fault(-errno, "snapshot: %s cannot be made: %s%s", to, strerror(errno), errno == EEXIST ? "; move it away" : "");
    } else {
        rc = how(out, in);
        if (!rc && (fchown(out, st.st_uid, st.st_gid) || fchmod(out, st.st_mode & 07777)))
            rc = -errno;
        if (rc) {
            unlink(to);
            fault(rc, "snapshot: %s of %s to %s: %s", what, from, to, strerror(-rc));
        }
    }
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    return rc;
}

static int sync_file(const char *path)
{
    char parent[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc = fd < 0 || fsync(fd) ? -errno : 0;

    if (fd >= 0)
        close(fd);
    snprintf(parent, sizeof(parent), "%s", path);
    if (rc)
        return fault(rc, "snapshot: %s: %s", path, strerror(-rc));
    return snap_sync_folder(dirname(parent));
}

static int unlink_file(const char *path)
{
    return unlink(path) && errno != ENOENT ? fault(-errno, "snapshot: %s cannot be removed: %s", path, strerror(errno)) : 0;
}

/* --- both ways ---------------------------------------------------------------------------------------------------------------- */

static int name_copy(struct snap_disk *d, const char *snap)
{
    if (asprintf(&d->copy, "%s@%s", d->target, snap) < 0) {
        d->copy = NULL;
        return fault(-ENOMEM, "snapshot: no memory");
    }
    if (!access(d->copy, F_OK))
        return fault(-EEXIST, "disk %s: there is a file %s already; move it away, or choose another name for the snapshot", d->vdev, d->copy);
    return 1;
}

/* What there is to write beforehand, snap_disks_flush() writes. */
static int ready(struct snap_disk *d)
{
    return 0;
}

static int settle(struct snap_disk *d)
{
    return sync_file(d->copy);
}

static int check(struct snap_disk *d)
{
    struct stat st;

    if (stat(d->copy, &st) || !S_ISREG(st.st_mode))
        return fault(-ENOENT, "disk %s: its copy %s is missing", d->vdev, d->copy);
    if (d->format == DISK_RAW && (uint64_t)st.st_size != d->bytes)
        return fault(-EIO, "disk %s: its copy %s has %lld bytes, and had %llu", d->vdev, d->copy, (long long)st.st_size, (unsigned long long)d->bytes);
    return 0;
}

static int remove_copy(struct snap_disk *d)
{
    return unlink_file(d->copy);
}

static int name_fresh(struct snap_disk *d)
{
    if (asprintf(&d->fresh, "%s.new", d->copy) < 0) {
        d->fresh = NULL;
        return fault(-ENOMEM, "snapshot: no memory");
    }
    return unlink_file(d->fresh); /* of a revert that was killed */
}

static int swap(struct snap_disk *d)
{
    char parent[4096];

    if (rename(d->fresh, d->target))
        return fault(-errno, "disk %s: %s cannot take the place of %s: %s", d->vdev, d->fresh, d->target, strerror(errno));
    free(d->fresh);
    d->fresh = NULL;
    snprintf(parent, sizeof(parent), "%s", d->target);
    return snap_sync_folder(dirname(parent));
}

static void drop(struct snap_disk *d)
{
    if (d->fresh)
        unlink(d->fresh);
    free(d->fresh);
    d->fresh = NULL;
}

/* --- sharing blocks ----------------------------------------------------------------------------------------------------------- */

/* Tried with an empty file beside the disk: nothing else says for certain whether blocks can be shared there. */
static bool can_clone(const char *target)
{
    char parent[4096], probe[4200];
    int from, to;
    bool can = false;

    snprintf(parent, sizeof(parent), "%s", target);
    snprintf(probe, sizeof(probe), "%s/.zendo-probe.%d", dirname(parent), (int)getpid());
    from = open(target, O_RDONLY | O_CLOEXEC);
    to = open(probe, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (from >= 0 && to >= 0)
        can = !snap_clone(to, from);
    if (to >= 0) {
        close(to);
        unlink(probe);
    }
    if (from >= 0)
        close(from);
    return can;
}

static int reflink_plan(struct snap_disk *d, const struct disk_source *src, const char *snap, const struct snapshot_options *o)
{
    return is_file(src) && can_clone(d->target) ? name_copy(d, snap) : 0;
}

static int reflink_make(struct snap_disk *d)
{
    return duplicate(d->target, d->copy, snap_clone, "sharing the blocks");
}

static int reflink_prepare(struct snap_disk *d)
{
    int rc = name_fresh(d);

    rc = rc ? rc : duplicate(d->copy, d->fresh, snap_clone, "sharing the blocks");
    return rc ? rc : sync_file(d->fresh);
}

const struct snap_method snap_reflink = { "reflink", reflink_plan, ready, reflink_make, NULL, settle, check, remove_copy, reflink_prepare, swap, drop };

/* --- copying ------------------------------------------------------------------------------------------------------------------- */

static int copy_plan(struct snap_disk *d, const struct disk_source *src, const char *snap, const struct snapshot_options *o)
{
    return o->copy && is_file(src) ? name_copy(d, snap) : 0;
}

static int copy_make(struct snap_disk *d)
{
    return duplicate(d->target, d->copy, copy_file, "copying");
}

static int copy_prepare(struct snap_disk *d)
{
    int rc = name_fresh(d);

    rc = rc ? rc : duplicate(d->copy, d->fresh, copy_file, "copying");
    return rc ? rc : sync_file(d->fresh);
}

const struct snap_method snap_copy = { "copy", copy_plan, ready, copy_make, NULL, settle, check, remove_copy, copy_prepare, swap, drop };
