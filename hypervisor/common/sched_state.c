/* SPDX-License-Identifier: MIT */
/*
 * Whether a vCPU may run: blocking, polling, pausing, and the events that end a block; runstate
 * accounting. The queues and the switch are in sched.c.
 *
 * Flags and counts change by atomic operations without any lock; after each change vcpu_wake() or
 * vcpu_sleep_nosync() compares them with the queue under its lock. So whatever the order of several changes,
 * the last comparison sees all of them.
 *
 * Blocking races with an event. The blocker sets VPF_BLOCKED, then (full barrier) looks for a pending event;
 * the sender sets the pending bit, then (full barrier) looks for VPF_BLOCKED: one of them sees the other.
 */
#include "domain.h"
#include "lib.h"
#include "log.h"
#include "port.h"
#include "sched.h"
#include "sched_private.h"

bool vcpu_runnable(const struct vcpu *v)
{
    return !(READ_ONCE(v->pause_flags) | READ_ONCE(v->pause_count) |
             READ_ONCE(v->domain->pause_count));
}

/* A parked vCPU wants to run and may not yet: to its kernel that is stolen time. */
int sched_off_state(const struct vcpu *v)
{
    uint32_t flags = READ_ONCE(v->pause_flags);

    if (flags & (VPF_BLOCKED | VPF_POLL))
        return RUNSTATE_blocked;
    if (flags == VPF_PARKED && !READ_ONCE(v->pause_count) && !READ_ONCE(v->domain->pause_count))
        return RUNSTATE_runnable;
    return RUNSTATE_offline;
}

void vcpu_up(struct vcpu *v)
{
    if (__atomic_fetch_and(&v->pause_flags, ~(uint32_t)VPF_DOWN, __ATOMIC_SEQ_CST) & VPF_DOWN)
        vcpu_wake(v);
}

/* --- Pausing ------------------------------------------------------------------------------------ */

void vcpu_sleep_nosync(struct vcpu *v)
{
    struct sched_cpu *s = sched_lock(v);
    bool current = s->current == v;
    bool runnable = vcpu_runnable(v);

    if (!runnable && v->sched.queued)
        sched_queue_del(s, v);
    if (!runnable && !current && v->runstate.state != sched_off_state(v))
        vcpu_runstate_change(v, sched_off_state(v), now_ns());
    spin_unlock(&s->lock);
    if (current && !runnable)
        softirq_raise(sched_cpu_of(s), SOFTIRQ_SCHED);
}

void vcpu_sleep_sync(struct vcpu *v)
{
    vcpu_sleep_nosync(v);
    while (!vcpu_runnable(v) && __atomic_load_n(&v->sched.running, __ATOMIC_ACQUIRE))
        cpu_relax();
}

void vcpu_pause_nosync(struct vcpu *v)
{
    __atomic_fetch_add(&v->pause_count, 1, __ATOMIC_SEQ_CST);
    vcpu_sleep_nosync(v);
}

void vcpu_pause(struct vcpu *v)
{
    BUG_ON(v == current_vcpu());
    __atomic_fetch_add(&v->pause_count, 1, __ATOMIC_SEQ_CST);
    vcpu_sleep_sync(v);
}

void vcpu_unpause(struct vcpu *v)
{
    if (__atomic_sub_fetch(&v->pause_count, 1, __ATOMIC_SEQ_CST) == 0)
        vcpu_wake(v);
}

void domain_pause_nosync(struct domain *d)
{
    unsigned i;

    __atomic_fetch_add(&d->pause_count, 1, __ATOMIC_SEQ_CST);
    for (i = 0; i < d->max_vcpus; i++)
        if (READ_ONCE(d->vcpu[i]))
            vcpu_sleep_nosync(d->vcpu[i]);
}

/* A vCPU of d itself may call this: it goes on until it next looks at softirqs. */
void domain_pause(struct domain *d)
{
    struct vcpu *self = current_vcpu();
    unsigned i;

    domain_pause_nosync(d); /* tell them all before waiting for the first */
    for (i = 0; i < d->max_vcpus; i++)
        if (READ_ONCE(d->vcpu[i]) && d->vcpu[i] != self)
            vcpu_sleep_sync(d->vcpu[i]);
}

void domain_unpause(struct domain *d)
{
    unsigned i;

    if (__atomic_sub_fetch(&d->pause_count, 1, __ATOMIC_SEQ_CST))
        return;
    for (i = 0; i < d->max_vcpus; i++)
        if (READ_ONCE(d->vcpu[i]))
            vcpu_wake(d->vcpu[i]);
}

