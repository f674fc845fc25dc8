/* SPDX-License-Identifier: MIT */
/*
 * A hostile guest's console ring: each 6 bytes of the input set one of its indexes or a byte of the page, then the daemon looks
 * or puts input in. Nothing outside the page and the buffer may be touched, and a look gives at most what the ring holds.
 * sources: toolstack/xenconsoled/ring.c
 */
#include <stdlib.h>
#include <string.h>

#include "ring.h"

static void step(struct ring *r, const uint8_t *op)
{
    char *out = malloc(RING_OUT);
    uint32_t value;

    memcpy(&value, op + 2, 4);
    switch (op[0] % 6) {
    case 0: r->page->out_prod = value; break;
    case 1: r->page->out_cons = value; break;
    case 2: r->page->in_cons = value; break;
    case 3: r->page->in_prod = value; break;
    case 4: ring_begin(r, r->page); break;
    default: r->page->out_prod += op[1]; break;
    }
    if (ring_take(r, out) > RING_OUT || ring_room(r) > RING_IN || ring_put(r, (const char *)op, op[1] % 7) > 6)
        abort();
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct xencons_interface *page = calloc(1, sizeof(*page));
    struct ring r;

    ring_begin(&r, page);
    for (; size >= 6; data += 6, size -= 6)
        step(&r, data);
    free(page);
    return 0;
}
