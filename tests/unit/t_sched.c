/* SPDX-License-Identifier: MIT */
/*
 * A simulator for schedulers: 1 to 8 CPUs with a clock of 50 us steps, vCPUs that compute, block, yield and
 * are woken by events from other CPUs, now and then paused and moved. context_switch() is a stub that
 * lets the state of the old vCPU stay loaded for a while, so that the rule about sched.running is tested.
 * After each step: no CPU idles while a vCPU that it could run waits; each vCPU is on one CPU at most;
 * sched_check() finds nothing. Whole runs: waiting is bounded, the same seed gives the same trace.
 * sources: hypervisor/common/sched.c hypervisor/common/sched_rr.c hypervisor/common/sched_state.c hypervisor/common/sched_debug.c hypervisor/common/timer.c
 */
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
#define STEP 50000ULL
#define MS 1000000ULL

struct sim_vcpu {
    struct vcpu v;
    struct vcpu_info info;
    uint64_t burst;     /* computes so long before it blocks; ~0 = for ever */
    uint64_t sleep;     /* longest sleep */
    uint64_t wake_at;   /* when an event comes, 0 = none */
    uint64_t waiting_since, longest_wait, ran;
    unsigned pauses;
};

static struct sim_vcpu *sv[VCPUS];
static struct vcpu idle[CPUS];
static struct vcpu *on[CPUS], *leaving[CPUS]; /* runs; state not yet in memory */
static struct domain dom;
static struct vcpu *dom_vcpu[VCPUS];
static unsigned nr, delay_switch;
static uint64_t hw[CPUS], hw_writes, rnd, trace;

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
    return after ? NULL : &dom;
}
void domain_shutdown_poke(struct domain *d)
{
}

static void sim_note(uint64_t x)
{
    trace = (trace ^ x) * 0x100000001b3ULL;
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

static void sim_init(unsigned cpus, unsigned vcpus, uint64_t seed)
{
    unsigned i;

    host_reset();
    host_cpus = cpus;
    nr = vcpus;
    rnd = seed * 0x9e3779b97f4a7c15ULL + 1;
    trace = 0xcbf29ce484222325ULL;
    hw_writes = 0;
    memset(hw, 0, sizeof(hw));
    memset(idle, 0, sizeof(idle));
    memset(&dom, 0, sizeof(dom));
    memset(sched_idle_map, 0, sizeof(sched_idle_map));
    dom.vcpu = dom_vcpu;
    dom.max_vcpus = (uint16_t)vcpus;
    timers_init();
    sched_init();
    for (i = 0; i < cpus; i++) {
        timer_cpu_init(i);
        sched_cpu_init(i, &idle[i]);
        on[i] = &idle[i];
        leaving[i] = NULL;
    }
    for (i = 0; i < vcpus; i++) {
        free(sv[i]);
        sv[i] = calloc(1, sizeof(*sv[i]));
        sv[i]->v.domain = &dom;
        sv[i]->v.id = (uint16_t)i;
        sv[i]->v.info = &sv[i]->info;
        dom_vcpu[i] = &sv[i]->v;
        assert_int_equal(sched_vcpu_init(&sv[i]->v, i % cpus), 0);
        sv[i]->burst = ~0ULL;
    }
}

static void sim_start(unsigned i)
{
    __atomic_fetch_and(&sv[i]->v.pause_flags, ~(uint32_t)VPF_DOWN, __ATOMIC_SEQ_CST);
    vcpu_wake(&sv[i]->v);
}

/* --- one step --------------------------------------------------------------------------------------- */

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
            assert_false(on[cpu]->idle && s->v.sched.queued && sched_may_move(&s->v, cpu));
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
        s->info.evtchn_upcall_pending = 1;
        vcpu_notify_event(&s->v);
    }
}

static void sim_step(void)
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

/* A mix of hogs, I/O-like and interactive ones. */
static void sim_mix(unsigned cpus, unsigned vcpus, uint64_t seed)
{
    unsigned i;

    sim_init(cpus, vcpus, seed);
    for (i = 0; i < vcpus; i++) {
        uint64_t kind = sim_random(3);

        sv[i]->burst = kind == 0 ? ~0ULL : kind == 1 ? 200000 : 4 * MS;
        sv[i]->sleep = kind == 1 ? MS : 30 * MS;
        sim_start(i);
    }
}

