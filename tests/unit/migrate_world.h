/* SPDX-License-Identifier: MIT */
/*
 * For tests of moves (t_migrate.c, t_migrate_journal.c): two hosts that are folders and processes, guests that are numbers in shared
 * memory under the real protocol and journals, and how a move is broken and recovered from. Never may two copies run.
 */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
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

static inline const char *outcome(void)
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

static inline void break_at(const char *point, enum how how, bool target_first)
{
    int rebooted = how == REBOOT ? !strncmp(point, "in-", 3) : -1;

    begin_world();
    first_act(point, how);
    if (rebooted >= 0)
        reboot_host(rebooted);
    recover(target_first);
    check_end(point, how, rebooted);
}

/* --- the hosts ------------------------------------------------------------------------------------------------------------------ */

static char base[] = "/dev/shm/t_migrate.XXXXXX"; /* in memory: the journals sync a lot */

static bool make_hosts(void)
{
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (world == MAP_FAILED || !mkdtemp(base))
        return false;
    for (int i = 0; i < 2; i++) {
        snprintf(folder[i], sizeof(folder[i]), "%s/%s", base, i ? "t" : "s");
        snprintf(boot[i], sizeof(boot[i]), "%s/boot-%s", base, i ? "t" : "s");
        mkdir(folder[i], 0700);
    }
    return true;
}

static int remove_hosts(void)
{
    char cmd[80];

    snprintf(cmd, sizeof(cmd), "rm -rf %s", base);
    return system(cmd);
}
