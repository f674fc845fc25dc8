/* SPDX-License-Identifier: MIT */
/*
 * What a page-table entry of a PV guest may be, and the references it holds.
 *
 *   L1   a frame of RAM of the right domain: a reference, and the WRITABLE type if it is writable;
 *        or device memory that the domain may use: no reference (there is nothing to count).
 *   L2-4 a table one level down, of the same domain: a reference and its type.
 *   L2-4 the table itself, not writable ("linear" mapping): nothing.
 *
 * Every present entry gets the user bit, because PV kernels run in ring 3. Global is taken away, because the
 * kernel's own translations must not survive the switch to user mode.
 */
#include "abi.h"
#include "domain.h"
#include "lib.h"
#include "logdirty.h"
#include "pgt_private.h"
#include "port.h"
#include "x86/guest.h"

#define PTE_SOFT (BIT(9) | BIT(10) | BIT(11))
/* Ignored by the processor; newer Linux keeps bits of its own there. (59-62 would be protection keys.) */
#define PTE_SOFT_HIGH (0x7fULL << 52)
#define FLAGS_L1 (PTE_P | PTE_RW | PTE_US | PTE_PWT | PTE_PCD | PTE_A | PTE_D | PTE_PAT | PTE_G | PTE_SOFT | \
                  PTE_SOFT_HIGH)
#define FLAGS_UPPER (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D | PTE_SOFT | PTE_SOFT_HIGH)
#define PTE_CACHE (PTE_PWT | PTE_PCD | PTE_PAT)

static mfn_t target(uint64_t e)
{
    return mfn_of_paddr(e & PTE_ADDR_MASK);
}

static bool bits_allowed(uint64_t e, uint64_t flags)
{
    uint64_t addr = PTE_ADDR_MASK & ((1UL << cpu_features.phys_bits) - 1);

    if (cpu_features.nx)
        flags |= PTE_NX;
    return !(e & ~(addr | flags));
}

static bool is_ram(mfn_t m)
{
    struct page *pg;

    if (!mfn_valid(m))
        return false;
    pg = page_of(m);
    return READ_ONCE(pg->count) != 0 || (READ_ONCE(pg->flags) & PGF_FREE);
}

static int l1_get(struct domain *ptd, struct domain *pgd, uint64_t *e, bool may_stop)
{
    mfn_t m = target(*e);
    struct page *pg;
    int rc;

    if (unlikely(!bits_allowed(*e, FLAGS_L1)))
        return -XEN_EINVAL;
    *e = (*e | PTE_US) & ~PTE_G;
    if (likely(mfn_valid(m))) {
        pg = page_of_guest(m);
        if (likely(get_page(pg, pgd))) {
            if ((*e & PTE_CACHE) && !ptd->hardware) {
                put_page(pg);
                return -XEN_EINVAL;
            }
            if (!(*e & PTE_RW))
                return 0;
            rc = pgt_get(pg, PGT_WRITABLE, may_stop); /* may have to drain a leftover first */
            if (unlikely(rc))
                put_page(pg);
            return rc;
        }
        if (is_ram(m))
            return -XEN_EINVAL;
    }
    /* Not RAM: a device's. The owner of device memory is nominally dom_io; a domain may name itself. */
    if ((pgd == ptd || pgd == dom_io) && iomem_allowed(ptd, m.n, m.n))
        return 0;
    return -XEN_EINVAL;
}

void pgt_entry_foreign(const struct page *pt, uint64_t type, uint64_t e)
{
    struct page *pg;

    if (type != PGT_L1 || (e & (PTE_P | PTE_RW)) != (PTE_P | PTE_RW) || !mfn_valid(target(e)))
        return;
    pg = page_of_guest(target(e));
    if ((READ_ONCE(pg->count) & PGC_COUNT_MASK) && pg->owner != pt->owner)
        page_writer_add(pg);
}

static void l1_put(const struct domain *ptd, uint64_t e)
{
    mfn_t m = target(e);
    struct page *pg;

    if (!mfn_valid(m))
        return;
    pg = page_of(m);
    if (!(READ_ONCE(pg->count) & PGC_COUNT_MASK))
        return; /* device memory inside a section with RAM: never had a reference */
    if (e & PTE_RW) {
        if (unlikely(pg->writers) && pg->owner != ptd)
            page_writer_drop(pg);
        pgt_put(pg, false);
    }
    put_page(pg);
}

static int upper_get(struct page *pt, struct domain *ptd, uint64_t type, uint64_t *e, bool may_stop)
{
    mfn_t m = target(*e);

    if (!bits_allowed(*e, FLAGS_UPPER) || !mfn_valid(m))
        return -XEN_EINVAL;
    *e |= PTE_US;
    if (page_of_guest(m) == pt)
        return (*e & PTE_RW) ? -XEN_EINVAL : 0;
    return pgt_get_page(page_of_guest(m), ptd, type - PGT_L1, may_stop);
}

int pgt_entry_get(struct page *pt, struct domain *ptd, struct domain *pgd, uint64_t type, uint64_t *e,
                  bool may_stop)
{
    if (!(*e & PTE_P))
        return 0;
    if (type == PGT_L1)
        return l1_get(ptd, pgd, e, may_stop);
    if (pgd != ptd)
        return -XEN_EINVAL;
    return upper_get(pt, ptd, type, e, may_stop);
}

int pgt_entry_put(struct page *pt, struct domain *ptd, uint64_t type, uint64_t e, bool may_stop)
{
    struct page *pg;

    if (!(e & PTE_P))
        return 0;
    if (type == PGT_L1) {
        l1_put(ptd, e);
        return 0;
    }
    pg = page_of(target(e));
    if (pg == pt)
        return 0;
    return pgt_put_page(pg, may_stop && type != PGT_L2);
}
