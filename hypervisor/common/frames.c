/* SPDX-License-Identifier: MIT */
/*
 * The frame allocator: a buddy system over the frame table, in zones by address.
 *
 * Zone 0 is the first 16 MiB, zone k the addresses [2^(23+k), 2^(24+k)); a block never spans two
 * zones, so "below 2^bits bytes" is a choice of zones and never a search. Zones are tried from the
 * top, which keeps low memory for those who need it. Each zone has two free lists per order, for
 * blocks of zeroed frames and for "dirty" blocks, and a bit mask of the orders that are not empty:
 * every operation is O(zones + orders).
 *
 * Scrubbing is lazy: idle CPUs zero dirty blocks a few frames at a time, and what is allocated
 * before that is zeroed by whoever takes it, outside the lock. PGF_CLEAN on a frame says that it is
 * zero; `type` of the head of a dirty block is the number of frames at its start known to be so.
 *
 * tlb_stamp of a free block is the latest flush-clock value of its parts: who takes it makes sure
 * that no CPU still translates to it.
 *
 * Claims are numbers, not frames: what a domain has claimed nobody else is given, neither another domain nor
 * the hypervisor, however it lies in memory. What is given to the domain itself comes off its claim.
 *
 * Frame 0 is never given out: 0 ends the lists. Lists, counters and claims: heap_lock.
 */
#include "domain.h"
#include "frames_private.h"
#include "lib.h"
#include "lock.h"
#include "log.h"
#include "port.h"

#define ZONE_SHIFT 24
#define NR_ZONES 28
#define NR_ORDERS (MAX_ORDER + 1)
#define SECTION_SHIFT (27 - FRAME_SHIFT)
#define MAX_FRAMES (1ULL << 32) /* lists hold 32-bit frame numbers: 16 TiB */
#define SCRUB_ORDER 4           /* frames per step of idle scrubbing */
#define SUPER_ORDER 9           /* a superpage */

struct page *frame_table;
uint64_t frame_max;

struct zone {
    uint32_t head[2][NR_ORDERS]; /* [dirty][order]: first block, 0 = none */
    uint32_t orders[2];          /* bit per order: that list is not empty */
};

static struct zone zones[NR_ZONES];
static uint64_t sections[(MAX_FRAMES >> SECTION_SHIFT) / 64];
static uint64_t heap_free, heap_total;
static uint64_t heap_scrubbed; /* free, but in a scrubber's hands for a moment */
static uint64_t heap_claimed;  /* sum of all domains' claims */
static struct spinlock heap_lock = SPINLOCK_INIT("heap", RANK_HEAP);

bool mfn_valid(mfn_t m)
{
    return m.n < frame_max && bit_test(sections, index_nospec(m.n, MAX_FRAMES) >> SECTION_SHIFT);
}

static unsigned zone_of(uint64_t frame)
{
    unsigned top = frame ? bit_last(frame) + FRAME_SHIFT : 0;

    return top < ZONE_SHIFT ? 0 : top - ZONE_SHIFT + 1;
}

/* --- Free lists (all: heap_lock held) --- */

/* clean: frames at its start known to be zero; all of them: the block is not dirty. */
static void block_insert(uint64_t frame, unsigned order, uint64_t clean, uint32_t stamp)
{
    struct zone *z = &zones[zone_of(frame)];
    struct page *pg = &frame_table[frame];
    unsigned dirty = clean < (1ULL << order);
    uint32_t *head = &z->head[dirty][order];

    pg->order = (uint8_t)order;
    pg->flags |= (uint8_t)(PGF_FREE | (dirty ? PGF_DIRTY : 0));
    WRITE_ONCE(pg->type, dirty ? clean : 0); /* pgt_drain() of a stale pointer may look */
    pg->tlb_stamp = stamp;
    pg->prev = 0;
    pg->next = *head;
    if (*head)
        frame_table[*head].prev = (uint32_t)frame;
    *head = (uint32_t)frame;
    z->orders[dirty] |= 1u << order;
}

/* Returns the number of clean frames at its start (all: not dirty). */
static uint64_t block_remove(uint64_t frame)
{
    struct zone *z = &zones[zone_of(frame)];
    struct page *pg = &frame_table[frame];
    unsigned dirty = !!(pg->flags & PGF_DIRTY), order = pg->order;
    uint64_t clean = dirty ? pg->type : 1ULL << order;

    BUG_ON(!(pg->flags & PGF_FREE));
    if (pg->next)
        frame_table[pg->next].prev = pg->prev;
    if (pg->prev)
        frame_table[pg->prev].next = pg->next;
    else
        z->head[dirty][order] = pg->next;
    if (!z->head[dirty][order])
        z->orders[dirty] &= ~(1u << order);
    pg->flags &= (uint8_t) ~(PGF_FREE | PGF_DIRTY);
    WRITE_ONCE(pg->type, 0);
    pg->next = pg->prev = 0;
    pg->order = 0;
    return clean;
}

