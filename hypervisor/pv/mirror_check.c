/* SPDX-License-Identifier: MIT */
/*
 * Is what mirror.c promises true? All mirrors of a domain that is paused are compared with its tables and the live
 * bitmap. For a debug key and for tests; not while a round's protection is under way, when the old bitmap counts too.
 */
#include "mirror.h"

#include "lib.h"
#include "log.h"
#include "port.h"

#define MAX_REPORTS 20

struct check {
    struct logdirty *ld;
    unsigned faults, used, entries, writable;
};

static void fault(struct check *c, const struct mirror *m, unsigned index, const char *what, uint64_t val)
{
    if (c->faults++ < MAX_REPORTS)
        log_err("log-dirty: d%u, mirror %#lx of table %#lx at level %u, entry %u: %s %#lx\n", c->ld->d->id, m->frame.n,
                mirror_table(m).n, mirror_level(m), index, what, val);
}

/* May the mirror say e where the guest says g? */
static void check_bits(struct check *c, const struct mirror *m, unsigned i, uint64_t e, uint64_t g)
{
    if ((g & (PTE_P | PTE_A)) != (PTE_P | PTE_A))
        fault(c, m, i, "the guest's entry is not present, or not accessed:", g);
    if ((e & PTE_RW) && !(g & PTE_RW))
        fault(c, m, i, "writable, but not the guest's:", g);
    if ((e ^ g) & (PTE_NX | PTE_US))
        fault(c, m, i, "other rights than the guest's:", g);
    if (!(e & PTE_A))
        fault(c, m, i, "the processor would set bits in it:", e);
}

static bool was_dirty(const struct logdirty *ld, uint64_t pfn)
{
    return logdirty_is_dirty(ld, pfn) || (ld->phase > LOGDIRTY_HELD && (READ_ONCE(ld->snap[pfn / 64]) & BIT(pfn % 64)));
}

static void check_leaf(struct check *c, const struct mirror *m, unsigned i, uint64_t e, uint64_t g)
{
    uint64_t pfn;

    if ((e ^ g) & PTE_ADDR_MASK)
        fault(c, m, i, "maps another frame than the guest's:", g);
    if (!(e & PTE_RW))
        return;
    c->writable++;
    if (!(g & PTE_D) || !(e & PTE_D))
        fault(c, m, i, "writable, but not dirty:", g);
    if (PGT_LEVEL(page_of(mirror_table(m))->type) != 1)
        fault(c, m, i, "a page table is writable:", e);
    if (!(m->rw & BIT(i / 8)))
        fault(c, m, i, "writable, but not noted:", m->rw);
    pfn = mirror_pfn(c->ld, entry_target(e));
    if (pfn != LOGDIRTY_NO_PFN && !was_dirty(c->ld, pfn))
        fault(c, m, i, "writable, but not logged:", pfn);
}

static void check_upper(struct check *c, const struct mirror *m, unsigned i, uint64_t e, uint64_t g)
{
    const struct mirror *child = mirror_find(c->ld->mirrors, entry_target(g), mirror_level(m) - 1);

    if (!child || child->frame.n != entry_target(e).n)
        fault(c, m, i, "leads to no mirror of:", g);
}

static void check_table(struct check *c, const struct mirror *m)
{
    bool l4 = PGT_LEVEL(page_of(mirror_table(m))->type) == 4;
    const uint64_t *t = map_frame(m->frame), *g = map_frame(mirror_table(m));

    for (unsigned i = 0; i < 512; i++) {
        uint64_t e = READ_ONCE(t[i]), ge = READ_ONCE(g[i]);

        if (l4 && pgt_slot_is_ours(i)) {
            if ((e ^ ge) & ~(PTE_A | PTE_D))
                fault(c, m, i, "a slot of ours is another:", e);
            continue;
        }
        if (!(e & PTE_P)) {
            if (e)
                fault(c, m, i, "not present, but not empty:", e);
            continue;
        }
        c->entries++;
        check_bits(c, m, i, e, ge);
        if (mirror_level(m) == 1)
            check_leaf(c, m, i, e, ge);
        else
            check_upper(c, m, i, e, ge);
    }
    unmap_frame(g);
    unmap_frame(t);
}

static unsigned users_of(const struct domain *d, const struct mirror *m)
{
    unsigned n = 0;

    for (unsigned i = 0; i < d->max_vcpus; i++) {
        const struct x86_vcpu *xv = d->vcpu[i] ? to_x86(d->vcpu[i]) : NULL;

        if (!xv)
            continue;
        n += (xv->mirror == m) + (xv->mirror_user == m);
    }
    return n;
}

static void check_roots(struct check *c)
{
    struct domain *d = c->ld->d;

    for (unsigned i = 0; i < d->max_vcpus; i++) {
        const struct x86_vcpu *xv = d->vcpu[i] ? to_x86(d->vcpu[i]) : NULL;
        bool none = !xv || mfn_eq(xv->root, INVALID_MFN);

        if (none)
            continue;
        if (!xv->mirror || xv->mirror->key != mirror_key(xv->root, 4) ||
            (xv->cr3_kernel & PTE_ADDR_MASK) != paddr_of_mfn(xv->mirror->frame)) {
            log_err("log-dirty: d%u: vcpu %u does not run on the mirror of %#lx\n", d->id, i, xv->root.n);
            c->faults++;
        }
    }
}

unsigned logdirty_check(struct domain *d)
{
    struct check c = {.ld = d->logdirty};
    struct mirrors *ms;

    if (!c.ld)
        return 0;
    ms = c.ld->mirrors;
    spin_lock(&c.ld->lock);
    for (uint32_t i = 0; i < ms->n; i++) {
        struct mirror *m = &ms->m[i];

        if (m->users != users_of(d, m))
            fault(&c, m, 0, "another number of vCPUs uses it:", m->users);
        if (!m->key && !m->users)
            continue;
        c.used++;
        if (!m->key)
            continue;
        if (!mirror_table_live(d, mirror_table(m), mirror_level(m)))
            fault(&c, m, 0, "no table of that level is there:", page_of(mirror_table(m))->type);
        else
            check_table(&c, m);
    }
    if (c.used + ms->nr_free != ms->n) {
        log_err("log-dirty: d%u: %u mirrors in use and %u free are not %u\n", d->id, c.used, ms->nr_free, ms->n);
        c.faults++;
    }
    check_roots(&c);
    spin_unlock(&c.ld->lock);
    log_info("log-dirty: d%u: %u faults; %u of %u mirrors in use, %u entries, %u writable; %u times out of mirrors; %u "
             "frames are written by others\n",
             d->id, c.faults, c.used, ms->n, c.entries, c.writable, ms->resets, c.ld->held.n);
    return c.faults;
}
