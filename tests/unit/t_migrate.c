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
#include "migrate_world.h"

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

static volatile int stop;

/* All of it is on its way, then somebody presses Ctrl-C. */
static int rest_then_stop(void *arg, struct wire *w)
{
    int rc = op_rest(arg, w);

    rc = rc ? rc : wire_data_flush(w);
    wire_rest(w, 5000); /* its answer is here: no more waiting in which the stop would be seen */
    stop = 1;
    return rc;
}

/* Stopped by Ctrl-C before it is committed. */
static void stop_it(bool late)
{
    begin_world();
    if (!fork()) {
        struct migrate_ops my = ops;

        my.rest = late ? rest_then_stop : my.rest;
        stop = !late;
        struct migrate_out m = { .ops = &my, .name = "demo", .uuid = UUID, .host = "t", .transport = "test", .domid = S_DOMAIN, .stop = &stop };
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

static void stopped(void **state)
{
    stop_it(false);
    stop_it(true);
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
        cmocka_unit_test(stopped),
    };
    int rc;

    if (!make_hosts())
        return 1;
    rc = argc > 1 && !strcmp(argv[1], "--table") ? print_table() : cmocka_run_group_tests(tests, NULL, NULL);
    return remove_hosts() || rc;
}
