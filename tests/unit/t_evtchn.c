/* SPDX-License-Identifier: MIT */
/*
 * Event channels: each sub-operation's rules, then random operations of three domains against a model: states and
 * peers of all ports, and which events must be delivered. Domain 0 uses two-level events, domain 1 FIFO, domain 2
 * FIFO with its words rewritten at random between steps.
 * sources: hypervisor/common/evtchn.c hypervisor/common/evtchn_port.c hypervisor/common/evtchn_bind.c hypervisor/common/evtchn_op.c hypervisor/common/evtchn_2l.c hypervisor/common/evtchn_fifo.c hypervisor/common/evtchn_check.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "evtchn_env.h"

/* --- short forms ---------------------------------------------------------------------------------- */

static long x_alloc(unsigned dom, domid_t for_dom, domid_t remote, uint32_t *port)
{
    struct evtchn_alloc_unbound a = {.dom = for_dom, .remote_dom = remote};
    long rc = env_op(dom, 0, EVTCHNOP_alloc_unbound, &a);

    *port = a.port;
    return rc;
}
static long x_bind(unsigned dom, domid_t remote, uint32_t rport, uint32_t *port)
{
    struct evtchn_bind_interdomain a = {.remote_dom = remote, .remote_port = rport};
    long rc = env_op(dom, 0, EVTCHNOP_bind_interdomain, &a);

    *port = a.local_port;
    return rc;
}
static long x_virq(unsigned dom, uint32_t virq, uint32_t vcpu, uint32_t *port)
{
    struct evtchn_bind_virq a = {.virq = virq, .vcpu = vcpu};
    long rc = env_op(dom, 0, EVTCHNOP_bind_virq, &a);

    *port = a.port;
    return rc;
}
static long x_ipi(unsigned dom, uint32_t vcpu, uint32_t *port)
{
    struct evtchn_bind_ipi a = {.vcpu = vcpu};
    long rc = env_op(dom, 0, EVTCHNOP_bind_ipi, &a);

    *port = a.port;
    return rc;
}
static long x_pirq(unsigned dom, uint32_t pirq, uint32_t *port)
{
    struct evtchn_bind_pirq a = {.pirq = pirq};
    long rc = env_op(dom, 0, EVTCHNOP_bind_pirq, &a);

    *port = a.port;
    return rc;
}
static long x_port(unsigned dom, unsigned cmd, uint32_t port)
{
    struct evtchn_close a = {.port = port};

    return env_op(dom, 0, cmd, &a);
}
static long x_bind_vcpu(unsigned dom, uint32_t port, uint32_t vcpu)
{
    struct evtchn_bind_vcpu a = {.port = port, .vcpu = vcpu};

    return env_op(dom, 0, EVTCHNOP_bind_vcpu, &a);
}
static long x_reset(unsigned dom, domid_t whom)
{
    struct evtchn_reset a = {.dom = whom};

    return env_op(dom, 0, EVTCHNOP_reset, &a);
}
static struct evtchn_status x_status(unsigned dom, uint32_t port)
{
    struct evtchn_status a = {.dom = DOMID_SELF, .port = port};

    assert_int_equal(env_op(dom, 0, EVTCHNOP_status, &a), 0);
    return a;
}
static uint64_t frame_of(unsigned dom, unsigned n)
{
    return 3 * n + dom;
}
static long x_init_control(unsigned dom, unsigned vcpu, uint64_t frame, uint32_t offset)
{
    struct evtchn_init_control a = {.control_gfn = frame, .offset = offset, .vcpu = vcpu};
    long rc = env_op(dom, 0, EVTCHNOP_init_control, &a);

    if (!rc)
        assert_int_equal(a.link_bits, 17);
    return rc;
}
static long x_expand(unsigned dom, uint64_t frame)
{
    struct evtchn_expand_array a = {.array_gfn = frame};

    return env_op(dom, 0, EVTCHNOP_expand_array, &a);
}
static long x_priority(unsigned dom, uint32_t port, uint32_t prio)
{
    struct evtchn_set_priority a = {.port = port, .priority = prio};

    return env_op(dom, 0, EVTCHNOP_set_priority, &a);
}
static struct evtchn_fifo_control_block *control_of(unsigned dom, unsigned vcpu)
{
    return map_frame(mfn(frame_of(dom, vcpu)));
}
static event_word_t *word_of(unsigned dom, uint32_t port)
{
    return (event_word_t *)map_frame(mfn(frame_of(dom, 4))) + port;
}
static void fifo_on(unsigned dom)
{
    for (unsigned i = 0; i < NVCPU; i++)
        assert_int_equal(x_init_control(dom, i, frame_of(dom, i), 0), 0);
    assert_int_equal(x_expand(dom, frame_of(dom, 4)), 0);
}

