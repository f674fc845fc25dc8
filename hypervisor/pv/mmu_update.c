/* SPDX-License-Identifier: MIT */
/*
 * mmu_update and update_va_mapping: changing page-table entries, and the machine-to-physical table. The hottest
 * calls of a PV guest: 1.5 million in one run of boot and a few guests.
 */
#include "domain.h"
#include "lib.h"
#include "log.h"
#include "logdirty.h"
#include "pgt_update.h"
#include "port.h"
#include "x86/guest.h"
#include "x86/hypercalls.h"
#include "x86/mm.h"
#include "x86/pv.h"
#include "x86/pv_mm.h"

#define BATCH 32         /* requests fetched at a time */
#define CONTINUED BIT(31) /* in the count: the ABI's mark of a call that goes on */

struct targets {
    struct domain *table; /* whose page tables are written (a reference, or NULL: ourselves) */
    struct domain *frame; /* whose frames are mapped (likewise) */
};

/* The foreign domain of a call: low half the owner of the frames, high half (minus one) that of the tables. */
static int targets_get(struct vcpu *v, uint64_t foreigndom, struct targets *t)
{
    uint32_t table = (uint32_t)foreigndom >> 16, frame = foreigndom & 0xffff;

    t->table = t->frame = NULL;
    if (table) {
        t->table = domain_get_self(v, (uint16_t)(table - 1));
        if (!t->table)
            return -XEN_ESRCH;
        if (t->table != v->domain && !v->domain->privileged) {
            domain_put(t->table);
            return -XEN_EPERM;
        }
    }
    if (frame == DOMID_SELF)
        return 0;
    t->frame = pv_domain_get(v, (uint16_t)frame);
    if (t->frame)
        return 0;
    if (t->table)
        domain_put(t->table);
    return -XEN_ESRCH;
}

static void targets_put(struct targets *t)
{
    if (t->table)
        domain_put(t->table);
    if (t->frame)
        domain_put(t->frame);
}

/* The table last written, kept for the next request: guests update runs of one table. */
struct table_cache {
    struct page *pg;
    uint64_t mfn_val;
};

static void cache_drop(struct vcpu *v, struct table_cache *c)
{
    if (!c->pg)
        return;
    pgt_release_table(v, c->pg);
    put_page(c->pg);
    c->pg = NULL;
}

static int cache_get(struct vcpu *v, struct table_cache *c, uint64_t mfn_val, struct domain *d)
{
    int rc;

    if (c->pg && c->mfn_val == mfn_val)
        return 0;
    cache_drop(v, c);
    c->pg = get_page_of_mfn(mfn(mfn_val), d);
    if (!c->pg)
        return -XEN_EINVAL;
    rc = pgt_hold_table(c->pg);
    if (rc) {
        put_page(c->pg);
        c->pg = NULL;
        return rc;
    }
    c->mfn_val = mfn_val;
    return 0;
}

/* A frame that is no page table in use: an ordinary 8-byte write, if the guest may write it. */
static int write_plain(struct domain *d, uint64_t mfn_val, unsigned index, uint64_t val)
{
    struct page *pg = get_page_of_mfn(mfn(mfn_val), d);
    uint64_t *p;
    int rc;

    if (!pg)
        return -XEN_EINVAL;
    rc = pgt_get(pg, PGT_WRITABLE, true);
    if (!rc) {
        p = map_frame(mfn_of(pg));
        WRITE_ONCE(p[index], val);
        unmap_frame(p);
        page_dirtied(pg);
        pgt_put(pg, false);
    }
    put_page(pg);
    return rc;
}

static int m2p_update(struct domain *d, uint64_t mfn_val, uint64_t gpfn)
{
    struct page *pg = get_page_of_mfn(mfn(mfn_val), d);

    if (!pg)
        return -XEN_EINVAL;
    domain_m2p_set(d, mfn_of(pg), gpfn);
    put_page(pg);
    return 0;
}

static int one_update(struct vcpu *v, const struct targets *t, struct table_cache *c,
                      const struct mmu_update *u)
{
    struct domain *ptd = t->table ? t->table : v->domain, *pgd = t->frame ? t->frame : ptd;
    uint64_t at = u->ptr & ~3UL, cmd = u->ptr & 3;
    int rc;

    if (unlikely(cmd == MMU_MACHPHYS_UPDATE))
        return m2p_update(pgd, at >> FRAME_SHIFT, u->val);
    if (unlikely((at & 7) || at >> 52))
        return -XEN_EINVAL;
    if (cmd == MMU_PT_UPDATE_NO_TRANSLATE)
        cmd = MMU_NORMAL_PT_UPDATE;
    rc = cache_get(v, c, at >> FRAME_SHIFT, ptd);
    if (unlikely(rc))
        return rc == -XEN_EINVAL && pgd == ptd
                   ? write_plain(ptd, at >> FRAME_SHIFT, (at & 0xfff) / 8, u->val)
                   : rc;
    return pgt_update(v, c->pg, (at & 0xfff) / 8, u->val, pgd, cmd == MMU_PT_UPDATE_PRESERVE_AD);
}

