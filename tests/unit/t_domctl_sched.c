/* SPDX-License-Identifier: MIT */
/*
 * The control calls of the scheduler: what they refuse, what they tell, and that a bitmap is read once.
 * sources: hypervisor/common/sched.c hypervisor/common/sched_credit.c hypervisor/common/sched_cap.c hypervisor/common/sched_heap.c hypervisor/common/sched_null.c
 * sources: hypervisor/common/sched_state.c hypervisor/common/sched_debug.c hypervisor/common/timer.c hypervisor/common/domctl_sched.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sched_sim.h"

#include "domctl.h"
#include "sysctl.h"

static struct xen_domctl op;
static uint8_t hard[64], soft[64];

static long affinity(bool set, uint32_t vcpu, uint32_t flags, unsigned bits)
{
    struct xen_domctl_vcpuaffinity *a = &op.u.vcpuaffinity;

    a->vcpu = vcpu;
    a->flags = flags;
    a->cpumap_hard.nr_bits = a->cpumap_soft.nr_bits = bits;
    set_xen_guest_handle_raw(a->cpumap_hard.bitmap, hard);
    set_xen_guest_handle_raw(a->cpumap_soft.bitmap, soft);
    return set ? domctl_setvcpuaffinity(&sv[0]->v, &dom, &op) : domctl_getvcpuaffinity(&sv[0]->v, &dom, &op);
}

static void start(unsigned cpus)
{
    host_guest_clear();
    sim_init(cpus, 2, 1);
    sim_start(0);
    sim_softirqs();
    memset(hard, 0, sizeof(hard));
    memset(soft, 0, sizeof(soft));
}

#define BOTH (XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT)

/* set gives what counts, get what was set. */
static void test_affinity(void **state)
{
    start(4);
    hard[0] = 0xfa; /* CPUs 4 to 7 are not there */
    soft[0] = 0xfc;
    assert_int_equal(affinity(true, 0, BOTH, 8), 0);
    assert_int_equal(hard[0], 0x0a);
    assert_int_equal(soft[0], 0x08);
    assert_int_equal(affinity(false, 0, BOTH, 8), 0);
    assert_int_equal(hard[0], 0xfa);
    assert_int_equal(soft[0], 0xfc);
    sim_softirqs();
    assert_true(on[3] == &sv[0]->v); /* moved to the one that it prefers */
    assert_int_equal(affinity(false, 1, BOTH, 4), 0); /* the default: all, as many as the caller has room for */
    assert_int_equal(hard[0], 0x0f);
}

static void test_affinity_refused(void **state)
{
    start(2);
    hard[0] = 0xfc;
    assert_int_equal(affinity(true, 0, XEN_VCPUAFFINITY_HARD, 8), -XEN_EINVAL);
    assert_int_equal(affinity(true, 0, XEN_VCPUAFFINITY_SOFT, 8), -XEN_EINVAL); /* empty */
    assert_int_equal(affinity(true, 0, XEN_VCPUAFFINITY_HARD, 0), -XEN_EINVAL);
    assert_int_equal(affinity(true, 2, XEN_VCPUAFFINITY_HARD, 8), -XEN_EINVAL);
    assert_int_equal(affinity(false, ~0u, XEN_VCPUAFFINITY_HARD, 8), -XEN_EINVAL);
    assert_int_equal(affinity(false, 0, 0, 8), -XEN_EINVAL);
    assert_int_equal(affinity(false, 0, BOTH, 8), 0);
    assert_int_equal(hard[0] & soft[0], 0xff); /* nothing was changed */
    host_guest_fault(hard, sizeof(hard));
    assert_int_equal(affinity(true, 0, XEN_VCPUAFFINITY_HARD, 8), -XEN_EFAULT);
    assert_int_equal(affinity(false, 0, XEN_VCPUAFFINITY_HARD, 8), -XEN_EFAULT);
}

/* Bits beyond what either side has: not read, or written as 0. */
static void test_bitmap_sizes(void **state)
{
    start(2);
    memset(hard, 0xff, sizeof(hard));
    assert_int_equal(affinity(true, 0, XEN_VCPUAFFINITY_HARD, 1), 0);
    assert_int_equal(hard[0], 1);
    assert_int_equal(hard[1], 0xff);
    memset(hard, 0xff, sizeof(hard));
    assert_int_equal(affinity(true, 0, XEN_VCPUAFFINITY_HARD, 500), 0);
    assert_int_equal(hard[0], 3);
    assert_int_equal(hard[32] | hard[62], 0);
    assert_int_equal(hard[63], 0xff);
    hard[0] = 1;
    host_guest_watch(hard, sizeof(hard), 0xff);
    assert_int_equal(affinity(true, 0, XEN_VCPUAFFINITY_HARD, 8), 0);
    assert_int_equal(host_watch_max(), 1);
}

