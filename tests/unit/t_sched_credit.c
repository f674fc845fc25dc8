/* SPDX-License-Identifier: MIT */
/*
 * Shares, caps and latency of the proportional-share scheduler, in the simulator (sched_sim.h): after each step no CPU
 * idles while a vCPU that it may run waits, and sched_check() finds nothing.
 * sources: hypervisor/common/sched.c hypervisor/common/sched_credit.c hypervisor/common/sched_cap.c hypervisor/common/sched_heap.c hypervisor/common/sched_null.c
 * sources: hypervisor/common/sched_state.c hypervisor/common/sched_debug.c hypervisor/common/timer.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sched_sim.h"

/* STEPS_LONG=20: longer runs, for the soak. */
static uint64_t longer = 1;

static void sim_run_ms(uint64_t ms)
{
    uint64_t n = ms * longer * MS / STEP;

    while (n--)
        sim_step();
}

static void sim_restart_accounts(void)
{
    unsigned i;

    for (i = 0; i < nr; i++) {
        sv[i]->ran = sv[i]->longest_wait = 0;
        sv[i]->wakes = sv[i]->wake_sum = sv[i]->longest_wake = 0;
    }
}

static uint64_t sim_domain_ran(unsigned d)
{
    uint64_t sum = 0;
    unsigned i;

    for (i = 0; i < nr; i++)
        if (sv[i]->v.domain == &doms[d])
            sum += sv[i]->ran;
    return sum;
}

static void sim_start_all(void)
{
    unsigned i;

    for (i = 0; i < nr; i++)
        sim_start(i);
}

static void sim_pin(unsigned i, uint64_t cpus)
{
    uint64_t mask[MAX_CPUS / 64] = {cpus};

    assert_int_equal(vcpu_affinity_set(&sv[i]->v, mask), 0);
}

static void sim_prefer(unsigned i, uint64_t cpus)
{
    uint64_t mask[MAX_CPUS / 64] = {cpus};

    assert_int_equal(vcpu_soft_affinity_set(&sv[i]->v, mask), 0);
}

/* Domain d has used `part` of `whole` parts of `time`, within so many per cent of that. */
static void sim_want(unsigned d, uint64_t time, uint64_t part, uint64_t whole, unsigned percent)
{
    uint64_t want = time * part / whole, got = sim_domain_ran(d);

    if (got < want * (100 - percent) / 100 || got > want * (100 + percent) / 100)
        fail_msg("domain %u ran %lu us, wanted %lu us", d, (unsigned long)(got / 1000),
                 (unsigned long)(want / 1000));
}

/* --- shares -------------------------------------------------------------------------------------- */

static void test_weights_one_cpu(void **state)
{
    static const uint32_t w[] = {256, 512, 1024, 64};
    unsigned i;

    sim_init_domains(1, 4, 1, 1);
    for (i = 0; i < 4; i++)
        sched_domain_set(&doms[i], w[i], 0);
    sim_start_all();
    sim_run_ms(10000);
    for (i = 0; i < 4; i++)
        sim_want(i, 10000 * longer * MS, w[i], 1856, 5);
}

/* Two vCPUs each on two CPUs: 2/7, 4/7 and 8/7 of a CPU. */
static void test_weights_two_cpus(void **state)
{
    unsigned i;

    for (delay_switch = 0; delay_switch < 2; delay_switch++) {
        sim_init_domains(2, 6, 2, 2);
        for (i = 0; i < 3; i++)
            sched_domain_set(&doms[i], 256u << i, 0);
        sim_start_all();
        sim_run_ms(10000);
        for (i = 0; i < 3; i++)
            sim_want(i, 20000 * longer * MS, 1u << i, 7, 5);
    }
}

/* One vCPU each: the heaviest cannot use more than one CPU, the others share the rest as their weights are. */
static void test_weights_more_than_a_cpu(void **state)
{
    unsigned i;

    sim_init_domains(2, 3, 1, 3);
    for (i = 0; i < 3; i++)
        sched_domain_set(&doms[i], 256u << i, 0);
    sim_start_all();
    sim_run_ms(10000);
    sim_want(0, 10000 * longer * MS, 1, 3, 5);
    sim_want(1, 10000 * longer * MS, 2, 3, 5);
    sim_want(2, 10000 * longer * MS, 1, 1, 5);
}