/* --- tests ---------------------------------------------------------------------------------------------- */

static void test_bounded(void **state)
{
    unsigned cpus, seed, i, step;

    for (cpus = 1; cpus <= CPUS; cpus++)
        for (seed = 0; seed < 4; seed++) {
            unsigned n = 1 + (cpus * 5 + seed * 7) % VCPUS;

            delay_switch = seed & 1;
            sim_mix(cpus, n, seed + cpus * 100);
            for (step = 0; step < 8000; step++)
                sim_step();
            for (i = 0; i < n; i++)
                assert_true(sv[i]->longest_wait <= n * 10 * MS + 4 * MS);
        }
}

/* Whatever a vCPU does by sleeping and waking cannot keep a computing one from the CPU. */
static void test_no_starving(void **state)
{
    unsigned i, step;

    delay_switch = 0;
    sim_init(1, 5, 7);
    for (i = 0; i < 5; i++) {
        if (i) {
            sv[i]->burst = 900000;
            sv[i]->sleep = 20 * i * STEP;
        }
        sim_start(i);
    }
    for (step = 0; step < 40000; step++)
        sim_step();
    assert_true(sv[0]->longest_wait <= 50 * MS + 4 * MS);
    assert_true(sv[0]->ran >= 40000 * STEP / 6);
}

/* Pauses and affinities at random: the invariants of sim_check() are the test. */
static void sim_disturb(void)
{
    struct sim_vcpu *s = sv[sim_random(nr)];
    uint64_t mask[MAX_CPUS / 64] = {0};

    host_cpu = (unsigned)sim_random(host_cpus);
    switch (sim_random(6)) {
    case 0:
        s->pauses++;
        vcpu_pause_nosync(&s->v);
        break;
    case 1:
    case 2:
        if (s->pauses) {
            s->pauses--;
            vcpu_unpause(&s->v);
        }
        break;
    case 3:
        mask[0] = sim_random(1u << host_cpus);
        assert_int_equal(vcpu_affinity_set(&s->v, mask), mask[0] ? 0 : -XEN_EINVAL);
        break;
    case 4:
        domain_pause_nosync(&dom);
        if (sim_random(2))
            sim_softirqs();
        host_cpu = (unsigned)sim_random(host_cpus);
        domain_unpause(&dom);
        break;
    default:
        vcpu_wake(&s->v); /* for nothing */
        break;
    }
    host_cpu = 0;
}

static void test_races(void **state)
{
    unsigned seed, step;

    for (seed = 0; seed < 60; seed++) {
        delay_switch = seed % 3 != 0;
        sim_mix(1 + seed % CPUS, 2 + seed % (VCPUS - 1), seed);
        for (step = 0; step < 1500; step++) {
            if (sim_random(3) == 0)
                sim_disturb();
            sim_step();
        }
    }
}

static void test_same_trace(void **state)
{
    uint64_t first = 0;
    unsigned run, step;

    delay_switch = 1;
    for (run = 0; run < 2; run++) {
        sim_mix(4, 11, 42);
        for (step = 0; step < 3000; step++) {
            if (step % 5 == 0)
                sim_disturb();
            sim_step();
        }
        if (run)
            assert_int_equal(trace, first);
        first = trace;
    }
}

/* One vCPU alone has no timer; two on one CPU alternate. */
static void test_tickless(void **state)
{
    unsigned step;

    delay_switch = 0;
    sim_init(1, 2, 1);
    sim_start(0);
    for (step = 0; step < 2000; step++)
        sim_step();
    assert_int_equal(hw_writes, 0);
    sim_start(1);
    for (step = 0; step < 8000; step++)
        sim_step();
    assert_in_range(sv[1]->ran, 8000 * STEP * 45 / 100, 8000 * STEP * 55 / 100);
    vcpu_pause_nosync(&sv[1]->v);
    sim_step();
    hw_writes = 0;
    for (step = 0; step < 2000; step++)
        sim_step();
    assert_true(hw_writes <= 1);
}

