/* SPDX-License-Identifier: MIT */
/*
 * The extended FPU state that tools take out of a vCPU and put into another: its size and components go by the guest's policy, not by
 * the machine; what XRSTOR would fault on is refused and leaves no trace.
 *
 * sources: hypervisor/pv/domctl_vcpu.c hypervisor/x86/policy.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "domain.h"
#include "domctl.h"
#include "port.h"
#include "x86/context.h"
#include "x86/policy.h"
#include "x86/pv.h"
#include "x86/pv_emul.h"

#define ROOM 4096

struct cpu_features cpu_features;
const unsigned long pv_vm_assist_known = 0;
static struct cpu_policy policy;
static struct x86_domain dom;
static struct x86_vcpu xv;
static struct vcpu *vcpus[1] = {&xv.v};
static uint8_t fpu[ROOM] __attribute__((aligned(64))), buffer[ROOM];
static int held;

const struct cpu_policy *policy_of(const struct domain *d)
{
    return &policy;
}
bool pv_xcr0_valid(const struct domain *d, uint64_t val)
{
    return (val & 1) && !(val & ~policy_xcr0(&policy));
}
void vcpu_pause(struct vcpu *v)
{
    held++;
}
void vcpu_unpause(struct vcpu *v)
{
    held--;
}
void vcpu_state_sync(struct vcpu *v)
{
}
int copy_from_guest(void *dst, guest_ptr_t src, size_t bytes)
{
    memcpy(dst, (const void *)src.va, bytes);
    return 0;
}
int copy_to_guest(guest_ptr_t dst, const void *src, size_t bytes)
{
    memcpy((void *)dst.va, src, bytes);
    return 0;
}

/* Not reached from here. */
bool pv_kernel_address(uint64_t va)
{
    abort();
}
int pv_context_set(struct vcpu *v, const struct vcpu_guest_context *c)
{
    abort();
}
void pv_cr3_update(struct x86_vcpu *x)
{
    abort();
}
int pv_get_dr(struct vcpu *v, unsigned reg, uint64_t *val)
{
    abort();
}
uint64_t pv_guest_cr0(const struct x86_vcpu *x)
{
    abort();
}
uint64_t pv_guest_cr4(const struct x86_vcpu *x)
{
    abort();
}
void pv_iret_slow_update(struct x86_vcpu *x)
{
    abort();
}
int pv_vcpu_relinquish(struct x86_vcpu *x)
{
    abort();
}
void vcpu_up(struct vcpu *v)
{
    abort();
}

/* A machine with AVX and AVX-512, a guest with the components of xcr0. */
static void machine(uint64_t xcr0)
{
    static const struct {
        unsigned nr, size, at;
    } part[] = {{2, 256, 576}, {5, 64, 832}, {6, 512, 896}, {7, 1024, 1408}};

    memset(&policy, 0, sizeof(policy));
    policy.r[policy_slot(0xd, 0)][EAX] = (uint32_t)xcr0;
    for (unsigned i = 0; i < ARRAY_SIZE(part); i++)
        if (xcr0 & BIT(part[i].nr)) {
            policy.r[policy_slot(0xd, part[i].nr)][EAX] = part[i].size;
            policy.r[policy_slot(0xd, part[i].nr)][EBX] = part[i].at;
        }
    cpu_features.xsave = true;
    cpu_features.xcr0 = 0xe7;
    cpu_features.xsave_size = 2432;
    xv.xcr0 = xcr0 ? xcr0 : 3;
}

static int setup(void **state)
{
    memset(&xv, 0, sizeof(xv));
    memset(fpu, 0xaa, sizeof(fpu));
    memset(fpu + 512, 0, 64);
    memset(buffer, 0x55, sizeof(buffer));
    *(uint64_t *)(fpu + 512) = 0xe7; /* all in use */
    xv.fpu = fpu;
    xv.v.domain = &dom.d;
    dom.d.vcpu = vcpus;
    dom.d.max_vcpus = 1;
    held = 0;
    machine(7);
    return 0;
}

static long call(long (*fn)(struct vcpu *, struct domain *, struct xen_domctl *), struct xen_domctl *op)
{
    long rc = fn(NULL, &dom.d, op);

    assert_int_equal(held, 0);
    return rc;
}

static uint64_t ask_size(void)
{
    struct xen_domctl op = {0};

    assert_int_equal(call(domctl_getvcpuextstate, &op), 0);
    return op.u.vcpuextstate.size;
}

