/* SPDX-License-Identifier: MIT */
/*
 * Who uses an image: other guests (their backends in the store say from what they are served), and domain 0 (loop devices; what
 * it has mounted shows when a block device is opened exclusively, in disk_check.c). Two may have one image when both only read, or
 * when the newcomer's access says '!'. A partition and its whole disk are the same thing here.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "disk_private.h"
#include "fault.h"
#include "store.h"

/* The whole disk's number for a partition, else the same. */
static dev_t disk_whole(dev_t dev)
{
    char path[80];
    unsigned ma, mi;
    dev_t whole = dev;

    snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/partition", major(dev), minor(dev));
    FILE *f = fopen(path, "re");
    if (!f)
        return dev;
    fclose(f);
    snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/../dev", major(dev), minor(dev));
    f = fopen(path, "re");
    if (f && fscanf(f, "%u:%u", &ma, &mi) == 2)
        whole = makedev(ma, mi);
    if (f)
        fclose(f);
    return whole;
}

static bool disk_same(const struct stat *a, const struct stat *b)
{
    if (S_ISBLK(a->st_mode) != S_ISBLK(b->st_mode))
        return false;
    if (!S_ISBLK(a->st_mode))
        return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
    return a->st_rdev == b->st_rdev || a->st_rdev == disk_whole(b->st_rdev) || disk_whole(a->st_rdev) == b->st_rdev;
}

struct disk_search {
    const struct disk_config *d;
    const struct disk_source *src;
};

/* One disk of one guest: -EBUSY if it is the same and one of the two writes. */
static int disk_compare_user(const struct device *dev, void *arg)
{
    const struct disk_search *s = arg;
    struct stat st;
    char *params = store_read("%s/params", dev->record), *mode = store_read("%s/mode", dev->record);
    bool writes = mode && *mode == 'w';
    bool same = params && (S_ISREG(s->src->st.st_mode) || S_ISBLK(s->src->st.st_mode) ? !stat(params, &st) && disk_same(&st, &s->src->st)
                                                                                    : !strcmp(params, s->src->path));
    int rc = 0;

    if (same && (writes || !s->d->readonly)) {
        char name[80], vdev[16];
        disk_name_vdev(dev->id, vdev);
        rc = fault(-EBUSY, "disk %s: %s has it as %s for %s; end that first, or say '%s' if both can share it", s->src->path,
                   device_domain_name(name, dev->domid), vdev, writes ? "writing" : "reading", s->d->readonly ? "r!" : "w!");
    }
    free(params);
    free(mode);
    return rc;
}

/* A loop device that no guest's disk stands on is domain 0's own. */
static int disk_loop_is_guests(const struct device *dev, void *arg)
{
    char *node = store_read("%s/node", dev->record);
    int rc = node && !strcmp(node, arg);

    free(node);
    return rc;
}

static int disk_check_loops(const struct disk_source *src)
{
    char node[32];
    unsigned n;
    int loop = loop_find(&src->st), ours = 0;
    char **domains = loop < 0 ? NULL : store_list(&n, "/libxl");

    if (loop < 0)
        return 0;
    snprintf(node, sizeof(node), "/dev/loop%d", loop);
    for (unsigned i = 0; domains && i < n && !ours; i++)
        ours = device_each((uint32_t)strtoul(domains[i], NULL, 10), "vbd", disk_loop_is_guests, node);
    free(domains);
    if (ours)
        return 0;
    return fault(-EBUSY, "disk %s: in use in domain 0 through %s; unmount it, then losetup -d %s", src->path, node, node);
}

int disk_check_users(const struct disk_config *d, const struct disk_source *src)
{
    struct disk_search s = { d, src };
    unsigned n;
    int rc = store_open();

    if (rc || d->shared)
        return rc;
    char **domains = store_list(&n, "/libxl");
    for (unsigned i = 0; domains && i < n && !rc; i++)
        rc = device_each((uint32_t)strtoul(domains[i], NULL, 10), "vbd", disk_compare_user, &s);
    free(domains);
    if (!rc && S_ISREG(src->st.st_mode) && !d->readonly)
        rc = disk_check_loops(src);
    return rc;
}

int disk_check_free(uint32_t domid, const char *vdev, unsigned id)
{
    struct device dev;
    char name[80];

    device_init(&dev, domid, "vbd", id);
    if (!device_exists(&dev))
        return 0;
    return fault(-EEXIST, "disk %s: %s has a disk of that name; take another name, or detach it: xm block-detach %u %s", vdev,
                 device_domain_name(name, domid), domid, vdev);
}
