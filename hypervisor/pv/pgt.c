/* SPDX-License-Identifier: MIT */
/*
 * Page types.
 *
 * A PV guest sees machine frame numbers and keeps its own page tables, which the processor walks. What keeps
 * it in is one rule: a frame that is in use as a page table can be written by nobody but this module, and a
 * table that is in use holds only entries the guest may have. `struct page.type` is one word with the type, a
 * count of uses, and flags; all changes are by compare-and-exchange.
 *
 *      count 0, any type ----- get(T): type := T, BUSY ------------------+
 *           ^   ^                                                        | validate entries [pt_done, 512)
 *           |   |  entries all dropped                                   v
 *           |   +------------------- BUSY (undoing) <--+          BUSY (validating)
 *           |                          |  interrupted  |            |   |  interrupted    |  refused
 *           |                          v               |            |   v                 v
 *           |                        PARTIAL ----------+            | PARTIAL      BUSY (undoing)
 *           |                          |   get(same T): goes on     |
 *           |                          +--------------------------->|  all good
 *           |                                                       v
 *           +------- put: last one, BUSY (undoing) <-------- VALID, count 1, 2, ...
 *
 * BUSY is exclusive: whoever set it works on the entries; others spin or come back (-XEN_ERESTART). It is only
 * held downwards (a table's owner works on lower levels), so there is no cycle. The last put of a type without
 * entries is BUSY too, for the moment in which the stamp is noted: a stamp read before the count fell could be
 * older than the translations of somebody who used the frame in between.
 * PARTIAL: entries [0, pt_done) hold their references, the rest none; the count is 0 and the frame holds one
 * general reference to itself, so that it cannot be freed. Nobody owns the leftover: the next user of the frame
 * goes on with it (same type) or undoes it first (other type; who may not stop is refused, as that can take
 * seconds), and so does the end of the domain. A caller that was told -XEN_ERESTART therefore needs no record
 * of what was done. Every call that may stop handles one entry at least before it looks whether it should:
 * asking again always ends.
 *
 * WRITABLE and SEG have no entries below them (SEG's descriptors are checked in one go), so they are never
 * PARTIAL.
 *
 * Translations: when the last use of a type goes, the frame notes the flush clock; when the frame then gets
 * another type, CPUs that have not flushed since do so first. So no CPU writes to a page table through an old
 * writable translation, or walks an old table that has become writable.
 *
 * An entry itself changes by compare-and-exchange while a typed reference is held, after the references for the
 * new value were taken; whoever's exchange succeeds drops the old value's references. Two writers can
 * therefore never drop one reference twice, and the accessed and dirty bits that the processor sets are kept.
 */
#include "abi.h"
#include "domain.h"
#include "lib.h"
#include "log.h"
#include "logdirty.h"
#include "pgt.h"
#include "pgt_private.h"
#include "port.h"

static bool has_entries(uint64_t type)
{
    return PGT_LEVEL(type) >= 1 && PGT_LEVEL(type) <= 4;
}

/* Give up BUSY: the word becomes `to`. Only the BUSY holder changes a BUSY word. */
static void busy_end(struct page *pg, uint64_t to)
{
    __atomic_store_n(&pg->type, to, __ATOMIC_RELEASE);
}

static int drain_if(struct page *pg, uint64_t type, bool may_stop);

/* --- entries of one table, by the BUSY holder ------------------------------------------------------ */

/* Most tables are nearly empty, and fork makes a dozen of them: entries that are not present hold nothing and
 * are passed eight at a time. */
static bool present_in_8(const uint64_t *e)
{
    return (e[0] | e[1] | e[2] | e[3] | e[4] | e[5] | e[6] | e[7]) & PTE_P;
}

/* The first index from i on whose entry is present, or 512. */
static unsigned next_present(const uint64_t *table, unsigned i)
{
    for (; i & 7; i++)
        if (table[i] & PTE_P)
            return i;
    for (; i < 512 && !present_in_8(&table[i]); i += 8)
        ;
    if (i < 512)
        while (!(table[i] & PTE_P))
            i++;
    return i;
}

/* The same downwards: the last present entry below n, plus one; or 0. */
static unsigned last_present(const uint64_t *table, unsigned n)
{
    for (; n & 7; n--)
        if (table[n - 1] & PTE_P)
            return n;
    for (; n && !present_in_8(&table[n - 8]); n -= 8)
        ;
    if (n)
        while (!(table[n - 1] & PTE_P))
            n--;
    return n;
}