/* --- an honest FIFO guest (as the design paper says) -------------------------------------------------- */

struct fifo_guest {
    uint32_t head[NVCPU][EVTCHN_FIFO_MAX_QUEUES];
};

/* Take the next event of vcpu: its port, 0 = none. Drained queues' ready bits are cleared first by xchg. */
static uint32_t guest_take(struct fifo_guest *g, unsigned dom, unsigned vcpu, uint32_t *ready)
{
    struct evtchn_fifo_control_block *cb = control_of(dom, vcpu);

    *ready |= __atomic_exchange_n(&cb->ready, 0, __ATOMIC_SEQ_CST);
    while (*ready) {
        unsigned q = (unsigned)__builtin_ctz(*ready);
        uint32_t port = g->head[vcpu][q] ? g->head[vcpu][q] : cb->head[q];
        uint32_t old;

        assert_true(port && port < 1024);
        old = *word_of(dom, port);
        *word_of(dom, port) &= ~((1u << EVTCHN_FIFO_LINKED) | EVTCHN_FIFO_LINK_MASK);
        g->head[vcpu][q] = old & EVTCHN_FIFO_LINK_MASK;
        if (!g->head[vcpu][q])
            *ready &= ~(1u << q);
        if ((old >> EVTCHN_FIFO_PENDING & 1) && !(old >> EVTCHN_FIFO_MASKED & 1)) {
            *word_of(dom, port) &= ~(1u << EVTCHN_FIFO_PENDING);
            return port;
        }
    }
    return 0;
}

/* --- rules ----------------------------------------------------------------------------------------------- */

static int setup(void **state)
{
    env_setup();
    return 0;
}
static int teardown(void **state)
{
    host_zalloc_fail = 0;
    env_teardown();
    return 0;
}

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

/* --- the model --------------------------------------------------------------------------------------------- */

#define MPORTS 200
static struct mport {
    uint32_t status, peer; /* EVTCHNSTAT_*; port, virq, pirq */
    uint16_t dom, vcpu;
    bool owed; /* an event is due to the guest */
} model[NDOM][MPORTS];

static void model_owe(unsigned dom, uint32_t port)
{
    model[dom][port].owed = true;
}

static void model_new(unsigned dom, uint32_t port, uint32_t status, uint16_t rdom, uint32_t peer,
                      uint16_t vcpu)
{
    assert_true(port && port < MPORTS);
    assert_int_equal(model[dom][port].status, EVTCHNSTAT_closed);
    model[dom][port] =
        (struct mport){.status = status, .dom = rdom, .peer = peer, .vcpu = vcpu};
}

static bool model_has(unsigned dom, uint32_t status, uint32_t nr, int vcpu)
{
    for (unsigned i = 1; i < MPORTS; i++)
        if (model[dom][i].status == status && model[dom][i].peer == nr &&
            (vcpu < 0 || model[dom][i].vcpu == vcpu))
            return true;
    return false;
}

static unsigned rnd(unsigned n)
{
    return (unsigned)rand() % n;
}

static void step_alloc(unsigned dom)
{
    unsigned whom = dom ? dom : rnd(NDOM), remote = rnd(NDOM);
    uint32_t p;

    assert_int_equal(x_alloc(dom, whom == dom ? DOMID_SELF : (domid_t)whom, (domid_t)remote, &p), 0);
    model_new(whom, p, EVTCHNSTAT_unbound, (uint16_t)remote, 0, 0);
}

