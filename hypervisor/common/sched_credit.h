/* SPDX-License-Identifier: MIT */
/* Between sched_credit.c and sched_cap.c only: what a capped domain may use. */
#pragma once

#include "domain.h"

/* v ran from `from` to `now`. */
void sched_cap_spend(struct vcpu *v, uint64_t from, uint64_t now);
/* How long v may run from now on before it should be asked again, ns. 0: not at all; then v has got VPF_PARKED and
 * is woken when its domain may run again. Under the run queue's lock. */
uint64_t sched_cap_allow(struct vcpu *v, uint64_t now);

/* How many vCPUs of a domain are runnable, and the integral of that over time, in one word that changes by one
 * atomic addition: the low 9 bits count, above them is a sum of "- begin" and "+ end" of all spans, so that sum +
 * count * now is the integral; modulo 2^55 ns, of which only differences are used. */
#define SCHED_LOAD_BITS 9
#define SCHED_LOAD_MASK (BIT(64 - SCHED_LOAD_BITS) - 1)

static inline void sched_load_add(struct domain *d, uint64_t now)
{
    __atomic_fetch_add(&d->sched.load, 1 - (now << SCHED_LOAD_BITS), __ATOMIC_RELAXED);
}
static inline void sched_load_sub(struct domain *d, uint64_t now)
{
    __atomic_fetch_add(&d->sched.load, (now << SCHED_LOAD_BITS) - 1, __ATOMIC_RELAXED);
}
static inline unsigned sched_load_count(const struct domain *d)
{
    return READ_ONCE(d->sched.load) & (BIT(SCHED_LOAD_BITS) - 1);
}
static inline uint64_t sched_load_integral(const struct domain *d, uint64_t now)
{
    uint64_t x = READ_ONCE(d->sched.load);

    return ((x >> SCHED_LOAD_BITS) + (x & (BIT(SCHED_LOAD_BITS) - 1)) * now) & SCHED_LOAD_MASK;
}
