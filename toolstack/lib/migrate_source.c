/* SPDX-License-Identifier: MIT */
/* The source's operations of a move: rounds of memory while the guest runs, the suspend, the rest. */
#include "device.h"
#include "domains.h"
#include "fault.h"
#include "migrate_guest.h"
#include "netlink.h"
#include "store.h"
#include "trace.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIXED_MS 30.0     /* of a pause, beside its pages: first guess */
#define SUSPEND_WAIT_MS 30000
#define DRAIN_MS 2000     /* disks of the old host; longer than that they are as good as broken */

static void tell(struct migrate_guest_out *g, const char *phase)
{
    g->now.phase = phase;
    if (g->progress)
        g->progress(g->arg, &g->now);
}

/* The stream goes over the wire. */
static int to_wire(void *arg, const struct iovec *piece, unsigned n)
{
    return wire_data_writev(arg, piece, n);
}

static uint64_t on_the_way(const struct migrate_guest_out *g)
{
    return g->wire->sent + g->wire->used;
}

/* Within a round: keeps the rate, tells how far it is, hears Ctrl-C. */
static int on_progress(void *arg, const struct save_count *count)
{
    struct migrate_guest_out *g = arg;
    uint64_t bytes = on_the_way(g) - g->round_start_bytes;
    double ms = migrate_clock_ms() - g->round_start_ms, wait = g->suspended_ms > 0 ? 0 : precopy_wait_ms(&g->judge, bytes, ms);

    if (g->stop && *g->stop && g->suspended_ms <= 0)
        return fault(-EINTR, "stopped by request");
    if (wait > 1)
        usleep((useconds_t)((wait < 500 ? wait : 500) * 1000));
    g->now.round_sent = count->pages;
    g->now.bytes = on_the_way(g);
    if (ms > 1)
        g->now.rate = (double)bytes * 1000 / ms;
    g->now.left_ms = (unsigned)precopy_left_ms(&g->judge, g->now.round_pages > count->pages ? g->now.round_pages - count->pages : 0);
    g->now.pause_ms = (unsigned)g->judge.pause_ms;
    tell(g, g->suspended_ms > 0 ? "suspended" : "memory");
    return 0;
}

/* Another configuration, but the same guest: by its uuid both sides know it again if the move has to be ended by others. */
static int load_config(struct migrate_guest_out *g)
{
    struct xen_domctl_getdomaininfo info;
    int rc = config_load(&g->cfg, g->config_file, NULL, 0);
    char *uuid = rc ? NULL : malloc(37);

    if (!rc && !uuid)
        rc = fault(-ENOMEM, "migration: no memory");
    rc = rc ? rc : ctl_domain_info(g->c, (domid_t)g->domid, &info);
    if (rc) {
        free(uuid);
        return rc;
    }
    domain_format_uuid(info.handle, uuid);
    free(g->cfg.uuid);
    g->cfg.uuid = uuid;
    return 0;
}

int migrate_guest_begin(struct migrate_guest_out *g)
{
    return g->config_file ? load_config(g) : save_config(g->c, g->domid, &g->cfg);
}

void migrate_guest_end(struct migrate_guest_out *g)
{
    save_close(g->save);
    g->save = NULL;
    logdirty_end(&g->log);
    config_dispose(&g->cfg);
    g->cfg = (struct guest_config){ 0 };
}

static int source_offer(void *arg, struct json_object *offer)
{
    struct migrate_guest_out *g = arg;

    return migrate_offer_make(g->c, g->domid, &g->cfg, offer);
}

/* One round; set NULL: all pages. */
static int round_of(struct migrate_guest_out *g, const uint64_t *set, uint64_t pages)
{
    struct save_count count = { 0 };
    int rc;

    g->round_start_bytes = on_the_way(g);
    g->round_start_ms = migrate_clock_ms();
    g->now.round++;
    g->now.round_pages = pages;
    rc = save_round(g->save, set, &count);
    rc = rc ? rc : wire_data_sync(g->wire);
    g->now.round_sent = count.pages;
    g->now.sent += count.data;
    g->now.bytes = on_the_way(g);
    return rc;
}

/* Rounds until the judge says that it is enough. */
static int live_rounds(struct migrate_guest_out *g)
{
    enum precopy_next next = PRECOPY_ROUND;
    uint64_t pages = g->pages;
    int rc = logdirty_begin(&g->log, g->c, g->domid, save_pages(g->save));
    const uint64_t *set = NULL;

    precopy_begin(&g->judge, &g->limits, g->pages, FIXED_MS);
    while (!rc && next == PRECOPY_ROUND) {
        int64_t dirty;

        rc = round_of(g, set, pages);
        dirty = rc ? rc : logdirty_take(&g->log, 0);
        if (dirty < 0)
            return (int)dirty;
        next = precopy_judge(&g->judge, pages, on_the_way(g) - g->round_start_bytes, migrate_clock_ms() - g->round_start_ms, (uint64_t)dirty);
        g->now.dirty = (uint64_t)dirty;
        g->now.rate = g->judge.rate;
        g->now.pause_ms = (unsigned)g->judge.pause_ms;
        set = g->log.map;
        pages = (uint64_t)dirty;
        if (g->round)
            g->round(g->arg, &g->now);
    }
    if (!rc && next == PRECOPY_ABORT)
        rc = fault(-EBUSY, "%s: a pause of %u ms would be needed, allowed are %u (--downtime-max); try when it is less busy, or without --abort-if-busy",
                   g->judge.reason, (unsigned)g->judge.pause_ms, g->judge.limits.downtime_ms);
    return rc;
}

