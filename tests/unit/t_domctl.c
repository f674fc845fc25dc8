/* SPDX-License-Identifier: MIT */
/*
 * Control calls for a domain's life, through the hypercalls: who may, what is refused, what goes back, that the
 * argument is read once, and that a call which must give way is issued again.
 * sources: hypervisor/common/domctl.c hypervisor/common/domctl_create.c hypervisor/common/domctl_life.c
 * sources: hypervisor/common/domctl_info.c hypervisor/common/sysctl.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "domctl_env.h"

static struct xen_domctl op;

static long call(uint32_t cmd, uint16_t id)
{
    op.cmd = cmd;
    op.domain = id;
    op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    return do_domctl(&e_v0, (uint64_t)(uintptr_t)&op, 0, 0, 0, 0);
}

static int setup(void **state)
{
    env_init();
    memset(&op, 0, sizeof(op));
    return 0;
}

static int teardown(void **state)
{
    assert_int_equal(e_refs, 0);
    assert_int_equal(e_dom0.domctl_lock.cpu, 0);
    env_done();
    return 0;
}

static void usual(void)
{
    memset(&op, 0, sizeof(op));
    op.u.createdomain.max_vcpus = 2;
    op.u.createdomain.max_evtchn_port = 1023;
    op.u.createdomain.max_grant_frames = -1;
    op.u.createdomain.max_maptrack_frames = 7;
    op.u.createdomain.grant_opts = 1;
}

static uint16_t make(void)
{
    usual();
    assert_int_equal(call(XEN_DOMCTL_createdomain, DOMID_INVALID), 0);
    return op.domain;
}

static void test_who(void **state)
{
    e_dom0.privileged = false;
    assert_int_equal(call(XEN_DOMCTL_getdomaininfo, 0), -XEN_EPERM);
    assert_int_equal(do_domctl(&e_v0, 0, 0, 0, 0, 0), -XEN_EPERM); /* before anything is read */
    assert_int_equal(do_sysctl(&e_v0, 0, 0, 0, 0, 0), -XEN_EPERM);
    e_dom0.privileged = true;
    assert_int_equal(do_domctl(&e_v0, 0, 0, 0, 0, 0), -XEN_EFAULT);
    op.interface_version = XEN_DOMCTL_INTERFACE_VERSION + 1;
    assert_int_equal(do_domctl(&e_v0, (uint64_t)(uintptr_t)&op, 0, 0, 0, 0), -XEN_EACCES);
    assert_int_equal(call(0, 0), -XEN_ENOSYS);
    assert_int_equal(call(XEN_DOMCTL_shadow_op + 0x10000, 0), -XEN_ENOSYS);
    assert_int_equal(call(XEN_DOMCTL_max_mem, 5), -XEN_ESRCH);
    assert_int_equal(call(XEN_DOMCTL_pausedomain, 0), -XEN_EINVAL); /* itself */
    assert_int_equal(call(XEN_DOMCTL_destroydomain, 0), -XEN_EINVAL);
}

static void test_create(void **state)
{
    uint16_t id;

    usual();
    op.u.createdomain.handle[3] = 9;
    assert_int_equal(call(XEN_DOMCTL_createdomain, 0), 0);
    id = op.domain;
    assert_int_equal(id, 1);
    assert_int_equal(e_config.max_grant_frames, 64);
    assert_int_equal(e_config.max_maptrack_frames, 7);
    assert_int_equal(e_config.handle[3], 9);
    assert_int_equal(e_dom[1]->control_pauses, 1);
    usual();
    assert_int_equal(call(XEN_DOMCTL_createdomain, 1), -XEN_EEXIST);
    usual();
    assert_int_equal(call(XEN_DOMCTL_createdomain, 6), 0);
    assert_int_equal(op.domain, 6);
}

/* Another vCPU of domain 0 guesses the number and destroys it before the call that made it returns. */
static void test_create_gone(void **state)
{
    e_gone = true;
    assert_int_equal(make(), 1);
    assert_true(e_config.control_paused && !e_config.xs_domain);
    usual();
    op.u.createdomain.flags = XEN_DOMCTL_CDF_xs_domain;
    assert_int_equal(call(XEN_DOMCTL_createdomain, 0), 0);
    assert_true(e_config.xs_domain);
}

#define REFUSED(field, val, why)                                                                   \
    do {                                                                                           \
        usual();                                                                                   \
        op.u.createdomain.field = val;                                                             \
        assert_int_equal(call(XEN_DOMCTL_createdomain, 0), why);                                   \
        assert_null(e_dom[1]);                                                                     \
    } while (0)

