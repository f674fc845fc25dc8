/* SPDX-License-Identifier: MIT */
/*
 * Log-dirty: the input chooses what a logged guest, other domains and whoever copies its memory do (see logdirty_env.h); the
 * mirrors are checked after each step, the copy after each round that nobody disturbed.
 * sources: hypervisor/common/logdirty.c hypervisor/common/logdirty_held.c hypervisor/common/quiesce.c hypervisor/common/domctl_shadow.c hypervisor/pv/mirror.c hypervisor/pv/mirror_fault.c hypervisor/pv/mirror_life.c hypervisor/pv/mirror_check.c hypervisor/pv/pgt.c hypervisor/pv/pgt_entries.c hypervisor/pv/pgt_update.c hypervisor/pv/pgt_check.c hypervisor/pv/pgt_sweep.c hypervisor/pv/mmu_update.c hypervisor/pv/mmuext.c hypervisor/pv/descriptors.c hypervisor/common/page_refs.c hypervisor/common/frames.c hypervisor/common/memory_op.c hypervisor/common/memory_exchange.c
 */
#include "../unit/logdirty_env.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *at, *end;
static uint64_t seed;

/* Bytes of the input while there are any, then a sequence of its own. */
unsigned env_rand(unsigned below)
{
    unsigned b = at < end ? *at++ : 0;

    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL + b;
    if (at < end && below <= 256)
        return below ? b % below : 0;
    return below ? (unsigned)(seed >> 33) % below : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool few;

    if (!size)
        return 0;
    at = end = data; /* the beginning is the same for all but the seed */
    seed = data[0];
    l_start();
    at = data + 1;
    end = data + (size < 2000 ? size : 2000);
    env_interleave = true;
    few = env_rand(2);
    l_on(few);
    while (at < end) {
        for (unsigned k = env_rand(32); k-- > 0 && at < end;)
            l_step(false);
        l_round(env_rand(2));
        if (env_rand(16) == 0) {
            l_off(true);
            l_on(few);
        }
    }
    l_round(false);
    l_finish();
    return 0;
}
