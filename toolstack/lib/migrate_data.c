/* SPDX-License-Identifier: MIT */
/*
 * The guest's stream within the messages. Memory is not copied here: pages go from the guest's mapped frames to the socket and from the
 * socket to the frames; only what is small is gathered, and read ahead.
 */
#include "fault.h"
#include "migrate_wire_private.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define LARGE 65536U     /* from here on a write is a message of its own */
#define PIECES 1024U

/* Nothing but an ABORT can come while we send. */
static int hear(struct wire *w)
{
    struct pollfd p = { .fd = w->in, .events = POLLIN };
    struct wire_head h;
    int rc;

    if (w->broken)
        return fault(-EPIPE, "host %s: the connection is lost", w->peer);
    if (poll(&p, 1, 0) <= 0)
        return 0;
    rc = wire_take(w, &h, sizeof(h), 2000);
    if (rc)
        return rc;
    if (h.type == WIRE_ABORT)
        return wire_take_abort(w, h.length);
    w->broken = true;
    return fault(-EPROTO, "host %s: speaks while it should listen", w->peer);
}

/* Takes n bytes off the front of a list; gives the new front. */
static struct iovec *advance(struct iovec *v, unsigned *count, size_t n)
{
    while (*count && n >= v->iov_len) {
        n -= v->iov_len;
        v++;
        --*count;
    }
    if (*count) {
        v->iov_base = (char *)v->iov_base + n;
        v->iov_len -= n;
    }
    return v;
}

static int give_all(struct wire *w, struct iovec *v, unsigned count)
{
    while (count) {
        ssize_t put = writev(w->out, v, (int)(count > PIECES ? PIECES : count));

        if (put < 0 && errno != EAGAIN && errno != EINTR)
            return wire_write_failed(w, errno);
        if (put < 0) {
            int rc = wire_wait(w, w->out, POLLOUT, w->silence_ms);

            if (rc)
                return rc;
            continue;
        }
        w->sent += (size_t)put;
        v = advance(v, &count, (size_t)put);
    }
    return 0;
}

int wire_data_flush(struct wire *w)
{
    struct wire_head h = { WIRE_DATA, (uint32_t)w->used };
    struct iovec v[2] = { { &h, sizeof(h) }, { w->buf, w->used } };
    int rc;

    if (!w->used)
        return 0;
    rc = hear(w);
    rc = rc ? rc : give_all(w, v, 2);
    w->used = 0;
    return rc;
}

int wire_data_sync(struct wire *w)
{
    struct wire_head h = { WIRE_SYNC, 0 };
    struct iovec v = { &h, sizeof(h) };
    int rc = wire_data_flush(w);

    rc = rc ? rc : give_all(w, &v, 1);
    return rc ? rc : wire_expect(w, WIRE_SYNCED, NULL, w->silence_ms);
}

int wire_data_write(struct wire *w, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    int rc = 0;

    while (n && !rc) {
        size_t some = WIRE_GATHER - w->used < n ? WIRE_GATHER - w->used : n;

        memcpy(w->buf + w->used, p, some);
        w->used += some;
        p += some;
        n -= some;
        if (w->used == WIRE_GATHER)
            rc = wire_data_flush(w);
    }
    return rc;
}

/* As many pieces as fit into one message, from where they are. */
static int write_some(struct wire *w, const struct iovec *piece, unsigned n, unsigned *taken)
{
    struct iovec v[PIECES + 1];
    struct wire_head h = { WIRE_DATA, 0 };
    size_t total = 0;
    unsigned i;
    int rc;

    for (i = 0; i < n && i < PIECES && total + piece[i].iov_len <= WIRE_DATA_MAX; i++) {
        v[i + 1] = piece[i];
        total += piece[i].iov_len;
    }
    *taken = i;
    if (!total)
        return 0;
    v[0] = (struct iovec){ &h, sizeof(h) };
    h.length = (uint32_t)total;
    rc = wire_data_flush(w);
    rc = rc ? rc : hear(w);
    return rc ? rc : give_all(w, v, i + 1);
}

