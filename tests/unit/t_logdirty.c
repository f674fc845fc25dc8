/* SPDX-License-Identifier: MIT */
/*
 * Log-dirty: a guest, other domains and somebody who copies by the bitmaps, at random (logdirty_env.h): nothing that
 * changed may be missing from the copy, and the mirrors must be what the guest's tables allow after every step. Then the
 * control call's rules one by one.
 * sources: hypervisor/common/logdirty.c hypervisor/common/logdirty_held.c hypervisor/common/quiesce.c hypervisor/common/domctl_shadow.c hypervisor/pv/mirror.c hypervisor/pv/mirror_fault.c hypervisor/pv/mirror_life.c hypervisor/pv/mirror_check.c hypervisor/pv/pgt.c hypervisor/pv/pgt_entries.c hypervisor/pv/pgt_update.c hypervisor/pv/pgt_check.c hypervisor/pv/pgt_sweep.c hypervisor/pv/mmu_update.c hypervisor/pv/mmuext.c hypervisor/pv/descriptors.c hypervisor/common/page_refs.c hypervisor/common/frames.c hypervisor/common/memory_op.c hypervisor/common/memory_exchange.c
 */
#include "logdirty_env.h"

#include <cmocka.h>

static uint64_t seed = 1;

unsigned env_rand(unsigned below)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return below ? (unsigned)(seed >> 33) % below : 0;
}

static void random_ops(unsigned rounds, bool few)
{
    uint32_t resets = 0;

    l_start();
    for (unsigned i = 0; i < 200; i++)
        l_step(false);
    l_on(few);
    for (unsigned i = 0; i < rounds; i++) {
        for (unsigned k = env_rand(60); k-- > 0;)
            l_step(false);
        l_round(env_rand(2));
        if (env_rand(40) == 0) { /* off and on again */
            l_round(false);
            resets += l_d->logdirty->mirrors->resets;
            l_off(true);
            for (unsigned k = env_rand(60); k-- > 0;)
                l_step(false);
            l_on(few);
        }
    }
    l_round(false);
    resets += l_d->logdirty->mirrors->resets;
    print_message("%u rounds, %u pages sent, %u accesses (%u writes), %u faults on mirrors, %u the guest's own; %u foreign "
                  "writes, %u by old translations; %u times out of mirrors\n",
                  l_rounds, l_dirty, l_accesses, l_writes, l_faults, l_guest_faults, l_foreign, l_stale, resets);
    l_finish();
}

static void test_random(void **state)
{
    for (unsigned i = 0; i < 6; i++)
        random_ops(200, false);
}

static void test_few_mirrors(void **state)
{
    for (unsigned i = 0; i < 6; i++)
        random_ops(200, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_few_mirrors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
