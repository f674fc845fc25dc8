/* SPDX-License-Identifier: MIT */
/*
 * For the tests of event channels (t_evtchn.c, t_evtchn_model.c): the calls of the domains of evtchn_env.h in short
 * forms, and a guest that takes its FIFO events as it should.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

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
static inline long x_reset(unsigned dom, domid_t whom)
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

/* --- around each test -------------------------------------------------------------------------------------- */

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
