/* SPDX-License-Identifier: MIT */
/*
 * System control calls about the machine and processor policies, and the domain ones of policies and time, through
 * the hypercalls: sizes and limits of lists, errors, what is read twice, what goes back to the caller.
 *
 * sources: hypervisor/common/sysctl.c hypervisor/common/domctl.c hypervisor/common/sysctl_info.c
 * sources: hypervisor/common/sysctl_console.c hypervisor/common/timescale.c hypervisor/x86/vcpu_ctl.c
 * sources: hypervisor/x86/policy.c hypervisor/x86/policy_make.c hypervisor/x86/policy_check.c
 * sources: hypervisor/x86/policy_ctl.c hypervisor/x86/physinfo.c hypervisor/x86/time/guest_tsc.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ctl_env.h"

static struct xen_sysctl op;
static struct xen_domctl dop;

static long call(uint32_t cmd)
{
    op.cmd = cmd;
    op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    return do_sysctl(&ctl_v0.v, (uint64_t)(uintptr_t)&op, 0, 0, 0, 0);
}

static long dcall(uint32_t cmd)
{
    dop.cmd = cmd;
    dop.domain = ctl_guest.d.id;
    dop.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    return do_domctl(&ctl_v0.v, (uint64_t)(uintptr_t)&dop, 0, 0, 0, 0);
}

static int setup(void **state)
{
    ctl_env_init();
    memset(&op, 0, sizeof(op));
    memset(&dop, 0, sizeof(dop));
    return 0;
}

static void test_physinfo(void **state)
{
    const struct xen_sysctl_physinfo *pi = &op.u.physinfo;

    host_cpus = 4;
    memset(&op, 0xff, sizeof(op));
    assert_int_equal(call(XEN_SYSCTL_physinfo), 0);
    assert_int_equal(pi->nr_cpus, 4);
    assert_int_equal(pi->max_cpu_id, 3);
    assert_int_equal(pi->total_pages, 1000);
    assert_int_equal(pi->free_pages, 300);
    assert_int_equal(pi->outstanding_pages, 40);
    assert_true(pi->capabilities & XEN_SYSCTL_PHYSCAP_pv);
    assert_false(pi->capabilities & (XEN_SYSCTL_PHYSCAP_hvm | XEN_SYSCTL_PHYSCAP_hap));
    assert_int_equal(pi->cpu_khz, 2000000);
    assert_true(pi->threads_per_core && pi->cores_per_socket);
    ctl_refusal = "leaks";
    assert_int_equal(call(XEN_SYSCTL_physinfo), 0);
    assert_false(pi->capabilities & XEN_SYSCTL_PHYSCAP_pv);
}

static void test_lists(void **state)
{
    xen_sysctl_cputopo_t topo[4];
    xen_sysctl_meminfo_t mem;
    xen_sysctl_cpuinfo_t cpu[4];
    uint32_t distance = 0;

    host_cpus = 3;
    assert_int_equal(call(XEN_SYSCTL_cputopoinfo), 0);
    assert_int_equal(op.u.cputopoinfo.num_cpus, 3);
    memset(topo, 0xee, sizeof(topo));
    op.u.cputopoinfo.num_cpus = 2;
    op.u.cputopoinfo.cputopo.p = topo;
    assert_int_equal(call(XEN_SYSCTL_cputopoinfo), 0);
    assert_int_equal(op.u.cputopoinfo.num_cpus, 3);
    assert_int_equal(topo[1].node, 0);
    assert_int_equal(topo[2].node, 0xeeeeeeee);
    memset(&op, 0, sizeof(op));
    assert_int_equal(call(XEN_SYSCTL_numainfo), 0);
    assert_int_equal(op.u.numainfo.num_nodes, 1);
    op.u.numainfo.meminfo.p = &mem;
    op.u.numainfo.distance.p = &distance;
    op.u.numainfo.num_nodes = 7;
    assert_int_equal(call(XEN_SYSCTL_numainfo), 0);
    assert_int_equal(mem.memsize, 1000 << 12);
    assert_int_equal(distance, 10);
    memset(&op, 0, sizeof(op));
    op.u.getcpuinfo.max_cpus = 4;
    op.u.getcpuinfo.info.p = cpu;
    assert_int_equal(call(XEN_SYSCTL_getcpuinfo), 0);
    assert_int_equal(op.u.getcpuinfo.nr_cpus, 3);
    assert_int_equal(cpu[2].idletime, 1002);
    op.u.getcpuinfo.info.p = NULL;
    assert_int_equal(call(XEN_SYSCTL_getcpuinfo), -XEN_EFAULT);
}

static void test_pools(void **state)
{
    struct xen_sysctl_cpupool_op *a = &op.u.cpupool_op;
    uint8_t map[4] = {0xff, 0xff, 0xff, 0xff};

    host_cpus = 10;
    a->op = XEN_SYSCTL_CPUPOOL_OP_INFO;
    a->cpumap.bitmap.p = map;
    a->cpumap.nr_bits = 24;
    assert_int_equal(call(XEN_SYSCTL_cpupool_op), 0);
    assert_int_equal(a->n_dom, 2);
    assert_int_equal(map[0] | map[1] << 8 | map[2] << 16 | (uint32_t)map[3] << 24, 0xff0003ff);
    a->cpupool_id = 1;
    assert_int_equal(call(XEN_SYSCTL_cpupool_op), -XEN_ENOENT);
    a->op = XEN_SYSCTL_CPUPOOL_OP_FREEINFO;
    assert_int_equal(call(XEN_SYSCTL_cpupool_op), 0);
    assert_int_equal(map[0] | map[1], 0);
    a->op = XEN_SYSCTL_CPUPOOL_OP_CREATE;
    assert_int_equal(call(XEN_SYSCTL_cpupool_op), -XEN_EOPNOTSUPP);
    a->op = XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN;
    a->cpupool_id = 0;
    a->domid = 5;
    assert_int_equal(call(XEN_SYSCTL_cpupool_op), 0);
    a->domid = 77;
    assert_int_equal(call(XEN_SYSCTL_cpupool_op), -XEN_EINVAL);
    a->op = 99;
    assert_int_equal(call(XEN_SYSCTL_cpupool_op), -XEN_ENOSYS);
}

static void test_console(void **state)
{
    struct xen_sysctl_readconsole *a = &op.u.readconsole;
    char buf[32] = "";

    a->buffer.p = buf;
    a->count = 4;
    assert_int_equal(call(XEN_SYSCTL_readconsole), 0);
    assert_int_equal(a->count, 4);
    assert_string_equal(buf, "0123");
    a->incremental = 1;
    a->count = 20;
    assert_int_equal(call(XEN_SYSCTL_readconsole), 0);
    assert_int_equal(a->count, 6);
    assert_memory_equal(buf, "456789", 6);
    assert_int_equal(a->index, 110);
    a->clear = 1;
    assert_int_equal(call(XEN_SYSCTL_readconsole), 0);
    assert_int_equal(a->count, 0);
    assert_true(ctl_ring_cleared);
    memset(&op, 0, sizeof(op));
    op.u.debug_keys.keys.p = "qm";
    op.u.debug_keys.nr_keys = 2;
    assert_int_equal(call(XEN_SYSCTL_debug_keys), 0);
    assert_string_equal(ctl_keys, "qm");
    op.u.debug_keys.nr_keys = 65;
    assert_int_equal(call(XEN_SYSCTL_debug_keys), -XEN_E2BIG);
}

static void test_featureset(void **state)
{
    struct xen_sysctl_cpu_featureset *a = &op.u.cpu_featureset;
    uint32_t w[32];

    assert_int_equal(call(XEN_SYSCTL_get_cpu_featureset), 0);
    assert_int_equal(a->nr_features, POLICY_WORDS);
    a->features.p = w;
    for (uint32_t i = 0; i < 6; i++) {
        a->index = i;
        a->nr_features = 32;
        assert_int_equal(call(XEN_SYSCTL_get_cpu_featureset), i == 3 || i == 5 ? -XEN_EOPNOTSUPP : 0);
        if (i != 3 && i != 5)
            assert_int_equal(a->nr_features, POLICY_WORDS);
    }
    a->index = 0;
    a->nr_features = 2;
    w[2] = 77;
    assert_int_equal(call(XEN_SYSCTL_get_cpu_featureset), -XEN_ENOBUFS);
    assert_int_equal(w[2], 77);
    a->index = 6;
    assert_int_equal(call(XEN_SYSCTL_get_cpu_featureset), -XEN_EINVAL);
}

static xen_cpuid_leaf_t leaves[128];
static xen_msr_entry_t msrs[8];

static void get_default(void)
{
    struct xen_sysctl_cpu_policy *a = &op.u.cpu_policy;

    *a = (struct xen_sysctl_cpu_policy){.index = XEN_SYSCTL_cpu_policy_pv_default,
                                        .nr_leaves = 128,
                                        .nr_msrs = 8};
    a->leaves.p = leaves;
    a->msrs.p = msrs;
    assert_int_equal(call(XEN_SYSCTL_get_cpu_policy), 0);
}

static void test_get_policy(void **state)
{
    struct xen_sysctl_cpu_policy *a = &op.u.cpu_policy;

    assert_int_equal(call(XEN_SYSCTL_get_cpu_policy), 0);
    assert_true(a->nr_leaves <= 128 && a->nr_msrs == POLICY_MSRS);
    get_default();
    assert_in_range(a->nr_leaves, 20, 128);
    a->nr_leaves = 3;
    assert_int_equal(call(XEN_SYSCTL_get_cpu_policy), -XEN_ENOBUFS);
    a->index = XEN_SYSCTL_cpu_policy_hvm_default;
    assert_int_equal(call(XEN_SYSCTL_get_cpu_policy), -XEN_EOPNOTSUPP);
    a->index = 6;
    assert_int_equal(call(XEN_SYSCTL_get_cpu_policy), -XEN_EINVAL);
}

static long set(uint32_t nr_leaves, uint32_t nr_msrs)
{
    struct xen_domctl_cpu_policy *a = &dop.u.cpu_policy;

    a->nr_leaves = nr_leaves;
    a->nr_msrs = nr_msrs;
    a->leaves.p = leaves;
    a->msrs.p = msrs;
    return dcall(XEN_DOMCTL_set_cpu_policy);
}

static xen_cpuid_leaf_t *find(uint32_t leaf)
{
    for (unsigned i = 0; i < op.u.cpu_policy.nr_leaves; i++)
        if (leaves[i].leaf == leaf)
            return &leaves[i];
    abort();
}

static void test_set_policy(void **state)
{
    struct xen_domctl_cpu_policy *a = &dop.u.cpu_policy;
    uint32_t n;

    get_default();
    n = op.u.cpu_policy.nr_leaves;
    host_guest_watch(leaves, n * sizeof(leaves[0]), 0);
    assert_int_equal(set(n, POLICY_MSRS), 0);
    assert_int_equal(host_watch_max(), 1);
    host_guest_clear();
    assert_memory_equal(policy_of(&ctl_guest.d), &policy_pv_default, sizeof(policy_pv_default));
    find(1)->d &= ~(1U << 26); /* without SSE2 */
    assert_int_equal(set(n, POLICY_MSRS), 0);
    assert_false(policy_of(&ctl_guest.d)->r[policy_slot(1, 0)][EDX] & BIT(26));
    find(1)->c |= 1U << 5; /* VMX */
    assert_int_equal(set(n, POLICY_MSRS), -XEN_EINVAL);
    assert_int_equal(a->err_leaf, 1);
    assert_int_equal(a->err_subleaf, ~0U);
    assert_int_equal(a->err_msr, ~0U);
    assert_non_null(strstr(host_last_log, "ecx"));
    get_default();
    leaves[n] = (xen_cpuid_leaf_t){0x55, XEN_CPUID_NO_SUBLEAF, 1, 0, 0, 0};
    assert_int_equal(set(n + 1, POLICY_MSRS), -XEN_ERANGE);
    assert_int_equal(a->err_leaf, 0x55);
    msrs[1].idx = 0x999;
    assert_int_equal(set(n, POLICY_MSRS), -XEN_ERANGE);
    assert_int_equal(a->err_msr, 0x999);
    assert_int_equal(set(513, 0), -XEN_E2BIG);
    host_zalloc_fail = 1;
    assert_int_equal(set(0, 0), -XEN_ENOMEM);
    ctl_guest_v.v.runstate.time[0] = 1;
    assert_int_equal(set(0, 0), -XEN_EEXIST);
    a->nr_leaves = 128;
    a->nr_msrs = 8;
    assert_int_equal(dcall(XEN_DOMCTL_get_cpu_policy), 0);
    assert_int_equal(a->nr_leaves, n);
    a->nr_leaves = 128;
    a->nr_msrs = 0;
    a->msrs.p = NULL; /* libxl does not want them */
    assert_int_equal(dcall(XEN_DOMCTL_get_cpu_policy), 0);
    assert_int_equal(a->nr_leaves, n);
    assert_int_equal(a->nr_msrs, POLICY_MSRS);
    policy_domain_free(&ctl_guest.d);
    assert_int_equal(host_zalloc_live, 0);
}

