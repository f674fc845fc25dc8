/* SPDX-License-Identifier: MIT */
/*
 * For tests of snapshots: a guest that is made of pretence, whose steps are written down and may each fail, and disks that are files in a
 * folder of our own.
 */
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "disk_private.h"
#include "domains.h"
#include "fault.h"
#include "logdirty.h"
#include "qmp.h"
#include "restore.h"
#include "save.h"
#include "snapshot_private.h"

const char *domain_run_folder = ".", *domain_state_folder = "state";

/* --- the guest ---------------------------------------------------------------------------------------------------------- */

static char events[1024];
static int steps, fail_at;      /* the step that fails, 0: none */
static bool running, suspended;
static uint32_t number;
static const char *memory;      /* what the guest has in it */
static struct disk_config disks[4];
static unsigned n_disks;
static bool logged, no_log;
static uint64_t map[16384 / 64];
static int stop_in_round;       /* the signal that comes then */

static int step(const char *what)
{
    strcat(events, what);
    strcat(events, " ");
    return ++steps == fail_at ? fault(-EIO, "step %s fails", what) : 0;
}

char *domain_name(uint32_t domid)
{
    return domid == number ? strdup("demo") : NULL;
}

int domain_check_name(const char *name)
{
    return strchr(name, '/') || !*name ? fault(-EINVAL, "name '%s'", name) : 0;
}

int domain_find(struct ctl *c, const char *word, uint32_t *domid)
{
    *domid = number;
    return running && !strcmp(word, "demo") ? 0 : fault(-ENOENT, "there is no domain '%s'", word);
}

int domain_destroy(struct ctl *c, uint32_t domid)
{
    int rc = step("destroy");

    assert_int_equal(domid, number);
    running = rc != 0;
    return rc;
}

int save_config(struct ctl *c, uint32_t domid, struct guest_config *cfg)
{
    cfg->disks = disks;
    cfg->n_disks = n_disks;
    cfg->memory = 65536;
    return step("config");
}

void config_dispose(struct guest_config *c)
{
    memset(c, 0, sizeof(*c));
}

void stream_out_fd(struct stream_out *o, struct stream_fd *f, int fd, const char *name)
{
    f->fd = fd;
    o->arg = f;
}

void stream_in_fd(struct stream_in *i, struct stream_fd *f, int fd, const char *name)
{
    f->fd = fd;
    i->arg = f;
}

int save_open(struct save **out, struct ctl *c, uint32_t domid, struct stream_out *to, const struct save_options *o)
{
    *out = (void *)to;
    return step("open");
}

int save_finish(struct save *s, const uint64_t *set, struct save_count *count)
{
    struct stream_fd *f = ((struct stream_out *)(void *)s)->arg;

    assert_true(suspended);
    assert_ptr_equal(set, logged ? map : NULL);
    assert_int_equal(write(f->fd, memory, strlen(memory)), strlen(memory));
    return step("finish");
}

uint64_t save_pages(const struct save *s)
{
    return 16384;
}

int save_round(struct save *s, const uint64_t *set, struct save_count *count)
{
    struct stream_out *o = (void *)s;

    assert_true(logged && !suspended);
    assert_ptr_equal(set, o->offset ? map : NULL);
    o->offset += 4096;
    if (stop_in_round)
        raise(stop_in_round);
    return step("round");
}

int logdirty_begin(struct logdirty *l, struct ctl *c, uint32_t domid, uint64_t pages)
{
    *l = (struct logdirty){ .pages = pages };
    if (no_log)
        return fault(-EOPNOTSUPP, "cannot be logged");
    l->map = map;
    l->on = 1;
    logged = true;
    return 0;
}

int64_t logdirty_take(struct logdirty *l, int add)
{
    assert_true(l->on && add == suspended);
    return 1;
}

void logdirty_end(struct logdirty *l)
{
    l->on = 0;
    logged = false;
}

void save_close(struct save *s)
{
    step("close");
}

int domain_hold(uint32_t domid)
{
    return 0;
}

int devices_settle(uint32_t domid)
{
    return 0;
}

int domain_suspend(struct ctl *c, uint32_t domid, unsigned timeout_ms)
{
    int rc = step("suspend");

    suspended = !rc;
    return rc;
}

int domain_run_on(struct ctl *c, uint32_t domid)
{
    int rc = step("resume");

    suspended = rc != 0;
    return rc;
}

void domain_tell_running(uint32_t domid)
{
    assert_false(suspended);
}

static char restored[64];
int restore_domain(struct ctl *c, struct stream_in *from, const struct restore_options *o, struct restored *out)
{
    struct stream_fd *f = from->arg;
    int rc = step("restore");

    assert_false(running);
    memset(restored, 0, sizeof(restored));
    assert_true(read(f->fd, restored, sizeof(restored) - 1) > 0);
    assert_string_equal(o->name, "demo");
    out->domid = ++number;
    running = !rc;
    return rc;
}

int ctl_domain_unpause(struct ctl *c, domid_t domid)
{
    return step("unpause");
}

int snap_check_attached(uint32_t domid, const struct guest_config *cfg)
{
    return step("attached");
}

int snap_check_users(const struct snap_disks *all, uint32_t but)
{
    return step("users");
}

int disk_find(const struct disk_config *d, struct disk_source *src)
{
    memset(src, 0, sizeof(*src));
    snprintf(src->path, sizeof(src->path), "%s", d->target);
    if (!strncmp(d->target, "/dev/vg/", 8))
        src->st.st_mode = S_IFBLK;
    else if (strncmp(d->target, "nbd:", 4) && stat(d->target, &src->st))
        return fault(-errno, "disk %s: %s", d->target, strerror(errno));
    return 0;
}

