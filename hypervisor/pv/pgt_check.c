/* SPDX-License-Identifier: MIT */
/*
 * Recounting page types: what the entries of page tables, pins and vCPUs hold, against the counts in the frame
 * table. For a debug key and for tests. It looks at a domain that is paused: no frame of it may be BUSY.
 *
 * Found to be a fault: a count below what was found, an entry whose target has another type than the entry needs
 * (a writable mapping of a page table, a table of the wrong level), flags that contradict each other, level-4
 * slots of ours with other contents. A count above what was found is no fault: grants, event channels and other
 * domains hold references too. How many those are together is reported.
 */
#include "abi.h"
#include "domain.h"
#include "lib.h"
#include "log.h"
#include "pgt_private.h"
#include "port.h"
#include "x86/guest.h"

#define WINDOW 4096UL /* frames counted in one pass over the tables */
#define MAX_REPORTS 20

struct recount {
    const struct domain *d;
    bool all_tables;
    uint64_t first;                        /* of the window */
    unsigned faults;
    uint64_t unexplained;
    uint64_t slots[512];                   /* a level-4 table with nothing but our slots */
    uint32_t general[WINDOW], typed[WINDOW];
    uint32_t foreign[WINDOW]; /* of the typed ones: writable entries of other domains' tables */
};

static void fault(struct recount *c, uint64_t frame, const char *what, uint64_t val)
{
    if (c->faults++ < MAX_REPORTS)
        log_err("page types: d%u, frame %#lx (count %#lx, type %#lx): %s %#lx\n", c->d->id, frame,
                frame_table[frame].count, frame_table[frame].type, what, val);
}

/* Somebody holds frame m; with a type, unless PGT_NONE. */
static void hold(struct recount *c, uint64_t frame, uint64_t type, uint64_t holder)
{
    const struct page *pg = &frame_table[frame];

    if (frame - c->first >= WINDOW || READ_ONCE(pg->owner) != c->d)
        return;
    c->general[frame - c->first]++;
    if (type == PGT_NONE)
        return;
    c->typed[frame - c->first]++;
    if ((READ_ONCE(pg->type) & PGT_TYPE_MASK) != type)
        fault(c, frame, "held as another type by", holder);
}

static void count_entry(struct recount *c, uint64_t frame, uint64_t type, uint64_t e)
{
    mfn_t m = mfn_of_paddr(e & PTE_ADDR_MASK);

    if (!(e & PTE_P) || !mfn_valid(m) || !READ_ONCE(page_of(m)->count))
        return; /* a device's */
    if (type == PGT_L1) {
        hold(c, m.n, e & PTE_RW ? PGT_WRITABLE : PGT_NONE, frame);
        if ((e & PTE_RW) && READ_ONCE(frame_table[frame].owner) != c->d && m.n - c->first < WINDOW)
            c->foreign[m.n - c->first]++;
    } else if (m.n != frame)
        hold(c, m.n, type - PGT_L1, frame);
    else if (e & PTE_RW)
        fault(c, frame, "maps itself writable", e);
    if (!(e & PTE_US) || (type != PGT_L1 && (e & PTE_PSE)))
        fault(c, frame, "entry with forbidden bits", e);
}

static void count_table(struct recount *c, uint64_t frame)
{
    const struct page *pg = &frame_table[frame];
    uint64_t x = READ_ONCE(pg->type), type = x & PGT_TYPE_MASK;
    unsigned end = 512, done = pg->pt_done;
    const uint64_t *t;

    if (PGT_LEVEL(type) < 1 || PGT_LEVEL(type) > 4 || !(x & (PGT_VALID | PGT_PARTIAL)))
        return;
    if (x & PGT_PARTIAL) /* the last one of an interrupted undoing holds nothing any more */
        end = (done & PT_DONE_MASK) - !!(done & PT_DRAIN);
    t = map_frame(mfn(frame));
    for (unsigned i = 0; i < end; i++) {
        if (type != PGT_L4 || !pgt_slot_is_ours(i))
            count_entry(c, frame, type, READ_ONCE(t[i]));
        else if ((x & PGT_VALID) && ((t[i] ^ c->slots[i]) & ~(PTE_A | PTE_D)))
            fault(c, frame, "a level-4 slot of ours was changed", i);
    }
    unmap_frame(t);
}

