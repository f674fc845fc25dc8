/* SPDX-License-Identifier: MIT */
/*
 * The PV CPUID policy on whatever processor runs the test: hypervisor leaves, nothing shown that the
 * processor lacks, what must be hidden is hidden, XSAVE leaves follow xcr0.
 *
 * sources: hypervisor/pv/cpuid.c hypervisor/x86/policy.c hypervisor/x86/policy_make.c hypervisor/x86/policy_ctl.c
 * sources: hypervisor/x86/policy_check.c hypervisor/x86/time/guest_tsc.c hypervisor/common/timescale.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vtime.h"
#include "x86/policy.h"
#include "x86/pv_emul.h"

struct cpu_features cpu_features;
uint64_t frame_max = 0x140000; /* 5 GiB */
static struct x86_domain dom;
static struct x86_vcpu xv;

void time_scale_now(struct time_scale *s)
{
    *s = (struct time_scale){
        .stamp_tsc = 4000000, .stamp_ns = 1500000, .mul = 0x80000000U, .shift = 1, .tsc_stable = true};
}

uint64_t time_tsc_hz(void)
{
    return 1000000000;
}
bool time_tsc_in_step(void)
{
    return true;
}

/* A policy is replaced while its domain does not run. */
void domain_pause(struct domain *d)
{
}
void domain_unpause(struct domain *d)
{
}

static int setup(void **state)
{
    uint32_t r[4];

    cpuid(0, 0, r);
    cpu_features.max_leaf = r[0];
    cpuid(0x80000000, 0, r);
    cpu_features.max_ext = r[0];
    cpu_features.xsave = cpu_features.nx = cpu_features.rdtscp = true;
    cpuid(0xd, 0, r);
    cpu_features.xcr0 = r[0] & 0xe7;
    cpu_features.smep = true;
    policies_init();
    xv.v.domain = &dom.d;
    xv.xcr0 = 1;
    return 0;
}

static void test_hypervisor_leaves(void **state)
{
    uint32_t r[4];

    guest_cpuid(&xv.v, 0x40000000, 0, true, r);
    assert_int_equal(r[0], 0x40000005);
    assert_memory_equal(&r[1], "XenVMMXenVMM", 12);
    guest_cpuid(&xv.v, 0x40000001, 0, true, r);
    assert_int_equal(r[0], 0x00040011);
    guest_cpuid(&xv.v, 0x40000003, 0, true, r);
    assert_int_equal(r[0] & 1, 0);
    assert_int_equal(r[2], 1000000); /* 1 GHz */
    guest_cpuid(&xv.v, 0x40000003, 1, true, r);
    assert_int_equal((int64_t)(((uint64_t)r[1] << 32) | r[0]), 1500000 - 4000000);
    guest_cpuid(&xv.v, 0x40000005, 0, true, r);
    assert_int_equal(r[1], 0x21);
    for (uint32_t leaf = 0x40000100; leaf < 0x40010000; leaf += 0x100) {
        guest_cpuid(&xv.v, leaf, 0, true, r);
        assert_int_equal(r[0] | r[1] | r[2] | r[3], 0);
    }
}

static void test_masks(void **state)
{
    uint32_t r[4], h[4];

    guest_cpuid(&xv.v, 1, 0, true, r);
    cpuid(1, 0, h);
    assert_int_equal(r[2] & ~h[2] & ~BIT(31), 0);
    assert_int_equal(r[3] & ~h[3], 0);
    assert_true(r[2] & BIT(31));
    assert_false(r[2] & (BIT(3) | BIT(5) | BIT(17) | BIT(21) | BIT(24)));
    assert_false(r[3] & (BIT(1) | BIT(3) | BIT(11) | BIT(12) | BIT(13) | BIT(17)));
    dom.d.hardware = true;
    guest_cpuid(&xv.v, 1, 0, true, r);
    assert_int_equal(r[3] & BIT(12), h[3] & BIT(12));
    guest_cpuid(&xv.v, 7, 0, true, r);
    cpuid(7, 0, h);
    assert_int_equal((r[1] & ~h[1]) | (r[2] & ~h[2]) | (r[3] & ~h[3]), 0);
    assert_false(r[1] & (BIT(7) | BIT(10) | BIT(20)));
    assert_false(r[2] & (BIT(2) | BIT(3) | BIT(4) | BIT(16)));
    guest_cpuid(&xv.v, 0x80000001, 0, true, r);
    assert_false(r[2] & BIT(2));
    assert_false(r[3] & BIT(26));
    guest_cpuid(&xv.v, 0x8000000a, 0, true, r);
    assert_int_equal(r[0] | r[1] | r[2] | r[3], 0);
}

/* A kernel asks before it sets CR4; where the instruction itself traps, the bit is as on a processor. */
static void test_osxsave(void **state)
{
    uint32_t r[4], h[4], has;

    cpuid(1, 0, h);
    has = h[2] & BIT(26) ? BIT(27) : 0;
    for (unsigned on = 0; on < 2; on++) {
        xv.cr4 = on ? CR4_OSXSAVE : 0;
        guest_cpuid(&xv.v, 1, 0, true, r);
        assert_int_equal(r[2] & BIT(27), has);
        guest_cpuid(&xv.v, 1, 0, false, r);
        assert_int_equal(r[2] & BIT(27), on ? has : 0);
    }
}

/* The end of the last component of xcr0, in the standard form. */
static uint32_t area_size(uint64_t xcr0)
{
    uint32_t size = 576, h[4];

    for (unsigned i = 2; i < 20; i++) {
        if (!(xcr0 & BIT(i)))
            continue;
        cpuid(0xd, i, h);
        size = MAX(size, h[0] + h[1]);
    }
    return size;
}

static void test_xsave(void **state)
{
    uint32_t r[4], h[4];

    guest_cpuid(&xv.v, 0xd, 0, true, r);
    assert_int_equal(r[0], cpu_features.xcr0);
    assert_int_equal(r[1], 576);
    assert_int_equal(r[2], area_size(cpu_features.xcr0));
    for (uint64_t x = 3; x; x = x == cpu_features.xcr0 ? 0 : cpu_features.xcr0) {
        xv.xcr0 = x;
        guest_cpuid(&xv.v, 0xd, 0, true, r);
        assert_int_equal(r[1], area_size(x));
        assert_int_equal(r[2], area_size(cpu_features.xcr0));
    }
    for (unsigned i = 2; i < 20; i++) { /* sizes and places are the processor's */
        guest_cpuid(&xv.v, 0xd, i, true, r);
        cpuid(0xd, i, h);
        assert_int_equal(r[0], cpu_features.xcr0 & BIT(i) ? h[0] : 0);
        assert_int_equal(r[1], cpu_features.xcr0 & BIT(i) ? h[1] : 0);
    }
    guest_cpuid(&xv.v, 0xd, 9, true, r);
    assert_int_equal(r[0], 0);
    guest_cpuid(&xv.v, 0xd, 1, true, r);
    assert_false(r[0] & ~7U);
    cpu_features.xsave = false;
    cpu_features.xcr0 = 0;
    policies_init();
    guest_cpuid(&xv.v, 1, 0, true, r);
    assert_false(r[2] & (BIT(12) | BIT(26) | BIT(27) | BIT(28) | BIT(29)));
    guest_cpuid(&xv.v, 0xd, 0, true, r);
    assert_int_equal(r[2], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hypervisor_leaves),
        cmocka_unit_test(test_masks),
        cmocka_unit_test(test_osxsave),
        cmocka_unit_test(test_xsave),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
