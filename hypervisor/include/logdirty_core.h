/* SPDX-License-Identifier: MIT */
/*
 * The inside of log-dirty: common/logdirty*.c, common/domctl_shadow.c and pv/mirror*.c. Others take logdirty.h.
 *
 * Letters: [L] lock, [H] held.lock, [D] the domain's control lock, [a] atomic, [I] immutable.
 */
#pragma once

#include "lock.h"
#include "logdirty.h"

struct mirrors;

/* How far a control call has come that takes several turns. */
enum logdirty_phase {
    LOGDIRTY_ALLOC, /* being made: memory */
    LOGDIRTY_SCAN,  /* on; frames that others can write to already are being looked for */
    LOGDIRTY_SETTLE, /* ... and whatever began before it was on is finishing */
    LOGDIRTY_ON,
    LOGDIRTY_HELD,  /* a bitmap is being made: what others can write to */
    LOGDIRTY_PROTECT,
    LOGDIRTY_WAIT,
    LOGDIRTY_REPORT,
    LOGDIRTY_END,   /* off: waiting until nobody looks at it any more */
    LOGDIRTY_FREE,
};

/* Frames of which pg->writers is not 0: their numbers, in pieces of a frame. */
#define HELD_PIECES 256u
#define HELD_PER_PIECE 1024u
struct logdirty_held {
    struct spinlock lock; /* RANK_LOGDIRTY_HELD */
    uint32_t n;           /* [H] */
    uint32_t pieces;      /* [H] */
    uint32_t *piece[HELD_PIECES];
};

struct logdirty {
    struct domain *d;       /* [I] */
    struct spinlock lock;   /* RANK_LOGDIRTY: mirrors, exchange of the bitmaps; interrupts on */
    uint64_t nr;            /* [I] numbers below are logged; all above count as dirty */
    uint64_t *live;         /* [L] pointer, [a] bits: dirty since the last CLEAN */
    uint64_t *snap;         /* [D] dirty before it, being reported; else all zero */
    uint32_t faults, dirtied; /* [a] since the last CLEAN: the ABI's statistics */
    bool all;               /* [a] lost count of who can write: everything is dirty, always */
    struct logdirty_held held;

    enum logdirty_phase phase; /* [D] */
    struct {                   /* [D] the call that is under way: others are told to wait */
        const struct domain *by;
        uint32_t op;
        uint64_t buffer;
    } call;
    uint64_t cursor, ticket;   /* [D] */
    uint64_t *out;             /* [I] a frame in which the report is put together */

    struct mirrors *mirrors;   /* [I] */
};

/* --- common/logdirty.c --- */
#define LOGDIRTY_NO_PFN (~0ULL)
/* The number under which a frame of ld's domain is logged; LOGDIRTY_NO_PFN: it is not logged. */
uint64_t logdirty_pfn(const struct logdirty *ld, mfn_t m);
static inline bool logdirty_is_dirty(const struct logdirty *ld, uint64_t pfn)
{
    return READ_ONCE(ld->live[pfn / 64]) & BIT(pfn % 64);
}
void logdirty_mark_pfn(struct logdirty *ld, uint64_t pfn);
/* New, for d; NULL: no memory. And the reverse, when nobody can see it any more: -XEN_ERESTART: again. */
struct logdirty *logdirty_make(struct domain *d);
int logdirty_free(struct logdirty *ld) __must_check;
/* Off, from whatever state: d's control lock held, or d dying. -XEN_ERESTART: again. */
int logdirty_stop(struct domain *d) __must_check;
/* Bitmaps for the next round: what was live is in snap. */
void logdirty_swap(struct logdirty *ld);
/* What has been swapped is not reported after all. from: first number of which it is true. */
void logdirty_unswap(struct logdirty *ld, uint64_t from);

/* --- common/logdirty_held.c --- */
void logdirty_held_add(struct page *pg); /* pg->writers is not 0, the caller has the reference for it */
/* Mark all that others can write to now, from *cursor down (at first ~0). -XEN_ERESTART: again. */
int logdirty_held_mark(struct logdirty *ld, uint64_t *cursor) __must_check;
/* Look for frames of d that others can write to already. -XEN_ERESTART: again, the first time with *cursor 0. */
int logdirty_held_scan(struct logdirty *ld, uint64_t *cursor) __must_check;
void logdirty_held_free(struct logdirty *ld);

/* --- common/quiesce.c --- */
void quiesce_init(void);
/* Ask every CPU to pass a point at which it does nothing for any guest (the way back to a guest, or idle). */
uint64_t quiesce_begin(void) __must_check;
/* Have all passed since? Whatever they were doing when quiesce_begin() was called is then finished and visible. */
bool quiesce_done(uint64_t ticket);

/* --- the machine's: pv/mirror_life.c --- */
/* Frames for mirror tables: at least `want`, as many as there are below that down to the least that will do.
 * 0; -XEN_ENOMEM; -XEN_ERESTART: again. */
int arch_logdirty_alloc(struct logdirty *ld) __must_check;
int arch_logdirty_free(struct logdirty *ld) __must_check;
/* The domain, which is paused, runs on mirrors from now on (d->logdirty becomes ld), or no longer (NULL). */
void arch_logdirty_attach(struct logdirty *ld);
void arch_logdirty_detach(struct logdirty *ld);
/* Take writing away in all mirrors, from *cursor on (at first 0). -XEN_ERESTART: again. */
int arch_logdirty_protect(struct logdirty *ld, uint64_t *cursor) __must_check;
/* MiB of memory for mirrors: what d has, or would have. */
uint32_t arch_logdirty_mb(const struct domain *d);
/* Compare mirrors, the guest's tables and the bitmap; d is paused. Faults found, each printed. */
unsigned logdirty_check(struct domain *d);
