/* SPDX-License-Identifier: MIT */
/* See store_domains.h. Requests are sent and answered one at a time at the start; from then on only events come. */
#include "store_domains.h"
#include "fault.h"
#include "store_many.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <xen/io/xs_wire.h>

static int domains_broken(void)
{
    return fault(-EPIPE, "the store has closed the connection; start this daemon again when xenstored runs");
}

/* One more piece; 0 when there is none now. */
static int domains_fill(struct store_domains *w)
{
    memmove(w->bytes, w->bytes + w->at, w->len - w->at);
    w->len -= w->at;
    w->at = 0;
    ssize_t n = read(w->fd, w->bytes + w->len, sizeof(w->bytes) - w->len);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0)
        return domains_broken();
    w->len += (size_t)n;
    return 1;
}

/* A whole message, if it is there: its payload, which ends in NUL. Ours are short; one that does not fit is no answer to us. */
static int domains_message(struct store_domains *w, struct xsd_sockmsg *m, const char **payload)
{
    int rc = 1;

    while (rc > 0) {
        size_t have = w->len - w->at;

        if (have >= sizeof(*m)) {
            memcpy(m, w->bytes + w->at, sizeof(*m));
            if (m->len > sizeof(w->bytes) - sizeof(*m))
                return domains_broken();
            if (have >= sizeof(*m) + m->len) {
                *payload = w->bytes + w->at + sizeof(*m);
                w->at += sizeof(*m) + m->len;
                return !m->len || (*payload)[m->len - 1] ? domains_broken() : 1;
            }
        }
        rc = domains_fill(w);
    }
    return rc;
}

/* Asks for a watch: 1 granted, 0 refused. Events of the other watch may come before the answer: it fires for all at its start anyway. */
static int domains_ask(struct store_domains *w, const char *path, bool depth)
{
    char request[64];
    struct xsd_sockmsg m = { .type = XS_WATCH };
    const char *payload;
    size_t n = strlen(path) + 1;

    memcpy(request + sizeof(m), path, n);
    memcpy(request + sizeof(m) + n, "d\0001", 4);
    m.len = (uint32_t)(n + (depth ? 4 : 2));
    memcpy(request, &m, sizeof(m));
    if (send(w->fd, request, sizeof(m) + m.len, MSG_NOSIGNAL) != (ssize_t)(sizeof(m) + m.len))
        return domains_broken();
    for (;;) {
        int rc = domains_message(w, &m, &payload);

        if (rc <= 0)
            return rc ? rc : domains_broken();
        if (m.type == XS_WATCH || m.type == XS_ERROR)
            return m.type == XS_WATCH;
    }
}

static int domains_watch(struct store_domains *w, const char *path)
{
    int rc = domains_ask(w, path, true);

    rc = rc ? rc : domains_ask(w, path, false);
    return rc > 0 ? 0 : rc ? rc : fault(-EINVAL, "store: xenstored refuses a watch on %s", path);
}

int store_domains_open(struct store_domains *w, bool introduced)
{
    *w = (struct store_domains){ .fd = store_connect() };
    int rc = w->fd < 0 ? w->fd : 0;

    if (!rc && introduced)
        rc = domains_watch(w, "@introduceDomain");
    rc = rc ? rc : domains_watch(w, "@releaseDomain"); /* the last one: its first event is not taken for an answer */
    if (!rc && fcntl(w->fd, F_SETFL, O_RDWR | O_NONBLOCK))
        rc = fault(-errno, "store: %s", strerror(errno));
    if (rc)
        store_domains_close(w);
    return rc;
}

void store_domains_close(struct store_domains *w)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
}

int store_domains_next(struct store_domains *w, int *domid)
{
    struct xsd_sockmsg m;
    const char *payload, *slash;
    int rc;

    while ((rc = domains_message(w, &m, &payload)) > 0) {
        if (m.type != XS_WATCH_EVENT)
            continue;
        slash = strchr(payload, '/');
        *domid = slash ? (int)strtoul(slash + 1, NULL, 10) : STORE_DOMAINS_ALL;
        return 1;
    }
    return rc;
}
