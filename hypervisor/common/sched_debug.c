/* SPDX-License-Identifier: MIT */
/* Debug key 'r' and the checker of run queues; sched_init(), which makes the key and the softirq known. */
#include "console.h"
#include "domain.h"
#include "log.h"
#include "port.h"
#include "sched.h"
#include "sched_private.h"

static unsigned sched_check_vcpu(struct vcpu *v, unsigned waiting[])
{
    struct sched_cpu *s = sched_lock(v);
    bool current = s->current == v;
    unsigned bad = 0;

    if (v->sched.queued)
        waiting[v->cpu]++;
    if (v->sched.queued && current)
        bad++;
    if (current && !v->sched.running)
        bad++;
    if (v->sched.queued && v->runstate.state != RUNSTATE_runnable &&
        v->runstate.state != sched_off_state(v))
        bad++;
    if (current && v->runstate.state != RUNSTATE_running)
        bad++;
    if (vcpu_runnable(v) && !v->sched.queued && !v->sched.running)
        bad++; /* lost, unless somebody is just about to queue it */
    spin_unlock(&s->lock);
    if (bad)
        log_err("sched: d%uv%u cpu %u queued %d running %d flags %#x state %d: %u faults\n",
                v->domain->id, v->id, v->cpu, v->sched.queued, v->sched.running, v->pause_flags,
                v->runstate.state, bad);
    return bad;
}

/* Exact only while nothing moves (tests, a stopped machine): else a hint. */
unsigned sched_check(void)
{
    static unsigned waiting[MAX_CPUS];
    struct domain *d;
    unsigned i, bad = 0;

    for (i = 0; i < MAX_CPUS; i++)
        waiting[i] = 0;
    for (d = domain_next(NULL); d; d = domain_next(d))
        for (i = 0; i < d->max_vcpus; i++)
            if (d->vcpu[i])
                bad += sched_check_vcpu(d->vcpu[i], waiting);
    for (i = 0; i < cpu_count(); i++)
        if (waiting[i] != sched_waiting[i]) {
            log_err("sched: CPU %u: %u wait, %u counted\n", i, waiting[i], sched_waiting[i]);
            bad++;
        }
    return bad;
}

static void sched_dump(char key)
{
    unsigned cpu;

    log_info("scheduler: %s, %u faults\n", sched_policy()->name, sched_check());
    for (cpu = 0; cpu < cpu_count(); cpu++) {
        struct sched_cpu *s = &sched_cpus[cpu];

        if (!s->ready)
            continue;
        spin_lock(&s->lock);
        if (s->current->idle)
            log_info("  CPU %u: idle, %u wait", cpu, sched_waiting[cpu]);
        else
            log_info("  CPU %u: d%uv%u, %u wait", cpu, s->current->domain->id, s->current->id,
                     sched_waiting[cpu]);
        log_info(", %lu switches, %lu stolen, %lu pushed\n", s->switches, s->stolen, s->pushed);
        sched_policy()->dump(cpu);
        spin_unlock(&s->lock);
    }
}

void sched_init(void)
{
    softirq_register(SOFTIRQ_SCHED, sched_softirq);
    key_register('r', sched_dump, "run queues");
}
