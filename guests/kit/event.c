/* SPDX-License-Identifier: MIT */
/*
 * Event channels (2-level), the upcall mask, time and scheduling calls of a test guest. Handlers
 * run in the upcall, with further upcalls masked, until the iret hypercall restores the mask.
 */
#include "kit.h"

struct shared_info *kit_shared;
static kit_event *handler[4096];

void kit_upcall(void)
{
    struct vcpu_info *vi = vinfo();

    while (__atomic_exchange_n(&vi->evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST)) {
        unsigned long sel = __atomic_exchange_n(&vi->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
        for (; sel; sel &= sel - 1) {
            unsigned int w = (unsigned int)__builtin_ctzl(sel);
            unsigned long bits = kit_shared->evtchn_pending[w] & ~kit_shared->evtchn_mask[w];
            for (; bits; bits &= bits - 1) {
                unsigned int port = w * 64 + (unsigned int)__builtin_ctzl(bits);
                evtchn_clear(port);
                if (handler[port])
                    handler[port](port);
            }
        }
    }
}

void kit_bind(unsigned int port, kit_event *fn)
{
    struct evtchn_unmask u = {.port = port};

    handler[port] = fn;
    if (fn)
        evtchn_op(EVTCHNOP_unmask, &u);
}

long evtchn_op(int op, void *arg)
{
    return HC2(event_channel_op, op, arg);
}

int evtchn_alloc(domid_t remote)
{
    struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = remote};
    long rc = evtchn_op(EVTCHNOP_alloc_unbound, &a);
    return rc ? (int)rc : (int)a.port;
}

long evtchn_close(unsigned int port)
{
    struct evtchn_close c = {.port = port};
    return evtchn_op(EVTCHNOP_close, &c);
}

long evtchn_send(unsigned int port)
{
    struct evtchn_send s = {.port = port};
    return evtchn_op(EVTCHNOP_send, &s);
}

int evtchn_virq(unsigned int virq, unsigned int vcpu)
{
    struct evtchn_bind_virq b = {.virq = virq, .vcpu = vcpu};
    long rc = evtchn_op(EVTCHNOP_bind_virq, &b);
    return rc ? (int)rc : (int)b.port;
}

int evtchn_ipi(unsigned int vcpu)
{
    struct evtchn_bind_ipi b = {.vcpu = vcpu};
    long rc = evtchn_op(EVTCHNOP_bind_ipi, &b);
    return rc ? (int)rc : (int)b.port;
}

bool evtchn_pending(unsigned int port)
{
    return kit_shared->evtchn_pending[port / 64] >> (port % 64) & 1;
}

void evtchn_mask(unsigned int port, bool on)
{
    if (on)
        __atomic_fetch_or(&kit_shared->evtchn_mask[port / 64], 1UL << port % 64, __ATOMIC_SEQ_CST);
    else
        __atomic_fetch_and(&kit_shared->evtchn_mask[port / 64], ~(1UL << port % 64),
                           __ATOMIC_SEQ_CST);
}

void evtchn_clear(unsigned int port)
{
    __atomic_fetch_and(&kit_shared->evtchn_pending[port / 64], ~(1UL << port % 64),
                       __ATOMIC_SEQ_CST);
}

void kit_sti(void)
{
    vinfo()->evtchn_upcall_mask = 0;
    barrier();
    if (vinfo()->evtchn_upcall_pending)
        HC2(xen_version, XENVER_version, NULL); /* any hypercall delivers what waits */
}

bool kit_cli(void)
{
    bool was = !vinfo()->evtchn_upcall_mask;
    vinfo()->evtchn_upcall_mask = 1;
    barrier();
    return was;
}

long sched_op(int op, void *arg)
{
    return HC2(sched_op, op, arg);
}

uint64_t kit_now(void)
{
    volatile struct vcpu_time_info *t = &vinfo()->time;
    uint32_t version, lo, hi;
    uint64_t delta, ns;

    do {
        version = t->version;
        barrier();
        asm volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi));
        delta = ((uint64_t)hi << 32 | lo) - t->tsc_timestamp;
        delta = t->tsc_shift < 0 ? delta >> -t->tsc_shift : delta << t->tsc_shift;
        ns = t->system_time + (uint64_t)(((unsigned __int128)delta * t->tsc_to_system_mul) >> 32);
        barrier();
    } while ((version & 1) || version != t->version);
    return ns;
}
