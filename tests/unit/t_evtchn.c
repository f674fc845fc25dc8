/* SPDX-License-Identifier: MIT */
/*
 * Event channels: each sub-operation's rules.
 * sources: hypervisor/common/evtchn.c hypervisor/common/evtchn_port.c hypervisor/common/evtchn_bind.c hypervisor/common/evtchn_op.c hypervisor/common/evtchn_2l.c hypervisor/common/evtchn_fifo.c hypervisor/common/evtchn_check.c
 */
#include "evtchn_calls.h"

static void t_unbound_and_interdomain(void **state)
{
    uint32_t p0, p1, x;
    struct evtchn_status st;

    assert_int_equal(x_alloc(1, DOMID_SELF, 0, &p1), 0);
    assert_int_equal(x_alloc(1, 2, 0, &x), -XEN_EPERM); /* only a privileged one for others */
    assert_int_equal(x_alloc(0, 77, 0, &x), -XEN_ESRCH);
    assert_int_equal(x_bind(2, 1, p1, &x), -XEN_EINVAL); /* not the one it waits for */
    assert_int_equal(x_bind(0, 1, p1 + 1, &x), -XEN_EINVAL);
    assert_int_equal(x_bind(0, 9, p1, &x), -XEN_ESRCH);
    assert_int_equal(x_port(1, EVTCHNOP_send, p1), 0); /* nobody there: lost, no error */
    assert_int_equal(x_bind(0, 1, p1, &p0), 0);
    assert_true(evtchn_is_pending(&env[0]->d, p0)); /* first event promised */
    assert_int_equal(env_notified[0][0], 1);
    assert_int_equal(x_bind(0, 1, p1, &x), -XEN_EINVAL); /* taken */
    st = x_status(1, p1);
    assert_int_equal(st.status, EVTCHNSTAT_interdomain);
    assert_int_equal(st.u.interdomain.dom, 0);
    assert_int_equal(st.u.interdomain.port, p0);
    assert_int_equal(x_port(0, EVTCHNOP_send, p0), 0);
    assert_true(evtchn_is_pending(&env[1]->d, p1));
    assert_int_equal(x_port(0, EVTCHNOP_close, p0), 0);
    st = x_status(1, p1);
    assert_int_equal(st.status, EVTCHNSTAT_unbound);
    assert_int_equal(st.u.unbound.dom, 0);
    assert_int_equal(x_port(0, EVTCHNOP_send, p0), -XEN_EINVAL);
    assert_int_equal(x_bind(0, 1, p1, &p0), 0); /* again */
    assert_int_equal(x_port(0, EVTCHNOP_close, 0), -XEN_EINVAL);
    assert_int_equal(x_port(0, EVTCHNOP_close, 99999), -XEN_EINVAL);
    /* On behalf of another, and loopback. */
    assert_int_equal(x_alloc(0, 2, DOMID_SELF, &x), 0);
    assert_int_equal(x_status(2, x).u.unbound.dom, 0);
    assert_int_equal(x_alloc(2, DOMID_SELF, DOMID_SELF, &p1), 0);
    assert_int_equal(x_bind(2, DOMID_SELF, p1, &p0), 0);
    assert_int_equal(x_port(2, EVTCHNOP_send, p0), 0);
    assert_true(evtchn_is_pending(&env[2]->d, p1));
    assert_int_equal(env_check(), 0);
}

static void t_peer_dies(void **state)
{
    uint32_t p1, p2;

    assert_int_equal(x_alloc(1, DOMID_SELF, 2, &p1), 0);
    assert_int_equal(x_bind(2, 1, p1, &p2), 0);
    env_domain_del(2);
    assert_int_equal(x_status(1, p1).status, EVTCHNSTAT_unbound);
    assert_int_equal(x_port(1, EVTCHNOP_send, p1), 0);
    assert_int_equal(x_port(1, EVTCHNOP_close, p1), 0);
    assert_int_equal(env_check(), 0);
}