/* Reference entries from pt_done on. 0, -XEN_EINVAL (pt_done = the bad one), -XEN_ERESTART. */
static int validate_entries(struct page *pg, uint64_t type, bool may_stop)
{
    uint64_t *table = map_frame(mfn_of(pg));
    unsigned start;
    int rc = 0;

    if (pg->pt_done & PT_DRAIN) /* an undoing that is turned round: that entry is not referenced */
        pg->pt_done = (uint16_t)((pg->pt_done & PT_DONE_MASK) - 1);
    start = next_present(table, pg->pt_done);
    for (unsigned i = start; i < 512; i = next_present(table, i + 1)) {
        uint64_t old = READ_ONCE(table[i]), now = old;

        pg->pt_done = (uint16_t)i;
        if (may_stop && type != PGT_L1 && i != start && preempt_needed()) {
            rc = -XEN_ERESTART;
            break;
        }
        if (type == PGT_L4 && pgt_slot_is_ours(i))
            continue;
        rc = pgt_entry_get(pg, pg->owner, pg->owner, type, &now, may_stop);
        if (rc)
            break;
        /* Nobody else may write here now; the processor does not walk a table of count 0. */
        if (now != old)
            WRITE_ONCE(table[i], now);
        pg->pt_done = (uint16_t)(i + 1);
    }
    if (!rc && type == PGT_L4)
        hyp_l4_install(table);
    unmap_frame(table);
    return rc;
}

/* Drop entries below pt_done. 0 or -XEN_ERESTART. A lower table whose undoing was interrupted has lost our
 * reference but keeps a leftover; PT_DRAIN marks that the last entry is in that state, and we finish it when
 * we are called again. Its frame may have found another use by then: only a leftover of the child's type is ours
 * to finish, which also bounds the depth of this recursion by the levels. */
static int undo_entries(struct page *pg, uint64_t type, bool may_stop)
{
    uint64_t *table = map_frame(mfn_of(pg));
    bool stop_now = false;
    int rc = 0;

    while (!rc) {
        unsigned i;

        if (!(pg->pt_done & PT_DRAIN))
            pg->pt_done = (uint16_t)last_present(table, pg->pt_done);
        if (!pg->pt_done)
            break;
        i = (pg->pt_done & PT_DONE_MASK) - 1u;
        if (pg->pt_done & PT_DRAIN) {
            rc = drain_if(page_of(mfn_of_paddr(table[i] & PTE_ADDR_MASK)), type - PGT_L1, may_stop);
            if (!rc)
                pg->pt_done = (uint16_t)i;
        } else if (stop_now && preempt_needed()) {
            rc = -XEN_ERESTART;
        } else if (type == PGT_L4 && pgt_slot_is_ours(i)) {
            table[i] = 0;
            pg->pt_done = (uint16_t)i;
        } else if (pgt_entry_put(pg, pg->owner, type, table[i], may_stop)) {
            pg->pt_done = (uint16_t)(i + 1) | PT_DRAIN;
        } else {
            pg->pt_done = (uint16_t)i;
        }
        stop_now = may_stop && type != PGT_L1;
    }
    unmap_frame(table);
    return rc;
}

/* --- states ------------------------------------------------------------------------------------------ */

/* A PARTIAL frame's reference to itself; its domain counts them, to know at its end whether to look for some. */
static void partial_hold(struct page *pg)
{
    dup_page(pg);
    __atomic_fetch_add(&pg->owner->pt_partial, 1, __ATOMIC_RELAXED);
}

static void partial_release(struct page *pg)
{
    __atomic_fetch_sub(&pg->owner->pt_partial, 1, __ATOMIC_RELAXED);
    put_page(pg);
}

/* The BUSY holder stops with entries [0, pt_done) referenced (perhaps none). `held`: a partial reference is
 * already there. */
static void leave_unfinished(struct page *pg, uint64_t type, bool held)
{
    page_dirtied(pg); /* what it is now has to be told again, and slots of ours are cleared */
    if (pg->pt_done) {
        if (!held)
            partial_hold(pg);
        busy_end(pg, type | PGT_PARTIAL);
        return;
    }
    pg->tlb_stamp = tlb_stamp_now();
    busy_end(pg, type);
    if (held)
        partial_release(pg);
}

/* Undo what is referenced, as the BUSY holder, and leave BUSY. */
static int undo_and_leave(struct page *pg, uint64_t type, bool held, bool may_stop)
{
    int rc = undo_entries(pg, type, may_stop);

    leave_unfinished(pg, type, held);
    return rc;
}

/* Undo a PARTIAL table, if it is of `type` (PGT_NONE: of any). The frame may be anybody's: PARTIAL holds it, and
 * without PARTIAL nothing is touched. BUSY: whoever works on it answers for what is left over. */
