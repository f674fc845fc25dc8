/* SPDX-License-Identifier: MIT */
/*
 * A guest becomes what it was. All that takes time or may fail is done while it still runs: the snapshot is looked at, and of each disk a
 * second copy is made beside it. Then the guest is ended, the copies take the disks' places, and its memory is read back. The
 * snapshot is only read, so whatever happens it is there for another try.
 */
#include "domains.h"
#include "fault.h"
#include "restore.h"
#include "save.h"
#include "snapshot_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NO_GUEST 0U /* domain 0 is nobody's to revert */

static int open_memory(const char *folder, const char *snap)
{
    char path[600];
    struct stat st;

    snprintf(path, sizeof(path), "%s/memory", folder);
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd >= 0 && !fstat(fd, &st) && st.st_size > 0)
        return fd;
    int rc = fault(fd < 0 ? -errno : -ENODATA, "snapshot '%s': %s: %s", snap, path, fd < 0 ? strerror(errno) : "is empty");

    if (fd >= 0)
        close(fd);
    return rc;
}

/* The guest of that name as it is now: its number, or NO_GUEST. */
static int find_guest(struct ctl *c, const char *name, uint32_t *domid)
{
    int rc = domain_find(c, name, domid);

    if (rc == -ENOENT) {
        fault_clear();
        *domid = NO_GUEST;
        return 0;
    }
    return rc ? rc : *domid ? 0 : fault(-EPERM, "domain 0 cannot be reverted");
}

/* Which disks are what, for who has to mend it. */
static int swap_disks(const struct snap_meta *m)
{
    unsigned n;
    int rc = snap_disks_swap((struct snap_disks *)&m->disks, &n);

    if (!rc)
        return 0;
    snap_disks_drop((struct snap_disks *)&m->disks);
    return fault(rc, "guest '%s' has been ended; %u of its %u disks are as in the snapshot '%s', disk %s and those after it are not; the snapshot is kept: mend the cause and revert again",
                 m->guest, n, m->disks.n, m->snap, m->disks.disk[n].vdev);
}

static int bring_back(struct ctl *c, const struct snap_meta *m, int fd, const char *path, const struct snapshot_options *o, uint32_t *domid)
{
    struct stream_fd file;
    struct stream_in in;
    struct restore_options how = { .name = m->guest };
    struct restored r = { 0 };

    stream_in_fd(&in, &file, fd, path);
    int rc = restore_domain(c, &in, &how, &r);

    *domid = r.domid;
    if (!rc && !o->paused && (rc = ctl_domain_unpause(c, (domid_t)r.domid)))
        domain_destroy(c, r.domid);
    config_dispose(&r.config);
    if (rc)
        return fault(rc, "guest '%s' does not run: its disks are as in the snapshot '%s', but its memory could not be brought back; the snapshot is kept: mend the cause and revert again, or `xm create` it anew with these disks",
                     m->guest, m->snap);
    return 0;
}

/* While the guest runs, if there is one: failures change nothing. */
static int get_ready(struct snap_meta *m, uint32_t old)
{
    int rc = snap_disks_check(&m->disks);

    rc = rc ? rc : snap_check_users(&m->disks, old);
    rc = rc ? rc : snap_disks_prepare(&m->disks);
    if (!rc && (rc = snap_check_stop()))
        snap_disks_drop(&m->disks);
    return rc;
}

static int revert(struct ctl *c, struct snap_meta *m, int fd, const char *path, const struct snapshot_options *o, uint32_t *domid)
{
    uint32_t old;
    int rc = find_guest(c, m->guest, &old);

    if (!rc && old != NO_GUEST)
        rc = domain_hold(old); /* nobody saves or moves it meanwhile */
    rc = rc ? rc : get_ready(m, old);
    if (rc)
        return rc;
    if (old != NO_GUEST && (rc = domain_destroy(c, old))) {
        snap_disks_drop(&m->disks);
        return fault(rc, "guest '%s' could not be ended; its disks have not been touched", m->guest);
    }
    rc = swap_disks(m);
    return rc ? rc : bring_back(c, m, fd, path, o, domid);
}

/* What is in a folder must be what it is called. */
static int read_whole(struct snap_meta *m, const char *folder, const char *name, const char *snap)
{
    int rc = snap_meta_read(m, folder);

    if (!rc && (strcmp(m->guest, name) || strcmp(m->snap, snap)))
        rc = fault(-EBADMSG, "%s: is snapshot '%s' of guest '%s' by its meta.json; put it where it belongs", folder, m->snap, m->guest);
    return rc;
}

static int open_snapshot(struct snap_meta *m, const char *name, const char *snap, char *folder, size_t size)
{
    int rc = snap_path(folder, size, name, snap, NULL, NULL);

    if (!rc && access(folder, F_OK))
        rc = fault(-ENOENT, "guest '%s' has no snapshot '%s' (see `xm snapshot list %s`)", name, snap, name);
    return rc ? rc : read_whole(m, folder, name, snap);
}

int snapshot_revert(struct ctl *c, const char *name, const char *snap, const struct snapshot_options *o, uint32_t *domid)
{
    struct snap_meta m = { 0 };
    char folder[512] = "";
    int rc = snapshot_check_name(snap), lock = rc ? rc : snap_lock(name, false);

    if (lock < 0)
        return lock;
    rc = open_snapshot(&m, name, snap, folder, sizeof(folder));
    int fd = rc ? -1 : open_memory(folder, snap);

    sigset_t before;

    snap_hold_signals(true, &before);
    rc = rc ? rc : fd < 0 ? fd : revert(c, &m, fd, folder, o, domid);
    snap_hold_signals(false, &before);
    if (fd >= 0)
        close(fd);
    snap_meta_dispose(&m);
    snap_unlock(lock, name);
    return rc;
}

/* --- deleting ------------------------------------------------------------------------------------------------------------------ */

/* From the first rename on it is not listed any more; what cannot be taken away now, the next command tries again. */
static int delete(struct snap_meta *m, const char *folder)
{
    char gone[512];
    int rc = snap_path(gone, sizeof(gone), m->guest, m->snap, ".gone", NULL);

    if (!rc && rename(folder, gone))
        rc = fault(-errno, "%s: %s", folder, strerror(errno));
    if (rc)
        return rc;
    rc = snap_disks_remove(&m->disks);
    if (rc) {
        rename(gone, folder);
        return fault(rc, "snapshot '%s' of guest '%s': its copies of disks cannot all be taken away; mend the cause and delete it again", m->snap, m->guest);
    }
    return snap_remove_folder(gone);
}

int snapshot_delete(struct ctl *c, const char *name, const char *snap)
{
    struct snap_meta m = { 0 };
    char folder[512] = "";
    int rc = snapshot_check_name(snap), lock = rc ? rc : snap_lock(name, false);

    if (lock < 0)
        return lock;
    sigset_t before;

    snap_hold_signals(true, &before);
    rc = open_snapshot(&m, name, snap, folder, sizeof(folder));
    rc = rc ? rc : delete(&m, folder);
    snap_hold_signals(false, &before);
    snap_meta_dispose(&m);
    snap_unlock(lock, name);
    return rc;
}
