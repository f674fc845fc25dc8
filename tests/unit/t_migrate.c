/* SPDX-License-Identifier: MIT */
/*
 * Moves that are broken at every step, on both sides, in every way: a process killed, the link cut, the link cut for good, the disk
 * full, the machine started anew. The real protocol and journals over guests that are numbers in shared memory. Always: never do
 * two copies run; in the end exactly one runs (none only if the machine that had it was started anew); nothing is left
 * paused, suspended or half made; the message named the right place. `t_migrate --table` prints what became of each.
 * sources: toolstack/lib/migrate_send.c toolstack/lib/migrate_receive.c toolstack/lib/migrate_resolve.c toolstack/lib/migrate_journal.c
 * sources: toolstack/lib/migrate_wire.c toolstack/lib/migrate_data.c toolstack/lib/migrate_fault.c toolstack/lib/trace.c toolstack/lib/fault.c
 * libs: -ljson-c -luuid
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include <cmocka.h>

#include "domains.h"
#include "fault.h"
#include "migrate.h"

#define S_DOMAIN 3U
#define T_DOMAIN 7U
#define UUID "01234567-89ab-cdef-0123-456789abcdef"
#define STREAM_BYTES 300000U

enum copy { ABSENT, HALF_MADE, PAUSED, SUSPENDED, RUNS };
static const char *const copy_names[] = { "absent", "half made", "paused", "suspended", "runs" };

/* What all processes see. */
static struct world {
    enum copy copy[2];        /* source's, target's */
    bool two_ran, link_down, killed_running, named;
    unsigned sum_out, sum_in;
    int place, rc;
    bool ended;               /* the first process came to its end and said where the guest is */
    char text[1024];
    const char *fail;         /* an operation that does not succeed */
} *world;

static char folder[2][64], boot[2][80];
const char *domain_state_folder;
static int side;              /* which host this process is on */

int domain_check_name(const char *name) { return *name ? 0 : fault(-EINVAL, "no name"); }
int domain_parse_uuid(const char *text, uint8_t uuid[16]) { return uuid_parse(text, uuid) ? fault(-EINVAL, "no uuid") : 0; }

static void be_on(int where)
{
    side = where;
    domain_state_folder = folder[where];
    journal_boot_file = boot[where];
}

static void set(int where, enum copy to)
{
    world->copy[where] = to;
    if (world->copy[0] == RUNS && world->copy[1] == RUNS)
        world->two_ran = true;
}

static bool fails(const char *what)
{
    return world->fail && !strcmp(world->fail, what);
}

/* --- guests that are numbers -------------------------------------------------------------------------------------------------- */

static int op_offer(void *arg, struct json_object *offer)
{
    json_object_object_add(offer, "memory", json_object_new_int(128));
    return 0;
}

static int op_check(void *arg, struct json_object *offer, struct json_object *answer)
{
    migrate_item(answer, "memory", true, "");
    return migrate_item(answer, "bridge", !fails("check"), fails("check") ? "there is no bridge xenbr1" : "");
}

static int put_bytes(struct wire *w, unsigned n, unsigned seed)
{
    unsigned char b[1000];
    int rc = 0;

    for (unsigned done = 0; done < n && !rc; done += sizeof(b)) {
        for (unsigned i = 0; i < sizeof(b); i++)
            world->sum_out = world->sum_out * 31 + (b[i] = (unsigned char)(seed + done + i));
        rc = wire_data_write(w, b, sizeof(b));
    }
    return rc;
}

/* As pages go: many pieces at once, small ones before them. */
static int put_pages(struct wire *w, unsigned n, unsigned seed)
{
    static unsigned char b[STREAM_BYTES];
    struct iovec v[200];
    unsigned count = 0, at = 0;

    for (unsigned i = 0; i < n; i++)
        world->sum_out = world->sum_out * 31 + (b[i] = (unsigned char)(seed * 3 + i / 7));
    for (; at < n && count < 200; count++) {
        size_t size = count % 9 ? 4096 : 24;

        v[count] = (struct iovec){ b + at, n - at < size ? n - at : size };
        at += (unsigned)v[count].iov_len;
    }
    int rc = wire_data_writev(w, v, count);

    return rc ? rc : wire_data_sync(w);
}

