/* SPDX-License-Identifier: MIT */
/* All devices of a guest at once, for create and destroy. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "disk.h"
#include "fault.h"
#include "net.h"

#define DEVICES_WAIT_MS 10000

/* Within one configuration: no name, no writable image and no MAC twice. */
static int devices_check_pairs(const struct guest_config *c)
{
    unsigned a, b;

    for (unsigned i = 0; i < c->n_disks; i++) {
        for (unsigned j = 0; j < i; j++) {
            const struct disk_config *x = &c->disks[i], *y = &c->disks[j];
            if (!disk_parse_vdev(x->vdev, &a) && !disk_parse_vdev(y->vdev, &b) && a == b)
                return fault(-EEXIST, "disk %s: two disks have that name; mend 'disk ='", x->vdev);
            if (!strcmp(x->target, y->target) && !(x->readonly && y->readonly) && !x->shared && !y->shared)
                return fault(-EBUSY, "disk %s: is there twice, as %s and %s; take one out, or say 'w!' if that is meant", x->target,
                             y->vdev, x->vdev);
        }
    }
    for (unsigned i = 0; i < c->n_nics; i++) {
        for (unsigned j = 0; j < i; j++) {
            const struct nic_config *x = &c->nics[i], *y = &c->nics[j];
            if (!strcasecmp(x->mac, y->mac))
                return fault(-EEXIST, "network device: two have MAC address %s; mend 'vif ='", x->mac);
            if (x->vifname && y->vifname && !strcmp(x->vifname, y->vifname))
                return fault(-EEXIST, "network device: two have vifname %s; mend 'vif ='", x->vifname);
            if (x->devid >= 0 && x->devid == y->devid)
                return fault(-EEXIST, "network device: two have devid %d; mend 'vif ='", x->devid);
        }
    }
    return 0;
}

int devices_check(struct guest_config *c)
{
    int rc = 0;

    for (unsigned i = 0; i < c->n_disks && !rc; i++)
        rc = disk_check(&c->disks[i], -1);
    for (unsigned i = 0; i < c->n_nics && !rc; i++)
        rc = nic_check(&c->nics[i], -1, c->uuid, i);
    return rc ? rc : devices_check_pairs(c);
}

int devices_attach_all(uint32_t domid, const struct guest_config *c)
{
    int rc = 0;

    for (unsigned i = 0; i < c->n_disks && !rc; i++)
        rc = disk_attach(domid, &c->disks[i]);
    for (unsigned i = 0; i < c->n_nics && !rc; i++)
        rc = nic_attach(domid, &c->nics[i]);
    if (rc)
        devices_detach_all(domid, true);
    return rc;
}

/* --- detaching --------------------------------------------------------------------------------------------------- */

static int devices_begin(const struct device *dev, void *arg)
{
    device_close_begin(dev, *(bool *)arg);
    return 0;
}

struct devices_end {
    bool force;
    int rc;
};

static int devices_finish(const struct device *dev, void *arg)
{
    struct devices_end *e = arg;
    int rc = device_close_end(dev, e->force, DEVICES_WAIT_MS);

    if (!rc) {
        if (!strcmp(dev->kind, "vbd"))
            disk_release(dev);
        else
            nic_release(dev);
        rc = device_forget(dev);
    }
    if (rc)
        e->rc = rc;
    return 0;
}

static int settle(const struct device *dev, void *arg)
{
    (void)arg;
    return device_settle(dev);
}

int devices_settle(uint32_t domid)
{
    int rc = device_each(domid, "vbd", settle, NULL);

    return rc ? rc : device_each(domid, "vif", settle, NULL);
}

int devices_detach_all(uint32_t domid, bool force)
{
    struct devices_end e = { .force = force };

    device_hurry();
    device_each(domid, "vbd", devices_begin, &force);
    device_each(domid, "vif", devices_begin, &force);
    device_each(domid, "vbd", devices_finish, &e);
    device_each(domid, "vif", devices_finish, &e);
    device_hurry_end();
    return e.rc;
}
