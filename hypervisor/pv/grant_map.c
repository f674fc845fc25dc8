/* SPDX-License-Identifier: MIT */
/*
 * Grant mappings in a PV guest's page tables. The entry holds references of its own, like any other mapping of a
 * foreign frame, besides those of the grant handle: a guest that overwrites the entry drops the entry's, and the
 * handle's go with the unmap. So neither order of events loses count.
 *
 * What must hold: no more entries map a granted frame than there are handles to it. Else the granting guest would be
 * told that its page is unused while the other one still reads or writes it. So an unmap takes exactly one entry that
 * maps the frame, by compare-and-exchange, even if two vCPUs name the same one at once; and no entry is copied.
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

#define TRIES 64 /* as pgt_update() has */

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

static uint64_t entry_read(const struct page *pg, unsigned index)
{
    const uint64_t *t = map_frame(mfn_of(pg));
    uint64_t e = READ_ONCE(t[index]);

    unmap_frame(t);
    return e;
}

static bool entry_maps(uint64_t e, mfn_t m)
{
    return (e & PTE_P) && (e & PTE_ADDR_MASK) == paddr_of_mfn(m);
}

/* An entry that maps m becomes `now`. The processor may set bits in it meanwhile, another vCPU may change it. */
static int entry_take(struct vcpu *v, struct page *pg, unsigned index, mfn_t m, uint64_t now)
{
    uint64_t old = entry_read(pg, index);
    int rc = -XEN_EAGAIN;

    for (unsigned i = 0; i < TRIES && rc == -XEN_EAGAIN; i++) {
        if (!entry_maps(old, m))
            return -XEN_EINVAL;
        rc = pgt_update_if(v, pg, index, &old, now);
    }
    return rc;
}

/* What the ABI moves to the old entry's place: a mapping of another frame, the guest's own. */
static int replacement(struct vcpu *v, uint64_t new_addr, mfn_t m, uint64_t *pte)
{
    unsigned index;
    struct page *pg;

    *pte = 0;
    if (!new_addr)
        return 0;
    pg = pv_lookup_l1(v, new_addr, &index);
    if (!pg)
        return -XEN_EINVAL;
    *pte = entry_read(pg, index);
    entry_done(v, pg);
    return entry_maps(*pte, m) ? -XEN_EINVAL : 0;
}

/* It is taken from there, after the new one holds the frame. */
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

/* After the entry is gone, the handle is too, whatever happens to the other one: that is the guest's own. */
int arch_grant_unmap(struct vcpu *v, uint64_t host_addr, mfn_t m, unsigned flags, uint64_t new_addr)
{
    unsigned index;
    uint64_t pte;
    struct page *pg = entry_find(v, host_addr, flags, &index);
    int rc;

    if (!pg)
        return GNTST_general_error;
    rc = replacement(v, new_addr, m, &pte);
    if (!rc)
        rc = entry_take(v, pg, index, m, pte);
    entry_done(v, pg);
    if (rc)
        return GNTST_general_error;
    (void)replacement_clear(v, new_addr);
    return GNTST_okay;
}
