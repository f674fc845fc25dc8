/* SPDX-License-Identifier: MIT */
/* What frames.c and page_refs.c share: frames between the heap and a user, with count 0. */
#pragma once

#include "page.h"

/* Take 2^order frames below 2^bits bytes out of the heap: count 0, owner NULL, no stale translation
 * of them on any CPU, zero unless FA_NOSCRUB. INVALID_MFN: none that others have not claimed. They come off d's
 * claim and d->coming_pages, in which the caller has counted them; d NULL: for the hypervisor. Interrupts on. */
mfn_t frames_take(struct domain *d, unsigned order, unsigned flags, unsigned bits) __must_check;
/* Put them back; each has count 0, owner NULL and type 0. `stamp`: flush clock after the last guest
 * mapping of any of them was removed. */
void frames_give(mfn_t m, unsigned order, uint32_t stamp);
/* domain_claim() with d->page_lock held: -XEN_EINVAL when a claim is outstanding, -XEN_ENOMEM. */
int frames_claim(struct domain *d, uint64_t total) __must_check;
/* One frame more that counts as d's own (page_refs.c). */
void owned_add(struct domain *d);