static int op_memory(void *arg, struct wire *w)
{
    return fails("memory") ? fault(-EIO, "memory") : put_pages(w, STREAM_BYTES, 1);
}

static int op_suspend(void *arg)
{
    if (fails("suspend"))
        return fault(-ETIMEDOUT, "domain 3: does not answer");
    set(0, SUSPENDED);
    return 0;
}

static int op_rest(void *arg, struct wire *w)
{
    return fails("rest") ? fault(-EIO, "rest") : put_bytes(w, STREAM_BYTES, 7);
}

static int op_resume(void *arg, uint32_t domid)
{
    assert_int_equal(domid, S_DOMAIN);
    if (world->copy[0] == SUSPENDED)
        set(0, RUNS);
    return world->copy[0] == RUNS ? 0 : fault(-EIO, "there is no guest to resume");
}

static int op_receive(void *arg, struct wire *w, uint32_t *domid)
{
    unsigned char b[9000];
    int rc = 0;

    world->copy[1] = HALF_MADE;
    migrate_point("in-memory", w);
    for (unsigned left = 2 * STREAM_BYTES; left && !rc;) {
        unsigned most = left % 5 ? sizeof(b) : 100, n = left < most ? left : most;

        rc = fails("receive") && left < STREAM_BYTES ? fault(-ENOMEM, "memory: none left") : wire_data_read(w, b, n);
        for (unsigned i = 0; i < n; i++)
            world->sum_in = world->sum_in * 31 + b[i];
        left -= n;
    }
    if (rc) {
        world->copy[1] = ABSENT;
        return rc;
    }
    *domid = T_DOMAIN;
    set(1, PAUSED);
    return 0;
}

static int op_run(void *arg, uint32_t domid, bool paused)
{
    assert_int_equal(domid, T_DOMAIN);
    if (world->copy[1] != PAUSED && world->copy[1] != RUNS)
        return fault(-ESRCH, "no such domain");
    set(1, RUNS);
    return 0;
}

static int op_name(void *arg, uint32_t domid, const char *name)
{
    assert_int_equal(domid, T_DOMAIN);
    assert_string_equal(name, "demo");
    if (world->copy[1] != RUNS)
        return fault(-ESRCH, "no such domain");
    world->named = true;
    return 0;
}

static int op_destroy(void *arg, uint32_t domid)
{
    assert_int_equal(domid, side ? T_DOMAIN : S_DOMAIN);
    if (world->copy[side] == RUNS)
        world->killed_running = true;
    set(side, ABSENT);
    return 0;
}

static enum migrate_guest op_look(void *arg, uint32_t domid, const char *uuid)
{
    static const enum migrate_guest as[] = { [ABSENT] = GUEST_ABSENT, [HALF_MADE] = GUEST_PAUSED, [PAUSED] = GUEST_PAUSED,
                                             [SUSPENDED] = GUEST_SUSPENDED, [RUNS] = GUEST_RUNS };

    assert_string_equal(uuid, UUID);
    return as[world->copy[side]];
}

static int op_find(void *arg, const char *uuid)
{
    return world->copy[side] == ABSENT ? -ENOENT : (int)T_DOMAIN;
}

static int op_connect(void *arg, const struct journal *j, struct wire *w);

static const struct migrate_ops ops = {
    .offer = op_offer, .memory = op_memory, .suspend = op_suspend, .rest = op_rest, .resume = op_resume, .check = op_check, .receive = op_receive,
    .run = op_run, .name = op_name, .destroy = op_destroy, .look = op_look, .find = op_find, .connect = op_connect,
};