/* Three equal ones on two CPUs: no way to divide them that stays. */
static void test_odd_number(void **state)
{
    unsigned i, n;

    for (delay_switch = 0; delay_switch < 2; delay_switch++)
        for (n = 3; n <= 9; n += 3) {
            sim_init_domains(n - 1, n, 1, n);
            sim_start_all();
            sim_run_ms(4000);
            for (i = 0; i < n; i++)
                sim_want(i, 4000 * longer * MS, n - 1, n, 5);
        }
}

/* A domain's weight does not depend on how many vCPUs it has. */
static void test_many_vcpus(void **state)
{
    unsigned i;

    sim_init_domains(4, 12, 4, 5);
    sim_start(0); /* one of the first domain */
    for (i = 4; i < 12; i++)
        sim_start(i);
    sched_domain_set(&doms[0], 128, 0); /* 1/5 of four: 0.8 */
    sim_run_ms(10000);
    sim_want(0, 40000 * longer * MS, 1, 5, 5);
    sim_want(1, 40000 * longer * MS, 2, 5, 5);
    sim_want(2, 40000 * longer * MS, 2, 5, 5);
}

/* vCPUs pinned to a CPU share it by weight, whatever goes on elsewhere; and later, when they may move, all of it. */
static void test_weights_pinned(void **state)
{
    unsigned i;

    sim_init_domains(2, 4, 1, 6);
    for (i = 0; i < 3; i++) {
        sched_domain_set(&doms[i], 256u << i, 0);
        sim_pin(i, 1);
    }
    sim_pin(3, 2);
    sim_start_all();
    sim_run_ms(7000);
    for (i = 0; i < 3; i++)
        sim_want(i, 7000 * longer * MS, 1u << i, 7, 5);
    sim_want(3, 7000 * longer * MS, 1, 1, 1);
    for (i = 0; i < 4; i++)
        sim_pin(i, 3);
    sim_run_ms(200);
    sim_restart_accounts();
    sim_run_ms(8000);
    for (i = 0; i < 3; i++) /* 256:512:1024 and 256, of two CPUs: the third could have all of one */
        sim_want(i, 8000 * longer * MS, i == 2 ? 4 : 1u << i, 4, 5);
}

/* --- sleepers -------------------------------------------------------------------------------------- */

/* Whoever wakes and sleeps all the time gets no more than its share, if it wants more. */
static void test_no_gain_by_sleeping(void **state)
{
    unsigned seed;

    for (seed = 1; seed < 6; seed++) {
        sim_init_domains(1, 3, 1, seed);
        sv[0]->burst = seed * 4 * STEP; /* computes 80 % of the time or more, if it may */
        sv[0]->sleep = STEP * seed;
        sim_start_all();
        sim_run_ms(6000);
        assert_true(sim_domain_ran(0) <= 6000 * longer * MS * 36 / 100);
        assert_true(sim_domain_ran(0) >= 6000 * longer * MS * 25 / 100);
    }
}

/* The same with vCPUs that take turns: their number when they are charged is not what it was while they ran. */
static void test_no_gain_by_numbers(void **state)
{
    unsigned i;

    sim_init_domains(2, 8, 4, 9);
    for (i = 0; i < 4; i++) {
        sv[i]->burst = 10 * STEP;
        sv[i]->sleep = 3 * STEP;
    }
    sim_start_all();
    sim_run_ms(8000);
    if (getenv("V"))
        print_message("%lu of 16000\n", (unsigned long)(sim_domain_ran(0) / MS));
    assert_true(sim_domain_ran(0) <= 16000 * longer * MS * 53 / 100);
    assert_true(sim_domain_ran(0) >= 16000 * longer * MS * 40 / 100);
}

/* One that sleeps most of the time beside three that compute gets its CPU at once. */
static void test_wake_latency(void **state)
{
    unsigned cpus, i;

    for (cpus = 1; cpus <= 2; cpus++) {
        sim_init_domains(cpus, 4, 1, 11);
        sv[0]->burst = 4 * STEP;
        sv[0]->sleep = 4 * MS;
        sim_start_all();
        sim_run_ms(100); /* those who are new have not used anything either */
        sim_restart_accounts();
        sim_run_ms(10000);
        assert_true(sv[0]->wakes > 1000);
        if (getenv("V"))
            print_message("%u CPUs: %lu wakes, mean %lu us, longest %lu us\n", cpus, (unsigned long)sv[0]->wakes,
                          (unsigned long)(sv[0]->wake_sum / sv[0]->wakes / 1000),
                          (unsigned long)(sv[0]->longest_wake / 1000));
        assert_true(sv[0]->wake_sum / sv[0]->wakes <= 50000);
        assert_true(sv[0]->longest_wake <= 10 * MS);
        for (i = 1; i < 4; i++)
            assert_true(sv[i]->longest_wait <= 60 * MS);
    }
}