static uint32_t stamp_later(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) > 0 ? a : b;
}

static bool buddy_is_free(uint64_t buddy, uint64_t frame, unsigned order)
{
    return buddy && zone_of(buddy) == zone_of(frame) && mfn_valid(mfn(buddy)) &&
           (READ_ONCE(frame_table[buddy].flags) & PGF_FREE) && frame_table[buddy].order == order;
}

/* Put a block on its list, joined with its free buddies. */
static void block_merge(uint64_t frame, unsigned order, uint64_t clean, uint32_t stamp)
{
    for (; order < MAX_ORDER; order++) {
        uint64_t size = 1ULL << order, buddy = frame ^ size, clean2;

        if (!buddy_is_free(buddy, frame, order))
            break;
        stamp = stamp_later(stamp, frame_table[buddy].tlb_stamp);
        clean2 = block_remove(buddy);
        if (buddy < frame)
            clean = clean2 == size ? size + clean : clean2;
        else
            clean = clean == size ? size + clean2 : clean;
        frame = MIN(frame, buddy);
    }
    block_insert(frame, order, clean, stamp);
}

/* Take the block at head `frame` and cut it down to the `order`-sized piece that contains `want`;
 * the rest goes back. *stamp: of the block. Returns the start of the piece. */
static uint64_t block_carve(uint64_t frame, unsigned order, uint64_t want, uint32_t *stamp)
{
    unsigned have = frame_table[frame].order;
    uint64_t clean;

    *stamp = frame_table[frame].tlb_stamp;
    clean = block_remove(frame);
    while (have > order) {
        uint64_t half = 1ULL << --have;
        uint64_t low_clean = MIN(clean, half), high_clean = clean > half ? clean - half : 0;

        if (want >= frame + half) {
            block_insert(frame, have, low_clean, *stamp);
            frame += half;
            clean = high_clean;
        } else {
            block_insert(frame + half, have, high_clean, *stamp);
            clean = low_clean;
        }
    }
    return frame;
}

/* --- Taking and giving --- */

/* Head of the best block of at least `order` in a zone, 0 = none. Zeroed memory is preferred to
 * those who want it so, unless that would break a superpage while a smaller dirty block would do.
 */
static uint64_t zone_find(const struct zone *z, unsigned order, bool want_clean)
{
    uint32_t fit[2] = {z->orders[0] & (~0u << order), z->orders[1] & (~0u << order)};
    unsigned dirty;

    if (!(fit[0] | fit[1]))
        return 0;
    if (!fit[0] || !fit[1]) {
        dirty = !fit[0];
    } else {
        unsigned clean_order = bit_first(fit[0]), dirty_order = bit_first(fit[1]);

        dirty =
            want_clean ? order < SUPER_ORDER && clean_order >= SUPER_ORDER && dirty_order < clean_order
                       : dirty_order <= clean_order;
    }
    return z->head[dirty][bit_first(fit[dirty])];
}

static void frame_scrub(uint64_t frame)
{
    void *va = map_frame(mfn(frame));

    memset(va, 0, FRAME_SIZE);
    unmap_frame(va);
}

/* --- Claims --- */

/* May d (NULL: the hypervisor) have n frames, or are they others'? heap_lock held. */
static bool claims_leave(const struct domain *d, uint64_t n)
{
    return n + heap_claimed - (d ? d->claim : 0) <= heap_free + heap_scrubbed;
}

/* d has been given n frames. heap_lock held. */
static void claim_use(struct domain *d, uint64_t n)
{
    uint64_t part = MIN(n, d->claim);

    WRITE_ONCE(d->claim, d->claim - part);
    heap_claimed -= part;
    __atomic_fetch_sub(&d->coming_pages, n, __ATOMIC_RELAXED);
}

int frames_claim(struct domain *d, uint64_t total)
{
    uint64_t have = d->tot_pages, want;
    int rc = 0;

    spin_lock(&heap_lock);
    have -= __atomic_load_n(&d->coming_pages, __ATOMIC_RELAXED);
    want = total > have ? total - have : 0;
    if (total && d->claim) {
        rc = -XEN_EINVAL;
    } else if (want && !claims_leave(NULL, want)) {
        rc = -XEN_ENOMEM;
    } else {
        heap_claimed += want - d->claim;
        WRITE_ONCE(d->claim, want);
    }
    spin_unlock(&heap_lock);
    return rc;
}

uint64_t frames_claimed(void)
{
    return READ_ONCE(heap_claimed);
}

