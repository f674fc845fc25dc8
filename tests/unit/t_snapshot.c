/* SPDX-License-Identifier: MIT */
/*
 * Snapshots with files for disks and a guest that is made of pretence: what is made, what is left after a failure at each step, what is put
 * back, names and descriptions that mean harm. LVM's and QEMU's programs are little scripts here.
 *
 * sources: toolstack/lib/snapshot_create.c toolstack/lib/snapshot_revert.c toolstack/lib/snapshot_list.c toolstack/lib/snapshot_folder.c
 * sources: toolstack/lib/snapshot_meta.c toolstack/lib/snapshot_disks.c toolstack/lib/snapshot_file.c toolstack/lib/snapshot_lvm.c
 * sources: toolstack/lib/snapshot_qcow2.c toolstack/lib/snapshot_signals.c toolstack/lib/precopy.c toolstack/lib/program.c toolstack/lib/fault.c
 * libs: -ljson-c -lm
 */
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

int domain_suspend(struct ctl *c, uint32_t domid, unsigned timeout_ms)
{
    int rc = step("suspend");

    suspended = !rc;
    return rc;
}

int domain_resume_here(struct ctl *c, uint32_t domid)
{
    int rc = step("resume");

    suspended = rc != 0;
    return rc;
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

static bool served;
int nbd_find(const char *path, struct nbd_server *s)
{
    return served ? 0 : -1;
}

int nbd_let_go(const struct nbd_server *s)
{
    return step("let-go");
}

int nbd_take_up(const struct nbd_server *s)
{
    return step("take-up");
}

/* --- a folder to work in ------------------------------------------------------------------------------------------------ */

static char where[] = "/tmp/t_snapshot.XXXXXX";
static char disk_a[128], disk_b[128];

static int sh(const char *command)
{
    return system(command);
}

static void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static const char *get(const char *path)
{
    static char text[256];
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    text[n < 0 ? 0 : n] = 0;
    if (fd >= 0)
        close(fd);
    return n < 0 ? "(none)" : text;
}

static bool there(const char *path)
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
    suspended = served = no_log = false;
    stop_in_round = 0;
    number = 7;
    memory = "counter 41";
    *events = 0;
    steps = fail_at = 0;
    fault_clear();
    return 0;
}

static void create(const char *name)
{
    *events = 0;
    steps = 0;
    if (snapshot_create(NULL, number, name, &options, &cost))
        fail_msg("%s", fault_text());
}

static int revert(const char *name)
{
    uint32_t domid;

    *events = 0;
    steps = 0;
    fault_clear();
    return snapshot_revert(NULL, "demo", name, &options, &domid);
}

static unsigned count(void)
{
    struct snapshot_info *list;
    int n = snapshot_list(NULL, &list);

    assert_true(n >= 0);
    snapshot_list_free(list, (unsigned)n);
    return (unsigned)n;
}

/* Nothing of a snapshot that came to nothing. */
static void nothing_left(void)
{
    assert_int_equal(count(), 0);
    assert_int_equal(sh("test -z \"$(ls disks | grep -v '^[ab].img$')\""), 0);
    assert_int_equal(sh("test -z \"$(find state -type f)\""), 0);
}

/* --- making ------------------------------------------------------------------------------------------------------------- */

static void test_create(void **state)
{
    struct snapshot_info *l;

    create("one");
    assert_string_equal(events, "config attached open round suspend finish resume close ");
    assert_false(suspended);
    assert_string_equal(get("disks/a.img@one"), "a at first");
    assert_string_equal(get("disks/b.img@one"), "b at first");
    assert_string_equal(get("state/snapshots/demo/one/memory"), "counter 41");
    assert_int_equal(snapshot_list("demo", &l), 1);
    assert_string_equal(l->guest, "demo");
    assert_string_equal(l->name, "one");
    assert_null(l->damage);
    assert_int_equal(l->n_disks, 3);
    assert_string_equal(l->disk[0].method, "reflink");
    assert_string_equal(l->disk[2].method, "unchanged");
    assert_int_equal(l->disk[0].bytes, 10);
    assert_int_equal(l->guest_memory, 65536);
    snapshot_list_free(l, 1);
    assert_int_equal(snapshot_create(NULL, number, "one", &options, &cost), -EEXIST);
    assert_string_equal(get("disks/a.img@one"), "a at first");
    create("two");
    assert_int_equal(count(), 2);
}

