/* SPDX-License-Identifier: MIT */
/*
 * What the grant*.c files share. Nobody else includes this.
 *
 * A grant's life, seen from the granting domain's table:
 *
 *   shared entry (guest-writable)           active entry (ours)
 *   permit_access, domid, frame    --------> nobody holds it: all zero
 *     GTF_reading/GTF_writing set  <-------- held: readers + writers > 0; who, which frame: frozen
 *   flags = 0 possible again       <-------- last holder gone
 *
 * A mapping is a holder, so is a copy while it runs. A mapping has an entry in the mapping domain's maptrack,
 * found by its handle, and keeps: the active entry, a reference to the frame (typed, if writable), and a
 * reference to the granting domain, so that this one's table outlives it.
 *
 * One lock per table (RANK_GRANT) for both halves; no function here holds two. Between steps an entry of
 * maptrack is in a state that makes it the property of one CPU (MT_SETUP, MT_BUSY).
 */
#pragma once

#include "domain.h"
#include "grant.h"
#include "lock.h"
#include "page.h"

#include <xen/grant_table.h>

#define GRANT_FRAMES_LIMIT 1024U
#define V1_PER_FRAME (FRAME_SIZE / sizeof(struct grant_entry_v1))
#define V2_PER_FRAME (FRAME_SIZE / sizeof(union grant_entry_v2))
#define STATUS_PER_FRAME (FRAME_SIZE / sizeof(grant_status_t))
#define ACTIVE_PER_CHUNK 128U
#define CHUNKS_PER_FRAME (V1_PER_FRAME / ACTIVE_PER_CHUNK)

enum grant_kind { GRANT_FULL = 1, GRANT_SUB = 2, GRANT_TRANSITIVE = 4 };

struct grant_active {
    uint64_t frame;   /* FULL, SUB; TRANSITIVE: the other reference */
    uint32_t readers; /* read-only holders */
    uint32_t writers;
    uint16_t domid;   /* who holds it */
    uint16_t start, length; /* SUB; TRANSITIVE: start is the other domain */
    uint8_t kind;
};

enum maptrack_state { MT_FREE, MT_SETUP, MT_MAPPED, MT_BUSY };

/* Handle: index in the low bits, generation above, so that an old handle is not taken for a new one. */
#define MT_PER_FRAME (FRAME_SIZE / sizeof(struct maptrack))
#define MT_INDEX_BITS 17
#define MT_GENERATIONS ((1U << (32 - MT_INDEX_BITS)) - 1) /* one less: ~0 is no handle */
#define MT_FRAMES_LIMIT (1U << (MT_INDEX_BITS - 7))

#define MT_DEVICE_WRITES 0x8000u /* in flags: a device may write to the frame */

struct maptrack {
    struct domain *owner; /* of the frame; referenced */
    struct page *page;    /* referenced; typed if not GNTMAP_readonly */
    uint32_t ref;
    uint32_t next;        /* free list: index + 1 */
    uint16_t flags;       /* GNTMAP_*: what is still mapped; MT_* */
    uint16_t generation;
    uint8_t state;        /* enum maptrack_state */
};
_Static_assert(sizeof(struct maptrack) == 32, "128 in a frame: MT_FRAMES_LIMIT");

struct grant_table {
    struct spinlock lock;
    bool dying;
    unsigned version, max_version;
    unsigned max_frames, max_maptrack;
    unsigned nr_frames, nr_status, nr_maptrack; /* frames that exist */
    uint32_t mt_free;   /* index + 1 */
    uint32_t mt_used;   /* entries not free */
    uint32_t mt_kill;   /* progress of grant_domain_kill() */
    void **shared;      /* [max_frames] mapped frames */
    grant_status_t **status;
    struct grant_active **active; /* [max_frames * CHUNKS_PER_FRAME] */
    struct maptrack **maptrack;   /* [max_maptrack] */
};

/* --- grant_table.c: frames -------------------------------------------------------------------- */

static inline uint32_t grant_entries(const struct grant_table *gt)
{
    return gt->nr_frames * (uint32_t)(gt->version == 2 ? V2_PER_FRAME : V1_PER_FRAME);
}
int grant_grow_locked(struct domain *d, unsigned nr_frames) __must_check;
/* Another version: 0, -XEN_EBUSY when a grant is held, -XEN_ENOMEM. */
int grant_set_version(struct domain *d, unsigned version) __must_check;

/* --- grant_entry.c: holding a grant --------------------------------------------------------------- */

/* What a hold gives access to. */
struct grant_view {
    struct domain *owner; /* whose table; not referenced by this */
    uint32_t ref;
    bool write;
    struct grant_active what; /* frozen as long as it is held */
};

struct grant_active *grant_active_of(const struct grant_table *gt, uint32_t ref);
/* Hold (rd, ref) for domain `by`. kinds: those that will do. GNTST_*. Takes rd's lock. */
int grant_hold(struct domain *rd, uint32_t ref, domid_t by, bool write, unsigned kinds,
               struct grant_view *out) __must_check;
void grant_release(struct domain *rd, uint32_t ref, bool write);
/* References to the frame of a FULL or SUB grant, and back. NULL: not a frame of d. */
struct page *grant_page_get(const struct domain *d, uint64_t frame, bool write) __must_check;
void grant_page_put(struct page *pg, bool write);
int grant_swap(struct domain *d, uint32_t a, uint32_t b) __must_check; /* GNTST_* */

/* --- grant_map.c ------------------------------------------------------------------------------------- */

void grant_map_one(struct vcpu *v, struct gnttab_map_grant_ref *op);

/* Mappings that have been removed from page tables, waiting for the flush that lets them be forgotten. */
#define UNMAP_BATCH 32
struct unmap_batch {
    unsigned nr;
    bool stale; /* something was removed from page tables */
    uint32_t index[UNMAP_BATCH];
};
/* new_addr: GNTTABOP_unmap_and_replace, else 0. GNTST_*. */
int grant_unmap_one(struct vcpu *v, uint64_t host_addr, uint64_t dev_addr, uint64_t new_addr,
                    uint32_t handle, struct unmap_batch *batch);
/* Flush, then drop what the batch holds. */
void grant_unmap_finish(struct domain *d, struct unmap_batch *batch);
struct maptrack *grant_maptrack_at(const struct grant_table *gt, uint32_t index);

/* --- grant_copy.c -------------------------------------------------------------------------------------- */

int grant_copy_one(struct vcpu *v, const struct gnttab_copy *op); /* GNTST_* */
