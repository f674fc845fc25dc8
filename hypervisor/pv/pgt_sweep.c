/* SPDX-License-Identifier: MIT */
/*
 * The end of a domain's memory. First the pins of its page tables, so that nothing of its own uses its frames any more and they
 * come free side by side. Then all frames on its list: leftovers of interrupted undoings go, and the frame leaves the list; it is
 * freed with its last use. Vcpus, grants and event channels have let go before.
 *
 * A frame can have a pin or a leftover although it has left the list, and then nobody else knows of that use. The
 * domain counts both; if some are left when the list is empty, which only a strange guest brings about, the whole
 * frame table is looked at.
 *
 * Afterwards what is left is what other domains have mapped; those frames go when they unmap them.
 */
#include "abi.h"
#include "domain.h"
#include "pgt.h"
#include "port.h"

#define SKIP 1024 /* frames of others to pass between looks at the clock */
#define STEP 16   /* frames to free between looks */
#define LOOK 64   /* frames to look at between looks */

/* Its uses that nobody else knows of. The caller has a reference. */
static int undo_frame(struct domain *d, struct page *pg)
{
    int rc = 0;

    if (__atomic_fetch_and(&pg->type, ~PGT_PINNED, __ATOMIC_ACQ_REL) & PGT_PINNED) {
        __atomic_fetch_sub(&d->pt_pins, 1, __ATOMIC_RELAXED);
        rc = pgt_put_page(pg, true);
    }
    return rc ? rc : pgt_drain(pg, true);
}

/* The caller has a reference to pg. */
static void step_over(struct domain *d, const struct page *pg)
{
    spin_lock(&d->page_lock);
    if (d->pages_cursor == (uint32_t)mfn_of(pg).n)
        d->pages_cursor = pg->next;
    spin_unlock(&d->page_lock);
}

/* What comes too late for this the walk over the list finds. */
static int sweep_pins(struct domain *d)
{
    int rc = 0;

    spin_lock(&d->page_lock);
    while (!rc && d->pages_cursor) {
        struct page *pinned = NULL;

        for (unsigned k = 0; k < LOOK && d->pages_cursor && !pinned; k++) {
            struct page *pg = page_of(mfn(d->pages_cursor));

            if (READ_ONCE(pg->type) & (PGT_PINNED | PGT_PARTIAL)) {
                pinned = pg;
                dup_page(pg); /* the allocation's is there */
            } else {
                d->pages_cursor = pg->next;
            }
        }
        spin_unlock(&d->page_lock);
        if (pinned) {
            rc = undo_frame(d, pinned);
            if (!rc)
                step_over(d, pinned); /* else the same again: all that hangs on it comes first */
            put_page(pinned);
        }
        if (!rc && preempt_needed())
            rc = -XEN_ERESTART;
        spin_lock(&d->page_lock);
    }
    spin_unlock(&d->page_lock);
    return rc;
}

static int sweep_list(struct domain *d)
{
    struct page_run run = { 0, 0 };
    unsigned done = 0;
    struct page *pg;
    bool left;
    int rc = 0;

    while (!rc && (pg = domain_page_first(d, &left))) {
        if (!left) {
            rc = undo_frame(d, pg);
            if (!rc && !domain_page_remove(d, pg))
                put_page(pg);
        }
        put_page_run(pg, &run);
        if (!rc && ++done % STEP == 0 && preempt_needed())
            rc = -XEN_ERESTART;
    }
    page_run_end(&run);
    if (rc)
        return rc;
    /* Somebody has reserved frames before d was dying, and they are on their way to the list. */
    return READ_ONCE(d->tot_pages) ? -XEN_ERESTART : 0;
}

static int sweep_table(struct domain *d, uint64_t *cursor)
{
    uint64_t seen = 0;

    for (; *cursor < frame_max; ++*cursor) {
        struct page *pg = page_of(mfn(*cursor));
        int rc;

        if (++seen % SKIP == 0 && preempt_needed())
            return -XEN_ERESTART;
        if (!mfn_valid(mfn(*cursor)) || !get_page(pg, d))
            continue;
        rc = undo_frame(d, pg);
        put_page(pg);
        if (rc)
            return rc;
    }
    return 0;
}

int pgt_domain_sweep(struct domain *d, uint64_t *cursor)
{
    int rc;

    if (!*cursor) {
        spin_lock(&d->page_lock);
        d->pages_cursor = d->pages_head;
        spin_unlock(&d->page_lock);
        *cursor = 1;
    }
    rc = sweep_pins(d);
    rc = rc ? rc : sweep_list(d);
    if (!rc && (READ_ONCE(d->pt_pins) || READ_ONCE(d->pt_partial)))
        rc = sweep_table(d, cursor);
    return rc;
}
