/* SPDX-License-Identifier: MIT */
/*
 * Nodes, values and permissions with their reference counts; paths. The directories themselves are in kids.c.
 */
#include "tree.h"
#include "strmap.h"
#include <stdlib.h>
#include <string.h>
#include <xen/io/xs_wire.h>

struct blob *blob_new(const void *bytes, size_t len)
{
    struct blob *b;

    if (!len)
        return NULL;
    b = xrealloc(NULL, sizeof *b + len);
    b->refs = 1;
    b->len = (uint32_t)len;
    memcpy(b->bytes, bytes, len);
    return b;
}

struct blob *blob_get(struct blob *b)
{
    if (b)
        b->refs++;
    return b;
}

void blob_put(struct blob *b)
{
    if (b && !--b->refs)
        free(b);
}

struct perms *perms_new(const struct perm *list, size_t count, uint64_t gen)
{
    struct perms *p = xalloc(sizeof *p + count * sizeof *list);

    p->refs = 1;
    p->count = (uint32_t)count;
    p->gen = gen;
    memcpy(p->list, list, count * sizeof *list);
    return p;
}

struct perms *perms_get(struct perms *p)
{
    p->refs++;
    return p;
}

void perms_put(struct perms *p)
{
    if (!--p->refs)
        free(p);
}

bool perms_same(const struct perms *a, const struct perms *b)
{
    uint32_t i;

    if (a == b)
        return true;
    for (i = 0; a->count == b->count && i < a->count; i++)
        if (a->list[i].domid != b->list[i].domid || a->list[i].bits != b->list[i].bits)
            return false;
    return a->count == b->count && a->gen == b->gen;
}

struct node *node_new(const char *name, size_t len, struct perms *perms, struct blob *value, uint64_t gen)
{
    struct node *n = xrealloc(NULL, sizeof *n + len + 1);

    *n = (struct node){ .refs = 1, .name_len = (uint16_t)len, .perms = perms, .value = value, .gen = gen, .kids_gen = gen };
    memcpy(n->name, name, len);
    n->name[len] = 0;
    return n;
}

struct node *node_get(struct node *n)
{
    n->refs++;
    return n;
}

/* The characters of names. */
static const bool in_name[256] = {
    ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true, ['-'] = true, ['_'] = true, ['@'] = true,
};

bool path_valid(const char *path, size_t len)
{
    size_t i;

    if (!len || len > XENSTORE_ABS_PATH_MAX || path[0] != '/')
        return false;
    if (len > 1 && path[len - 1] == '/')
        return false;
    for (i = 0; i < len; i++) {
        if (!in_name[(unsigned char)path[i]] && (path[i] != '/' || (i && path[i - 1] == '/')))
            return false;
    }
    return true;
}

size_t path_next(const char **at)
{
    size_t len = 0;

    while (**at == '/')
        ++*at;
    while ((*at)[len] && (*at)[len] != '/')
        len++;
    return len;
}

struct node *tree_find(struct node *root, const char *path, struct node **near, size_t *near_len)
{
    const char *at = path;
    struct node *n = root, *kid;
    size_t len, done = 0;

    while ((len = path_next(&at))) {
        kid = kids_find(n->kids, at, len);
        if (!kid)
            break;
        n = kid;
        at += len;
        done = (size_t)(at - path);
    }
    if (near)
        *near = n;
    if (near_len)
        *near_len = done;
    return len ? NULL : n;
}
