/* SPDX-License-Identifier: MIT */
/*
 * Page types: the input chooses what guests do (see pgt_env.h); everything is recounted after each operation, and
 * in the end every frame must come back.
 * sources: hypervisor/pv/domctl_frames.c hypervisor/pv/pgt.c hypervisor/pv/pgt_entries.c hypervisor/pv/pgt_update.c hypervisor/pv/pgt_check.c hypervisor/pv/pgt_sweep.c hypervisor/pv/mmu_update.c hypervisor/pv/mmuext.c hypervisor/pv/descriptors.c hypervisor/common/page_refs.c hypervisor/common/frames.c hypervisor/common/memory_op.c hypervisor/common/memory_exchange.c
 */
#include "../unit/pgt_env.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *at, *end;
static uint64_t seed;

/* Bytes of the input while there are any, mixed so that one byte can reach every choice. */
unsigned env_rand(unsigned below)
{
    unsigned b = at < end ? *at++ : 0;

    if (below <= 256)
        return below ? b % below : 0;
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL + b;
    return (unsigned)(seed >> 33) % below;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    at = data;
    end = data + (size < 2000 ? size : 2000);
    seed = size;
    env_interleave = true;
    env_setup();
    while (at < end)
        env_step(env_rand(E_DOMS), env_rand(E_VCPUS), false);
    env_finish();
    return 0;
}
