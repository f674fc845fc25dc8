/* SPDX-License-Identifier: MIT */
/* Mirrors come and go: their memory, putting a domain on them and taking it off, a round's write protection. */
#include "mirror.h"

#include "lib.h"
#include "log.h"
#include "port.h"
#include "x86/context.h"
#include "x86/pv.h"

#define CHUNK 32       /* frames between looks at the clock */
#define PER_VCPU 32    /* two roots, and what one instruction can touch at worst: six pages by three tables */
#define FIXED 16

static uint32_t least(const struct domain *d)
{
    return FIXED + PER_VCPU * d->max_vcpus;
}

/* A guest needs about one table for 512 frames that it uses, several when many of its processes share them. */
static uint32_t wanted(const struct domain *d)
{
    uint64_t by_size = d->logdirty_mb ? (uint64_t)d->logdirty_mb << (20 - FRAME_SHIFT)
                                      : least(d) + READ_ONCE(d->tot_pages) / 128;

    return (uint32_t)MAX(MIN(by_size, 1UL << 24), (uint64_t)least(d));
}

uint32_t arch_logdirty_mb(const struct domain *d)
{
    uint64_t n = d->logdirty_ctl && d->logdirty_ctl->mirrors ? d->logdirty_ctl->mirrors->n : wanted(d);

    return (uint32_t)DIV_UP(n, 1UL << (20 - FRAME_SHIFT));
}

static int mirrors_make(struct logdirty *ld)
{
    struct mirrors *ms = zalloc(sizeof(*ms));

    if (!ms)
        return -XEN_ENOMEM;
    ms->want = wanted(ld->d);
    for (ms->bits = 4; 1UL << ms->bits < ms->want; ms->bits++)
        ;
    ms->m = zalloc(ms->want * sizeof(*ms->m));
    ms->bucket = zalloc(sizeof(ms->bucket[0]) << ms->bits);
    ld->mirrors = ms;
    return ms->m && ms->bucket ? 0 : -XEN_ENOMEM;
}

static void mirror_add(struct mirrors *ms, mfn_t m)
{
    struct mirror *mi = &ms->m[ms->n++];

    mi->frame = m;
    mi->stamp = tlb_stamp_now();
    if (ms->free_first)
        ms->free_last->next = mi;
    else
        ms->free_first = mi;
    ms->free_last = mi;
    ms->nr_free++;
}

int arch_logdirty_alloc(struct logdirty *ld)
{
    int rc = ld->mirrors ? 0 : mirrors_make(ld);
    struct mirrors *ms = ld->mirrors;

    if (rc)
        return rc;
    while (ms->n < ms->want) {
        mfn_t m = frames_alloc(0, FA_NOSCRUB);

        if (mfn_eq(m, INVALID_MFN))
            return ms->n >= least(ld->d) ? 0 : -XEN_ENOMEM;
        mirror_add(ms, m);
        if (ms->n % CHUNK == 0 && preempt_needed())
            return -XEN_ERESTART;
    }
    return 0;
}

int arch_logdirty_free(struct logdirty *ld)
{
    struct mirrors *ms = ld->mirrors;

    if (!ms)
        return 0;
    while (ms->n) {
        frames_free(ms->m[--ms->n].frame, 0);
        if (ms->n % CHUNK == 0 && preempt_needed())
            return -XEN_ERESTART;
    }
    zfree(ms->m);
    zfree(ms->bucket);
    zfree(ms);
    ld->mirrors = NULL;
    return 0;
}

/* --- on and off ------------------------------------------------------------------------------------------ */

static struct mirror *root_get(struct logdirty *ld, mfn_t root)
{
    struct mirror *m;

    if (mfn_eq(root, INVALID_MFN))
        return NULL;
    m = mirror_find(ld->mirrors, root, 4);
    if (!m)
        m = mirror_make(ld, root, 4);
    m->users++;
    return m;
}

/* The roots of xv have changed: those of its mirrors too. xv is current, or does not run. If it is current, this CPU leaves
 * the old root while that still counts as used: without users anybody may take it, and have this CPU flush by loading it
 * again when it is something else already. */
void mirror_roots_set(struct x86_vcpu *xv)
{
    struct logdirty *ld = xv->v.domain->logdirty;
    struct mirror *old[2] = {xv->mirror, xv->mirror_user};
    struct mirror **in_use = xv->kernel_mode ? &xv->mirror : &xv->mirror_user, *was = *in_use;

    spin_lock(&ld->lock);
    mirrors_reserve(ld, 2);
    xv->mirror = root_get(ld, xv->root);
    xv->mirror_user = root_get(ld, xv->root_user);
    if (xv->mirror)
        xv->cr3_kernel = paddr_of_mfn(xv->mirror->frame);
    if (xv->mirror_user)
        xv->cr3_user = paddr_of_mfn(xv->mirror_user->frame);
    if (current_vcpu() == &xv->v && *in_use && *in_use != was)
        write_guest_cr3(paddr_of_mfn((*in_use)->frame));
    for (unsigned i = 0; i < 2; i++)
        if (old[i])
            mirror_user_drop(ld->mirrors, old[i]);
    spin_unlock(&ld->lock);
}

static void vcpus_update(struct domain *d)
{
    for (unsigned i = 0; i < d->max_vcpus; i++) {
        struct x86_vcpu *xv = d->vcpu[i] ? to_x86(d->vcpu[i]) : NULL;

        if (!xv)
            continue;
        xv->mirror = xv->mirror_user = NULL;
        pv_cr3_update(xv);
        pv_iret_slow_update(xv); /* the short ways in entry.S touch guest memory with interrupts off */
    }
}

/* No processor may keep the other tables, not even asleep: it could set accessed bits in the guest's, or walk mirrors
 * that are no more. */
static void vcpus_unload(struct domain *d)
{
    for (unsigned i = 0; i < d->max_vcpus; i++)
        if (d->vcpu[i])
            vcpu_state_sync(d->vcpu[i]);
}

void arch_logdirty_attach(struct logdirty *ld)
{
    vcpus_unload(ld->d);
    __atomic_store_n(&ld->d->logdirty, ld, __ATOMIC_SEQ_CST);
    vcpus_update(ld->d);
}

void arch_logdirty_detach(struct logdirty *ld)
{
    vcpus_unload(ld->d);
    __atomic_store_n(&ld->d->logdirty, NULL, __ATOMIC_SEQ_CST);
    vcpus_update(ld->d);
    tlb_flush_stale_tables(tlb_stamp_now());
}

/* --- a round ------------------------------------------------------------------------------------------------ */

static void protect_one(struct mirror *m)
{
    uint64_t *t = map_frame(m->frame);

    for (uint64_t left = m->rw; left; left &= left - 1) {
        uint64_t *e = &t[bit_first(left) * 8];

        for (unsigned i = 0; i < 8; i++)
            if (e[i] & PTE_RW)
                WRITE_ONCE(e[i], e[i] & ~PTE_RW);
    }
    m->rw = 0;
    unmap_frame(t);
}

int arch_logdirty_protect(struct logdirty *ld, uint64_t *cursor)
{
    struct mirrors *ms = ld->mirrors;

    while (*cursor < ms->n) {
        spin_lock(&ld->lock);
        for (unsigned k = 0; k < CHUNK && *cursor < ms->n; k++, ++*cursor)
            if (ms->m[*cursor].rw)
                protect_one(&ms->m[*cursor]);
        spin_unlock(&ld->lock);
        if (*cursor < ms->n && preempt_needed())
            return -XEN_ERESTART;
    }
    tlb_flush_stale(tlb_stamp_after());
    return 0;
}
