/* SPDX-License-Identifier: MIT */
/*
 * Processor policies on whatever processor runs the test: the ABI's form and back, what guests may have, what is
 * refused and how the refusal is named; and the guest's time stamp counter.
 *
 * sources: hypervisor/x86/policy.c hypervisor/x86/policy_make.c hypervisor/x86/policy_check.c
 * sources: hypervisor/x86/time/guest_tsc.c hypervisor/common/timescale.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "timescale.h"
#include "vtime.h"
#include "x86/guest.h"
#include "x86/policy.h"

#include <xen/arch-x86/cpufeatureset.h>
#include <xen/domctl.h>

struct cpu_features cpu_features;
static struct x86_domain dom;
static struct x86_vcpu xv;
static uint64_t now = 5000000000, hz = 2000000000;
static bool in_step = true;

uint64_t now_ns(void)
{
    return now;
}
uint64_t time_tsc_hz(void)
{
    return hz;
}
bool time_tsc_in_step(void)
{
    return in_step;
}
void time_scale_now(struct time_scale *s)
{
    *s = (struct time_scale){.stamp_tsc = 8000000000, .stamp_ns = 5000000000};
    timescale_set_hz(s, hz);
}

static int setup(void **state)
{
    uint32_t r[4];

    cpuid(0, 0, r);
    cpu_features.max_leaf = r[0];
    cpu_features.intel = r[1] == 0x756e6547;
    cpu_features.amd = r[1] == 0x68747541;
    cpuid(0x80000000, 0, r);
    cpu_features.max_ext = r[0];
    cpu_features.xsave = cpu_features.smep = cpu_features.smap = true;
    cpuid(0xd, 0, r);
    cpu_features.xcr0 = r[0] & 0xe7;
    cpu_features.arch_caps = 0x2b;
    policies_init();
    memset(&dom, 0, sizeof(dom));
    xv.v.domain = &dom.d;
    return 0;
}

static struct cpu_policy *all[] = {&policy_raw, &policy_host, &policy_pv_max, &policy_pv_default,
                                   &policy_pv_hardware};

static void test_form(void **state)
{
    static struct cpu_policy back;
    xen_cpuid_leaf_t l, last = {0};

    for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
        unsigned slot = 0, n = 0;

        memset(&back, 0, sizeof(back));
        while (policy_next_leaf(all[i], &slot, &l)) {
            assert_true(policy_slot(l.leaf, l.subleaf) == (int)slot - 1);
            assert_true(!n || l.leaf != last.leaf || l.subleaf > last.subleaf);
            assert_int_equal(policy_take_leaf(&back, &l), 0);
            last = l;
            n++;
        }
        assert_in_range(n, 20, policy_max_leaves());
        for (unsigned k = 0; k < POLICY_MSRS; k++) {
            xen_msr_entry_t m;

            policy_msr_entry(all[i], k, &m);
            assert_int_equal(policy_take_msr(&back, &m), 0);
        }
        if (all[i] != &policy_raw && all[i] != &policy_host) /* those know more than their limits say */
            assert_memory_equal(&back, all[i], sizeof(back));
    }
}

static void test_limits_hold(void **state)
{
    struct policy_fault f;

    assert_int_equal(policy_check(&policy_pv_default, &policy_pv_max, &f), 0);
    assert_int_equal(policy_check(&policy_pv_max, &policy_pv_max, &f), 0);
    for (unsigned i = 0; i < POLICY_WORDS; i++) {
        struct cpu_featureset raw, host, max, def;
        uint32_t ours = i == XEN_X86_FEATURE_HYPERVISOR / 32 ? BIT(31) : 0;

        policy_features(&policy_raw, &raw);
        policy_features(&policy_host, &host);
        policy_features(&policy_pv_max, &max);
        policy_features(&policy_pv_default, &def);
        assert_int_equal(host.w[i] & ~raw.w[i], 0);
        assert_int_equal(max.w[i] & ~host.w[i] & ~ours, 0);
        assert_int_equal(def.w[i] & ~max.w[i], 0);
    }
    assert_int_equal(policy_pv_max.platform_info, 0);
    assert_int_equal(policy_pv_max.arch_caps & ~0x2bULL, 0);
}

