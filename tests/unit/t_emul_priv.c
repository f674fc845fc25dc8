/* SPDX-License-Identifier: MIT */
/*
 * Privileged instructions up to the point where real registers are touched: dispatch, kernel and process
 * rules, forced CPUID, MSR results, control register reads, debug register checks, hlt, single step.
 *
 * sources: hypervisor/pv/emul_priv.c hypervisor/pv/emul_cr.c hypervisor/pv/emul_util.c hypervisor/pv/debugreg.c
 * sources: hypervisor/pv/insn.c hypervisor/pv/insn_rmw.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sched.h"
#include "x86/policy.h"
#include "x86/pv_emul.h"

struct cpu_features cpu_features;
static struct x86_domain dom;
static struct cpu_policy policy;
static struct vcpu_info info;
static struct x86_vcpu xv;
static regs_t regs;
static uint8_t code[16];
static unsigned injected, steps, blocks, cr3_sets;
static int cr3_rc;
static uint64_t msr_written, policy_may = ~0ULL;
static bool was_forced;

int copy_from_guest(void *dst, guest_ptr_t src, size_t bytes)
{
    if (src.va != regs.rip)
        return -XEN_EFAULT;
    memcpy(dst, code, bytes);
    return 0;
}
int copy_to_guest(guest_ptr_t dst, const void *src, size_t bytes)
{
    return -XEN_EFAULT;
}
void pv_inject_exception(struct vcpu *v, unsigned vector, uint32_t error)
{
    injected = vector;
    steps++;
}
void pv_inject_page_fault(struct vcpu *v, uint64_t addr, uint32_t error)
{
}
void vcpu_block(struct vcpu *v)
{
    blocks++;
}
struct vcpu *current_vcpu(void)
{
    return NULL;
}
int pv_set_cr3(struct vcpu *v, uint64_t mfn_val)
{
    cr3_sets++;
    return cr3_rc;
}
const struct cpu_policy *policy_of(const struct domain *d)
{
    return &policy;
}
uint64_t policy_xcr0(const struct cpu_policy *p)
{
    return policy_may;
}
uint64_t guest_tsc_read(const struct domain *d)
{
    return 0x123456789aULL;
}
void guest_cpuid(struct vcpu *v, uint32_t leaf, uint32_t sub, bool forced, uint32_t r[4])
{
    was_forced = forced;
    r[0] = leaf + 1, r[1] = sub + 2, r[2] = 3, r[3] = 4;
}
int guest_msr_read(struct vcpu *v, uint32_t msr, uint64_t *val)
{
    *val = 0x1122334455667788;
    return msr == 0x1b ? 0 : -XEN_EINVAL;
}
int guest_msr_write(struct vcpu *v, uint32_t msr, uint64_t val)
{
    msr_written = val;
    return msr == 0xc0000101 ? 0 : -XEN_EINVAL;
}
enum pv_emul pv_emul_io(struct vcpu *v, const struct pv_insn *in, regs_t *r, bool code64)
{
    return PV_EMUL_STAY;
}

static bool go(const char *bytes, unsigned n)
{
    memset(code, 0x90, sizeof(code));
    memcpy(code, bytes, n);
    regs.rip = 0x400000;
    regs.cs = SEL_GUEST_CS64;
    return pv_emulate_privileged(&xv.v, &regs);
}
#define GO(bytes) go(bytes, sizeof(bytes) - 1)

static int setup(void **state)
{
    memset(&xv, 0, sizeof(xv));
    memset(&regs, 0, sizeof(regs));
    xv.v.domain = &dom.d;
    xv.v.info = &info;
    xv.kernel_mode = 1;
    regs.rflags = 0x10202;
    injected = steps = blocks = cr3_sets = 0;
    policy_may = ~0ULL;
    cr3_rc = 0;
    return 0;
}

static void test_msr(void **state)
{
    regs.rcx = 0x1b;
    assert_true(GO("\x0f\x32"));
    assert_int_equal(regs.rax, 0x55667788);
    assert_int_equal(regs.rdx, 0x11223344);
    assert_int_equal(regs.rip, 0x400002);
    assert_int_equal(regs.rflags, 0x202);
    regs.rcx = 0xc0010055;
    assert_false(GO("\x0f\x32"));
    assert_int_equal(regs.rip, 0x400000);
    regs.rcx = 0xc0000101;
    assert_true(GO("\x0f\x30"));
    assert_int_equal(msr_written, 0x1122334455667788);
    xv.kernel_mode = 0;
    assert_false(GO("\x0f\x30"));
    assert_false(GO("\x0f\x32"));
}

static void test_cpuid(void **state)
{
    memcpy(code, "\x0f\x0bxen\x0f\xa2", 7);
    regs.rip = 0x400000;
    regs.rax = 0x10;
    regs.rcx = 0x20;
    assert_true(pv_emulate_forced_cpuid(&xv.v, &regs));
    assert_int_equal(regs.rip, 0x400007);
    assert_int_equal(regs.rax, 0x11);
    assert_int_equal(regs.rbx, 0x22);
    assert_true(was_forced);
    memcpy(code, "\x0f\x0bxen\x0f\xa3", 7);
    regs.rip = 0x400000;
    assert_false(pv_emulate_forced_cpuid(&xv.v, &regs));
    assert_true(GO("\x0f\xa2")); /* faulting */
    assert_false(was_forced);
}

