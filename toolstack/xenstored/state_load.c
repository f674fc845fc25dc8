/* SPDX-License-Identifier: MIT */
/*
 * Reading the state file. The tree is rebuilt record by record; connections are collected first, since the journal may
 * still undo them, and set up at the end.
 */
#include "state.h"
#include "guests.h"
#include "log.h"
#include "record.h"
#include "sock.h"
#include "state_types.h"
#include "trans.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct who zero = { .target = NO_DOMAIN, .privileged = true };

/* A connection as the file tells it. */
struct past {
    bool is_there;
    struct domain_state domain;
    struct strmap watches;         /* path NUL token -> its record */
    struct strmap trans;           /* id */
    struct record_in buffers;
};

struct load {
    struct strmap conns;           /* id -> struct past */
    int listen_fd;
};

static struct past *past_of(struct load *l, int32_t id)
{
    struct strmap_entry *e = strmap_put(&l->conns, (const char *)&id, sizeof id, NULL);

    if (!e->ptr)
        e->ptr = xalloc(sizeof(struct past));
    return e->ptr;
}

static void past_clear(struct past *p)
{
    struct strmap_entry *e;

    for (e = strmap_next(&p->watches, NULL); e; e = strmap_next(&p->watches, e))
        free(e->ptr);
    strmap_clear(&p->watches);
    strmap_clear(&p->trans);
    p->buffers = (struct record_in){ 0 };
}

static struct perms *load_perms(struct record_in *in)
{
    struct perm list[512];
    uint64_t gen;
    uint32_t count, i;

    record_get_value(in, gen);
    record_get_value(in, count);
    if (!count || count > 512) {
        in->bad = true;
        return NULL;
    }
    for (i = 0; i < count; i++) {
        record_get_value(in, list[i].domid);
        record_get_value(in, list[i].bits);
        if (list[i].domid >= FIRST_RESERVED || list[i].bits > PERM_BOTH)
            in->bad = true;
    }
    return in->bad ? NULL : perms_new(list, count, gen);
}

static void load_node(struct record_in *in)
{
    struct perms *perms = load_perms(in);
    const char *path = record_get_text(in);

    if (in->bad || !path_valid(path, strlen(path))) {
        in->bad = true;
        if (perms)
            perms_put(perms);
        return;
    }
    edit_write(&store, NULL, &zero, path, blob_new(in->at, (size_t)(in->end - in->at)), true);
    if (perms_same(tree_find(store.root, path, NULL, NULL)->perms, perms))
        perms_put(perms);
    else
        edit_set_perms(&store, NULL, &zero, path, perms);
}

static void load_special(struct record_in *in)
{
    struct perms *perms;
    uint8_t i;

    record_get_value(in, i);
    perms = load_perms(in);
    if (!perms || i > 1) {
        in->bad = true;
        return;
    }
    perms_put(store.special[i]);
    store.special[i] = perms;
}

static void change_perms(struct record_in *in, const char *path)
{
    struct perms *perms = load_perms(in);

    if (!perms)
        return;
    if (path[0] == '@') {
        perms_put(store.special[!strcmp(path, SPECIAL_RELEASE)]);
        store.special[!strcmp(path, SPECIAL_RELEASE)] = perms;
    } else {
        edit_set_perms(&store, NULL, &zero, path, perms);
    }
}

static void load_change(struct record_in *in)
{
    struct who who = { .target = NO_DOMAIN };
    const char *path;
    uint8_t op;

    record_get_value(in, who.domid);
    record_get_value(in, who.privileged);
    record_get_value(in, op);
    path = record_get_text(in);
    if (path[0] != '@' && !path_valid(path, strlen(path))) {
        in->bad = true;
        return;
    }
    if (op == XS_WRITE || op == XS_MKDIR)
        edit_write(&store, NULL, &who, path, op == XS_WRITE ? blob_new(in->at, (size_t)(in->end - in->at)) : NULL, op == XS_WRITE);
    else if (path[0] != '@' && !tree_find(store.root, path, NULL, NULL))
        in->bad = true;
    else if (op == XS_RM)
        edit_rm(&store, NULL, &zero, path);
    else
        change_perms(in, path);
}