/* The other host: a process of its own. */
static int op_connect(void *arg, const struct journal *j, struct wire *w)
{
    int fd[2];

    if (world->link_down)
        return fault(-EHOSTUNREACH, "host t: no route");
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    if (!fork()) {
        for (int i = 3; i < 200; i++)       /* the source's journal and link are not ours */
            if (i != fd[1])
                close(i);
        be_on(1);
        fault_clear();
        if (wire_begin(w, fd[1], dup(fd[1]), "s"))
            _exit(1);
        migrate_receive(&ops, NULL, w);
        wire_end(w);
        _exit(0);
    }
    close(fd[1]);
    int rc = wire_begin(w, fd[0], dup(fd[0]), "t");

    w->silence_ms = 5000;
    return rc;
}

/* --- one broken move ------------------------------------------------------------------------------------------------------------ */

static void empty(const char *path)
{
    char cmd[200];

    snprintf(cmd, sizeof(cmd), "rm -rf %s/migrate", path);
    assert_int_equal(system(cmd), 0);
}

static void set_boot(int where, const char *id)
{
    FILE *f = fopen(boot[where], "w");

    fprintf(f, "%-36s", id);
    fclose(f);
}

static void wait_all(void)
{
    while (wait(NULL) > 0 || errno == EINTR)
        ;
}

static void source(void)
{
    struct migrate_out m = { .ops = &ops, .name = "demo", .uuid = UUID, .host = "t", .transport = "test", .domid = S_DOMAIN };
    struct wire w = { .in = -1, .out = -1 };

    be_on(0);
    world->rc = op_connect(NULL, NULL, &w);
    assert_int_equal(world->rc, 0);
    world->rc = migrate_send(&m, &w);
    world->place = (int)m.place;
    snprintf(world->text, sizeof(world->text), "%s", fault_text());
    world->ended = true;
    wire_end(&w);
    _exit(0);
}

static void resolve(int where)
{
    if (!fork()) {
        be_on(where);
        fault_clear();
        migrate_resolve_all(&ops, NULL, NULL);
        _exit(0);
    }
    wait_all();
}

static unsigned journals_left(int where)
{
    unsigned n = 0;

    be_on(where);
    char **list = journal_list();

    for (; list && list[n]; n++)
        ;
    free(list);
    return n;
}

enum how { KILL, CUT, DOWN, FULL, REBOOT, N_HOW };
static const char *const how_names[] = { "killed", "link cut", "link down, later back", "disk full", "host started anew" };

static void begin_world(void)
{
    memset(world, 0, sizeof(*world));
    world->copy[0] = RUNS;
    for (int i = 0; i < 2; i++) {
        empty(folder[i]);
        set_boot(i, "boot-1");
    }
}

static void first_act(const char *point, enum how how)
{
    char fault_at[80];

    snprintf(fault_at, sizeof(fault_at), "%s:%s", point ? point : "none", how == KILL || how == REBOOT ? "kill" : how == FULL ? "full" : "cut");
    setenv("ZENDO_MIGRATE_FAULT", fault_at, 1);
    if (!fork())
        source();
    wait_all();
    unsetenv("ZENDO_MIGRATE_FAULT");
}

static void reboot_host(int where)
{
    world->copy[where] = ABSENT;
    set_boot(where, "boot-2");
}

/* Both hosts' daemons start, in either order, and again a minute later. */
static void recover(bool target_first)
{
    for (int i = 0; i < 4; i++)
        resolve((i & 1) ^ target_first);
}

static const char *outcome(void)
{
    return world->copy[0] == RUNS ? "source" : world->copy[1] == RUNS ? "target" : "none";
}

