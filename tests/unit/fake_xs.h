/* SPDX-License-Identifier: MIT */
/* A store in a table, in place of libxenstore, for tests of what the tools write and look up. One transaction at a time; watches by a hook. */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <xenstore.h>

#define FAKE_NODES 512

struct fake_node {
    char path[160], value[160], owner[16];
};
static struct fake_node fake[FAKE_NODES];
static unsigned n_fake;

struct xs_handle { int unused; };
static struct xs_handle fake_handle;

static struct fake_node *fake_find(const char *path)
{
    for (unsigned i = 0; i < n_fake; i++) {
        if (!strcmp(fake[i].path, path))
            return &fake[i];
    }
    return NULL;
}

static struct fake_node *fake_add(const char *path)
{
    struct fake_node *n = fake_find(path);

    if (n)
        return n;
    if (n_fake == FAKE_NODES)
        abort();
    snprintf(fake[n_fake].path, sizeof(fake[0].path), "%s", path);
    return &fake[n_fake++];
}

struct xs_handle *xs_open(unsigned long flags) { (void)flags; return &fake_handle; }
void xs_close(struct xs_handle *h) { (void)h; }
static struct fake_node fake_before[FAKE_NODES]; /* the transaction */
static unsigned n_fake_before;
static void (*fake_meanwhile)(void); /* somebody else's change during the next transaction, which has to be done again */
xs_transaction_t xs_transaction_start(struct xs_handle *h)
{
    (void)h;
    memcpy(fake_before, fake, sizeof(fake));
    n_fake_before = n_fake;
    return 1;
}

bool xs_transaction_end(struct xs_handle *h, xs_transaction_t t, bool abort_)
{
    void (*other)(void) = fake_meanwhile;

    (void)h, (void)t;
    if (!abort_ && !other)
        return true;
    memcpy(fake, fake_before, sizeof(fake));
    n_fake = n_fake_before;
    if (abort_)
        return true;
    fake_meanwhile = NULL;
    other();
    errno = EAGAIN;
    return false;
}

bool xs_watch(struct xs_handle *h, const char *p, const char *t) { (void)h; (void)p; (void)t; return true; }
bool xs_unwatch(struct xs_handle *h, const char *p, const char *t) { (void)h; (void)p; (void)t; return true; }
static void (*fake_on_wait)(void);      /* somebody else's turn when the tool waits; makes an event */
char **xs_check_watch(struct xs_handle *h)
{
    (void)h;
    if (fake_on_wait) {
        fake_on_wait();
        return calloc(2, sizeof(char *));
    }
    errno = EAGAIN;
    return NULL;
}
int xs_fileno(struct xs_handle *h) { (void)h; return -1; }

void *xs_read(struct xs_handle *h, xs_transaction_t t, const char *path, unsigned *len)
{
    struct fake_node *n = fake_find(path);

    (void)h, (void)t;
    if (!n) {
        errno = ENOENT;
        return NULL;
    }
    *len = (unsigned)strlen(n->value);
    return strdup(n->value);
}

bool xs_write(struct xs_handle *h, xs_transaction_t t, const char *path, const void *data, unsigned len)
{
    (void)h, (void)t;
    snprintf(fake_add(path)->value, sizeof(fake[0].value), "%.*s", (int)len, (const char *)data);
    return true;
}

bool xs_mkdir(struct xs_handle *h, xs_transaction_t t, const char *path) { (void)h, (void)t; fake_add(path); return true; }

bool xs_set_permissions(struct xs_handle *h, xs_transaction_t t, const char *path, struct xs_permissions *p, unsigned n)
{
    (void)h, (void)t;
    snprintf(fake_add(path)->owner, sizeof(fake[0].owner), n > 1 ? "n%u,r%u" : "n%u", p[0].id, n > 1 ? p[1].id : 0);
    return true;
}

bool xs_rm(struct xs_handle *h, xs_transaction_t t, const char *path)
{
    size_t n = strlen(path);

    (void)h, (void)t;
    for (unsigned i = 0; i < n_fake;) {
        if (!strncmp(fake[i].path, path, n) && (!fake[i].path[n] || fake[i].path[n] == '/'))
            fake[i] = fake[--n_fake];
        else
            i++;
    }
    return true;
}

/* As the library: one piece, pointers first. */
char **xs_directory(struct xs_handle *h, xs_transaction_t t, const char *path, unsigned *num)
{
    size_t n = strlen(path);
    char **list = calloc(1, FAKE_NODES * (sizeof(char *) + 64));
    char *at = (char *)(list + FAKE_NODES);

    (void)h, (void)t;
    *num = 0;
    for (unsigned i = 0; i < n_fake; i++) {
        bool seen = false;
        if (strncmp(fake[i].path, path, n) || fake[i].path[n] != '/')
            continue;
        snprintf(at, 64, "%.*s", (int)strcspn(fake[i].path + n + 1, "/"), fake[i].path + n + 1);
        for (unsigned k = 0; k < *num; k++)
            seen |= !strcmp(list[k], at);
        if (!seen) {
            list[(*num)++] = at;
            at += 64;
        }
    }
    return list;
}

/* store_open() looks whether anybody listens before it asks the library: somebody does. Give the same path to fake_end(). */
static inline int fake_begin(const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
    unlink(path);
    setenv("XENSTORED_PATH", path, 1);
    return fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 100) ? -1 : 0;
}

static inline void fake_end(const char *path)
{
    unlink(path);
}
