/* SPDX-License-Identifier: MIT */
/* For tests of the store: a host that answers nothing, connections of domains, and requests by hand. */
#pragma once
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conn.h"
#include "ring.h"
#include "trans.h"

static struct store store;
static uint64_t clock_now;
static char last_log[512];
static unsigned log_lines;

static uint64_t env_seconds(void)
{
    return clock_now;
}

static void env_log(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vsnprintf(last_log, sizeof last_log, format, ap);
    va_end(ap);
    log_lines++;
}

static void env_wake(struct conn *c)
{
}

static struct host host = { .store = &store, .seconds = env_seconds, .log = env_log, .wake = env_wake };
static const struct who zero = { .domid = 0, .target = NO_DOMAIN, .privileged = true };

static void env_start(void)
{
    store_init(&store, conn_event);
    store.owners.log = env_log;
    log_lines = 0;
}

static inline void env_conn(struct conn *c, uint16_t domid)
{
    struct who who = { .domid = domid, .target = NO_DOMAIN, .privileged = !domid };
    char name[16];

    snprintf(name, sizeof name, "domain %u", domid);
    conn_init(c, &host, &who, name);
}

/* Feeds a request and lets it be answered. data: with its NULs. */
static void env_send(struct conn *c, uint32_t type, uint32_t tx, const void *data, size_t len)
{
    struct xsd_sockmsg head = { .type = type, .req_id = 7, .tx_id = tx, .len = (uint32_t)len };
    const char *part[2] = { (const char *)&head, data };
    size_t size[2] = { sizeof head, len }, want;
    char *where;
    int i;

    for (i = 0; i < 2; i++)
        while (size[i] && (want = conn_want(c, &where))) {
            if (want > size[i])
                want = size[i];
            memcpy(where, part[i], want);
            conn_got(c, want);
            part[i] += want;
            size[i] -= want;
        }
    if (conn_ready(c))
        conn_serve(c);
}

/* The next message that waits to be sent: its type, with the payload (NUL added) and its length; -1: none. */
static int env_receive(struct conn *c, char *data, size_t *len)
{
    struct xsd_sockmsg head;
    const char *bytes;
    size_t n = conn_pending(c, &bytes);

    if (!n)
        return -1;
    memcpy(&head, bytes, sizeof head);
    memcpy(data, bytes + sizeof head, head.len);
    data[head.len] = 0;
    *len = head.len;
    conn_sent(c, n);
    return (int)head.type;
}

/* A request with its answer; "" for OK, the error's name, or the data with its NULs as '|'. */
static inline const char *env_ask(struct conn *c, uint32_t type, uint32_t tx, const char *data, size_t len)
{
    static char text[XENSTORE_PAYLOAD_MAX + 1];
    size_t n, i;
    int got;

    env_send(c, type, tx, data, len);
    while ((got = env_receive(c, text, &n)) == XS_WATCH_EVENT)
        ;
    if (got < 0)
        return "nothing";
    for (i = 0; i + 1 < n; i++)
        if (!text[i])
            text[i] = '|';
    return text;
}
#define ASK(c, type, tx, text) env_ask(c, type, tx, text, sizeof(text) - 1)    /* "path\0value" */

/* The next event as "path token", or "none". */
static inline const char *env_event(struct conn *c)
{
    static char text[XENSTORE_PAYLOAD_MAX + 1];
    size_t n;

    if (env_receive(c, text, &n) != XS_WATCH_EVENT)
        return "none";
    text[strlen(text)] = ' ';
    return text;
}
