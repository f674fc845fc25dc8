/* SPDX-License-Identifier: MIT */
/*
 * events: 2-level event channels. Binding of all kinds, sending, pending and mask bits, upcalls and
 * when they come, unmask of a pending port, status after each step, close and what becomes of the
 * other end, and refusal of every bad port, domain, vCPU and VIRQ, until all ports are used up.
 */
#include "kit.h"

static volatile unsigned int hits, last_port;

static void on_event(unsigned int port)
{
    hits++;
    last_port = port;
}

static struct evtchn_status status(unsigned int port)
{
    struct evtchn_status s = {.dom = DOMID_SELF, .port = port};
    s.status = evtchn_op(EVTCHNOP_status, &s) ? ~0u : s.status;
    return s;
}

static int interdomain(domid_t dom, unsigned int port)
{
    struct evtchn_bind_interdomain b = {.remote_dom = dom, .remote_port = port};
    long rc = evtchn_op(EVTCHNOP_bind_interdomain, &b);
    return rc ? (int)rc : (int)b.local_port;
}

static void loopback(void)
{
    int a = evtchn_alloc(DOMID_SELF), b;
    struct evtchn_status s;

    CHECK("alloc-unbound", a > 0);
    CHECK_EQ("status-unbound", status(a).status, EVTCHNSTAT_unbound);
    CHECK_EQ("send-unbound-is-dropped", evtchn_send(a), 0);
    b = interdomain(DOMID_SELF, a);
    CHECK("bind-interdomain", b > 0 && b != a);
    CHECK("bind-gives-event-at-this-end", evtchn_pending(b));
    evtchn_clear(b);
    s = status(b);
    CHECK("status-interdomain", s.status == EVTCHNSTAT_interdomain &&
                                    (int)s.u.interdomain.port == a && s.u.interdomain.dom == 0);
    CHECK_EQ("bind-twice-refused", interdomain(DOMID_SELF, a), -XEN_EINVAL);
    kit_bind(a, on_event);
    kit_cli();
    hits = 0;
    CHECK_EQ("send", evtchn_send(b), 0);
    CHECK("masked-vcpu-no-upcall",
          hits == 0 && evtchn_pending(a) && vinfo()->evtchn_upcall_pending);
    CHECK("pending-selector", vinfo()->evtchn_pending_sel >> (a / 64) & 1);
    kit_sti();
    CHECK("upcall-on-unmask", hits == 1 && (int)last_port == a && !evtchn_pending(a));
    evtchn_send(b);
    CHECK("upcall-at-once", hits == 2);
    evtchn_mask(a, true);
    evtchn_send(b);
    CHECK("masked-port-pending-no-upcall",
          hits == 2 && evtchn_pending(a) && !vinfo()->evtchn_upcall_pending);
    evtchn_send(b);
    kit_bind(a, on_event);
    CHECK("unmask-delivers-once", hits == 3 && !evtchn_pending(a));
    kit_bind(b, on_event);
    evtchn_send(a);
    CHECK("other-direction", hits == 4 && (int)last_port == b);
    CHECK_EQ("close", evtchn_close(a), 0);
    CHECK_EQ("close-status", status(a).status, EVTCHNSTAT_closed);
    CHECK_EQ("other-end-unbound", status(b).status, EVTCHNSTAT_unbound);
    CHECK_EQ("close-other", evtchn_close(b), 0);
    CHECK_EQ("close-twice", evtchn_close(b), -XEN_EINVAL);
    CHECK_EQ("send-closed", evtchn_send(b), -XEN_EINVAL);
    kit_cli();
}