static void test_create_refused(void **state)
{
    REFUSED(flags, XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap, -XEN_EOPNOTSUPP);
    REFUSED(flags, XEN_DOMCTL_CDF_hap, -XEN_EINVAL);
    REFUSED(flags, XEN_DOMCTL_CDF_iommu, -XEN_EOPNOTSUPP);
    REFUSED(flags, XEN_DOMCTL_CDF_vpmu, -XEN_EOPNOTSUPP);
    REFUSED(flags, XEN_DOMCTL_CDF_MAX * 2, -XEN_EINVAL);
    REFUSED(max_vcpus, 0, -XEN_EINVAL);
    REFUSED(max_vcpus, MAX_VCPUS + 1, -XEN_EINVAL);
    REFUSED(grant_opts, 0, -XEN_EINVAL);
    REFUSED(grant_opts, 3, -XEN_EINVAL);
    REFUSED(grant_opts, 0x11, -XEN_EINVAL);
    REFUSED(vmtrace_size, 4096, -XEN_EOPNOTSUPP);
    REFUSED(iommu_opts, 1, -XEN_EINVAL);
    REFUSED(arch.emulation_flags, 1, -XEN_EINVAL);
    REFUSED(arch.misc_flags, 2, -XEN_EINVAL);
    for (uint16_t id = 1; id < E_IDS; id++)
        assert_int_equal(make(), id);
    usual();
    assert_int_equal(call(XEN_DOMCTL_createdomain, 0), -XEN_ENOMEM);
}

static void test_vcpus(void **state)
{
    uint16_t id = make();

    op.u.max_vcpus.max = 3;
    assert_int_equal(call(XEN_DOMCTL_max_vcpus, id), -XEN_EINVAL);
    op.u.max_vcpus.max = 2;
    host_preempt_every = 1;
    assert_int_equal(call(XEN_DOMCTL_max_vcpus, id), HOST_AGAIN);
    assert_int_equal(host_again.nr, __HYPERVISOR_domctl);
    assert_int_equal(call(XEN_DOMCTL_max_vcpus, id), 0);
    assert_non_null(e_dom[id]->vcpu[1]);
    op.u.getvcpuinfo.vcpu = 1;
    assert_int_equal(call(XEN_DOMCTL_getvcpuinfo, id), 0);
    assert_false(op.u.getvcpuinfo.online);
    op.u.getvcpuinfo.vcpu = 2;
    assert_int_equal(call(XEN_DOMCTL_getvcpuinfo, id), -XEN_ESRCH);
}

static void test_pause(void **state)
{
    uint16_t id = make();

    e_pauses = 1;
    assert_int_equal(call(XEN_DOMCTL_unpausedomain, id), 0);
    assert_int_equal(e_pauses, 0);
    assert_int_equal(call(XEN_DOMCTL_unpausedomain, id), -XEN_EINVAL); /* not one of ours */
    for (unsigned i = 0; i < 255; i++)
        assert_int_equal(call(XEN_DOMCTL_pausedomain, id), 0);
    assert_int_equal(call(XEN_DOMCTL_pausedomain, id), -XEN_EOVERFLOW);
    assert_int_equal(e_pauses, 255);
}

static void test_info(void **state)
{
    static struct xen_domctl_getdomaininfo list[E_IDS];
    struct xen_sysctl sop = {.cmd = XEN_SYSCTL_getdomaininfolist,
                             .interface_version = XEN_SYSCTL_INTERFACE_VERSION};
    struct xen_sysctl_getdomaininfolist *l = &sop.u.getdomaininfolist;

    make();
    make();
    env_domain_free(1);
    assert_int_equal(call(XEN_DOMCTL_getdomaininfo, 1), 0); /* the next one */
    assert_int_equal(op.domain, 2);
    assert_int_equal(op.u.getdomaininfo.domain, 2);
    assert_true(op.u.getdomaininfo.flags & XEN_DOMINF_paused);
    assert_int_equal(call(XEN_DOMCTL_getdomaininfo, 3), -XEN_ESRCH);
    assert_int_equal(call(XEN_DOMCTL_getdomaininfo, DOMID_SELF), -XEN_EINVAL);
    l->max_domains = E_IDS;
    l->buffer.p = list;
    assert_int_equal(do_sysctl(&e_v0, (uint64_t)(uintptr_t)&sop, 0, 0, 0, 0), 0);
    assert_int_equal(l->num_domains, 2);
    assert_int_equal(list[1].domain, 2);
    l->max_domains = 1;
    assert_int_equal(do_sysctl(&e_v0, (uint64_t)(uintptr_t)&sop, 0, 0, 0, 0), 0);
    assert_int_equal(l->num_domains, 1);
    l->buffer.p = NULL;
    assert_int_equal(do_sysctl(&e_v0, (uint64_t)(uintptr_t)&sop, 0, 0, 0, 0), -XEN_EFAULT);
}

