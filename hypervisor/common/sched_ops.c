/* SPDX-License-Identifier: MIT */
/*
 * The hypercalls sched_op, its old form, and set_timer_op: each sub-operation fetches its argument once,
 * checks it and calls the mechanism. An operation that stops the caller marks it and returns; the
 * SCHED softirq takes the CPU away before the guest runs again.
 */
#include "domain.h"
#include "evtchn.h"
#include "lib.h"
#include "log.h"
#include "port.h"
#include "sched.h"
#include "sched_private.h"
#include "vtime.h"

/* After the declarations above: xen/sched.h is the ABI's. */
#include <xen/sched.h>

#define POLL_PORTS_MAX 128
#define NS_PER_S 1000000000ULL

static long sched_shutdown(struct vcpu *v, uint64_t reason, uint64_t frame)
{
    struct domain *d = v->domain;

    if (reason > SHUTDOWN_MAX)
        return -XEN_EINVAL;
    if (d->hardware && (reason == SHUTDOWN_suspend || reason == SHUTDOWN_soft_reset))
        return -XEN_EINVAL; /* nobody could resume it */
    if (reason == SHUTDOWN_suspend)
        d->suspend_frame = frame;
    domain_shutdown(d, (unsigned)reason);
    return 0;
}

static long sched_op_shutdown(struct vcpu *v, guest_ptr_t arg, uint64_t frame)
{
    struct sched_shutdown s;

    if (get_guest(s, arg))
        return -XEN_EFAULT;
    return sched_shutdown(v, s.reason, frame);
}

static long sched_op_shutdown_code(struct vcpu *v, guest_ptr_t arg)
{
    struct sched_shutdown s;

    if (get_guest(s, arg))
        return -XEN_EFAULT;
    if (s.reason > SHUTDOWN_MAX)
        return -XEN_EINVAL;
    WRITE_ONCE(v->domain->shutdown_latch, (uint8_t)(s.reason + 1));
    return 0;
}

static long sched_op_remote_shutdown(struct vcpu *v, guest_ptr_t arg)
{
    struct sched_remote_shutdown s;
    struct domain *d;

    if (get_guest(s, arg))
        return -XEN_EFAULT;
    if (!v->domain->privileged)
        return -XEN_EPERM;
    if (s.reason > SHUTDOWN_MAX)
        return -XEN_EINVAL;
    d = domain_get(s.domain_id);
    if (!d)
        return -XEN_ESRCH;
    domain_shutdown(d, s.reason);
    domain_put(d);
    return 0;
}

/* --- Poll ---------------------------------------------------------------------------------------- */

static bool poll_any_pending(struct domain *d, const evtchn_port_t *ports, unsigned n)
{
    unsigned i;

    for (i = 0; i < n; i++)
        if (evtchn_is_pending(d, ports[i]))
            return true;
    return false;
}

static long sched_op_poll(struct vcpu *v, guest_ptr_t arg)
{
    evtchn_port_t ports[POLL_PORTS_MAX];
    struct sched_poll p;

    if (get_guest(p, arg))
        return -XEN_EFAULT;
    if (p.nr_ports > POLL_PORTS_MAX)
        return -XEN_EINVAL;
    if (copy_from_guest(ports, guest_ptr_of(p.ports), p.nr_ports * sizeof(ports[0])))
        return -XEN_EFAULT;
    for (unsigned i = 0; i < p.nr_ports; i++)
        if (!evtchn_is_known(v->domain, ports[i]))
            return -XEN_EINVAL;
    timer_stop(&v->poll_timer); /* an earlier poll's */
    /* First say that we poll, then look: vcpu_poll_wake() does it the other way round. */
    if (!vcpu_poll_begin(v, p.nr_ports == 1 ? ports[0] : 0) ||
        poll_any_pending(v->domain, ports, p.nr_ports)) {
        vcpu_poll_end(v);
        return 0;
    }
    if (p.timeout) {
        timer_migrate(&v->poll_timer, cpu_self());
        timer_set(&v->poll_timer, p.timeout);
    }
    softirq_raise(cpu_self(), SOFTIRQ_SCHED);
    return 0;
}

