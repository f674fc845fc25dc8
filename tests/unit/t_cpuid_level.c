/* SPDX-License-Identifier: MIT */
/*
 * Feature levels: which one a host reaches, what a refusal names, what is left of a domain's leaves, and `cpuid =` on top.
 * sources: toolstack/lib/cpuid_level.c toolstack/lib/cpuid.c toolstack/lib/cpuid_names.c toolstack/lib/fault.c
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpuid.h"
#include "fault.h"

#define NONE XEN_CPUID_NO_SUBLEAF
#define N 10U

enum { L0, L1, L7, L71, LD, LD1, E0, E1, E7, E8 };

/* Everything there is, AVX-512 and protection keys included. */
static const xen_cpuid_leaf_t full[N] = {
    { 0, NONE, 0x20, 1, 2, 3 }, { 1, NONE, 0x000906e9, 0x100800, 0xffffffff, 0xffffffff }, { 7, 0, 2, ~0U, ~0U, ~0U }, { 7, 1, ~0U, ~0U, ~0U, ~0U },
    { 0xd, 0, 0x2e7, 576, 0xa88, 0 }, { 0xd, 1, 0xf, 0, 0, 0 }, { 0x80000000, NONE, 0x80000021, 0, 0, 0 },
    { 0x80000001, NONE, 0, 0, ~0U, ~0U }, { 0x80000007, NONE, 0, 0, 0, 0x100 }, { 0x80000008, NONE, 0x302e, ~0U, 0, 0 },
};
static xen_cpuid_leaf_t host[N], own[N];

static int setup(void **state)
{
    fault_clear();
    memcpy(host, full, sizeof(host));
    memcpy(own, full, sizeof(own));
    return 0;
}

static void take(const char *name)
{
    struct cpuid_change c;

    assert_int_equal(cpuid_feature(name, strlen(name), &c), 0);
    for (unsigned i = 0; i < N; i++)
        if (host[i].leaf == c.leaf && host[i].subleaf == c.sub)
            *(uint32_t *[]){ &host[i].a, &host[i].b, &host[i].c, &host[i].d }[c.reg] &= ~c.host;
}

static bool has(const char *name)
{
    struct cpuid_change c;

    assert_int_equal(cpuid_feature(name, strlen(name), &c), 0);
    for (unsigned i = 0; i < N; i++)
        if (own[i].leaf == c.leaf && own[i].subleaf == c.sub)
            return *(uint32_t *[]){ &own[i].a, &own[i].b, &own[i].c, &own[i].d }[c.reg] & c.host;
    return false;
}

static void test_names(void **state)
{
    enum cpuid_level l;

    for (unsigned i = CPUID_LEVEL_HOST; i <= CPUID_LEVEL_V4; i++) {
        assert_int_equal(cpuid_level_parse(cpuid_level_name((enum cpuid_level)i), &l), 0);
        assert_int_equal(l, i);
    }
    assert_int_equal(cpuid_level_parse("X86-64-V3", &l), 0);
    assert_int_equal(l, CPUID_LEVEL_V3);
    assert_int_equal(cpuid_level_parse("x86-64-v5", &l), -EINVAL);
    assert_non_null(strstr(fault_text(), "cpu_level 'x86-64-v5': it is x86-64-v1"));
    assert_int_equal(cpuid_level_parse("", &l), -EINVAL);
}

/* On a host with everything each name of each list must be found: a misspelt one would be missing for ever. */
static void test_full(void **state)
{
    char text[256];

    for (unsigned i = CPUID_LEVEL_V1; i <= CPUID_LEVEL_V4; i++)
        if (cpuid_level_missing((enum cpuid_level)i, host, N, text, sizeof(text)))
            fail_msg("%s", text);
    assert_int_equal(cpuid_level_highest(host, N), CPUID_LEVEL_V4);
    assert_int_equal(cpuid_level_highest(NULL, 0), 0);
}

static void test_missing(void **state)
{
    char text[256];

    take("avx512bw");
    assert_int_equal(cpuid_level_highest(host, N), CPUID_LEVEL_V3);
    assert_int_equal(cpuid_level_check(CPUID_LEVEL_V3, host, N, "a"), 0);
    assert_int_equal(cpuid_level_check(CPUID_LEVEL_V4, host, N, "alpha"), -EOPNOTSUPP);
    assert_string_equal(fault_text(), "cpu_level x86-64-v4: host alpha cannot give that to a guest: avx512bw missing; its guests can have up to "
                                      "x86-64-v3 (`xm info --cpu-level`), mend 'cpu_level ='");
    take("lzcnt");
    take("popcnt");
    assert_int_equal(cpuid_level_missing(CPUID_LEVEL_V4, host, N, text, sizeof(text)), 3);
    assert_string_equal(text, "popcnt lzcnt avx512bw");
    assert_int_equal(cpuid_level_missing(CPUID_LEVEL_V2, host, N, text, sizeof(text)), 1);
    assert_int_equal(cpuid_level_highest(host, N), CPUID_LEVEL_V1);
    take("sse2");
    fault_clear();
    assert_int_equal(cpuid_level_check(CPUID_LEVEL_V1, host, N, "alpha"), -EOPNOTSUPP);
    assert_non_null(strstr(fault_text(), "sse2 missing; take 'cpu_level =' out"));
    assert_int_equal(cpuid_level_check(CPUID_LEVEL_HOST, host, N, "alpha"), 0);
}

