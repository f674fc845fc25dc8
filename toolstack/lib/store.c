/* SPDX-License-Identifier: MIT */
/* The store as the tools use it. See store.h. Paths are put together in one buffer of the protocol's size limit. */
#include "store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xenstore.h>

#include "fault.h"

#define TRIES 1000U /* of a transaction: a guest may change its nodes without end */

static struct xs_handle *xs;
static xs_transaction_t transaction = XBT_NULL;

/*
 * The library, when xenstored does not listen, turns to the kernel's device instead, which waits for xenstored without end: unless
 * it is told the socket's path, which then is all it tries.
 */
int store_open(void)
{
    if (xs)
        return 0;
    setenv("XENSTORED_PATH", "/var/run/xenstored/socket", 0);
    xs = xs_open(0);
    if (xs)
        return 0;
    int err = errno ? errno : EIO;
    return fault(-err, "xenstored does not answer (%s): start xenstored, as root in domain 0", strerror(err));
}

void store_close(void)
{
    if (xs)
        xs_close(xs);
    xs = NULL;
    transaction = XBT_NULL;
}

struct xs_handle *store_handle(void)
{
    return xs;
}

static int store_format(char *out, const char *format, va_list args)
{
    int n = vsnprintf(out, STORE_PATH_MAX, format, args);

    if (n < 0 || n >= STORE_PATH_MAX)
        return fault(-ENAMETOOLONG, "store path '%.60s...': longer than the store takes", out);
    return store_open();
}

#define STORE_FORMAT(path, format) ({ va_list args_; va_start(args_, format); \
        int rc_ = store_format(path, format, args_); va_end(args_); rc_; })

static int store_failed(const char *what, const char *path)
{
    int err = errno ? errno : EIO;

    return fault(-err, "store: %s %s: %s", what, path, strerror(err));
}

/* 1: somebody else changed the same nodes. */
static int transact_once(int (*body)(const void *arg), const void *arg)
{
    int rc = store_open();

    if (rc)
        return rc;
    xs_transaction_t now = transaction = xs_transaction_start(xs);

    if (now == XBT_NULL)
        return store_failed("cannot begin", "a transaction");
    rc = body(arg);
    transaction = XBT_NULL;
    if (xs_transaction_end(xs, now, rc) || rc)
        return rc;
    return errno == EAGAIN ? 1 : store_failed("cannot end", "a transaction");
}

int store_transact(int (*body)(const void *arg), const void *arg)
{
    int rc = 1;

    if (transaction != XBT_NULL)
        return body(arg);
    for (unsigned i = 0; i < TRIES && rc > 0; i++)
        rc = transact_once(body, arg);
    return rc > 0 ? fault(-EBUSY, "store: others change the same nodes all the time (%u tries); if that is a guest's doing, pause it", TRIES) : rc;
}

char *store_read(const char *format, ...)
{
    char path[STORE_PATH_MAX];
    unsigned len;

    if (STORE_FORMAT(path, format))
        return NULL;
    return xs_read(xs, transaction, path, &len);
}

int store_read_number(int64_t *value, const char *format, ...)
{
    char path[STORE_PATH_MAX], *end;
    unsigned len;
    int rc = STORE_FORMAT(path, format);

    if (rc)
        return rc;
    char *text = xs_read(xs, transaction, path, &len);
    if (!text)
        return errno == ENOENT ? -ENOENT : store_failed("cannot read", path);
    errno = 0;
    *value = strtoll(text, &end, 0);
    if (errno || end == text || *end)
        rc = fault(-EINVAL, "store: %s: '%.40s' is no number", path, text);
    free(text);
    return rc;
}

bool store_exists(const char *format, ...)
{
    char path[STORE_PATH_MAX];
    unsigned len;

    if (STORE_FORMAT(path, format))
        return false;
    char *text = xs_read(xs, transaction, path, &len);
    free(text);
    return text != NULL;
}

static int store_vwrite(const char *path, const char *format, va_list args)
{
    char *value;
    int n = vasprintf(&value, format, args);
    int rc = n < 0 ? -ENOMEM : store_open();

    if (!rc && !xs_write(xs, transaction, path, value, (unsigned)n))
        rc = store_failed("cannot write", path);
    if (n >= 0)
        free(value);
    return rc;
}

int store_write(const char *path, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int rc = store_vwrite(path, format, args);
    va_end(args);
    return rc;
}

int store_put(const char *dir, const char *key, const char *format, ...)
{
    char path[STORE_PATH_MAX];
    va_list args;

    if (snprintf(path, sizeof(path), "%s/%s", dir, key) >= (int)sizeof(path))
        return fault(-ENAMETOOLONG, "store path '%.60s...': longer than the store takes", dir);
    va_start(args, format);
    int rc = store_vwrite(path, format, args);
    va_end(args);
    return rc;
}

int store_remove(const char *format, ...)
{
    char path[STORE_PATH_MAX];
    int rc = STORE_FORMAT(path, format);

    if (rc)
        return rc;
    if (xs_rm(xs, transaction, path) || errno == ENOENT)
        return 0;
    return store_failed("cannot remove", path);
}

struct parents {
    const char *path, *top;
};

static int remove_empty_parents(const void *arg)
{
    const struct parents *r = arg;
    char up[STORE_PATH_MAX];
    int rc = 0;
    size_t keep = strlen(r->top);

    snprintf(up, sizeof(up), "%s", r->path);
    while (!rc) {
        unsigned n;
        char *slash = strrchr(up, '/');
        if (!slash || (size_t)(slash - up) <= keep)
            break;
        *slash = 0;
        free(store_list(&n, "%s", up));
        if (n)
            break;
        rc = store_remove("%s", up);
    }
    return rc;
}

/* What is below the path may be a guest's, who could make a transaction fail for ever by writing there: only its parents are looked at in one. */
int store_remove_empty(const char *path, const char *top)
{
    struct parents r = { path, top };
    int rc = strlen(path) < STORE_PATH_MAX ? store_remove("%s", path) : -ENAMETOOLONG;

    return rc ? rc : store_transact(remove_empty_parents, &r);
}

int store_mkdir_for(unsigned owner, int reader, const char *format, ...)
{
    char path[STORE_PATH_MAX];
    struct xs_permissions perms[2] = { { .id = owner, .perms = XS_PERM_NONE }, { .id = (unsigned)reader, .perms = XS_PERM_READ } };
    int rc = STORE_FORMAT(path, format);

    if (rc)
        return rc;
    if (!xs_mkdir(xs, transaction, path) || !xs_set_permissions(xs, transaction, path, perms, reader < 0 ? 1 : 2))
        return store_failed("cannot make", path);
    return 0;
}

char **store_list(unsigned *n, const char *format, ...)
{
    char path[STORE_PATH_MAX];

    *n = 0;
    if (STORE_FORMAT(path, format))
        return NULL;
    char **names = xs_directory(xs, transaction, path, n);
    if (!names)
        *n = 0;
    return names;
}
