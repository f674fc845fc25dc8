/* SPDX-License-Identifier: MIT */
/*
 * A descriptor as a stream. Zeroes in a regular file are holes: written by moving the end, found again by SEEK_DATA. A file's
 * length is set at the end of a hole too, so that one that ends in a hole is as long as it should be.
 */
#include "stream.h"
#include "fault.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The pieces from byte `done` on, as they are handed to the kernel: gives their number. */
static unsigned rest(const struct iovec *piece, unsigned n, uint64_t done, struct iovec *out)
{
    unsigned k = 0;

    for (unsigned i = 0; i < n; i++) {
        if (done >= piece[i].iov_len) {
            done -= piece[i].iov_len;
            continue;
        }
        out[k++] = (struct iovec){ (uint8_t *)piece[i].iov_base + done, piece[i].iov_len - done };
        done = 0;
    }
    return k;
}

static int fd_write(void *arg, const struct iovec *piece, unsigned n)
{
    struct stream_fd *f = arg;
    struct iovec now[STREAM_IOV];
    unsigned k = rest(piece, n, 0, now);

    while (k) {
        ssize_t got = writev(f->fd, now, (int)k);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fault(-errno, "%s: writing: %s%s", f->name, strerror(errno), errno == ENOSPC ? "; make room, or take another place" : "");
        k = rest(now, k, (uint64_t)got, now);
    }
    return 0;
}

static int fd_zeroes(void *arg, uint64_t bytes)
{
    struct stream_fd *f = arg;
    off_t at = lseek(f->fd, (off_t)bytes, SEEK_CUR);

    if (at < 0 || ftruncate(f->fd, at))
        return fault(-errno, "%s: writing: %s", f->name, strerror(errno));
    return 0;
}

static int fd_read(void *arg, const struct iovec *piece, unsigned n)
{
    struct stream_fd *f = arg;
    struct iovec now[STREAM_IOV];
    unsigned k = rest(piece, n, 0, now);

    while (k) {
        ssize_t got = readv(f->fd, now, (int)k);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fault(-errno, "%s: reading: %s", f->name, strerror(errno));
        if (!got)
            return fault(-ENODATA, "%s: it ends too early; it is not whole", f->name);
        f->at += (uint64_t)got;
        k = rest(now, k, (uint64_t)got, now);
    }
    return 0;
}

/* The first hole that ends behind `at`; there is one at the end of each file. */
static void find_hole(struct stream_fd *f, uint64_t at)
{
    off_t hole = lseek(f->fd, (off_t)at, SEEK_HOLE), data = hole < 0 ? -1 : lseek(f->fd, hole, SEEK_DATA);
    struct stat st;

    f->hole_from = hole < 0 ? UINT64_MAX : (uint64_t)hole;
    f->hole_to = data >= 0 ? (uint64_t)data : hole >= 0 && !fstat(f->fd, &st) ? (uint64_t)st.st_size : UINT64_MAX;
    lseek(f->fd, (off_t)f->at, SEEK_SET);
}

static uint64_t fd_zero_ahead(void *arg, uint64_t from, uint64_t max)
{
    struct stream_fd *f = arg;
    uint64_t at = f->at + from;

    if (at > INT64_MAX)
        return 0;
    if (at >= f->hole_to || at < f->hole_looked)
        find_hole(f, at);
    f->hole_looked = at < f->hole_from ? at : f->hole_from;
    if (at < f->hole_from || at >= f->hole_to || f->hole_to == UINT64_MAX)
        return 0;
    return f->hole_to - at < max ? f->hole_to - at : max;
}

static int fd_skip(void *arg, uint64_t bytes)
{
    struct stream_fd *f = arg;
    struct stat st;
    off_t at = bytes > INT64_MAX ? -1 : lseek(f->fd, (off_t)bytes, SEEK_CUR);

    if (at < 0 || fstat(f->fd, &st) || at > st.st_size)
        return fault(-ENODATA, "%s: it ends too early; it is not whole", f->name);
    f->at += bytes;
    return 0;
}

static void begin(struct stream_fd *f, int fd, const char *name)
{
    struct stat st;

    *f = (struct stream_fd){ .fd = fd, .name = name, .file = !fstat(fd, &st) && S_ISREG(st.st_mode) };
    f->at = f->file ? (uint64_t)lseek(fd, 0, SEEK_CUR) : 0;
}

void stream_out_fd(struct stream_out *o, struct stream_fd *f, int fd, const char *name)
{
    begin(f, fd, name);
    *o = (struct stream_out){ .write = fd_write, .zeroes = f->file ? fd_zeroes : NULL, .arg = f };
}

void stream_in_fd(struct stream_in *i, struct stream_fd *f, int fd, const char *name)
{
    begin(f, fd, name);
    *i = (struct stream_in){ .read = fd_read, .zero_ahead = f->file ? fd_zero_ahead : NULL, .skip = f->file ? fd_skip : NULL, .arg = f,
        .shared = true };
}