/* Whichever step fails: the guest goes on, nothing is left, and the text is the failure's. */
static void test_create_fails_at(void **state)
{
    for (int i = 1; i <= 7; i++) {
        setup(NULL);
        fail_at = i;
        int rc = snapshot_create(NULL, number, "one", &options, &cost);

        assert_false(logged);
        if (i == 7) { /* the guest does not go on: then the snapshot is all that there is of it */
            assert_int_equal(rc, -EIO);
            assert_non_null(strstr(fault_text(), "snapshot revert demo one"));
            assert_int_equal(count(), 1);
            continue;
        }
        assert_int_equal(rc, -EIO);
        assert_non_null(strstr(fault_text(), "fails"));
        assert_false(suspended);
        nothing_left();
    }
}

/* A guest that cannot be logged stands still while all is written. */
static void test_create_not_live(void **state)
{
    no_log = true;
    create("one");
    assert_string_equal(events, "config attached open suspend finish resume close ");
    assert_int_equal(cost.rounds, 0);
}

static volatile int heard;
static void on_signal(int which)
{
    heard++;
}

/* Stopped in a round: the guest is not touched, nothing is left, and the signal arrives when all is done. */
static void test_create_stopped(void **state)
{
    struct sigaction a = { .sa_handler = on_signal };

    sigaction(SIGTERM, &a, NULL);
    stop_in_round = SIGTERM;
    heard = 0;
    assert_int_equal(snapshot_create(NULL, number, "one", &options, &cost), -EINTR);
    assert_int_equal(heard, 1);
    assert_string_equal(events, "config attached open round close ");
    assert_false(logged);
    nothing_left();
}

/* The second disk cannot be set down in the pause: the first one's copy goes, the guest runs. */
static void test_create_disk_fails(void **state)
{
    static struct stat st;

    put("disks/b.img@one", "somebody's");
    assert_int_equal(snapshot_create(NULL, number, "one", &options, &cost), -EEXIST);
    assert_non_null(strstr(fault_text(), "disk xvdb: there is a file"));
    assert_string_equal(events, "config attached ");
    assert_string_equal(get("disks/b.img@one"), "somebody's");
    unlink("disks/b.img@one");
    nothing_left();
    assert_int_equal(stat("state/snapshots/demo", &st), -1);
}

static int clone_a_only(int to, int from)
{
    return clones < 3 ? pretend_clone(to, from) : -ENOSPC; /* two probes and the first disk */
}

static void test_create_no_room(void **state)
{
    clones = 0;
    snap_clone = clone_a_only;
    int rc = snapshot_create(NULL, number, "one", &options, &cost);

    clones = 0;
    assert_int_equal(rc, -ENOSPC);
    assert_non_null(strstr(fault_text(), "b.img@one"));
    assert_string_equal(events, "config attached open round suspend resume close ");
    nothing_left();
}

static void test_refused(void **state)
{
    can_share = false;
    assert_int_equal(snapshot_create(NULL, number, "one", &options, &cost), -EOPNOTSUPP);
    assert_non_null(strstr(fault_text(), "disk xvda: the file system of"));
    assert_non_null(strstr(fault_text(), "--copy"));
    nothing_left();
    options.copy = true;
    create("one");
    assert_string_equal(get("disks/b.img@one"), "b at first");
    disks[1].target = (char *)"nbd:1.2.3.4:10809";
    fault_clear();
    assert_int_equal(snapshot_create(NULL, number, "two", &options, &cost), -EOPNOTSUPP);
    assert_non_null(strstr(fault_text(), "served from elsewhere"));
    disks[1].script = (char *)"block-drbd";
    fault_clear();
    assert_int_equal(snapshot_create(NULL, number, "two", &options, &cost), -EOPNOTSUPP);
    assert_non_null(strstr(fault_text(), "by a script (block-drbd)"));
    assert_false(there("disks/a.img@two"));
}

