/* SPDX-License-Identifier: MIT */
/*
 * The domains behind rings. A record is found by its number or by its port in one step. A domain's end is seen by
 * VIRQ_DOM_EXC, which does not say whose: all are listed then, in one hypercall for 256.
 */
#include "guests.h"
#include "log.h"
#include "ring.h"
#include "state.h"
#include "xen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

struct domain {
    struct endpoint e;
    struct ring ring;
    uint16_t domid;
    bool by_grant, shut_down, seen;
    uint64_t gfn;
    uint32_t remote;
    int port;
    struct domain *next, **link;
};

static struct domain *first, *by_domid[FIRST_RESERVED], **by_port;
static uint32_t ports;
static unsigned count;
static struct host *the_host;
static struct source source;
static int changed_port = -1;

static struct domain *domain_of(struct endpoint *e)
{
    return (struct domain *)(void *)e;
}

static bool domain_step(struct endpoint *e)
{
    struct domain *d = domain_of(e);
    bool notify = false, more = ring_step(&d->ring, &e->conn, &notify);

    if (loop.after)
        loop.after();
    if (notify)
        xen_notify((uint32_t)d->port);
    return more;
}

/* Until here its events are masked: however often it sends, it gets its turns and no more. */
static void domain_rest(struct endpoint *e)
{
    xen_unmask((uint32_t)domain_of(e)->port);
}

static void port_set(uint32_t port, struct domain *d)
{
    if (port >= ports) {
        uint32_t more = port + 64;

        by_port = xrealloc(by_port, more * sizeof *by_port);
        memset(by_port + ports, 0, (more - ports) * sizeof *by_port);
        ports = more;
    }
    by_port[port] = d;
}

static void events_ready(struct source *s, unsigned events)
{
    uint32_t port[64];
    size_t n = xen_events(port, 64), i;

    for (i = 0; i < n; i++) {
        if ((int)port[i] == changed_port) {
            xen_unmask(port[i]);
            domains_look();
        } else if (port[i] < ports && by_port[port[i]]) {
            loop_wake(&by_port[port[i]]->e);
        }
    }
}

static struct domain *domain_new(uint16_t domid, uint64_t gfn, uint32_t remote)
{
    struct who who = { .domid = domid, .target = NO_DOMAIN, .privileged = !domid };
    struct domain *d = xalloc(sizeof *d);
    char name[16];

    snprintf(name, sizeof name, "domain %u", domid);
    conn_init(&d->e.conn, the_host, &who, name);
    d->e.step = domain_step;
    d->e.rest = domain_rest;
    d->domid = domid;
    d->gfn = gfn;
    d->remote = remote;
    d->port = -1;
    return d;
}

static void domain_connect_record(struct domain *d)
{
    port_set((uint32_t)d->port, d);
    by_domid[d->domid] = d;
    d->next = first;
    if (first)
        first->link = &d->next;
    d->link = &first;
    first = d;
    count++;
}

/* Maps the page and binds the port; what is half done is undone. */
static int domain_attach(struct domain *d)
{
    d->ring.page = d->domid ? xen_map_ring(d->domid, d->gfn, &d->by_grant) : xen_map_own_ring(&d->remote);
    if (d->ring.page)
        d->port = xen_bind(d->domid, d->remote);
    if (d->ring.page && d->port >= 0) {
        domain_connect_record(d);
        ring_start(&d->ring);
        return 0;
    }
    log_line("domain %u: its ring (frame %#llx, port %u) cannot be used: %s", d->domid, (unsigned long long)d->gfn, d->remote, xen_why());
    if (d->ring.page && d->domid)
        xen_unmap_ring(d->ring.page, d->by_grant);
    return d->ring.page ? d->port : -EINVAL;
}

static void domain_detach(struct domain *d)
{
    loop_forget(&d->e);
    port_set((uint32_t)d->port, NULL);
    by_domid[d->domid] = NULL;
    *d->link = d->next;
    if (d->next)
        d->next->link = d->link;
    count--;
    xen_unbind((uint32_t)d->port);
    if (d->domid)
        xen_unmap_ring(d->ring.page, d->by_grant);
    else
        xen_unmap_own_ring(d->ring.page);
}

/* Starts it going: the first notification also tells the kernel that the store is there. */
static void domain_start(struct domain *d)
{
    xen_notify((uint32_t)d->port);
    loop_wake(&d->e);
}

int domain_introduce(uint16_t domid, uint64_t gfn, uint32_t port)
{
    struct domain *d = by_domid[domid], *fresh;
    int rc;

    if (d && d->gfn == gfn && d->remote == port)
        return 0;    /* told twice, or after a suspend that kept it */
    if (d) {
        conn_reset(&d->e.conn);
        domain_detach(d);
        free(d);
    }
    fresh = domain_new(domid, gfn, port);
    rc = domain_attach(fresh);
    if (rc) {
        free(fresh);
        state_note_domain(domid, false);
        return rc == -EINVAL ? -EINVAL : -EIO;
    }
    log_line("domain %u: introduced (frame %#llx, port %u)", domid, (unsigned long long)gfn, port);
    state_note_domain(domid, false);
    domain_start(fresh);
    store_fire_special(the_host->store, SPECIAL_INTRODUCE, domid);
    return 0;
}