/* --- Blocking and events -------------------------------------------------------------------------- */

/* End a block or a poll; true if there was one. `woken` is only a hint for the policy. */
static bool vcpu_unblock(struct vcpu *v, uint32_t flags)
{
    uint32_t was = __atomic_fetch_and(&v->pause_flags, ~flags, __ATOMIC_SEQ_CST) & flags;

    if (!was)
        return false;
    if (was & VPF_POLL)
        __atomic_fetch_sub(&v->domain->nr_polling, 1, __ATOMIC_SEQ_CST);
    WRITE_ONCE(v->sched.woken, true);
    vcpu_wake(v);
    return true;
}

void vcpu_notify_event(struct vcpu *v)
{
    uint32_t flags;

    smp_mb(); /* the caller's pending bit before VPF_* and running */
    flags = READ_ONCE(v->pause_flags) & (VPF_BLOCKED | VPF_POLL);
    if (unlikely(flags & VPF_POLL) && READ_ONCE(v->info->evtchn_upcall_mask))
        flags &= ~(uint32_t)VPF_POLL;
    if (flags)
        vcpu_unblock(v, flags);
    else if (READ_ONCE(v->sched.running) && v != current_vcpu())
        vcpu_kick(v);
}

void vcpu_block(struct vcpu *v)
{
    WRITE_ONCE(v->info->evtchn_upcall_mask, 0);
    __atomic_fetch_or(&v->pause_flags, VPF_BLOCKED, __ATOMIC_SEQ_CST);
    if (READ_ONCE(v->info->evtchn_upcall_pending))
        __atomic_fetch_and(&v->pause_flags, ~(uint32_t)VPF_BLOCKED, __ATOMIC_SEQ_CST);
    else
        softirq_raise(READ_ONCE(v->cpu), SOFTIRQ_SCHED);
}

void vcpu_yield(struct vcpu *v)
{
    unsigned cpu = READ_ONCE(v->cpu);

    if (!sched_queue_length(cpu))
        return;
    v->sched.last_yield = true;
    softirq_raise(cpu, SOFTIRQ_SCHED);
}

void vcpu_poll_wake(struct domain *d, uint32_t port)
{
    unsigned i;

    smp_mb(); /* the port's pending bit before nr_polling: pairs with the start of a poll */
    if (likely(!READ_ONCE(d->nr_polling)))
        return;
    for (i = 0; i < d->max_vcpus; i++) {
        struct vcpu *v = READ_ONCE(d->vcpu[i]);
        uint32_t polled;

        if (!v || !(READ_ONCE(v->pause_flags) & VPF_POLL))
            continue;
        polled = READ_ONCE(v->poll_port);
        if (!polled || polled == port)
            vcpu_unblock(v, VPF_POLL);
    }
}

bool vcpu_poll_begin(struct vcpu *v, uint32_t port)
{
    WRITE_ONCE(v->poll_port, port);
    __atomic_fetch_add(&v->domain->nr_polling, 1, __ATOMIC_SEQ_CST);
    __atomic_fetch_or(&v->pause_flags, VPF_POLL, __ATOMIC_SEQ_CST);
    return !READ_ONCE(v->info->evtchn_upcall_pending) || READ_ONCE(v->info->evtchn_upcall_mask);
}

void vcpu_poll_end(struct vcpu *v)
{
    vcpu_unblock(v, VPF_POLL);
}

/* --- Runstate -------------------------------------------------------------------------------------- */

void vcpu_runstate_change(struct vcpu *v, int state, uint64_t now)
{
    struct vcpu_runstate_info *r = &v->runstate;

    if (now > r->state_entry_time) {
        r->time[r->state] += now - r->state_entry_time;
        r->state_entry_time = now;
    }
    r->state = state;
}

/* An idle vCPU's runstate tells when its CPU was idle, nothing else. */
uint64_t sched_idle_time(unsigned cpu)
{
    struct vcpu_runstate_info r;

    vcpu_runstate_get(sched_cpus[cpu].idle, &r);
    return r.time[RUNSTATE_running];
}

void vcpu_runstate_get(struct vcpu *v, struct vcpu_runstate_info *out)
{
    struct sched_cpu *s = sched_lock(v);
    uint64_t now = now_ns();

    *out = v->runstate;
    spin_unlock(&s->lock);
    if (now > out->state_entry_time)
        out->time[out->state] += now - out->state_entry_time;
}
