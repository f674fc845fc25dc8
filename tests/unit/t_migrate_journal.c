/* SPDX-License-Identifier: MIT */
/*
 * Journals of moves: lines that are torn or cannot be written, what later moves and guests made under the same name find, and a
 * process whose number is another's now. Who looks at a journal later undoes only what its own move has done.
 * sources: toolstack/lib/migrate_send.c toolstack/lib/migrate_receive.c toolstack/lib/migrate_resolve.c toolstack/lib/migrate_journal.c
 * sources: toolstack/lib/migrate_wire.c toolstack/lib/migrate_data.c toolstack/lib/migrate_fault.c toolstack/lib/trace.c toolstack/lib/fault.c
 * libs: -ljson-c -luuid
 */
#include "migrate_world.h"

#include <sys/resource.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(torn_journal), cmocka_unit_test(second_move_is_not_first), cmocka_unit_test(resumed_once), cmocka_unit_test(failed_step),
        cmocka_unit_test(create_is_refused), cmocka_unit_test(innocent_pid),
    };
    int rc;

    if (!make_hosts())
        return 1;
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    return remove_hosts() || rc;
}