static int drain_if(struct page *pg, uint64_t type, bool may_stop)
{
    uint64_t x = __atomic_load_n(&pg->type, __ATOMIC_ACQUIRE);

    while ((x & PGT_PARTIAL) && (type == PGT_NONE || (x & PGT_TYPE_MASK) == type))
        if (__atomic_compare_exchange_n(&pg->type, &x, (x & ~PGT_PARTIAL) | PGT_BUSY, false,
                                        __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            return undo_and_leave(pg, x & PGT_TYPE_MASK, true, may_stop);
    return 0;
}

int pgt_drain(struct page *pg, bool may_stop)
{
    return drain_if(pg, PGT_NONE, may_stop);
}

/* Validate as the BUSY holder and leave with count 1, or not. */
static int validate_and_leave(struct page *pg, uint64_t type, bool held, bool may_stop)
{
    int rc;

    if (type == PGT_SEG)
        rc = pgt_seg_validate(pg);
    else
        rc = validate_entries(pg, type, may_stop);
    if (!rc) {
        page_dirtied(pg);
        busy_end(pg, type | PGT_VALID | 1);
        if (held)
            partial_release(pg);
        return 0;
    }
    if (rc == -XEN_ERESTART) {
        leave_unfinished(pg, type, held);
        return rc;
    }
    if (type == PGT_SEG)
        pg->pt_done = 0;
    /* The refusal stands whether or not the undoing is interrupted. */
    (void)undo_and_leave(pg, type, held, may_stop);
    return rc;
}

/* The frame has count 0, is not BUSY, and gets type `type` now. The flush comes after BUSY is set: from then on
 * nobody can make a new translation under the old type. */
static int get_first(struct page *pg, uint64_t x, uint64_t type, bool may_stop)
{
    bool partial = x & PGT_PARTIAL;
    bool retype = (x & PGT_TYPE_MASK) != type && (x & PGT_TYPE_MASK) != PGT_NONE;
    uint64_t to = type | PGT_BUSY;

    if (unlikely(partial && retype)) {
        int rc = may_stop ? pgt_drain(pg, true) : -XEN_EINVAL;

        return rc ? rc : -XEN_EAGAIN;
    }
    if (type == PGT_WRITABLE && !retype)
        to = PGT_WRITABLE | PGT_VALID | 1;
    if (!__atomic_compare_exchange_n(&pg->type, &x, to, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return -XEN_EAGAIN;
    if (retype && has_entries(x & PGT_TYPE_MASK))
        tlb_flush_stale_tables(pg->tlb_stamp);
    else if (retype)
        tlb_flush_stale(pg->tlb_stamp);
    if (type == PGT_WRITABLE) {
        if (retype)
            busy_end(pg, PGT_WRITABLE | PGT_VALID | 1);
        return 0;
    }
    if (!partial)
        pg->pt_done = 0;
    return validate_and_leave(pg, type, partial, may_stop);
}

int pgt_get(struct page *pg, uint64_t type, bool may_stop)
{
    for (;;) {
        uint64_t x = __atomic_load_n(&pg->type, __ATOMIC_ACQUIRE);
        int rc;

        if (x & PGT_BUSY) {
            /* Another type: in use, perhaps by ourselves further up, so waiting is no answer. The same
             * type: only another CPU can be at it (levels fall on the way down), for a bounded time. */
            if ((x & PGT_TYPE_MASK) != type)
                return -XEN_EINVAL;
            if (may_stop && has_entries(type))
                return -XEN_ERESTART;
            cpu_relax();
            continue;
        }
        if (x & PGT_COUNT_MASK) {
            if ((x & PGT_TYPE_MASK) != type)
                return -XEN_EINVAL;
            if (__atomic_compare_exchange_n(&pg->type, &x, x + 1, false, __ATOMIC_ACQ_REL,
                                            __ATOMIC_RELAXED))
                return 0;
            continue;
        }
        rc = get_first(pg, x, type, may_stop);
        if (rc != -XEN_EAGAIN)
            return rc;
    }
}

int pgt_put(struct page *pg, bool may_stop)
{
    for (;;) {
        uint64_t x = __atomic_load_n(&pg->type, __ATOMIC_ACQUIRE), type = x & PGT_TYPE_MASK;

        BUG_ON(!(x & PGT_COUNT_MASK) || (x & PGT_BUSY));
        if ((x & PGT_COUNT_MASK) > 1) {
            if (__atomic_compare_exchange_n(&pg->type, &x, x - 1, false, __ATOMIC_ACQ_REL,
                                            __ATOMIC_RELAXED))
                return 0;
            continue;
        }
        if (!__atomic_compare_exchange_n(&pg->type, &x, type | PGT_BUSY, false, __ATOMIC_ACQ_REL,
                                         __ATOMIC_RELAXED))
            continue;
        pg->pt_done = has_entries(type) ? 512 : 0;
        if (unlikely(pg->pt_done)) {
            if (domain_logged(pg->owner))
                mirror_table_gone(pg);
            return undo_and_leave(pg, type, false, may_stop);
        }
        pg->tlb_stamp = tlb_stamp_now();
        busy_end(pg, type);
        return 0;
    }
}

int pgt_get_page(struct page *pg, const struct domain *d, uint64_t type, bool may_stop)
{
    int rc;

    if (!get_page(pg, d))
        return -XEN_EINVAL;
    rc = pgt_get(pg, type, may_stop);
    if (rc)
        put_page(pg);
    return rc;
}

int pgt_put_page(struct page *pg, bool may_stop)
{
    int rc = pgt_put(pg, may_stop);

    put_page(pg);
    return rc;
}