/* An image may be served, and by one who takes orders. */
static bool served, daemon_serves, refuses;
int nbd_find(const char *path, struct nbd_server *s)
{
    *s = (struct nbd_server){ .daemon = daemon_serves };
    return served ? 0 : -1;
}

static int connections;
int nbd_orders(const struct nbd_server *s, struct qmp **q)
{
    static char there;

    assert_true(served && s->daemon);
    int rc = step("connect");

    *q = rc ? NULL : (void *)&there;
    connections += !rc;
    return rc;
}

static char ordered[256];
int nbd_snapshot_begin(struct qmp *q, bool make, const char *name)
{
    assert_non_null(q);
    snprintf(ordered, sizeof(ordered), make ? "cp disks/a.img disks/a.img.d/%s" : "rm disks/a.img.d/%s", name);
    return step(make ? "order" : "order-delete");
}

int qmp_finish(struct qmp *q)
{
    assert_non_null(q);
    if (refuses)
        return fault(-EREMOTEIO, "refused");
    assert_int_equal(system(ordered), 0);
    return step("done");
}

void qmp_close(struct qmp *q)
{
    connections -= q != NULL;
}

int nbd_let_go(const struct nbd_server *s)
{
    return step("let-go");
}

int nbd_take_up(const struct nbd_server *s)
{
    return step("take-up");
}

/* Thin volumes: the pool's number 2 becomes what root is now. */
int thin_find(const char *node, struct thin *t)
{
    *t = (struct thin){ .id = 1 };
    return step("thin");
}

int thin_suspend(const struct thin *t, bool on)
{
    assert_true(suspended);
    return step(on ? "hold" : "release");
}

int thin_set(const struct thin *t, uint32_t id)
{
    assert_int_equal(t->id, 1);
    assert_int_equal(id, 2);
    assert_int_equal(system("cp disks/vg/root disks/vg/root.one"), 0);
    return step("set");
}

/* --- a folder to work in ------------------------------------------------------------------------------------------------ */

static char where[] = "/tmp/t_snapshot.XXXXXX";
static char disk_a[128], disk_b[128];

static inline int sh(const char *command)
{
    return system(command);
}

static inline void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static inline const char *get(const char *path)
{
    static char text[256];
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    text[n < 0 ? 0 : n] = 0;
    if (fd >= 0)
        close(fd);
    return n < 0 ? "(none)" : text;
}

static inline bool there(const char *path)
{
    return !access(path, F_OK);
}

/* Stands for sharing blocks, which this file system may not be able to do. */
static bool can_share;
static int clones;
static int pretend_clone(int to, int from)
{
    char buf[256];
    ssize_t n;

    if (!can_share)
        return -EOPNOTSUPP;
    lseek(from, 0, SEEK_SET);
    while ((n = read(from, buf, sizeof(buf))) > 0)
        if (write(to, buf, (size_t)n) != n)
            return -EIO;
    clones++;
    return 0;
}

static struct snapshot_options options;
static struct snapshot_cost cost;

static int setup(void **state)
{
    assert_int_equal(sh("rm -rf state disks bin; mkdir disks bin"), 0);
    snprintf(disk_a, sizeof(disk_a), "%s/disks/a.img", where);
    snprintf(disk_b, sizeof(disk_b), "%s/disks/b.img", where);
    put(disk_a, "a at first");
    put(disk_b, "b at first");
    disks[0] = (struct disk_config){ .target = disk_a, .vdev = "xvda" };
    disks[1] = (struct disk_config){ .target = disk_b, .vdev = "xvdb" };
    disks[2] = (struct disk_config){ .target = disk_a, .vdev = "xvdc", .readonly = true };
    n_disks = 3;
    snap_clone = pretend_clone;
    can_share = true;
    options = (struct snapshot_options){ 0 };
    running = true;
    suspended = served = daemon_serves = refuses = no_log = false;
    stop_in_round = 0;
    number = 7;
    memory = "counter 41";
    *events = 0;
    steps = fail_at = 0;
    fault_clear();
    return 0;
}

static inline void create(const char *name)
{
    *events = 0;
    steps = 0;
    if (snapshot_create(NULL, number, name, &options, &cost))
        fail_msg("%s", fault_text());
}

static inline int revert(const char *name)
{
    uint32_t domid;

    *events = 0;
    steps = 0;
    fault_clear();
    return snapshot_revert(NULL, "demo", name, &options, &domid);
}

static inline unsigned count(void)
{
    struct snapshot_info *list;
    int n = snapshot_list(NULL, &list);

    assert_true(n >= 0);
    snapshot_list_free(list, (unsigned)n);
    return (unsigned)n;
}

/* Nothing of a snapshot that came to nothing. */
static inline void nothing_left(void)
{
    assert_int_equal(count(), 0);
    assert_int_equal(sh("test -z \"$(ls disks | grep -v '^[ab].img$')\""), 0);
    assert_int_equal(sh("test -z \"$(find state -type f)\""), 0);
}

static volatile int heard;
static inline void on_signal(int which)
{
    heard++;
}

/* Room for two probes and the first disk. */
static inline int clone_a_only(int to, int from)
{
    return clones < 3 ? pretend_clone(to, from) : -ENOSPC;
}

static inline int setup_all(void **state)
{
    char path[4200];

    if (!mkdtemp(where) || chdir(where))
        return -1;
    snprintf(path, sizeof(path), "%s/bin:%s", where, getenv("PATH"));
    setenv("PATH", path, 1);
    return 0;
}

static inline int teardown_all(void **state)
{
    char command[64];

    snprintf(command, sizeof(command), "rm -rf %s", where);
    return chdir("/") || sh(command);
}