static void t_virq_ipi_pirq(void **state)
{
    uint32_t p, q, x;

    assert_int_equal(x_virq(0, NR_VIRQS, 0, &x), -XEN_EINVAL);
    assert_int_equal(x_virq(0, VIRQ_TIMER, 9, &x), -XEN_ENOENT);
    assert_int_equal(x_virq(0, VIRQ_DOM_EXC, 1, &x), -XEN_EINVAL);
    assert_int_equal(x_virq(0, VIRQ_TIMER, 1, &p), 0);
    assert_int_equal(x_virq(0, VIRQ_TIMER, 1, &x), -XEN_EEXIST);
    assert_int_equal(x_virq(0, VIRQ_TIMER, 0, &q), 0);
    virq_raise_vcpu(env[0]->vp[1], VIRQ_TIMER);
    assert_true(evtchn_is_pending(&env[0]->d, p));
    assert_false(evtchn_is_pending(&env[0]->d, q));
    assert_int_equal(env_notified[0][1], 1);
    assert_int_equal(x_bind_vcpu(0, p, 0), -XEN_EINVAL);
    assert_int_equal(x_port(0, EVTCHNOP_close, p), 0);
    assert_false(evtchn_is_pending(&env[0]->d, p));
    virq_raise_vcpu(env[0]->vp[1], VIRQ_TIMER); /* nobody listens */
    assert_int_equal(x_virq(0, VIRQ_DOM_EXC, 0, &p), 0);
    assert_int_equal(x_bind_vcpu(0, p, 1), 0);
    assert_int_equal(x_bind_vcpu(0, p, 7), -XEN_ENOENT);
    virq_raise_global(VIRQ_DOM_EXC);
    assert_true(evtchn_is_pending(&env[0]->d, p));
    assert_int_equal(env_notified[0][1], 1); /* its upcall is pending already */
    assert_int_equal(x_port(0, EVTCHNOP_send, p), -XEN_EINVAL);
    assert_int_equal(x_ipi(0, 5, &x), -XEN_ENOENT);
    assert_int_equal(x_ipi(0, 1, &p), 0);
    assert_int_equal(x_bind_vcpu(0, p, 0), -XEN_EINVAL);
    assert_int_equal(x_port(0, EVTCHNOP_send, p), 0);
    assert_true(evtchn_is_pending(&env[0]->d, p));
    assert_int_equal(x_pirq(0, 9, &p), 0);
    assert_int_equal(x_pirq(0, 9, &x), -XEN_EEXIST);
    assert_int_equal(x_pirq(0, 1u << 30, &x), -XEN_EINVAL);
    env_pirq_rc = -XEN_EBUSY;
    assert_int_equal(x_pirq(0, 10, &x), -XEN_EBUSY);
    assert_true(evtchn_pirq_raise(&env[0]->d, 9));
    assert_false(evtchn_pirq_raise(&env[0]->d, 10));
    env_affinity_calls = 0;
    assert_int_equal(x_bind_vcpu(0, p, 1), 0);
    assert_int_equal(env_affinity_calls, 1);
    assert_int_equal(x_port(0, EVTCHNOP_close, p), 0);
    assert_int_equal(env_pirq_bound[0], 0);
    assert_int_equal(env_check(), 0);
}

static void t_two_level_masks(void **state)
{
    struct shared_info *s = &env[0]->shared;
    struct vcpu_info *vi = &env[0]->info[0];
    uint32_t p;

    assert_int_equal(x_ipi(0, 0, &p), 0);
    s->evtchn_mask[0] |= 1ul << p;
    env_poll_wakes = 0;
    assert_int_equal(x_port(0, EVTCHNOP_send, p), 0);
    assert_int_equal(x_port(0, EVTCHNOP_send, p), 0);
    assert_int_equal(env_poll_wakes, 1); /* masked or not, once */
    assert_true(evtchn_is_masked(&env[0]->d, p));
    assert_int_equal(vi->evtchn_upcall_pending, 0);
    assert_int_equal(x_port(0, EVTCHNOP_unmask, p), 0);
    assert_int_equal(vi->evtchn_upcall_pending, 1);
    assert_int_equal(vi->evtchn_pending_sel, 1);
    assert_int_equal(env_notified[0][0], 1);
    assert_int_equal(x_port(0, EVTCHNOP_unmask, 9999), -XEN_EINVAL);
    memset(vi, 0, sizeof(*vi));
    evtchn_vcpu_info_moved(env[0]->vp[0]);
    assert_int_equal(vi->evtchn_upcall_pending, 1);
}