static void step_bind(unsigned dom)
{
    unsigned rdom = rnd(NDOM);
    uint32_t rport = rnd(40), p;
    struct mport *m = &model[rdom][rport];
    bool ok = m->status == EVTCHNSTAT_unbound && m->dom == dom;

    assert_int_equal(x_bind(dom, (domid_t)rdom, rport, &p), ok ? 0 : -XEN_EINVAL);
    if (!ok)
        return;
    model_new(dom, p, EVTCHNSTAT_interdomain, (uint16_t)rdom, rport, 0);
    m->status = EVTCHNSTAT_interdomain;
    m->dom = (uint16_t)dom;
    m->peer = p;
    model_owe(dom, p);
}

static void step_virq_ipi_pirq(unsigned dom)
{
    unsigned virq = rnd(4), vcpu = rnd(NVCPU), pirq = rnd(6);
    bool global = virq_is_global(virq);
    uint32_t p;
    long rc;

    rc = x_virq(dom, virq, vcpu, &p);
    if (global && vcpu)
        assert_int_equal(rc, -XEN_EINVAL);
    else if (model_has(dom, EVTCHNSTAT_virq, virq, global ? -1 : (int)vcpu))
        assert_int_equal(rc, -XEN_EEXIST);
    else
        model_new(dom, p, EVTCHNSTAT_virq, 0, virq, (uint16_t)vcpu);
    if (!rnd(3) && !x_ipi(dom, vcpu, &p))
        model_new(dom, p, EVTCHNSTAT_ipi, 0, 0, (uint16_t)vcpu);
    rc = x_pirq(dom, pirq, &p);
    if (model_has(dom, EVTCHNSTAT_pirq, pirq, -1))
        assert_int_equal(rc, -XEN_EEXIST);
    else
        model_new(dom, p, EVTCHNSTAT_pirq, 0, pirq, 0);
}

static void step_raise(unsigned dom)
{
    unsigned virq = rnd(4), vcpu = rnd(NVCPU), pirq = rnd(6);
    bool global = virq_is_global(virq);

    if (global)
        virq_raise_domain(&env[dom]->d, virq);
    else
        virq_raise_vcpu(env[dom]->vp[vcpu], virq);
    assert_int_equal(evtchn_pirq_raise(&env[dom]->d, pirq),
                     model_has(dom, EVTCHNSTAT_pirq, pirq, -1));
    for (unsigned i = 1; i < MPORTS; i++) {
        struct mport *m = &model[dom][i];

        if ((m->status == EVTCHNSTAT_virq && m->peer == virq && (global || m->vcpu == vcpu)) ||
            (m->status == EVTCHNSTAT_pirq && m->peer == pirq))
            model_owe(dom, i);
    }
}

static void step_close(unsigned dom)
{
    uint32_t p = rnd(60);
    struct mport *m = &model[dom][p];
    long rc = x_port(dom, EVTCHNOP_close, p);

    assert_int_equal(rc, m->status ? 0 : -XEN_EINVAL);
    if (m->status == EVTCHNSTAT_interdomain) {
        struct mport *r = &model[m->dom][m->peer];

        r->status = EVTCHNSTAT_unbound;
        r->dom = (uint16_t)dom;
        r->peer = 0;
    }
    *m = (struct mport){0};
}

static void step_send(unsigned dom)
{
    uint32_t p = rnd(60);
    struct mport *m = &model[dom][p];
    bool ok = m->status == EVTCHNSTAT_unbound || m->status == EVTCHNSTAT_interdomain ||
              m->status == EVTCHNSTAT_ipi;

    assert_int_equal(x_port(dom, EVTCHNOP_send, p), ok ? 0 : -XEN_EINVAL);
    if (m->status == EVTCHNSTAT_interdomain)
        model_owe(m->dom, m->peer);
    if (m->status == EVTCHNSTAT_ipi)
        model_owe(dom, p);
}

static void step_move(unsigned dom)
{
    uint32_t p = rnd(60), vcpu = rnd(NVCPU);
    struct mport *m = &model[dom][p];
    bool ok = m->status == EVTCHNSTAT_unbound || m->status == EVTCHNSTAT_interdomain ||
              m->status == EVTCHNSTAT_pirq ||
              (m->status == EVTCHNSTAT_virq && virq_is_global(m->peer));

    assert_int_equal(x_bind_vcpu(dom, p, vcpu), ok ? 0 : -XEN_EINVAL);
    if (ok)
        m->vcpu = (uint16_t)vcpu;
    if (dom)
        assert_int_equal(x_priority(dom, p, rnd(16)), m->status ? 0 : -XEN_EINVAL);
}

