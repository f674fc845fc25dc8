/* SPDX-License-Identifier: MIT */
/*
 * Dedicated CPUs (sched=null) in the simulator: each vCPU on a CPU of its own, the others wait for one.
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

#define SIM_DEDICATED /* a CPU may idle though others wait: it has an owner */
#include "sched_sim.h"

static void sim_steps(unsigned n)
{
    while (n--)
        sim_step();
}

static void start_all(unsigned cpus, unsigned vcpus)
{
    unsigned i;

    sim_init_domains(cpus, vcpus, 1, 1);
    for (i = 0; i < vcpus; i++)
        sim_start(i);
    sim_softirqs();
}

static unsigned cpu_of(unsigned i)
{
    unsigned cpu;

    for (cpu = 0; cpu < host_cpus; cpu++)
        if (on[cpu] == &sv[i]->v)
            return cpu;
    return MAX_CPUS;
}

/* As many as there are CPUs: all run, no timer is ever set, and who sleeps wakes on its own CPU. */
static void test_one_each(void **state)
{
    unsigned i, cpus[CPUS];

    for (delay_switch = 0; delay_switch < 2; delay_switch++) {
        start_all(CPUS, CPUS);
        sim_steps(20);
        for (i = 0; i < CPUS; i++) {
            cpus[i] = cpu_of(i);
            assert_true(cpus[i] < MAX_CPUS);
            sv[i]->burst = (1 + i) * STEP;
            sv[i]->sleep = 3 * MS;
        }
        for (i = 0; i < 4000; i++) {
            unsigned j;

            sim_step();
            for (j = 0; j < CPUS; j++)
                assert_true(cpu_of(j) == MAX_CPUS || cpu_of(j) == cpus[j]);
        }
        assert_int_equal(hw_writes, 0);
    }
    delay_switch = 0;
}

/* One too many waits, though the others sleep, and gets the first CPU that is given back. */
static void test_waits_for_a_cpu(void **state)
{
    unsigned i;

    start_all(2, 3);
    sim_steps(100);
    assert_int_equal(sv[2]->ran, 0);
    host_cpu = cpu_of(0);
    vcpu_block(&sv[0]->v);
    sim_steps(100);
    assert_int_equal(sv[2]->ran, 0);
    sv[0]->info.evtchn_upcall_pending = 1;
    vcpu_notify_event(&sv[0]->v);
    sim_softirqs();
    i = cpu_of(0);
    assert_true(i < 2);
    __atomic_fetch_or(&sv[0]->v.pause_flags, VPF_DOWN, __ATOMIC_SEQ_CST);
    vcpu_sleep_nosync(&sv[0]->v);
    sim_steps(100);
    assert_true(sv[2]->ran >= 99 * STEP);
    assert_int_equal(cpu_of(2), i);
    sim_start(0); /* comes back: nothing is free */
    sim_steps(100);
    assert_int_equal(cpu_of(0), MAX_CPUS);
    vcpu_pause_nosync(&sv[2]->v);
    sim_softirqs();
    sched_vcpu_destroy(&sv[2]->v);
    sim_steps(100);
    assert_int_equal(cpu_of(0), i);
}

static void test_affinity(void **state)
{
    uint64_t mask[MAX_CPUS / 64] = {4};

    start_all(4, 2);
    assert_int_equal(vcpu_affinity_set(&sv[0]->v, mask), 0);
    sim_steps(10);
    assert_int_equal(cpu_of(0), 2);
    assert_int_equal(vcpu_affinity_set(&sv[1]->v, mask), 0); /* taken: it waits */
    sim_steps(10);
    assert_int_equal(cpu_of(1), MAX_CPUS);
    mask[0] = 12;
    assert_int_equal(vcpu_affinity_set(&sv[1]->v, mask), 0);
    sim_steps(10);
    assert_int_equal(cpu_of(1), 3);
}

static void test_random(void **state)
{
    unsigned seed, step;

    for (seed = 1; seed < 20; seed++) {
        delay_switch = seed & 1;
        sim_init_domains(1 + seed % CPUS, 1 + seed, 1, seed);
        for (step = 0; step < nr; step++) {
            sv[step]->burst = step * STEP;
            sv[step]->sleep = MS;
            sim_start(step);
        }
        for (step = 0; step < 2000; step++) {
            struct sim_vcpu *s = sv[sim_random(nr)];
            uint64_t mask[MAX_CPUS / 64] = {1 + sim_random((1u << host_cpus) - 1)};

            if (sim_random(20) == 0)
                assert_int_equal(vcpu_affinity_set(&s->v, mask), 0);
            if (sim_random(10) == 0) {
                vcpu_pause_nosync(&s->v);
                if (sim_random(2))
                    sim_softirqs();
                vcpu_unpause(&s->v);
            }
            sim_step();
        }
    }
    delay_switch = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_each),
        cmocka_unit_test(test_waits_for_a_cpu),
        cmocka_unit_test(test_affinity),
        cmocka_unit_test(test_random),
    };

    assert_true(sched_set_policy("null"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
