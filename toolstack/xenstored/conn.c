/* SPDX-License-Identifier: MIT */
/*
 * The queues of a connection, and what it holds in the store: watches and transactions. proto.c knows what the messages
 * mean.
 */
#include "conn.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOCKET_EVENTS_MAX (16u << 20)    /* of a client in domain 0 that does not read; then it is cut off */

void conn_init(struct conn *c, struct host *host, const struct who *who, const char *name)
{
    memset(c, 0, sizeof *c);
    c->host = host;
    c->who = *who;
    c->out_last = &c->out;
    snprintf(c->name, sizeof c->name, "%s", name);
}

size_t conn_want(struct conn *c, char **where)
{
    size_t want;

    if (c->broken || c->out_bytes > CONN_OUT_STALL || conn_ready(c))
        return 0;
    want = sizeof c->head - c->in_used;
    if (c->in_used >= sizeof c->head)
        want = sizeof c->head + c->head.len - c->in_used;
    *where = c->in + c->in_used;
    return want;
}

void conn_got(struct conn *c, size_t len)
{
    c->in_used += (uint32_t)len;
    if (c->in_used >= sizeof c->head && c->head.len > XENSTORE_PAYLOAD_MAX) {
        if (!c->broken)
            c->host->log("%s: a request of %u bytes breaks the protocol (at most %u): connection closed", c->name, c->head.len,
                         XENSTORE_PAYLOAD_MAX);
        c->broken = true;
    }
}

bool conn_ready(const struct conn *c)
{
    return !c->broken && c->in_used >= sizeof c->head && c->in_used == sizeof c->head + c->head.len;
}

size_t conn_pending(const struct conn *c, const char **bytes)
{
    if (!c->out)
        return 0;
    *bytes = c->out->data + c->out->sent;
    return c->out->len - c->out->sent;
}

/* Once begun, an event is the client's: the next change is a new one. */
static void out_begin(struct conn *c, struct conn_out *o)
{
    if (!o->waiting)
        return;
    strmap_remove(&c->waiting, o->waiting);
    o->waiting = NULL;
    o->watch->pending--;
    o->watch = NULL;
    c->event_bytes -= o->len;
}

void conn_sent(struct conn *c, size_t len)
{
    struct conn_out *o = c->out;

    if (!len)
        return;
    out_begin(c, o);
    o->sent += (uint32_t)len;
    if (o->sent < o->len)
        return;
    c->out = o->next;
    if (!c->out)
        c->out_last = &c->out;
    c->out_bytes -= o->len;
    free(o);
}

static struct conn_out *out_add(struct conn *c, const struct xsd_sockmsg *head, size_t room)
{
    struct conn_out *o = xrealloc(NULL, sizeof *o + sizeof *head + room);

    *o = (struct conn_out){ .len = (uint32_t)(sizeof *head + room) };
    memcpy(o->data, head, sizeof *head);
    *c->out_last = o;
    c->out_last = &o->next;
    c->out_bytes += o->len;
    c->host->wake(c);
    return o;
}

void conn_reply(struct conn *c, uint32_t type, const void *data, size_t len)
{
    struct xsd_sockmsg head = { .type = type, .req_id = c->head.req_id, .tx_id = c->head.tx_id, .len = (uint32_t)len };

    memcpy(out_add(c, &head, len)->data + sizeof head, data, len);
}

void conn_error(struct conn *c, int error)
{
    const char *name = "EINVAL";
    size_t i;

    for (i = 0; i < sizeof xsd_errors / sizeof xsd_errors[0]; i++)
        if (xsd_errors[i].errnum == error)
            name = xsd_errors[i].errstring;
    c->host->count.errors++;
    conn_reply(c, XS_ERROR, name, strlen(name) + 1);
}

/* Has the client more events waiting than it may? A domain loses them from here on, a socket's client is cut off. */
static bool event_refused(struct conn *c, size_t len)
{
    if (c->who.domid ? quota_allows(&c->host->store->owners, c->who.domid, QUOTA_PENDING, c->event_bytes + len)
                     : c->event_bytes + len <= SOCKET_EVENTS_MAX)
        return false;
    c->dropped++;
    if (!c->who.domid && !c->broken) {
        c->host->log("%s: does not read its events: connection closed", c->name);
        c->broken = true;
        c->host->wake(c);
    }
    return true;
}

