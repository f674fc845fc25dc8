/* SPDX-License-Identifier: MIT */
/* Bytes of a stream: counting them, and memory as a stream. Descriptors are stream_fd.c's. See stream.h. */
#include "stream.h"
#include "fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PIECE 65536U

static uint64_t sum(const struct iovec *piece, unsigned n)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < n; i++)
        bytes += piece[i].iov_len;
    return bytes;
}

int stream_writev(struct stream_out *o, const struct iovec *piece, unsigned n)
{
    while (n) {
        unsigned now = n < STREAM_IOV ? n : STREAM_IOV;
        int rc = o->write(o->arg, piece, now);

        if (rc)
            return rc;
        o->offset += sum(piece, now);
        piece += now;
        n -= now;
    }
    return 0;
}

int stream_write(struct stream_out *o, const void *data, size_t bytes)
{
    struct iovec v = { (void *)(uintptr_t)data, bytes };

    return bytes ? stream_writev(o, &v, 1) : 0;
}

int stream_zeroes(struct stream_out *o, uint64_t bytes)
{
    static const uint8_t zero[PIECE];
    int rc = 0;

    if (o->zeroes) {
        rc = o->zeroes(o->arg, bytes);
        if (!rc)
            o->offset += bytes;
        return rc;
    }
    while (bytes && !rc) {
        size_t now = bytes < PIECE ? bytes : PIECE;

        rc = stream_write(o, zero, now);
        bytes -= now;
    }
    return rc;
}

int stream_readv(struct stream_in *i, const struct iovec *piece, unsigned n)
{
    while (n) {
        unsigned now = n < STREAM_IOV ? n : STREAM_IOV;
        int rc = i->read(i->arg, piece, now);

        if (rc)
            return rc;
        i->offset += sum(piece, now);
        piece += now;
        n -= now;
    }
    return 0;
}

int stream_read(struct stream_in *i, void *data, size_t bytes)
{
    struct iovec v = { data, bytes };

    return bytes ? stream_readv(i, &v, 1) : 0;
}

uint64_t stream_zero_ahead(struct stream_in *i, uint64_t from, uint64_t max)
{
    return i->zero_ahead ? i->zero_ahead(i->arg, from, max) : 0;
}

int stream_skip(struct stream_in *i, uint64_t bytes)
{
    uint8_t drop[4096];
    int rc = 0;

    if (i->skip) {
        rc = i->skip(i->arg, bytes);
        if (!rc)
            i->offset += bytes;
        return rc;
    }
    while (bytes && !rc) {
        size_t now = bytes < sizeof(drop) ? bytes : sizeof(drop);

        rc = stream_read(i, drop, now);
        bytes -= now;
    }
    return rc;
}

/* --- memory -------------------------------------------------------------------------------------------------------------- */

static int memory_room(struct stream_memory *m, size_t bytes)
{
    if (m->room - m->bytes >= bytes)
        return 0;
    size_t room = m->room * 2 > m->bytes + bytes ? m->room * 2 : m->bytes + bytes + 4096;
    uint8_t *data = realloc(m->data, room);

    if (!data)
        return fault(-ENOMEM, "stream: no memory");
    m->data = data;
    m->room = room;
    return 0;
}

static int memory_write(void *arg, const struct iovec *piece, unsigned n)
{
    struct stream_memory *m = arg;

    for (unsigned i = 0; i < n; i++) {
        int rc = memory_room(m, piece[i].iov_len);

        if (rc)
            return rc;
        if (piece[i].iov_len)
            memcpy(m->data + m->bytes, piece[i].iov_base, piece[i].iov_len);
        m->bytes += piece[i].iov_len;
    }
    return 0;
}

static int memory_read(void *arg, const struct iovec *piece, unsigned n)
{
    struct stream_memory *m = arg;

    for (unsigned i = 0; i < n; i++) {
        if (m->bytes - m->at < piece[i].iov_len)
            return fault(-ENODATA, "it ends after %zu bytes", m->bytes);
        if (piece[i].iov_len)
            memcpy(piece[i].iov_base, m->data + m->at, piece[i].iov_len);
        m->at += piece[i].iov_len;
    }
    return 0;
}

void stream_out_memory(struct stream_out *o, struct stream_memory *m)
{
    *m = (struct stream_memory){ 0 };
    *o = (struct stream_out){ .write = memory_write, .arg = m };
}

void stream_in_memory(struct stream_in *i, struct stream_memory *m)
{
    m->at = 0;
    *i = (struct stream_in){ .read = memory_read, .arg = m };
}
