/* SPDX-License-Identifier: MIT */
/*
 * While a guest that moves still runs on its old host there is time between the rounds. Page tables that have come and whose pages are all
 * there are made local then, and those of the last level are pinned, which has the hypervisor look through them: that is most of what
 * the guest would wait for at the end. Only what a later round brings anew is done again. Nothing here can fail: what does not work early
 * is done, or refused, at the end. Tables of upper levels are pinned then only, so that each of these can be let go by itself.
 */
#include "fault.h"
#include "restore_private.h"

#include <stdlib.h>

#define BATCH XC_PAGES_MAX

static bool is_table(const struct restore *r, uint64_t pfn)
{
    return r->mfn[pfn] && restore_is_table(r->type[pfn]);
}

static void make_local(struct restore *r, const uint64_t *pfn, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        r->list[i] = r->mfn[pfn[i]];
    uint64_t *at = n ? ctl_map(r->c, r->domid, r->list, n, true) : NULL;

    for (unsigned i = 0; i < n && at; i++)
        if (restore_names_known(r, pfn[i], at + (size_t)i * RESTORE_ENTRIES) &&
            !restore_localise(r, pfn[i], at + (size_t)i * RESTORE_ENTRIES))
            r->early[pfn[i]] |= RESTORE_LOCAL;
    ctl_unmap(r->c, at, at ? n : 0);
}

static void localise_all(struct restore *r, uint64_t *pfn)
{
    unsigned n = 0;

    for (uint64_t p = 0; p < r->st.p2m_pages; p++) {
        if (is_table(r, p) && !(r->early[p] & RESTORE_LOCAL))
            pfn[n++] = p;
        if (n == BATCH || (n && p + 1 == r->st.p2m_pages)) {
            make_local(r, pfn, n);
            n = 0;
        }
    }
}

static void pin_all(struct restore *r)
{
    const uint8_t level = XC_L1;

    for (uint64_t p = 0; p < r->st.p2m_pages; p++)
        if (is_table(r, p) && r->early[p] == RESTORE_LOCAL && (r->type[p] & 7) == XC_L1 &&
            !ctl_pin_tables(r->c, r->domid, &r->mfn[p], &level, 1))
            r->early[p] |= RESTORE_PINNED;
}

void restore_early(void *restore)
{
    struct restore *r = restore;
    uint64_t *pfn = r->between && r->early_new && !r->verify ? malloc(BATCH * sizeof(*pfn)) : NULL;

    if (!pfn)
        return;
    r->early_new = false;
    localise_all(r, pfn);
    pin_all(r);
    free(pfn);
    fault_clear();
}

static int unpin(struct restore *r, const xen_pfn_t *mfn, unsigned n)
{
    uint8_t level[BATCH];

    for (unsigned i = 0; i < n; i++)
        level[i] = CTL_UNPIN;
    return n ? ctl_pin_tables(r->c, r->domid, mfn, level, n) : 0;
}

int restore_early_undo(struct restore *r, const uint64_t *entry, unsigned n)
{
    xen_pfn_t mfn[BATCH];
    unsigned pinned = 0;

    for (unsigned i = 0; i < n; i++) {
        uint64_t pfn = entry[i] & XC_PFN_MASK;

        if (r->early[pfn] & RESTORE_PINNED)
            mfn[pinned++] = r->mfn[pfn];
        r->early[pfn] = 0;
    }
    return unpin(r, mfn, pinned);
}

int restore_early_end(struct restore *r, bool all)
{
    xen_pfn_t mfn[BATCH];
    unsigned n = 0;
    int rc = 0;

    for (uint64_t p = 0; p < r->st.p2m_pages && !rc; p++) {
        if (!(r->early[p] & RESTORE_PINNED) || (!all && restore_is_pinned(r->type[p])))
            continue;
        mfn[n++] = r->mfn[p];
        r->early[p] &= (uint8_t)~RESTORE_PINNED;
        if (n == BATCH) {
            rc = unpin(r, mfn, n);
            n = 0;
        }
    }
    return rc ? rc : unpin(r, mfn, n);
}
