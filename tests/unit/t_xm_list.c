/* SPDX-License-Identifier: MIT */
/*
 * The lines of `xm list` are, to the letter, what xl 4.17 prints, since programs cut them up; and lists of CPUs.
 * sources: toolstack/xm/list.c toolstack/lib/cpulist.c toolstack/lib/fault.c
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpulist.h"
#include "fault.h"
#include "list.h"

static const char *row(const struct list_options *o, const struct xen_domctl_getdomaininfo *d, const char *name)
{
    static char text[512];
    FILE *f = fmemopen(text, sizeof(text), "w");

    list_print_row(o, d, name, "all", f);
    fclose(f);
    return text;
}

static void test_rows(void **state)
{
    struct list_options o = { 0 };
    struct xen_domctl_getdomaininfo d = { .tot_pages = 262144, .nr_online_vcpus = 1, .flags = XEN_DOMINF_running, .cpu_time = 5530000000 };

    assert_string_equal(row(&o, &d, "Domain-0"), "Domain-0                                     0  1024     1     r-----       5.5\n");
    d = (struct xen_domctl_getdomaininfo){ .domain = 1, .tot_pages = 24576, .nr_online_vcpus = 1, .flags = XEN_DOMINF_paused };
    assert_string_equal(row(&o, &d, "g1"), "g1                                           1    96     1     --p---       0.0\n");
    o.verbose = true;
    d.flags = XEN_DOMINF_blocked;
    d.cpu_time = 2700000000;
    memcpy(d.handle, "\xf3\x20\xd4\x5e\x18\x2b\x40\x77\x9f\xe4\x26\x5a\xb8\x04\x2d\xe8", 16);
    assert_string_equal(row(&o, &d, "g1"), "g1                                           1    96     1     -b----       2.7 "
                                           "f320d45e-182b-4077-9fe4-265ab8042de8        -                -\n");
    o = (struct list_options){ .pool = true, .affinity = true };
    assert_string_equal(row(&o, &d, "g1"), "g1                                           1    96     1     -b----       2.7          Pool-0 all\n");
    o = (struct list_options){ .claims = true };
    assert_string_equal(row(&o, &d, "g1"), "g1                                           1    96     1     -b----       2.7     0\n");
}

static void state_is(uint32_t flags, const char *wanted)
{
    struct xen_domctl_getdomaininfo d = { .flags = flags };
    char s[8];

    list_state(&d, s);
    assert_string_equal(s, wanted);
}

static void test_states(void **state)
{
    state_is(0, "------");
    state_is(XEN_DOMINF_running, "r-----");
    state_is(XEN_DOMINF_shutdown, "---s--");
    state_is(XEN_DOMINF_shutdown | 3U << XEN_DOMINF_shutdownshift, "---sc-");
    state_is(XEN_DOMINF_shutdown | 2U << XEN_DOMINF_shutdownshift | XEN_DOMINF_paused, "--pss-");
    state_is(XEN_DOMINF_shutdown | XEN_DOMINF_dying, "---s-d");
}

static void list_is(const char *text, unsigned cpus, const char *wanted)
{
    uint8_t map[CPULIST_BYTES];
    char out[64];

    assert_int_equal(cpulist_parse(text, cpus, map), 0);
    cpulist_format(map, cpus, out, sizeof(out));
    assert_string_equal(out, wanted);
}

static void test_cpulists(void **state)
{
    static const char *const bad[] = { "", "8", "3-1", "a", "1,,2", "0-", "-1", "^0", "all,^0-7", "1 2", "99999999999999" };
    uint8_t map[CPULIST_BYTES];

    list_is("0-3,5", 8, "0-3,5");
    list_is("all", 8, "all");
    list_is("all,^0", 8, "1-7");
    list_is(" 1 , 7 ", 8, "1,7");
    list_is("0-7,^2-3", 8, "0-1,4-7");
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        fault_clear();
        assert_int_equal(cpulist_parse(bad[i], 8, map), -EINVAL);
        assert_string_not_equal(fault_text(), "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows), cmocka_unit_test(test_states), cmocka_unit_test(test_cpulists) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
