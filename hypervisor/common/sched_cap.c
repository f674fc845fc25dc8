/* SPDX-License-Identifier: MIT */
/*
 * Weights and caps of domains. A capped domain may use so much processor time, of all its vCPUs together, in
 * each period of 20 ms. What they really ran is taken off, to the nanosecond; what was too much (a vCPU is asked
 * some time after its allowance ended) is paid back in the next period, so errors do not add up. When nothing
 * is left, a vCPU that would run is parked: it gets VPF_PARKED and a place on the domain's list, and the timer of
 * the domain clears and wakes them when the next period begins. Nothing is done for a domain that has no cap, or
 * whose vCPUs sleep: periods that passed are counted when somebody asks.
 *
 * A flag is set, and the vCPU listed, under the domain's lock, with its run queue's lock held; the timer takes it
 * off the list, clears the flag and only then needs the run queue: so it comes after whoever parks.
 */
#include "lib.h"
#include "port.h"
#include "sched_credit.h"

#define CAP_PERIOD 20000000ULL /* ns */
#define CAP_LEAST 100000ULL    /* allowances are not shorter */
#define CAP_DEBT 50            /* periods' worth that can be owed: 1 s */
#define CAP_SAVED 2            /* ... and saved, by those that had to wait for a CPU: a burst is no longer */
#define PACE_SHIFT 20

static int64_t cap_quota(const struct domain *d)
{
    return (int64_t)(CAP_PERIOD / 100 * READ_ONCE(d->sched.cap));
}

/* Count the periods that have passed. Under d's lock. */
static void cap_refill(struct domain *d, uint64_t now)
{
    uint64_t n = now > d->sched.period ? (now - d->sched.period) / CAP_PERIOD : 0;
    int64_t quota = cap_quota(d);

    if (likely(!n))
        return;
    d->sched.period += n * CAP_PERIOD;
    d->sched.budget += (int64_t)MIN(n, CAP_DEBT + 1) * quota;
    d->sched.budget = MIN(d->sched.budget, CAP_SAVED * quota);
}

void sched_cap_spend(struct vcpu *v, uint64_t from, uint64_t now)
{
    struct domain *d = v->domain;

    spin_lock(&d->sched.lock);
    cap_refill(d, now);
    from = MAX(from, d->sched.cap_since);
    if (now > from)
        d->sched.budget -= (int64_t)(now - from);
    d->sched.budget = MAX(d->sched.budget, -CAP_DEBT * cap_quota(d));
    spin_unlock(&d->sched.lock);
}

/* When the domain may run again: with debts that can be several periods away. */
static uint64_t cap_next(const struct domain *d)
{
    int64_t quota = MAX(cap_quota(d), 1);

    return d->sched.period + (uint64_t)(-d->sched.budget / quota + 1) * CAP_PERIOD;
}

static void cap_park(struct domain *d, struct vcpu *v)
{
    __atomic_fetch_or(&v->pause_flags, VPF_PARKED, __ATOMIC_SEQ_CST);
    list_add_tail(&d->sched.parked, &v->sched.run);
    if (timer_is_set(&d->sched.refill))
        return;
    timer_migrate(&d->sched.refill, cpu_self());
    timer_set(&d->sched.refill, cap_next(d));
}

uint64_t sched_cap_allow(struct vcpu *v, uint64_t now)
{
    struct domain *d = v->domain;
    uint64_t allow = 0;

    spin_lock(&d->sched.lock);
    cap_refill(d, now);
    if (!READ_ONCE(d->sched.cap))
        allow = CAP_PERIOD; /* lifted just now */
    else if (d->sched.budget > 0)
        allow = MAX((uint64_t)d->sched.budget / MAX(sched_load_count(d), 1), CAP_LEAST);
    else
        cap_park(d, v);
    spin_unlock(&d->sched.lock);
    return allow;
}

static struct vcpu *cap_unpark_first(struct domain *d)
{
    struct vcpu *v = NULL;

    spin_lock(&d->sched.lock);
    if (!list_empty(&d->sched.parked)) {
        v = list_first(&d->sched.parked, struct vcpu, sched.run);
        list_del(&v->sched.run);
        WRITE_ONCE(v->sched.woken, true); /* it had to wait, and is behind by that */
        __atomic_fetch_and(&v->pause_flags, ~(uint32_t)VPF_PARKED, __ATOMIC_SEQ_CST);
    }
    spin_unlock(&d->sched.lock);
    return v;
}

/* The next period has begun, or the cap has changed. Who finds nothing left is parked again, and sets the
 * timer again: no more rounds than there are vCPUs. */
static void cap_unpark(void *data)
{
    struct domain *d = data;
    struct vcpu *v;
    unsigned i;

    for (i = 0; i < d->max_vcpus && (v = cap_unpark_first(d)); i++)
        vcpu_wake(v);
    if (i < d->max_vcpus)
        return;
    spin_lock(&d->sched.lock);
    if (!list_empty(&d->sched.parked) && !timer_is_set(&d->sched.refill))
        timer_set(&d->sched.refill, cap_next(d));
    spin_unlock(&d->sched.lock);
}

/* --- Domains --------------------------------------------------------------------------------------- */

static uint64_t pace_of(uint32_t weight)
{
    return ((uint64_t)SCHED_WEIGHT_DEFAULT << PACE_SHIFT) / weight;
}

void sched_domain_init(struct domain *d)
{
    struct sched_domain *s = &d->sched;

    s->weight = SCHED_WEIGHT_DEFAULT;
    s->pace = pace_of(s->weight);
    s->cap = 0;
    s->load = 0;
    spin_init(&s->lock, "cap", RANK_SCHED_CAP);
    list_init(&s->parked);
    timer_init(&s->refill, cap_unpark, d, 0);
}

void sched_domain_destroy(struct domain *d)
{
    timer_kill(&d->sched.refill);
}

void sched_domain_set(struct domain *d, uint32_t weight, uint32_t cap)
{
    uint64_t now = now_ns();
    unsigned i;

    WRITE_ONCE(d->sched.weight, weight);
    WRITE_ONCE(d->sched.pace, pace_of(weight));
    spin_lock(&d->sched.lock);
    if (cap != d->sched.cap) {
        WRITE_ONCE(d->sched.cap, cap);
        d->sched.budget = cap_quota(d);
        d->sched.period = d->sched.cap_since = now;
    }
    spin_unlock(&d->sched.lock);
    cap_unpark(d);
    for (i = 0; i < d->max_vcpus; i++)
        if (READ_ONCE(d->vcpu[i]))
            softirq_raise(READ_ONCE(d->vcpu[i]->cpu), SOFTIRQ_SCHED); /* it may need a timer now */
}
