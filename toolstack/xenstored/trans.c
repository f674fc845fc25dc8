/* SPDX-License-Identifier: MIT */
/*
 * Transactions. To start one is to keep the present root: O(1). What it reads and writes is noted by path; at its end each
 * of these is looked up in the tree it began with and in the present one. If they agree, its changes are repeated in the
 * present tree: what others did elsewhere in the meantime is no conflict.
 */
#include "trans.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xen/io/xs_wire.h>

static void trans_charge(struct store *s, struct trans *t, int bytes)
{
    t->bytes += bytes;
    owner_use(&s->owners, t->who.domid, QUOTA_MEMORY, bytes);
}

int trans_touch(struct store *s, struct trans *t, const char *path, size_t len, unsigned what)
{
    struct strmap_entry *e;
    bool is_new;

    if (!t)
        return 0;
    if (t->expired)
        return -EAGAIN;
    e = strmap_put(&t->touched, path, len, &is_new);
    e->num |= what;
    if (is_new)
        trans_charge(s, t, (int)(sizeof *e + len));
    if (!quota_allows(&s->owners, t->who.domid, QUOTA_MEMORY, owner_of(&s->owners, t->who.domid)->use[QUOTA_MEMORY]))
        return -ENOSPC;
    if (is_new && !quota_allows(&s->owners, t->who.domid, QUOTA_TRANSACTION_NODES, t->touched.count))
        return -ENOSPC;
    return 0;
}

/* Takes over the references to value and perms. What is charged covers the copies of the nodes on the way, too. */
void trans_log(struct store *s, struct trans *t, int op, const char *path, struct blob *value, struct perms *perms)
{
    size_t len = strlen(path), names = 1, i;
    struct trans_op *o = xalloc(sizeof *o + len + 1);

    o->op = op;
    o->value = value;
    o->perms = perms;
    memcpy(o->path, path, len);
    *t->last = o;
    t->last = &o->next;
    for (i = 0; i < len; i++)
        names += path[i] == '/';
    trans_charge(s, t, (int)(sizeof *o + len + names * 160 + (value ? value->len : 0)));
}

int64_t trans_use(const struct trans *t, uint16_t domid)
{
    struct strmap_entry *e = t ? strmap_find(&t->use, (const char *)&domid, sizeof domid) : NULL;

    return e ? e->num : 0;
}

void trans_add_use(struct trans *t, uint16_t domid, int delta)
{
    strmap_put(&t->use, (const char *)&domid, sizeof domid, NULL)->num += delta;
}

static struct trans *trans_new(struct store *s, const struct who *who, uint32_t id)
{
    struct trans *t = xalloc(sizeof *t);

    t->who = *who;
    t->id = id;
    t->base = node_get(s->root);
    t->root = node_get(s->root);
    t->last = &t->first;
    owner_use(&s->owners, who->domid, QUOTA_TRANSACTIONS, 1);
    return t;
}

int trans_start(struct store *s, const struct who *who, struct trans **out)
{
    if (!quota_allows(&s->owners, who->domid, QUOTA_TRANSACTIONS, owner_of(&s->owners, who->domid)->use[QUOTA_TRANSACTIONS] + 1ull))
        return -ENOSPC;
    if (!++s->last_trans)
        s->last_trans = 1;
    *out = trans_new(s, who, s->last_trans);
    return 0;
}

int trans_revive(struct store *s, const struct who *who, uint32_t id, struct trans **out)
{
    *out = trans_new(s, who, id);
    (*out)->doomed = true;
    if (id > s->last_trans)
        s->last_trans = id;
    return 0;
}

uint32_t trans_id(const struct trans *t)
{
    return t->id;
}

static bool trans_conflicts(const struct store *s, const struct trans *t)
{
    const struct strmap_entry *e;

    if (t->base == s->root)
        return false;
    for (e = strmap_next(&t->touched, NULL); e; e = strmap_next(&t->touched, e)) {
        const struct node *was = tree_find(t->base, e->key, NULL, NULL), *is = tree_find(s->root, e->key, NULL, NULL);

        if (was == is)
            continue;
        if (!was || !is || (e->num & TOUCH_TREE))
            return true;
        if (((e->num & TOUCH_NODE) && was->gen != is->gen) || ((e->num & TOUCH_KIDS) && was->kids_gen != is->kids_gen) ||
            ((e->num & TOUCH_PERMS) && !perms_same(was->perms, is->perms)))
            return true;
    }
    return false;
}

/* Domains may not get more nodes than their quota by transactions that each are within it. */
static bool trans_fits(struct store *s, const struct trans *t)
{
    struct owner *o = owner_of(&s->owners, t->who.domid);
    int64_t more = trans_use(t, t->who.domid);

    return t->who.privileged || more <= 0 ||
           quota_allows(&s->owners, t->who.domid, QUOTA_NODES, o->use[QUOTA_NODES] + (uint64_t)more);
}

static void trans_repeat(struct store *s, struct trans *t)
{
    struct trans_op *o;

    for (o = t->first; o; o = o->next) {
        switch (o->op) {
        case XS_WRITE:
        case XS_MKDIR:
            edit_write(s, NULL, &t->who, o->path, blob_get(o->value), o->op == XS_WRITE);
            break;
        case XS_RM:
            edit_rm(s, NULL, &t->who, o->path);
            break;
        case XS_SET_PERMS:
            edit_set_perms(s, NULL, &t->who, o->path, perms_get(o->perms));
            break;
        }
    }
}

static void trans_drop_trees(struct trans *t)
{
    if (t->base)
        node_put(t->base);
    if (t->root)
        node_put(t->root);
    t->base = t->root = NULL;
}

static void trans_free(struct store *s, struct trans *t)
{
    struct trans_op *o, *next;

    for (o = t->first; o; o = next) {
        next = o->next;
        blob_put(o->value);
        if (o->perms)
            perms_put(o->perms);
        free(o);
    }
    trans_drop_trees(t);
    strmap_clear(&t->touched);
    strmap_clear(&t->use);
    owner_use(&s->owners, t->who.domid, QUOTA_TRANSACTIONS, -1);
    owner_use(&s->owners, t->who.domid, QUOTA_MEMORY, -t->bytes);
    free(t);
}

int trans_end(struct store *s, struct trans *t, bool commit)
{
    int rc = 0;

    if (commit && (t->expired || t->doomed || trans_conflicts(s, t)))
        rc = -EAGAIN;
    else if (commit && !trans_fits(s, t))
        rc = -ENOSPC;
    else if (commit) {
        trans_drop_trees(t);    /* so that the changes are made in place */
        trans_repeat(s, t);
    }
    trans_free(s, t);
    return rc;
}

void trans_expire(struct store *s, struct trans *t)
{
    t->expired = true;
    trans_drop_trees(t);
}
