/* SPDX-License-Identifier: MIT */
/*
 * Guests' clocks and timers. The clock: how to compute system time from the time stamp counter, in
 * each vcpu_info (and an optional second copy), and the wall clock in shared_info; both by the ABI's version
 * protocol, odd while writing. The versions are kept here: what the guest writes there is not used.
 * The timers: single-shot and periodic per vCPU, both raising VIRQ_TIMER.
 *
 * System time is the same for all guests, now_ns(), and goes on while a guest is paused: it sees a gap, as after
 * a long time without a CPU, and no clock of it goes back. A periodic timer also ticks for a vCPU that is
 * blocked, and none is started by default.
 */
#include "vtime.h"

#include "domain.h"
#include "evtchn.h"
#include "lib.h"
#include "port.h"
#include "sched_private.h"

#define NS_PER_S 1000000000ULL
#define PERIOD_MIN 1000000ULL
#define PERIOD_MAX (BIT(56)) /* two years: later sums cannot overflow */

/* Wall clock at system time 0, once domain 0 has set it. */
static struct spinlock wall_lock = SPINLOCK_INIT("wall clock", RANK_TIME);
static uint64_t wall_base_ns;
static bool wall_base_set;

/* --- pvclock -------------------------------------------------------------------------------------- */

static void pvclock_write(struct vcpu_time_info *t, const struct vcpu_time_info *from)
{
    WRITE_ONCE(t->version, from->version - 1);
    smp_wmb();
    WRITE_ONCE(t->tsc_timestamp, from->tsc_timestamp);
    WRITE_ONCE(t->system_time, from->system_time);
    WRITE_ONCE(t->tsc_to_system_mul, from->tsc_to_system_mul);
    WRITE_ONCE(t->tsc_shift, from->tsc_shift);
    WRITE_ONCE(t->flags, from->flags);
    smp_wmb();
    WRITE_ONCE(t->version, from->version);
}

/* The second copy, in v's address space. It goes away if it cannot be written. */
static void pvclock_write_area(struct vcpu *v, const struct vcpu_time_info *from)
{
    struct vcpu_time_info t = *from;

    t.version = from->version - 1;
    if (put_guest(v->time_area, t))
        return;
    smp_wmb();
    t.version = from->version;
    (void)!put_guest(v->time_area, t.version);
}

static void pvclock_publish(struct vcpu *v, const struct time_scale *s)
{
    struct vcpu_time_info t = {
        .tsc_timestamp = s->stamp_tsc,
        .system_time = s->stamp_ns,
        .tsc_to_system_mul = s->mul,
        .tsc_shift = s->shift,
        .flags = s->tsc_stable ? XEN_PVCLOCK_TSC_STABLE_BIT : 0,
    };

    t.version = v->pvclock.version += 2;
    pvclock_write(&v->info->time, &t);
    if (v->time_area.va && v == current_vcpu())
        pvclock_write_area(v, &t);
}

static void pvclock_update(struct vcpu *v, struct time_scale *s)
{
    v->pvclock.stamp_tsc = s->stamp_tsc;
    v->pvclock.stamp_ns = s->stamp_ns;
    v->pvclock.mul = s->mul;
    guest_time_scale(v, s);
    pvclock_publish(v, s);
}

void vtime_update_vcpu(struct vcpu *v, bool force)
{
    struct time_scale s;

    time_scale_now(&s);
    if (force || s.stamp_tsc != v->pvclock.stamp_tsc || s.stamp_ns != v->pvclock.stamp_ns ||
        s.mul != v->pvclock.mul)
        pvclock_update(v, &s);
}

void vtime_forget_vcpu(struct vcpu *v)
{
    v->pvclock.mul = 0; /* no scale has that */
}

/* --- Wall clock ------------------------------------------------------------------------------------- */

