/* SPDX-License-Identifier: MIT */
/*
 * Random operations on event channels of three domains against a model: states and peers of all ports, and which events
 * must be delivered. Domain 0 uses two-level events, domain 1 FIFO, domain 2 FIFO with its words rewritten at random
 * between steps. Then threads as CPUs, with any operation at any time.
 * sources: hypervisor/common/evtchn.c hypervisor/common/evtchn_port.c hypervisor/common/evtchn_bind.c hypervisor/common/evtchn_op.c hypervisor/common/evtchn_2l.c hypervisor/common/evtchn_fifo.c hypervisor/common/evtchn_check.c
 */
#include <pthread.h>

#include "evtchn_calls.h"

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

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {T(t_model), T(t_threads)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