static long set_tsc_mode(uint32_t mode)
{
    memset(&dop, 0, sizeof(dop));
    dop.u.tsc_info.tsc_mode = mode;
    return dcall(XEN_DOMCTL_settscinfo);
}

/* A processor without an invariant counter: a guest can be promised one that is emulated, and no other. */
static void test_invariant_tsc(void **state)
{
    const uint32_t *have = policy_pv_max.r[policy_slot(0x80000007, 0)];
    xen_cpuid_leaf_t promise = {0x80000007, XEN_CPUID_NO_SUBLEAF, 0, 0, 0, 1U << 8};
    uint32_t was = have[EDX];

    policy_pv_max.r[policy_slot(0x80000007, 0)][EDX] = 0;
    leaves[0] = promise;
    assert_int_equal(set_tsc_mode(2), 0);
    assert_int_equal(set(1, 0), -XEN_EINVAL);
    assert_int_equal(dop.u.cpu_policy.err_leaf, 0x80000007);
    assert_int_equal(set_tsc_mode(1), 0);
    assert_int_equal(set(1, 0), 0);
    assert_int_equal(policy_of(&ctl_guest.d)->r[policy_slot(0x80000007, 0)][EDX], 1U << 8);
    leaves[0].d |= 1U << 9;
    assert_int_equal(set(1, 0), -XEN_EINVAL);
    policy_domain_free(&ctl_guest.d);
    policy_pv_max.r[policy_slot(0x80000007, 0)][EDX] = was;
}