static void test_names(void **state)
{
    static const char *const bad[] = { "", ".", "..", "../x", "a/b", "-x", ".x", "_x", "a b", "a\n", "@", "1", "20261124", "a234567890123456789012345678901234567890123456789012345678901234" };
    static const char *const good[] = { "a", "before-upgrade", "2026-11-24_12.30", "1a", "a23456789012345678901234567890123456789012345678901234567890123" };
    uint32_t domid;

    for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_int_equal(snapshot_create(NULL, number, bad[i], &options, &cost), -EINVAL);
        assert_int_equal(snapshot_revert(NULL, "demo", bad[i], &options, &domid), -EINVAL);
        assert_int_equal(snapshot_delete(NULL, "demo", bad[i]), -EINVAL);
    }
    for (unsigned i = 0; i < sizeof(good) / sizeof(*good); i++)
        assert_int_equal(snapshot_check_name(good[i]), 0);
    fault_clear();
    assert_int_equal(snapshot_delete(NULL, "../..", "x"), -EINVAL);
    assert_int_equal(snapshot_delete(NULL, "..", "x"), -EINVAL);
    assert_int_equal(snapshot_delete(NULL, "nobody", "x"), -ENOENT);
    assert_int_equal(snapshot_create(NULL, 99, "x", &options, &cost), -ENOENT);
    assert_string_equal(events, "");
}

/* --- reverting ---------------------------------------------------------------------------------------------------------- */

static void change(void)
{
    put(disk_a, "a later on, and longer");
    put(disk_b, "b later");
    memory = "counter 99";
}

