/* SPDX-License-Identifier: MIT */
/*
 * Log-dirty: the bitmaps, and how logging begins and ends. The design is in docs/LOG-DIRTY.md; who finds out about
 * the guest's own writes is pv/mirror.c, who keeps the list of other writers is logdirty_held.c.
 *
 * Two bitmaps by the guest's numbers. Everybody sets bits in `live`, without a lock. A CLEAN exchanges it for the other
 * one, which is all zero: from then on the old one is only read. A CPU that had looked at the pointer before the
 * exchange may still set a bit in the old one; the bitmap is therefore reported only after every CPU has passed a
 * quiescent point (quiesce.c), and the report is the old bitmap and the new one together: so it holds everything that
 * had been written before the call began, even if the mark came a moment later.
 */
#include "domain.h"
#include "lib.h"
#include "log.h"
#include "logdirty_core.h"
#include "pgt.h"
#include "port.h"

/* --- marking ------------------------------------------------------------------------------------------ */

uint64_t logdirty_pfn(const struct logdirty *ld, mfn_t m)
{
    uint64_t pfn = m2p_get(m);

    return pfn < ld->nr ? pfn : LOGDIRTY_NO_PFN;
}

void logdirty_mark_pfn(struct logdirty *ld, uint64_t pfn)
{
    uint64_t *word;

    if (pfn >= ld->nr)
        return; /* reported as dirty at all times */
    word = &__atomic_load_n(&ld->live, __ATOMIC_ACQUIRE)[pfn / 64];
    if (READ_ONCE(*word) & BIT(pfn % 64))
        return;
    if (!(__atomic_fetch_or(word, BIT(pfn % 64), __ATOMIC_SEQ_CST) & BIT(pfn % 64)))
        __atomic_fetch_add(&ld->dirtied, 1, __ATOMIC_RELAXED);
}

void logdirty_mark(struct domain *d, mfn_t m)
{
    struct logdirty *ld = __atomic_load_n(&d->logdirty, __ATOMIC_ACQUIRE);

    if (ld)
        logdirty_mark_pfn(ld, m2p_get(m));
}

void logdirty_m2p_set(struct domain *d, mfn_t m, uint64_t pfn)
{
    struct logdirty *ld = __atomic_load_n(&d->logdirty, __ATOMIC_ACQUIRE);
    uint64_t old = m2p_get(m);

    m2p_set(m, pfn);
    if (!ld)
        return;
    logdirty_mark_pfn(ld, old);
    logdirty_mark_pfn(ld, pfn);
}

/* --- rounds ------------------------------------------------------------------------------------------- */

/* The test of a bit before it is set (above) may see the old bitmap's: then the write it is about came before the
 * exchange or ends before the report. */
void logdirty_swap(struct logdirty *ld)
{
    uint64_t *old;

    spin_lock(&ld->lock);
    old = ld->live;
    __atomic_store_n(&ld->live, ld->snap, __ATOMIC_SEQ_CST);
    ld->snap = old;
    spin_unlock(&ld->lock);
}

void logdirty_unswap(struct logdirty *ld, uint64_t from)
{
    for (uint64_t i = from / 64; i < DIV_UP(ld->nr, 64); i++) {
        uint64_t w = READ_ONCE(ld->snap[i]);

        if (i == from / 64)
            w &= ~0ULL << from % 64;
        if (w)
            __atomic_fetch_or(&ld->live[i], w, __ATOMIC_SEQ_CST);
    }
}

/* --- beginning and end -------------------------------------------------------------------------------- */

#define SPARE_PFNS (1UL << 20) /* numbers without a frame that a guest may have */

/* How many numbers to log. The guest says so itself; what it says beyond reason is not believed, and then counts as
 * dirty for ever. */
static uint64_t pfns_of(const struct domain *d)
{
    uint64_t frames = MAX(READ_ONCE(d->max_pages), READ_ONCE(d->tot_pages));
    uint64_t said = d->shared ? READ_ONCE(d->shared->arch.max_pfn) : 0;

    return ROUND_UP(MAX(READ_ONCE(d->tot_pages), MIN(said, frames + SPARE_PFNS)), 64);
}

struct logdirty *logdirty_make(struct domain *d)
{
    struct logdirty *ld = zalloc(sizeof(*ld));

    if (!ld)
        return NULL;
    ld->d = d;
    ld->nr = pfns_of(d);
    spin_init(&ld->lock, "log-dirty", RANK_LOGDIRTY);
    spin_init(&ld->held.lock, "log-dirty writers", RANK_LOGDIRTY_HELD);
    ld->live = zalloc(MAX(ld->nr / 8, 8UL));
    ld->snap = zalloc(MAX(ld->nr / 8, 8UL));
    ld->out = zalloc(FRAME_SIZE);
    if (ld->live && ld->snap && ld->out)
        return ld;
    zfree(ld->live);
    zfree(ld->snap);
    zfree(ld->out);
    zfree(ld);
    return NULL;
}

int logdirty_free(struct logdirty *ld)
{
    int rc = arch_logdirty_free(ld);

    if (rc)
        return rc;
    logdirty_held_free(ld);
    zfree(ld->live);
    zfree(ld->snap);
    zfree(ld->out);
    zfree(ld);
    return 0;
}

/* Off: the domain goes back to its own tables at once, the memory goes when nobody can be looking at it. */
int logdirty_stop(struct domain *d)
{
    struct logdirty *ld = d->logdirty_ctl;
    int rc;

    if (!ld)
        return 0;
    if (ld->phase < LOGDIRTY_END) {
        domain_pause(d);
        if (READ_ONCE(d->logdirty))
            arch_logdirty_detach(ld);
        domain_unpause(d);
        ld->ticket = quiesce_begin();
        ld->phase = LOGDIRTY_END;
    }
    if (ld->phase == LOGDIRTY_END) {
        if (!quiesce_done(ld->ticket))
            return -XEN_ERESTART;
        ld->phase = LOGDIRTY_FREE;
    }
    rc = logdirty_free(ld);
    if (rc)
        return rc;
    d->logdirty_ctl = NULL;
    return 0;
}
