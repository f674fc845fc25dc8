/* SPDX-License-Identifier: MIT */
/*
 * Page types under random hypercalls of three domains, interrupted everywhere, with a recount after each; and the
 * rules one by one.
 * sources: hypervisor/pv/pgt.c hypervisor/pv/pgt_entries.c hypervisor/pv/pgt_update.c hypervisor/pv/pgt_check.c hypervisor/pv/pgt_sweep.c hypervisor/pv/mmu_update.c hypervisor/pv/mmuext.c hypervisor/pv/descriptors.c hypervisor/common/page_refs.c hypervisor/common/frames.c hypervisor/common/memory_op.c hypervisor/common/memory_exchange.c
 */
#include "pgt_env.h"

#include <cmocka.h>

static uint64_t seed = 1;

static unsigned env_rand(unsigned below)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return below ? (unsigned)(seed >> 33) % below : 0;
}

static unsigned valid_l4(void)
{
    unsigned n = 0;

    for (unsigned f = 1; f < E_FRAMES; f++)
        n += (frame_table[f].type & (PGT_TYPE_MASK | PGT_VALID)) == (PGT_L4 | PGT_VALID);
    return n;
}

static void random_ops(unsigned n)
{
    uint64_t l4s = 0, partial = 0;

    env_setup();
    for (unsigned i = 0; i < n; i++) {
        env_step(env_rand(E_DOMS), env_rand(E_VCPUS), false);
        l4s += valid_l4();
        for (unsigned f = 1; f < E_FRAMES; f++)
            partial += !!(frame_table[f].type & PGT_PARTIAL) && frame_table[f].owner;
    }
    print_message("%lu valid L4s and %lu leftovers seen in %u states, %u flushes\n", l4s, partial, n, e_flushes);
    env_finish();
}

static void test_random(void **state)
{
    env_interleave = false;
    for (unsigned i = 0; i < 4; i++)
        random_ops(3000);
}

static void test_interleaved(void **state)
{
    env_interleave = true;
    for (unsigned i = 0; i < 4; i++)
        random_ops(3000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_interleaved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
