/* SPDX-License-Identifier: MIT */
/*
 * The changes themselves, after everything has been asked: in a transaction's tree, or in the present one. There they
 * keep the accounts of the owners, fire the watches and tell the journal. A commit repeats the transaction's changes here,
 * so that both ways are one.
 */
#include "trans.h"
#include <stdlib.h>
#include <string.h>
#include <xen/io/xs_wire.h>

static struct node **edit_root(struct store *s, struct trans *t)
{
    struct node **root = t ? &t->root : &s->root;

    *root = node_own(*root);
    return root;
}

static void edit_account(struct store *s, struct trans *t, uint16_t domid, const char *path, int delta)
{
    if (t)
        trans_add_use(t, domid, delta);
    else
        owner_node(&s->owners, domid, path, delta);
}

struct fire {
    struct store *s;
    const struct node *now;       /* what the path leads to, or led to when it was removed */
    struct node *removed;
    size_t len;
};

static bool fire_sees(void *arg, const struct watch *w, const char *path)
{
    const struct fire *f = arg;

    return f->now && (perms_for(f->s, w->who, f->now->perms) & PERM_READ);
}

static bool fire_sees_below(void *arg, const struct watch *w, const char *path)
{
    const struct fire *f = arg;
    const struct node *n = tree_find(f->removed, path + f->len, NULL, NULL);

    return n && (perms_for(f->s, w->who, n->perms) & PERM_READ);
}

/* A child of a shared parent shares its permissions, if the owner may stay; a guest owns what it makes. */
static struct perms *edit_inherit(struct store *s, const struct who *who, struct perms *parent)
{
    struct perms *p;

    if (who->privileged || parent->list[0].domid == who->domid)
        return perms_get(parent);
    p = perms_new(parent->list, parent->count, parent->gen);
    p->list[0].domid = who->domid;
    return p;
}

/* The node at path, made if need be with all above it; *first_len: the length of the shortest path that was made. */
static struct node **edit_make(struct store *s, struct trans *t, const struct who *who, const char *path, size_t *first_len)
{
    struct node **slot = edit_root(s, t);
    const char *at = path;
    char here[XENSTORE_ABS_PATH_MAX + 1];
    size_t len;

    *first_len = 0;
    for (; (len = path_next(&at)); at += len) {
        struct node *up = *slot;

        if (!kids_find(up->kids, at, len)) {
            struct node *n = node_new(at, len, edit_inherit(s, who, up->perms), NULL, ++s->gen);
            size_t to = (size_t)(at - path) + len;

            kids_insert(&up->kids, n);
            up->kids_gen = ++s->gen;
            memcpy(here, path, to);
            here[to] = 0;
            edit_account(s, t, n->perms->list[0].domid, here, 1);
            if (!*first_len)
                *first_len = to;
        }
        slot = kids_own(&up->kids, at, len);
    }
    if (!*first_len)
        *first_len = (size_t)(at - path);
    return slot;
}

/* Takes over the reference to value. set: false for MKDIR. */
void edit_write(struct store *s, struct trans *t, const struct who *who, const char *path, struct blob *value, bool set)
{
    size_t first_len;
    struct node *n = *edit_make(s, t, who, path, &first_len);

    if (set) {
        blob_put(n->value);
        n->value = value;
        n->gen = ++s->gen;
    }
    if (!t) {
        struct fire f = { .s = s, .now = n };

        watches_fire(&s->watches, path, first_len, fire_sees, &f);
        if (s->changed)
            s->changed(s, who, set ? XS_WRITE : XS_MKDIR, path, value, NULL);
    }
}

struct removal {
    struct store *s;
    struct trans *t;
    char path[XENSTORE_ABS_PATH_MAX + 1];
    size_t len;
};

/* The owners' accounts for everything below a node that goes. */
static int edit_account_removed(struct node *n, void *arg)
{
    struct removal *r = arg;
    size_t before = r->len;

    r->path[r->len++] = '/';
    memcpy(r->path + r->len, n->name, n->name_len + 1u);
    r->len += n->name_len;
    edit_account(r->s, r->t, n->perms->list[0].domid, r->path, -1);
    kids_visit(n->kids, edit_account_removed, r);
    r->len = before;
    r->path[before] = 0;
    return 0;
}

/* The node must be there, and not be the root. */
void edit_rm(struct store *s, struct trans *t, const struct who *who, const char *path)
{
    struct removal r = { .s = s, .t = t };
    struct node **slot = edit_root(s, t), *gone;
    const char *at = path, *name;
    size_t len;

    for (;;) {
        len = path_next(&at);
        name = at;
        at += len;
        if (!*at)
            break;
        slot = kids_own(&(*slot)->kids, name, len);
    }
    gone = kids_remove(&(*slot)->kids, name, len);
    (*slot)->kids_gen = ++s->gen;
    r.len = (size_t)(name - path) - 1;
    memcpy(r.path, path, r.len);
    edit_account_removed(gone, &r);
    if (!t) {
        struct fire f = { .s = s, .now = gone, .removed = gone, .len = strlen(path) };

        watches_fire(&s->watches, path, f.len, fire_sees, &f);
        watches_fire_below(&s->watches, path, fire_sees_below, &f);
        if (s->changed)
            s->changed(s, who, XS_RM, path, NULL, NULL);
    }
    node_put(gone);
}

/* Takes over the reference to perms. The node must be there. */
void edit_set_perms(struct store *s, struct trans *t, const struct who *who, const char *path, struct perms *perms)
{
    struct node **slot = edit_root(s, t), *n;
    const char *at = path;
    size_t len;

    for (; (len = path_next(&at)); at += len)
        slot = kids_own(&(*slot)->kids, at, len);
    n = *slot;
    if (n->perms->list[0].domid != perms->list[0].domid) {
        edit_account(s, t, n->perms->list[0].domid, path, -1);
        edit_account(s, t, perms->list[0].domid, path, 1);
    }
    perms_put(n->perms);
    n->perms = perms;
    n->gen = ++s->gen;
    if (!t) {
        struct fire f = { .s = s, .now = n };

        watches_fire(&s->watches, path, strlen(path), fire_sees, &f);
        if (s->changed)
            s->changed(s, who, XS_SET_PERMS, path, NULL, perms);
    }
}