static void test_revert(void **state)
{
    struct stat st;

    create("one");
    change();
    create("two");
    assert_int_equal(revert("one"), 0);
    assert_string_equal(events, "users destroy restore unpause ");
    assert_string_equal(restored, "counter 41");
    assert_string_equal(get(disk_a), "a at first");
    assert_string_equal(get(disk_b), "b at first");
    assert_int_equal(stat(disk_a, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_string_equal(get("disks/a.img@one"), "a at first");
    assert_false(there("disks/a.img@one.new"));
    put(disk_a, "once more");
    assert_string_equal(get("disks/a.img@one"), "a at first");
    assert_int_equal(revert("two"), 0);
    assert_string_equal(restored, "counter 99");
    assert_string_equal(get(disk_a), "a later on, and longer");
    running = false; /* of a guest that is gone */
    options.paused = true;
    assert_int_equal(revert("one"), 0);
    assert_string_equal(events, "users restore ");
    assert_int_equal(count(), 2);
}

static void test_revert_fails_at(void **state)
{
    static const char *const says[] = { "users fails", "disks have not been touched", "could not be brought back", "could not be brought back" };

    for (int i = 1; i <= 4; i++) {
        setup(NULL);
        create("one");
        change();
        fail_at = i;
        assert_int_equal(revert("one"), -EIO);
        if (!strstr(fault_text(), says[i - 1]))
            fail_msg("%d: %s", i, fault_text());
        assert_string_equal(get(disk_a), i < 3 ? "a later on, and longer" : "a at first");
        assert_string_equal(get(disk_b), i < 3 ? "b later" : "b at first");
        assert_false(there("disks/a.img@one.new"));
        assert_int_equal(running, i < 3);
        fail_at = 0;
        assert_int_equal(revert("one"), 0);
        assert_string_equal(restored, "counter 41");
        assert_string_equal(get(disk_b), "b at first");
    }
}

/* Whatever is missing is found while the guest still runs. */
static void test_revert_damaged(void **state)
{
    struct snapshot_info *l;

    create("one");
    change();
    assert_int_equal(rename("disks/b.img@one", "disks/away"), 0);
    assert_int_equal(revert("one"), -ENOENT);
    assert_non_null(strstr(fault_text(), "disk xvdb: its copy"));
    assert_string_equal(events, "");
    assert_int_equal(snapshot_list("demo", &l), 1);
    assert_non_null(strstr(l->damage, "xvdb"));
    snapshot_list_free(l, 1);
    put("disks/b.img@one", "short");
    assert_int_equal(revert("one"), -EIO);
    assert_int_equal(rename("disks/away", "disks/b.img@one"), 0);
    put("state/snapshots/demo/one/memory", "");
    assert_int_equal(revert("one"), -ENODATA);
    unlink("state/snapshots/demo/one/memory");
    assert_int_equal(revert("one"), -ENOENT);
    assert_string_equal(events, "");
    assert_int_equal(revert("nope"), -ENOENT);
    assert_string_equal(get(disk_a), "a later on, and longer");
}

/* Stopped before the guest has been ended: it runs on, as if nothing had been. */
static int revert_signal;
static int clone_and_signal(int to, int from)
{
    raise(revert_signal);
    return pretend_clone(to, from);
}

static void test_revert_stopped(void **state)
{
    struct sigaction a = { .sa_handler = on_signal };

    create("one");
    change();
    revert_signal = SIGTERM;
    sigaction(SIGTERM, &a, NULL);
    heard = 0;
    snap_clone = clone_and_signal;
    assert_int_equal(revert("one"), -EINTR);
    assert_int_equal(heard, 1);
    assert_string_equal(events, "users ");
    assert_false(there("disks/a.img@one.new"));
    assert_string_equal(get(disk_a), "a later on, and longer");
}

static void test_revert_no_room(void **state)
{
    create("one");
    change();
    clones = 2;
    snap_clone = clone_a_only; /* one more, then none */
    assert_int_equal(revert("one"), -ENOSPC);
    assert_string_equal(events, "users ");
    assert_false(there("disks/a.img@one.new"));
    assert_string_equal(get(disk_a), "a later on, and longer");
}

/* --- deleting, and what was left ---------------------------------------------------------------------------------------- */

static void test_delete(void **state)
{
    create("one");
    create("two");
    unlink("disks/b.img@two");
    assert_int_equal(snapshot_delete(NULL, "demo", "two"), 0); /* what is gone already is fine */
    assert_int_equal(count(), 1);
    assert_string_equal(get("disks/a.img@one"), "a at first");
    assert_int_equal(snapshot_delete(NULL, "demo", "two"), -ENOENT);
    assert_int_equal(snapshot_delete(NULL, "demo", "one"), 0);
    nothing_left();
    assert_false(there("state/snapshots/demo"));
}

static void test_delete_fails(void **state)
{
    create("one");
    assert_int_equal(sh("rm disks/a.img@one; mkdir disks/a.img@one"), 0);
    assert_int_not_equal(snapshot_delete(NULL, "demo", "one"), 0);
    assert_non_null(strstr(fault_text(), "delete it again"));
    assert_int_equal(count(), 1);
    assert_int_equal(sh("rmdir disks/a.img@one"), 0);
    assert_int_equal(snapshot_delete(NULL, "demo", "one"), 0);
    nothing_left();
}

/* A command was killed: while it made one, while it deleted one. */
static void test_killed(void **state)
{
    create("one");
    create("two");
    assert_int_equal(rename("state/snapshots/demo/one", "state/snapshots/demo/.one.new"), 0);
    assert_int_equal(rename("state/snapshots/demo/two", "state/snapshots/demo/.two.gone"), 0);
    assert_int_equal(mkdir("state/snapshots/demo/.three.new", 0700), 0);
    assert_int_equal(count(), 0);
    create("four");
    assert_int_equal(count(), 1);
    assert_int_equal(sh("test \"$(ls -A state/snapshots/demo | tr '\\n' ' ')\" = '.lock four '"), 0);
    assert_int_equal(sh("test \"$(ls disks | tr '\\n' ' ')\" = 'a.img a.img@four b.img b.img@four '"), 0);
}

static void test_locked(void **state)
{
    create("one");
    int fd = open("state/snapshots/demo/.lock", O_RDWR);

    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(snapshot_create(NULL, number, "two", &options, &cost), -EBUSY);
    assert_int_equal(snapshot_delete(NULL, "demo", "one"), -EBUSY);
    close(fd);
    assert_int_equal(snapshot_delete(NULL, "demo", "one"), 0);
}

/* --- descriptions that mean harm ------------------------------------------------------------------------------------------ */

static void test_meta(void **state)
{
    static const char *const bad[] = { "", "[]", "{}", "{\"version\":2}", "{\"version\":1,\"guest\":1}",
        "{\"version\":1,\"guest\":\"demo\",\"snapshot\":\"one\",\"time\":1,\"guest_memory_kib\":1,\"pause_us\":1}",
        "{\"version\":1,\"guest\":\"demo\",\"snapshot\":\"one\",\"time\":-1,\"guest_memory_kib\":1,\"pause_us\":1,\"disks\":[]}",
        "{\"version\":1,\"guest\":\"demo\",\"snapshot\":\"one\",\"time\":1,\"guest_memory_kib\":1,\"pause_us\":1,\"disks\":[1]}",
        "{\"version\":1,\"guest\":\"de\\nmo\",\"snapshot\":\"one\",\"time\":1,\"guest_memory_kib\":1,\"pause_us\":1,\"disks\":[]}",
        "{\"version\":1,\"guest\":\"demo\",\"snapshot\":\"other\",\"time\":1,\"guest_memory_kib\":1,\"pause_us\":1,\"disks\":[]}",
        "{\"version\":1,\"guest\":\"demo\",\"snapshot\":\"one\",\"time\":1,\"guest_memory_kib\":1,\"pause_us\":1,\"disks\":[{\"vdev\":\"xvda\",\"target\":\"/x\",\"format\":\"raw\",\"method\":\"magic\",\"copy\":\"/y\",\"bytes\":0}]}",
        "{\"version\":1,\"guest\":\"demo\",\"snapshot\":\"one\",\"time\":1,\"guest_memory_kib\":1,\"pause_us\":1,\"disks\":[{\"vdev\":\"xvda\",\"target\":\"/x\",\"format\":\"raw\",\"method\":\"lvm-thin\",\"copy\":\"-f\",\"bytes\":0}]}",
        "{\"version\":1,\"guest\":\"demo\",\"snapshot\":\"one\",\"time\":1,\"guest_memory_kib\":1,\"pause_us\":1,\"disks\":[{\"vdev\":\"xvda\",\"target\":\"/x\",\"format\":\"raw\",\"method\":\"copy\",\"bytes\":0}]}" };

    create("one");
    for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        put("state/snapshots/demo/one/meta.json", bad[i]);
        assert_int_equal(revert("one"), -EBADMSG);
        assert_non_null(strstr(fault_text(), "state/snapshots/demo/one"));
        assert_string_equal(events, "");
    }
}

static void test_meta_cut(void **state)
{
    struct snap_meta m;
    char whole[4096];
    int fd;

    create("one");
    fd = open("state/snapshots/demo/one/meta.json", O_RDONLY);
    ssize_t n = read(fd, whole, sizeof(whole) - 1);

    close(fd);
    assert_true(n > 100);
    for (ssize_t i = 0; i < n - 2; i++) {
        whole[n] = 0;
        char *cut = strndup(whole, (size_t)i);

        put("state/snapshots/demo/one/meta.json", cut);
        free(cut);
        fault_clear();
        assert_int_equal(snap_meta_read(&m, "state/snapshots/demo/one"), -EBADMSG);
        snap_meta_dispose(&m);
    }
}

/* --- programs ---------------------------------------------------------------------------------------------------------------- */

static void script(const char *name, const char *text)
{
    char path[64];

    snprintf(path, sizeof(path), "bin/%s", name);
    put(path, text);
    chmod(path, 0755);
}

/* Volumes are files in disks/vg; the last word of a call is what it is about. */
static void make_lvm(void)
{
    script("lvs", "#!/bin/sh\nfor last; do :; done\nv=${last#/dev/}\n[ -e disks/$v ] || exit 5\n"
                  "echo '  WARNING: this is said too'\necho \"  ${v%%/*} ${v#*/} $(cat disks/kind)\"\n");
    script("lvcreate", "#!/bin/sh\necho \"lvcreate $*\" >> disks/log\n[ ! -e disks/refuse ] || { echo 'pool is full'; exit 5; }\nfor last; do :; done\n"
                       "while [ \"$1\" != -n ]; do shift; done\ncp disks/$last disks/vg/$2\n");
    script("lvremove", "#!/bin/sh\necho \"lvremove $*\" >> disks/log\nfor last; do :; done\nrm disks/$last\n");
    script("lvrename", "#!/bin/sh\necho \"lvrename $*\" >> disks/log\nmv disks/$1 disks/$2\n");
    script("lvchange", "#!/bin/sh\nexit 0\n");
    assert_int_equal(mkdir("disks/vg", 0755), 0);
    put("disks/vg/root", "root at first");
    put("disks/kind", "thin");
    disks[0] = (struct disk_config){ .target = (char *)"/dev/vg/root", .vdev = "xvda" };
    n_disks = 1;
}

static void test_lvm(void **state)
{
    make_lvm();
    create("one");
    assert_string_equal(get("disks/vg/root.one"), "root at first");
    assert_string_equal(get("disks/log"), "lvcreate -q -s -n root.one vg/root\n");
    put("disks/vg/root", "root later");
    assert_int_equal(revert("one"), 0);
    assert_string_equal(get("disks/vg/root"), "root at first");
    assert_string_equal(get("disks/vg/root.one"), "root at first");
    assert_int_equal(sh("test \"$(ls disks/vg | tr '\\n' ' ')\" = 'root root.one '"), 0);
    assert_int_equal(snapshot_delete(NULL, "demo", "one"), 0);
    assert_int_equal(sh("test \"$(ls disks/vg)\" = root"), 0);
    put("disks/refuse", "");
    assert_int_equal(snapshot_create(NULL, number, "two", &options, &cost), -EIO);
    assert_non_null(strstr(fault_text(), "lvcreate -q fails: pool is full"));
    assert_false(suspended);
    put("disks/kind", "linear");
    fault_clear();
    assert_int_equal(snapshot_create(NULL, number, "two", &options, &cost), -EOPNOTSUPP);
    assert_non_null(strstr(fault_text(), "kind 'linear'"));
    assert_int_equal(sh("rm disks/vg/root"), 0);
    fault_clear();
    assert_int_equal(snapshot_create(NULL, number, "two", &options, &cost), -EOPNOTSUPP);
    assert_non_null(strstr(fault_text(), "plain block device"));
    assert_int_equal(count(), 0);
}

/* An image that holds its snapshots in a folder beside it. */
static void make_qcow2(void)
{
    script("qemu-img", "#!/bin/sh\nfor last; do :; done\ns=$last.d\nmkdir -p $s\n"
                       "if [ $1 = info ]; then echo \"{\\\"virtual-size\\\": 777, \\\"snapshots\\\": [$(cd $s; for f in *; do [ ! -e \"$f\" ] || printf '%s{\"name\":\"%s\"}' \"$c\" $f; c=,; done)]}\"; exit; fi\n"
                       "[ ! -e disks/locked ] || { rm disks/locked; echo 'Failed to get \"write\" lock'; exit 1; }\n"
                       "case $3 in -c) cp $last $s/$4 ;; -a) cp $s/$4 $last ;; -d) rm $s/$4 ;; esac\n");
    can_share = false;
    disks[0].format = DISK_QCOW2;
    n_disks = 1;
}

static void test_qcow2(void **state)
{
    struct snapshot_info *l;

    make_qcow2();
    served = true;
    create("one");
    assert_string_equal(events, "config attached open round suspend let-go take-up finish resume close ");
    assert_int_equal(snapshot_list("demo", &l), 1);
    assert_string_equal(l->disk[0].method, "qcow2");
    assert_int_equal(l->disk[0].bytes, 777);
    snapshot_list_free(l, 1);
    create("two");
    put(disk_a, "a later");
    put("disks/locked", "");
    served = false;
    assert_int_equal(revert("one"), 0);
    assert_string_equal(get(disk_a), "a at first");
    fault_clear();
    assert_int_equal(sh("mkdir -p disks/a.img.d && touch disks/a.img.d/three"), 0);
    assert_int_equal(snapshot_create(NULL, number, "three", &options, &cost), -EEXIST);
    assert_int_equal(snapshot_delete(NULL, "demo", "one"), 0);
    assert_int_equal(sh("test \"$(ls disks/a.img.d | tr '\\n' ' ')\" = 'three two '"), 0);
    assert_int_equal(sh("rm disks/a.img.d/two"), 0);
    assert_int_equal(revert("two"), -ENOENT);
    assert_non_null(strstr(fault_text(), "has no snapshot 'two' any more"));
}

static void test_no_program(void **state)
{
    char path[] = "PATH=/nowhere", *old = strdup(getenv("PATH"));

    make_qcow2();
    setenv("PATH", path + 5, 1);
    assert_int_equal(snapshot_create(NULL, number, "one", &options, &cost), -ENOENT);
    setenv("PATH", old, 1);
    free(old);
    assert_non_null(strstr(fault_text(), "qemu-img is not there; apt-get install qemu-utils"));
    nothing_left();
}

static int setup_all(void **state)
{
    char path[4200];

    if (!mkdtemp(where) || chdir(where))
        return -1;
    snprintf(path, sizeof(path), "%s/bin:%s", where, getenv("PATH"));
    setenv("PATH", path, 1);
    return 0;
}

static int teardown_all(void **state)
{
    char command[64];

    snprintf(command, sizeof(command), "rm -rf %s", where);
    return chdir("/") || sh(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_revert_stopped, setup),
        cmocka_unit_test_setup(test_create_not_live, setup), cmocka_unit_test_setup(test_create_stopped, setup),
        cmocka_unit_test_setup(test_create, setup),          cmocka_unit_test_setup(test_create_fails_at, setup),
        cmocka_unit_test_setup(test_create_disk_fails, setup), cmocka_unit_test_setup(test_create_no_room, setup),
        cmocka_unit_test_setup(test_refused, setup),         cmocka_unit_test_setup(test_names, setup),
        cmocka_unit_test_setup(test_revert, setup),          cmocka_unit_test_setup(test_revert_fails_at, setup),
        cmocka_unit_test_setup(test_revert_damaged, setup),  cmocka_unit_test_setup(test_revert_no_room, setup),
        cmocka_unit_test_setup(test_delete, setup),          cmocka_unit_test_setup(test_delete_fails, setup),
        cmocka_unit_test_setup(test_killed, setup),          cmocka_unit_test_setup(test_locked, setup),
        cmocka_unit_test_setup(test_meta, setup),            cmocka_unit_test_setup(test_meta_cut, setup),
        cmocka_unit_test_setup(test_lvm, setup),             cmocka_unit_test_setup(test_qcow2, setup),
        cmocka_unit_test_setup(test_no_program, setup),
    };

    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
