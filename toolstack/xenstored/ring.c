/* SPDX-License-Identifier: MIT */
/*
 * The bytes between a domain's page and its connection. All four indexes are the page's, our own too: firmware may clear
 * the page before it hands over to a kernel. Whatever they say, at most what a request still wants is copied, and at most
 * a ring's length is written.
 */
#include "ring.h"
#include <string.h>

static uint32_t ring_load(const uint32_t *index)
{
    return __atomic_load_n(index, __ATOMIC_ACQUIRE);
}

static void ring_store(uint32_t *index, uint32_t value)
{
    __atomic_store_n(index, value, __ATOMIC_RELEASE);
}

void ring_start(struct ring *r)
{
    ring_store(&r->page->error, XENSTORE_ERROR_NONE);
    ring_store(&r->page->server_features,
               XENSTORE_SERVER_FEATURE_RECONNECTION | XENSTORE_SERVER_FEATURE_ERROR | RING_FEATURE_WATCH_DEPTH);
}

static void ring_stop(struct ring *r, struct conn *c, uint32_t error)
{
    c->host->log("%s: ring stopped: %s; the domain may reconnect", c->name,
                 error == XENSTORE_ERROR_RINGIDX ? "its indexes are more than a ring apart" : "protocol violation");
    ring_store(&r->page->error, error);
    r->stopped = true;
    conn_reset(c);
}

static void ring_reconnect(struct ring *r, struct conn *c)
{
    conn_reset(c);
    r->stopped = false;
    ring_store(&r->page->req_cons, 0);
    ring_store(&r->page->req_prod, 0);
    ring_store(&r->page->rsp_cons, 0);
    ring_store(&r->page->rsp_prod, 0);
    ring_store(&r->page->error, XENSTORE_ERROR_NONE);
    ring_store(&r->page->connection, XENSTORE_CONNECTED);
    if (c->host->noted)
        c->host->noted(c, XS_RESET_WATCHES, 0, NULL);
}

/* Bytes taken, or -1: the indexes are wrong. */
static int ring_take(struct ring *r, struct conn *c)
{
    uint32_t cons = ring_load(&r->page->req_cons), prod = ring_load(&r->page->req_prod);
    uint32_t have = prod - cons, at = MASK_XENSTORE_IDX(cons), len;
    size_t want;
    char *where;

    if (have > XENSTORE_RING_SIZE)
        return -1;
    want = conn_want(c, &where);
    len = have < XENSTORE_RING_SIZE - at ? have : XENSTORE_RING_SIZE - at;
    if (len > want)
        len = (uint32_t)want;
    if (!len)
        return 0;
    memcpy(where, r->page->req + at, len);
    ring_store(&r->page->req_cons, cons + len);
    conn_got(c, len);
    return (int)len;
}

/* Bytes sent, or -1. */
static int ring_give(struct ring *r, struct conn *c)
{
    uint32_t cons = ring_load(&r->page->rsp_cons), prod = ring_load(&r->page->rsp_prod);
    uint32_t used = prod - cons, at = MASK_XENSTORE_IDX(prod), len;
    const char *bytes;
    size_t have;

    if (used > XENSTORE_RING_SIZE)
        return -1;
    have = conn_pending(c, &bytes);
    len = XENSTORE_RING_SIZE - used;
    if (len > XENSTORE_RING_SIZE - at)
        len = XENSTORE_RING_SIZE - at;
    if (len > have)
        len = (uint32_t)have;
    if (!len)
        return 0;
    memcpy(r->page->rsp + at, bytes, len);
    ring_store(&r->page->rsp_prod, prod + len);
    conn_sent(c, len);
    return (int)len;
}

bool ring_step(struct ring *r, struct conn *c, bool *notify)
{
    int taken, given, total = 0;

    if (ring_load(&r->page->connection) == XENSTORE_RECONNECT) {
        ring_reconnect(r, c);
        *notify = true;
        return true;
    }
    if (r->stopped)
        return false;
    taken = ring_take(r, c);
    if (taken >= 0 && conn_ready(c))
        conn_serve(c);
    for (given = 0; taken >= 0 && total < (int)XENSTORE_RING_SIZE && (given = ring_give(r, c)) > 0; )
        total += given;
    if (taken < 0 || given < 0 || c->broken) {
        ring_stop(r, c, c->broken ? XENSTORE_ERROR_PROTO : XENSTORE_ERROR_RINGIDX);
        *notify = true;
        return false;
    }
    *notify |= taken || total;
    return taken || total;
}