static int source_memory(void *arg, struct wire *w)
{
    struct migrate_guest_out *g = arg;
    struct save_options o = { .config = &g->cfg, .zero = SAVE_ZERO_ALLOC, .file_header = true, .verify = g->debug, .progress = on_progress, .arg = g };
    struct xen_domctl_getdomaininfo info;
    int rc = ctl_domain_info(g->c, (domid_t)g->domid, &info);

    if (rc)
        return fault(rc, "domain %u: %s", g->domid, strerror(-rc));
    rc = domain_suspend_watch();
    rc = rc ? rc : devices_settle(g->domid);
    if (rc)
        return rc;
    migrate_disks_find(g->domid, &g->disks);
    g->wire = w;
    g->out = (struct stream_out){ .write = to_wire, .arg = w };
    g->pages = info.tot_pages;
    g->now = (struct move_progress){ .pages = g->pages };
    rc = save_open(&g->save, g->c, g->domid, &g->out, &o);
    return rc || !g->live ? rc : live_rounds(g);
}

/* Backends write into a guest that stands still, what the network brings in: for --debug they stop, or the pages they fill would differ. */
static int set_vif(const struct device *dev, void *up)
{
    char *given = store_read("%s/vifname", dev->record), name[32];
    struct link l;

    snprintf(name, sizeof(name), "vif%u.%u", dev->domid, dev->id);
    if (!link_find(&l, given ? given : name))
        link_set_up(&l, up != NULL);
    free(given);
    fault_clear();
    return 0;
}

static void set_backends(struct migrate_guest_out *g, bool up)
{
    if (!g->debug || store_open())
        return;
    device_each(g->domid, "vif", set_vif, up ? g : NULL);
    if (!up)
        usleep(200000); /* and what was asked of disks has come */
}

static int source_suspend(void *arg)
{
    struct migrate_guest_out *g = arg;

    migrate_hurry(true);
    g->pause_begin_ms = migrate_clock_ms();
    int rc = domain_suspend(g->c, g->domid, SUSPEND_WAIT_MS);

    g->suspended_ms = migrate_clock_ms();
    if (!rc)
        set_backends(g, false);
    return rc;
}

static int source_rest(void *arg, struct wire *w)
{
    struct migrate_guest_out *g = arg;
    struct save_count count = { 0 };
    int64_t dirty = (int64_t)g->pages;
    int rc;

    migrate_hurry(false); /* others of ours, as ssh, have to get on now */
    if (g->live)
        dirty = logdirty_take(&g->log, 1);
    trace_note("  dirty taken");
    if (dirty < 0)
        return (int)dirty;
    g->round_start_bytes = on_the_way(g);
    g->round_start_ms = migrate_clock_ms();
    g->now.round++;
    g->now.round_pages = (uint64_t)dirty;
    rc = save_finish(g->save, g->live ? g->log.map : NULL, &count);
    g->now.sent += count.data;
    g->now.round_sent = count.pages;
    g->now.dirty = 0;
    if (g->round)
        g->round(g->arg, &g->now);
    rc = rc ? rc : wire_data_flush(w);
    trace_note("  flushed");
    if (!rc)
        migrate_disks_drain(g->domid, &g->disks, DRAIN_MS); /* while the last pages are on their way */
    migrate_hurry(true);
    g->now.bytes = w->sent;
    tell(g, "switch");
    return rc;
}

/* --- the ends ---------------------------------------------------------------------------------------------------------------------- */

static int source_resume(void *arg, uint32_t domid)
{
    struct migrate_guest_out *g = arg;

    migrate_hurry(false);
    save_close(g->save);
    g->save = NULL;
    logdirty_end(&g->log);
    set_backends(g, true);
    return migrate_guest_resume(g->c, domid);
}

static int source_destroy(void *arg, uint32_t domid)
{
    struct migrate_guest_out *g = arg;

    migrate_hurry(false);
    save_close(g->save); /* lets go of the guest's pages, else they stay */
    g->save = NULL;
    logdirty_end(&g->log);
    return domain_destroy(g->c, domid);
}

static enum migrate_guest source_look(void *arg, uint32_t domid, const char *uuid)
{
    return migrate_guest_look(((struct migrate_guest_out *)arg)->c, domid, uuid);
}

const struct migrate_ops migrate_guest_source = { .offer = source_offer, .memory = source_memory, .suspend = source_suspend, .rest = source_rest,
    .resume = source_resume, .destroy = source_destroy, .look = source_look, .connect = migrate_guest_connect };
