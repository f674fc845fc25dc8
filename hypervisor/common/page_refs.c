/* SPDX-License-Identifier: MIT */
/*
 * References to frames, and domains' lists of frames (page.h has the states).
 *
 * get_page() and put_page() are lock-free. A frame is freed by whoever drops its last reference:
 * then nobody can gain a new one (count 0 fails get_page), so owner and type may be changed without
 * a lock. get_page() reads count before owner; allocation writes owner before count: what it finds
 * belongs together, or the exchange fails, or (the frame was freed and handed to another in
 * between, with the same count) the second look at owner sees it and the reference is dropped
 * again.
 *
 * owned_pages of a domain counts every frame that came to it by its list, also those that left the list
 * but are still mapped somewhere: struct domain must stay until that is 0, or a stale frame would
 * seem to belong to the next domain at the same address; so they hold one reference to it together. Frames that
 * the hypervisor shares with a domain are not among them: they change their owner when the domain is freed
 * (orphan_page). Those that left the list count against max_pages
 * (loose_pages): else a guest could give frames back, keep them mapped, and take new ones for ever.
 */
#include "domain.h"
#include "frames_private.h"
#include "lib.h"
#include "log.h"
#include "logdirty.h"
#include "logdirty_core.h"
#include "pgt.h"
#include "port.h"

bool get_page(struct page *pg, const struct domain *d)
{
    uint64_t old = __atomic_load_n(&pg->count, __ATOMIC_ACQUIRE);

    do {
        if (!(old & PGC_COUNT_MASK) || READ_ONCE(pg->owner) != d || !d)
            return false;
        BUG_ON((old & PGC_COUNT_MASK) == PGC_COUNT_MASK);
    } while (!__atomic_compare_exchange_n(&pg->count, &old, old + 1, false, __ATOMIC_ACQ_REL,
                                          __ATOMIC_ACQUIRE));
    if (likely(READ_ONCE(pg->owner) == d))
        return true;
    put_page(pg);
    return false;
}

struct page *get_page_of_mfn(mfn_t m, const struct domain *d)
{
    struct page *pg;

    if (!mfn_valid(m))
        return NULL;
    pg = page_of(mfn(index_nospec(m.n, frame_max)));
    return get_page(pg, d) ? pg : NULL;
}

void dup_page(struct page *pg)
{
    uint64_t old = __atomic_fetch_add(&pg->count, 1, __ATOMIC_RELAXED);

    BUG_ON(!(old & PGC_COUNT_MASK) || (old & PGC_COUNT_MASK) == PGC_COUNT_MASK);
}

/* Frames of d from its list: one more, one fewer. The first brings a reference to d, the last one takes it. */
void owned_add(struct domain *d)
{
    if (__atomic_fetch_add(&d->owned_pages, 1, __ATOMIC_RELAXED) == 0)
        domain_ref(d);
}

static void owned_sub(struct domain *d)
{
    __atomic_fetch_sub(&d->loose_pages, 1, __ATOMIC_RELAXED);
    if (__atomic_sub_fetch(&d->owned_pages, 1, __ATOMIC_ACQ_REL) == 0)
        domain_put(d);
}

/* The last reference of a domain's frame has gone: nobody else can reach pg any more. It is the heap's after this. */
static void page_forget(struct page *pg)
{
    BUG_ON(READ_ONCE(pg->type) & (PGT_COUNT_MASK | PGT_PARTIAL | PGT_BUSY | PGT_PINNED));
    BUG_ON(!pg->owner);
    if (PGT_LEVEL(pg->type) >= 1 && PGT_LEVEL(pg->type) <= 4)
        tlb_flush_stale_tables(pg->tlb_stamp); /* no processor may walk what will not be a table */
    WRITE_ONCE(pg->type, 0);
    pg->pt_done = 0;
    pg->order = 0;
    WRITE_ONCE(pg->owner, NULL);
}

/* loose: it was on the domain's list once. */
static void page_free(struct page *pg, bool loose)
{
    struct domain *d = pg->owner;

    page_forget(pg);
    frames_give(mfn_of(pg), 0, tlb_stamp_now());
    if (loose)
        owned_sub(d);
}

/* Was it the last reference? */
static bool page_drop(struct page *pg)
{
    uint64_t old = __atomic_fetch_sub(&pg->count, 1, __ATOMIC_ACQ_REL);

    BUG_ON(!(old & PGC_COUNT_MASK));
    if (likely(old != 1)) /* flags account for one reference each */
        BUG_ON((old & PGC_COUNT_MASK) == 1);
    return old == 1;
}

