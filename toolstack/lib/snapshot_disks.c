/* SPDX-License-Identifier: MIT */
/*
 * All disks of a guest together: all are set down, or none; all are put back, or it is said which. Disks that the guest only reads stay as they are.
 */
#include "disk_private.h"
#include "fault.h"
#include "qmp.h"
#include "snapshot_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- a disk that the guest only reads ------------------------------------------------------------------------------------ */

static int unchanged_plan(struct snap_disk *d, const struct disk_source *src, const char *snap, const struct snapshot_options *o)
{
    return 0;
}

static int unchanged(struct snap_disk *d)
{
    return 0;
}

static int unchanged_check(struct snap_disk *d)
{
    struct stat st;

    return *d->target == '/' && stat(d->target, &st) ? fault(-ENOENT, "disk %s: %s is missing", d->vdev, d->target) : 0;
}

static void unchanged_drop(struct snap_disk *d)
{
}

const struct snap_method snap_unchanged = { "unchanged", unchanged_plan, unchanged, unchanged, NULL, unchanged, unchanged_check, unchanged, unchanged,
    unchanged, unchanged_drop };

static const struct snap_method *const methods[] = { &snap_reflink, &snap_lvm, &snap_qcow2, &snap_copy, &snap_unchanged, NULL };
const struct snap_method *const *snap_methods = methods;

const struct snap_method *snap_method_find(const char *name)
{
    for (const struct snap_method *const *m = snap_methods; *m; m++)
        if (!strcmp((*m)->name, name))
            return *m;
    return NULL;
}

/* --- plan ------------------------------------------------------------------------------------------------------------------- */

static int refuse(const struct snap_disk *d, const struct disk_source *src)
{
    if (S_ISREG(src->st.st_mode))
        return fault(-EOPNOTSUPP, "disk %s: the file system of %s cannot share blocks between files (btrfs and XFS can); move it there, make it qcow2 or a thin volume, or add --copy to have it copied while the guest stands still",
                     d->vdev, d->target);
    if (S_ISBLK(src->st.st_mode))
        return fault(-EOPNOTSUPP, "disk %s: %s is a plain block device; only thin volumes of LVM can be snapshotted", d->vdev, d->target);
    return fault(-EOPNOTSUPP, "disk %s: %s is served from elsewhere and cannot be snapshotted from here", d->vdev, d->target);
}

static int plan_how(struct snap_disk *d, const struct disk_source *src, const char *snap, const struct snapshot_options *o)
{
    for (const struct snap_method *const *m = snap_methods; *m; m++) {
        int rc = (*m)->plan(d, src, snap, o);

        if (rc < 0)
            return rc;
        if (rc) {
            d->how = *m;
            return 0;
        }
    }
    return refuse(d, src);
}

static int plan_one(struct snap_disk *d, const struct disk_config *cfg, const char *snap, const struct snapshot_options *o)
{
    struct disk_source src;

    if (cfg->script)
        return fault(-EOPNOTSUPP, "disk %s: is set up by a script (%s), and what that does cannot be snapshotted", cfg->vdev, cfg->script);
    int rc = disk_find(cfg, &src);

    if (rc)
        return rc;
    d->vdev = strdup(cfg->vdev);
    /* A link is not what is to be replaced. The names of volumes are links that stay. */
    d->target = S_ISREG(src.st.st_mode) ? realpath(src.path, NULL) : strdup(src.path);
    d->format = cfg->format;
    d->bytes = cfg->format == DISK_RAW && S_ISREG(src.st.st_mode) ? (uint64_t)src.st.st_size : 0;
    if (!d->vdev || !d->target)
        return fault(-ENOMEM, "snapshot: no memory");
    if (!cfg->readonly && !cfg->cdrom)
        return plan_how(d, &src, snap, o);
    d->how = &snap_unchanged;
    return 0;
}

int snap_disks_plan(struct snap_disks *all, const struct guest_config *cfg, const char *snap, const struct snapshot_options *o)
{
    int rc = 0;

    *all = (struct snap_disks){ .disk = calloc(cfg->n_disks + 1, sizeof(*all->disk)) };
    if (!all->disk)
        return fault(-ENOMEM, "snapshot: no memory");
    for (unsigned i = 0; i < cfg->n_disks && !rc; i++) {
        all->n = i + 1;
        rc = plan_one(&all->disk[i], &cfg->disks[i], snap, o);
    }
    return rc;
}

