/* SPDX-License-Identifier: MIT */
/*
 * Timers against a model: random arming, stopping, moving and expiry on a simulated clock with four CPUs.
 * The model is an array of deadlines; a timer must fire at its deadline (when its CPU next looks), once, and
 * never early or after it was stopped. The random part is in timer_model.h, which the fuzzer shares.
 * sources: hypervisor/common/timer.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "timer_model.h"

static void fired_once(void *data)
{
    (*(int *)data)++;
}

static void test_order(void **state)
{
    struct timer t[3];
    int n[3] = {0, 0, 0}, i;

    model_reset(1);
    for (i = 0; i < 3; i++)
        timer_init(&t[i], fired_once, &n[i], 0);
    timer_set(&t[0], host_now + 300);
    timer_set(&t[1], host_now + 100);
    timer_set(&t[2], host_now + 200);
    assert_int_equal(hw[0], host_now + 100);
    model_advance(100);
    assert_true(n[0] == 0 && n[1] == 1 && n[2] == 0);
    assert_int_equal(hw[0], host_now + 100);
    timer_stop(&t[2]);
    model_advance(150);
    assert_true(n[2] == 0 && n[0] == 0);
    model_advance(100);
    assert_true(n[0] == 1 && !timer_is_set(&t[0]));
    assert_int_equal(hw[0], 0);
}

/* The hardware is told only when the earliest deadline changes. */
static void test_programming(void **state)
{
    struct timer a, b;
    int n = 0;
    unsigned was;

    model_reset(2);
    timer_init(&a, fired_once, &n, 0);
    timer_init(&b, fired_once, &n, 0);
    timer_set(&a, host_now + 100);
    was = hw_writes;
    timer_set(&b, host_now + 200);
    timer_set(&a, host_now + 100);
    timer_stop(&b);
    assert_int_equal(hw_writes, was);
    timer_migrate(&b, 1); /* a remote CPU is told by softirq */
    timer_set(&b, host_now + 50);
    assert_int_equal(hw_writes, was);
    assert_true(host_softirqs[1] & BIT(SOFTIRQ_TIMER));
    model_softirqs();
    assert_int_equal(hw[1], host_now + 50);
    timer_kill(&a);
    timer_kill(&b);
}

static void test_past_and_zero(void **state)
{
    struct timer t;
    int n = 0;

    model_reset(1);
    timer_init(&t, fired_once, &n, 0);
    timer_set(&t, 0);
    model_advance(0);
    assert_int_equal(n, 1);
    timer_set(&t, host_now - 5);
    model_advance(0);
    assert_int_equal(n, 2);
    timer_stop(&t);
    timer_kill(&t);
}

static void test_random(void **state)
{
    uint8_t bytes[4096];
    unsigned seed, i;
    uint64_t x = 88172645463325252ULL;

    for (seed = 0; seed < 200; seed++) {
        for (i = 0; i < sizeof(bytes); i++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            bytes[i] = (uint8_t)(x >> 24);
        }
        model_run(bytes, sizeof(bytes));
    }
}

/* Thousands in one heap, all orders: the walk and the melding use no recursion. */
static void test_many(void **state)
{
    enum { N = 20000 };
    static struct timer t[N];
    int n = 0;
    unsigned i;

    model_reset(1);
    for (i = 0; i < N; i++) {
        timer_init(&t[i], fired_once, &n, 0);
        timer_set(&t[i], host_now + 1000 + (i % 3 == 0 ? i : i % 3 == 1 ? N - i : i * 7919 % N));
    }
    assert_int_equal(timers_check(), 0);
    for (i = 0; i < N; i += 2)
        timer_stop(&t[i]);
    model_advance(N + 2000);
    assert_int_equal(n, N / 2);
    assert_int_equal(timers_check(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),  cmocka_unit_test(test_programming),
        cmocka_unit_test(test_past_and_zero), cmocka_unit_test(test_random),
        cmocka_unit_test(test_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
