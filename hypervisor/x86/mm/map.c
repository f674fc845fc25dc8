/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's own page tables after boot: single pages, device memory, frames by the direct map, and
 * the machine-to-physical table. The tables below slots 256..271 are shared by all address spaces, so a change
 * is seen everywhere at once; level-4 entries are all made at boot (hyp_map never adds one later).
 */
#include "lib.h"
#include "lock.h"
#include "log.h"
#include "port.h"
#include "x86/cpu.h"
#include "x86/image.h"
#include "x86/mm.h"

static struct spinlock map_lock = SPINLOCK_INIT("map", RANK_HYPMAP);

static uint64_t *table_of(uint64_t *entry, bool make)
{
    if (!(*entry & PTE_P)) {
        mfn_t m;

        if (!make)
            return NULL;
        m = frames_alloc(0, 0);
        if (mfn_eq(m, INVALID_MFN))
            return NULL;
        memset(map_frame(m), 0, FRAME_SIZE);
        WRITE_ONCE(*entry, paddr_of_mfn(m) | PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D);
    }
    if (*entry & PTE_PSE)
        return NULL;
    return direct_map(*entry & PTE_ADDR_MASK);
}

static uint64_t *walk(uint64_t va, bool make)
{
    uint64_t *l3 = table_of(&hyp_l4[L4_INDEX(va)], make), *l2;

    if (!l3)
        return NULL;
    l2 = table_of(&l3[L3_INDEX(va)], make);
    return l2 ? table_of(&l2[L2_INDEX(va)], make) : NULL;
}

uint64_t *hyp_l1_of(uint64_t va)
{
    return walk(va, true);
}

bool hyp_mapped(uint64_t va)
{
    uint64_t e = hyp_l4[L4_INDEX(va)];

    for (int shift = 30; shift >= 12; shift -= 9) {
        if (!(e & PTE_P))
            return false;
        e = ((uint64_t *)direct_map(e & PTE_ADDR_MASK))[(va >> shift) & 511];
        if (shift > 12 && (e & PTE_P) && (e & PTE_PSE))
            return true;
    }
    return e & PTE_P;
}

uint64_t hyp_frame_of(uint64_t va)
{
    uint64_t e = hyp_l4[L4_INDEX(va)];

    for (int shift = 30; shift >= 12; shift -= 9) {
        e = ((uint64_t *)direct_map(e & PTE_ADDR_MASK))[(va >> shift) & 511];
        if (shift > 12 && (e & PTE_PSE))
            return ((e & PTE_ADDR_MASK) + (va & ((1UL << shift) - 1))) >> FRAME_SHIFT;
    }
    return (e & PTE_ADDR_MASK) >> FRAME_SHIFT;
}

bool hyp_map(uint64_t va, mfn_t m, uint64_t flags)
{
    uint64_t *l1;

    spin_lock(&map_lock);
    l1 = walk(va, true);
    if (l1)
        WRITE_ONCE(l1[L1_INDEX(va)], paddr_of_mfn(m) | flags | PTE_P | PTE_A | PTE_D);
    spin_unlock(&map_lock);
    return l1 != NULL;
}

void hyp_unmap(uint64_t va)
{
    uint64_t *l1 = walk(va, false);

    if (l1)
        WRITE_ONCE(l1[L1_INDEX(va)], 0);
    invlpg(va);
}

void hyp_l4_install(uint64_t *l4)
{
    /* User access only to the M2P: a guest may map its level-4 table into itself (read-only), which makes of
     * these entries mappings of our tables. */
    for (unsigned i = HYP_L4_FIRST; i <= HYP_L4_LAST; i++)
        l4[i] = i == L4_INDEX(M2P_RO_VIRT) ? hyp_l4[i] : hyp_l4[i] & ~PTE_US;
}

/* Every level-4 slot of ours exists before the first guest table is made. */
void hyp_slots_init(void)
{
    for (unsigned i = HYP_L4_FIRST; i <= HYP_L4_LAST; i++)
        BUG_ON(!table_of(&hyp_l4[i], true));
}

/* --- Device memory: a bump region; freed pages are only unmapped (few and rare). --- */

static uint64_t vmap_next = VMAP_VIRT;

void *ioremap(paddr_t pa, size_t bytes, uint64_t cache)
{
    uint64_t off = pa & (FRAME_SIZE - 1), pages = (off + bytes + FRAME_SIZE - 1) >> FRAME_SHIFT, va;

    spin_lock(&map_lock);
    va = vmap_next;
    vmap_next += (pages + 1) << FRAME_SHIFT; /* a hole after each */
    spin_unlock(&map_lock);
    if (va + (pages << FRAME_SHIFT) > VMAP_VIRT + VMAP_SIZE)
        return NULL;
    for (uint64_t i = 0; i < pages; i++)
        if (!hyp_map(va + (i << FRAME_SHIFT), mfn_add(mfn_of_paddr(pa), i),
                     PTE_RW | cache | (cpu_features.nx ? PTE_NX : 0)))
            return NULL;
    return (void *)(va + off);
}

void iounmap(void *va, size_t bytes)
{
    uint64_t first = (uint64_t)va & FRAME_MASK, last = (uint64_t)va + bytes;

    for (; first < last; first += FRAME_SIZE)
        hyp_unmap(first);
}

void *map_physical(paddr_t pa, size_t bytes)
{
    bool direct = true;

    for (paddr_t p = pa & FRAME_MASK; p < pa + bytes; p += FRAME_SIZE)
        direct &= p < DIRECT_SIZE && hyp_mapped(DIRECT_VIRT + p);
    return direct ? direct_map(pa) : ioremap(pa, bytes, MAP_WB);
}

void unmap_physical(void *va, size_t bytes)
{
    if ((uint64_t)va < DIRECT_VIRT)
        iounmap(va, bytes);
}

/* --- port.h --- */

void *map_frame(mfn_t m)
{
    return direct_map(paddr_of_mfn(m));
}

void unmap_frame(const void *va)
{
}

void m2p_set(mfn_t m, uint64_t pfn)
{
    ((uint64_t *)M2P_RW_VIRT)[m.n] = pfn;
}

uint64_t m2p_get(mfn_t m)
{
    return ((uint64_t *)M2P_RW_VIRT)[m.n];
}

mfn_t map_frame_mfn(const void *va)
{
    return mfn_of_paddr(direct_paddr(va));
}