static long shares(uint32_t id, uint32_t cmd, uint16_t weight, uint16_t cap)
{
    op.u.scheduler_op.sched_id = id;
    op.u.scheduler_op.cmd = cmd;
    op.u.scheduler_op.u.credit2.weight = weight;
    op.u.scheduler_op.u.credit2.cap = cap;
    return domctl_scheduler_op(&sv[0]->v, &dom, &op);
}

static void test_shares(void **state)
{
    struct xen_domctl_sched_credit2 *s = &op.u.scheduler_op.u.credit2;

    start(2);
    assert_int_equal(shares(XEN_SCHEDULER_CREDIT2, XEN_DOMCTL_SCHEDOP_getinfo, 0, 0), 0);
    assert_int_equal(s->weight, 256);
    assert_int_equal(s->cap, 0);
    assert_int_equal(shares(XEN_SCHEDULER_CREDIT2, XEN_DOMCTL_SCHEDOP_putinfo, 1024, 25), 0);
    assert_int_equal(shares(XEN_SCHEDULER_CREDIT, XEN_DOMCTL_SCHEDOP_putinfo, 0, 50), 0); /* the weight stays */
    assert_int_equal(shares(XEN_SCHEDULER_CREDIT, XEN_DOMCTL_SCHEDOP_getinfo, 0, 0), 0);
    assert_int_equal(s->weight, 1024);
    assert_int_equal(s->cap, 50);
    assert_int_equal(shares(XEN_SCHEDULER_CREDIT2, XEN_DOMCTL_SCHEDOP_putinfo, 7, UINT16_MAX), 0);
    assert_int_equal(dom.sched.cap, 50);
    assert_int_equal(dom.sched.weight, 7);
    assert_int_equal(shares(XEN_SCHEDULER_RTDS, XEN_DOMCTL_SCHEDOP_getinfo, 0, 0), -XEN_EINVAL);
    assert_int_equal(shares(XEN_SCHEDULER_CREDIT2, XEN_DOMCTL_SCHEDOP_getvcpuinfo, 0, 0), -XEN_EINVAL);
}

static void test_host(void **state)
{
    static struct xen_sysctl s;
    struct xen_sysctl_scheduler_op *a = &s.u.scheduler_op;

    start(1);
    *a = (struct xen_sysctl_scheduler_op){.sched_id = XEN_SCHEDULER_CREDIT2, .cmd = XEN_SYSCTL_SCHEDOP_putinfo};
    a->u.sched_credit2.ratelimit_us = 99;
    assert_int_equal(sysctl_scheduler_op(NULL, &s), -XEN_EINVAL);
    a->u.sched_credit2.ratelimit_us = 500001;
    assert_int_equal(sysctl_scheduler_op(NULL, &s), -XEN_EINVAL);
    a->u.sched_credit2.ratelimit_us = 2000;
    assert_int_equal(sysctl_scheduler_op(NULL, &s), 0);
    a->sched_id = XEN_SCHEDULER_CREDIT;
    a->cmd = XEN_SYSCTL_SCHEDOP_getinfo;
    assert_int_equal(sysctl_scheduler_op(NULL, &s), 0);
    assert_int_equal(a->u.sched_credit.tslice_ms, 10);
    assert_int_equal(a->u.sched_credit.ratelimit_us, 2000);
    a->cpupool_id = 1;
    assert_int_equal(sysctl_scheduler_op(NULL, &s), -XEN_ESRCH);
    sched_ratelimit_us = 0;
}

/* With a rate limit who has just got the CPU keeps it so long, and no longer. */
static void test_ratelimit(void **state)
{
    uint64_t began;

    start(1);
    sched_ratelimit_us = 2000;
    sim_start(1);
    sim_softirqs();
    while (on[0] != &sv[1]->v)
        sim_step();
    vcpu_block(&sv[1]->v);
    sim_softirqs();
    assert_ptr_equal(on[0], &sv[0]->v);
    began = host_now;
    sim_step();
    sv[1]->info.evtchn_upcall_pending = 1;
    vcpu_notify_event(&sv[1]->v);
    while (on[0] != &sv[1]->v)
        sim_step();
    assert_in_range(host_now - began, 2 * MS, 2 * MS + 2 * STEP);
    sched_ratelimit_us = 0;
}

/* With null there are no shares to ask for. */
static void test_null(void **state)
{
    assert_true(sched_set_policy("null"));
    start(2);
    assert_int_equal(shares(XEN_SCHEDULER_CREDIT2, XEN_DOMCTL_SCHEDOP_getinfo, 0, 0), -XEN_EINVAL);
    assert_int_equal(sched_policy()->id, XEN_SCHEDULER_NULL);
    assert_true(sched_set_policy(""));
    assert_int_equal(sched_policy()->id, XEN_SCHEDULER_CREDIT2);
    assert_false(sched_set_policy("sedf"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_affinity), cmocka_unit_test(test_affinity_refused), cmocka_unit_test(test_bitmap_sizes),
        cmocka_unit_test(test_shares),   cmocka_unit_test(test_host),             cmocka_unit_test(test_ratelimit),
        cmocka_unit_test(test_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
