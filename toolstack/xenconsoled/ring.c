/* SPDX-License-Identifier: MIT */
/* See ring.h. The barriers pair with the guest's: data before index on its side, index before data here, and the reverse. */
#include "ring.h"

#include <string.h>

void ring_begin(struct ring *r, void *page)
{
    *r = (struct ring){ .page = page };
    r->out_cons = __atomic_load_n(&r->page->out_cons, __ATOMIC_ACQUIRE);
    r->in_prod = __atomic_load_n(&r->page->in_prod, __ATOMIC_ACQUIRE);
}

size_t ring_take(struct ring *r, char out[RING_OUT])
{
    uint32_t prod = __atomic_load_n(&r->page->out_prod, __ATOMIC_ACQUIRE); /* the guest's: once */
    uint32_t n = prod - r->out_cons, at = r->out_cons % RING_OUT;

    if (n > RING_OUT) {
        r->bad = true;
        n = 0;
        r->out_cons = prod;
    }
    uint32_t first = n < RING_OUT - at ? n : (uint32_t)(RING_OUT - at);
    memcpy(out, r->page->out + at, first);
    memcpy(out + first, r->page->out, n - first);
    r->out_cons += n;
    __atomic_store_n(&r->page->out_cons, r->out_cons, __ATOMIC_RELEASE);
    return n;
}

size_t ring_room(struct ring *r)
{
    uint32_t used = r->in_prod - __atomic_load_n(&r->page->in_cons, __ATOMIC_ACQUIRE); /* the guest's: once */

    if (used > RING_IN) {
        r->bad = true;
        return 0;
    }
    return RING_IN - used;
}

size_t ring_put(struct ring *r, const char *data, size_t n)
{
    size_t room = ring_room(r), at = r->in_prod % RING_IN;

    n = n < room ? n : room;
    size_t first = n < RING_IN - at ? n : RING_IN - at;
    memcpy(r->page->in + at, data, first);
    memcpy(r->page->in, data + first, n - first);
    r->in_prod += (uint32_t)n;
    __atomic_store_n(&r->page->in_prod, r->in_prod, __ATOMIC_RELEASE);
    return n;
}
