/* SPDX-License-Identifier: MIT */
/* Bytes between a TLS session and a pair of descriptors. One buffer each way; a side that does not take stops the other. */
#include "relocd.h"
#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER 65536

struct way {
    char at[BUFFER];
    size_t from, to;
    bool ended, told;    /* its source has; its sink knows */
};

static bool is_empty(const struct way *w)
{
    return w->from == w->to;
}

static void filled(struct way *w, ssize_t n)
{
    if (n <= 0)
        w->ended = true;
    else
        w->to += (size_t)n;
}

static void fill_local(struct way *w, int in)
{
    ssize_t n = read(in, w->at, BUFFER);

    if (n >= 0 || (errno != EAGAIN && errno != EINTR))
        filled(w, n);
}

static void fill_tls(struct way *w, gnutls_session_t s)
{
    ssize_t n = gnutls_record_recv(s, w->at, BUFFER);

    if (n >= 0 || gnutls_error_is_fatal((int)n))
        filled(w, n);
}

static int drain_local(struct way *w, int out)
{
    ssize_t n = write(out, w->at + w->from, w->to - w->from);

    if (n < 0 && errno != EAGAIN && errno != EINTR)
        return -EPIPE;
    w->from += n > 0 ? (size_t)n : 0;
    return 0;
}

static int drain_tls(struct way *w, gnutls_session_t s)
{
    ssize_t n = gnutls_record_send(s, w->at + w->from, w->to - w->from);

    if (n < 0 && gnutls_error_is_fatal((int)n))
        return -EPIPE;
    w->from += n > 0 ? (size_t)n : 0;
    return 0;
}

static int step(struct way *out_way, struct way *in_way, gnutls_session_t s, int fd, int in, int out)
{
    bool send = !is_empty(out_way), give = !is_empty(in_way);
    bool pending = is_empty(in_way) && gnutls_record_check_pending(s);
    struct pollfd p[3] = {
        { .fd = send || (!give && !in_way->ended) ? fd : -1, /* an end that is known would wake us for ever */
          .events = (short)((send ? POLLOUT : 0) | (!give && !in_way->ended ? POLLIN : 0)) },
        { .fd = !send && !out_way->ended ? in : -1, .events = POLLIN },
        { .fd = give ? out : -1, .events = POLLOUT },
    };
    int rc = 0;

    if (poll(p, 3, pending ? 0 : -1) < 0 && errno != EINTR)
        return -errno;
    if (p[1].revents)
        fill_local(out_way, in);
    if (pending || p[0].revents & (POLLIN | POLLHUP | POLLERR))
        if (!give)
            fill_tls(in_way, s);
    if (send && p[0].revents)
        rc = drain_tls(out_way, s);
    if (!rc && give && p[2].revents)
        rc = drain_local(in_way, out);
    if (is_empty(out_way))
        out_way->from = out_way->to = 0;
    if (is_empty(in_way))
        in_way->from = in_way->to = 0;
    return rc;
}

/* What one side has ended is ended towards the other, and the way back stays open: the last word may still come. */
static void tell_ends(struct way *out_way, struct way *in_way, gnutls_session_t s, int out)
{
    if (out_way->ended && is_empty(out_way) && !out_way->told) {
        gnutls_bye(s, GNUTLS_SHUT_WR);
        out_way->told = true;
    }
    if (in_way->ended && is_empty(in_way) && !in_way->told) {
        if (shutdown(out, SHUT_WR))
            close(out);
        in_way->told = true;
    }
}

int pump(gnutls_session_t s, int fd, int in, int out)
{
    static struct way out_way, in_way;
    int all[3] = { fd, in, out }, rc = 0;

    for (unsigned i = 0; i < 3; i++)
        fcntl(all[i], F_SETFL, fcntl(all[i], F_GETFL) | O_NONBLOCK);
    while (!rc && !(out_way.told && in_way.told)) {
        rc = step(&out_way, &in_way, s, fd, in, out);
        tell_ends(&out_way, &in_way, s, out);
    }
    return rc;
}