void conn_event(struct watch *w, const char *path, size_t len)
{
    struct conn *c = w->conn;
    char key[sizeof w + XENSTORE_ABS_PATH_MAX + 32];
    struct xsd_sockmsg head = { .type = XS_WATCH_EVENT };
    size_t token_len = strlen(w->token) + 1;
    struct strmap_entry *e;
    struct conn_out *o;
    bool is_new;

    memcpy(key, &w, sizeof w);
    memcpy(key + sizeof w, path, len);
    e = strmap_put(&c->waiting, key, sizeof w + len, &is_new);
    if (!is_new) {
        c->host->count.merged++;
        return;
    }
    path += w->strip;
    len -= w->strip;
    head.len = (uint32_t)(len + 1 + token_len);
    if (head.len > XENSTORE_PAYLOAD_MAX || event_refused(c, sizeof head + head.len)) {
        strmap_remove(&c->waiting, e);
        return;
    }
    o = out_add(c, &head, head.len);
    memcpy(o->data + sizeof head, path, len);
    o->data[sizeof head + len] = 0;
    memcpy(o->data + sizeof head + len + 1, w->token, token_len);
    o->waiting = e;
    o->watch = w;
    w->pending++;
    c->event_bytes += o->len;
    c->host->count.events++;
}

/* The events of a watch that goes, unless already begun. */
static void conn_drop_events(struct conn *c, struct watch *w)
{
    struct conn_out **p = &c->out, *o;

    if (!w->pending)
        return;
    while (w->pending && (o = *p)) {
        if (o->watch != w) {
            p = &o->next;
            continue;
        }
        out_begin(c, o);
        *p = o->next;
        c->out_bytes -= o->len;
        free(o);
    }
    for (c->out_last = &c->out; *c->out_last; )
        c->out_last = &(*c->out_last)->next;
}

/* path and token with the NUL between them are the key. */
static size_t watch_key(char *key, const char *path, const char *token)
{
    size_t len = strlen(path) + 1, token_len = strlen(token);

    memcpy(key, path, len);
    memcpy(key + len, token, token_len);
    return len + token_len;
}

#define WATCH_KEY_MAX (XENSTORE_ABS_PATH_MAX + 1 + XENSTORE_PAYLOAD_MAX)

int conn_watch(struct conn *c, const char *path, const char *token, int depth, uint32_t strip, struct watch **out)
{
    char key[WATCH_KEY_MAX];
    size_t len = watch_key(key, path, token);
    int rc;

    if (strmap_find(&c->watches, key, len))
        return -EEXIST;
    rc = store_watch(c->host->store, &c->who, path, token, depth, out);
    if (rc)
        return rc;
    (*out)->conn = c;
    (*out)->strip = strip;
    strmap_put(&c->watches, key, len, NULL)->ptr = *out;
    return 0;
}

int conn_unwatch(struct conn *c, const char *path, const char *token)
{
    char key[WATCH_KEY_MAX];
    size_t len = watch_key(key, path, token);
    struct strmap_entry *e = strmap_find(&c->watches, key, len);

    if (!e)
        return -ENOENT;
    if (c->host->noted)
        c->host->noted(c, XS_UNWATCH, 0, e->ptr);
    conn_drop_events(c, e->ptr);
    store_unwatch(c->host->store, e->ptr);
    strmap_remove(&c->watches, e);
    return 0;
}

void conn_drop_watches(struct conn *c)
{
    struct strmap_entry *e;

    for (e = strmap_next(&c->watches, NULL); e; e = strmap_next(&c->watches, e)) {
        conn_drop_events(c, e->ptr);
        store_unwatch(c->host->store, e->ptr);
    }
    strmap_clear(&c->watches);
}

struct trans *conn_find_trans(struct conn *c, uint32_t id)
{
    struct conn_trans *t;

    for (t = c->trans; t; t = t->next)
        if (trans_id(t->trans) == id)
            return t->trans;
    return NULL;
}

void conn_add_trans(struct conn *c, struct trans *t)
{
    struct conn_trans *ct = xalloc(sizeof *ct);

    ct->trans = t;
    ct->since = c->host->seconds();
    ct->next = c->trans;
    c->trans = ct;
}

void conn_forget_trans(struct conn *c, struct trans *t)
{
    struct conn_trans **p = &c->trans, *ct;

    while ((*p)->trans != t)
        p = &(*p)->next;
    ct = *p;
    *p = ct->next;
    free(ct);
}

void conn_drop_trans(struct conn *c)
{
    while (c->trans) {
        struct trans *t = c->trans->trans;

        conn_forget_trans(c, t);
        trans_end(c->host->store, t, false);
    }
}

/* A domain that leaves transactions open would keep old versions of the tree alive. */
void conn_expire_trans(struct conn *c, uint64_t now)
{
    struct conn_trans *t;

    for (t = c->trans; t; t = t->next)
        if (now - t->since > TRANS_EXPIRES)
            trans_expire(c->host->store, t->trans);
}

void conn_reset(struct conn *c)
{
    struct conn_out *o;

    while ((o = c->out)) {
        out_begin(c, o);
        c->out = o->next;
        free(o);
    }
    conn_drop_watches(c);
    conn_drop_trans(c);
    c->out_last = &c->out;
    c->out_bytes = c->event_bytes = 0;
    c->in_used = 0;
    c->broken = false;
}