static void test_extra_features(void **state)
{
    static struct cpu_policy p;

    for (unsigned i = 0; i < POLICY_WORDS; i++) {
        const struct policy_place *w = &policy_word_place[i];
        struct cpu_featureset have;
        struct policy_fault f;

        for (unsigned bit = 0; bit < 32; bit++) {
            bool ignored = i * 32 + bit == XEN_X86_FEATURE_HTT || i * 32 + bit == XEN_X86_FEATURE_OSXSAVE ||
                           i * 32 + bit == XEN_X86_FEATURE_CMP_LEGACY || (i == 2 && (POLICY_COMMON_1D >> bit & 1));

            p = policy_pv_max;
            policy_features(&p, &have);
            if (have.w[i] >> bit & 1)
                continue;
            have.w[i] |= 1U << bit;
            policy_features_set(&p, &have);
            if (ignored) {
                assert_int_equal(policy_check(&p, &policy_pv_max, &f), 0);
                continue;
            }
            assert_int_equal(policy_check(&p, &policy_pv_max, &f), -XEN_EINVAL);
            assert_int_equal(f.bits, 1U << bit);
            assert_int_equal(f.leaf, w->leaf);
            assert_int_equal(f.msr, w->leaf == ~0U ? 0x10a : ~0U);
        }
    }
}

static void test_refusals(void **state)
{
    static const struct {
        uint32_t leaf, sub, reg, add;
    } bad[] = {{0, 0, EAX, 1},  {0, 0, EBX, 1},  {7, 0, EAX, 5},          {0xd, 0, EAX, 0x200},
               {5, 0, EAX, 1},  {6, 0, ECX, 8},  {0xa, 0, EAX, 1},        {0x80000000, 0, EAX, 1},
               {0xd, 0, EDX, 1}, {0x8000000a, 0, EDX, 1}, {0x80000008, 0, EAX, 1}};
    static struct cpu_policy p;
    struct policy_fault f;

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        p = policy_pv_max;
        p.r[policy_slot(bad[i].leaf, bad[i].sub)][bad[i].reg] += bad[i].add;
        assert_int_equal(policy_check(&p, &policy_pv_max, &f), -XEN_EINVAL);
        assert_int_equal(f.leaf, bad[i].leaf);
        assert_non_null(f.what);
    }
    if (cpu_features.xcr0 & 4) { /* AVX state of another size */
        p = policy_pv_max;
        p.r[policy_slot(0xd, 2)][EAX] += 64;
        assert_int_equal(policy_check(&p, &policy_pv_max, &f), -XEN_EINVAL);
        assert_int_equal(f.subleaf, 2);
    }
    p = policy_pv_max;
    p.platform_info = PLATFORM_INFO_CPUID_FAULT;
    assert_int_equal(policy_check(&p, &policy_pv_max, &f), -XEN_EINVAL);
    assert_int_equal(f.msr, 0xce);
}

