/* SPDX-License-Identifier: MIT */
/*
 * Page types: the rule that keeps PV guests in. pv/pgt.c holds the essay and the state machine.
 *
 * page.type = type | flags | count. At any time a frame has one type; while its count is not zero the type
 * cannot change. A frame of type L1..L4 that is PGT_VALID holds only entries that its owner may have, and
 * each of those entries holds a reference (and where it matters a typed one) to what it maps; nobody can
 * write to the frame but through pgt_update(). A frame of type WRITABLE may be mapped writable.
 */
#pragma once

#include "page.h"
#include "types.h"

#define PGT_TYPE_MASK (15ULL << 60)
#define PGT_NONE (0ULL << 60)
#define PGT_L1 (1ULL << 60)
#define PGT_L2 (2ULL << 60)
#define PGT_L3 (3ULL << 60)
#define PGT_L4 (4ULL << 60)
#define PGT_SEG (5ULL << 60)      /* GDT or LDT page */
#define PGT_WRITABLE (7ULL << 60)
#define PGT_VALID BIT(59)         /* contents checked; always set for WRITABLE with a count */
#define PGT_PARTIAL BIT(58)       /* count 0: entries [0, pt_done) are referenced; holds a page reference */
#define PGT_BUSY BIT(57)          /* one CPU is validating or undoing */
#define PGT_PINNED BIT(56)        /* the guest holds a typed reference by MMUEXT_PIN */
#define PGT_COUNT_MASK (BIT(48) - 1)

#define PGT_LEVEL(type) ((unsigned)((type) >> 60))

/* Take a typed reference; the caller holds a general one. Validates if need be. 0; -XEN_EINVAL (has another
 * type in use, or contents refused); -XEN_ERESTART (interrupted or busy: ask again, what was done is kept).
 * may_stop false (L1, SEG, WRITABLE; at boot any): never ERESTART; -XEN_EINVAL when a leftover of another
 * type would have to be undone first. Interrupts on. */
int pgt_get(struct page *pg, uint64_t type, bool may_stop) __must_check;
/* Drop one. The last undoes the validation: 0, or -XEN_ERESTART: call pgt_drain() until it says 0. */
int pgt_put(struct page *pg, bool may_stop);
/* Finish undoing a PARTIAL page (no-op when it is not, or somebody is at it). 0 or -XEN_ERESTART. */
int pgt_drain(struct page *pg, bool may_stop) __must_check;

/* General and typed reference at once, and back. */
int pgt_get_page(struct page *pg, const struct domain *d, uint64_t type, bool may_stop) __must_check;
int pgt_put_page(struct page *pg, bool may_stop);

/* --- pv/pgt_check.c --- */
/* Recount what d's tables, pins and vCPUs hold against the counts; d is paused. Number of faults found, each
 * printed; references that others hold (grants, event channels) are not faults. */
unsigned pgt_check(struct domain *d);
/* The same for the frames of d, with the tables of all domains. *unexplained: references more than found. */
unsigned pgt_recount(const struct domain *d, bool all_tables, uint64_t *unexplained);

/* --- pv/pgt_sweep.c --- */
/* d is dying and none of its vCPUs holds anything: drop pins and leftovers, give all frames back. *cursor is 0 at
 * first; -XEN_ERESTART: call again with it. */
int pgt_domain_sweep(struct domain *d, uint64_t *cursor) __must_check;
