/* SPDX-License-Identifier: MIT */
/*
 * A restore under way, for restore*.c only. The pages are read by a child process where the stream allows it (stream_in.shared): a
 * paravirtual domain 0 pays a trap for each page that it unmaps, but none for those of a process that ends. What the child finds out
 * lies in memory that both share, or comes back over a pipe.
 */
#pragma once

#include <signal.h>

#include "build.h"
#include "restore.h"

#define RESTORE_PAGE 4096U
#define RESTORE_ENTRIES 512U
/* What restore_early.c has done with a page. */
#define RESTORE_LOCAL 1U
#define RESTORE_PINNED 2U

/* Shared with the child: counts, and what each page of the guest is. */
struct restore_shared {
    uint64_t populated, data, zero, bytes, offset;
    xen_pfn_t store_mfn, console_mfn;
};

struct restore {
    struct ctl *c;
    domid_t domid;
    struct stream_in *in;
    const struct restore_options *o;
    const struct guest_config *cfg;
    const struct build_rings *rings;
    struct xc_reader x;
    struct xc_state st;
    uint64_t limit;              /* pages that the guest may have */
    struct restore_shared *shared;
    size_t shared_bytes;
    xen_pfn_t *mfn;              /* of each page, 0: it has none */
    uint8_t *type;               /* and its type in the stream */
    uint8_t *early;              /* RESTORE_LOCAL, RESTORE_PINNED */
    bool early_new;              /* page tables have come since it was looked at */
    bool between;                /* it is read between two records: nothing is half done */
    bool verify;                 /* the pages that come now are to be compared with what is there */
    uint64_t compared, differ, first_differs;
    xen_pfn_t *list;             /* XC_PAGES_MAX, control calls' memory */
    uint8_t *data;               /* as many pages, which the hypervisor copies into the guest (ctl_frames_open); NULL: the guest's are mapped */
};

static inline bool restore_has(const struct restore *r, uint64_t pfn)
{
    return pfn < r->st.p2m_pages && r->mfn[pfn];
}

static inline bool restore_is_table(unsigned type)
{
    return (type & 7) >= XC_L1 && (type & 7) <= XC_L4 && type < XC_BROKEN;
}

static inline bool restore_is_pinned(unsigned type)
{
    return type >= XC_PINNED && type < XC_BROKEN;
}

/* restore_pages.c: libxc's stream from where r->x is: pages into the guest, the rest into r->st. */
int restore_read(struct restore *r);
/* restore_verify.c: a record's pages (its list is read) against the guest's; what came of it all at the stream's end. */
int restore_verify_pages(struct restore *r, const uint64_t *entry, unsigned n);
int restore_verify_end(struct restore *r);
/* restore_tables.c: what names frames in the guest's memory: page tables, its list of pages, start_info; and shared_info. */
int restore_tables(struct restore *r);
int restore_localise(struct restore *r, uint64_t pfn, uint64_t *table);
bool restore_names_known(const struct restore *r, uint64_t pfn, const uint64_t *table); /* then it succeeds */
int restore_p2m(struct restore *r);
int restore_start_info(struct restore *r);
int restore_shared_info(struct restore *r);
/* restore_vcpu.c: page types, virtual CPUs, clock, policy; after all of the above is unmapped. */
int restore_pins(struct restore *r);
int restore_policy(struct restore *r);
int restore_vcpus(struct restore *r);
int restore_tsc(struct restore *r);
/* restore_early.c: what can be done between rounds. undo: of pages that come anew. end: what only served to be quick is let go; all: whatever. */
void restore_early(void *restore);
int restore_early_undo(struct restore *r, const uint64_t *entry, unsigned n);
int restore_early_end(struct restore *r, bool all);
/* restore_apart.c: both of the former groups but the last, in a child or here. */
int restore_memory(struct restore *r);
/* A signal that would end us ends the child instead, so that what was made is taken back; between these two. */
#define RESTORE_SIGNALS 4
void restore_signals_catch(struct sigaction old[RESTORE_SIGNALS]);
void restore_signals_back(const struct sigaction old[RESTORE_SIGNALS]);