/* --- caps -------------------------------------------------------------------------------------------- */

static void test_cap_alone(void **state)
{
    static const uint32_t caps[] = {1, 10, 25, 50, 99, 150, 300};
    unsigned i;

    for (i = 0; i < ARRAY_SIZE(caps); i++) {
        sim_init_domains(4, 4, 4, caps[i]);
        sched_domain_set(&doms[0], 256, caps[i]);
        sim_start_all();
        sim_run_ms(4000);
        sim_want(0, 4000 * longer * MS, caps[i], 100, 5);
        assert_int_equal(sched_check(), 0);
    }
}

/* The figures of issue 3, 30 s: three busy domains by weight, one of them capped, on two CPUs. */
static void test_cap_and_weights(void **state)
{
    unsigned i;

    sim_init_domains(2, 8, 2, 13);
    for (i = 0; i < 3; i++)
        sched_domain_set(&doms[i], 256u << i, 0);
    sched_domain_set(&doms[3], 1024, 25);
    sim_start_all();
    sim_run_ms(30000);
    sim_want(3, 30000 * longer * MS, 25, 100, 5);
    for (i = 0; i < 3; i++)
        sim_want(i, 30000 * longer * MS * 175 / 100, 1u << i, 7, 5);
    if (getenv("V"))
        for (i = 0; i < 4; i++)
            print_message("domain %u: %lu ms of 60000\n", i, (unsigned long)(sim_domain_ran(i) / MS));
}

/* A cap set while its vCPU runs alone, without a timer, and lifted while it is parked. */
static void test_cap_changes(void **state)
{
    sim_init_domains(1, 1, 1, 14);
    sim_start(0);
    sim_run_ms(1000);
    sim_want(0, 1000 * longer * MS, 1, 1, 1);
    sched_domain_set(&doms[0], 256, 20);
    sim_restart_accounts();
    sim_run_ms(2000);
    sim_want(0, 2000 * longer * MS, 20, 100, 5);
    while (!(sv[0]->v.pause_flags & VPF_PARKED))
        sim_step();
    assert_int_equal(sv[0]->v.runstate.state, RUNSTATE_runnable);
    sched_domain_set(&doms[0], 256, 0);
    assert_int_equal(sv[0]->v.pause_flags, 0);
    sim_restart_accounts();
    sim_run_ms(1000);
    sim_want(0, 1000 * longer * MS, 1, 1, 1);
}

/* Pausing a parked one, waking it, taking it away: no flag is left behind. */
static void test_cap_and_pause(void **state)
{
    unsigned round;

    sim_init_domains(1, 2, 2, 15);
    sched_domain_set(&doms[0], 256, 10);
    sim_start_all();
    for (round = 0; round < 50; round++) {
        vcpu_pause_nosync(&sv[round & 1]->v);
        sim_run_ms(17);
        vcpu_unpause(&sv[round & 1]->v);
        sim_run_ms(9);
    }
    sched_domain_set(&doms[0], 256, 0);
    assert_int_equal(sv[0]->v.pause_flags | sv[1]->v.pause_flags, 0);
    sched_domain_destroy(&doms[0]);
}

/* --- soft affinity ----------------------------------------------------------------------------------- */

static unsigned sim_time_on(unsigned i, unsigned cpu, unsigned ms)
{
    unsigned n = 0, step;

    for (step = 0; step < ms * MS / STEP; step++) {
        sim_step();
        n += on[cpu] == &sv[i]->v;
    }
    return n * 100 / (unsigned)(ms * MS / STEP);
}

/* It runs elsewhere while its CPU is taken, and comes home when that has nothing to do. */
static void test_soft_affinity(void **state)
{
    delay_switch = 1;
    sim_init_domains(2, 2, 1, 16);
    sim_prefer(0, 1);
    sim_pin(1, 1);
    sim_start(1);
    sim_softirqs();
    sim_start(0);
    assert_true(sim_time_on(0, 1, 100) >= 99);
    vcpu_pause_nosync(&sv[1]->v);
    assert_true(sim_time_on(0, 0, 100) >= 99);
    sim_prefer(0, 2);
    assert_true(sim_time_on(0, 1, 100) >= 99);
    vcpu_unpause(&sv[1]->v);
    assert_true(sim_time_on(1, 0, 100) >= 99);
    delay_switch = 0;
}

