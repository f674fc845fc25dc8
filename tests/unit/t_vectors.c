/* SPDX-License-Identifier: MIT */
/*
 * Per-CPU vector allocation: uniqueness, the reserved ones, exhaustion, and a race of two threads.
 * sources: hypervisor/x86/irq/vectors.c
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "abi.h"
#include "x86/irqs.h"

#define USABLE (VECTOR_DEV_NR - 2) /* without 0x80 and 0x82 */

static void free_all(unsigned cpu)
{
    for (unsigned v = VECTOR_DEV_FIRST; v <= VECTOR_DEV_LAST; v++)
        if (vector_owner(cpu, v) >= 0)
            vector_free(cpu, v, (unsigned)vector_owner(cpu, v));
}

static void test_exhaust(void **state)
{
    for (unsigned i = 0; i < USABLE; i++) {
        int v = vector_alloc(3, 100 + i, i & 1);

        assert_in_range(v, VECTOR_DEV_FIRST, VECTOR_DEV_LAST);
        assert_true(v != 0x80 && v != 0x82);
        assert_int_equal(vector_owner(3, (unsigned)v), 100 + i);
    }
    assert_int_equal(vector_alloc(3, 5, false), -XEN_ENOSPC);
    assert_int_equal(vector_count(3), USABLE);
    assert_int_equal(vector_count(2), 0); /* spaces are per CPU */
    assert_int_equal(vector_alloc(2, 5, false), VECTOR_DEV_FIRST);
    free_all(2);
    free_all(3);
    assert_int_equal(vector_count(3), 0);
}

static void test_claim(void **state)
{
    assert_true(vector_claim(1, 0x41, 7));
    assert_false(vector_claim(1, 0x41, 8));
    assert_true(vector_claim(0, 0x41, 8));
    vector_free(1, 0x41, 8); /* not the owner: nothing happens */
    assert_int_equal(vector_owner(1, 0x41), 7);
    vector_free(1, 0x41, 7);
    assert_int_equal(vector_owner(1, 0x41), -1);
    vector_free(0, 0x41, 8);
    assert_false(vector_claim(0, 0x80, 1));
    assert_false(vector_claim(0, 0x82, 1));
    assert_false(vector_claim(0, 0x2f, 1));
    assert_false(vector_claim(0, 0xe0, 1));
    assert_false(vector_claim(MAX_CPUS, 0x41, 1));
    assert_false(vector_claim(0, 0x41, IRQ_MAX));
    assert_int_equal(vector_owner(0, 0x20), -1);
    assert_int_equal(vector_owner(MAX_CPUS, 0x41), -1);
}

static void *racer(void *arg)
{
    unsigned irq = (unsigned)(uintptr_t)arg;

    for (unsigned i = 0; i < 20000; i++) {
        int v = vector_alloc(9, irq, false);

        if (v < 0 || vector_owner(9, (unsigned)v) != (int)irq)
            return (void *)1;
        vector_free(9, (unsigned)v, irq);
    }
    return NULL;
}

static void test_race(void **state)
{
    pthread_t t[3];
    void *bad;

    for (uintptr_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&t[i], NULL, racer, (void *)(i + 1)), 0);
    for (unsigned i = 0; i < 3; i++) {
        pthread_join(t[i], &bad);
        assert_null(bad);
    }
    assert_int_equal(vector_count(9), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exhaust),
        cmocka_unit_test(test_claim),
        cmocka_unit_test(test_race),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