/* The guest takes all that it can see; that must be exactly what is owed and not masked. */
static struct fifo_guest fifo_guest1;

static void step_consume_fifo(void)
{
    for (unsigned vcpu = 0; vcpu < NVCPU; vcpu++) {
        uint32_t ready = 0, p;

        while ((p = guest_take(&fifo_guest1, 1, vcpu, &ready))) {
            assert_true(model[1][p].owed);
            model[1][p].owed = false;
        }
        env[1]->info[vcpu].evtchn_upcall_pending = 0;
    }
    for (unsigned p = 1; p < MPORTS; p++)
        if (model[1][p].owed)
            assert_true(*word_of(1, p) >> EVTCHN_FIFO_MASKED & 1);
}

static void step_consume_2l(void)
{
    uint64_t sel = 0;

    for (unsigned vcpu = 0; vcpu < NVCPU; vcpu++) {
        struct vcpu_info *vi = &env[0]->info[vcpu];

        if (vi->evtchn_pending_sel)
            assert_true(vi->evtchn_upcall_pending);
        vi->evtchn_upcall_pending = 0;
        sel |= vi->evtchn_pending_sel;
        vi->evtchn_pending_sel = 0;
    }
    for (unsigned p = 1; p < MPORTS; p++) {
        bool masked = env[0]->shared.evtchn_mask[p / 64] >> (p % 64) & 1;

        assert_int_equal(env[0]->shared.evtchn_pending[p / 64] >> (p % 64) & 1, model[0][p].owed);
        if (!model[0][p].owed || masked)
            continue;
        assert_true(sel >> (p / 64) & 1);
        env[0]->shared.evtchn_pending[p / 64] &= ~(1ul << (p % 64));
        model[0][p].owed = false;
    }
}

static void step_mask(void)
{
    uint32_t p = 1 + rnd(60), q = 1 + rnd(60);

    env[0]->shared.evtchn_mask[p / 64] |= 1ul << (p % 64);
    *word_of(1, p) |= 1u << EVTCHN_FIFO_MASKED;
    for (unsigned dom = 0; dom < 2; dom++) {
        if (!model[dom][q].status)
            continue;
        assert_int_equal(x_port(dom, EVTCHNOP_unmask, q), 0);
        assert_false(evtchn_is_masked(&env[dom]->d, q));
        if (dom == 1 && model[1][q].owed)
            assert_true(*word_of(1, q) >> EVTCHN_FIFO_LINKED & 1);
    }
}

static void step_hostile(void)
{
    for (unsigned i = 0; i < 8; i++) {
        *word_of(2, rnd(64)) = (uint32_t)rand() << 8 ^ (uint32_t)rand();
        ((uint32_t *)control_of(2, rnd(NVCPU)))[rnd(18)] = (uint32_t)rand();
    }
    /* Leave it some ports that can be allocated. */
    for (unsigned i = 0; i < 1024; i++)
        if (rnd(2))
            *word_of(2, i) &= ~(1u << EVTCHN_FIFO_LINKED);
}

static void model_compare(void)
{
    for (unsigned dom = 0; dom < NDOM; dom++)
        for (unsigned p = 1; p < MPORTS && p < env[dom]->d.evtchn->nr_ports; p++) {
            const struct mport *m = &model[dom][p];
            struct evtchn_status st = x_status(dom, p);

            assert_int_equal(st.status, m->status);
            if (!m->status)
                continue;
            assert_int_equal(st.vcpu, m->vcpu);
            if (m->status == EVTCHNSTAT_unbound)
                assert_int_equal(st.u.unbound.dom, m->dom);
            if (m->status == EVTCHNSTAT_interdomain) {
                assert_int_equal(st.u.interdomain.dom, m->dom);
                assert_int_equal(st.u.interdomain.port, m->peer);
            }
            if (m->status == EVTCHNSTAT_virq || m->status == EVTCHNSTAT_pirq)
                assert_int_equal(st.u.virq, m->peer);
        }
    assert_int_equal(env_check(), 0);
}