static void t_fifo_arguments(void **state)
{
    uint32_t p;

    assert_int_equal(x_ipi(1, 0, &p), 0);
    assert_int_equal(x_expand(1, frame_of(1, 4)), -XEN_EOPNOTSUPP);
    assert_int_equal(x_priority(1, p, 3), -XEN_ENOSYS);
    assert_int_equal(x_init_control(1, 0, frame_of(1, 0), 4), -XEN_EINVAL);
    assert_int_equal(x_init_control(1, 0, frame_of(1, 0), 4096 - 64), -XEN_EINVAL);
    assert_int_equal(x_init_control(1, 5, frame_of(1, 0), 0), -XEN_ENOENT);
    assert_int_equal(x_init_control(1, 0, frame_of(0, 0), 0), -XEN_EINVAL); /* not its frame */
    assert_int_equal(x_init_control(1, 0, 1ull << 50, 0), -XEN_EINVAL);
    assert_int_equal(x_port(1, EVTCHNOP_send, p), 0); /* pending before the switch */
    assert_int_equal(x_init_control(1, 0, frame_of(1, 0), 4096 - 72), 0);
    assert_int_equal(x_init_control(1, 0, frame_of(1, 0), 0), -XEN_EINVAL);
    assert_true(evtchn_is_pending(&env[1]->d, p));
    assert_int_equal(x_expand(1, frame_of(2, 4)), -XEN_EINVAL);
    assert_int_equal(x_expand(1, frame_of(1, 4)), 0);
    assert_int_equal(*word_of(1, p), 1u << EVTCHN_FIFO_PENDING | 1u << EVTCHN_FIFO_LINKED);
    assert_int_equal(x_priority(1, p, 16), -XEN_EINVAL);
    assert_int_equal(x_priority(1, p, 15), 0);
    for (unsigned i = 1; i < 128; i++)
        assert_int_equal(x_expand(1, frame_of(1, 5)), 0);
    assert_int_equal(x_expand(1, frame_of(1, 5)), -XEN_ENOSPC);
    assert_int_equal(env_page_refs, 129);
    assert_int_equal(x_reset(1, DOMID_SELF), 0);
    assert_int_equal(env_page_refs, 0);
    assert_int_equal(env_check(), 0);
}

static void t_fifo_order_and_priority(void **state)
{
    struct fifo_guest g = {0};
    uint32_t p[6], ready = 0;

    fifo_on(1);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(x_ipi(1, 0, &p[i]), 0);
    assert_int_equal(x_priority(1, p[4], 0), 0);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(x_port(1, EVTCHNOP_send, p[i]), 0);
    assert_int_equal(guest_take(&g, 1, 0, &ready), p[4]);
    for (unsigned i = 0; i < 6; i++)
        if (i != 4)
            assert_int_equal(guest_take(&g, 1, 0, &ready), p[i]);
    assert_int_equal(guest_take(&g, 1, 0, &ready), 0);
    /* A closed port still on the queue is not handed out again. */
    assert_int_equal(x_port(1, EVTCHNOP_send, p[2]), 0);
    assert_int_equal(x_port(1, EVTCHNOP_close, p[2]), 0);
    assert_int_equal(x_ipi(1, 0, &p[5]), 0);
    assert_int_not_equal(p[5], p[2]);
    assert_int_equal(guest_take(&g, 1, 0, &ready), 0);
    assert_int_equal(x_ipi(1, 0, &p[5]), 0);
    assert_int_equal(p[5], p[2]);
}

