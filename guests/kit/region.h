/* SPDX-License-Identifier: MIT */
/*
 * A region of virtual memory at L4 slot 32 with page tables of its own: one table of each level,
 * linked into the kernel's L4, all entries of the L1 free. For guests that edit page tables.
 */
#pragma once
#include "kit.h"

#define REGION_SLOT 32UL
static uint64_t *region_l1, *region_l2, *region_l3;

static inline volatile char *region(unsigned int i)
{
    return (volatile char *)((REGION_SLOT << 39) + i * PAGE);
}

static inline bool region_make(void)
{
    uint64_t *top = mfn_va(kit_top());

    region_l1 = kit_page();
    region_l2 = kit_page();
    region_l3 = kit_page();
    region_l2[0] = mfn_pte(va_mfn(region_l1), TAB_FLAGS);
    region_l3[0] = mfn_pte(va_mfn(region_l2), TAB_FLAGS);
    return !kit_set_ro(region_l1) && !kit_set_ro(region_l2) && !kit_set_ro(region_l3) &&
           !mmu_update1(va_maddr(&top[REGION_SLOT]), mfn_pte(va_mfn(region_l3), TAB_FLAGS));
}
