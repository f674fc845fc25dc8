/* SPDX-License-Identifier: MIT */
/*
 * A guest's disk: attach and detach. The backend (xen-blkback) wants a block device's number; what makes one out of a file
 * or an image is in disk_loop.c and disk_nbd.c, what is looked at before in disk_check.c and disk_users.c.
 */
#include "disk.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "disk_private.h"
#include "fault.h"
#include "store.h"

#define DISK_WAIT_MS 10000

struct disk_nodes {
    const struct device *dev;
    const struct disk_config *disk;
    const char *params, *script;
};

static int disk_write_nodes(const void *arg)
{
    const struct disk_nodes *w = arg;
    const struct device *dev = w->dev;
    const struct disk_config *d = w->disk;
    char vdev[16];

    disk_name_vdev(dev->id, vdev);
    int rc = device_write_base(dev);
    rc = rc ? rc : device_put_back(dev, "params", "%s", w->params);
    rc = rc ? rc : device_put_back(dev, "script", "%s", w->script ? w->script : "/etc/xen/scripts/block");
    rc = rc ? rc : device_put_back(dev, "removable", "%d", d->cdrom);
    rc = rc ? rc : device_put_back(dev, "bootable", "1");
    rc = rc ? rc : device_put_back(dev, "dev", "%s", vdev);
    rc = rc ? rc : device_put_back(dev, "type", "phy");
    rc = rc ? rc : device_put_back(dev, "mode", d->readonly ? "r" : "w");
    rc = rc ? rc : device_put_back(dev, "device-type", d->cdrom ? "cdrom" : "disk");
    rc = rc ? rc : device_put_back(dev, "discard-enable", d->discard ? "1" : "0");
    rc = rc ? rc : device_put_back(dev, "specification", "xen");
    rc = rc ? rc : device_put_back(dev, "direct-io-safe", d->direct_io_safe ? "1" : "0");
    rc = rc ? rc : device_put_front(dev, "virtual-device", "%u", dev->id);
    rc = rc ? rc : device_put_front(dev, "device-type", d->cdrom ? "cdrom" : "disk");
    rc = rc ? rc : device_put_front(dev, "trusted", "%d", d->trusted);
    /* Ours: whether there is something to release, and how. */
    rc = rc ? rc : store_put(dev->record, "zendo", w->script ? "script" : "builtin");
    if (d->format == DISK_QCOW2) /* for a save: an image looks raw from outside */
        rc = rc ? rc : store_put(dev->record, "zendo-format", "qcow2");
    return rc;
}

/* The block device behind a source; *fd is held open for a loop device, -1 for others. */
static int disk_make_node(const struct disk_config *d, const struct disk_source *src, char *node, size_t size, int *fd)
{
    *fd = -1;
    if (src->how == DISK_FILE)
        return loop_attach(src->path, d->readonly, node, fd);
    if (src->how == DISK_QDISK)
        return nbd_attach(d, src, node);
    snprintf(node, size, "%s", src->path);
    return 0;
}

/* The driver shows physical_device in sysfs once it has opened it. */
static int disk_wait_open(const struct device *dev, const char *what)
{
    char path[96];
    uint64_t until = store_clock_ms() + DISK_WAIT_MS;

    snprintf(path, sizeof(path), "/sys/bus/xen-backend/devices/vbd-%u-%u/physical_device", dev->domid, dev->id);
    while (access(path, F_OK)) {
        char *why = device_backend_error(dev);
        if (why || store_clock_ms() >= until) {
            fault(-EIO, "disk %s: domain 0's backend could not open it: %s", what, why ? why : "no answer within 10 s; see dmesg");
            free(why);
            return -EIO;
        }
        usleep(2000);
    }
    return 0;
}