static void check_end(const char *point, enum how how, int rebooted)
{
    const char *what = how_names[how];
    bool one = (world->copy[0] == RUNS) != (world->copy[1] == RUNS);
    bool rest_gone = (world->copy[0] == RUNS || world->copy[0] == ABSENT) && (world->copy[1] == RUNS || world->copy[1] == ABSENT);

    if (world->two_ran || world->killed_running || !rest_gone || (!one && rebooted < 0))
        fail_msg("%s, %s: source %s, target %s%s%s (%s)", point, what, copy_names[world->copy[0]], copy_names[world->copy[1]],
                 world->two_ran ? ", TWO RAN" : "", world->killed_running ? ", A RUNNING ONE WAS DESTROYED" : "", world->text);
    if (world->copy[1] == RUNS && !world->named)
        fail_msg("%s, %s: it runs on the target under another name", point, what);
    if (rebooted < 0 && world->ended && world->place == PLACE_HERE && world->copy[0] != RUNS)
        fail_msg("%s, %s: the source said 'here' and it runs on the target: %s", point, what, world->text);
    if (rebooted < 0 && world->ended && world->place == PLACE_THERE && world->copy[1] != RUNS)
        fail_msg("%s, %s: the source said 'there' and it runs on the source: %s", point, what, world->text);
    if (rebooted < 0 && world->ended && world->place == PLACE_UNKNOWN && !strstr(world->text, "suspended as domain"))
        fail_msg("%s, %s: says '%s'", point, what, world->text);
    if (world->ended && world->rc && !world->text[0])
        fail_msg("%s, %s: fails without a word", point, what);
    if (journals_left(0))
        fail_msg("%s, %s: the source's journal is left", point, what);
    if (world->copy[1] != RUNS && journals_left(1) && rebooted != 1)
        fail_msg("%s, %s: the target's journal is left", point, what);
}

static void break_at(const char *point, enum how how, bool target_first)
{
    int rebooted = how == REBOOT ? !strncmp(point, "in-", 3) : -1;

    begin_world();
    first_act(point, how);
    if (rebooted >= 0)
        reboot_host(rebooted);
    recover(target_first);
    check_end(point, how, rebooted);
}

static void every_step_every_way(void **state)
{
    for (unsigned i = 0; migrate_points[i]; i++)
        for (enum how how = KILL; how < N_HOW; how++)
            for (int first = 0; first < 2; first++)
                if (how != DOWN)
                    break_at(migrate_points[i], how, first);
}

/* The link is cut and stays so: what is not decided stays undecided, and the message says so; once it is back all is ended. */
static void link_stays_down(void **state)
{
    for (unsigned i = 0; migrate_points[i]; i++) {
        begin_world();
        char fault_at[80];

        snprintf(fault_at, sizeof(fault_at), "%s:cut", migrate_points[i]);
        setenv("ZENDO_MIGRATE_FAULT", fault_at, 1);
        pid_t p = fork();

        if (!p) {
            struct migrate_out m = { .ops = &ops, .name = "demo", .uuid = UUID, .host = "t", .transport = "test", .domid = S_DOMAIN };
            struct wire w = { .in = -1, .out = -1 };

            be_on(0);
            op_connect(NULL, NULL, &w);
            world->link_down = true;        /* for all connections after the first */
            world->rc = migrate_send(&m, &w);
            world->place = (int)m.place;
            snprintf(world->text, sizeof(world->text), "%s", fault_text());
            world->ended = true;
            wire_end(&w);
            _exit(0);
        }
        wait_all();
        unsetenv("ZENDO_MIGRATE_FAULT");
        resolve(0);
        resolve(1);
        assert_false(world->two_ran);
        world->link_down = false;
        recover(false);
        check_end(migrate_points[i], DOWN, -1);
    }
}

static void undisturbed(void **state)
{
    begin_world();
    first_act(NULL, KILL);
    assert_true(world->ended);
    assert_int_equal(world->rc, 0);
    assert_int_equal(world->place, PLACE_THERE);
    assert_int_equal(world->copy[0], ABSENT);
    assert_int_equal(world->copy[1], RUNS);
    assert_int_equal(world->sum_out, world->sum_in);
    assert_int_equal(journals_left(0) + journals_left(1), 0);
}