static void test_control_registers(void **state)
{
    xv.cr2 = 0xabc;
    xv.root = mfn(0x1234);
    assert_true(GO("\x0f\x20\xc0"));
    assert_int_equal(regs.rax, 0x80050033);
    assert_true(GO("\x41\x0f\x20\xd1")); /* cr2 to r9 */
    assert_int_equal(regs.r9, 0xabc);
    assert_true(GO("\x0f\x20\xd8"));
    assert_int_equal(regs.rax, 0x1234000);
    assert_true(GO("\x0f\x20\xe0"));
    assert_int_equal(regs.rax, 0x660);
    assert_false(GO("\x0f\x20\xc8")); /* cr1 */
    regs.rax = 0x5000;
    assert_true(GO("\x0f\x22\xd8"));
    assert_int_equal(regs.rip, 0x400003);
    cr3_rc = -XEN_ERESTART;
    assert_true(GO("\x0f\x22\xd8"));
    assert_int_equal(regs.rip, 0x400000);
    cr3_rc = -XEN_EINVAL;
    assert_false(GO("\x0f\x22\xd8"));
    assert_int_equal(cr3_sets, 3);
    assert_false(GO("\x0f\x01\x17")); /* lgdt */
    xv.kernel_mode = 0;
    assert_false(GO("\x0f\x20\xc0"));
    assert_false(GO("\x0f\x06"));
}

/* What XSETBV refuses, and by which exception; what it takes, as far as the host may load it. */
static void test_xsetbv(void **state)
{
    static const struct {
        uint64_t val;
        bool good;
    } t[] = {
        {0, false},    {1, true},     {2, false},    {3, true},  {4, false},   {5, false},   {6, false},
        {7, true},     {0xf, false},  {0x1f, false}, {9, false}, {0x27, false}, {0x67, false}, {0xe3, false},
        {0xe7, true},  {0x207, false}, {0x60007, false}, {BIT(62) | 7, false}, {BIT(63) | 7, false}, {~0ULL, false},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
        cpu_features.xsave = true;
        cpu_features.xcr0 = 0xe7;
        policy_may = 0xe7;
        assert_int_equal(pv_xcr0_valid(&dom.d, t[i].val), t[i].good);
        policy_may = 3; /* the guest's policy has no AVX */
        assert_int_equal(pv_xcr0_valid(&dom.d, t[i].val), t[i].val == 1 || t[i].val == 3);
        policy_may = 0; /* nor XSAVE */
        assert_false(pv_xcr0_valid(&dom.d, t[i].val));
        policy_may = ~0ULL;
        cpu_features.xcr0 = 7; /* the processor's own */
        assert_int_equal(pv_xcr0_valid(&dom.d, t[i].val), t[i].good && t[i].val < 8);
        cpu_features.xsave = false;
        assert_false(pv_xcr0_valid(&dom.d, t[i].val));
    }
    cpu_features.xsave = true;
    regs.rax = 7;
    assert_true(GO("\x0f\x01\xd1")); /* without OSXSAVE: #UD, and rip stays */
    assert_int_equal(injected, 6);
    assert_int_equal(regs.rip, 0x400000);
    xv.cr4 |= CR4_OSXSAVE;
    xv.xcr0 = 3;
    regs.rcx = 1; /* no such register: #GP */
    assert_false(GO("\x0f\x01\xd1"));
    regs.rcx = 0;
    regs.rax = 5;
    assert_false(GO("\x0f\x01\xd1"));
    regs.rax = 7;
    xv.kernel_mode = 0;
    assert_false(GO("\x0f\x01\xd1"));
    assert_int_equal(xv.xcr0, 3);
    assert_int_equal(injected, 6);
}

