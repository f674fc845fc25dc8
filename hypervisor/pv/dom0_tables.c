/* SPDX-License-Identifier: MIT */
/*
 * Domain 0's first page tables: the bootstrap region, the p2m list where the kernel wants it, the
 * hypervisor's slots. Only 4 KiB leaf entries; the tables' own frames are read-only in the region,
 * as page-table frames must be. Linux copies the region's L2 into its own tables, so every L1 is
 * complete. Tables of the p2m come from the p2m's pfn range and are mapped nowhere.
 *
 * Nothing here is trusted afterwards: dom0_pin_tables() has them validated like any guest's.
 */
#include "dom0.h"
#include "lib.h"
#include "log.h"
#include "page.h"
#include "pgt.h"

#define TABLE_FLAGS (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D)
#define PAGE_FLAGS (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D)
#define RO_FLAGS (PTE_P | PTE_US | PTE_A)

/* Page-table frames not yet used. */
struct table_pool {
    uint64_t pfn, end;
};

uint64_t dom0_tables_needed(uint64_t start, uint64_t end, bool with_l4)
{
    uint64_t n = with_l4, last = end - 1;

    for (unsigned shift = 21; shift <= 39; shift += 9)
        n += (last >> shift) - (start >> shift) + 1;
    return n;
}

static mfn_t table_new(struct dom0_build *b, struct table_pool *pool)
{
    mfn_t m;
    void *t;

    BUG_ON(pool->pfn >= pool->end); /* counted by dom0_tables_needed() */
    m = dom0_mfn(b, pool->pfn++);
    t = map_frame(m);
    memset(t, 0, FRAME_SIZE);
    unmap_frame(t);
    return m;
}

/* The table one level below entry `i` of table m, made if need be. */
static mfn_t table_below(struct dom0_build *b, struct table_pool *pool, mfn_t m, uint64_t i)
{
    uint64_t *t = map_frame(m), e = t[i];

    if (!(e & PTE_P)) {
        e = paddr_of_mfn(table_new(b, pool)) | TABLE_FLAGS;
        t[i] = e;
    }
    unmap_frame(t);
    return mfn_of_paddr(e & PTE_ADDR_MASK);
}

/* Map nr pfns from `pfn` at va, 512 at most in one step; those in [ro, ro_end) read-only. */
static void pages_map(struct dom0_build *b, struct table_pool *pool, uint64_t va, uint64_t pfn,
                      uint64_t nr, uint64_t ro, uint64_t ro_end)
{
    while (nr) {
        mfn_t m = table_below(b, pool, b->l4, L4_INDEX(va));
        uint64_t *l1, first = L1_INDEX(va), k = MIN(nr, 512 - first);

        m = table_below(b, pool, m, L3_INDEX(va));
        m = table_below(b, pool, m, L2_INDEX(va));
        l1 = map_frame(m);
        for (uint64_t i = 0; i < k; i++, pfn++)
            l1[first + i] = paddr_of_mfn(dom0_mfn(b, pfn)) |
                            (pfn >= ro && pfn < ro_end ? RO_FLAGS : PAGE_FLAGS);
        unmap_frame(l1);
        va += k << FRAME_SHIFT;
        nr -= k;
    }
}

int dom0_build_tables(struct dom0_build *b)
{
    uint64_t pt = dom0_va_pfn(b, b->pt_va);
    struct table_pool pool = {pt, pt + b->nr_pt};
    uint64_t *l4;

    b->l4 = table_new(b, &pool);
    pages_map(b, &pool, b->v_start, 0, (b->v_end - b->v_start) >> FRAME_SHIFT, pt, pt + b->nr_pt);
    BUG_ON(pool.pfn != pool.end);
    if (b->p2m_tables) {
        uint64_t list = b->p2m_pages - b->p2m_tables;

        pool = (struct table_pool){b->p2m_pfn + list, b->p2m_pfn + b->p2m_pages};
        pages_map(b, &pool, b->p2m_va, b->p2m_pfn, list, 0, 0);
        BUG_ON(pool.pfn != pool.end);
    }
    l4 = map_frame(b->l4);
    hyp_l4_install(l4);
    unmap_frame(l4);
    return 0;
}

/* Two typed references: the pin (as if dom0 had asked for it) and vCPU 0's root. */
int dom0_pin_tables(struct dom0_build *b)
{
    struct page *pg = page_of(b->l4);

    for (unsigned i = 0; i < 2; i++) {
        int rc = pgt_get_page(pg, b->d, PGT_L4, false); /* at boot nobody waits */

        if (rc) {
            log_err("dom0: its first page tables were refused (%d): a bug of the builder\n", rc);
            return rc;
        }
    }
    __atomic_fetch_or(&pg->type, PGT_PINNED, __ATOMIC_SEQ_CST);
    b->d->pt_pins++;
    return 0;
}