static void test_end(void **state)
{
    uint16_t id = make();

    e_kill_rc = -XEN_ERESTART;
    assert_int_equal(call(XEN_DOMCTL_destroydomain, id), HOST_AGAIN);
    e_kill_rc = 0;
    assert_int_equal(call(XEN_DOMCTL_destroydomain, id), 0);
    /* still there, but only to be looked at */
    assert_int_equal(call(XEN_DOMCTL_max_mem, id), -XEN_ESRCH);
    assert_int_equal(call(XEN_DOMCTL_setvcpucontext, id), -XEN_ENOSYS); /* not in this program */
    assert_int_equal(call(XEN_DOMCTL_getdomaininfo, id), 0);
    assert_true(op.u.getdomaininfo.flags & XEN_DOMINF_dying);
    assert_int_equal(call(XEN_DOMCTL_pausedomain, id), 0);
}

static void test_settings(void **state)
{
    uint16_t id = make();
    uint8_t nodes[16] = {1};

    op.u.max_mem.max_memkb = 4096;
    assert_int_equal(call(XEN_DOMCTL_max_mem, id), 0);
    assert_int_equal(e_dom[id]->max_pages, 1024);
    op.u.max_mem.max_memkb = ~0UL;
    assert_int_equal(call(XEN_DOMCTL_max_mem, id), 0);
    assert_int_equal(e_dom[id]->max_pages, UINT32_MAX);
    op.u.set_virq_handler.virq = VIRQ_DOM_EXC;
    assert_int_equal(call(XEN_DOMCTL_set_virq_handler, id), 0);
    assert_int_equal(e_virq, VIRQ_DOM_EXC);
    op.u.sendtrigger.trigger = XEN_DOMCTL_SENDTRIGGER_NMI;
    op.u.sendtrigger.vcpu = 0;
    assert_int_equal(call(XEN_DOMCTL_sendtrigger, id), -XEN_ESRCH); /* no vCPU yet */
    op.u.nodeaffinity.nodemap.nr_bits = 128;
    op.u.nodeaffinity.nodemap.bitmap.p = nodes;
    assert_int_equal(call(XEN_DOMCTL_setnodeaffinity, id), 0);
    memset(nodes, 0xff, sizeof(nodes));
    assert_int_equal(call(XEN_DOMCTL_getnodeaffinity, id), 0);
    assert_int_equal(nodes[0], 1);
    assert_int_equal(nodes[15], 0);
    nodes[0] = 2;
    assert_int_equal(call(XEN_DOMCTL_setnodeaffinity, id), -XEN_EINVAL);
}

static int policies_read;
long domctl_get_cpu_policy(struct vcpu *v, struct domain *d, struct xen_domctl *o)
{
    assert_true(d->domctl_lock.cpu);
    policies_read++;
    return 0;
}

/* Somebody holds the domain's lock: nothing is done, and the call comes again. */
static void test_locked(void **state)
{
    uint16_t id = make();

    spin_lock(&e_dom[id]->domctl_lock);
    op.u.max_mem.max_memkb = 4096;
    assert_int_equal(call(XEN_DOMCTL_max_mem, id), HOST_AGAIN);
    assert_int_equal(e_dom[id]->max_pages, 0);
    /* what set_cpu_policy replaces must not be read meanwhile */
    assert_int_equal(call(XEN_DOMCTL_get_cpu_policy, id), HOST_AGAIN);
    assert_int_equal(policies_read, 0);
    spin_unlock(&e_dom[id]->domctl_lock);
    assert_int_equal(call(XEN_DOMCTL_get_cpu_policy, id), 0);
    assert_int_equal(policies_read, 1);
}

static void test_read_once(void **state)
{
    usual();
    op.cmd = XEN_DOMCTL_createdomain;
    op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    host_guest_watch(&op, sizeof(op), 0xff);
    assert_int_equal(do_domctl(&e_v0, (uint64_t)(uintptr_t)&op, 0, 0, 0, 0), 0);
    assert_true(host_watch_max() == 1);
    assert_int_equal(e_config.max_vcpus, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_who, setup, teardown),
        cmocka_unit_test_setup_teardown(test_create, setup, teardown),
        cmocka_unit_test_setup_teardown(test_create_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_create_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vcpus, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pause, setup, teardown),
        cmocka_unit_test_setup_teardown(test_info, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_settings, setup, teardown),
        cmocka_unit_test_setup_teardown(test_locked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read_once, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