/* CR4.OSXSAVE exists for those whose policy has XSAVE. */
static void test_osxsave(void **state)
{
    cpu_features.xsave = true;
    pv_context_cr4(&xv, ~0ULL);
    assert_true(xv.cr4 & CR4_OSXSAVE);
    policy_may = 0;
    pv_context_cr4(&xv, ~0ULL);
    assert_false(xv.cr4 & CR4_OSXSAVE);
    policy_may = ~0ULL;
    cpu_features.xsave = false;
    pv_context_cr4(&xv, ~0ULL);
    assert_false(xv.cr4 & CR4_OSXSAVE);
}

static void test_others(void **state)
{
    assert_true(GO("\xf4"));
    assert_int_equal(blocks, 1);
    assert_int_equal(regs.rip, 0x400001);
    assert_false(GO("\xfa"));
    xv.iopl = 1;
    assert_true(GO("\xfa"));
    assert_true(GO("\xec"));
    assert_int_equal(regs.rip, 0x400000); /* the stub said so */
    assert_true(GO("\x0f\x09"));
    assert_false(GO("\xf0\x0f\x09"));
    assert_true(GO("\x0f\x31"));
    regs.rflags |= 0x100;
    assert_true(GO("\x0f\x31"));
    assert_int_equal(steps, 1);
    assert_int_equal(xv.dr[6] & 0x4000, 0x4000);
    xv.kernel_mode = 0;
    xv.cr4 = CR4_TSD;
    assert_false(GO("\x0f\x31"));
    assert_false(GO("\xf4"));
    assert_false(GO("\xfa"));
}

static void test_debug_registers(void **state)
{
    struct vcpu *v = &xv.v;
    uint64_t val;

    assert_int_equal(pv_set_dr(v, 0, HYP_VIRT_START), -XEN_EPERM);
    assert_int_equal(pv_set_dr(v, 0, 1ULL << 47), -XEN_EPERM);
    assert_int_equal(pv_set_dr(v, 0, 0x400000), 0);
    assert_int_equal(pv_set_dr(v, 8, 0), -XEN_EINVAL);
    assert_int_equal(pv_set_dr(v, 7, 0x00020001), -XEN_EPERM); /* I/O */
    assert_int_equal(pv_set_dr(v, 7, 0x00040001), -XEN_EPERM); /* execute, 2 bytes */
    assert_int_equal(pv_set_dr(v, 7, 1ULL << 32), -XEN_EINVAL);
    assert_int_equal(pv_set_dr(v, 7, 0x0001e801), 0);
    assert_int_equal(pv_get_dr(v, 7, &val), 0);
    assert_int_equal(val, 0x00010401);
    assert_int_equal(pv_get_dr(v, 5, &val), 0);
    assert_int_equal(val, 0x00010401);
    assert_int_equal(pv_set_dr(v, 6, 0xffffffff), 0);
    assert_int_equal(pv_get_dr(v, 4, &val), 0);
    assert_int_equal(val, 0xffffefff);
    xv.cr4 = CR4_DE;
    assert_int_equal(pv_get_dr(v, 4, &val), -XEN_ENODEV);
    regs.rax = 0x1234;
    assert_true(GO("\x0f\x23\xc8")); /* dr1 */
    assert_true(GO("\x0f\x21\xcb"));
    assert_int_equal(regs.rbx, 0x1234);
    regs.rax = HYP_VIRT_START;
    assert_false(GO("\x0f\x23\xc8"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_msr, setup),
        cmocka_unit_test_setup(test_cpuid, setup),
        cmocka_unit_test_setup(test_control_registers, setup),
        cmocka_unit_test_setup(test_xsetbv, setup),
        cmocka_unit_test_setup(test_osxsave, setup),
        cmocka_unit_test_setup(test_others, setup),
        cmocka_unit_test_setup(test_debug_registers, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