int wire_data_writev(struct wire *w, const struct iovec *piece, unsigned n)
{
    size_t total = 0, largest = 0;
    int rc = 0;

    for (unsigned i = 0; i < n; i++) {
        total += piece[i].iov_len;
        largest = piece[i].iov_len > largest ? piece[i].iov_len : largest;
    }
    if (total < LARGE || largest > WIRE_DATA_MAX) {
        for (unsigned i = 0; i < n && !rc; i++)
            rc = wire_data_write(w, piece[i].iov_base, piece[i].iov_len);
        return rc;
    }
    for (unsigned taken; n && !rc; piece += taken, n -= taken)
        rc = write_some(w, piece, n, &taken);
    return rc;
}

static int next_piece(struct wire *w)
{
    struct wire_head h = { WIRE_SYNC, 0 };
    int rc = w->broken ? fault(-EPIPE, "host %s: the connection is lost", w->peer) : wire_take(w, &h, sizeof(h), w->silence_ms);

    while (!rc && h.type == WIRE_SYNC && !h.length) {
        rc = wire_send(w, WIRE_SYNCED, NULL);
        if (!rc && w->idle)
            w->idle(w->idle_arg);
        rc = rc ? rc : wire_take(w, &h, sizeof(h), w->silence_ms);
    }
    if (rc)
        return rc;
    if (h.type == WIRE_ABORT)
        return wire_take_abort(w, h.length);
    if (h.type != WIRE_DATA || !h.length || h.length > WIRE_DATA_MAX) {
        w->broken = true;
        return fault(-EPROTO, "host %s: a message of type %u and %u bytes within the guest's stream", w->peer, h.type, h.length);
    }
    w->piece_left = h.length;
    return 0;
}

/* Reads what is there, at most up to the end of the piece; gives how much. */
static ssize_t read_some(struct wire *w, struct iovec *v, unsigned count)
{
    for (;;) {
        ssize_t got = readv(w->in, v, (int)count);

        if (got > 0) {
            w->received += (size_t)got;
            w->piece_left -= (size_t)got;
            return got;
        }
        if (!got)
            return wire_lost(w, "it closed it");
        if (errno != EAGAIN && errno != EINTR)
            return wire_lost(w, strerror(errno));
        int rc = wire_wait(w, w->in, POLLIN, w->silence_ms);

        if (rc)
            return rc;
    }
}

static int fill_ahead(struct wire *w)
{
    struct iovec v = { w->ahead, w->piece_left < WIRE_AHEAD ? w->piece_left : WIRE_AHEAD };
    ssize_t got = read_some(w, &v, 1);

    w->ahead_used = 0;
    w->ahead_size = got > 0 ? (size_t)got : 0;
    return got < 0 ? (int)got : 0;
}

/* The front of a list straight from the socket: as many as the piece has bytes for, the last one in part. */
static ssize_t read_direct(struct wire *w, const struct iovec *v, unsigned count)
{
    struct iovec now[PIECES];
    size_t left = w->piece_left;
    unsigned n = 0;

    for (; n < count && n < PIECES && left; n++) {
        now[n] = v[n];
        if (now[n].iov_len > left)
            now[n].iov_len = left;
        left -= now[n].iov_len;
    }
    return read_some(w, now, n);
}

static ssize_t read_front(struct wire *w, const struct iovec *v, unsigned count)
{
    size_t have = w->ahead_size - w->ahead_used, n = have < v->iov_len ? have : v->iov_len;
    int rc = have || w->piece_left ? 0 : next_piece(w);

    if (rc)
        return rc;
    if (!have && v->iov_len >= 4096)
        return read_direct(w, v, count);
    if (!have) {
        rc = fill_ahead(w);
        return rc ? rc : read_front(w, v, count);
    }
    memcpy(v->iov_base, w->ahead + w->ahead_used, n);
    w->ahead_used += n;
    return (ssize_t)n;
}

int wire_data_readv(struct wire *w, const struct iovec *piece, unsigned n)
{
    struct iovec all[PIECES], *v = all;

    while (n) {
        unsigned count = n < PIECES ? n : PIECES;

        memcpy(all, piece, count * sizeof(*all));
        piece += count;
        n -= count;
        for (v = advance(all, &count, 0); count;) {
            ssize_t got = read_front(w, v, count);

            if (got < 0)
                return (int)got;
            v = advance(v, &count, (size_t)got);
        }
    }
    return 0;
}

int wire_data_read(struct wire *w, void *bytes, size_t n)
{
    struct iovec v = { bytes, n };

    return n ? wire_data_readv(w, &v, 1) : 0;
}
