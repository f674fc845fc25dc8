/* SPDX-License-Identifier: MIT */
/*
 * Where everything lies in a new 64-bit PV guest, and its first page tables. Pure arithmetic: no hypervisor is asked.
 *
 * In pseudo-physical frames, from low to high (all but the first and the last two packed together):
 *
 *   0 .. | kernel | (initrd) | (p2m) | start_info | store | console | tables | stack | 512 KiB spare |
 *        | p2m and its tables | initrd |
 *
 * The region up to the spare, rounded up to 4 MiB, is mapped at virt_base. The p2m list and the initrd lie in it only if the
 * kernel's notes do not say that it finds them elsewhere (INIT_P2M: mapped at that address; MOD_START_PFN: not mapped).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <xen/xen.h>

#include "build_image.h"

struct table_range {       /* of one level: tables number lo..hi (virtual address / what one covers), hi < lo: none */
    uint64_t lo, hi;
    uint64_t pfn;          /* frame of table lo */
};

struct pv_layout {
    uint64_t virt_base, pages;                  /* pages: all of the domain's */
    uint64_t kernel_pfn, kernel_pages;
    uint64_t initrd_pfn, initrd_pages;
    bool initrd_by_pfn;
    uint64_t p2m_virt, p2m_pfn, p2m_pages;
    bool p2m_apart;                             /* at the kernel's INIT_P2M */
    uint64_t start_info_pfn, store_pfn, console_pfn, stack_pfn;
    uint64_t table_pfn, n_tables;               /* the first is the level-4 table */
    uint64_t p2m_table_pfn, n_p2m_tables;
    uint64_t region_pages;                      /* mapped at virt_base */
    uint64_t apart_pfn;                         /* first frame after the spare */
    uint64_t end_pfn;                           /* first frame that nothing uses */
    struct table_range region[4], apart[4];     /* by level - 1 */
};

/* -ENOMEM if `pages` are too few, with the least number of MiB in the text. */
int layout_make(struct pv_layout *l, const struct image *im, uint64_t pages, uint64_t initrd_bytes);

/* A frame of the first page tables: the guest may only read it. */
bool layout_is_table(const struct pv_layout *l, uint64_t pfn);

/*
 * Writes all tables. mfns[pfn] for all pages of the domain; tables[] and p2m_tables[] are where the frames from table_pfn and
 * p2m_table_pfn on are mapped here, with any content.
 */
void tables_write(const struct pv_layout *l, const xen_pfn_t *mfns, uint64_t *tables, uint64_t *p2m_tables);

static inline uint64_t layout_virt(const struct pv_layout *l, uint64_t pfn)
{
    return l->virt_base + pfn * 4096;
}