void vtime_update_wallclock(struct domain *d)
{
    struct shared_info *si = d->shared;
    uint64_t ns, sec;

    if (!si)
        return;
    spin_lock(&wall_lock);
    ns = wall_base_set ? wall_base_ns : wallclock_ns_at_boot();
    sec = ns / NS_PER_S + (uint64_t)d->time_offset_s;
    d->wc_version += 2;
    WRITE_ONCE(si->wc_version, d->wc_version - 1);
    smp_wmb();
    WRITE_ONCE(si->wc_sec, (uint32_t)sec);
    WRITE_ONCE(si->wc_sec_hi, (uint32_t)(sec >> 32));
    WRITE_ONCE(si->wc_nsec, (uint32_t)(ns % NS_PER_S));
    smp_wmb();
    WRITE_ONCE(si->wc_version, d->wc_version);
    spin_unlock(&wall_lock);
}

void vtime_set_wallclock(uint64_t sec, uint32_t nsec, uint64_t at_system_ns)
{
    struct domain *d;

    spin_lock(&wall_lock);
    wall_base_ns = sec * NS_PER_S + nsec - at_system_ns;
    wall_base_set = true;
    spin_unlock(&wall_lock);
    for (d = domain_next(NULL); d; d = domain_next(d))
        vtime_update_wallclock(d);
}

/* --- Timers --------------------------------------------------------------------------------------------- */

static void vtime_singleshot_fired(void *data)
{
    virq_raise_vcpu(data, VIRQ_TIMER);
}

/* The first moment after now on the grid that `due` is on. */
static uint64_t periodic_next(uint64_t due, uint64_t period, uint64_t now)
{
    return now < due ? due : due + ((now - due) / period + 1) * period;
}

/* Ticks that were missed, because the CPU was late or the tick before is still pending, are one tick. */
static void vtime_periodic_fired(void *data)
{
    struct vcpu *v = data;
    uint64_t period = READ_ONCE(v->periodic_period);

    if (!period)
        return;
    virq_raise_vcpu(v, VIRQ_TIMER);
    v->periodic_due = periodic_next(v->periodic_due, period, now_ns());
    timer_set(&v->periodic, v->periodic_due);
}

static void vtime_poll_timeout(void *data)
{
    vcpu_poll_end(data);
}

int vtime_set_singleshot(struct vcpu *v, uint64_t deadline, bool future)
{
    if ((int64_t)deadline < 0)
        deadline = 1; /* signed in the ABI: long past */
    if (future && deadline < now_ns())
        return -XEN_ETIME;
    timer_migrate(&v->singleshot, cpu_self());
    timer_set(&v->singleshot, deadline);
    return 0;
}

void vtime_stop_singleshot(struct vcpu *v)
{
    timer_stop(&v->singleshot);
}

int vtime_set_periodic(struct vcpu *v, uint64_t period)
{
    if (period < PERIOD_MIN || period > PERIOD_MAX)
        return -XEN_EINVAL;
    vtime_stop_periodic(v); /* a tick under way sees period 0, or goes by the grid of before once */
    v->periodic_due = now_ns() + period;
    WRITE_ONCE(v->periodic_period, period);
    timer_set(&v->periodic, v->periodic_due);
    return 0;
}

void vtime_stop_periodic(struct vcpu *v)
{
    WRITE_ONCE(v->periodic_period, 0);
    timer_stop(&v->periodic);
}

int vtime_vcpu_init(struct vcpu *v)
{
    timer_init(&v->singleshot, vtime_singleshot_fired, v, v->cpu);
    timer_init(&v->periodic, vtime_periodic_fired, v, v->cpu);
    timer_init(&v->poll_timer, vtime_poll_timeout, v, v->cpu);
    return 0;
}

/* v does not run any more. */
void vtime_vcpu_destroy(struct vcpu *v)
{
    WRITE_ONCE(v->periodic_period, 0);
    timer_kill(&v->singleshot);
    timer_kill(&v->periodic);
    timer_kill(&v->poll_timer);
}
