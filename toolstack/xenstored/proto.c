/* SPDX-License-Identifier: MIT */
/*
 * What the requests mean: a row per operation, one function each. The payload is cut into its strings once, in the
 * connection's own buffer; a function gets the strings it asked for and what is behind them.
 */
#include "conn.h"
#include "proto.h"
#include "trans.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The absolute path behind a client's: relative ones are below the domain's own. 0 or -EINVAL. */
static int request_path(struct request *r, const char *given, bool special)
{
    size_t len = strlen(given);

    r->strip = 0;
    if (special && given[0] == '@') {
        if (len >= 64)
            return -EINVAL;
        memcpy(r->path, given, len + 1);
        return 0;
    }
    if (given[0] != '/') {
        r->strip = (uint32_t)snprintf(r->path, sizeof r->path, "/local/domain/%u/", r->c->who.domid);
        if (!len || len > XENSTORE_REL_PATH_MAX)
            return -EINVAL;
    }
    if (r->strip + len > XENSTORE_ABS_PATH_MAX)
        return -EINVAL;
    memcpy(r->path + r->strip, given, len + 1);
    if (!path_valid(r->path, r->strip + len))
        return -EINVAL;
    if (!r->c->who.privileged &&
        !quota_allows(&r->c->host->store->owners, r->c->who.domid, QUOTA_PATH_MAX, r->strip + len))
        return -EINVAL;
    return 0;
}

static void reply_ok(struct request *r)
{
    conn_reply(r->c, r->c->head.type, "OK", 3);
}

static int do_read(struct request *r)
{
    struct node *n;
    int rc = store_find(r->s, &r->c->who, r->t, r->path, TOUCH_NODE, &n);

    if (!rc)
        conn_reply(r->c, XS_READ, n->value ? n->value->bytes : "", n->value ? n->value->len : 0);
    return rc;
}

/* Entries from an offset on, as many as fit. */
struct listing {
    char *data;
    size_t used, room;
    uint64_t skip, at;
};

static int list_entry(struct node *n, void *arg)
{
    struct listing *l = arg;

    if (l->used + n->name_len + 1u > l->room)
        return 1;
    memcpy(l->data + l->used, n->name, n->name_len + 1u);
    l->used += n->name_len + 1u;
    return 0;
}

static int list_others(struct node *n, void *arg)
{
    return strcmp(n->name, "vif") ? list_entry(n, arg) : 0;
}

/* /local/domain/N/device */
static bool is_device_folder(const char *path)
{
    static const char head[] = "/local/domain/";
    size_t n = sizeof head - 1;

    return !strncmp(path, head, n) && !strcmp(path + n + strspn(path + n, "0123456789"), "/device");
}

/*
 * A guest's kernel sets up its devices, and after a move connects them anew, in the order of this list. Networks come first: there
 * clients wait for it, while who waits for its disks waits inside.
 */
static int list_all(const char *path, struct node *n, struct listing *l)
{
    struct node *vif = is_device_folder(path) ? kids_find(n->kids, "vif", 3) : NULL;

    if (vif && list_entry(vif, l))
        return 1;
    return kids_visit(n->kids, vif ? list_others : list_entry, l);
}

static int do_directory(struct request *r)
{
    char data[XENSTORE_PAYLOAD_MAX];
    struct listing l = { .data = data, .room = sizeof data };
    struct node *n;
    int rc = store_find(r->s, &r->c->who, r->t, r->path, TOUCH_KIDS, &n);

    if (rc)
        return rc;
    if (list_all(r->path, n, &l))
        return -E2BIG;
    conn_reply(r->c, XS_DIRECTORY, data, l.used);
    return 0;
}

/* The directory from a byte offset on; what ends it is an empty name. Entry by entry from where it begins: O(log n) each. */
static int do_directory_part(struct request *r)
{
    char data[XENSTORE_PAYLOAD_MAX];
    const struct kid *k;
    struct node *n;
    uint64_t offset = 0, begins;
    size_t used;
    int rc;

    if (r->rest_len < 2 || parse_number(r->rest, UINT32_MAX, &offset))
        return -EINVAL;
    rc = store_find(r->s, &r->c->who, r->t, r->path, TOUCH_KIDS, &n);
    if (rc)
        return rc;
    used = (size_t)snprintf(data, sizeof data, "%llu", (unsigned long long)n->kids_gen) + 1;
    while ((k = kids_at(n->kids, offset, &begins))) {
        if (used + k->node->name_len + 1u > sizeof data)
            break;
        memcpy(data + used, k->node->name, k->node->name_len + 1u);
        used += k->node->name_len + 1u;
        offset = begins + k->node->name_len + 1u;
    }
    if (!k && used < sizeof data)
        data[used++] = 0;
    conn_reply(r->c, XS_DIRECTORY_PART, data, used);
    return 0;
}

