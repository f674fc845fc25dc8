/* SPDX-License-Identifier: MIT */
/* Frames that the hypervisor shared with a domain that is gone, and that others still map. */
#include "domain.h"
#include "frames_private.h"
#include "page.h"
#include "pgt.h"

/* Nobody can look up or hold the old owner any more, so no get_page() for it runs. */
void orphan_page(struct page *pg)
{
    if (unshare_page(pg))
        return;
    owned_add(dom_orphans);
    __atomic_fetch_add(&dom_orphans->loose_pages, 1, __ATOMIC_RELAXED);
    WRITE_ONCE(pg->owner, dom_orphans);
    pgt_put(pg, false);
    __atomic_fetch_and(&pg->count, ~PGC_HYP, __ATOMIC_ACQ_REL);
    put_page(pg);
}
