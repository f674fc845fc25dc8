/* SPDX-License-Identifier: MIT */
/*
 * Log-dirty: frames that somebody can write to without the owner's page tables, so that nobody sees the writes: what
 * other domains map writable, pages of events and vcpu_info. struct page.writers counts those at all times; while the
 * owner is logged, its frames that have (or had) some are on this list, and each of them that still has some is dirty
 * whenever somebody asks. The last step of giving one up marks it (page_writer_drop()).
 *
 * A frame is on the list once: PGL_HELD in its struct page, which only changes under held.lock and with a reference. (It
 * goes with the frame: one that is freed and comes back may be there twice, until tidy_locked().)
 * When there is no memory for the list, all frames count as dirty until logging ends: then it is of no use, but true.
 */
#include "domain.h"
#include "lib.h"
#include "log.h"
#include "logdirty_core.h"
#include "pgt.h"
#include "port.h"

#define STEP 256 /* frames between looks at the clock */

static uint32_t *slot_of(struct logdirty_held *h, uint32_t i)
{
    return &h->piece[i / HELD_PER_PIECE][i % HELD_PER_PIECE];
}

/* The caller's reference keeps it a WRITABLE frame, or it does not matter what is read. */
static bool has_writers(const struct page *pg)
{
    uint64_t x = __atomic_load_n(&pg->type, __ATOMIC_SEQ_CST);

    return (x & PGT_TYPE_MASK) == PGT_WRITABLE && (x & PGT_COUNT_MASK) &&
           __atomic_load_n(&pg->writers, __ATOMIC_SEQ_CST);
}

enum look { LOOK_MARK, LOOK_TAKE_FLAG };

/* Entry i, if it still is a frame with writers; else it leaves the list (the last one takes its place). */
static void entry_look_locked(struct logdirty *ld, uint32_t i, enum look look)
{
    struct logdirty_held *h = &ld->held;
    struct page *pg = page_of(mfn(*slot_of(h, i)));
    bool mine = get_page(pg, ld->d), keep = mine && (pg->order & PGL_HELD) && has_writers(pg);

    if (keep && look == LOOK_MARK)
        logdirty_mark_pfn(ld, m2p_get(mfn_of(pg)));
    if (mine && (!keep || look == LOOK_TAKE_FLAG))
        pg->order &= (uint8_t)~PGL_HELD;
    if (!keep)
        *slot_of(h, i) = *slot_of(h, --h->n);
    if (mine)
        put_page(pg);
}

static void entry_flag_locked(struct logdirty *ld, uint32_t i)
{
    struct page *pg = page_of(mfn(*slot_of(&ld->held, i)));

    if (!get_page(pg, ld->d))
        return; /* freed meanwhile: goes next time */
    pg->order |= PGL_HELD;
    put_page(pg);
}

/* The first entry of a frame takes its flag, so that a second one is dropped; then all get it back. */
static void tidy_locked(struct logdirty *ld)
{
    for (uint32_t i = ld->held.n; i-- > 0;)
        entry_look_locked(ld, i, LOOK_TAKE_FLAG);
    for (uint32_t i = 0; i < ld->held.n; i++)
        entry_flag_locked(ld, i);
}

static bool room_locked(struct logdirty *ld)
{
    struct logdirty_held *h = &ld->held;

    if (h->n < h->pieces * HELD_PER_PIECE)
        return true;
    tidy_locked(ld);
    if (h->n < h->pieces * (HELD_PER_PIECE - HELD_PER_PIECE / 4))
        return true;
    if (h->pieces == HELD_PIECES)
        return h->n < h->pieces * HELD_PER_PIECE;
    h->piece[h->pieces] = zalloc(FRAME_SIZE);
    if (h->piece[h->pieces])
        h->pieces++;
    return h->n < h->pieces * HELD_PER_PIECE;
}

void logdirty_held_add(struct page *pg)
{
    struct logdirty *ld = __atomic_load_n(&pg->owner->logdirty, __ATOMIC_ACQUIRE);

    if (!ld)
        return;
    logdirty_mark_pfn(ld, m2p_get(mfn_of(pg)));
    spin_lock(&ld->held.lock);
    if (pg->order & PGL_HELD) {
        spin_unlock(&ld->held.lock);
        return;
    }
    if (room_locked(ld)) {
        pg->order |= PGL_HELD;
        *slot_of(&ld->held, ld->held.n++) = (uint32_t)mfn_of(pg).n;
    } else if (!__atomic_exchange_n(&ld->all, true, __ATOMIC_SEQ_CST)) {
        log_warn("d%u: log-dirty: too many frames are mapped by other domains (or no memory to list them): from now on "
                 "all frames are reported as dirty\n", ld->d->id);
    }
    spin_unlock(&ld->held.lock);
}

int logdirty_held_mark(struct logdirty *ld, uint64_t *cursor)
{
    struct logdirty_held *h = &ld->held;
    bool more = true;

    while (more) {
        spin_lock(&h->lock);
        *cursor = MIN(*cursor, (uint64_t)h->n);
        for (unsigned k = 0; k < STEP && *cursor; k++)
            entry_look_locked(ld, (uint32_t)--*cursor, LOOK_MARK);
        more = *cursor;
        spin_unlock(&h->lock);
        if (more && preempt_needed())
            return -XEN_ERESTART;
    }
    return 0;
}

/* Frames that come later come with page_writer_add(), or they have no writers: the list grows at its head, which
 * this walk has left behind. */
int logdirty_held_scan(struct logdirty *ld, uint64_t *cursor)
{
    struct domain *d = ld->d;

    spin_lock(&d->page_lock);
    if (!*cursor)
        d->pages_cursor = d->pages_head;
    *cursor = 1;
    while (d->pages_cursor) {
        struct page *with = NULL;

        for (unsigned k = 0; k < STEP && d->pages_cursor && !with; k++) {
            struct page *pg = page_of(mfn(d->pages_cursor));

            d->pages_cursor = pg->next;
            if (has_writers(pg)) {
                with = pg;
                dup_page(pg); /* the allocation's is there */
            }
        }
        spin_unlock(&d->page_lock);
        if (with) {
            logdirty_held_add(with);
            put_page(with);
        }
        if (preempt_needed())
            return -XEN_ERESTART;
        spin_lock(&d->page_lock);
    }
    spin_unlock(&d->page_lock);
    return 0;
}

void logdirty_held_free(struct logdirty *ld)
{
    struct logdirty_held *h = &ld->held;

    for (uint32_t i = 0; i < h->n; i++) {
        struct page *pg = page_of(mfn(*slot_of(h, i)));

        if (!get_page(pg, ld->d))
            continue;
        pg->order &= (uint8_t)~PGL_HELD;
        put_page(pg);
    }
    for (uint32_t i = 0; i < h->pieces; i++)
        zfree(h->piece[i]);
}
