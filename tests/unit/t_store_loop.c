/* SPDX-License-Identifier: MIT */
/*
 * Turns: however many domains are busy, all get the same, and domain 0 waits for one of them only.
 * sources: toolstack/xenstored/strmap.c toolstack/xenstored/tree.c toolstack/xenstored/kids.c toolstack/xenstored/watch.c toolstack/xenstored/owner.c toolstack/xenstored/trans.c toolstack/xenstored/edit.c toolstack/xenstored/xstore.c toolstack/xenstored/forget.c toolstack/xenstored/conn.c toolstack/xenstored/proto.c toolstack/xenstored/proto_dom.c toolstack/xenstored/loop.c
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "loop.h"
#include "store_env.h"

#define GUESTS 50

static struct endpoint guest[GUESTS], zeros;
static unsigned steps[GUESTS], zero_steps, slow;

static bool guest_step(struct endpoint *e)
{
    uint64_t until = loop_micros() + (e == &guest[0] ? slow : 0);

    steps[e - guest]++;
    while (loop_micros() < until)
        ;
    return true;    /* always more */
}

static bool zero_step(struct endpoint *e)
{
    zero_steps++;
    return false;
}

static int set_up(void **state)
{
    int i;

    env_start();
    loop_init();
    memset(steps, 0, sizeof steps);
    for (i = 0; i < GUESTS; i++) {
        env_conn(&guest[i].conn, (uint16_t)(i + 1));
        guest[i].step = guest_step;
        loop_wake(&guest[i]);
        loop_wake(&guest[i]);    /* twice is once */
    }
    env_conn(&zeros.conn, 0);
    zeros.step = zero_step;
    return 0;
}

static int tear_down(void **state)
{
    int i;

    for (i = 0; i < GUESTS; i++)
        loop_forget(&guest[i]);
    assert_null(loop.first[0]);
    assert_null(loop.first[1]);
    store_free(&store);
    return 0;
}

static void test_equal(void **state)
{
    int i;

    loop_drain(GUESTS * 20);
    for (i = 0; i < GUESTS; i++)
        assert_in_range(steps[i], 20, 20 * 16);
}

/* One whose requests are slow gets fewer of them, not more time. */
static void test_slow(void **state)
{
    slow = 300;
    loop_drain(GUESTS * 20);
    slow = 0;
    assert_int_equal(steps[0], 20);
    assert_true(steps[1] > 100);
}

static void test_zero_first(void **state)
{
    int i;

    for (i = 0; i < 100; i++) {
        zero_steps = 0;
        loop_wake(&zeros);
        loop_drain(2);
        assert_int_equal(zero_steps, 1);
    }
}

/* One that is gone while it waits leaves the queue in order. */
static void test_forget(void **state)
{
    loop_forget(&guest[GUESTS - 1]);
    loop_forget(&guest[0]);
    loop_forget(&guest[7]);
    loop_drain(GUESTS * 2);
    assert_int_equal(steps[0] + steps[7] + steps[GUESTS - 1], 0);
    assert_true(steps[1] && steps[8] && steps[GUESTS - 2]);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = { T(test_equal), T(test_slow), T(test_zero_first), T(test_forget) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