static void load_quota(struct record_in *in)
{
    int32_t domid;
    uint32_t value;
    struct owner *o;
    int q;

    record_get_value(in, domid);
    record_get_value(in, value);
    q = quota_by_name(record_get_text(in));
    if (q < 0 || domid >= FIRST_RESERVED)
        return;    /* one that this version no longer has */
    if (domid < 0) {
        store.owners.limit[q] = value;
        return;
    }
    o = owner_of(&store.owners, (uint16_t)domid);
    o->limit[q] = value;
    o->own |= 1u << q;
}

static void load_gone(struct load *l, struct record_in *in)
{
    uint64_t dead_gen;
    uint16_t domid;
    bool died;

    record_get_value(in, domid);
    record_get_value(in, died);
    record_get_value(in, dead_gen);
    if (domid >= FIRST_RESERVED)
        return;
    owner_of(&store.owners, domid)->dead_gen = dead_gen;
    if (died)
        owner_of(&store.owners, domid)->own = 0;
    past_of(l, domid)->is_there = false;
    past_clear(past_of(l, domid));
}

static void load_domain(struct load *l, struct record_in *in)
{
    struct domain_state s;
    struct past *p;

    record_get_value(in, s.domid);
    record_get_value(in, s.target);
    record_get_value(in, s.port);
    record_get_value(in, s.gfn);
    record_get_value(in, s.shut_down);
    p = past_of(l, s.domid);
    if (p->is_there && (p->domain.port != s.port || p->domain.gfn != s.gfn))
        past_clear(p);    /* a new ring */
    p->is_there = true;
    p->domain = s;
}

static struct record_in *keep_record(const struct record_in *in)
{
    struct record_in *kept = xalloc(sizeof *kept);

    *kept = *in;
    return kept;
}

/* The key of a watch's record is its path and token with both NULs; what stands before them has `skip` bytes. */
static void load_watch(struct load *l, struct record_in *in, bool add)
{
    struct record_in all = *in;
    struct strmap_entry *e;
    struct past *p;
    int32_t id;
    const char *key;
    size_t len;

    record_get_value(in, id);
    if (add)
        in->at += in->end - in->at < 8 ? in->end - in->at : 8;
    key = in->at;
    len = (size_t)(in->end - in->at);
    p = past_of(l, id);
    e = strmap_find(&p->watches, key, len);
    if (add && !e) {
        strmap_put(&p->watches, key, len, NULL)->ptr = keep_record(&all);
    } else if (!add && e) {
        free(e->ptr);
        strmap_remove(&p->watches, e);
    }
}

static void load_trans(struct load *l, struct record_in *in, char type)
{
    struct strmap_entry *e;
    int32_t conn;
    uint32_t id;

    record_get_value(in, conn);
    record_get_value(in, id);
    if (type == RECORD_RESET) {
        past_clear(past_of(l, conn));
    } else if (type == RECORD_TRANS) {
        strmap_put(&past_of(l, conn)->trans, (const char *)&id, sizeof id, NULL);
    } else {
        e = strmap_find(&past_of(l, conn)->trans, (const char *)&id, sizeof id);
        if (e)
            strmap_remove(&past_of(l, conn)->trans, e);
    }
}

static void load_record(struct load *l, char type, struct record_in *in)
{
    int32_t id;

    switch (type) {
    case RECORD_NODE: load_node(in); break;
    case RECORD_SPECIAL: load_special(in); break;
    case RECORD_CHANGE: load_change(in); break;
    case RECORD_QUOTA: load_quota(in); break;
    case RECORD_GONE: load_gone(l, in); break;
    case RECORD_DOMAIN: load_domain(l, in); break;
    case RECORD_WATCH: load_watch(l, in, true); break;
    case RECORD_UNWATCH: load_watch(l, in, false); break;
    case RECORD_TRANS:
    case RECORD_TRANS_END:
    case RECORD_RESET: load_trans(l, in, type); break;
    case RECORD_LISTEN: record_get_value(in, l->listen_fd); break;
    case RECORD_SOCKET:
        record_get_value(in, id);
        past_of(l, SOCKET_ID(id))->is_there = true;
        break;
    case RECORD_BUFFERS:
        record_get_value(in, id);
        past_of(l, id)->buffers = *in;
        break;
    default: in->bad = true;
    }
}