static int do_write(struct request *r)
{
    int rc = store_write(r->s, &r->c->who, r->t, r->path, r->rest, r->rest_len);

    if (!rc)
        reply_ok(r);
    return rc;
}

static int do_mkdir(struct request *r)
{
    int rc = store_mkdir(r->s, &r->c->who, r->t, r->path);

    if (!rc)
        reply_ok(r);
    return rc;
}

static int do_rm(struct request *r)
{
    int rc = store_rm(r->s, &r->c->who, r->t, r->path);

    if (!rc)
        reply_ok(r);
    return rc;
}

static int do_get_perms(struct request *r)
{
    static const char letter[] = "nrwb";
    char data[XENSTORE_PAYLOAD_MAX];
    struct perms *p;
    size_t used = 0;
    uint32_t i;
    int rc = store_get_perms(r->s, &r->c->who, r->t, r->path, &p);

    if (rc)
        return rc;
    for (i = 0; i < p->count && used + 8 < sizeof data; i++)
        used += (size_t)snprintf(data + used, sizeof data - used, "%c%u", letter[p->list[i].bits], p->list[i].domid) + 1;
    conn_reply(r->c, XS_GET_PERMS, data, used);
    return 0;
}

/* "r5" and the like; 0 or -EINVAL. */
static int parse_perm(const char *text, struct perm *out)
{
    static const char letter[] = "nrwb";
    const char *at = *text ? strchr(letter, *text) : NULL;
    uint64_t domid;

    if (!at || parse_number(text + 1, FIRST_RESERVED - 1, &domid))
        return -EINVAL;
    *out = (struct perm){ .domid = (uint16_t)domid, .bits = (uint8_t)(at - letter) };
    return 0;
}

static int do_set_perms(struct request *r)
{
    struct perm list[512];
    size_t count = 0;
    const char *at = r->rest, *end = r->rest + r->rest_len;
    int rc;

    for (; at < end && *at; at += strlen(at) + 1) {
        if (count == sizeof list / sizeof list[0] || parse_perm(at, &list[count++]))
            return -EINVAL;
    }
    if (!count)
        return -EINVAL;
    rc = store_set_perms(r->s, &r->c->who, r->t, r->path, list, count);
    if (!rc)
        reply_ok(r);
    return rc;
}

/* <path>|<token>|[<depth>|] */
static int do_watch(struct request *r)
{
    const char *token = r->rest, *more = token + strlen(token) + 1, *end = r->rest + r->rest_len;
    uint64_t depth = 0;
    struct watch *w;
    int rc;

    if (!r->rest_len)
        return -EINVAL;
    if (more < end && *more && parse_number(more, 4096, &depth))
        return -EINVAL;
    rc = conn_watch(r->c, r->path, token, more < end && *more ? (int)depth : -1, r->strip, &w);
    if (rc)
        return rc;
    reply_ok(r);
    conn_event(w, w->path, strlen(w->path));
    if (r->c->host->noted)
        r->c->host->noted(r->c, XS_WATCH, 0, w);
    return 0;
}

static int do_unwatch(struct request *r)
{
    int rc = r->rest_len ? conn_unwatch(r->c, r->path, r->rest) : -EINVAL;

    if (!rc)
        reply_ok(r);
    return rc;
}

static int do_reset_watches(struct request *r)
{
    conn_drop_watches(r->c);
    conn_drop_trans(r->c);
    if (r->c->host->noted)
        r->c->host->noted(r->c, XS_RESET_WATCHES, 0, NULL);
    reply_ok(r);
    return 0;
}

static int do_transaction_start(struct request *r)
{
    struct trans *t;
    char text[16];
    int rc;

    if (r->t)
        return -EBUSY;
    rc = trans_start(r->s, &r->c->who, &t);
    if (rc)
        return rc;
    conn_add_trans(r->c, t);
    if (r->c->host->noted)
        r->c->host->noted(r->c, XS_TRANSACTION_START, trans_id(t), NULL);
    conn_reply(r->c, XS_TRANSACTION_START, text, (size_t)snprintf(text, sizeof text, "%u", trans_id(t)) + 1);
    return 0;
}

static int do_transaction_end(struct request *r)
{
    bool commit = !strcmp(r->rest, "T");
    uint32_t id;
    int rc;

    if (!r->rest_len || (!commit && strcmp(r->rest, "F")))
        return -EINVAL;
    if (!r->t)
        return -ENOENT;
    id = trans_id(r->t);
    conn_forget_trans(r->c, r->t);
    rc = trans_end(r->s, r->t, commit);
    if (r->c->host->noted)
        r->c->host->noted(r->c, XS_TRANSACTION_END, id, NULL);
    if (rc == -EAGAIN)
        r->c->host->count.conflicts++;
    else if (commit && !rc)
        r->c->host->count.commits++;
    if (!rc)
        reply_ok(r);
    return rc;
}

