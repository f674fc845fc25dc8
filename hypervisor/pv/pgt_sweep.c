/* SPDX-License-Identifier: MIT */
/*
 * The end of a domain's memory: pins and leftovers of interrupted undoings are the only uses of a frame that nobody
 * else knows of, and a frame can have them although it has left the domain's list. So the whole frame table is
 * looked at, in steps. Vcpus, grants and event channels have let go of their frames before.
 *
 * Afterwards what is left is what other domains have mapped; those frames go when they unmap them.
 */
#include "abi.h"
#include "domain.h"
#include "pgt.h"
#include "port.h"

#define SKIP 1024 /* frames of others to pass between looks at the clock */

/* One frame, with a reference of ours. */
static int sweep_frame(struct domain *d, struct page *pg)
{
    int rc = 0;

    if (__atomic_fetch_and(&pg->type, ~PGT_PINNED, __ATOMIC_ACQ_REL) & PGT_PINNED)
        rc = pgt_put_page(pg, true);
    if (!rc)
        rc = pgt_drain(pg, true);
    if (!rc && (READ_ONCE(pg->count) & PGC_ALLOC) && !domain_page_remove(d, pg))
        put_page(pg);
    return rc;
}

int pgt_domain_sweep(struct domain *d, uint64_t *cursor)
{
    uint64_t seen = 0;

    for (; *cursor < frame_max; ++*cursor) {
        struct page *pg = page_of(mfn(*cursor));
        int rc;

        if (++seen % SKIP == 0 && preempt_needed())
            return -XEN_ERESTART;
        if (!mfn_valid(mfn(*cursor)) || !get_page(pg, d))
            continue;
        rc = sweep_frame(d, pg);
        put_page(pg);
        if (rc)
            return rc;
    }
    return 0;
}
