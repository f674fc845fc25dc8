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

int store_begin(void)
{
    int rc = store_open();

    if (rc)
        return rc;
    transaction = xs_transaction_start(xs);
    return transaction != XBT_NULL ? 0 : store_failed("cannot begin", "a transaction");
}

int store_commit(void)
{
    xs_transaction_t now = transaction;

    transaction = XBT_NULL;
    if (xs_transaction_end(xs, now, false))
        return 0;
    return errno == EAGAIN ? -EAGAIN : store_failed("cannot end", "a transaction");
}

void store_abort(void)
{
    if (transaction != XBT_NULL)
        xs_transaction_end(xs, transaction, true);
    transaction = XBT_NULL;
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

int store_remove_empty(const char *path, const char *top)
{
    char up[STORE_PATH_MAX];
    int rc = store_remove("%s", path);
    size_t keep = strlen(top);

    if (snprintf(up, sizeof(up), "%s", path) >= (int)sizeof(up))
        return -ENAMETOOLONG;
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