static struct xen_domctl op_of(uint64_t size)
{
    struct xen_domctl op = {0};

    op.u.vcpuextstate.size = size;
    op.u.vcpuextstate.xfeature_mask = cpu_features.xcr0;
    op.u.vcpuextstate.buffer.p = (void *)buffer;
    return op;
}

static void test_sizes(void **state)
{
    static const struct {
        uint64_t xcr0, size;
    } t[] = {{0, 576}, {3, 576}, {7, 832}, {0xe7, 2432}};

    for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
        machine(t[i].xcr0);
        assert_int_equal(ask_size(), 16 + t[i].size);
    }
    cpu_features.xsave = false;
    assert_int_equal(ask_size(), 0);
}

static void test_get(void **state)
{
    struct xen_domctl op = op_of(16 + 832 + 64);
    const uint64_t *w = (const uint64_t *)buffer;

    assert_int_equal(call(domctl_getvcpuextstate, &op), -XEN_EINVAL);
    op = op_of(16 + 832);
    assert_int_equal(call(domctl_getvcpuextstate, &op), 0);
    assert_int_equal(w[0], 7);
    assert_int_equal(w[1], 7);
    assert_int_equal(w[(16 + 512) / 8], 7); /* what the policy lacks is not in the header either */
    for (unsigned i = 1; i < 8; i++)
        assert_int_equal(w[(16 + 512) / 8 + i], 0);
    assert_memory_equal(buffer + 16 + 576, fpu + 576, 256);
    assert_int_equal(buffer[16 + 832], 0x55);
    op.u.vcpuextstate.vcpu = 1;
    assert_int_equal(call(domctl_getvcpuextstate, &op), -XEN_ESRCH);
}

/* What came out goes in again, into a vCPU of a machine with more. */
static void test_round(void **state)
{
    static uint8_t was[ROOM];
    struct xen_domctl op = op_of(16 + 832);

    assert_int_equal(call(domctl_getvcpuextstate, &op), 0);
    memcpy(was, fpu, sizeof(was));
    memset(fpu, 0, sizeof(fpu));
    xv.xcr0 = 1;
    assert_int_equal(call(domctl_setvcpuextstate, &op), 0);
    assert_int_equal(xv.xcr0, 7);
    assert_memory_equal(fpu + 576, was + 576, 256);
    assert_int_equal(*(uint64_t *)(fpu + 512), 7);
    assert_int_equal(*(uint32_t *)(fpu + 24) >> 16, 0); /* MXCSR */
    machine(0); /* a guest without XSAVE has what vCPUs start with */
    op = op_of(16 + 576);
    assert_int_equal(call(domctl_getvcpuextstate, &op), 0);
    assert_int_equal(call(domctl_setvcpuextstate, &op), 0);
    assert_int_equal(xv.xcr0, 3);
}

static void test_refusals(void **state)
{
    static const struct {
        unsigned word;
        uint64_t val;
    } bad[] = {{0, 0}, {0, 5 << 3}, {0, 0xe7}, {66, 0xe7}, {66, 1ULL << 63}, {67, 1}, {73, 1}};
    static uint8_t was[ROOM];
    uint64_t *w = (uint64_t *)buffer;

    memcpy(was, fpu, sizeof(was));
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        struct xen_domctl op = op_of(16 + 832);

        assert_int_equal(call(domctl_getvcpuextstate, &op), 0);
        w[bad[i].word] = bad[i].val;
        assert_int_equal(call(domctl_setvcpuextstate, &op), -XEN_EINVAL);
        assert_memory_equal(fpu, was, sizeof(was));
        assert_int_equal(xv.xcr0, 7);
    }
    for (uint64_t size = 0; size < 3000; size++) {
        struct xen_domctl op = op_of(size);

        if (size == 16 || (size >= 16 + 576 && size <= 16 + 2432))
            continue;
        assert_int_equal(call(domctl_setvcpuextstate, &op), -XEN_EINVAL);
    }
    cpu_features.xsave = false;
    assert_int_equal(call(domctl_setvcpuextstate, &(struct xen_domctl){0}), -XEN_EOPNOTSUPP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_sizes, setup),
        cmocka_unit_test_setup(test_get, setup),
        cmocka_unit_test_setup(test_round, setup),
        cmocka_unit_test_setup(test_refusals, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