void put_page(struct page *pg)
{
    if (unlikely(page_drop(pg)))
        page_free(pg, true);
}

#define RUN_MAX 512 /* the heap's count may lag behind by as many */

void page_run_end(struct page_run *run)
{
    uint32_t stamp = tlb_stamp_now();

    while (run->n) {
        unsigned order = MIN(bit_first(run->start), (unsigned)MAX_ORDER);

        while (run->n < 1ULL << order)
            order--;
        frames_give(mfn(run->start), order, stamp);
        run->start += 1ULL << order;
        run->n -= 1ULL << order;
    }
}

void put_page_run(struct page *pg, struct page_run *run)
{
    struct domain *d = pg->owner;
    uint64_t frame = mfn_of(pg).n;

    if (!page_drop(pg))
        return;
    page_forget(pg);
    owned_sub(d);
    if (run->n && (frame != run->start + run->n || run->n == RUN_MAX))
        page_run_end(run);
    if (!run->n)
        run->start = frame;
    run->n++;
}

/* --- Lists (page_lock held) --- */

static void list_link(struct domain *d, struct page *pg)
{
    uint32_t n = (uint32_t)mfn_of(pg).n;

    pg->prev = 0;
    pg->next = d->pages_head;
    if (pg->next)
        frame_table[pg->next].prev = n;
    d->pages_head = n;
}

static void list_unlink(struct domain *d, struct page *pg)
{
    if (unlikely(d->pages_cursor) && d->pages_cursor == (uint32_t)mfn_of(pg).n)
        d->pages_cursor = pg->next;
    if (pg->next)
        frame_table[pg->next].prev = pg->prev;
    if (pg->prev)
        frame_table[pg->prev].next = pg->next;
    else
        d->pages_head = pg->next;
    pg->next = pg->prev = 0;
}

/* Room for n more frames? Then they are counted already. from_heap: they come off the domain's claim. */
static int pages_reserve(struct domain *d, uint64_t n, bool from_heap)
{
    uint64_t used;
    int rc = 0;

    spin_lock(&d->page_lock);
    used = d->tot_pages + __atomic_load_n(&d->loose_pages, __ATOMIC_RELAXED);
    if (d->dying)
        rc = -XEN_EINVAL;
    else if (used > d->max_pages || n > d->max_pages - used)
        rc = -XEN_E2BIG;
    else
        d->tot_pages += n;
    if (!rc && from_heap)
        __atomic_fetch_add(&d->coming_pages, n, __ATOMIC_RELAXED);
    spin_unlock(&d->page_lock);
    return rc;
}

static void pages_unreserve(struct domain *d, uint64_t n, bool from_heap)
{
    spin_lock(&d->page_lock);
    d->tot_pages -= n;
    if (from_heap)
        __atomic_fetch_sub(&d->coming_pages, n, __ATOMIC_RELAXED);
    spin_unlock(&d->page_lock);
}

/* pg is the caller's alone, and its number is in tot_pages. */
static void page_enter(struct domain *d, struct page *pg)
{
    WRITE_ONCE(pg->type, 0);
    WRITE_ONCE(pg->owner, d);
    owned_add(d);
    list_link(d, pg);
    __atomic_store_n(&pg->count, PGC_ALLOC | 1, __ATOMIC_RELEASE);
}

struct page *domain_pages_alloc(struct domain *d, unsigned order, unsigned flags, unsigned bits)
{
    uint64_t i, n = 1ULL << order;
    mfn_t m;

    if (order > MAX_ORDER || pages_reserve(d, n, true))
        return NULL;
    m = frames_take(d, order, flags, bits);
    if (mfn_eq(m, INVALID_MFN)) {
        pages_unreserve(d, n, true);
        return NULL;
    }
    spin_lock(&d->page_lock);
    for (i = n; i-- > 0;) /* so that the list begins with the lowest */
        page_enter(d, page_of(mfn_add(m, i)));
    spin_unlock(&d->page_lock);
    return page_of(m);
}

int domain_claim(struct domain *d, uint64_t total)
{
    int rc;

    spin_lock(&d->page_lock);
    if (total && (d->dying || total > d->max_pages))
        rc = -XEN_EINVAL;
    else
        rc = frames_claim(d, total);
    spin_unlock(&d->page_lock);
    return rc;
}