/* --- setting down ------------------------------------------------------------------------------------------------------------ */

/* The first failure's text is the one that counts. */
static void after_failure(struct snap_disks *all, void (*what)(struct snap_disks *all))
{
    char *text = strdup(fault_text());

    fault_clear();
    what(all);
    fault_clear();
    fault(0, "%s", text ? text : "no memory");
    free(text);
}

static void take_away(struct snap_disks *all)
{
    if (snap_disks_remove(all))
        warn("%s", fault_text());
}

int snap_disks_ready(struct snap_disks *all)
{
    int rc = 0;

    for (unsigned i = 0; i < all->n && !rc; i++)
        rc = all->disk[i].how->ready(&all->disk[i]);
    return rc;
}

void snap_disks_flush(const struct snap_disks *all)
{
    struct stat st;

    for (unsigned i = 0; i < all->n; i++) {
        int fd = all->disk[i].how == &snap_unchanged || stat(all->disk[i].target, &st) || !S_ISREG(st.st_mode)
                     ? -1 : open(all->disk[i].target, O_RDONLY | O_CLOEXEC);

        if (fd < 0)
            continue;
        fdatasync(fd);
        close(fd);
    }
}

static int make_some(struct snap_disks *all, bool in_halves)
{
    int rc = 0;

    for (unsigned i = 0; i < all->n && !rc; i++) {
        if (in_halves == !all->disk[i].how->finish)
            continue;
        rc = all->disk[i].how->make(&all->disk[i]);
        all->disk[i].made |= !rc;
    }
    return rc;
}

/* What has been begun goes on beside the rest. */
int snap_disks_make(struct snap_disks *all)
{
    int rc = make_some(all, true);

    rc = rc ? rc : make_some(all, false);
    if (rc) {
        snap_disks_finish(all);
        after_failure(all, take_away);
    }
    return rc;
}

/* All are awaited, whichever fails. */
int snap_disks_finish(struct snap_disks *all)
{
    int first = 0;

    for (unsigned i = 0; i < all->n; i++) {
        int rc = all->disk[i].how->finish && all->disk[i].made ? all->disk[i].how->finish(&all->disk[i]) : 0;

        first = first ? first : rc;
    }
    return first;
}

int snap_disks_settle(struct snap_disks *all)
{
    int rc = 0;

    for (unsigned i = 0; i < all->n && !rc; i++)
        rc = all->disk[i].how->settle(&all->disk[i]);
    return rc;
}

int snap_disks_check(struct snap_disks *all)
{
    int rc = 0;

    for (unsigned i = 0; i < all->n && !rc; i++)
        rc = all->disk[i].how->check(&all->disk[i]);
    return rc;
}

int snap_disks_remove(struct snap_disks *all)
{
    int first = 0;

    for (unsigned i = 0; i < all->n; i++) {
        struct snap_disk *d = &all->disk[i];
        int rc = d->made ? d->how->remove(d) : 0;

        d->made = d->made && rc;
        first = first ? first : rc;
    }
    return first;
}

/* --- putting back ------------------------------------------------------------------------------------------------------------- */

int snap_disks_prepare(struct snap_disks *all)
{
    int rc = 0;

    for (unsigned i = 0; i < all->n && !rc; i++)
        rc = all->disk[i].how->prepare(&all->disk[i]);
    if (rc)
        after_failure(all, snap_disks_drop);
    return rc;
}

void snap_disks_drop(struct snap_disks *all)
{
    for (unsigned i = 0; i < all->n; i++)
        all->disk[i].how->drop(&all->disk[i]);
}

int snap_disks_swap(struct snap_disks *all, unsigned *swapped)
{
    int rc = 0;

    for (*swapped = 0; *swapped < all->n && !rc; *swapped += !rc)
        rc = all->disk[*swapped].how->swap(&all->disk[*swapped]);
    return rc;
}

void snap_disks_dispose(struct snap_disks *all)
{
    for (unsigned i = 0; i < all->n; i++) {
        free(all->disk[i].vdev);
        free(all->disk[i].target);
        free(all->disk[i].copy);
        free(all->disk[i].fresh);
        free(all->disk[i].origin);
        qmp_close(all->disk[i].orders);
    }
    free(all->disk);
    *all = (struct snap_disks){ 0 };
}