static void domain_end(struct domain *d, bool died)
{
    uint16_t domid = d->domid;

    log_line("domain %u: %s", domid, died ? "ended" : "released");
    conn_reset(&d->e.conn);
    domain_detach(d);
    free(d);
    store_forget_domain(the_host->store, domid, died);
    state_note_domain(domid, died);
}

int domain_release(uint16_t domid)
{
    struct domain *d = by_domid[domid];

    if (!d)
        return -ENOENT;
    domain_end(d, false);
    store_fire_special(the_host->store, SPECIAL_RELEASE, domid);
    return 0;
}

int domain_resume(uint16_t domid)
{
    if (!by_domid[domid])
        return -ENOENT;
    by_domid[domid]->shut_down = false;
    state_note_domain(domid, false);
    return 0;
}

int domain_set_target(uint16_t domid, uint16_t target)
{
    if (!by_domid[domid] || !by_domid[target])
        return -ENOENT;
    by_domid[domid]->e.conn.who.target = target;
    state_note_domain(domid, false);
    return 0;
}

bool domain_is_introduced(uint16_t domid)
{
    return by_domid[domid];
}

/* Marks what is alive; tells of those that have newly shut down. */
static int domains_list(void)
{
    const struct xen_domain *list;
    uint32_t next = 0;
    int n, i;

    while (next < FIRST_RESERVED && (n = xen_domains((uint16_t)next, &list)) > 0) {
        for (i = 0; i < n; i++) {
            struct domain *d = list[i].domid < FIRST_RESERVED ? by_domid[list[i].domid] : NULL;

            next = list[i].domid + 1u;
            if (!d || list[i].dying)
                continue;
            d->seen = true;
            if (list[i].shut_down && !d->shut_down) {
                d->shut_down = true;
                state_note_domain(d->domid, false);
                store_fire_special(the_host->store, SPECIAL_RELEASE, d->domid);
            }
        }
    }
    return next < FIRST_RESERVED ? n : 0;
}

void domains_look(void)
{
    struct domain *d, *next;
    uint16_t domid;

    for (d = first; d; d = d->next)
        d->seen = !d->domid;
    if (domains_list() < 0) {
        log_line("which domains have ended cannot be found out: %s", xen_why());
        return;
    }
    for (d = first; d; d = next) {
        next = d->next;
        domid = d->domid;
        if (d->seen)
            continue;
        domain_end(d, true);
        store_fire_special(the_host->store, SPECIAL_RELEASE, domid);
    }
}

void domains_tick(uint64_t seconds)
{
    struct domain *d;

    for (d = first; d; d = d->next)
        if (d->e.conn.trans && d->domid)
            conn_expire_trans(&d->e.conn, seconds);
}

int domains_open(struct host *host_)
{
    struct domain *zero;
    int rc = xen_open();

    the_host = host_;
    if (rc) {
        log_line("the hypervisor cannot be reached: %s (is this domain 0? --no-domains serves the socket alone)", xen_why());
        return rc;
    }
    source = (struct source){ .fd = xen_events_fd(), .ready = events_ready };
    loop_add(&source, EPOLLIN);
    changed_port = xen_bind_domains_changed();
    if (changed_port < 0) {
        log_line("%s", xen_why());
        return changed_port;
    }
    zero = domain_new(0, 0, 0);
    rc = domain_attach(zero);
    if (rc) {
        free(zero);
        return rc;
    }
    domain_start(zero);
    return 0;
}

void domains_close(void)
{
    struct domain *d;

    while ((d = first)) {
        conn_reset(&d->e.conn);
        domain_detach(d);
        free(d);
    }
    free(by_port);
    xen_close();
}

unsigned domain_count(void)
{
    return count;
}

struct domain *domain_next(struct domain *d)
{
    return d ? d->next : first;
}

struct domain *domain_find(uint16_t domid)
{
    return domid < FIRST_RESERVED ? by_domid[domid] : NULL;
}

uint16_t domain_id(const struct domain *d)
{
    return d->domid;
}

struct conn *domain_conn(struct domain *d)
{
    return &d->e.conn;
}

bool domain_stopped(const struct domain *d)
{
    return d->ring.stopped;
}

void domain_get_state(const struct domain *d, struct domain_state *out)
{
    *out = (struct domain_state){ .domid = d->domid, .target = d->e.conn.who.target, .port = d->remote, .gfn = d->gfn,
                                  .shut_down = d->shut_down };
}

int domain_restore(const struct domain_state *in)
{
    struct domain *d;
    int rc = 0;

    if (in->domid >= FIRST_RESERVED)
        return -EINVAL;
    d = by_domid[in->domid];
    if (!d && !in->domid)
        return -ENOENT;    /* attached before, or not to be had */
    if (!d) {
        d = domain_new(in->domid, in->gfn, in->port);
        rc = domain_attach(d);
        if (rc) {
            free(d);
            return rc;
        }
        domain_start(d);
    }
    d->shut_down = in->shut_down;
    d->e.conn.who.target = in->target;
    return 0;
}