/* Something that is asked of the hypervisor or the host fails: the guest stays, and the message has the cause. */
static void operations_fail(void **state)
{
    static const struct { const char *op, *text; } row[] = {
        { "check", "bridge: there is no bridge xenbr1" }, { "memory", "memory" }, { "suspend", "does not answer" }, { "rest", "rest" },
        { "receive", "memory: none left" } };

    for (unsigned i = 0; i < sizeof(row) / sizeof(*row); i++) {
        begin_world();
        world->fail = row[i].op;
        first_act(NULL, KILL);
        assert_true(world->ended && world->rc < 0);
        assert_int_equal(world->place, PLACE_HERE);
        if (!strstr(world->text, row[i].text))
            fail_msg("%s: says '%s'", row[i].op, world->text);
        world->fail = NULL;
        assert_int_equal(world->copy[0], RUNS);
        assert_int_equal(world->copy[1], ABSENT);
        assert_int_equal(journals_left(0) + journals_left(1), 0);
    }
}

/* Stopped by Ctrl-C before it is committed. */
static void stopped(void **state)
{
    begin_world();
    if (!fork()) {
        volatile int stop = 1;
        struct migrate_out m = { .ops = &ops, .name = "demo", .uuid = UUID, .host = "t", .transport = "test", .domid = S_DOMAIN, .stop = &stop };
        struct wire w = { .in = -1, .out = -1 };

        be_on(0);
        op_connect(NULL, NULL, &w);
        world->rc = migrate_send(&m, &w);
        world->place = (int)m.place;
        world->ended = true;
        _exit(0);
    }
    wait_all();
    assert_int_equal(world->rc, -EINTR);
    assert_int_equal(world->place, PLACE_HERE);
    assert_int_equal(world->copy[0], RUNS);
    assert_int_equal(world->copy[1], ABSENT);
}

/* A line that was torn by a crash had no effect and does not count. */
static void torn_journal(void **state)
{
    struct journal j = { .out = true, .domid = 9 }, again;

    begin_world();
    be_on(0);
    strcpy(j.token, UUID);
    strcpy(j.uuid, UUID);
    strcpy(j.name, "demo");
    strcpy(j.host, "t");
    strcpy(j.transport, "ssh");
    assert_int_equal(journal_begin(&j), 0);
    assert_int_equal(journal_open(&again, j.path), -EBUSY);
    assert_int_equal(again.pid, getpid());
    assert_int_equal(journal_step(&j, STEP_SUSPENDING), 0);
    assert_int_equal(write(j.fd, "committed\tpid=1\tdom", 19), 19);
    journal_leave(&j);
    assert_int_equal(journal_open(&again, j.path), 0);
    assert_int_equal(again.step, STEP_SUSPENDING);
    assert_int_equal(again.domid, 9);
    assert_true(again.out && journal_is_of_this_boot(&again));
    assert_int_equal(journal_step(&again, STEP_ABORTED), 0);
    journal_leave(&again);
    assert_int_equal(journal_open(&again, j.path), 0);
    assert_int_equal(again.step, STEP_ABORTED);
    assert_int_equal(journal_end(&again), 0);
    assert_int_equal(journal_open(&again, j.path), -ENOENT);
}

static void fill_journal(struct journal *j, bool out, char digit)
{
    *j = (struct journal){ .out = out, .domid = JOURNAL_NO_DOMAIN, .name = "demo", .host = "t", .transport = "test", .uuid = UUID };
    strcpy(j->token, UUID);
    j->token[0] = digit;
}