static void test_take(void **state)
{
    static struct cpu_policy p;
    const uint32_t none = XEN_CPUID_NO_SUBLEAF;
    static const struct {
        xen_cpuid_leaf_t l;
        int rc;
    } t[] = {
        {{0x1c, XEN_CPUID_NO_SUBLEAF, 1, 0, 0, 0}, -XEN_ERANGE}, {{0x1c, XEN_CPUID_NO_SUBLEAF, 0, 0, 0, 0}, 0},
        {{1, 3, 1, 0, 0, 0}, -XEN_ERANGE},        {{7, 9, 1, 0, 0, 0}, -XEN_ERANGE},
        {{4, 0, 1, 2, 3, 4}, 0},                  {{0xd, 62, 1, 0, 0, 0}, -XEN_ERANGE},
        {{0x40000003, XEN_CPUID_NO_SUBLEAF, 1, 0, 0, 0}, -XEN_ERANGE},
        {{0x80000022, XEN_CPUID_NO_SUBLEAF, 1, 0, 0, 0}, -XEN_ERANGE},
        {{0xffffffff, XEN_CPUID_NO_SUBLEAF, 1, 0, 0, 0}, -XEN_ERANGE},
    };
    xen_msr_entry_t m = {.idx = 0xce, .flags = 1};

    for (unsigned i = 0; i < ARRAY_SIZE(t); i++)
        assert_int_equal(policy_take_leaf(&p, &t[i].l), t[i].rc);
    assert_int_equal(p.r[policy_slot(4, 0)][EDX], 4);
    assert_int_equal(policy_slot(4, none), -1);
    assert_int_equal(policy_take_msr(&p, &m), -XEN_EINVAL);
    m = (xen_msr_entry_t){.idx = 0xce, .val = 1};
    assert_int_equal(policy_take_msr(&p, &m), -XEN_EOVERFLOW);
    m = (xen_msr_entry_t){.idx = 0xcf};
    assert_int_equal(policy_take_msr(&p, &m), -XEN_ERANGE);
}

/* Whatever a guest was given: topology, sizes and flags of ours are right afterwards. */
static void test_force(void **state)
{
    static struct cpu_policy p;

    p = policy_pv_max;
    p.r[policy_slot(1, 0)][EBX] = ~0U;
    p.r[policy_slot(1, 0)][EDX] |= BIT(28);
    p.r[policy_slot(1, 0)][ECX] &= ~(1U << 26); /* without XSAVE */
    p.r[policy_slot(0xb, 1)][EBX] = 8;
    p.r[policy_slot(0xd, 0)][ECX] = ~0U;
    policy_force(&p, &policy_pv_max);
    assert_int_equal(p.r[policy_slot(1, 0)][EBX], 0x1ffff);
    assert_false(p.r[policy_slot(1, 0)][EDX] & BIT(28));
    assert_true(p.r[policy_slot(1, 0)][ECX] & BIT(31));
    assert_int_equal(p.r[policy_slot(0xb, 1)][EBX], 0);
    assert_int_equal(p.r[policy_slot(0xd, 0)][ECX], 0);
    assert_int_equal(policy_xcr0(&p), 0);
}

/* The policies of the machine know where the components lie; forcing one by itself, or a guest's by it, keeps that. */
static void test_xstate(void **state)
{
    static struct cpu_policy p;
    uint32_t h[4], size = 576;

    for (unsigned i = 2; i < POLICY_NR_XSTATE; i++) {
        cpuid(0xd, i, h);
        for (unsigned k = 2; k < ARRAY_SIZE(all); k++) {
            const uint32_t *r = all[k]->r[policy_slot(0xd, i)];

            assert_int_equal(r[EAX], cpu_features.xcr0 & BIT(i) ? h[EAX] : 0);
            assert_int_equal(r[EBX], cpu_features.xcr0 & BIT(i) ? h[EBX] : 0);
        }
        if (cpu_features.xcr0 & BIT(i))
            size = MAX(size, h[EAX] + h[EBX]);
    }
    assert_int_equal(policy_pv_max.r[policy_slot(0xd, 0)][ECX], size);
    p = policy_pv_default;
    p.r[policy_slot(0xd, 0)][EAX] &= 3; /* a guest without AVX */
    policy_force(&p, &policy_pv_max);
    assert_int_equal(p.r[policy_slot(0xd, 2)][EAX], 0);
    assert_int_equal(p.r[policy_slot(0xd, 0)][ECX], 576);
    p = policy_pv_default; /* "cpuid = host,avx=0": what it cannot see it cannot use */
    p.r[policy_slot(1, 0)][ECX] &= ~(1U << 28);
    policy_force(&p, &policy_pv_max);
    assert_int_equal(policy_xcr0(&p), policy_xcr0(&policy_pv_max) & 3);
    assert_int_equal(p.r[policy_slot(0xd, 0)][ECX], 576);
    p = policy_pv_default;
    p.r[policy_slot(7, 0)][EBX] &= ~(1U << 16); /* AVX512F */
    policy_force(&p, &policy_pv_max);
    assert_int_equal(policy_xcr0(&p), policy_xcr0(&policy_pv_max) & 7);
}

