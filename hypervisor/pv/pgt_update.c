/* SPDX-License-Identifier: MIT */
/*
 * One entry of a live page table changes: by mmu_update, update_va_mapping, a trapped write, or a grant
 * mapping. See pgt.c for the order of things.
 */
#include "abi.h"
#include "domain.h"
#include "lib.h"
#include "log.h"
#include "logdirty.h"
#include "pgt_private.h"
#include "pgt_update.h"
#include "port.h"
#include "x86/guest.h"
#include "x86/pv.h"

#define PTE_AD (PTE_A | PTE_D)
/* Entries that differ only in these need no new references. */
#define SAME_REFS (PTE_ADDR_MASK | PTE_P | PTE_RW)
/* A retry per bit the processor can set meanwhile, and some for other vCPUs. */
#define TRIES 64

static bool flags_fine(uint64_t type, uint64_t e, const struct domain *d)
{
    uint64_t bad = cpu_features.nx ? 0x7800000000000000ULL : 0xf800000000000000ULL;

    if (type == PGT_L1)
        return !(e & bad) && (d->hardware || !(e & (PTE_PWT | PTE_PCD | PTE_PAT)));
    return !(e & (bad | PTE_PWT | PTE_PCD | PTE_PSE | PTE_G));
}

static bool swap_entry(uint64_t *slot, uint64_t *old, uint64_t now)
{
    return __atomic_compare_exchange_n(slot, old, now, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* The entry has changed, its old references are still there: what is made from it must follow before they go. */
static void follow(struct page *pt, const uint64_t *slot)
{
    if (domain_logged(pt->owner))
        mirror_entry_changed(pt, ((uintptr_t)slot / sizeof(*slot)) & 511);
}

/* The old entry's references go; what is left over is remembered for the vCPU's next call (should something be
 * remembered already, the later leftover waits for the next user of its frame). */
static void drop_old(struct vcpu *v, struct page *pt, uint64_t type, uint64_t old)
{
    if (pgt_entry_put(pt, pt->owner, type, old, true) && !to_x86(v)->drain)
        to_x86(v)->drain = page_of(mfn_of_paddr(old & PTE_ADDR_MASK));
}

/* As pgt_update(), old value expected to be `old`: -XEN_EAGAIN when it is another (now in *seen). */
static int update_from(struct vcpu *v, struct page *pt, uint64_t *slot, uint64_t type, uint64_t old,
                       uint64_t now, struct domain *pgd, uint64_t *seen)
{
    int rc;

    *seen = old;
    if ((old & PTE_P) && (now & PTE_P) && !((old ^ now) & SAME_REFS) && flags_fine(type, now, pt->owner)) {
        now |= PTE_US;
        if (type == PGT_L1)
            now &= ~PTE_G;
        if (!swap_entry(slot, seen, now))
            return -XEN_EAGAIN;
        follow(pt, slot);
        return 0;
    }
    rc = pgt_entry_get(pt, pt->owner, pgd, type, &now, true);
    if (rc)
        return rc;
    if (unlikely(pgd != pt->owner))
        pgt_entry_foreign(pt, type, now);
    if (!swap_entry(slot, seen, now)) {
        drop_old(v, pt, type, now);
        return -XEN_EAGAIN;
    }
    follow(pt, slot);
    drop_old(v, pt, type, old);
    return 0;
}

int pgt_update(struct vcpu *v, struct page *pt, unsigned index, uint64_t now, struct domain *pgd,
               bool preserve_ad)
{
    uint64_t type = READ_ONCE(pt->type) & PGT_TYPE_MASK, *table, old, seen;
    int rc = -XEN_EAGAIN;

    if (type == PGT_L4 && pgt_slot_is_ours(index))
        return -XEN_EINVAL;
    table = map_frame(mfn_of(pt));
    old = READ_ONCE(table[index]);
    for (unsigned i = 0; i < TRIES && rc == -XEN_EAGAIN; i++) {
        uint64_t e = preserve_ad && (old & PTE_P) ? now | (old & PTE_AD) : now;

        rc = update_from(v, pt, &table[index], type, old, e, pgd, &seen);
        old = seen;
    }
    unmap_frame(table);
    return rc == -XEN_EAGAIN ? -XEN_EBUSY : rc;
}

int pgt_update_if(struct vcpu *v, struct page *pt, unsigned index, uint64_t *old, uint64_t now)
{
    uint64_t type = READ_ONCE(pt->type) & PGT_TYPE_MASK, *table;
    int rc;

    if (type == PGT_L4 && pgt_slot_is_ours(index))
        return -XEN_EINVAL;
    table = map_frame(mfn_of(pt));
    rc = update_from(v, pt, &table[index], type, *old, now, pt->owner, old);
    unmap_frame(table);
    return rc;
}

int pgt_emulated_write(struct vcpu *v, struct page *pg, unsigned index, uint64_t expect_old,
                       uint64_t new_val, bool cmpxchg, uint64_t *old)
{
    uint64_t type, *table;
    int rc = pgt_finish_drain(v);

    if (likely(!rc))
        rc = pgt_hold_table(pg);
    if (unlikely(rc))
        return rc;
    type = READ_ONCE(pg->type) & PGT_TYPE_MASK;
    table = map_frame(mfn_of(pg));
    if (type == PGT_L4 && pgt_slot_is_ours(index)) {
        rc = -XEN_EINVAL;
    } else {
        uint64_t from = cmpxchg ? expect_old : READ_ONCE(table[index]);

        rc = update_from(v, pg, &table[index], type, from, new_val, v->domain, old);
    }
    unmap_frame(table);
    pgt_release_table(v, pg);
    return rc;
}

/* A typed reference of whatever table type the page has now. The caller has a general one. */
int pgt_hold_table(struct page *pg)
{
    uint64_t x = __atomic_load_n(&pg->type, __ATOMIC_ACQUIRE);

    for (;;) {
        unsigned level = PGT_LEVEL(x);

        if (!(x & PGT_COUNT_MASK) || !(x & PGT_VALID) || level < 1 || level > 4)
            return -XEN_EINVAL;
        if (__atomic_compare_exchange_n(&pg->type, &x, x + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            return 0;
    }
}

void pgt_release_table(struct vcpu *v, struct page *pg)
{
    if (pgt_put(pg, true) && !to_x86(v)->drain)
        to_x86(v)->drain = pg;
}

int pgt_finish_drain(struct vcpu *v)
{
    struct x86_vcpu *xv = to_x86(v);
    int rc;

    if (likely(!xv->drain))
        return 0;
    rc = pgt_drain(xv->drain, true);
    if (!rc)
        xv->drain = NULL;
    return rc;
}