/* Only here is PGC_ALLOC cleared, under the lock; references may come and go meanwhile. */
static void page_leave(struct domain *d, struct page *pg)
{
    __atomic_fetch_add(&d->loose_pages, 1, __ATOMIC_RELAXED);
    __atomic_fetch_and(&pg->count, ~PGC_ALLOC, __ATOMIC_ACQ_REL);
    list_unlink(d, pg);
    d->tot_pages--;
}

int domain_page_remove(struct domain *d, struct page *pg)
{
    int rc = -XEN_EINVAL;

    spin_lock(&d->page_lock);
    if (pg->owner == d && (READ_ONCE(pg->count) & PGC_ALLOC)) {
        page_leave(d, pg);
        rc = 0;
    }
    spin_unlock(&d->page_lock);
    return rc;
}

struct page *domain_page_first(struct domain *d, bool *left)
{
    struct page *pg = NULL;

    spin_lock(&d->page_lock);
    if (d->pages_head) {
        pg = page_of(mfn(d->pages_head));
        *left = !(READ_ONCE(pg->type) & (PGT_PINNED | PGT_PARTIAL));
        if (*left)
            page_leave(d, pg);
        else
            dup_page(pg); /* the allocation's is there */
    }
    spin_unlock(&d->page_lock);
    return pg;
}

int domain_page_assign(struct domain *d, struct page *pg)
{
    struct domain *old_owner = pg->owner;
    uint64_t count = READ_ONCE(pg->count);
    int rc;

    BUG_ON(count & ~(PGC_HYP | PGC_COUNT_MASK));
    /* 0: boot modules. More than 1: get_page() by somebody who saw an earlier life of the frame. */
    if ((count & PGC_COUNT_MASK) > 1 || (pg->type & (PGT_COUNT_MASK | PGT_PARTIAL | PGT_BUSY)))
        return -XEN_EINVAL;
    rc = pages_reserve(d, 1, false);
    if (rc)
        return rc;
    /* From 1 to 0: get_page() by the old owner fails from now on. Somebody may have been quicker.
     */
    if (!__atomic_compare_exchange_n(&pg->count, &count, 0, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_RELAXED)) {
        pages_unreserve(d, 1, false);
        return -XEN_EINVAL;
    }
    if (old_owner) /* its type is forgotten, and with it the stamp */
        tlb_flush_stale(tlb_stamp_now());
    spin_lock(&d->page_lock);
    page_enter(d, pg);
    spin_unlock(&d->page_lock);
    if (old_owner)
        owned_sub(old_owner);
    return 0;
}

/* --- Writers besides the owner's tables --- */

#define WRITERS_MAX UINT16_MAX /* as many or more: stays until the frame is no longer WRITABLE */

void page_writer_add(struct page *pg)
{
    uint16_t n = __atomic_load_n(&pg->writers, __ATOMIC_RELAXED);

    while (n != WRITERS_MAX && !__atomic_compare_exchange_n(&pg->writers, &n, (uint16_t)(n + 1), false,
                                                            __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        ;
    /* After the count: logging comes on the other way round, first the pointer, then a look at the counts. */
    if (domain_logged(pg->owner))
        logdirty_held_add(pg);
}

void page_writer_drop(struct page *pg)
{
    uint16_t n = __atomic_load_n(&pg->writers, __ATOMIC_RELAXED);

    page_dirtied(pg);
    do {
        BUG_ON(!n);
    } while (n != WRITERS_MAX && !__atomic_compare_exchange_n(&pg->writers, &n, (uint16_t)(n - 1), false,
                                                              __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
}

/* --- Frames of the hypervisor's that a guest may map --- */

/* They are written by us without asking for a type each time, so they have the type WRITABLE all the while they
 * are shared: a guest must never be able to make one a page table or a descriptor table. */

void share_page(struct page *pg, struct domain *d)
{
    BUG_ON(READ_ONCE(pg->count) != (PGC_HYP | 1) || pg->owner);
    WRITE_ONCE(pg->type, PGT_WRITABLE | PGT_VALID | 1);
    __atomic_store_n(&pg->owner, d, __ATOMIC_RELEASE);
}

bool unshare_page(struct page *pg)
{
    struct domain *d = pg->owner;
    uint64_t old = PGC_HYP | 1;

    BUG_ON(!d || !(READ_ONCE(pg->count) & PGC_HYP));
    if (!__atomic_compare_exchange_n(&pg->count, &old, 0, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_RELAXED))
        return false;
    BUG_ON(pg->type != (PGT_WRITABLE | PGT_VALID | 1));
    WRITE_ONCE(pg->type, 0);
    page_free(pg, false);
    return true;
}
