/* SPDX-License-Identifier: MIT */
/*
 * Grant mappings in a PV guest's page tables. The entry holds references of its own, like any other mapping of a
 * foreign frame, besides those of the grant handle: a guest that overwrites the entry drops the entry's, and the
 * handle's go with the unmap. So neither order of events loses count.
 */
#include "domain.h"
#include "grant.h"
#include "lib.h"
#include "pgt_update.h"
#include "port.h"
#include "x86/guest.h"
#include "x86/mm.h"
#include "x86/pv.h"

#include <xen/grant_table.h>

/* The table that holds the entry which the caller means: by machine address of the entry, or by virtual address. */
static struct page *entry_find(struct vcpu *v, uint64_t host_addr, unsigned flags, unsigned *index)
{
    if (!(flags & GNTMAP_contains_pte))
        return pv_lookup_l1(v, host_addr, index);
    if (host_addr & 7)
        return NULL;
    *index = (unsigned)(host_addr & (FRAME_SIZE - 1)) / 8;
    return pv_hold_l1(v, mfn_of_paddr(host_addr));
}

static void entry_done(struct vcpu *v, struct page *pg)
{
    pgt_release_table(v, pg);
    put_page(pg);
}

int arch_grant_map(struct vcpu *v, uint64_t host_addr, mfn_t m, struct domain *owner, unsigned flags)
{
    uint64_t pte = paddr_of_mfn(m) | PTE_P | PTE_US | PTE_A;
    unsigned index;
    struct page *pg;
    int rc;

    if (!(flags & GNTMAP_readonly))
        pte |= PTE_RW | PTE_D;
    pte |= (uint64_t)((flags >> _GNTMAP_guest_avail0) & 7) << 9;
    pg = entry_find(v, host_addr, flags, &index);
    if (!pg)
        return GNTST_general_error;
    rc = pgt_update(v, pg, index, pte, owner, false);
    entry_done(v, pg);
    return rc ? GNTST_general_error : GNTST_okay;
}

static int replacement(struct vcpu *v, uint64_t new_addr, uint64_t *pte)
{
    unsigned index;
    struct page *pg;
    uint64_t *t;

    *pte = 0;
    if (!new_addr)
        return 0;
    pg = pv_lookup_l1(v, new_addr, &index);
    if (!pg)
        return -XEN_EINVAL;
    t = map_frame(mfn_of(pg));
    *pte = READ_ONCE(t[index]);
    unmap_frame(t);
    entry_done(v, pg);
    return 0;
}

/* The ABI moves the entry: it is taken from its old place, after the new one holds the frame. */
static int replacement_clear(struct vcpu *v, uint64_t new_addr)
{
    unsigned index;
    struct page *pg;
    int rc;

    if (!new_addr)
        return 0;
    pg = pv_lookup_l1(v, new_addr, &index);
    if (!pg)
        return -XEN_EINVAL;
    rc = pgt_update(v, pg, index, 0, v->domain, false);
    entry_done(v, pg);
    return rc;
}

int arch_grant_unmap(struct vcpu *v, uint64_t host_addr, mfn_t m, unsigned flags, uint64_t new_addr)
{
    unsigned index;
    uint64_t *t, old, pte;
    struct page *pg = entry_find(v, host_addr, flags, &index);
    int rc;

    if (!pg)
        return GNTST_general_error;
    t = map_frame(mfn_of(pg));
    old = READ_ONCE(t[index]);
    unmap_frame(t);
    if (!(old & PTE_P) || (old & PTE_ADDR_MASK) != paddr_of_mfn(m)) {
        entry_done(v, pg);
        return GNTST_general_error;
    }
    rc = replacement(v, new_addr, &pte);
    if (!rc)
        rc = pgt_update(v, pg, index, pte, v->domain, false);
    entry_done(v, pg);
    if (!rc)
        rc = replacement_clear(v, new_addr);
    return rc ? GNTST_general_error : GNTST_okay;
}