/* Which string an operation begins with. */
enum { ARG_NONE, ARG_PATH, ARG_WPATH };
#define NEED_ZERO 1        /* domain 0 only */
#define IN_TRANS 2         /* tx_id counts; it is ignored elsewhere */

static const struct {
    const char *name;
    int (*run)(struct request *r);
    uint8_t arg, flags;
} ops[XS_TYPE_COUNT] = {
    [XS_CONTROL] = { "CONTROL", do_control, ARG_NONE, NEED_ZERO },
    [XS_DIRECTORY] = { "DIRECTORY", do_directory, ARG_PATH, IN_TRANS },
    [XS_DIRECTORY_PART] = { "DIRECTORY_PART", do_directory_part, ARG_PATH, IN_TRANS },
    [XS_READ] = { "READ", do_read, ARG_PATH, IN_TRANS },
    [XS_GET_PERMS] = { "GET_PERMS", do_get_perms, ARG_WPATH, IN_TRANS },
    [XS_WATCH] = { "WATCH", do_watch, ARG_WPATH, 0 },
    [XS_UNWATCH] = { "UNWATCH", do_unwatch, ARG_WPATH, 0 },
    [XS_RESET_WATCHES] = { "RESET_WATCHES", do_reset_watches, ARG_NONE, 0 },
    [XS_TRANSACTION_START] = { "TRANSACTION_START", do_transaction_start, ARG_NONE, IN_TRANS },
    [XS_TRANSACTION_END] = { "TRANSACTION_END", do_transaction_end, ARG_NONE, IN_TRANS },
    [XS_INTRODUCE] = { "INTRODUCE", do_introduce, ARG_NONE, NEED_ZERO },
    [XS_RELEASE] = { "RELEASE", do_release, ARG_NONE, NEED_ZERO },
    [XS_GET_DOMAIN_PATH] = { "GET_DOMAIN_PATH", do_get_domain_path, ARG_NONE, 0 },
    [XS_IS_DOMAIN_INTRODUCED] = { "IS_DOMAIN_INTRODUCED", do_is_domain_introduced, ARG_NONE, 0 },
    [XS_RESUME] = { "RESUME", do_resume, ARG_NONE, NEED_ZERO },
    [XS_SET_TARGET] = { "SET_TARGET", do_set_target, ARG_NONE, NEED_ZERO },
    [XS_WRITE] = { "WRITE", do_write, ARG_PATH, IN_TRANS },
    [XS_MKDIR] = { "MKDIR", do_mkdir, ARG_PATH, IN_TRANS },
    [XS_RM] = { "RM", do_rm, ARG_PATH, IN_TRANS },
    [XS_SET_PERMS] = { "SET_PERMS", do_set_perms, ARG_WPATH, IN_TRANS },
};

/* The first string is the path (where there is one), the rest is what follows; behind the payload there is a NUL of ours. */
static int request_decode(struct request *r)
{
    char *payload = r->c->in + sizeof r->c->head;
    size_t len = r->c->head.len, first;
    uint32_t type = r->c->head.type;

    if (type >= XS_TYPE_COUNT || !ops[type].run)
        return -ENOSYS;
    if ((ops[type].flags & NEED_ZERO) && !r->c->who.privileged)
        return -EACCES;
    if ((ops[type].flags & IN_TRANS) && r->c->head.tx_id) {
        r->t = conn_find_trans(r->c, r->c->head.tx_id);
        if (!r->t)
            return -ENOENT;
    }
    r->rest = payload;
    r->rest_len = len;
    if (ops[type].arg == ARG_NONE)
        return 0;
    first = strnlen(payload, len);
    if (first == len)
        return -EINVAL;
    r->rest = payload + first + 1;
    r->rest_len = len - first - 1;
    return request_path(r, payload, ops[type].arg == ARG_WPATH);
}

void conn_serve(struct conn *c)
{
    struct request r; /* not cleared: the path alone is 3 KiB */
    int rc;

    r.c = c;
    r.s = c->host->store;
    r.t = NULL;
    r.strip = 0;
    r.path[0] = 0;
    c->in[sizeof c->head + c->head.len] = 0;
    c->host->count.requests++;
    c->requests++;
    rc = request_decode(&r);
    if (!rc)
        rc = ops[c->head.type].run(&r);
    if (c->host->trace)
        c->host->log("%s: %s tx %u %.60s: %s", c->name, c->head.type < XS_TYPE_COUNT && ops[c->head.type].name ? ops[c->head.type].name : "?",
                     c->head.tx_id, r.path[0] ? r.path : "-", rc ? strerror(-rc) : "ok");
    if (rc)
        conn_error(c, -rc);
    c->in_used = 0;
}
