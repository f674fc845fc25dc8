/* SPDX-License-Identifier: MIT */
/* The store as the toolstack uses it. See nodes.h. */
#include "nodes.h"
#include "fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PATH 1024 /* XENSTORE_ABS_PATH_MAX is 3072; ours are far shorter */

#define PATH(p, format)                                    \
    char p[MAX_PATH];                                      \
    do {                                                   \
        va_list args_;                                     \
        va_start(args_, format);                           \
        vsnprintf(p, sizeof(p), format, args_);            \
        va_end(args_);                                     \
    } while (0)

static int failed(const char *what, const char *path)
{
    int rc = errno ? -errno : -EIO;

    return fault(rc, "store: %s %s: %s%s", what, path, strerror(-rc),
                 rc == -ENOSPC || rc == -E2BIG ? "; a quota of xenstored is reached" : "");
}

int nodes_open(struct nodes *n)
{
    *n = (struct nodes){ .xs = xs_open(0) };
    if (n->xs)
        return 0;
    int rc = errno ? -errno : -ECONNREFUSED;

    return fault(rc, "the store (xenstored) does not answer: %s; is it running? start it, or look at /var/log/zendo", strerror(-rc));
}

void nodes_close(struct nodes *n)
{
    nodes_abort(n);
    if (n->xs)
        xs_close(n->xs);
    n->xs = NULL;
}

int nodes_begin(struct nodes *n)
{
    n->t = xs_transaction_start(n->xs);
    return n->t == XBT_NULL ? failed("transaction", "") : 0;
}

int nodes_commit(struct nodes *n)
{
    bool done = xs_transaction_end(n->xs, n->t, false);

    n->t = XBT_NULL;
    if (done)
        return 0;
    return errno == EAGAIN ? -EAGAIN : failed("transaction", "");
}

void nodes_abort(struct nodes *n)
{
    if (n->t != XBT_NULL)
        xs_transaction_end(n->xs, n->t, true);
    n->t = XBT_NULL;
}

char *nodes_read(struct nodes *n, const char *format, ...)
{
    unsigned length;

    PATH(path, format);
    return xs_read(n->xs, n->t, path, &length);
}

long long nodes_read_number(struct nodes *n, long long otherwise, const char *format, ...)
{
    unsigned length;

    PATH(path, format);
    char *text = xs_read(n->xs, n->t, path, &length), *end = text;
    long long v = text ? strtoll(text, &end, 10) : otherwise;

    if (end == text || (text && *end))
        v = otherwise;
    free(text);
    return v;
}

static int write_text(struct nodes *n, const char *path, const char *value)
{
    return xs_write(n->xs, n->t, path, value, (unsigned)strlen(value)) ? 0 : failed("writing", path);
}

int nodes_write(struct nodes *n, const char *value, const char *format, ...)
{
    PATH(path, format);
    return write_text(n, path, value);
}

int nodes_write_number(struct nodes *n, long long value, const char *format, ...)
{
    char text[24];

    PATH(path, format);
    snprintf(text, sizeof(text), "%lld", value);
    return write_text(n, path, text);
}

int nodes_mkdir(struct nodes *n, const char *format, ...)
{
    PATH(path, format);
    return xs_mkdir(n->xs, n->t, path) ? 0 : failed("making", path);
}

static int remove_path(struct nodes *n, const char *path)
{
    return xs_rm(n->xs, n->t, path) || errno == ENOENT ? 0 : failed("removing", path);
}

int nodes_remove(struct nodes *n, const char *format, ...)
{
    PATH(path, format);
    return remove_path(n, path);
}

static unsigned parts(const char *path)
{
    unsigned count = 0;

    for (; *path; path++)
        count += *path == '/';
    return count;
}

int nodes_remove_up(struct nodes *n, unsigned depth, const char *format, ...)
{
    unsigned left = 0;

    PATH(path, format);
    while (!left && parts(path) > depth) {
        int rc = remove_path(n, path);

        if (rc)
            return rc;
        *strrchr(path, '/') = 0;
        free(xs_directory(n->xs, n->t, path, &left));
    }
    return 0;
}

char **nodes_list(struct nodes *n, unsigned *count, const char *format, ...)
{
    PATH(path, format);
    *count = 0;
    return xs_directory(n->xs, n->t, path, count);
}

int nodes_permit(struct nodes *n, unsigned owner, char others, int reader, const char *format, ...)
{
    struct xs_permissions p[2] = { { .id = owner, .perms = XS_PERM_NONE } };

    PATH(path, format);
    if (others == 'r' || others == 'b')
        p[0].perms |= XS_PERM_READ;
    if (others == 'w' || others == 'b')
        p[0].perms |= XS_PERM_WRITE;
    if (reader >= 0)
        p[1] = (struct xs_permissions){ .id = (unsigned)reader, .perms = XS_PERM_READ };
    return xs_set_permissions(n->xs, n->t, path, p, reader >= 0 ? 2 : 1) ? 0 : failed("permissions of", path);
}