static int disk_connect(const struct device *dev, const struct disk_source *src, const char *node)
{
    struct stat st;
    int rc = device_wait_backend(dev, DISK_WAIT_MS);

    if (rc)
        return rc;
    if (stat(node, &st) || !S_ISBLK(st.st_mode))
        return fault(-ENODEV, "disk %s: %s is no block device any more", src->path, node);
    rc = store_put(dev->record, "node", "%s", node);
    rc = rc ? rc : store_put(dev->back, "node", "%s", node);
    rc = rc ? rc : store_put(dev->back, "physical-device-path", "%s", node);
    rc = rc ? rc : store_put(dev->back, "physical-device", "%x:%x", major(st.st_rdev), minor(st.st_rdev));
    rc = rc ? rc : disk_wait_open(dev, src->path);
    return rc ? rc : store_put(dev->back, "hotplug-status", "connected");
}

static int disk_attach_builtin(const struct device *dev, const struct disk_config *d)
{
    struct disk_source src;
    char node[512];
    int fd, rc = disk_look(d, &src);

    if (!rc)
        rc = disk_check_users(d, &src);
    if (!rc)
        rc = disk_make_node(d, &src, node, sizeof(node), &fd);
    if (rc)
        return rc;
    rc = store_transact(disk_write_nodes, &(struct disk_nodes){ dev, d, src.path, NULL });
    if (!rc)
        rc = disk_connect(dev, &src, node);
    if (rc) {
        device_close(dev, true, DISK_WAIT_MS);
        if (src.how == DISK_QDISK)      /* the record may not know it yet */
            nbd_detach(node);
        device_forget(dev);
    }
    if (fd >= 0)
        close(fd);
    return rc;
}

static int disk_attach_script(const struct device *dev, const struct disk_config *d)
{
    char script[256];
    int rc = device_check_script(d->script, script);

    if (rc)
        return rc;
    rc = store_transact(disk_write_nodes, &(struct disk_nodes){ dev, d, d->target, script });
    rc = rc ? rc : device_wait_backend(dev, DISK_WAIT_MS);
    rc = rc ? rc : device_run_script(dev, script, "add", NULL, NULL);
    if (!rc && !store_exists("%s/physical-device", dev->back))
        rc = fault(-EIO, "disk %s: script %s ended without a physical-device in the store", d->vdev, script);
    rc = rc ? rc : disk_wait_open(dev, d->target);
    if (rc) {
        device_close(dev, true, DISK_WAIT_MS);
        disk_release(dev);
        device_forget(dev);
    }
    return rc;
}

int disk_attach(uint32_t domid, const struct disk_config *d)
{
    struct device dev;
    unsigned id;
    int rc = disk_parse_vdev(d->vdev, &id);

    if (!rc)
        rc = device_lock();
    if (rc)
        return rc;
    device_init(&dev, domid, "vbd", id);
    rc = disk_check(d, (int)domid);
    if (!rc)
        rc = d->script ? disk_attach_script(&dev, d) : disk_attach_builtin(&dev, d);
    device_unlock();
    return rc;
}

void disk_release(const struct device *dev)
{
    char *kind = store_read("%s/zendo", dev->record), *node = store_read("%s/node", dev->record);
    char *script = store_read("%s/script", dev->record), *given = store_read("%s/params", dev->record);
    /* A network disk that somebody else connected is given by its name, as a block device: it stays connected. */
    bool ours = node && !strncmp(node, "/dev/nbd", 8) && !(given && !strcmp(given, node));

    if (kind && !strcmp(kind, "script") && script && device_run_script(dev, script, "remove", NULL, NULL)) {
        warn("%s", fault_text());
        fault_clear();
    }
    if (kind && !strcmp(kind, "builtin") && ours)
        nbd_detach(node);
    free(given);
    free(kind);
    free(node);
    free(script);
}

int disk_detach(uint32_t domid, const char *vdev, bool force)
{
    struct device dev;
    char name[80];
    unsigned id;
    int rc = disk_parse_vdev(vdev, &id);

    if (rc)
        return rc;
    device_init(&dev, domid, "vbd", id);
    rc = store_open();
    if (rc)
        return rc;
    if (!device_exists(&dev))
        return fault(-ENOENT, "disk %s: %s has none of that name; xm block-list %u shows them", vdev, device_domain_name(name, domid), domid);
    rc = device_close(&dev, force, DISK_WAIT_MS);
    if (rc)
        return rc;
    disk_release(&dev);
    return device_forget(&dev);
}
