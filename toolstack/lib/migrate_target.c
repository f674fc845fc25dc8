/* SPDX-License-Identifier: MIT */
/* The target's operations of a move: looks whether it can take the guest, takes it, lets it run. */
#include "device.h"
#include "domains.h"
#include "fault.h"
#include "migrate_guest.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <xen/grant_table.h>
#include <xen/sys/gntdev.h>

#define INCOMING "--incoming"

static int target_check(void *arg, struct json_object *offer, struct json_object *answer)
{
    struct migrate_guest_in *g = arg;
    const char *name, *uuid;
    int rc = wire_text(offer, "name", sizeof(g->name) - 1, &name);

    rc = rc ? rc : wire_text(offer, "uuid", sizeof(g->uuid) - 1, &uuid);
    if (rc)
        return rc;
    snprintf(g->name, sizeof(g->name), "%s", name);
    snprintf(g->uuid, sizeof(g->uuid), "%s", uuid);
    return migrate_offer_check(g->c, offer, answer);
}

static int from_wire(void *arg, const struct iovec *piece, unsigned n)
{
    return wire_data_readv(arg, piece, n);
}

/*
 * The kernel takes memory in hand for pages of other domains when it maps the first one, which takes long (a section of 128 MB is
 * made known to it): here, and not when xenstored or a back end does so while the guest stands still. Nothing is mapped.
 */
static void prepare_grants(uint32_t domid)
{
    struct ioctl_gntdev_map_grant_ref one = { .count = 1, .refs = { { .domid = domid, .ref = GNTTAB_RESERVED_XENSTORE } } };
    int fd = open("/dev/xen/gntdev", O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return;
    ioctl(fd, IOCTL_GNTDEV_MAP_GRANT_REF, &one);
    close(fd);
}

/* Devices while memory flows: their back ends are waiting when the guest comes. What came must be what was offered: the journal has its
 * uuid. */
static int on_made(void *arg, uint32_t domid, const struct guest_config *cfg)
{
    struct migrate_guest_in *g = arg;

    g->made = domid;
    if (migrate_guest_look(g->c, domid, g->uuid) == GUEST_ABSENT)
        return fault(-EPROTO, "the guest that comes is not the one that was offered: its uuid is not %s", g->uuid);
    migrate_point("in-memory", g->wire);
    prepare_grants(domid);
    return restore_devices(domid, cfg);
}

/* All of the guest is here; what is left has it wait. */
static void on_read(void *arg)
{
    migrate_hurry(true);
}

static void on_idle(void *arg)
{
    struct stream_in *in = arg;

    if (in->idle)
        in->idle(in->idle_arg);
}

static int target_receive(void *arg, struct wire *w, uint32_t *domid)
{
    struct migrate_guest_in *g = arg;
    struct restored r = { 0 };
    struct stream_in in = { .read = from_wire, .arg = w };
    char name[160];
    int rc;

    snprintf(name, sizeof(name), "%.120s" INCOMING, g->name);
    struct restore_options o = { .name = name, .no_devices = true, .made = on_made, .read = on_read, .arg = g };

    g->wire = w;
    w->idle = on_idle;
    w->idle_arg = &in;
    rc = restore_domain(g->c, &in, &o, &r);
    w->idle = NULL;
    if (rc)
        migrate_hurry(false);
    else
        *domid = r.domid;
    config_dispose(&r.config);
    return rc;
}

static int target_run(void *arg, uint32_t domid, bool paused)
{
    struct migrate_guest_in *g = arg;
    struct xen_domctl_getdomaininfo info;
    int rc = ctl_domain_info(g->c, (domid_t)domid, &info);

    if (rc)
        return fault(rc, "domain %u: %s", domid, strerror(-rc));
    if (!paused && !g->paused && info.flags & XEN_DOMINF_paused)
        rc = ctl_domain_unpause(g->c, (domid_t)domid);
    return rc;
}

#define SETTLE_MS 1000
#define SETTLE_FIRST_MS 150 /* no guest is quicker in an emulator, and a look takes from it the time that it needs itself */
#define SETTLE_LOOK_MS 50

static int count_unconnected(const struct device *dev, void *n)
{
    int64_t state;

    if (store_read_number(&state, "%s/state", dev->back) || state < DEVICE_CONNECTED)
        ++*(unsigned *)n;
    return 0;
}

/* A guest that runs is connecting its devices. */
static void wait_devices(struct migrate_guest_in *g, uint32_t domid)
{
    struct xen_domctl_getdomaininfo info;
    unsigned left = 1;

    for (unsigned ms = 0, wait = SETTLE_FIRST_MS; left && ms < SETTLE_MS; ms += wait, wait = SETTLE_LOOK_MS) {
        if (ctl_domain_info(g->c, (domid_t)domid, &info) || info.flags & (XEN_DOMINF_paused | XEN_DOMINF_dying | XEN_DOMINF_shutdown))
            return;
        usleep(wait * 1000);
        left = 0;
        device_each(domid, "vif", count_unconnected, &left);
        if (!left)
            device_each(domid, "vbd", count_unconnected, &left);
    }
}

static int target_name(void *arg, uint32_t domid, const char *name)
{
    struct migrate_guest_in *g = arg;
    int rc = store_open();

    migrate_hurry(false);
    if (rc)
        return rc;
    wait_devices(g, domid);
    fault_clear();
    return domain_rename(g->c, domid, name);
}

/* One that has arrived has its own name. */
static bool is_incoming(uint32_t domid)
{
    char *name = store_open() ? NULL : store_read("/local/domain/%u/name", domid);
    size_t n = name ? strlen(name) : 0;
    bool is = !n || (n > strlen(INCOMING) && !strcmp(name + n - strlen(INCOMING), INCOMING)); /* no name yet: being made */

    free(name);
    return is;
}

static int target_find(void *arg, const char *uuid)
{
    struct migrate_guest_in *g = arg;
    struct xen_domctl_getdomaininfo *list;
    int n = ctl_domain_list(g->c, &list), found = -ENOENT;

    for (int i = 0; i < n; i++)
        if (migrate_guest_look(g->c, list[i].domain, uuid) != GUEST_ABSENT && is_incoming(list[i].domain))
            found = list[i].domain;
    free(list);
    return found;
}

static int target_resume(void *arg, uint32_t domid)
{
    return migrate_guest_resume(((struct migrate_guest_in *)arg)->c, domid);
}

static int target_destroy(void *arg, uint32_t domid)
{
    return domain_destroy(((struct migrate_guest_in *)arg)->c, domid);
}

static enum migrate_guest target_look(void *arg, uint32_t domid, const char *uuid)
{
    return migrate_guest_look(((struct migrate_guest_in *)arg)->c, domid, uuid);
}

const struct migrate_ops migrate_guest_target = { .check = target_check, .receive = target_receive, .run = target_run, .name = target_name, .destroy = target_destroy,
    .resume = target_resume, .look = target_look, .find = target_find, .connect = migrate_guest_connect };