/* --- Taking frames --- */

mfn_t frames_take(struct domain *d, unsigned order, unsigned flags, unsigned bits)
{
    uint64_t frame = 0, i;
    uint32_t stamp = 0;
    int z;

    if (flags & FA_LOW4G)
        bits = MIN(bits, 32u);
    if (order > MAX_ORDER || bits < ZONE_SHIFT)
        return INVALID_MFN;
    z = (int)MIN(bits - ZONE_SHIFT, NR_ZONES - 1u);
    spin_lock(&heap_lock);
    for (; z >= 0 && !frame && claims_leave(d, 1ULL << order); z--)
        frame = zone_find(&zones[z], order, !(flags & FA_NOSCRUB));
    if (frame) {
        frame = block_carve(frame, order, frame, &stamp);
        heap_free -= 1ULL << order;
        if (d)
            claim_use(d, 1ULL << order);
    }
    spin_unlock(&heap_lock);
    if (!frame)
        return INVALID_MFN;

    tlb_flush_stale(stamp);
    for (i = 0; i < 1ULL << order; i++) {
        struct page *pg = &frame_table[frame + i];

        BUG_ON(READ_ONCE(pg->count) || READ_ONCE(pg->owner));
        if (!(flags & FA_NOSCRUB) && !(pg->flags & PGF_CLEAN))
            frame_scrub(frame + i);
        pg->flags = 0;
    }
    return mfn(frame);
}

void frames_give(mfn_t m, unsigned order, uint32_t stamp)
{
    spin_lock(&heap_lock);
    block_merge(m.n, order, 0, stamp);
    heap_free += 1ULL << order;
    spin_unlock(&heap_lock);
}

mfn_t frames_alloc_below(unsigned order, unsigned flags, unsigned bits)
{
    mfn_t m = frames_take(NULL, order, flags, bits);
    uint64_t i;

    if (!mfn_eq(m, INVALID_MFN))
        for (i = 0; i < 1ULL << order; i++)
            __atomic_store_n(&frame_table[m.n + i].count, PGC_HYP | 1, __ATOMIC_RELEASE);
    return m;
}

mfn_t frames_alloc(unsigned order, unsigned flags)
{
    return frames_alloc_below(order, flags, 64);
}

void frames_free(mfn_t m, unsigned order)
{
    uint64_t i, size = 1ULL << order;

    BUG_ON(order > MAX_ORDER || (m.n & (size - 1)) || !m.n || m.n + size > frame_max);
    for (i = 0; i < size; i++) {
        struct page *pg = &frame_table[m.n + i];
        uint64_t old = PGC_HYP | 1;

        BUG_ON(pg->owner || (pg->flags & PGF_FREE) || !(pg->count & PGC_HYP));
        /* get_page() by somebody who saw an earlier life of the frame may hold it for a moment. */
        while (!__atomic_compare_exchange_n(&pg->count, &old, 0, false, __ATOMIC_ACQ_REL,
                                            __ATOMIC_RELAXED)) {
            BUG_ON(!(old & PGC_HYP) || !(old & PGC_COUNT_MASK));
            old = PGC_HYP | 1;
            cpu_relax();
        }
        BUG_ON(pg->type);
    }
    frames_give(m, order, tlb_stamp_now());
}

void frames_add(mfn_t start, mfn_t end)
{
    uint64_t frame = MAX(start.n, 1ULL), s, stop = MIN(end.n, MAX_FRAMES);

    if (frame >= stop)
        return;
    for (s = start.n >> SECTION_SHIFT; s <= (stop - 1) >> SECTION_SHIFT; s++)
        bit_set(sections, s);
    spin_lock(&heap_lock);
    frame_max = MAX(frame_max, stop);
    heap_total += stop - frame;
    heap_free += stop - frame;
    while (frame < stop) {
        unsigned order = MIN(bit_first(frame), (unsigned)MAX_ORDER);

        while (frame + (1ULL << order) > stop)
            order--;
        block_merge(frame, order, 0, 0);
        frame += 1ULL << order;
    }
    spin_unlock(&heap_lock);
}

uint64_t frames_free_count(void)
{
    uint64_t n;

    spin_lock(&heap_lock);
    n = heap_free + heap_scrubbed; /* else the count would wander while somebody scrubs */
    spin_unlock(&heap_lock);
    return n;
}

uint64_t frames_total(void)
{
    return heap_total;
}

/* --- Idle scrubbing --- */

