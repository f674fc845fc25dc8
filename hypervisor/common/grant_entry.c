/* SPDX-License-Identifier: MIT */
/*
 * Taking and releasing hold of a grant: the conversation with the granting guest through its shared entry.
 *
 * Version 1: flags and domid share a 32-bit word; GTF_reading/GTF_writing are set in it by compare and exchange, so
 * the guest's own exchange to 0 either comes before (we see no grant) or fails (it sees a grant in use).
 * Version 2: the bits are in a separate word. We set them and then look at the flags again; the guest clears the
 * flags and then looks at the status: one of the two sees the other.
 * The frame number is read once, after that point, and kept in our active entry.
 */
#include "grant_private.h"
#include "log.h"
#include "pgt.h"
#include "port.h"

#define ENTRY_TRIES 5

struct grant_active *grant_active_of(const struct grant_table *gt, uint32_t ref)
{
    uint32_t nr = grant_entries(gt);

    if (ref >= nr)
        return NULL;
    ref = (uint32_t)index_nospec(ref, nr);
    return &gt->active[ref / ACTIVE_PER_CHUNK][ref % ACTIVE_PER_CHUNK];
}

/* These are for refs that grant_active_of() has found in range. */
static struct grant_entry_v1 *entry_v1(const struct grant_table *gt, uint32_t ref)
{
    return (struct grant_entry_v1 *)gt->shared[ref / V1_PER_FRAME] + ref % V1_PER_FRAME;
}
static union grant_entry_v2 *entry_v2(const struct grant_table *gt, uint32_t ref)
{
    return (union grant_entry_v2 *)gt->shared[ref / V2_PER_FRAME] + ref % V2_PER_FRAME;
}
static grant_status_t *status_v2(const struct grant_table *gt, uint32_t ref)
{
    return gt->status[ref / STATUS_PER_FRAME] + ref % STATUS_PER_FRAME;
}

/* Which kind of access the flags give; 0: none. */
static unsigned flags_kind(uint32_t flags, bool v2)
{
    if ((flags & GTF_type_mask) == GTF_permit_access)
        return v2 && (flags & GTF_sub_page) ? GRANT_SUB : GRANT_FULL;
    if (v2 && (flags & GTF_type_mask) == GTF_transitive)
        return GRANT_TRANSITIVE;
    return 0;
}

/* head: domid << 16 | flags. May `by` have this? */
static bool head_permits(uint32_t head, domid_t by, bool write, unsigned kinds, bool v2)
{
    return (flags_kind(head, v2) & kinds) && head >> 16 == by && !(write && (head & GTF_readonly));
}

static uint16_t use_bits(bool write)
{
    return write ? GTF_reading | GTF_writing : GTF_reading;
}