/* --- Time stamp counters ------------------------------------------------------------------------------- */

static void test_tsc_modes(void **state)
{
    struct xen_domctl_tsc_info i = {0}, got;

    in_step = true;
    assert_int_equal(guest_tsc_set(&dom.d, &i), 0);
    assert_false(dom.tsc.emulated);
    assert_int_equal(guest_tsc_khz(&dom.d), 2000000);
    i.gtsc_khz = 2000900; /* the same by measurement */
    assert_int_equal(guest_tsc_set(&dom.d, &i), 0);
    assert_false(dom.tsc.emulated);
    i.gtsc_khz = 2600000;
    assert_int_equal(guest_tsc_set(&dom.d, &i), 0);
    assert_true(dom.tsc.emulated);
    guest_tsc_get(&dom.d, &got);
    assert_int_equal(got.gtsc_khz, 2600000);
    assert_int_equal(got.incarnation, 1);
    in_step = false;
    i = (struct xen_domctl_tsc_info){0};
    assert_int_equal(guest_tsc_set(&dom.d, &i), 0);
    assert_true(dom.tsc.emulated);
    i.tsc_mode = TSC_MODE_NEVER;
    assert_int_equal(guest_tsc_set(&dom.d, &i), 0);
    assert_false(dom.tsc.emulated);
    in_step = true;
    i.tsc_mode = 3;
    assert_int_equal(guest_tsc_set(&dom.d, &i), -XEN_EINVAL);
    i = (struct xen_domctl_tsc_info){.tsc_mode = 1, .gtsc_khz = 1};
    assert_int_equal(guest_tsc_set(&dom.d, &i), -XEN_EINVAL);
}

static void test_tsc_emulated(void **state)
{
    struct xen_domctl_tsc_info i = {.tsc_mode = TSC_MODE_ALWAYS, .gtsc_khz = 1000000, .elapsed_nsec = 777};
    struct time_scale s = {.stamp_tsc = 8000000000, .stamp_ns = 5000000000, .tsc_stable = true};
    uint64_t last = 0;

    now = 5000000000;
    assert_int_equal(guest_tsc_set(&dom.d, &i), 0);
    assert_int_equal(guest_tsc_read(&dom.d), 777);
    for (unsigned k = 0; k < 1000; k++, now += 999983) {
        uint64_t t = guest_tsc_read(&dom.d);

        assert_true(t >= last && t <= now - 5000000000 + 777);
        last = t;
    }
    /* the guest's clock agrees with system time, through its own counter */
    now = 6000000000;
    timescale_set_hz(&s, hz);
    guest_time_scale(&xv.v, &s);
    assert_false(s.tsc_stable);
    assert_in_range(timescale_ns(&s, guest_tsc_read(&dom.d)), 6000000000 - 2, 6000000000 + 2);
}

/* A guest that leaves a native counter and goes on with an emulated one elsewhere sees it go on. */
static void test_tsc_moved(void **state)
{
    struct xen_domctl_tsc_info i = {0}, got;

    now = 5000000000;
    assert_int_equal(guest_tsc_set(&dom.d, &i), 0);
    guest_tsc_get(&dom.d, &got);
    assert_in_range(got.elapsed_nsec, 4000000000 - 2, 4000000000 + 2); /* 8e9 ticks at 2 GHz */
    hz = 3000000000;
    assert_int_equal(guest_tsc_set(&dom.d, &got), 0);
    hz = 2000000000;
    assert_true(dom.tsc.emulated);
    assert_in_range(guest_tsc_read(&dom.d), 8000000000 - 8, 8000000000 + 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_form),         cmocka_unit_test(test_limits_hold),
        cmocka_unit_test(test_extra_features), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_take),         cmocka_unit_test(test_force),
        cmocka_unit_test(test_xstate),
        cmocka_unit_test(test_tsc_modes),    cmocka_unit_test(test_tsc_emulated),
        cmocka_unit_test(test_tsc_moved),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
