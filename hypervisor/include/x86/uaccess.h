/* SPDX-License-Identifier: MIT */
/* Opening and closing SMAP around guest accesses, and the range check that goes before them. */
#pragma once

#include "x86/cpu.h"
#include "x86/layout.h"

static inline void user_access_begin(void)
{
    if (cpu_features.smap)
        __asm__ volatile("stac" ::: "memory", "cc");
}
static inline void user_access_end(void)
{
    if (cpu_features.smap)
        __asm__ volatile("clac" ::: "memory", "cc");
}

/* No byte of [va, va + bytes) in the hypervisor's part, no wrap, and within what a long copy may be. Addresses
 * that are not canonical fault by themselves. */
static inline bool guest_range_ok(uint64_t va, size_t bytes)
{
    uint64_t end = va + bytes;

    if (end < va)
        return false;
    return end <= HYP_VIRT_START || va >= HYP_VIRT_END;
}
