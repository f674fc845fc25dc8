/* SPDX-License-Identifier: MIT */
/*
 * The store's operations: who may, what a transaction touches by it, what quotas say; the change itself is in edit.c.
 * A path that does not exist is refused with EACCES to who may not read the nearest node above it.
 */
#include "xstore.h"
#include "trans.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xen/io/xs_wire.h>

void store_init(struct store *s, void (*deliver)(struct watch *w, const char *path, size_t len))
{
    static const struct perm nobody = { .domid = 0, .bits = 0 };
    int i;

    *s = (struct store){ 0 };
    owners_init(&s->owners);
    watches_init(&s->watches, deliver);
    s->root = node_new("", 0, perms_new(&nobody, 1, 0), NULL, ++s->gen);
    owner_node(&s->owners, 0, "/", 1);
    for (i = 0; i < 2; i++)
        s->special[i] = perms_new(&nobody, 1, 0);
}

/* Transactions and watches must be gone. */
void store_free(struct store *s)
{
    int i;

    node_put(s->root);
    for (i = 0; i < 2; i++)
        perms_put(s->special[i]);
    watches_free(&s->watches);
    owners_free(&s->owners);
}

unsigned perms_for(const struct store *s, const struct who *who, const struct perms *p)
{
    uint32_t i;

    if (who->privileged || p->list[0].domid == who->domid || p->list[0].domid == who->target)
        return PERM_BOTH;
    for (i = 1; i < p->count; i++) {
        uint16_t domid = p->list[i].domid;

        if ((domid == who->domid || domid == who->target) && !(s->owners.of[domid] && s->owners.of[domid]->dead_gen > p->gen))
            return p->list[i].bits;
    }
    return p->list[0].bits;
}

/* "@name" or "@name/domain"; NULL for what is no special event. */
static struct perms **special_perms(struct store *s, const char *path)
{
    static const char *const name[2] = { SPECIAL_INTRODUCE, SPECIAL_RELEASE };
    int i;

    for (i = 0; i < 2; i++) {
        size_t len = strlen(name[i]);

        if (!strncmp(path, name[i], len) && (!path[len] || path[len] == '/'))
            return &s->special[i];
    }
    return NULL;
}

static int store_lookup(struct store *s, struct trans *t, const char *path, unsigned touch, struct node **n, struct node **near,
                        size_t *near_len)
{
    int rc = trans_touch(s, t, path, strlen(path), touch);

    if (!rc)
        *n = tree_find(t ? t->root : s->root, path, near, near_len);
    return rc;
}

int store_find(struct store *s, const struct who *who, struct trans *t, const char *path, unsigned touch, struct node **out)
{
    struct node *near;
    int rc = store_lookup(s, t, path, touch, out, &near, NULL);

    if (rc)
        return rc;
    if (!(perms_for(s, who, near->perms) & PERM_READ))
        return -EACCES;
    return *out ? 0 : -ENOENT;
}

int store_get_perms(struct store *s, const struct who *who, struct trans *t, const char *path, struct perms **out)
{
    struct perms **special = special_perms(s, path);
    struct node *n;
    int rc;

    if (special) {
        *out = *special;
        return perms_for(s, who, *out) & PERM_READ ? 0 : -EACCES;
    }
    rc = store_find(s, who, t, path, TOUCH_NODE, &n);
    if (!rc)
        *out = n->perms;
    return rc;
}

static uint64_t path_names(const char *path)
{
    uint64_t names = 0;
    size_t len;

    for (; (len = path_next(&path)); path += len)
        names++;
    return names;
}

/* May the node at path be written, or be made below `near`? */
static int store_may_write(struct store *s, const struct who *who, struct trans *t, const char *path, const struct node *n,
                           struct node *near, size_t near_len)
{
    const char *first = path + near_len;
    size_t len;
    int rc;

    if (!(perms_for(s, who, near->perms) & PERM_WRITE))
        return -EACCES;
    if (n)
        return 0;
    /* Depends on the permissions that are inherited, and on nobody else making what is made here. */
    len = path_next(&first);
    rc = trans_touch(s, t, near_len ? path : "/", near_len ? near_len : 1, TOUCH_PERMS);
    if (!rc)
        rc = trans_touch(s, t, path, (size_t)(first - path) + len, 0);
    if (rc || who->privileged)
        return rc;
    if (!quota_allows(&s->owners, who->domid, QUOTA_NODES, owner_of(&s->owners, who->domid)->use[QUOTA_NODES] +
                      (uint64_t)trans_use(t, who->domid) + path_names(path + near_len)))
        return -ENOSPC;
    return 0;
}

/* WRITE with set, else MKDIR. */
static int store_put(struct store *s, const struct who *who, struct trans *t, const char *path, struct blob *value, bool set)
{
    struct node *n, *near;
    size_t near_len;
    int rc;

    if (!who->privileged && !quota_allows(&s->owners, who->domid, QUOTA_NODE_SIZE, value ? value->len : 0))
        return -ENOSPC;
    rc = store_lookup(s, t, path, set ? TOUCH_NODE : 0, &n, &near, &near_len);
    if (rc)
        return rc;
    if (n && !set)
        return perms_for(s, who, near->perms) & PERM_READ ? 0 : -EACCES;
    rc = store_may_write(s, who, t, path, n, near, near_len);
    if (rc)
        return rc;
    edit_write(s, t, who, path, blob_get(value), set);
    if (t)
        trans_log(s, t, set ? XS_WRITE : XS_MKDIR, path, blob_get(value), NULL);
    return 0;
}