static void count_vcpus(struct recount *c)
{
    for (unsigned i = 0; i < c->d->max_vcpus; i++) {
        struct x86_vcpu *xv = c->d->vcpu[i] ? to_x86(c->d->vcpu[i]) : NULL;

        if (!xv)
            continue;
        if (!mfn_eq(xv->root, INVALID_MFN))
            hold(c, xv->root.n, PGT_L4, i);
        if (!mfn_eq(xv->root_user, INVALID_MFN))
            hold(c, xv->root_user.n, PGT_L4, i);
        for (unsigned k = 0; k < DIV_UP(xv->gdt_entries, 512); k++)
            hold(c, xv->gdt_frames[k], PGT_SEG, i);
        for (unsigned k = 0; k < DIV_UP(xv->ldt_entries, 512); k++)
            hold(c, xv->ldt_frames[k].n, PGT_SEG, i);
        if (xv->v.info_page)
            hold(c, mfn_of(xv->v.info_page).n, PGT_WRITABLE, i);
    }
}

static void check_flags(struct recount *c, uint64_t frame, uint64_t x)
{
    uint64_t n = x & PGT_COUNT_MASK;

    if (x & PGT_BUSY)
        fault(c, frame, "busy", 0);
    if (!!n != !!(x & PGT_VALID))
        fault(c, frame, "valid and count contradict each other", n);
    if ((x & PGT_PARTIAL) && (n || !frame_table[frame].pt_done))
        fault(c, frame, "partial with a count, or nothing done", n);
    if ((x & PGT_PINNED) && (!n || PGT_LEVEL(x) < 1 || PGT_LEVEL(x) > 4))
        fault(c, frame, "pinned, but no page table in use", n);
}

static void check_frame(struct recount *c, uint64_t frame)
{
    const struct page *pg = &frame_table[frame];
    uint64_t count = READ_ONCE(pg->count), x = READ_ONCE(pg->type), general, typed;

    if (READ_ONCE(pg->owner) != c->d || !count)
        return;
    check_flags(c, frame, x);
    general = c->general[frame - c->first];
    typed = c->typed[frame - c->first];
    general += !!(count & (PGC_ALLOC | PGC_HYP)) + !!(x & PGT_PARTIAL) + !!(x & PGT_PINNED);
    typed += !!(count & PGC_HYP) + !!(x & PGT_PINNED);
    if ((count & PGC_COUNT_MASK) < general)
        fault(c, frame, "fewer references than holders, which are", general);
    else
        c->unexplained += (count & PGC_COUNT_MASK) - general;
    if ((x & PGT_COUNT_MASK) < typed)
        fault(c, frame, "fewer typed references than holders, which are", typed);
    else
        c->unexplained += (x & PGT_COUNT_MASK) - typed;
    if ((x & PGT_TYPE_MASK) == PGT_WRITABLE && pg->writers < MIN(c->foreign[frame - c->first], (uint32_t)UINT16_MAX))
        fault(c, frame, "other domains' writable mappings are not counted:", pg->writers);
}

static void recount_window(struct recount *c)
{
    uint64_t end = MIN(c->first + WINDOW, frame_max);

    memset(c->general, 0, sizeof(c->general));
    memset(c->typed, 0, sizeof(c->typed));
    memset(c->foreign, 0, sizeof(c->foreign));
    for (uint64_t f = 0; f < frame_max; f++)
        if (mfn_valid(mfn(f)) && READ_ONCE(frame_table[f].owner) &&
            (c->all_tables || frame_table[f].owner == c->d))
            count_table(c, f);
    count_vcpus(c);
    for (uint64_t f = c->first; f < end; f++)
        if (mfn_valid(mfn(f)))
            check_frame(c, f);
}

/* Is there a frame of d in the window? Most have none. */
static bool window_used(const struct recount *c)
{
    for (uint64_t f = c->first; f < MIN(c->first + WINDOW, frame_max); f++)
        if (mfn_valid(mfn(f)) && READ_ONCE(frame_table[f].owner) == c->d)
            return true;
    return false;
}

unsigned pgt_recount(const struct domain *d, bool all_tables, uint64_t *unexplained)
{
    struct recount *c = zalloc(sizeof(*c));
    unsigned faults;

    *unexplained = 0;
    if (!c) {
        log_err("page types: no memory to check d%u\n", d->id);
        return 0;
    }
    c->d = d;
    c->all_tables = all_tables;
    hyp_l4_install(c->slots);
    for (c->first = 0; c->first < frame_max; c->first += WINDOW)
        if (window_used(c))
            recount_window(c);
    faults = c->faults;
    *unexplained = c->unexplained;
    zfree(c);
    return faults;
}

unsigned pgt_check(struct domain *d)
{
    uint64_t others;
    unsigned faults = pgt_recount(d, false, &others);

    log_info("page types: d%u: %u faults; %lu references are held by grants, event channels, other domains\n",
             d->id, faults, others);
    return faults;
}