/* The instructions are there, but the hypervisor does not switch their registers. */
static void test_no_state(void **state)
{
    char text[256];

    host[LD].a = 7;
    assert_int_equal(cpuid_level_highest(host, N), CPUID_LEVEL_V3);
    cpuid_level_missing(CPUID_LEVEL_V4, host, N, text, sizeof(text));
    assert_string_equal(text, "avx512-state");
    host[LD].a = 0;
    assert_int_equal(cpuid_level_highest(host, N), CPUID_LEVEL_V2);
}

static void test_apply_v2(void **state)
{
    static const char *const gone[] = { "avx", "xsave", "osxsave", "aesni", "rdrand", "movbe", "fma", "f16c", "pclmulqdq", "pcid", "monitor" };
    static const char *const kept[] = { "hypervisor", "sse4_2", "popcnt", "cx16", "lahf_lm", "fxsr", "nx", "lm", "syscall", "apic", "htt" };

    cpuid_level_apply(CPUID_LEVEL_V2, own, N);
    for (unsigned i = 0; i < sizeof(gone) / sizeof(*gone); i++)
        if (has(gone[i]))
            fail_msg("%s is still there", gone[i]);
    for (unsigned i = 0; i < sizeof(kept) / sizeof(*kept); i++)
        if (!has(kept[i]))
            fail_msg("%s is gone", kept[i]);
    assert_int_equal(own[L7].a | own[L7].b | own[L7].c | own[L7].d, 0);
    assert_int_equal(own[L71].a | own[L71].b | own[L71].c | own[L71].d, 0);
    assert_int_equal(own[LD].a | own[LD1].a, 0);
    assert_int_equal(own[L0].a, 0xb);
    assert_int_equal(own[E0].a, 0x80000008);
    assert_int_equal(own[E7].d, 0);
    assert_int_equal(own[E8].a, 0x302e); /* widths are no features */
    assert_int_equal(own[E8].b, 0);
    assert_int_equal(own[L1].a, full[L1].a);
    assert_int_equal(own[L1].b, full[L1].b);
}

static void test_apply_more(void **state)
{
    cpuid_level_apply(CPUID_LEVEL_V4, own, N);
    assert_int_equal(own[LD].a, 0xe7); /* no protection keys */
    assert_int_equal(own[LD1].a, 0);
    assert_int_equal(own[L7].b, 1U << 3 | 1U << 5 | 1U << 8 | 1U << 16 | 1U << 17 | 1U << 28 | 1U << 30 | 1U << 31);
    assert_true(has("xsave") && has("avx2") && has("abm") && !has("aesni"));
    cpuid_level_apply(CPUID_LEVEL_V3, own, N);
    assert_int_equal(own[LD].a, 7);
    assert_int_equal(own[L7].b, 1U << 3 | 1U << 5 | 1U << 8);
    cpuid_level_apply(CPUID_LEVEL_V1, own, N);
    assert_true(has("sse2") && !has("sse3") && !has("cx16") && !has("lahf_lm") && has("cx8"));
    cpuid_level_apply(CPUID_LEVEL_V1, NULL, 0);
}

static void test_host(void **state)
{
    cpuid_level_apply(CPUID_LEVEL_HOST, own, N);
    assert_memory_equal(own, full, sizeof(own));
}

/* What a level gives depends on nothing that the host has above it. */
static void test_same_on_unequal_hosts(void **state)
{
    static xen_cpuid_leaf_t other[N];

    take("avx512f");
    take("aesni");
    take("rdrand");
    take("ssbd");
    take("clzero");
    host[L0].a = 0xd;
    host[L7].a = 0;
    host[LD].a = 7;
    host[LD1].a = 1;
    host[E0].a = 0x80000008;
    memcpy(other, host, sizeof(other));
    cpuid_level_apply(CPUID_LEVEL_V3, own, N);
    cpuid_level_apply(CPUID_LEVEL_V3, other, N);
    for (unsigned i = 0; i < N; i++) /* sizes of areas are the hypervisor's to compute */
        assert_memory_equal(&own[i], &other[i], sizeof(own[i]));
}

static void test_with_cpuid(void **state)
{
    static struct cpuid_changes c;

    assert_int_equal(cpuid_parse("host,aes=k,sse4_2=0,rdrand=1", &c), 0);
    assert_int_equal(cpuid_check(&c, full, N), 0);
    cpuid_level_apply(CPUID_LEVEL_V2, own, N);
    assert_int_equal(cpuid_apply(&c, full, N, own, N), 0);
    assert_true(has("aesni") && has("rdrand") && !has("sse4_2") && has("sse4_1") && !has("avx"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_names, setup),      cmocka_unit_test_setup(test_full, setup),
        cmocka_unit_test_setup(test_missing, setup),    cmocka_unit_test_setup(test_no_state, setup),
        cmocka_unit_test_setup(test_apply_v2, setup),   cmocka_unit_test_setup(test_apply_more, setup),
        cmocka_unit_test_setup(test_host, setup),       cmocka_unit_test_setup(test_same_on_unequal_hosts, setup),
        cmocka_unit_test_setup(test_with_cpuid, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