/* A move died before it made a domain; the guest came with the next one. What is cleared up after the first is not that guest. */
static void second_move_is_not_first(void **state)
{
    struct journal first, second;

    for (int told = 0; told < 2; told++) {
        begin_world();
        be_on(1);
        fill_journal(&first, false, 'a');
        assert_int_equal(journal_begin(&first), 0);
        journal_leave(&first);
        fill_journal(&second, false, 'b');
        assert_int_equal(journal_begin(&second), 0);
        if (told) {
            second.domid = T_DOMAIN;
            assert_int_equal(journal_step(&second, STEP_PREPARED), 0);
            assert_int_equal(journal_step(&second, STEP_GO), 0);
            assert_int_equal(journal_step(&second, STEP_RUNS), 0);
            journal_leave(&second);
        }
        world->copy[1] = told ? RUNS : HALF_MADE; /* the second: done, or its process is at work */
        resolve(1);
        assert_int_equal(world->copy[1], told ? RUNS : HALF_MADE);
        assert_int_equal(journals_left(1), 1);
        journal_leave(&second);
    }
}

/* It was let go on, and the other host cannot be told yet. Somebody who suspends it later, to save it, is not undone. */
static void resumed_once(void **state)
{
    struct journal j;

    begin_world();
    be_on(0);
    fill_journal(&j, true, 'a');
    j.domid = S_DOMAIN;
    assert_int_equal(journal_begin(&j), 0);
    assert_int_equal(journal_step(&j, STEP_SUSPENDING), 0);
    journal_leave(&j);
    world->copy[0] = SUSPENDED;
    world->link_down = true;
    resolve(0);
    assert_int_equal(world->copy[0], RUNS);
    world->copy[0] = SUSPENDED;
    resolve(0);
    assert_int_equal(world->copy[0], SUSPENDED);
    world->copy[0] = RUNS;
    world->link_down = false;
    resolve(0);
    assert_int_equal(journals_left(0), 0);
}

/* A step that could not be written is not there, not even in part: the next one that can be is read. */
static void failed_step(void **state)
{
    struct rlimit old, now;
    struct journal j, again;
    struct stat st;

    begin_world();
    be_on(0);
    fill_journal(&j, true, 'a');
    assert_int_equal(journal_begin(&j), 0);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(fstat(j.fd, &st), 0);
    getrlimit(RLIMIT_FSIZE, &old);
    now = old;
    now.rlim_cur = (rlim_t)st.st_size + 7;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &now), 0);
    assert_int_not_equal(journal_step(&j, STEP_COMMITTED), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    fault_clear();
    assert_int_equal(journal_step(&j, STEP_ABORTED), 0);
    journal_leave(&j);
    assert_int_equal(journal_open(&again, j.path), 0);
    assert_int_equal(again.step, STEP_ABORTED);
    assert_int_equal(journal_end(&again), 0);
}

/* Committed to another host and not heard of since: not made here a second time, by name or uuid. */
static void create_is_refused(void **state)
{
    struct journal j, again;

    begin_world();
    be_on(0);
    fill_journal(&j, true, 'a');
    j.domid = S_DOMAIN;
    assert_int_equal(journal_begin(&j), 0);
    assert_int_equal(journal_check_create("demo", NULL), 0);
    assert_int_equal(journal_step(&j, STEP_COMMITTED), 0);
    journal_leave(&j);
    assert_int_equal(journal_check_create("demo", NULL), -EBUSY);
    assert_int_equal(journal_check_create("other", UUID), -EBUSY);
    assert_int_equal(journal_check_create("other", NULL), 0);
    fault_clear();
    assert_int_equal(journal_open(&again, j.path), 0);
    assert_int_equal(journal_end(&again), 0);
    assert_int_equal(journal_check_create("demo", UUID), 0);
}