/* What was half read and not sent. */
static void restore_buffers(struct conn *c, struct record_in *in, struct sock *s)
{
    uint32_t len;
    struct conn_out *o;

    record_get_value(in, len);
    if (len <= sizeof c->in - 1) {
        record_get(in, c->in, len);
        c->in_used = len;
    }
    record_get_value(in, len);
    if (in->bad || len > (size_t)(in->end - in->at))
        return;
    if (s && len)
        sock_set_ahead(s, in->at, len);
    in->at += len;
    len = (uint32_t)(in->end - in->at);
    if (!len)
        return;
    o = xalloc(sizeof *o + len);
    o->len = len;
    memcpy(o->data, in->at, len);
    *c->out_last = o;
    c->out_last = &o->next;
    c->out_bytes += len;
}

static void restore_watch(struct conn *c, struct record_in *in)
{
    struct watch *w;
    int32_t id, depth;
    uint32_t strip;
    const char *path;

    record_get_value(in, id);
    record_get_value(in, depth);
    record_get_value(in, strip);
    path = record_get_text(in);
    if (strip <= strlen(path) && !conn_watch(c, path, record_get_text(in), depth, strip, &w))
        conn_event(w, path, strlen(path));    /* what happened while nobody looked */
}

static void restore_conn(struct conn *c, struct past *p, struct sock *s)
{
    struct strmap_entry *e;
    struct trans *t;
    uint32_t id;

    if (p->buffers.at)
        restore_buffers(c, &p->buffers, s);
    for (e = strmap_next(&p->watches, NULL); e; e = strmap_next(&p->watches, e))
        restore_watch(c, e->ptr);
    for (e = strmap_next(&p->trans, NULL); e; e = strmap_next(&p->trans, e)) {
        memcpy(&id, e->key, sizeof id);
        if (!trans_revive(&store, &c->who, id, &t))
            conn_add_trans(c, t);
    }
    host.wake(c);
}

static void restore_conns(struct load *l)
{
    struct strmap_entry *e;

    for (e = strmap_next(&l->conns, NULL); e; e = strmap_next(&l->conns, e)) {
        struct past *p = e->ptr;
        int32_t id;

        memcpy(&id, e->key, sizeof id);
        if (p->is_there && id >= SOCKET_ID(0)) {
            struct sock *s = sock_adopt(id - SOCKET_ID(0));

            fcntl(sock_fd(s), F_SETFD, FD_CLOEXEC);
            restore_conn(sock_conn(s), p, s);
        } else if (p->is_there && !options.no_domains) {
            if (domain_restore(&p->domain))
                store_forget_domain(&store, (uint16_t)id, true);    /* it ended in between */
            else
                restore_conn(domain_conn(domain_find((uint16_t)id)), p, NULL);
        }
        past_clear(p);
        free(p);
    }
    strmap_clear(&l->conns);
}

/* 0: the file is ours and of this boot. */
static int load_head(struct record_in *in)
{
    char boot[40];

    state_boot_id(boot);
    if (strcmp(record_get_text(in), STATE_MAGIC))
        return -EINVAL;
    if (strcmp(record_get_text(in), boot))
        return -ESTALE;
    record_get_value(in, store.gen);
    record_get_value(in, store.last_trans);
    return 0;
}

static int load_records(const char *at, const char *end)
{
    struct load l = { .listen_fd = -1 };
    struct record_in in;
    unsigned records = 0, bad = 0;
    bool torn;
    char type = record_next(&at, end, &in, &torn);
    int rc = type == RECORD_HEAD ? load_head(&in) : -EINVAL;

    if (rc)
        return rc;
    while ((type = record_next(&at, end, &in, &torn))) {
        load_record(&l, type, &in);
        records++;
        bad += in.bad;
    }
    log_line("state: %u records read%s", records, torn ? "; the last one is cut off and was left out" : "");
    if (bad)
        log_line("state: %u records made no sense and were left out", bad);
    rc = sock_listen(&host, options.socket, l.listen_fd);
    restore_conns(&l);
    return rc;
}

int state_load(const char *path)
{
    struct stat st;
    int f = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), rc;
    char *file;

    if (f < 0)
        return -errno;
    if (fstat(f, &st) || st.st_uid != geteuid() || !st.st_size) {
        close(f);
        return -EINVAL;
    }
    file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, f, 0);
    close(f);
    if (file == MAP_FAILED)
        return -errno;
    rc = load_records(file, file + st.st_size);
    munmap(file, (size_t)st.st_size);
    return rc;
}
