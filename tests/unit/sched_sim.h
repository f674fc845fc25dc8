/* SPDX-License-Identifier: MIT */
/*
 * The machine of the scheduler's simulator: 1 to 8 CPUs with a clock of 50 us steps, vCPUs that compute, block,
 * yield and are woken by events from other CPUs. context_switch() is a stub that may let the state of the old vCPU
 * stay loaded for a while. Included by t_sched*.c, each with its own workloads; the scheduler is the real one.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../hypervisor/common/sched_private.h"
#include "console.h"
#include "domain.h"
#include "lib.h"
#include "port_host.h"

#define CPUS 8
#define VCPUS 24
#define DOMAINS 24
#define STEP 50000ULL
#define MS 1000000ULL

struct sim_vcpu {
    struct vcpu v;
    struct vcpu_info info;
    uint64_t burst;     /* computes so long before it blocks; ~0 = for ever */
    uint64_t sleep;     /* longest sleep */
    uint64_t wake_at;   /* when an event comes, 0 = none */
    uint64_t waiting_since, longest_wait, ran;
    uint64_t woken_at, longest_wake, wakes, wake_sum; /* from the event to the CPU */
    unsigned pauses;
};

static struct sim_vcpu *sv[VCPUS];
static struct vcpu idle[CPUS];
static struct vcpu *on[CPUS], *leaving[CPUS]; /* runs; state not yet in memory */
static struct domain doms[DOMAINS];
#define dom doms[0]
static struct vcpu *dom_vcpu[DOMAINS][VCPUS];
static unsigned nr, nr_doms, delay_switch;
static uint64_t hw[CPUS], hw_writes, rnd, trace, switches;

/* --- the machine ------------------------------------------------------------------------------- */

struct vcpu *current_vcpu(void)
{
    return on[host_cpu];
}
void port_timer_program(uint64_t deadline)
{
    hw[host_cpu] = deadline;
    hw_writes++;
}
void key_register(char key, void (*fn)(char), const char *what)
{
}
const char *symbol_name(uint64_t addr, uint64_t *offset, uint64_t *size)
{
    return "fn";
}
struct domain *domain_next(struct domain *after)
{
    unsigned i = after ? (unsigned)(after - doms) + 1 : 0;

    return i < nr_doms ? &doms[i] : NULL;
}
void domain_shutdown_poke(struct domain *d)
{
}

static void sim_note(uint64_t x)
{
    trace = (trace ^ x) * 0x100000001b3ULL;
}

static void sim_first_run(struct sim_vcpu *s)
{
    uint64_t took = host_now - s->woken_at;

    if (!s->woken_at)
        return;
    s->woken_at = 0;
    s->wakes++;
    s->wake_sum += took;
    s->longest_wake = MAX(s->longest_wake, took);
}

void context_switch(struct vcpu *prev, struct vcpu *next)
{
    unsigned cpu = host_cpu, i;

    assert_ptr_equal(on[cpu], prev);
    assert_null(leaving[cpu]);
    assert_true(next->sched.running);
    for (i = 0; i < host_cpus; i++) {
        assert_true(next->idle || i == cpu || on[i] != next);
        assert_true(leaving[i] != next); /* its state is not in memory yet */
    }
    sim_note(host_now ^ ((uint64_t)cpu << 48) ^ ((uint64_t)(next->idle ? 99 : next->id) << 56));
    on[cpu] = next;
    switches++;
    if (!next->idle)
        sim_first_run((struct sim_vcpu *)next);
    if (delay_switch && !prev->idle)
        leaving[cpu] = prev;
    else
        sched_switched(prev);
}

static uint64_t sim_random(uint64_t n)
{
    rnd ^= rnd << 13;
    rnd ^= rnd >> 7;
    rnd ^= rnd << 17;
    return (rnd >> 11) % n;
}

/* --- setting up ---------------------------------------------------------------------------------- */