/* A piece of a dirty block, taken out of the heap; 0 = everything is clean. */
static uint64_t scrub_pick(unsigned *order, uint32_t *stamp)
{
    uint64_t frame, want;
    int z;

    for (z = NR_ZONES - 1; z >= 0; z--)
        if (zones[z].orders[1])
            break;
    if (z < 0)
        return 0;
    *order = bit_first(zones[z].orders[1]);
    frame = zones[z].head[1][*order];
    want = frame + frame_table[frame].type;
    *order = MIN(*order, (unsigned)SCRUB_ORDER);
    return block_carve(frame, *order, want, stamp);
}

/* One CPU scrubs at a time: more of them would mostly wait for heap_lock, and whoever allocates would wait behind them
 * all (seen: eight idle vCPUs of an emulator on two processors kept domain 0 from starting). */
static bool scrubber_here;

static bool scrub_one_block(void)
{
    unsigned order;
    uint32_t stamp;
    uint64_t frame, i;
    bool more;

    spin_lock(&heap_lock);
    frame = scrub_pick(&order, &stamp);
    if (frame) {
        heap_free -= 1ULL << order;
        heap_scrubbed += 1ULL << order;
    }
    spin_unlock(&heap_lock);
    if (!frame)
        return false;
    tlb_flush_stale(stamp); /* a stale translation could write after the scrub */
    for (i = 0; i < 1ULL << order; i++) {
        struct page *pg = &frame_table[frame + i];

        if (!(pg->flags & PGF_CLEAN))
            frame_scrub(frame + i);
        pg->flags |= PGF_CLEAN;
    }
    spin_lock(&heap_lock);
    block_merge(frame, order, 1ULL << order, stamp);
    heap_free += 1ULL << order;
    heap_scrubbed -= 1ULL << order;
    for (more = false, i = 0; i < NR_ZONES; i++)
        more |= zones[i].orders[1] != 0;
    spin_unlock(&heap_lock);
    return more;
}

bool frames_scrub_some(void)
{
    bool more;

    if (READ_ONCE(scrubber_here) || __atomic_exchange_n(&scrubber_here, true, __ATOMIC_ACQUIRE))
        return false;
    more = scrub_one_block();
    __atomic_store_n(&scrubber_here, false, __ATOMIC_RELEASE);
    return more;
}

/* --- Checking --- */

static unsigned check_fault(uint64_t frame, const char *what)
{
    log_err("heap: frame %#lx: %s\n", frame, what);
    return 1;
}

static unsigned check_block(uint64_t frame, unsigned order, unsigned dirty, unsigned zone)
{
    const struct page *pg = &frame_table[frame];
    uint64_t i, size = 1ULL << order;
    unsigned bad = 0;

    if (!mfn_valid(mfn(frame)) || !mfn_valid(mfn(frame + size - 1)) || (frame & (size - 1)))
        return check_fault(frame, "not valid or not aligned");
    if (!(pg->flags & PGF_FREE) || pg->order != order || !!(pg->flags & PGF_DIRTY) != dirty)
        bad += check_fault(frame, "head's flags do not match its list");
    if (zone_of(frame) != zone || zone_of(frame + size - 1) != zone)
        bad += check_fault(frame, "in the wrong zone");
    if (order < MAX_ORDER && buddy_is_free(frame ^ size, frame, order))
        bad += check_fault(frame, "not merged with its buddy");
    for (i = 0; i < size; i++) {
        const struct page *p = &pg[i];

        if (p->count || p->owner || (i && (p->type || (p->flags & (PGF_FREE | PGF_DIRTY)))))
            bad += check_fault(frame + i, "free, but in use");
        if (!(p->flags & PGF_CLEAN) && (!dirty || i < pg->type))
            bad += check_fault(frame + i, "counted as clean");
    }
    return bad;
}

unsigned frames_check(void)
{
    unsigned bad = 0, z, k;
    uint64_t found = 0;

    spin_lock(&heap_lock);
    for (z = 0; z < NR_ZONES; z++)
        for (k = 0; k < 2 * NR_ORDERS; k++) {
            unsigned dirty = k / NR_ORDERS, order = k % NR_ORDERS;
            uint64_t frame = zones[z].head[dirty][order], prev = 0;

            if (!!frame != (zones[z].orders[dirty] >> order & 1))
                bad += check_fault(frame, "mask of orders is wrong");
            for (; frame; prev = frame, frame = frame_table[frame].next) {
                if (frame_table[frame].prev != prev)
                    bad += check_fault(frame, "list is broken");
                bad += check_block(frame, order, dirty, z);
                found += 1ULL << order;
                if (found > heap_total)
                    goto out;
            }
        }
    if (found != heap_free)
        bad += check_fault(0, "number of free frames is wrong");
    if (heap_claimed > heap_free + heap_scrubbed)
        bad += check_fault(0, "more is claimed than is free");
out:
    spin_unlock(&heap_lock);
    return bad;
}
