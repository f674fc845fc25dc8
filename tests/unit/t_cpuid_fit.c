/* SPDX-License-Identifier: MIT */
/*
 * A CPU policy that was made elsewhere: limits and advice that are not here go, features stay.
 * sources: toolstack/lib/cpuid_fit.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "cpuid_fit.h"

#define NO XEN_CPUID_NO_SUBLEAF

static const xen_cpuid_leaf_t here[] = { { 0, NO, 0xd, 1, 2, 3 }, { 1, NO, 5, 6, 7, 8 }, { 7, 0, 0, 0x100, 0, 0 },
    { 0x80000000, NO, 0x80000008, 1, 2, 3 }, { 0x80000008, NO, 0x3028, 1U << 26, 0, 0 } };

static void test_fits(void **state)
{
    xen_cpuid_leaf_t same[5];
    bool changed;

    memcpy(same, here, sizeof(here));
    assert_int_equal(cpuid_fit(same, 5, here, 5, &changed), 5);
    assert_false(changed);
    assert_memory_equal(same, here, sizeof(here));
}

static void test_more(void **state)
{
    xen_cpuid_leaf_t more[] = { { 0, NO, 0x10, 1, 2, 3 }, { 1, NO, 5, 6, 0xf7, 8 }, { 7, 0, 2, 0x300, 0, 0 }, { 0x10, NO, 0, 0, 0, 0 },
        { 0x80000000, NO, 0x80000021, 1, 2, 3 }, { 0x80000008, NO, 0x3028, 7U << 26 | 1, 0, 0 }, { 0x8000000a, NO, 0, 0, 0, 0 },
        { 0x80000021, NO, 4, 0, 0, 0 }, { 0x8000000b, NO, 0, 9, 0, 0 }, { 0x40000000, NO, 0, 0, 0, 0 } };
    bool changed;
    unsigned n = cpuid_fit(more, 10, here, 5, &changed);

    assert_true(changed);
    assert_int_equal(n, 7);
    assert_int_equal(more[0].a, 0xd);
    assert_int_equal(more[1].c, 0xf7);   /* features are the hypervisor's to refuse */
    assert_int_equal(more[2].a, 0);
    assert_int_equal(more[2].b, 0x300);
    assert_int_equal(more[3].a, 0x80000008);
    assert_int_equal(more[4].b, 5U << 26 | 1U << 27 | 1); /* 26 is here, 27 is no advice, 28 neither */
    assert_int_equal(more[5].leaf, 0x8000000b); /* says something: not ours to drop */
    assert_int_equal(more[6].leaf, 0x40000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_fits), cmocka_unit_test(test_more) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