static int hold_v1(const struct grant_table *gt, uint32_t ref, domid_t by, bool write,
                   unsigned kinds, struct grant_active *found)
{
    struct grant_entry_v1 *e = entry_v1(gt, ref);
    uint32_t *word = (uint32_t *)(void *)&e->flags;
    uint32_t head = READ_ONCE(*word);

    for (unsigned i = 0; i < ENTRY_TRIES; i++) {
        if (!head_permits(head, by, write, kinds, false))
            return GNTST_general_error;
        if (__atomic_compare_exchange_n(word, &head, head | use_bits(write), false,
                                        __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
            found->kind = GRANT_FULL;
            found->frame = READ_ONCE(e->frame);
            return GNTST_okay;
        }
    }
    return GNTST_general_error; /* the guest keeps changing it */
}

static void fetch_v2(const union grant_entry_v2 *e, struct grant_active *found)
{
    found->start = READ_ONCE(e->sub_page.page_off);
    found->length = READ_ONCE(e->sub_page.length);
    found->frame = READ_ONCE(e->full_page.frame);
    if (found->kind == GRANT_TRANSITIVE) {
        found->start = READ_ONCE(e->transitive.trans_domid);
        found->frame = READ_ONCE(e->transitive.gref);
    }
}

static int hold_v2(const struct grant_table *gt, uint32_t ref, domid_t by, bool write,
                   unsigned kinds, uint16_t in_use, struct grant_active *found)
{
    union grant_entry_v2 *e = entry_v2(gt, ref);
    grant_status_t *st = status_v2(gt, ref);
    const uint32_t *word = (const uint32_t *)(void *)&e->hdr;
    uint32_t head = READ_ONCE(*word);

    if (!head_permits(head, by, write, kinds, true))
        return GNTST_general_error;
    __atomic_fetch_or(st, use_bits(write), __ATOMIC_SEQ_CST);
    if (READ_ONCE(*word) != head) {
        __atomic_fetch_and(st, in_use, __ATOMIC_SEQ_CST); /* other holders' bits stay */
        return GNTST_general_error;
    }
    found->kind = (uint8_t)flags_kind(head, true);
    fetch_v2(e, found);
    return GNTST_okay;
}

/* The bits that the holders now call for. */
static uint16_t active_bits(const struct grant_active *act)
{
    return act->writers ? GTF_reading | GTF_writing : act->readers ? GTF_reading : 0;
}

static int hold_locked(struct grant_table *gt, uint32_t ref, domid_t by, bool write, unsigned kinds,
                       struct grant_view *out)
{
    struct grant_active *act = grant_active_of(gt, ref);
    struct grant_active found = {.domid = by};
    bool held;
    int rc;

    if (gt->dying)
        return GNTST_bad_domain;
    if (!act)
        return GNTST_bad_gntref;
    held = act->readers || act->writers;
    if (held && (act->domid != by || !(act->kind & kinds)))
        return GNTST_general_error;
    if (act->readers + act->writers >= UINT32_MAX / 2)
        return GNTST_no_space;
    if (gt->version == 2)
        rc = hold_v2(gt, ref, by, write, kinds, active_bits(act), &found);
    else
        rc = hold_v1(gt, ref, by, write, kinds, &found);
    if (rc)
        return rc;
    if (!held)
        *act = found; /* otherwise what the first holder found stays valid */
    if (write)
        act->writers++;
    else
        act->readers++;
    out->what = *act;
    return GNTST_okay;
}

int grant_hold(struct domain *rd, uint32_t ref, domid_t by, bool write, unsigned kinds,
               struct grant_view *out)
{
    struct grant_table *gt = rd->grants;
    int rc;

    if (!gt)
        return GNTST_bad_domain;
    *out = (struct grant_view){.owner = rd, .ref = ref, .write = write};
    spin_lock(&gt->lock);
    rc = hold_locked(gt, ref, by, write, kinds, out);
    spin_unlock(&gt->lock);
    return rc;
}

void grant_release(struct domain *rd, uint32_t ref, bool write)
{
    struct grant_table *gt = rd->grants;
    struct grant_active *act;
    uint16_t gone;

    spin_lock(&gt->lock);
    act = grant_active_of(gt, ref);
    BUG_ON(!act || !(write ? act->writers : act->readers));
    if (write)
        act->writers--;
    else
        act->readers--;
    gone = (uint16_t)((GTF_reading | GTF_writing) & ~active_bits(act));
    if (gone && gt->version == 2)
        __atomic_fetch_and(status_v2(gt, ref), (uint16_t)~gone, __ATOMIC_SEQ_CST);
    else if (gone)
        __atomic_fetch_and(&entry_v1(gt, ref)->flags, (uint16_t)~gone, __ATOMIC_SEQ_CST);
    if (!act->readers && !act->writers)
        *act = (struct grant_active){0};
    spin_unlock(&gt->lock);
}

struct page *grant_page_get(const struct domain *d, uint64_t frame, bool write)
{
    if (!write)
        return get_page_of_mfn(mfn(frame), d);
    if (!mfn_valid(mfn(frame)) || pgt_get_page(page_of_guest(mfn(frame)), d, PGT_WRITABLE, false))
        return NULL;
    return page_of(mfn(frame));
}

void grant_page_put(struct page *pg, bool write)
{
    if (write)
        pgt_put_page(pg, false);
    else
        put_page(pg);
}

static int swap_locked(struct grant_table *gt, uint32_t a, uint32_t b)
{
    const struct grant_active *x = grant_active_of(gt, a), *y = grant_active_of(gt, b);

    if (!x || !y)
        return GNTST_bad_gntref;
    if (x->kind || y->kind)
        return GNTST_eagain;
    if (gt->version == 2) {
        union grant_entry_v2 t = *entry_v2(gt, a);

        *entry_v2(gt, a) = *entry_v2(gt, b);
        *entry_v2(gt, b) = t;
    } else {
        struct grant_entry_v1 t = *entry_v1(gt, a);

        *entry_v1(gt, a) = *entry_v1(gt, b);
        *entry_v1(gt, b) = t;
    }
    return GNTST_okay;
}

int grant_swap(struct domain *d, uint32_t a, uint32_t b)
{
    int rc;

    spin_lock(&d->grants->lock);
    rc = swap_locked(d->grants, a, b);
    spin_unlock(&d->grants->lock);
    return rc;
}
