/* SPDX-License-Identifier: MIT */
/*
 * Log-dirty with threads as processors: the two vCPUs of the logged guest, two other domains, and who copies, all at once. Now
 * and then all stop, the last bitmap is fetched, and the copy must be equal.
 * sources: hypervisor/common/logdirty.c hypervisor/common/logdirty_held.c hypervisor/common/quiesce.c hypervisor/common/domctl_shadow.c hypervisor/pv/mirror.c hypervisor/pv/mirror_fault.c hypervisor/pv/mirror_life.c hypervisor/pv/mirror_check.c hypervisor/pv/pgt.c hypervisor/pv/pgt_entries.c hypervisor/pv/pgt_update.c hypervisor/pv/pgt_check.c hypervisor/pv/pgt_sweep.c hypervisor/pv/mmu_update.c hypervisor/pv/mmuext.c hypervisor/pv/descriptors.c hypervisor/common/page_refs.c hypervisor/common/frames.c hypervisor/common/memory_op.c hypervisor/common/memory_exchange.c
 */
#include "logdirty_env.h"

#include <cmocka.h>

static __thread uint64_t seed = 1;

unsigned env_rand(unsigned below)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return below ? (unsigned)(seed >> 33) % below : 0;
}

static bool stop, leave;
static unsigned stopped;
static uint64_t steps[E_CPUS];

/* The guest's: it may be paused before each step, not in the middle of one. */
static void guest_step(unsigned vi)
{
    while (__atomic_load_n(&l_paused, __ATOMIC_SEQ_CST)) {
        host_softirqs_run();
        cpu_relax();
    }
    __atomic_fetch_add(&l_inside, 1, __ATOMIC_SEQ_CST);
    if (!__atomic_load_n(&l_paused, __ATOMIC_SEQ_CST)) {
        switch (env_rand(16)) {
        default:
            l_access(vi, l_va(), env_rand(2));
            break;
        case 10 ... 12:
            l_update(vi, true);
            break;
        case 13:
            l_roots(vi, true);
            break;
        case 14:
            l_m2p(vi, true);
            break;
        case 15:
            if (env_rand(4) == 0)
                env_step(1, vi, true);
        }
    }
    __atomic_fetch_sub(&l_inside, 1, __ATOMIC_SEQ_CST);
}

static void other_step(unsigned cpu)
{
    if (cpu == L_FOREIGN_CPU) {
        if (env_rand(3))
            l_foreign_write();
        else
            l_foreign_map(true);
    } else if (env_rand(4)) {
        l_copy_to();
    } else {
        env_step(2, 0, true);
    }
}

static void *cpu_main(void *arg)
{
    unsigned cpu = (unsigned)(uintptr_t)arg;

    host_cpu = cpu;
    seed = cpu * 77777 + l_rounds * 1234567 + 3;
    while (!__atomic_load_n(&leave, __ATOMIC_SEQ_CST)) {
        if (__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) {
            __atomic_fetch_add(&stopped, 1, __ATOMIC_SEQ_CST);
            while (__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) {
                host_softirqs_run();
                cpu_relax();
            }
            __atomic_fetch_sub(&stopped, 1, __ATOMIC_SEQ_CST);
        }
        if (cpu < E_VCPUS)
            guest_step(cpu);
        else
            other_step(cpu);
        steps[cpu]++;
        host_softirqs_run();
    }
    return NULL;
}

static void all_stop(void)
{
    __atomic_store_n(&stop, true, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&stopped, __ATOMIC_SEQ_CST) < E_CPUS) {
        host_softirqs_run();
        cpu_relax();
    }
}

static void all_go(void)
{
    __atomic_store_n(&stop, false, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&stopped, __ATOMIC_SEQ_CST))
        cpu_relax();
}

static void test_threads(void **state)
{
    pthread_t thread[E_CPUS];

    env_smp = true;
    for (unsigned turn = 0; turn < 2; turn++) {
        l_start();
        host_cpus = E_CPUS + 1;
        host_cpu = E_CPUS;
        stop = leave = false;
        for (unsigned i = 0; i < E_CPUS; i++)
            assert_int_equal(pthread_create(&thread[i], NULL, cpu_main, (void *)(uintptr_t)i), 0);
        for (unsigned cycle = 0; cycle < 12; cycle++) {
            l_on(false);
            for (unsigned r = 1 + env_rand(8); r-- > 0;)
                l_round(true);
            all_stop();
            l_round(false);
            l_check();
            all_go();
            l_off(true);
        }
        __atomic_store_n(&leave, true, __ATOMIC_SEQ_CST);
        for (unsigned i = 0; i < E_CPUS; i++)
            pthread_join(thread[i], NULL);
        host_cpu = 0;
        l_finish();
    }
    print_message("%u rounds, %u pages sent, %u accesses (%u writes), %u faults on mirrors; %u foreign writes\n", l_rounds, l_dirty,
                  l_accesses, l_writes, l_faults, l_foreign);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
