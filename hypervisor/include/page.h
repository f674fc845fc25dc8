/* SPDX-License-Identifier: MIT */
/*
 * The frame table: one struct page for each frame of RAM, general references, and the frame
 * allocator.
 *
 * A frame is in one of these states:
 *   free          count == 0, owner == NULL, on a free list
 *   hypervisor    PGC_HYP set, owner NULL: never mapped by a guest
 *   shared        PGC_HYP set, owner != NULL: the hypervisor's, which `owner` may map (shared_info,
 *                 grant table); freed by the hypervisor after the last guest reference has gone
 *   a domain's    PGC_ALLOC set while the domain owns the allocation; references counted
 *
 * `count` holds flags at the top and the number of references below; PGC_ALLOC itself accounts for
 * one reference. When the count of a domain's frame falls to zero, the frame goes back to the
 * allocator. `type` is pgt.h's.
 */
#pragma once

#include "types.h"

struct domain;

struct page {
    uint64_t count; /* [a] PGC_* | references */
    uint64_t type;  /* [a] pgt.h */
    struct domain *owner; /* changed only while count == 0 or under the owner's page_lock */
    uint32_t next, prev;  /* [RANK_PAGE_LIST or RANK_HEAP] neighbours on a list: frame numbers, 0 = none */
    uint32_t tlb_stamp;   /* flush clock when last type or reference went */
    union {
        uint16_t pt_done; /* pgt.h: entries validated so far, while partial or busy */
        uint16_t writers; /* [a] while WRITABLE: who can write besides the owner's tables (logdirty.h) */
    };
    uint8_t order;        /* allocator: of a free block; a domain's frame: PGL_* */
    uint8_t flags;        /* PGF_* */
};
_Static_assert(sizeof(struct page) == 40, "the frame table's share of memory: 1 %");

#define PGC_ALLOC BIT(63)
#define PGC_HYP BIT(62)
#define PGC_COUNT_MASK (BIT(48) - 1)

#define PGL_HELD 0x80 /* its number is on its domain's list of frames with writers (logdirty_held.c) */

#define PGF_FREE 0x01  /* head of a free block */
#define PGF_DIRTY 0x02 /* head of a free block in which not every frame is PGF_CLEAN */
#define PGF_CLEAN 0x04 /* free frame known to be all zero; others may hold a dead guest's data */

extern struct page *frame_table; /* indexed by mfn; only sections with RAM are backed */
extern uint64_t frame_max;       /* first mfn above all RAM */
/* frames.c defines both; the machine sets frame_table before the first frames_add(), which keeps
 * frame_max. */

/* True if m has a struct page (it may still be a hole inside a section: then its count is 0 and
 * owner NULL for ever, so get_page() fails). O(1), any context. */
bool mfn_valid(mfn_t m);

static inline struct page *page_of(mfn_t m)
{
    return &frame_table[m.n];
}
/* The same for a number that a guest gave, after mfn_valid(): no speculation outside the table. */
static inline struct page *page_of_guest(mfn_t m)
{
    return &frame_table[index_nospec(m.n, frame_max)];
}
static inline mfn_t mfn_of(const struct page *pg)
{
    return (mfn_t){(uint64_t)(pg - frame_table)};
}

/* A reference, if pg belongs to d (own or shared) and is not being freed. Lock-free, any context. */
bool get_page(struct page *pg, const struct domain *d) __must_check;
/* The frame's struct page with a reference, or NULL: not RAM, not d's. */
struct page *get_page_of_mfn(mfn_t m, const struct domain *d) __must_check;
/* Another reference where the caller already holds one. */
void dup_page(struct page *pg);
/* Drop a reference; the last one of a domain's frame frees it. Any context but interrupts. */
void put_page(struct page *pg);

/* --- The allocator (common/frames.c). O(log) in memory, safe in any context but interrupts. ------ */

#define FA_LOW4G 0x1   /* below 4 GiB */
#define FA_NOSCRUB 0x2 /* caller overwrites or does not mind (domain 0 at boot) */
#define FA_ANY_NODE 0xff00
#define MAX_ORDER 18 /* 1 GiB */