/* `done` requests from the front of the array have been carried out. */
static int run_batch(struct vcpu *v, const struct targets *t, struct table_cache *c,
                     struct mmu_update *u, unsigned n, unsigned *done)
{
    for (unsigned i = 0; i < n; i++) {
        int rc = one_update(v, t, c, &u[i]);

        if (unlikely(rc))
            return rc;
        ++*done;
        if (unlikely(to_x86(v)->drain)) /* finished before the next one, or before the guest goes on */
            return -XEN_ERESTART;
    }
    return 0;
}

long do_mmu_update(struct vcpu *v, uint64_t ureqs, uint64_t count, uint64_t pdone, uint64_t foreigndom,
                   uint64_t a5)
{
    unsigned n = (unsigned)count & ~(unsigned)CONTINUED, done = 0, total = 0;
    struct mmu_update u[BATCH];
    struct table_cache cache = {0};
    struct targets t;
    int rc = pgt_finish_drain(v);

    if (unlikely(rc))
        return hcall_again(v, __HYPERVISOR_mmu_update, ureqs, count, pdone, foreigndom, 0);
    if (unlikely((count & CONTINUED) && pdone) && get_guest(total, guest_ptr(pdone)))
        return -XEN_EFAULT;
    rc = targets_get(v, foreigndom, &t);
    if (rc)
        return rc;
    while (done < n && !rc) {
        unsigned k = MIN(n - done, BATCH), in_batch = 0;

        if (done && preempt_needed()) {
            rc = -XEN_ERESTART;
            break;
        }
        rc = copy_from_guest(u, guest_ptr(ureqs + done * sizeof(u[0])), k * sizeof(u[0]));
        if (!rc)
            rc = run_batch(v, &t, &cache, u, k, &in_batch);
        done += in_batch;
    }
    cache_drop(v, &cache);
    targets_put(&t);
    total += done;
    if (unlikely(pdone) && put_guest(guest_ptr(pdone), total))
        rc = rc ? rc : -XEN_EFAULT;
    if (rc == -XEN_ERESTART)
        return hcall_again(v, __HYPERVISOR_mmu_update, ureqs + done * sizeof(u[0]),
                           (n - done) | CONTINUED, pdone, foreigndom, 0);
    return rc;
}

/* --- update_va_mapping -------------------------------------------------------------------------- */

static int flush_flags(struct vcpu *v, uint64_t va, uint64_t flags)
{
    uint64_t where = flags & ~(uint64_t)UVMF_FLUSHTYPE_MASK;
    uint64_t mask[MAX_CPUS / 64];

    switch (flags & UVMF_FLUSHTYPE_MASK) {
    case UVMF_NONE:
        return 0;
    case UVMF_TLB_FLUSH:
        if (where == UVMF_LOCAL) {
            tlb_flush_guest_local();
            return 0;
        }
        break;
    case UVMF_INVLPG:
        if (where == UVMF_LOCAL) {
            pv_invlpg(va);
            return 0;
        }
        break;
    default:
        return -XEN_EINVAL;
    }
    if (where == UVMF_ALL)
        pv_cpus_of_all(v->domain, mask);
    else if (pv_cpus_of_bitmap(v->domain, guest_ptr(where), mask))
        return -XEN_EFAULT;
    if ((flags & UVMF_FLUSHTYPE_MASK) == UVMF_TLB_FLUSH)
        tlb_flush_cpus(mask);
    else
        tlb_flush_page_cpus(mask, va);
    return 0;
}

static long va_mapping(struct vcpu *v, uint64_t va, uint64_t val, uint64_t flags, struct domain *pgd)
{
    unsigned index;
    struct page *l1 = pv_lookup_l1(v, va, &index);
    int rc, frc;

    if (unlikely(!l1))
        return -XEN_EINVAL;
    rc = pgt_update(v, l1, index, val, pgd, false);
    pgt_release_table(v, l1);
    put_page(l1);
    frc = flush_flags(v, va, flags);
    return rc ? rc : frc;
}

long do_update_va_mapping(struct vcpu *v, uint64_t va, uint64_t val, uint64_t flags, uint64_t a4,
                          uint64_t a5)
{
    long rc = pgt_finish_drain(v);

    if (!rc)
        rc = va_mapping(v, va, val, flags, v->domain);
    if (unlikely(rc == -XEN_ERESTART))
        return hcall_again(v, __HYPERVISOR_update_va_mapping, va, val, flags, 0, 0);
    return rc;
}

long do_update_va_mapping_otherdomain(struct vcpu *v, uint64_t va, uint64_t val, uint64_t flags,
                                      uint64_t domid, uint64_t a5)
{
    struct domain *pgd = pv_domain_get(v, (uint16_t)domid);
    long rc;

    if (!pgd)
        return -XEN_ESRCH;
    rc = pgt_finish_drain(v);
    if (!rc)
        rc = va_mapping(v, va, val, flags, pgd);
    domain_put(pgd);
    if (rc == -XEN_ERESTART)
        return hcall_again(v, __HYPERVISOR_update_va_mapping_otherdomain, va, val, flags, domid, 0);
    return rc;
}
