/* SPDX-License-Identifier: MIT */
/* What the store says of guests' disks: those of a running guest beyond its configuration, and other guests that use the same ones. */
#include "device.h"
#include "disk.h"
#include "fault.h"
#include "snapshot_private.h"
#include "store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int is_configured(const struct device *dev, void *arg)
{
    const struct guest_config *cfg = arg;
    char vdev[16];
    unsigned id;

    for (unsigned i = 0; i < cfg->n_disks; i++)
        if (!disk_parse_vdev(cfg->disks[i].vdev, &id) && id == dev->id)
            return 0;
    disk_name_vdev(dev->id, vdev);
    return fault(-EOPNOTSUPP, "disk %s: was attached while the guest ran and is not in its configuration, so a snapshot would not know it; detach it (xm block-detach), or put it into the configuration (xm config-update)",
                 vdev);
}

int snap_check_attached(uint32_t domid, const struct guest_config *cfg)
{
    int rc = store_open();

    return rc ? rc : device_each(domid, "vbd", is_configured, (void *)cfg);
}

struct search {
    const struct snap_disk *d;
    struct stat st;
    bool there;
};

static int is_same(const struct device *dev, void *arg)
{
    const struct search *s = arg;
    struct stat st;
    char *params = store_read("%s/params", dev->record), name[80];
    bool same = params && !strcmp(params, s->d->target);

    if (params && !same && s->there && !stat(params, &st))
        same = S_ISBLK(st.st_mode) ? S_ISBLK(s->st.st_mode) && st.st_rdev == s->st.st_rdev : st.st_dev == s->st.st_dev && st.st_ino == s->st.st_ino;
    free(params);
    return same ? fault(-EBUSY, "disk %s: %s is used by %s, which is another guest; end that first", s->d->vdev, s->d->target,
                        device_domain_name(name, dev->domid))
                : 0;
}

int snap_check_users(const struct snap_disks *all, uint32_t but)
{
    unsigned n = 0;
    int rc = store_open();
    char **domains = rc ? NULL : store_list(&n, "/libxl");

    for (unsigned k = 0; k < all->n && !rc; k++) {
        struct search s = { .d = &all->disk[k] };

        if (s.d->how == &snap_unchanged)
            continue;
        s.there = !stat(s.d->target, &s.st);
        for (unsigned i = 0; domains && i < n && !rc; i++) {
            uint32_t domid = (uint32_t)strtoul(domains[i], NULL, 10);

            rc = domid == but ? 0 : device_each(domid, "vbd", is_same, &s);
        }
    }
    free(domains);
    return rc;
}
