/* SPDX-License-Identifier: MIT */
/*
 * Page types with threads as processors: six vCPUs of three domains do random things at once, and at the end all
 * is counted again and given back. `make build/tsan/t_pgt_smp` builds it with the thread sanitizer.
 * sources: hypervisor/pv/domctl_frames.c hypervisor/pv/pgt.c hypervisor/pv/pgt_entries.c hypervisor/pv/pgt_update.c hypervisor/pv/pgt_check.c hypervisor/pv/pgt_sweep.c hypervisor/pv/mmu_update.c hypervisor/pv/mmuext.c hypervisor/pv/descriptors.c hypervisor/common/page_refs.c hypervisor/common/frames.c hypervisor/common/memory_op.c hypervisor/common/memory_exchange.c
 */
#include "pgt_env.h"

#include <pthread.h>

#include <cmocka.h>

#ifdef __SANITIZE_THREAD__
/* volatile accesses (READ_ONCE, WRITE_ONCE) are meant to race */
#define TSAN_VOLATILE(n)                                                                           \
    void __tsan_volatile_read##n(void *p) {}                                                       \
    void __tsan_volatile_write##n(void *p) {}                                                      \
    void __tsan_unaligned_volatile_read##n(void *p) {}                                             \
    void __tsan_unaligned_volatile_write##n(void *p) {}
TSAN_VOLATILE(1)
TSAN_VOLATILE(2)
TSAN_VOLATILE(4)
TSAN_VOLATILE(8)
TSAN_VOLATILE(16)
#endif

#define ROUNDS 8
#define STEPS 40000

static __thread uint64_t seed = 1;

unsigned env_rand(unsigned below)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return below ? (unsigned)(seed >> 33) % below : 0;
}

struct cpu {
    pthread_t thread;
    unsigned nr, round;
};

static void *cpu_main(void *arg)
{
    struct cpu *c = arg;

    host_cpu = c->nr;
    seed = c->nr * 77777 + c->round * 1234567 + 3;
    for (unsigned i = 0; i < STEPS; i++)
        env_step(c->nr % E_DOMS, c->nr / E_DOMS, false);
    return NULL;
}

static void test_threads(void **state)
{
    static struct cpu cpu[E_DOMS * E_VCPUS];

    unsigned tables = 0;

    env_smp = true;
    for (unsigned round = 0; round < ROUNDS; round++) {
        env_setup();
        host_cpus = ARRAY_SIZE(cpu);
        for (unsigned i = 0; i < ARRAY_SIZE(cpu); i++) {
            cpu[i].nr = i;
            cpu[i].round = round;
            assert_int_equal(pthread_create(&cpu[i].thread, NULL, cpu_main, &cpu[i]), 0);
        }
        for (unsigned i = 0; i < ARRAY_SIZE(cpu); i++)
            pthread_join(cpu[i].thread, NULL);
        env_check();
        for (unsigned f = 1; f < E_FRAMES; f++)
            tables += PGT_LEVEL(frame_table[f].type) - 1 < 4 && (frame_table[f].type & PGT_VALID);
        env_finish();
    }
    print_message("%u page tables in use at the ends of %u rounds\n", tables, ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