int store_write(struct store *s, const struct who *who, struct trans *t, const char *path, const void *value, size_t len)
{
    struct blob *b = blob_new(value, len);
    int rc = store_put(s, who, t, path, b, true);

    blob_put(b);
    return rc;
}

int store_mkdir(struct store *s, const struct who *who, struct trans *t, const char *path)
{
    return store_put(s, who, t, path, NULL, false);
}

/* It is no error if the node is not there, but one if not even its parent is. */
static int store_rm_missing(struct store *s, const struct who *who, struct trans *t, const char *path, const struct node *near,
                            size_t near_len)
{
    const char *slash = strrchr(path, '/');
    size_t parent_len = slash == path ? 1 : (size_t)(slash - path);
    int rc = trans_touch(s, t, path, parent_len, 0);

    if (rc)
        return rc;
    if (!(perms_for(s, who, near->perms) & PERM_READ))
        return -EACCES;
    return near_len == (slash == path ? 0 : parent_len) ? 0 : -ENOENT;
}

int store_rm(struct store *s, const struct who *who, struct trans *t, const char *path)
{
    struct node *n, *near;
    size_t near_len;
    int rc;

    if (!strcmp(path, "/"))
        return -EINVAL;
    rc = store_lookup(s, t, path, TOUCH_TREE, &n, &near, &near_len);
    if (rc)
        return rc;
    if (!n)
        return store_rm_missing(s, who, t, path, near, near_len);
    if (!(perms_for(s, who, n->perms) & PERM_WRITE))
        return -EACCES;
    edit_rm(s, t, who, path);
    if (t)
        trans_log(s, t, XS_RM, path, NULL, NULL);
    return 0;
}

static int perms_check(struct store *s, const struct who *who, const struct perms *old, const struct perm *list, size_t count)
{
    uint16_t owner = old->list[0].domid;

    if (!who->privileged && owner != who->domid && owner != who->target)
        return -EACCES;
    if (!who->privileged && list[0].domid != owner)
        return -EPERM;
    if (!who->privileged && !quota_allows(&s->owners, who->domid, QUOTA_PERMISSIONS, count))
        return -ENOSPC;
    return 0;
}

int store_set_perms(struct store *s, const struct who *who, struct trans *t, const char *path, const struct perm *list, size_t count)
{
    struct perms **special = special_perms(s, path), *p;
    struct node *n, *near;
    int rc;

    if (special) {
        if (!who->privileged || strchr(path, '/'))
            return -EACCES;
        perms_put(*special);
        *special = perms_new(list, count, ++s->gen);
        if (s->changed)
            s->changed(s, who, XS_SET_PERMS, path, NULL, *special);
        return 0;
    }
    rc = store_lookup(s, t, path, TOUCH_NODE, &n, &near, NULL);
    if (!rc && !n)
        rc = perms_for(s, who, near->perms) & PERM_READ ? -ENOENT : -EACCES;
    if (!rc)
        rc = perms_check(s, who, n->perms, list, count);
    if (rc)
        return rc;
    p = perms_new(list, count, ++s->gen);
    if (t)
        trans_log(s, t, XS_SET_PERMS, path, NULL, perms_get(p));
    edit_set_perms(s, t, who, path, p);
    return 0;
}

static bool special_sees(void *arg, const struct watch *w, const char *path)
{
    struct store *s = arg;

    return perms_for(s, w->who, *special_perms(s, path)) & PERM_READ;
}

void store_fire_special(struct store *s, const char *name, uint16_t domid)
{
    char path[32];

    snprintf(path, sizeof path, "%s/%u", name, domid);
    watches_fire(&s->watches, path, strlen(path), special_sees, s);
}

/* With the place it makes in the tree of watches, and its key in the connection. */
static int watch_bytes(const char *path, const char *token)
{
    return (int)(sizeof(struct watch) + 3 * (strlen(path) + strlen(token)) + 64 * path_names(path));
}

int store_watch(struct store *s, const struct who *who, const char *path, const char *token, int depth, struct watch **out)
{
    struct owner *o = owner_of(&s->owners, who->domid);
    struct perms **special = special_perms(s, path);
    int bytes;

    if (path[0] == '@' && (!special || !(perms_for(s, who, *special) & PERM_READ)))
        return special ? -EACCES : -EINVAL;
    if (!who->privileged && !quota_allows(&s->owners, who->domid, QUOTA_WATCHES, o->use[QUOTA_WATCHES] + 1ull))
        return -E2BIG;
    bytes = watch_bytes(path, token);
    if (!who->privileged && !quota_allows(&s->owners, who->domid, QUOTA_MEMORY, o->use[QUOTA_MEMORY] + (uint64_t)bytes))
        return -E2BIG;
    *out = watch_add(&s->watches, who, path, token, depth);
    owner_use(&s->owners, who->domid, QUOTA_WATCHES, 1);
    owner_use(&s->owners, who->domid, QUOTA_MEMORY, bytes);
    return 0;
}

void store_unwatch(struct store *s, struct watch *w)
{
    owner_use(&s->owners, w->who->domid, QUOTA_WATCHES, -1);
    owner_use(&s->owners, w->who->domid, QUOTA_MEMORY, -watch_bytes(w->path, w->token));
    watch_remove(&s->watches, w);
}