/* The journal names a process that ended; its number is another program's now, and somebody looks at the journal just then. */
static void innocent_pid(void **state)
{
    struct journal j;
    char text[200];
    int up[2], status;
    char byte;
    pid_t innocent = fork(), looker;

    if (!innocent) {
        execlp("sleep", "sleep", "60", (char *)NULL);
        _exit(1);
    }
    usleep(100000);
    begin_world();
    be_on(1);
    fill_journal(&j, false, 'a');
    j.domid = T_DOMAIN;
    assert_int_equal(journal_begin(&j), 0);
    int n = snprintf(text, sizeof(text), "prepared\tpid=%d\tdomain=%u\n", innocent, T_DOMAIN);

    assert_int_equal(write(j.fd, text, (size_t)n), n);
    journal_leave(&j);
    world->copy[1] = PAUSED;
    assert_int_equal(pipe(up), 0);
    looker = fork();
    if (!looker) {
        assert_int_equal(journal_open(&j, j.path[0] ? strdup(j.path) : ""), 0);
        byte = 1;
        if (write(up[1], &byte, 1) != 1)
            _exit(1);
        usleep(400000);
        _exit(0);
    }
    assert_int_equal(read(up[0], &byte, 1), 1);
    be_on(0);
    fill_journal(&j, true, 'a');
    j.domid = S_DOMAIN;
    assert_int_equal(journal_begin(&j), 0);
    assert_int_equal(journal_step(&j, STEP_COMMITTED), 0);
    journal_leave(&j);
    world->copy[0] = SUSPENDED;
    be_on(0);
    fault_clear();
    if (!fork()) {
        be_on(0);
        migrate_resolve_all(&ops, NULL, NULL);
        _exit(0);
    }
    for (unsigned i = 0; i < 300 && world->copy[0] != ABSENT; i++)
        usleep(10000);
    assert_int_equal(waitpid(innocent, &status, WNOHANG), 0); /* it lives */
    kill(innocent, SIGKILL);
    wait_all();
    assert_int_equal(world->copy[1], RUNS);
    assert_int_equal(world->copy[0], ABSENT);
    assert_false(world->two_ran);
}

static int print_table(void)
{
    printf("| step |");
    for (enum how how = KILL; how < N_HOW; how++)
        printf(how == DOWN ? "" : " %s |", how_names[how]);
    printf("\n| --- | --- | --- | --- | --- |\n");
    for (unsigned i = 0; migrate_points[i]; i++) {
        printf("| %s |", migrate_points[i]);
        for (enum how how = KILL; how < N_HOW; how++)
            if (how != DOWN) {
                break_at(migrate_points[i], how, false);
                printf(" %s%s |", outcome(), !world->ended ? ", by recovery" : world->place == PLACE_UNKNOWN ? ", asked later" : "");
            }
        printf("\n");
        fflush(stdout);
    }
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(undisturbed), cmocka_unit_test(every_step_every_way), cmocka_unit_test(link_stays_down), cmocka_unit_test(operations_fail),
        cmocka_unit_test(stopped), cmocka_unit_test(torn_journal),
        cmocka_unit_test(second_move_is_not_first), cmocka_unit_test(resumed_once), cmocka_unit_test(failed_step),
        cmocka_unit_test(create_is_refused), cmocka_unit_test(innocent_pid),
    };
    char base[] = "/dev/shm/t_migrate.XXXXXX", cmd[80]; /* in memory: the journals sync a lot */
    int rc;

    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (world == MAP_FAILED || !mkdtemp(base))
        return 1;
    for (int i = 0; i < 2; i++) {
        snprintf(folder[i], sizeof(folder[i]), "%s/%s", base, i ? "t" : "s");
        snprintf(boot[i], sizeof(boot[i]), "%s/boot-%s", base, i ? "t" : "s");
        mkdir(folder[i], 0700);
    }
    rc = argc > 1 && !strcmp(argv[1], "--table") ? print_table() : cmocka_run_group_tests(tests, NULL, NULL);
    snprintf(cmd, sizeof(cmd), "rm -rf %s", base);
    return system(cmd) || rc;
}
