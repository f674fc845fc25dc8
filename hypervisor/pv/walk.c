/* SPDX-License-Identifier: MIT */
/*
 * Walking the page tables that the current vCPU runs on. The tables cannot be freed while we look: its root
 * is held, and every present entry of a valid table holds what it points to; another vCPU may drop an entry
 * meanwhile, so the last step takes real references. The guest that races with itself may get another page or
 * table of its own than va maps, never somebody else's.
 */
#include "domain.h"
#include "lib.h"
#include "pgt.h"
#include "pgt_update.h"
#include "port.h"
#include "x86/cpu.h"
#include "x86/guest.h"
#include "x86/mm.h"
#include "x86/pv.h"

static uint64_t entry_at(uint64_t table_pa, unsigned i)
{
    return READ_ONCE(((const uint64_t *)direct_map(table_pa))[i]);
}

/* One step down: the address of the table that entry i of the table at pa names, 0 if there is none. Only what is
 * a frame in use may be read: another vCPU may have freed a table and got its frame back as memory to write, and
 * the direct map has no mapping for holes between RAM. Holes never have a reference. */
static inline uint64_t next_table(uint64_t pa, unsigned i)
{
    uint64_t e = entry_at(pa, i), next = e & PTE_ADDR_MASK;

    if (unlikely((e & (PTE_P | PTE_PSE)) != PTE_P) || unlikely(!mfn_valid(mfn_of_paddr(next))) ||
        unlikely(!READ_ONCE(page_of(mfn_of_paddr(next))->count)))
        return 0;
    return next;
}

/* Physical address of the level-1 table, 0 if there is none. */
static uint64_t l1_table_in(uint64_t root_pa, uint64_t va)
{
    uint64_t pa = next_table(root_pa, (va >> 39) & 511);

    if (likely(pa))
        pa = next_table(pa, (va >> 30) & 511);
    if (likely(pa))
        pa = next_table(pa, (va >> 21) & 511);
    return pa;
}

/* The current vCPU's own tables. The processor may be on mirrors of them (mirror.c). */
static mfn_t root_of(const struct vcpu *v)
{
    const struct x86_vcpu *xv = to_x86(v);

    return xv->kernel_mode ? xv->root : xv->root_user;
}

static bool guest_va(uint64_t va)
{
    return (va < HYP_VIRT_START && va < BIT(47)) || va >= HYP_VIRT_END;
}

struct page *pv_lookup_va(struct vcpu *v, uint64_t va, uint64_t *pte)
{
    return pv_lookup_va_in(v, root_of(v), va, pte);
}

struct page *pv_lookup_va_in(struct vcpu *v, mfn_t root, uint64_t va, uint64_t *pte)
{
    uint64_t l1, e;

    if (!guest_va(va))
        return NULL;
    l1 = l1_table_in(paddr_of_mfn(root), va);
    if (!l1)
        return NULL;
    e = entry_at(l1, L1_INDEX(va));
    if (!(e & PTE_P))
        return NULL;
    *pte = e;
    return get_page_of_mfn(mfn_of_paddr(e & PTE_ADDR_MASK), v->domain);
}

struct page *pv_hold_l1(struct vcpu *v, mfn_t m)
{
    struct page *pg = get_page_of_mfn(m, v->domain);

    if (!pg)
        return NULL;
    if (pgt_hold_table(pg)) {
        put_page(pg);
        return NULL;
    }
    if ((READ_ONCE(pg->type) & PGT_TYPE_MASK) != PGT_L1) {
        pgt_release_table(v, pg);
        put_page(pg);
        return NULL;
    }
    return pg;
}

struct page *pv_lookup_l1(struct vcpu *v, uint64_t va, unsigned *index)
{
    uint64_t l1;

    if (!guest_va(va))
        return NULL;
    l1 = l1_table_in(paddr_of_mfn(root_of(v)), va);
    if (!l1)
        return NULL;
    *index = L1_INDEX(va);
    return pv_hold_l1(v, mfn_of_paddr(l1));
}
