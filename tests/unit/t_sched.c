/* SPDX-License-Identifier: MIT */
/*
 * The mechanism of scheduling in the simulator (sched_sim.h), with vCPUs that now and then are paused and moved, and
 * whose state stays loaded for a while after a switch, so that the rule about sched.running is tested.
 * After each step: no CPU idles while a vCPU that it could run waits; each vCPU is on one CPU at most;
 * sched_check() finds nothing. Whole runs: waiting is bounded, the same seed gives the same trace.
 * sources: hypervisor/common/sched.c hypervisor/common/sched_credit.c hypervisor/common/sched_cap.c hypervisor/common/sched_heap.c hypervisor/common/sched_null.c
 * sources: hypervisor/common/sched_state.c hypervisor/common/sched_debug.c hypervisor/common/timer.c
 */
#include "sched_sim.h"

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
