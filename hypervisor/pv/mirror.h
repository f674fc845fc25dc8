/* SPDX-License-Identifier: MIT */
/* Between mirror.c (tables), mirror_fault.c (filling them), mirror_life.c and mirror_check.c. */
#pragma once

#include "logdirty_core.h"
#include "pgt_private.h"
#include "x86/guest.h"
#include "x86/mm.h"

/*
 * The mirror of one table of the guest at one level of a walk. A table that maps itself is met at several levels and
 * has a mirror for each. key: frame << 3 | level; 0: not in use. All [L] (logdirty.lock).
 */
struct mirror {
    struct mirror *next; /* in its bucket, or on the free list */
    uint64_t key;
    uint64_t rw;         /* level 1: bit i: entries 8i..8i+7 may have a writable one */
    mfn_t frame;         /* [I] */
    uint32_t stamp;      /* free: flush clock when it became so */
    uint16_t users;      /* vCPUs that have it as a root; then it may be in use with key 0: its table is gone */
};

struct mirrors {
    struct mirror *m;          /* [I] n of them */
    uint32_t n, want;          /* [I] once on */
    uint32_t nr_free;
    struct mirror *free_first, *free_last; /* first in, first out: the oldest need no flush */
    struct mirror **bucket;    /* [I] array of 1 << bits */
    unsigned bits;
    uint32_t resets;           /* how often there was none left */
};

static inline uint64_t mirror_key(mfn_t table, unsigned level)
{
    return table.n << 3 | level;
}
static inline mfn_t mirror_table(const struct mirror *m)
{
    return mfn(m->key >> 3);
}
static inline unsigned mirror_level(const struct mirror *m)
{
    return (unsigned)(m->key & 7);
}
static inline mfn_t entry_target(uint64_t e)
{
    return mfn_of_paddr(e & PTE_ADDR_MASK);
}
/* As long as logdirty.lock is held, a live table stays one: whoever is about to undo it waits in mirror_table_gone(). */
static inline bool mirror_table_live(const struct domain *d, mfn_t m, unsigned level)
{
    const struct page *pg = page_of(m);
    uint64_t x = __atomic_load_n(&pg->type, __ATOMIC_ACQUIRE);

    return (x & PGT_VALID) && (x & PGT_COUNT_MASK) && PGT_LEVEL(x) >= level && PGT_LEVEL(x) <= 4 &&
           READ_ONCE(pg->owner) == d;
}

/* The flush clock, not before everybody sees what this CPU has written to mirrors: who flushes later does not find the old. */
static inline uint32_t tlb_stamp_after(void)
{
    smp_mb();
    return tlb_stamp_now();
}

/* --- mirror.c; all with ld->lock held --- */
struct mirror *mirror_find(struct mirrors *ms, mfn_t table, unsigned level);
/* New and empty (a level-4 table: with our slots); at least one is free. */
struct mirror *mirror_make(struct logdirty *ld, mfn_t table, unsigned level);
/* At least n free ones, n small: then all mirrors but roots in use may have gone, and those are empty. */
void mirrors_reserve(struct logdirty *ld, unsigned n);
void mirror_user_drop(struct mirrors *ms, struct mirror *m);
/* What the mirror of a level-1 walk of table pt may hold for entry e of it. */
uint64_t mirror_leaf(const struct logdirty *ld, const struct page *pt, uint64_t e);
bool mirror_leaf_set(struct mirror *m, unsigned index, uint64_t leaf); /* was it another? */
/* The number of frame m, if a write to it must be logged; else LOGDIRTY_NO_PFN. */
uint64_t mirror_pfn(const struct logdirty *ld, mfn_t m);