static void test_tsc_and_msrs(void **state)
{
    xen_domctl_vcpu_msr_t m[2] = {{.index = MSR_TSC_AUX, .value = 7}, {.index = 0x48, .value = 0}};
    struct xen_domctl_vcpu_msrs *a = &dop.u.vcpu_msrs;

    cpu_features.rdtscp = true;
    a->msrs.p = m;
    a->msr_count = 2;
    assert_int_equal(dcall(XEN_DOMCTL_set_vcpu_msrs), 0);
    assert_int_equal(ctl_guest_v.tsc_aux, 7);
    m[1].value = 1;
    assert_int_equal(dcall(XEN_DOMCTL_set_vcpu_msrs), -XEN_EINVAL);
    assert_int_equal(a->msr_count, 1);
    a->msr_count = 0;
    assert_int_equal(dcall(XEN_DOMCTL_get_vcpu_msrs), -XEN_ENOBUFS);
    assert_int_equal(a->msr_count, 1);
    memset(m, 0, sizeof(m));
    assert_int_equal(dcall(XEN_DOMCTL_get_vcpu_msrs), 0);
    assert_int_equal(m[0].value, 7);
    a->vcpu = 1;
    assert_int_equal(dcall(XEN_DOMCTL_get_vcpu_msrs), -XEN_EINVAL);
    memset(&dop, 0, sizeof(dop));
    dop.u.tsc_info.tsc_mode = 1;
    assert_int_equal(dcall(XEN_DOMCTL_settscinfo), 0);
    assert_int_equal(dcall(XEN_DOMCTL_gettscinfo), 0);
    assert_int_equal(dop.u.tsc_info.tsc_mode, 1);
    assert_int_equal(dop.u.tsc_info.gtsc_khz, 2000000);
    assert_int_equal(ctl_pauses, 0);
    dop.u.tsc_info.tsc_mode = 9;
    assert_int_equal(dcall(XEN_DOMCTL_settscinfo), -XEN_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_physinfo, setup),   cmocka_unit_test_setup(test_lists, setup),
        cmocka_unit_test_setup(test_pools, setup),      cmocka_unit_test_setup(test_console, setup),
        cmocka_unit_test_setup(test_featureset, setup), cmocka_unit_test_setup(test_get_policy, setup),
        cmocka_unit_test_setup(test_invariant_tsc, setup),
        cmocka_unit_test_setup(test_set_policy, setup), cmocka_unit_test_setup(test_tsc_and_msrs, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
