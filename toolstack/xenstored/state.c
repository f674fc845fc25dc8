/* SPDX-License-Identifier: MIT */
/*
 * Writing the state file. The journal is written before the client that caused it hears of success, so that what was
 * answered is never lost by a crash of the daemon. The file is on a memory file system: the store does not outlive the
 * machine's run. Types of records: state_types.h.
 */
#include "state.h"
#include "guests.h"
#include "log.h"
#include "record.h"
#include "sock.h"
#include "state_types.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define JOURNAL_MAX (4u << 20)    /* beyond this and the snapshot's own size a new snapshot is made */

bool state_with_sockets;
static int fd = -1;
static struct record_out notes;
static size_t snapshot_len, journal_len;

void state_boot_id(char id[40])
{
    int f = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = f < 0 ? 0 : read(f, id, 39);

    id[n > 0 ? n : 0] = 0;
    if (f >= 0)
        close(f);
}

static bool write_all(int to, const char *data, size_t len)
{
    while (len) {
        ssize_t n = write(to, data, len);

        if (n < 0)
            return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

static void put_perms(struct record_out *o, const struct perms *p)
{
    uint32_t i;

    record_value(o, p->gen);
    record_value(o, p->count);
    for (i = 0; i < p->count; i++) {
        record_value(o, p->list[i].domid);
        record_value(o, p->list[i].bits);
    }
}

struct walk {
    struct record_out *out;
    char path[XENSTORE_ABS_PATH_MAX + 2];
    size_t len;
};

static int save_node(struct node *n, void *arg)
{
    struct walk *w = arg;
    size_t before = w->len;
    int rc;

    w->path[w->len++] = '/';
    memcpy(w->path + w->len, n->name, n->name_len + 1u);
    w->len += n->name_len;
    record_begin(w->out, RECORD_NODE);
    put_perms(w->out, n->perms);
    record_text(w->out, w->path);
    if (n->value)
        record_put(w->out, n->value->bytes, n->value->len);
    record_end(w->out);
    if (!n->name_len)
        w->len = 0;    /* the root: "/", and its children are "/name" */
    rc = kids_visit(n->kids, save_node, w);
    w->len = before;
    return rc;
}

static void save_watch(struct record_out *o, int32_t id, const struct watch *w)
{
    int32_t depth = w->depth;

    record_begin(o, RECORD_WATCH);
    record_value(o, id);
    record_value(o, depth);
    record_value(o, w->strip);
    record_text(o, w->path);
    record_text(o, w->token);
    record_end(o);
}

/* What is half read, read ahead, and not yet sent. */
static void save_buffers(struct record_out *o, int32_t id, const struct conn *c, const char *ahead, uint32_t ahead_len)
{
    const struct conn_out *out;

    record_begin(o, RECORD_BUFFERS);
    record_value(o, id);
    record_value(o, c->in_used);
    record_put(o, c->in, c->in_used);
    record_value(o, ahead_len);
    record_put(o, ahead, ahead_len);
    for (out = c->out; out; out = out->next)
        record_put(o, out->data + out->sent, out->len - out->sent);
    record_end(o);
}

static void save_trans(struct record_out *o, char type, int32_t conn, uint32_t id)
{
    record_begin(o, type);
    record_value(o, conn);
    record_value(o, id);
    record_end(o);
}

static void save_conn(struct record_out *o, int32_t id, struct conn *c, const char *ahead, uint32_t ahead_len)
{
    const struct strmap_entry *e;
    const struct conn_trans *t;

    for (e = strmap_next(&c->watches, NULL); e; e = strmap_next(&c->watches, e))
        save_watch(o, id, e->ptr);
    for (t = c->trans; t; t = t->next)
        save_trans(o, RECORD_TRANS, id, trans_id(t->trans));
    if (c->in_used || c->out || ahead_len)
        save_buffers(o, id, c, ahead, ahead_len);
}

static void save_domain(struct record_out *o, const struct domain *d)
{
    struct domain_state s;

    domain_get_state(d, &s);
    record_begin(o, RECORD_DOMAIN);
    record_value(o, s.domid);
    record_value(o, s.target);
    record_value(o, s.port);
    record_value(o, s.gfn);
    record_value(o, s.shut_down);
    record_end(o);
}

static void save_quota(struct record_out *o, int32_t domid, enum quota q, uint32_t value)
{
    record_begin(o, RECORD_QUOTA);
    record_value(o, domid);
    record_value(o, value);
    record_text(o, quota_names[q]);
    record_end(o);
}

static void save_forgotten(struct record_out *o, uint16_t domid, bool died, uint64_t dead_gen)
{
    record_begin(o, RECORD_GONE);
    record_value(o, domid);
    record_value(o, died);
    record_value(o, dead_gen);
    record_end(o);
}

static void save_owners(struct record_out *o)
{
    uint16_t i;
    int q;

    for (q = 0; q < QUOTA_COUNT; q++)
        save_quota(o, -1, (enum quota)q, store.owners.limit[q]);
    for (i = 0; i < FIRST_RESERVED; i++) {
        const struct owner *own = store.owners.of[i];

        if (!own)
            continue;
        if (own->dead_gen)
            save_forgotten(o, i, true, own->dead_gen);
        for (q = 0; q < QUOTA_COUNT; q++)
            if (own->own >> q & 1)
                save_quota(o, i, (enum quota)q, own->limit[q]);
    }
}

static void save_head(struct record_out *o)
{
    char boot[40];

    state_boot_id(boot);
    record_begin(o, RECORD_HEAD);
    record_text(o, STATE_MAGIC);
    record_text(o, boot);
    record_value(o, store.gen);
    record_value(o, store.last_trans);
    record_end(o);
}

static void save_sockets(struct record_out *o)
{
    struct sock *s;
    int32_t number = sock_listen_fd();

    record_begin(o, RECORD_LISTEN);
    record_value(o, number);
    record_end(o);
    for (s = sock_next(NULL); s; s = sock_next(s)) {
        const char *ahead;
        size_t len = sock_ahead(s, &ahead);

        number = sock_fd(s);
        record_begin(o, RECORD_SOCKET);
        record_value(o, number);
        record_end(o);
        save_conn(o, SOCKET_ID(number), sock_conn(s), ahead, (uint32_t)len);
    }
}

static void save_all(struct record_out *o)
{
    struct walk w = { .out = o };
    struct domain *d;
    uint8_t i;

    save_head(o);
    save_owners(o);
    save_node(store.root, &w);
    for (i = 0; i < 2; i++) {
        record_begin(o, RECORD_SPECIAL);
        record_value(o, i);
        put_perms(o, store.special[i]);
        record_end(o);
    }
    for (d = domain_next(NULL); d; d = domain_next(d)) {
        save_domain(o, d);
        save_conn(o, domain_id(d), domain_conn(d), NULL, 0);
    }
    if (state_with_sockets)
        save_sockets(o);
}

int state_save(const char *path)
{
    struct record_out o = { 0 };
    char temp[4096];
    int f, rc = 0;

    snprintf(temp, sizeof temp, "%s.new", path);
    f = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (f < 0) {
        rc = -errno;
        log_line("the state cannot be written to %s: %s; a restart would lose the store", temp, strerror(errno));
        return rc;
    }
    save_all(&o);
    if (!write_all(f, o.data, o.len) || rename(temp, path)) {
        rc = errno ? -errno : -EIO;
        log_line("the state cannot be written to %s: %s; a restart would lose the store", path, strerror(-rc));
        unlink(temp);
        close(f);
    } else {
        if (fd >= 0)
            close(fd);
        fd = f;
        snapshot_len = o.len;
        journal_len = notes.len = 0;
    }
    free(o.data);
    return rc;
}

void state_flush(void)
{
    if (!notes.len)
        return;
    if (fd >= 0 && !write_all(fd, notes.data, notes.len)) {
        log_line("the journal cannot be written: %s; a new snapshot is tried", strerror(errno));
        notes.len = 0;
        state_save(options.state);
        return;
    }
    journal_len += notes.len;
    notes.len = 0;
    if (fd >= 0 && journal_len > JOURNAL_MAX + snapshot_len)
        state_save(options.state);
}

void state_close(void)
{
    if (fd >= 0)
        close(fd);
    fd = -1;
    free(notes.data);
    notes = (struct record_out){ 0 };
}

void state_note_change(struct store *s, const struct who *who, int op, const char *path, const struct blob *value,
                       const struct perms *perms)
{
    uint8_t what = (uint8_t)op;

    if (fd < 0)
        return;
    record_begin(&notes, RECORD_CHANGE);
    record_value(&notes, who->domid);
    record_value(&notes, who->privileged);
    record_value(&notes, what);
    record_text(&notes, path);
    if (perms)
        put_perms(&notes, perms);
    else if (value)
        record_put(&notes, value->bytes, value->len);
    record_end(&notes);
}

/* Sockets' clients end with the daemon, except in a live update, which makes a snapshot of its own. */
static bool conn_is_domains(const struct conn *c)
{
    struct domain *d = domain_find(c->who.domid);

    return d && domain_conn(d) == c;
}

void state_note_conn(struct conn *c, int op, uint32_t id, const struct watch *w)
{
    int32_t conn = c->who.domid;

    if (fd < 0 || !conn_is_domains(c))
        return;
    if (op == XS_WATCH) {
        save_watch(&notes, conn, w);
    } else if (op == XS_UNWATCH) {
        record_begin(&notes, RECORD_UNWATCH);
        record_value(&notes, conn);
        record_text(&notes, w->path);
        record_text(&notes, w->token);
        record_end(&notes);
    } else {
        save_trans(&notes, op == XS_TRANSACTION_START ? RECORD_TRANS : op == XS_TRANSACTION_END ? RECORD_TRANS_END : RECORD_RESET,
                   conn, id);
    }
}

void state_note_quota(int domid, enum quota q, unsigned value)
{
    if (fd >= 0)
        save_quota(&notes, domid, q, value);
}

void state_note_domain(uint16_t domid, bool died)
{
    const struct domain *d = domain_find(domid);

    if (fd < 0)
        return;
    if (d)
        save_domain(&notes, d);
    else
        save_forgotten(&notes, domid, died, store.owners.of[domid] ? store.owners.of[domid]->dead_gen : 0);
}
