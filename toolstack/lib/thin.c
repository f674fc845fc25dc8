/* SPDX-License-Identifier: MIT */
/* The device mapper's calls for thin volumes. */
#include "thin.h"
#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/dm-ioctl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int call(unsigned long request, struct dm_ioctl *d)
{
    static int control = -1;

    if (control < 0)
        control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
    return control < 0 || ioctl(control, request, d) ? -errno : 0;
}

int (*thin_call)(unsigned long request, struct dm_ioctl *d) = call;

/* A call with room for what goes with it. */
struct order {
    struct dm_ioctl head;
    _Alignas(8) char data[1024];
};

static int give(struct order *o, unsigned long request, uint64_t device, uint32_t flags)
{
    o->head = (struct dm_ioctl){ .version = { DM_VERSION_MAJOR, 0, 0 }, .data_size = sizeof(*o), .dev = device, .flags = flags };
    o->head.data_start = offsetof(struct order, data);
    return thin_call(request, &o->head);
}

/* As the device mapper writes it: the kernel's encoding, not the C library's. */
static uint64_t number(unsigned major_nr, unsigned minor_nr)
{
    return (minor_nr & 0xff) | (uint64_t)major_nr << 8 | (uint64_t)(minor_nr & ~0xffU) << 12;
}

int thin_look(const char *node, dev_t device, struct thin *t)
{
    struct order o = { 0 };
    unsigned pool_major, pool_minor;

    t->device = number(major(device), minor(device));
    int rc = give(&o, DM_TABLE_STATUS, t->device, DM_STATUS_TABLE_FLAG);

    if (rc)
        return fault(rc, "%s: the device mapper does not know it: %s", node, strerror(-rc));
    o.data[sizeof(o.data) - 1] = 0;
    const struct dm_target_spec *spec = (void *)o.data;

    if (o.head.target_count != 1 || o.head.flags & DM_BUFFER_FULL_FLAG || strncmp(spec->target_type, "thin", sizeof(spec->target_type)) ||
        sscanf(o.data + sizeof(*spec), "%u:%u %" SCNu32, &pool_major, &pool_minor, &t->id) != 3)
        return fault(-EOPNOTSUPP, "%s: is not served as a thin volume by the device mapper (dmsetup table)", node);
    t->pool = number(pool_major, pool_minor);
    return 0;
}

int thin_find(const char *node, struct thin *t)
{
    struct stat st;

    return stat(node, &st) || !S_ISBLK(st.st_mode) ? fault(-ENOTBLK, "%s: is no block device", node) : thin_look(node, st.st_rdev, t);
}

/* No file system of domain 0 is on it, so none needs to be frozen. */
int thin_suspend(const struct thin *t, bool on)
{
    struct order o = { 0 };
    int rc = give(&o, DM_DEV_SUSPEND, t->device, on ? DM_SUSPEND_FLAG | DM_SKIP_LOCKFS_FLAG : 0);

    return rc ? fault(rc, "thin volume %u: cannot be %s: %s", t->id, on ? "suspended" : "resumed; dmsetup resume it", strerror(-rc)) : 0;
}

static int message(const struct thin *t, const char *what, uint32_t id, const char *from)
{
    struct order o = { 0 };
    struct dm_target_msg *m = (void *)o.data;

    snprintf(m->message, sizeof(o.data) - sizeof(*m), "%s %u%s", what, id, from);
    return give(&o, DM_TARGET_MSG, t->pool, 0);
}

int thin_set(const struct thin *t, uint32_t id)
{
    char from[16];
    int rc = message(t, "delete", id, "");

    if (rc)
        return fault(rc, "thin volume %u: its pool does not give it up: %s", id, strerror(-rc));
    snprintf(from, sizeof(from), " %u", t->id);
    rc = message(t, "create_snap", id, from);
    return rc ? fault(rc, "thin volume %u: its pool makes no snapshot %u of it: %s", t->id, id, strerror(-rc)) : 0;
}