static void t_model(void **state)
{
    memset(model, 0, sizeof(model));
    memset(&fifo_guest1, 0, sizeof(fifo_guest1));
    srand(20260);
    fifo_on(1);
    fifo_on(2);
    for (unsigned i = 0; i < 20000; i++) {
        unsigned dom = rnd(NDOM), open = env[dom]->d.evtchn->active;

        switch (rnd(12)) {
        case 0:
            if (open < 40 && env[0]->d.evtchn->active < 40)
                step_alloc(dom);
            break;
        case 1:
        case 2:
            step_bind(dom);
            break;
        case 3:
            if (open < 40)
                step_virq_ipi_pirq(dom);
            break;
        case 4:
            step_raise(dom);
            break;
        case 5:
            step_close(dom);
            break;
        case 6:
            step_move(dom);
            break;
        case 7:
            step_mask();
            break;
        case 8:
            step_consume_fifo();
            step_consume_2l();
            break;
        case 9:
            step_hostile();
            break;
        default:
            step_send(dom);
        }
        if (i % 16 == 0)
            model_compare();
    }
}

/* --- threads as CPUs: lock order, lost peers, the FIFO books ------------------------------------------------- */

#define THREAD_STEPS 20000

static uint32_t thread_rnd(uint32_t *seed, uint32_t n)
{
    *seed = *seed * 1664525 + 1013904223;
    return (*seed >> 8) % n;
}

/* One vCPU: any operation on any of the first ports; results do not matter, what must hold does. */
static void *thread_run(void *arg)
{
    unsigned self = (unsigned)(uintptr_t)arg, dom = self % NDOM;
    uint32_t seed = self + 1;

    host_cpu = self;
    for (unsigned i = 0; i < THREAD_STEPS; i++) {
        uint32_t a[6] = {0};
        unsigned cmd = thread_rnd(&seed, 12);

        a[0] = 1 + thread_rnd(&seed, 24);
        a[1] = thread_rnd(&seed, NVCPU);
        if (cmd == EVTCHNOP_alloc_unbound)
            a[0] = DOMID_SELF | thread_rnd(&seed, NDOM) << 16;
        if (cmd == EVTCHNOP_bind_interdomain) {
            a[0] = thread_rnd(&seed, NDOM);
            a[1] = 1 + thread_rnd(&seed, 24);
        }
        if (cmd == EVTCHNOP_reset)
            a[0] = i % 64 ? 99 : DOMID_SELF;
        if (cmd == 11)
            cmd = EVTCHNOP_set_priority;
        if (env[dom]->d.evtchn->active > 20)
            cmd = EVTCHNOP_close;
        (void)do_event_channel_op(env[dom]->vp[0], cmd, (uintptr_t)a, 0, 0, 0);
        (void)evtchn_send(&env[dom]->d, 1 + thread_rnd(&seed, 24));
        virq_raise_domain(&env[dom]->d, thread_rnd(&seed, 2) ? VIRQ_CONSOLE : VIRQ_DOM_EXC);
        evtchn_pirq_raise(&env[dom]->d, thread_rnd(&seed, 24));
        if (dom && env[dom]->d.evtchn->fifo)
            __atomic_fetch_and(word_of(dom, 1 + thread_rnd(&seed, 24)), (uint32_t)seed,
                               __ATOMIC_SEQ_CST);
    }
    return NULL;
}

static void t_threads(void **state)
{
    pthread_t t[6];

    host_cpus = 6;
    fifo_on(1);
    fifo_on(2);
    for (unsigned dom = 0; dom < NDOM; dom++) { /* storage first: the PC's zalloc() counts without lock */
        uint32_t p;

        assert_int_equal(x_ipi(dom, 0, &p), 0);
        assert_non_null(evtchn_pirq_cell(&env[dom]->d, 0, true));
    }
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(pthread_create(&t[i], NULL, thread_run, (void *)(uintptr_t)i), 0);
    for (unsigned i = 0; i < 6; i++)
        pthread_join(t[i], NULL);
    assert_int_equal(env_check(), 0);
    for (unsigned dom = 0; dom < NDOM; dom++)
        assert_int_equal(env[dom]->d.refs, 1);
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
        T(t_allocation_failures),     T(t_model),
        T(t_threads),                 T(t_virq_handler_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