/* Give RAM to the allocator at boot: frames [start, end), whose struct pages exist and are zero. */
void frames_add(mfn_t start, mfn_t end);
/* 2^order frames, aligned to their size and contiguous; INVALID_MFN if there are none. They come as the
 * hypervisor's (PGC_HYP | 1 on each, owner NULL), all zero unless FA_NOSCRUB. Prefers high addresses. */
mfn_t frames_alloc(unsigned order, unsigned flags) __must_check;
/* As above with all frames below 2^bits bytes; below 24 bits there are never any. */
mfn_t frames_alloc_below(unsigned order, unsigned flags, unsigned bits) __must_check;
/* Give back frames from frames_alloc. */
void frames_free(mfn_t m, unsigned order);
uint64_t frames_free_count(void);
uint64_t frames_total(void);
/* How many of the free frames domains have claimed. */
uint64_t frames_claimed(void);
/* Idle work: scrub some dirty free frames; true if there is more to do for this CPU (one scrubs at a time, others are
 * told that there is nothing). Interrupts on. */
bool frames_scrub_some(void);
/* Walk all free lists and compare them with the frame table: number of faults found, each printed. */
unsigned frames_check(void);

/* 2^order frames for d, on its list, each PGC_ALLOC | 1, type 0. NULL if there is no memory or d
 * would exceed max_pages (or is dying). All zero unless FA_NOSCRUB, also if
 * they were d's before: whoever restores a guest relies on that (zendo/control.h). */
struct page *domain_pages_alloc(struct domain *d, unsigned order, unsigned flags, unsigned bits)
    __must_check;
/* Keep as many free frames for d as it needs to have `total` of them; nobody else is given these. The claim falls
 * with what d gets and ends with d. total 0: no claim (always succeeds). -XEN_EINVAL: dying, above max_pages, or
 * a claim is outstanding; -XEN_ENOMEM: not so many are free and unclaimed. Lock: takes d->page_lock. */
int domain_claim(struct domain *d, uint64_t total) __must_check;
/* Give a frame from frames_alloc(0) to d for sharing (state "shared"); takes no reference. */
void share_page(struct page *pg, struct domain *d);
/* Undo share_page and free the frame once guests have dropped it; false: still referenced. */
bool unshare_page(struct page *pg);
/* The same when its domain is being freed: if others still map it, it becomes dom_orphans' and is freed with the
 * last of those mappings. */
void orphan_page(struct page *pg);
/* Take pg off d's list and clear PGC_ALLOC, whose reference is now the caller's: put_page() gives the frame
 * up (it is freed with the last reference), domain_page_assign() gives it to another domain.
 * -XEN_EINVAL when it is not d's or its PGC_ALLOC has gone already. Lock: takes d->page_lock. */
int domain_page_remove(struct domain *d, struct page *pg) __must_check;
/* The first frame of d's list, NULL: the list is empty. *left: it was taken off as by domain_page_remove(); else it has a
 * pin or a leftover, stays, and the caller has a reference of its own. */
struct page *domain_page_first(struct domain *d, bool *left);

/* Frames that come free one after the other and lie side by side go to the heap together. The last step must be
 * page_run_end(): until then the heap does not have them. The caller holds d. */
struct page_run {
    uint64_t start, n;
};
void put_page_run(struct page *pg, struct page_run *run);
void page_run_end(struct page_run *run);
/* Put pg on d's list as its new owner: a frame of frames_alloc(0), or one whose only reference the caller
 * holds (after domain_page_remove). That reference becomes PGC_ALLOC's. -XEN_E2BIG above max_pages,
 * -XEN_EINVAL when dying. */
int domain_page_assign(struct domain *d, struct page *pg) __must_check;

/* --- Small objects (common/slab.c): zeroed; NULL when out of memory. ------------------------------- */

void *zalloc(size_t bytes) __must_check;
void zfree(void *p); /* NULL is fine */