static void ipi_and_virq(void)
{
    int i = evtchn_ipi(0), t = evtchn_virq(VIRQ_TIMER, 0), c;
    struct evtchn_bind_vcpu bv = {.port = t, .vcpu = 0};

    CHECK("bind-ipi", i > 0 && status(i).status == EVTCHNSTAT_ipi);
    kit_bind(i, on_event);
    kit_sti();
    hits = 0;
    CHECK("ipi-to-self", evtchn_send(i) == 0 && hits == 1);
    CHECK("bind-virq-timer",
          t > 0 && status(t).status == EVTCHNSTAT_virq && status(t).u.virq == VIRQ_TIMER);
    CHECK_EQ("bind-virq-twice", evtchn_virq(VIRQ_TIMER, 0), -XEN_EEXIST);
    CHECK_EQ("send-to-virq-port", evtchn_send(t), -XEN_EINVAL);
    CHECK_EQ("rebind-timer-refused", evtchn_op(EVTCHNOP_bind_vcpu, &bv), -XEN_EINVAL);
    kit_bind(t, on_event);
    hits = 0;
    HC1(set_timer_op, kit_now() + 1000000);
    WAIT_FOR(hits, 500);
    CHECK("timer-virq-comes", hits == 1 && (int)last_port == t);
    kit_cli();
    c = evtchn_virq(VIRQ_CONSOLE, 0);
    CHECK("bind-global-virq", c > 0);
    CHECK_EQ("bind-global-virq-twice", evtchn_virq(VIRQ_CONSOLE, 0), -XEN_EEXIST);
    CHECK_EQ("bind-virq-beyond", evtchn_virq(NR_VIRQS, 0), -XEN_EINVAL);
    CHECK_EQ("bind-virq-huge", evtchn_virq(0x80000001, 0), -XEN_EINVAL);
    CHECK_EQ("bind-virq-bad-vcpu", evtchn_virq(VIRQ_DEBUG, 77), -XEN_ENOENT);
    CHECK_EQ("bind-ipi-bad-vcpu", evtchn_ipi(0xffffffff), -XEN_ENOENT);
    CHECK("close-virqs", !evtchn_close(t) && !evtchn_close(c) && !evtchn_close(i));
    t = evtchn_virq(VIRQ_TIMER, 0);
    CHECK("bind-virq-after-close", t > 0 && !evtchn_close(t));
}

static void refusals(void)
{
    static const unsigned int bad[] = {0, 0xffffffff, 4096, 0x80000000, 131072, 4000};
    struct evtchn_alloc_unbound a = {.dom = 999, .remote_dom = 0};
    struct evtchn_bind_vcpu bv = {.port = 0, .vcpu = 0};
    int port = evtchn_alloc(DOMID_SELF);

    for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct evtchn_unmask u = {.port = bad[i]};
        struct evtchn_bind_vcpu b = {.port = bad[i], .vcpu = 0};
        long rc[5] = {evtchn_send(bad[i]), evtchn_close(bad[i]), evtchn_op(EVTCHNOP_bind_vcpu, &b),
                      bad[i] == 4000 || !bad[i] ? -1 : evtchn_op(EVTCHNOP_unmask, &u),
                      interdomain(DOMID_SELF, bad[i])};
        kit_check(rc[0] < 0 && rc[1] < 0 && rc[2] < 0 && rc[3] < 0 && rc[4] < 0, "bad-port-refused",
                  "port 0x%x: send %ld close %ld bind_vcpu %ld unmask %ld bind %ld", bad[i], rc[0],
                  rc[1], rc[2], rc[3], rc[4]);
    }
    CHECK_EQ("alloc-for-no-domain", evtchn_op(EVTCHNOP_alloc_unbound, &a), -XEN_ESRCH);
    CHECK_EQ("bind-to-no-domain", interdomain(999, 1), -XEN_ESRCH);
    bv.port = port;
    bv.vcpu = 999;
    CHECK_EQ("bind-vcpu-bad-vcpu", evtchn_op(EVTCHNOP_bind_vcpu, &bv), -XEN_ENOENT);
    bv.vcpu = 0;
    CHECK_EQ("bind-vcpu", evtchn_op(EVTCHNOP_bind_vcpu, &bv), 0);
    CHECK_EQ("bad-op", evtchn_op(99, &bv), -XEN_ENOSYS);
    CHECK_EQ("bad-pointer", evtchn_op(EVTCHNOP_send, (void *)8), -XEN_EFAULT);
    evtchn_close(port);
}

static void use_up(void)
{
    static short port[4096];
    unsigned int n = 0, closed = 0;
    int p = 0;

    while (n < 4096 && (p = evtchn_alloc(DOMID_SELF)) > 0)
        port[n++] = (short)p;
    kit_check(n > 4000 && p == -XEN_ENOSPC, "use-up-all-ports", "%u ports, then %d", n, p);
    for (unsigned int i = 0; i < n; i++)
        closed += evtchn_close((unsigned short)port[i]) == 0;
    CHECK_EQ("close-all", closed, n);
    p = evtchn_alloc(DOMID_SELF);
    CHECK("alloc-after-close", p > 0 && p < 64);
}

static void reset(void)
{
    struct evtchn_reset r = {.dom = DOMID_SELF};
    int p = evtchn_alloc(DOMID_SELF);

    CHECK_EQ("reset", evtchn_op(EVTCHNOP_reset, &r), 0);
    CHECK_EQ("reset-closes", status(p).status, EVTCHNSTAT_closed);
    CHECK("alloc-after-reset", evtchn_alloc(DOMID_SELF) > 0);
}

void guest_main(void)
{
    loopback();
    ipi_and_virq();
    refusals();
    use_up();
    reset();
}