/* A woken vCPU preempts a computing one at once. */
static void test_wake_preempts(void **state)
{
    delay_switch = 0;
    sim_init(1, 2, 1);
    sim_start(0);
    sim_start(1);
    sim_softirqs();
    host_cpu = 0;
    if (on[0] != &sv[1]->v) {
        vcpu_yield(&sv[0]->v);
        sim_softirqs();
    }
    assert_ptr_equal(on[0], &sv[1]->v);
    vcpu_block(&sv[1]->v);
    sim_softirqs();
    assert_ptr_equal(on[0], &sv[0]->v);
    sv[1]->info.evtchn_upcall_pending = 1;
    vcpu_notify_event(&sv[1]->v);
    sim_softirqs();
    assert_ptr_equal(on[0], &sv[1]->v);
    assert_int_equal(sv[1]->v.pause_flags, 0);
}

static void test_block_race(void **state)
{
    delay_switch = 0;
    sim_init(2, 1, 1);
    sim_start(0);
    sim_softirqs();
    host_cpu = sv[0]->v.cpu;
    sv[0]->info.evtchn_upcall_mask = 1;
    sv[0]->info.evtchn_upcall_pending = 1;
    vcpu_block(&sv[0]->v); /* an event is there already */
    assert_int_equal(sv[0]->v.pause_flags, 0);
    assert_int_equal(sv[0]->info.evtchn_upcall_mask, 0);
    sv[0]->info.evtchn_upcall_pending = 0;
    vcpu_block(&sv[0]->v);
    vcpu_notify_event(&sv[0]->v); /* before the softirq took the CPU away */
    sim_softirqs();
    assert_ptr_equal(on[sv[0]->v.cpu], &sv[0]->v);
    host_kicks = 0;
    host_cpu = !sv[0]->v.cpu;
    vcpu_notify_event(&sv[0]->v); /* runs on another CPU: an interrupt */
    assert_int_equal(host_kicks, 1);
    host_cpu = sv[0]->v.cpu;
    vcpu_notify_event(&sv[0]->v); /* is us: nothing */
    assert_int_equal(host_kicks, 1);
}

static void test_poll(void **state)
{
    struct vcpu *v;

    delay_switch = 0;
    sim_init(1, 1, 1);
    v = &sv[0]->v;
    sim_start(0);
    sim_softirqs();
    host_cpu = 0;
    v->info->evtchn_upcall_mask = 1;
    assert_true(vcpu_poll_begin(v, 5));
    softirq_raise(0, SOFTIRQ_SCHED);
    sim_softirqs();
    assert_true(on[0]->idle && dom.nr_polling == 1);
    assert_int_equal(v->runstate.state, RUNSTATE_blocked);
    vcpu_poll_wake(&dom, 6);
    vcpu_notify_event(v); /* masked */
    sim_softirqs();
    assert_true(on[0]->idle);
    vcpu_poll_wake(&dom, 5);
    sim_softirqs();
    assert_true(on[0] == v && dom.nr_polling == 0);
}

static void test_runstate(void **state)
{
    struct vcpu_runstate_info r;
    uint64_t start, sum;
    unsigned step;

    delay_switch = 0;
    sim_init(1, 3, 3);
    start = host_now;
    for (step = 0; step < 3; step++)
        sim_start(step);
    for (step = 0; step < 3000; step++)
        sim_step();
    vcpu_runstate_get(&sv[0]->v, &r);
    sum = r.time[0] + r.time[1] + r.time[2] + r.time[3];
    assert_int_equal(sum, host_now - start);
    assert_in_range(r.time[RUNSTATE_running], 3000 * STEP / 4, 3000 * STEP / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tickless),    cmocka_unit_test(test_wake_preempts),
        cmocka_unit_test(test_block_race),  cmocka_unit_test(test_poll),
        cmocka_unit_test(test_runstate),    cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_no_starving), cmocka_unit_test(test_races),
        cmocka_unit_test(test_same_trace),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