static void t_limits_and_reset(void **state)
{
    uint32_t x, n = 0;

    while (!x_ipi(0, 0, &x))
        n++;
    assert_int_equal(n, 4095);
    assert_int_equal(x_ipi(0, 0, &x), -XEN_ENOSPC);
    host_preempt_every = 3;
    assert_int_equal(x_reset(1, 0), -XEN_EPERM);
    assert_int_equal(x_reset(0, DOMID_SELF), 0);
    assert_true(host_again.count > 0);
    assert_int_equal(env[0]->d.evtchn->active, 0);
    assert_int_equal(env_check(), 0);
    /* FIFO: 2^17, then back to two-level and its limit. */
    fifo_on(1);
    for (n = 0; !x_ipi(1, 0, &x); n++)
        ;
    assert_int_equal(n, (1 << 17) - 1);
    assert_int_equal(x_reset(0, 1), 0);
    for (n = 0; !x_ipi(1, 0, &x); n++)
        ;
    assert_int_equal(n, 4095);
}

static void t_fetch_once_and_compat(void **state)
{
    struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = 1};
    struct evtchn_op op = {.cmd = EVTCHNOP_bind_ipi};

    host_guest_watch(&a, sizeof(a), 0xff);
    assert_int_equal(env_op(0, 0, EVTCHNOP_alloc_unbound, &a), 0);
    assert_int_equal(host_watch_max(), 1);
    assert_int_equal(x_status(0, a.port).u.unbound.dom, 1);
    host_guest_clear();
    assert_int_equal(env_op(0, 0, EVTCHNOP_send, NULL), -XEN_EFAULT);
    assert_int_equal(env_op(0, 0, 14, &a), -XEN_ENOSYS);
    assert_int_equal(do_event_channel_op_compat(env[0]->vp[0], (uintptr_t)&op, 0, 0, 0, 0), 0);
    assert_int_equal(x_status(0, op.u.bind_ipi.port).status, EVTCHNSTAT_ipi);
    op.cmd = EVTCHNOP_reset;
    assert_int_equal(do_event_channel_op_compat(env[0]->vp[0], (uintptr_t)&op, 0, 0, 0, 0),
                     -XEN_ENOSYS);
}

static void t_allocation_failures(void **state)
{
    uint32_t x;

    for (unsigned n = 1; n < 6; n++) {
        host_zalloc_fail = n;
        (void)x_ipi(0, 0, &x);
        (void)x_pirq(0, 5, &x);
        (void)x_init_control(1, 0, frame_of(1, 0), 0);
        host_zalloc_fail = 0;
        assert_int_equal(env_check(), 0);
        assert_int_equal(x_reset(0, DOMID_SELF), 0);
        assert_int_equal(x_reset(1, DOMID_SELF), 0);
        assert_int_equal(env_page_refs, 0);
    }
}

/* Whoever gets the number of a domain that was told of something is not told of it too. */
static void t_virq_handler_ends(void **state)
{
    uint32_t zero, two;

    assert_int_equal(x_virq(0, VIRQ_CON_RING, 0, &zero), 0);
    assert_int_equal(virq_set_handler(VIRQ_CON_RING, &env[2]->d), 0);
    assert_int_equal(virq_set_handler(VIRQ_TIMER, &env[2]->d), -XEN_EINVAL);
    assert_int_equal(x_virq(2, VIRQ_CON_RING, 0, &two), 0);
    virq_raise_global(VIRQ_CON_RING);
    assert_true(evtchn_is_pending(&env[2]->d, two));
    assert_false(evtchn_is_pending(&env[0]->d, zero));
    env_domain_del(2);
    env_domain_new(2);
    assert_int_equal(x_virq(2, VIRQ_CON_RING, 0, &two), 0);
    virq_raise_global(VIRQ_CON_RING);
    assert_false(evtchn_is_pending(&env[2]->d, two));
    assert_true(evtchn_is_pending(&env[0]->d, zero));
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(t_unbound_and_interdomain), T(t_peer_dies),
        T(t_virq_ipi_pirq),           T(t_two_level_masks),
        T(t_fifo_arguments),          T(t_fifo_order_and_priority),
        T(t_limits_and_reset),        T(t_fetch_once_and_compat),
        T(t_allocation_failures),     T(t_virq_handler_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