/* --- Watchdog --------------------------------------------------------------------------------------- */

static long watchdog_start(struct domain *d, uint64_t deadline)
{
    unsigned i;

    for (i = 0; i < ARRAY_SIZE(d->watchdog); i++) {
        if (d->watchdog_used & BIT(i))
            continue;
        d->watchdog_used |= (uint8_t)BIT(i);
        timer_set(&d->watchdog[i], deadline);
        return i + 1;
    }
    return -XEN_ENOSPC;
}

static long watchdog_poke(struct domain *d, unsigned slot, uint32_t timeout, uint64_t deadline)
{
    if (!(d->watchdog_used & BIT(slot)))
        return -XEN_EINVAL;
    if (timeout) {
        timer_set(&d->watchdog[slot], deadline);
    } else {
        timer_stop(&d->watchdog[slot]);
        d->watchdog_used &= (uint8_t)~BIT(slot);
    }
    return 0;
}

static long sched_op_watchdog(struct vcpu *v, guest_ptr_t arg)
{
    struct domain *d = v->domain;
    struct sched_watchdog w;
    uint64_t deadline;
    long rc;

    if (get_guest(w, arg))
        return -XEN_EFAULT;
    if (w.id > ARRAY_SIZE(d->watchdog) || (w.id == 0 && w.timeout == 0))
        return -XEN_EINVAL;
    deadline = now_ns() + w.timeout * NS_PER_S;
    spin_lock(&d->watchdog_lock);
    if (w.id == 0)
        rc = watchdog_start(d, deadline);
    else
        rc = watchdog_poke(d, (unsigned)index_nospec(w.id - 1, ARRAY_SIZE(d->watchdog)), w.timeout,
                           deadline);
    spin_unlock(&d->watchdog_lock);
    return rc;
}

/* --- Dispatch ------------------------------------------------------------------------------------------ */

long do_sched_op(struct vcpu *v, uint64_t cmd, uint64_t arg, uint64_t a3, uint64_t a4, uint64_t a5)
{
    switch ((uint32_t)cmd) {
    case SCHEDOP_yield:
        vcpu_yield(v);
        return 0;
    case SCHEDOP_block:
        vcpu_block(v);
        return 0;
    case SCHEDOP_shutdown:
        return sched_op_shutdown(v, guest_ptr(arg), a3);
    case SCHEDOP_poll:
        return sched_op_poll(v, guest_ptr(arg));
    case SCHEDOP_remote_shutdown:
        return sched_op_remote_shutdown(v, guest_ptr(arg));
    case SCHEDOP_shutdown_code:
        return sched_op_shutdown_code(v, guest_ptr(arg));
    case SCHEDOP_watchdog:
        return sched_op_watchdog(v, guest_ptr(arg));
    case SCHEDOP_pin_override:
        return v->domain->hardware ? -XEN_ENOSYS : -XEN_EPERM;
    default:
        return -XEN_ENOSYS;
    }
}

long do_sched_op_compat(struct vcpu *v, uint64_t cmd, uint64_t arg, uint64_t a3, uint64_t a4,
                        uint64_t a5)
{
    switch ((uint32_t)cmd) {
    case SCHEDOP_yield:
        vcpu_yield(v);
        return 0;
    case SCHEDOP_block:
        vcpu_block(v);
        return 0;
    case SCHEDOP_shutdown: /* the reason itself instead of a pointer */
        return sched_shutdown(v, (uint32_t)arg, a3);
    default:
        return -XEN_ENOSYS;
    }
}

/* 0 disarms; a time already past fires at once. */
long do_set_timer_op(struct vcpu *v, uint64_t timeout, uint64_t a2, uint64_t a3, uint64_t a4,
                     uint64_t a5)
{
    if (!timeout) {
        vtime_stop_singleshot(v);
        return 0;
    }
    return vtime_set_singleshot(v, timeout, false);
}
