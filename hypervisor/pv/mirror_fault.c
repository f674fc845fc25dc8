/* SPDX-License-Identifier: MIT */
/*
 * A page fault on mirrors: is it one that the guest's own tables would not have caused? Then the accessed and dirty
 * bits are set there as the processor would, what is written is marked, and the way through the mirrors is filled in.
 */
#include "mirror.h"

#include "lib.h"
#include "log.h"
#include "port.h"
#include "x86/pv.h"

#define PF_PRESENT 1
#define PF_WRITE 2
#define PF_FETCH 16

/* The way through the guest's tables: [1] the last one. */
struct path {
    mfn_t table[5];
    uint64_t entry[5];
    unsigned index[5];
};

/* Do the guest's tables map va? Its entries as they are now. Under the lock. */
static bool path_find(const struct domain *d, mfn_t root, uint64_t va, struct path *p)
{
    mfn_t table = root;

    for (unsigned level = 4; level >= 1; level--) {
        const uint64_t *t;

        if (!mfn_valid(table) || !mirror_table_live(d, table, level))
            return false;
        p->table[level] = table;
        p->index[level] = (va >> (FRAME_SHIFT + 9 * (level - 1))) & 511;
        t = map_frame(table);
        p->entry[level] = READ_ONCE(t[p->index[level]]);
        unmap_frame(t);
        if (!(p->entry[level] & PTE_P))
            return false;
        table = entry_target(p->entry[level]);
    }
    return true;
}

static bool path_allows(const struct path *p, uint32_t error)
{
    for (unsigned level = 4; level >= 1; level--) {
        if ((error & PF_WRITE) && !(p->entry[level] & PTE_RW))
            return false;
        if ((error & PF_FETCH) && (p->entry[level] & PTE_NX))
            return false;
    }
    return true;
}

/* As the processor does it: bits are added to an entry that still is what was seen. false: it is another now. */
static bool bits_set(struct logdirty *ld, struct path *p, unsigned level, uint64_t bits)
{
    uint64_t e = p->entry[level], *t;
    bool ok;

    if ((e & bits) == bits)
        return true;
    t = map_frame(p->table[level]);
    ok = __atomic_compare_exchange_n(&t[p->index[level]], &e, e | bits, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST);
    unmap_frame(t);
    if (!ok)
        return false;
    p->entry[level] |= bits;
    logdirty_mark_pfn(ld, m2p_get(p->table[level]));
    return true;
}

/* A new mirror of a last-level table gets all that it may have at once: one fault instead of hundreds. */
static void prefill(struct logdirty *ld, struct mirror *m)
{
    const struct page *pt = page_of(mirror_table(m));
    const uint64_t *g = map_frame(mirror_table(m));

    for (unsigned i = 0; i < 512; i++) {
        uint64_t e = READ_ONCE(g[i]);

        if ((e & (PTE_P | PTE_A)) == (PTE_P | PTE_A) && !(PGT_LEVEL(pt->type) == 4 && pgt_slot_is_ours(i)))
            mirror_leaf_set(m, i, mirror_leaf(ld, pt, e));
    }
    unmap_frame(g);
}

static struct mirror *step_down(struct logdirty *ld, struct mirror *m, const struct path *p, unsigned level,
                                bool *changed)
{
    struct mirror *child = mirror_find(ld->mirrors, p->table[level - 1], level - 1);
    uint64_t *t, e;

    if (!child) {
        child = mirror_make(ld, p->table[level - 1], level - 1);
        if (level == 2)
            prefill(ld, child);
    }
    t = map_frame(m->frame);
    e = (p->entry[level] & ~PTE_ADDR_MASK) | paddr_of_mfn(child->frame);
    if (READ_ONCE(t[p->index[level]]) != e) {
        WRITE_ONCE(t[p->index[level]], e);
        *changed = true;
    }
    unmap_frame(t);
    return child;
}

/* The guest allows it: follow. false: all was there already, or its tables changed meanwhile. Then it just tries again. */
static bool fill(struct logdirty *ld, struct mirror *root, struct path *p, bool write)
{
    struct mirror *m = root;
    bool changed = false;
    uint64_t pfn;

    for (unsigned level = 4; level >= 1; level--)
        if (!bits_set(ld, p, level, level == 1 && write ? PTE_A | PTE_D : PTE_A))
            return false;
    if (write) {
        pfn = mirror_pfn(ld, entry_target(p->entry[1]));
        if (pfn != LOGDIRTY_NO_PFN)
            logdirty_mark_pfn(ld, pfn);
    }
    for (unsigned level = 4; level >= 2; level--)
        m = step_down(ld, m, p, level, &changed);
    return mirror_leaf_set(m, p->index[1], mirror_leaf(ld, page_of(p->table[1]), p->entry[1])) || changed;
}

bool mirror_fault(struct x86_vcpu *xv, uint64_t va, uint32_t error)
{
    struct domain *d = xv->v.domain;
    struct logdirty *ld = d->logdirty;
    mfn_t root = xv->kernel_mode ? xv->root : xv->root_user;
    bool ours = false;
    struct mirror *m;
    struct path p;

    /* A read of something present: no mirror has less than that. Ours: neither. */
    if ((error & (PF_PRESENT | PF_WRITE | PF_FETCH)) == PF_PRESENT)
        return false;
    if ((va >= HYP_VIRT_START && va < HYP_VIRT_END) || !pv_kernel_address(va) || mfn_eq(root, INVALID_MFN))
        return false;
    spin_lock(&ld->lock);
    if (path_find(d, root, va, &p) && path_allows(&p, error)) {
        ours = true;
        mirrors_reserve(ld, 3);
        m = mirror_find(ld->mirrors, root, 4);
        BUG_ON(!m); /* the vCPU is on it */
        /* Another vCPU was quicker; or this processor still remembers a way through a mirror that was replaced, and
         * would fault for ever if it is one that does not forget such things with the fault. */
        if (!fill(ld, m, &p, error & PF_WRITE))
            tlb_flush_guest_local();
        __atomic_fetch_add(&ld->faults, 1, __ATOMIC_RELAXED);
    }
    spin_unlock(&ld->lock);
    return ours;
}

bool mirror_fault_here(struct vcpu *v, uint64_t va, uint32_t error, uint64_t rflags)
{
    bool ours;

    if (v->idle || !domain_logged(v->domain) || (va >= HYP_VIRT_START && va < HYP_VIRT_END))
        return false; /* ours: a segment that is gone from the descriptor table, say */
    /* Others may be waiting for this CPU's answer with the lock that we want; so interrupts come on. */
    if (!(rflags & FLAG_IF)) {
        log_guest(v->domain, "log-dirty: guest memory at %lx is touched with interrupts off\n", va);
        return false;
    }
    irq_enable();
    ours = mirror_fault(to_x86(v), va, error);
    irq_disable();
    return ours;
}
