/* SPDX-License-Identifier: MIT */
/*
 * Round robin, the first scheduling policy. Each CPU has two queues: `boosted`, for vCPUs that were woken
 * by an event, and `normal`. A vCPU has a turn of 10 ms; a turn not used up is kept when it blocks
 * or is preempted. A woken vCPU with some of its turn left goes before the normal ones and preempts
 * them, for 1 ms at most; after that, or when its turn is over, it goes to the end of the normal
 * queue. A full turn is given only there.
 *
 * So waiting is bounded: whoever stands in the normal queue is overtaken by each other vCPU for at most
 * one turn before that one must queue behind it, however cleverly it sleeps and wakes.
 *
 * No weights and no caps; a vCPU without competitors on its CPU has no timer at all.
 */
#include "domain.h"
#include "lib.h"
#include "log.h"
#include "port.h"
#include "sched.h"

#define RR_TURN 10000000ULL /* ns */
#define RR_BOOST 1000000ULL
#define RR_LEAST 100000ULL /* with less left of a turn it counts as used up */

struct rr_cpu {
    struct list boosted, normal;
};

static struct rr_cpu rr_cpus[MAX_CPUS];

static void rr_cpu_init(unsigned cpu)
{
    list_init(&rr_cpus[cpu].boosted);
    list_init(&rr_cpus[cpu].normal);
}

/* To the end of the normal queue, with a full turn if the old one is used up. */
static void rr_add_tail(struct rr_cpu *c, struct vcpu *v)
{
    v->sched.boost = false;
    if (v->sched.slice_left < RR_LEAST)
        v->sched.slice_left = RR_TURN;
    list_add_tail(&c->normal, &v->sched.run);
}

static void rr_enqueue(unsigned cpu, struct vcpu *v, uint64_t now)
{
    struct rr_cpu *c = &rr_cpus[cpu];

    v->sched.boost = v->sched.woken && v->sched.slice_left >= RR_LEAST;
    v->sched.woken = false;
    if (v->sched.boost)
        list_add_tail(&c->boosted, &v->sched.run);
    else
        rr_add_tail(c, v);
}

static void rr_charge(unsigned cpu, struct vcpu *v, uint64_t now)
{
    uint64_t used = now > v->sched.started ? now - v->sched.started : 0;

    v->sched.slice_left -= MIN(used, v->sched.slice_left);
    v->sched.started = now;
}

static void rr_requeue(unsigned cpu, struct vcpu *v, uint64_t now)
{
    struct rr_cpu *c = &rr_cpus[cpu];
    bool boost = v->sched.boost && now - v->sched.started < RR_BOOST;
    bool was = v->sched.boost;

    rr_charge(cpu, v, now);
    if (v->sched.last_yield || v->sched.slice_left < RR_LEAST || (was && !boost))
        rr_add_tail(c, v);
    else if (boost)
        list_add(&c->boosted, &v->sched.run);
    else
        list_add(&c->normal, &v->sched.run);
}

static void rr_dequeue(unsigned cpu, struct vcpu *v)
{
    list_del(&v->sched.run);
}

static struct vcpu *rr_pick(unsigned cpu, uint64_t now, uint64_t *until)
{
    struct rr_cpu *c = &rr_cpus[cpu];
    struct list *q = list_empty(&c->boosted) ? &c->normal : &c->boosted;
    struct vcpu *v;

    if (list_empty(q))
        return NULL;
    v = list_first(q, struct vcpu, sched.run);
    list_del(&v->sched.run);
    if (list_empty(&c->boosted) && list_empty(&c->normal))
        *until = 0;
    else
        *until = now + (v->sched.boost ? MIN(v->sched.slice_left, RR_BOOST) : v->sched.slice_left);
    return v;
}

static bool rr_preempts(unsigned cpu, const struct vcpu *v, const struct vcpu *curr, uint64_t now)
{
    return v->sched.boost && !(curr->sched.boost && now - curr->sched.started < RR_BOOST);
}

static struct vcpu *rr_steal(unsigned cpu, unsigned thief)
{
    struct rr_cpu *c = &rr_cpus[cpu];
    struct vcpu *v;

    list_for_each(v, &c->boosted, sched.run)
        if (sched_may_move(v, thief))
            return v;
    list_for_each(v, &c->normal, sched.run)
        if (sched_may_move(v, thief))
            return v;
    return NULL;
}

/* The shortest queue that v may use; its last CPU's unless that is longer by two. */
static unsigned rr_shortest(const struct vcpu *v, unsigned last)
{
    unsigned cpu, best = last, n = cpu_count();
    unsigned len = sched_allowed_on(v, last) ? sched_queue_length(last) : MAX_VCPUS * MAX_CPUS;

    if (len < 2)
        return last;
    for (cpu = find_next_bit(v->sched.affinity, n, 0); cpu < n;
         cpu = find_next_bit(v->sched.affinity, n, cpu + 1)) {
        if (sched_queue_length(cpu) + 1 < len) {
            best = cpu;
            len = sched_queue_length(cpu) + 1;
        }
    }
    return best;
}

static unsigned rr_place(struct vcpu *v)
{
    unsigned last = READ_ONCE(v->cpu), idle;

    if (likely(sched_cpu_is_idle(last) && sched_allowed_on(v, last)))
        return last;
    idle = sched_idle_cpu(v);
    return idle < MAX_CPUS ? idle : rr_shortest(v, last);
}

static void rr_print(const struct vcpu *v, const char *queue)
{
    log_info("    %s d%uv%u turn %lu us left\n", queue, v->domain->id, v->id,
             v->sched.slice_left / 1000);
}

static void rr_dump(unsigned cpu)
{
    struct rr_cpu *c = &rr_cpus[cpu];
    struct vcpu *v;

    list_for_each(v, &c->boosted, sched.run)
        rr_print(v, "boosted");
    list_for_each(v, &c->normal, sched.run)
        rr_print(v, "normal ");
}

/* The id is what tools see: credit2's, which they know how to speak to. */
const struct sched_ops sched_rr_ops = {
    .name = "round robin",
    .id = 6,
    .cpu_init = rr_cpu_init,
    .enqueue = rr_enqueue,
    .requeue = rr_requeue,
    .dequeue = rr_dequeue,
    .charge = rr_charge,
    .pick = rr_pick,
    .preempts = rr_preempts,
    .steal = rr_steal,
    .place = rr_place,
    .dump = rr_dump,
};
