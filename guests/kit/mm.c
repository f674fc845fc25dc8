/* SPDX-License-Identifier: MIT */
/*
 * Page tables of a test guest. The initial mapping is linear and covers the image, the frame list
 * and the page tables themselves, so every table can be read at VIRT_BASE + pfn * 4096; writes go
 * by hypercall.
 */
#include "kit.h"

static unsigned long mapped_pages(void)
{
    /* the initial mapping ends at a 4 MiB boundary, at least 512 KiB beyond the page tables */
    uint64_t end = kit_si->pt_base + kit_si->nr_pt_frames * PAGE + PAGE + 0x80000;
    return ((end - VIRT_BASE + 0x3fffff) & ~0x3fffffUL) / PAGE;
}

void *mfn_va(unsigned long mfn)
{
    unsigned long n = mapped_pages();

    for (unsigned long pfn = 0; pfn < n && pfn < kit_si->nr_pages; pfn++)
        if (kit_p2m[pfn] == mfn)
            return (void *)(VIRT_BASE + pfn * PAGE);
    return NULL;
}

uint64_t kit_top(void)
{
    return va_mfn((void *)kit_si->pt_base);
}

uint64_t *kit_pte(const void *va, int level)
{
    uint64_t *table = (uint64_t *)kit_si->pt_base;

    for (int l = 4;; l--) {
        uint64_t *e = &table[((uint64_t)va >> (12 + 9 * (l - 1))) & 511];
        if (l == level)
            return e;
        if (!(*e & PTE_P) || !(table = mfn_va((*e & PTE_ADDR) / PAGE)))
            return NULL;
    }
}

long update_va(const void *va, uint64_t pte, unsigned long flags)
{
    return HC3(update_va_mapping, va, pte, flags);
}

long mmu_update1(uint64_t ptr, uint64_t val)
{
    struct mmu_update u = {ptr, val};
    return HC4(mmu_update, &u, 1, NULL, DOMID_SELF);
}

long mmuext(unsigned int cmd, uint64_t arg1, uint64_t arg2)
{
    struct mmuext_op op = {.cmd = cmd};
    op.arg1.mfn = arg1;
    op.arg2.nr_ents = arg2;
    return HC4(mmuext_op, &op, 1, NULL, DOMID_SELF);
}

long kit_set_ro(void *va)
{
    return update_va(va, mfn_pte(va_mfn(va), PTE_RO), UVMF_INVLPG);
}

long kit_set_rw(void *va)
{
    return update_va(va, mfn_pte(va_mfn(va), PTE_KERN), UVMF_INVLPG);
}