/* A soft affinity that holds none of the allowed CPUs prefers none. */
static void test_soft_without_hard(void **state)
{
    sim_init_domains(2, 1, 1, 17);
    sim_pin(0, 2);
    sim_prefer(0, 1);
    sim_start(0);
    assert_true(sim_time_on(0, 1, 50) >= 99);
    assert_false(sv[0]->v.sched.soft_matters);
}

/* --- all at random -------------------------------------------------------------------------------------- */

static void sim_disturb_policy(void)
{
    struct sim_vcpu *s = sv[sim_random(nr)];
    uint64_t mask[MAX_CPUS / 64] = {0};

    host_cpu = (unsigned)sim_random(host_cpus);
    mask[0] = sim_random((1u << host_cpus) - 1) + 1;
    switch (sim_random(7)) {
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
        assert_int_equal(vcpu_affinity_set(&s->v, mask), 0);
        break;
    case 4:
        assert_int_equal(vcpu_soft_affinity_set(&s->v, mask), 0);
        break;
    case 5:
        sched_domain_set(s->v.domain, 1 + (uint32_t)sim_random(65535), (uint32_t)sim_random(3) * 40);
        break;
    default:
        vcpu_wake(&s->v);
        break;
    }
    host_cpu = 0;
}

/* The invariants of sim_check() are the test; and that everybody runs again when the disturbance ends. */
static void test_random(void **state)
{
    unsigned seed, step, i;

    for (seed = 0; seed < 40 * longer; seed++) {
        delay_switch = seed % 3 != 0;
        sim_init_domains(1 + seed % CPUS, 2 + seed % (VCPUS - 1), 1 + seed % 3, seed);
        for (i = 0; i < nr; i++) {
            sv[i]->burst = i % 2 ? ~0ULL : 5 * STEP * (i + 1);
            sv[i]->sleep = MS * (i + 1);
        }
        sim_start_all();
        for (step = 0; step < 2000; step++) {
            if (sim_random(4) == 0)
                sim_disturb_policy();
            sim_step();
        }
        for (i = 0; i < nr; i++)
            while (sv[i]->pauses) {
                sv[i]->pauses--;
                vcpu_unpause(&sv[i]->v);
            }
        for (i = 0; i < nr_doms; i++)
            sched_domain_set(&doms[i], 256, 0);
        sim_restart_accounts();
        for (step = 0; step < 8000; step++)
            sim_step();
        for (i = 0; i < nr; i++)
            assert_true(sv[i]->ran);
    }
}

/* Nothing is done for those that sleep: no timer, no switch. */
static void test_idle_costs_nothing(void **state)
{
    unsigned i;

    sim_init_domains(2, VCPUS, 1, 18);
    for (i = 0; i < VCPUS; i++) {
        sched_domain_set(&doms[i], 1 + i, i & 1 ? 10 : 0);
        sim_start(i);
    }
    sim_run_ms(500);
    for (i = 1; i < VCPUS; i++)
        __atomic_fetch_or(&sv[i]->v.pause_flags, VPF_BLOCKED, __ATOMIC_SEQ_CST), vcpu_sleep_nosync(&sv[i]->v);
    sim_run_ms(50);
    hw_writes = switches = 0;
    sim_run_ms(1000);
    assert_int_equal(switches, 0);
    assert_true(hw_writes <= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weights_one_cpu),
        cmocka_unit_test(test_weights_two_cpus),
        cmocka_unit_test(test_weights_more_than_a_cpu),
        cmocka_unit_test(test_odd_number),
        cmocka_unit_test(test_many_vcpus),
        cmocka_unit_test(test_weights_pinned),
        cmocka_unit_test(test_no_gain_by_sleeping),
        cmocka_unit_test(test_no_gain_by_numbers),
        cmocka_unit_test(test_wake_latency),
        cmocka_unit_test(test_cap_alone),
        cmocka_unit_test(test_cap_and_weights),
        cmocka_unit_test(test_cap_changes),
        cmocka_unit_test(test_cap_and_pause),
        cmocka_unit_test(test_soft_affinity),
        cmocka_unit_test(test_soft_without_hard),
        cmocka_unit_test(test_idle_costs_nothing),
        cmocka_unit_test(test_random),
    };

    if (getenv("STEPS_LONG"))
        longer = (uint64_t)MAX(atoi(getenv("STEPS_LONG")), 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