/* per_domain: vCPUs of each domain; 0: all are of one. */
static void sim_init_domains(unsigned cpus, unsigned vcpus, unsigned per_domain, uint64_t seed)
{
    unsigned i;

    host_reset();
    host_cpus = cpus;
    nr = vcpus;
    per_domain = per_domain ? per_domain : vcpus;
    nr_doms = DIV_UP(vcpus, per_domain);
    rnd = seed * 0x9e3779b97f4a7c15ULL + 1;
    trace = 0xcbf29ce484222325ULL;
    hw_writes = switches = 0;
    memset(hw, 0, sizeof(hw));
    memset(idle, 0, sizeof(idle));
    memset(doms, 0, sizeof(doms));
    memset(dom_vcpu, 0, sizeof(dom_vcpu));
    memset(sched_idle_map, 0, sizeof(sched_idle_map));
    for (i = 0; i < nr_doms; i++) {
        doms[i].id = (uint16_t)i;
        doms[i].vcpu = dom_vcpu[i];
        doms[i].max_vcpus = (uint16_t)per_domain;
        sched_domain_init(&doms[i]);
    }
    timers_init();
    sched_init();
    for (i = 0; i < cpus; i++) {
        timer_cpu_init(i);
        idle[i].domain = &doms[0];
        sched_cpu_init(i, &idle[i]);
        on[i] = &idle[i];
        leaving[i] = NULL;
    }
    for (i = 0; i < vcpus; i++) {
        free(sv[i]);
        sv[i] = calloc(1, sizeof(*sv[i]));
        sv[i]->v.domain = &doms[i / per_domain];
        sv[i]->v.id = (uint16_t)(i % per_domain);
        sv[i]->v.info = &sv[i]->info;
        dom_vcpu[i / per_domain][i % per_domain] = &sv[i]->v;
        assert_int_equal(sched_vcpu_init(&sv[i]->v, i % cpus), 0);
        sv[i]->burst = ~0ULL;
    }
}

static inline void sim_init(unsigned cpus, unsigned vcpus, uint64_t seed)
{
    sim_init_domains(cpus, vcpus, 0, seed);
}

static void sim_start(unsigned i)
{
    __atomic_fetch_and(&sv[i]->v.pause_flags, ~(uint32_t)VPF_DOWN, __ATOMIC_SEQ_CST);
    vcpu_wake(&sv[i]->v);
}

/* --- one step --------------------------------------------------------------------------------------- */

static void sim_show(void)
{
    unsigned i;

    for (i = 0; i < host_cpus; i++)
        print_message("cpu %u: %d%s%s%s; ", i, on[i]->idle ? -1 : (int)((struct sim_vcpu *)on[i] == sv[0] ? 0 : on[i]->domain->id * on[i]->domain->max_vcpus + on[i]->id),
                      leaving[i] ? " leaving" : "", host_softirqs[i] ? " softirq" : "",
                      bit_test(sched_idle_map, i) ? " idle" : "");
    print_message("\n");
    for (i = 0; i < nr; i++)
        print_message(" v%u@%u%s%s%s%s hard %lx soft %lx vt %ld w %u\n", i, sv[i]->v.cpu, sv[i]->v.sched.queued ? " queued" : "",
                      sv[i]->v.sched.running ? " running" : "", sv[i]->v.sched.displaced ? " displaced" : "",
                      sv[i]->v.sched.moving ? " moving" : "", (unsigned long)sv[i]->v.sched.affinity[0] & 255,
                      (unsigned long)sv[i]->v.sched.soft[0] & 255, (long)sv[i]->v.sched.vt / 1000, sv[i]->v.domain->sched.weight);
}

