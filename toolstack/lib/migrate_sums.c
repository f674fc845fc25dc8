/* SPDX-License-Identifier: MIT */
/*
 * For --debug: a guest that stands still is saved into nothing, and each page that would have gone out is summed. Page tables go out in
 * portable form, so the same guest gives the same sums on every host.
 */
#include "migrate_guest.h"
#include "fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t sum_of(const void *at, size_t n)
{
    const uint64_t *p = at;
    uint64_t s = 0x9e3779b97f4a7c15ULL;

    for (size_t i = 0; i < n / 8; i++)
        s = ((s << 13 | s >> 51) ^ p[i]) * 0xff51afd7ed558ccdULL;
    return s;
}

static int take_pieces(void *arg, const struct iovec *piece, unsigned n)
{
    struct page_sums *s = arg;

    for (unsigned i = 0; i < n; i++) {
        if (piece[i].iov_len != 4096)
            continue;
        if (s->n == s->room) {
            size_t room = s->room ? 2 * s->room : 4096;
            uint64_t *more = realloc(s->sum, room * sizeof(*more));

            if (!more)
                return fault(-ENOMEM, "no memory for the sums of the guest's pages");
            s->sum = more;
            s->room = room;
        }
        s->sum[s->n++] = sum_of(piece[i].iov_base, 4096);
    }
    return 0;
}

int page_sums_make(struct ctl *c, uint32_t domid, const struct guest_config *cfg, struct page_sums *s)
{
    struct save_options o = { .config = cfg, .zero = SAVE_ZERO_ALLOC };
    struct stream_out out = { .write = take_pieces, .arg = s };
    struct save_count count;
    struct save *save;
    int rc;

    *s = (struct page_sums){ 0 };
    rc = save_open(&save, c, domid, &out, &o);
    if (!rc) {
        rc = save_round(save, NULL, &count);
        save_close(save);
    }
    return rc;
}

void page_sums_free(struct page_sums *s)
{
    free(s->sum);
    *s = (struct page_sums){ 0 };
}
