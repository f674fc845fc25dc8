/* SPDX-License-Identifier: MIT */
/*
 * Dedicated CPUs, the simple policy (sched=null): a vCPU that comes up gets a CPU of its own among those that
 * its affinity allows, and keeps it until it goes down; there are no turns, no timers, no accounts. A
 * vCPU that finds none free waits until one is. For hosts with fewer vCPUs than CPUs, where it gives the same
 * time every time.
 *
 * null_owner[] changes by compare-and-exchange, and a vCPU's own `owns` under its run queue's lock. Each CPU has a list
 * of the vCPUs queued there: its owner, or such as have none.
 */
#include "domain.h"
#include "lib.h"
#include "log.h"
#include "port.h"
#include "sched.h"

static struct list null_waiting[MAX_CPUS];
static struct vcpu *null_owner[MAX_CPUS]; /* [a] */

static void null_cpu_init(unsigned cpu)
{
    list_init(&null_waiting[cpu]);
    null_owner[cpu] = NULL;
}

static bool null_claim(struct vcpu *v, unsigned cpu)
{
    struct vcpu *none = NULL;

    if (!__atomic_compare_exchange_n(&null_owner[cpu], &none, v, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST))
        return false;
    v->sched.owns = (uint16_t)(cpu + 1);
    return true;
}

/* Whoever waits anywhere may take the CPU. */
static void null_release(struct vcpu *v)
{
    unsigned cpu = v->sched.owns - 1u, i, n = cpu_count();

    if (!v->sched.owns)
        return;
    v->sched.owns = 0;
    __atomic_store_n(&null_owner[cpu], NULL, __ATOMIC_SEQ_CST);
    for (i = 0; i < n; i++)
        if (i == cpu || sched_queue_length(i))
            softirq_raise(i, SOFTIRQ_SCHED);
}

static void null_enqueue(unsigned cpu, struct vcpu *v, uint64_t now)
{
    v->sched.woken = false;
    list_add_tail(&null_waiting[cpu], &v->sched.run);
}

static void null_requeue(unsigned cpu, struct vcpu *v, uint64_t now)
{
    list_add(&null_waiting[cpu], &v->sched.run);
}

static void null_dequeue(unsigned cpu, struct vcpu *v)
{
    list_del(&v->sched.run);
    if (READ_ONCE(v->pause_flags) & VPF_DOWN)
        null_release(v);
}

/* A CPU is kept while its vCPU sleeps, given back when that goes down or may no longer be here. */
static void null_charge(unsigned cpu, struct vcpu *v, uint64_t now)
{
    if ((READ_ONCE(v->pause_flags) & VPF_DOWN) || !sched_allowed_on(v, cpu))
        null_release(v);
}

static struct vcpu *null_pick(unsigned cpu, uint64_t now, uint64_t *until)
{
    struct vcpu *v;

    *until = 0;
    list_for_each(v, &null_waiting[cpu], sched.run)
        if (v->sched.owns == cpu + 1 || (!v->sched.owns && null_claim(v, cpu))) {
            list_del(&v->sched.run);
            return v;
        }
    return NULL;
}

static bool null_preempts(unsigned cpu, const struct vcpu *v, const struct vcpu *curr, uint64_t now)
{
    return v->sched.owns == cpu + 1;
}

static struct vcpu *null_steal(unsigned cpu, unsigned thief)
{
    struct vcpu *v;

    if (READ_ONCE(null_owner[thief]))
        return NULL;
    list_for_each(v, &null_waiting[cpu], sched.run)
        if (!v->sched.owns && sched_may_move(v, thief))
            return v;
    return NULL;
}

/* Its own CPU, or one that has no owner: a preferred one if possible. */
static unsigned null_place(struct vcpu *v)
{
    unsigned cpu, n = cpu_count(), soft;

    if (v->sched.owns && sched_allowed_on(v, v->sched.owns - 1u))
        return v->sched.owns - 1u;
    null_release(v);
    for (soft = 1; soft + 1; soft--)
        for (cpu = find_next_bit(v->sched.affinity, n, 0); cpu < n;
             cpu = find_next_bit(v->sched.affinity, n, cpu + 1))
            if ((!soft || sched_prefers(v, cpu)) && sched_queue_length(cpu) != UINT16_MAX &&
                null_claim(v, cpu))
                return cpu;
    cpu = READ_ONCE(v->cpu);
    return sched_allowed_on(v, cpu) ? cpu : (unsigned)find_first_bit(v->sched.affinity, n);
}

static void null_vcpu_destroy(struct vcpu *v)
{
    null_release(v);
}

static void null_dump(unsigned cpu)
{
    const struct vcpu *owner = READ_ONCE(null_owner[cpu]);
    struct vcpu *v;

    if (owner)
        log_info("    belongs to d%uv%u\n", owner->domain->id, owner->id);
    list_for_each(v, &null_waiting[cpu], sched.run)
        log_info("    d%uv%u waits%s\n", v->domain->id, v->id, v->sched.owns ? "" : ", has no CPU");
}

const struct sched_ops sched_null_ops = {
    .name = "null",
    .id = 9,
    .cpu_init = null_cpu_init,
    .vcpu_destroy = null_vcpu_destroy,
    .enqueue = null_enqueue,
    .requeue = null_requeue,
    .dequeue = null_dequeue,
    .charge = null_charge,
    .pick = null_pick,
    .preempts = null_preempts,
    .steal = null_steal,
    .place = null_place,
    .dump = null_dump,
    .dedicates = true,
};