static void sim_softirqs(void)
{
    unsigned cpu, rounds = 0;
    bool again;

    do {
        unsigned first = (unsigned)sim_random(host_cpus);

        again = false;
        for (cpu = 0; cpu < host_cpus; cpu++) {
            host_cpu = (first + cpu) % host_cpus;
            if (leaving[host_cpu] && sim_random(2)) {
                again = true; /* still saving */
                continue;
            }
            if (leaving[host_cpu]) {
                struct vcpu *v = leaving[host_cpu];

                leaving[host_cpu] = NULL;
                sched_switched(v);
                again = true;
            }
            if (host_softirqs[host_cpu]) {
                uint32_t bits = __atomic_exchange_n(&host_softirqs[host_cpu], 0, __ATOMIC_SEQ_CST);
                extern void sim_run_softirq(uint32_t bits);

                sim_run_softirq(bits);
                again = true;
            }
        }
        if (rounds > 990 && getenv("V")) sim_show();
        assert_true(++rounds < 1000); /* it settles */
    } while (again);
}

/* As the machine does it: SCHED last. host_port's loop would run on after context_switch(). */
static void (*sim_fn[SOFTIRQ_NR])(void);
void softirq_register(enum softirq n, void (*fn)(void))
{
    sim_fn[n] = fn;
}
void sim_run_softirq(uint32_t bits)
{
    if (bits & BIT(SOFTIRQ_TIMER))
        sim_fn[SOFTIRQ_TIMER]();
    if (bits & BIT(SOFTIRQ_SCHED))
        sim_fn[SOFTIRQ_SCHED]();
}

static void sim_check(void)
{
    unsigned cpu, i;

    assert_int_equal(sched_check(), 0);
    for (i = 0; i < nr; i++) {
        struct sim_vcpu *s = sv[i];
        unsigned places = 0;

        for (cpu = 0; cpu < host_cpus; cpu++) {
            places += on[cpu] == &s->v;
#ifndef SIM_DEDICATED
            assert_false(on[cpu]->idle && s->v.sched.queued && sched_may_move(&s->v, cpu));
#endif
        }
        assert_true(places <= 1);
        assert_int_equal(places, s->v.sched.running);
        if (places) {
            assert_true(vcpu_runnable(&s->v));
            assert_true(sched_allowed_on(&s->v, s->v.cpu));
        } else if (vcpu_runnable(&s->v)) {
            assert_true(s->v.sched.queued);
        }
        if (!s->v.sched.queued)
            s->waiting_since = host_now;
        else if (host_now - s->waiting_since > s->longest_wait)
            s->longest_wait = host_now - s->waiting_since;
    }
}

/* The vCPUs on their CPUs compute for a step, and block or yield when their time has come. */
static void sim_compute(void)
{
    for (host_cpu = 0; host_cpu < host_cpus; host_cpu++) {
        struct sim_vcpu *s = (struct sim_vcpu *)on[host_cpu];

        if (on[host_cpu]->idle)
            continue;
        s->ran += STEP;
        s->info.evtchn_upcall_pending = 0;
        if (s->burst == ~0ULL) {
            if (sim_random(400) == 0)
                vcpu_yield(&s->v);
        } else if (sim_random(s->burst / STEP + 1) == 0) {
            s->wake_at = host_now + sim_random(s->sleep) + 1;
            vcpu_block(&s->v);
        }
    }
    host_cpu = 0;
}

static void sim_events(void)
{
    unsigned i;

    for (i = 0; i < nr; i++) {
        struct sim_vcpu *s = sv[i];

        if (!s->wake_at || s->wake_at > host_now)
            continue;
        host_cpu = (unsigned)sim_random(host_cpus);
        s->wake_at = 0;
        s->woken_at = s->v.pause_flags & VPF_BLOCKED && !s->v.sched.running ? host_now : 0;
        s->info.evtchn_upcall_pending = 1;
        vcpu_notify_event(&s->v);
    }
}

static inline void sim_step(void)
{
    unsigned cpu;

    host_now += STEP;
    for (cpu = 0; cpu < host_cpus; cpu++)
        if (hw[cpu] && hw[cpu] <= host_now) {
            hw[cpu] = 0;
            softirq_raise(cpu, SOFTIRQ_TIMER);
        }
    sim_compute();
    sim_events();
    sim_softirqs();
    sim_check();
}
