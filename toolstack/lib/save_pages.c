/* SPDX-License-Identifier: MIT */
/*
 * Pages of a guest into PAGE_DATA records, a chunk of 1024 page numbers at a time: which of them are wanted, what types their frames have,
 * which are full of zeroes. Page tables are copied, with frames turned into page numbers; all other pages go out from where they are.
 *
 * The hypervisor says types and zeroes and copies the rest, in one call. Under one that cannot, a chunk is mapped, and stays so for the next
 * round, since a paravirtual domain 0 pays a trap for each page that it unmaps; beyond 4 GiB it is taken down at once.
 */
#include "fault.h"
#include "save_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096U
#define ENTRIES 512U
#define PRESENT 1ULL
#define FRAME_MASK 0x000ffffffffff000ULL
#define XEN_FIRST 256U /* the hypervisor's entries of a top-level table */
#define XEN_LAST 271U

_Static_assert(SAVE_CHUNK <= CTL_FRAMES_MAX && SAVE_CHUNK <= CTL_TYPES_MAX, "one call looks at a chunk");

/* One chunk being sent. */
struct chunk {
    uint64_t first;
    unsigned n;                        /* entries for the record */
    uint64_t entry[SAVE_CHUNK];
    const uint8_t *at[SAVE_CHUNK];     /* where an entry's frame can be read; NULL: it is not the guest's */
    bool zero[SAVE_CHUNK];             /* it is known to be full of zeroes (s->data) */
    const void *page[SAVE_CHUNK];      /* what goes out */
    bool partly[SAVE_CHUNK];           /* a table of which entries were left out */
    unsigned n_tables;
};

int save_pages_open(struct save *s)
{
    s->data = ctl_frames_open(s->c, s->domid);
    s->window = s->data ? NULL : calloc((s->n_pages + SAVE_CHUNK - 1) / SAVE_CHUNK, sizeof(*s->window));
    s->types = ctl_buffer(s->c, SAVE_CHUNK * sizeof(*s->types));
    s->tables = malloc((size_t)SAVE_CHUNK * PAGE);
    return (s->data || s->window) && s->types && s->tables ? 0 : fault(-ENOMEM, "domain %u: no memory for saving it", s->domid);
}

static unsigned chunk_pages(const struct save *s, uint64_t first)
{
    return s->n_pages - first < SAVE_CHUNK ? (unsigned)(s->n_pages - first) : SAVE_CHUNK;
}

/* --- mapping -------------------------------------------------------------------------------------------------------------- */

static void window_close(struct save *s, uint64_t first)
{
    struct save_window *w = &s->window[first / SAVE_CHUNK];

    if (w->at) {
        ctl_unmap(s->c, w->at, chunk_pages(s, first));
        s->n_mapped -= SAVE_CHUNK;
    }
    free(w->mfn);
    *w = (struct save_window){ 0 };
}

void save_pages_close(struct save *s)
{
    for (uint64_t first = 0; s->window && first < s->n_pages; first += SAVE_CHUNK)
        window_close(s, first);
    ctl_frames_close(s->c, s->data);
    ctl_buffer_free(s->c, s->types);
    free(s->window);
    free(s->tables);
}

/* All of a chunk's pages; a frame that is not the guest's (any more) becomes a hole, and its mfn here 0. */
static int window_open(struct save *s, uint64_t first)
{
    struct save_window *w = &s->window[first / SAVE_CHUNK];
    unsigned n = chunk_pages(s, first);
    int errors[SAVE_CHUNK];

    w->mfn = malloc(n * sizeof(*w->mfn));
    if (!w->mfn)
        return fault(-ENOMEM, "domain %u: no memory for saving it", s->domid);
    memcpy(w->mfn, s->p2m + first, n * sizeof(*w->mfn));
    w->at = ctl_map_some(s->c, s->domid, w->mfn, n, errors);
    if (!w->at) {
        free(w->mfn);
        w->mfn = NULL;
        return -EFAULT;
    }
    s->n_mapped += SAVE_CHUNK;
    for (unsigned i = 0; i < n; i++)
        if (errors[i])
            w->mfn[i] = 0;
    return 0;
}

/* Is every page that is to be sent mapped as it is now? */
static bool window_serves(const struct save *s, const struct chunk *k)
{
    const struct save_window *w = &s->window[k->first / SAVE_CHUNK];

    for (unsigned i = 0; i < k->n && w->at; i++) {
        uint64_t pfn = k->entry[i] & XC_PFN_MASK;

        if (xc_has_data((unsigned)(k->entry[i] >> XC_TYPE_SHIFT)) && w->mfn[pfn - k->first] != s->p2m[pfn])
            return false;
    }
    return w->at;
}

/* Has the guest given a frame back? Mapped, it would not come free, and the guest could take no new one for it. */
static bool window_keeps_frames(const struct save *s, uint64_t first)
{
    const struct save_window *w = &s->window[first / SAVE_CHUNK];

    for (unsigned i = 0, n = chunk_pages(s, first); i < n && w->at; i++)
        if (w->mfn[i] && w->mfn[i] != s->p2m[first + i])
            return true;
    return false;
}

static int window_get(struct save *s, struct chunk *k)
{
    const struct save_window *w = &s->window[k->first / SAVE_CHUNK];

    if (!window_serves(s, k) || window_keeps_frames(s, k->first)) {
        window_close(s, k->first);
        int rc = window_open(s, k->first);

        if (rc)
            return rc;
    }
    for (unsigned i = 0; i < k->n; i++) {
        uint64_t at = (k->entry[i] & XC_PFN_MASK) - k->first;

        k->at[i] = w->mfn[at] ? w->at + at * PAGE : NULL;
    }
    return 0;
}

/* --- contents ------------------------------------------------------------------------------------------------------------- */

typedef uint64_t zero_unit __attribute__((vector_size(16), may_alias));

/* 256 bytes at a time: most pages are one or the other within the first. */
static bool is_zero(const void *page)
{
    const zero_unit *p = page;

    for (unsigned i = 0; i < PAGE / sizeof(*p); i += 16) {
        zero_unit any = p[i];

#pragma GCC unroll 16
        for (unsigned k = 1; k < 16; k++)
            any |= p[i + k];
        if (any[0] | any[1])
            return false;
    }
    return true;
}

/* An entry with its page's number in place of the frame's. One that names no page of the guest is dropped: it means nothing elsewhere. */
static uint64_t portable(struct save *s, uint64_t e)
{
    if (!(e & PRESENT))
        return e;
    uint64_t pfn = save_p2m_find(s, (e & FRAME_MASK) >> 12);

    if (pfn == SAVE_NONE) {
        s->foreign++;
        return 0;
    }
    return (e & ~FRAME_MASK) | pfn << 12;
}

static const void *copy_table(struct save *s, struct chunk *k, const void *page, unsigned level)
{
    const volatile uint64_t *from = page; /* the guest may be writing it */
    uint64_t *to = (uint64_t *)(void *)(s->tables + (size_t)k->n_tables++ * PAGE);

    for (unsigned i = 0; i < ENTRIES; i++)
        to[i] = level == 4 && i >= XEN_FIRST && i <= XEN_LAST ? 0 : portable(s, from[i]);
    return to;
}

static void gone(struct chunk *k, unsigned i)
{
    k->entry[i] = (k->entry[i] & XC_PFN_MASK) | (uint64_t)XC_XTAB << XC_TYPE_SHIFT;
}

/* Where the contents of a chunk's pages are, or that there is none. */
static void find_contents(struct save *s, struct chunk *k, struct save_count *count)
{
    for (unsigned i = 0; i < k->n; i++) {
        unsigned type = (unsigned)(k->entry[i] >> XC_TYPE_SHIFT);

        k->page[i] = NULL;
        k->partly[i] = false;
        if (xc_has_data(type) && !k->at[i])
            gone(k, i);
        if (!xc_has_data((unsigned)(k->entry[i] >> XC_TYPE_SHIFT))) {
            count->gone++;
            continue;
        }
        if ((type & 7) != XC_NOTAB) {
            uint64_t before = s->foreign;

            k->page[i] = k->zero[i] ? NULL : copy_table(s, k, k->at[i], type & 7);
            k->partly[i] = s->foreign != before;
        } else if (s->data ? !k->zero[i] : !is_zero(k->at[i])) {
            k->page[i] = k->at[i];
        } else {
            count->zero++;
            if (s->o.zero == SAVE_ZERO_ALLOC)
                k->entry[i] = (k->entry[i] & XC_PFN_MASK) | (uint64_t)XC_ALLOC << XC_TYPE_SHIFT;
            continue;
        }
        count->data++;
    }
}

/* --- which pages ---------------------------------------------------------------------------------------------------------- */

/* Pages that are in the set, or were last sent from elsewhere; 64 at a time, since in most rounds most are neither. */
static uint64_t wanted(const struct save *s, const uint64_t *set, uint64_t word)
{
    uint64_t bits = set ? set[word] : ~0ULL, out = s->stale[word];

    for (bits &= ~out; bits; bits &= bits - 1) {
        uint64_t pfn = word * 64 + (unsigned)__builtin_ctzll(bits);

        if (pfn < s->n_pages && save_p2m_valid(s->p2m[pfn]))
            out |= bits & -bits;
    }
    return out;
}

static void choose(const struct save *s, const uint64_t *set, struct chunk *k)
{
    k->n = 0;
    k->n_tables = 0;
    for (uint64_t at = k->first; at < k->first + chunk_pages(s, k->first); at += 64)
        for (uint64_t bits = wanted(s, set, at / 64); bits; bits &= bits - 1)
            k->entry[k->n++] = at + (unsigned)__builtin_ctzll(bits);
}

/* The types of the frames, and where they can be read; what is not the guest's is gone. */
static int find_frames(struct save *s, struct chunk *k)
{
    for (unsigned i = 0; i < k->n; i++) {
        s->types[i] = save_p2m_valid(s->p2m[k->entry[i]]) ? s->p2m[k->entry[i]] : ~0ULL;
        k->zero[i] = false;
        k->at[i] = s->data ? s->data + (size_t)i * PAGE : NULL;
    }
    int rc = s->data ? ctl_frames_read(s->c, s->domid, s->types, k->n, s->data, k->zero) : ctl_page_types(s->c, s->domid, s->types, k->n);

    for (unsigned i = 0; i < k->n && !rc; i++)
        k->entry[i] |= (s->types[i] == XC_BROKEN ? XC_XTAB : s->types[i]) << XC_TYPE_SHIFT;
    return rc || s->data ? rc : window_get(s, k);
}

/* What was sent, and from where; pages that were never there and are not now are left out. A table of which entries were left out is
 * sent again: they may name pages that were not in the list yet when it was read, and nobody marks the table for that. */
static void note_sent(struct save *s, struct chunk *k)
{
    unsigned out = 0;

    for (unsigned i = 0; i < k->n; i++) {
        uint64_t pfn = k->entry[i] & XC_PFN_MASK;
        bool is_gone = k->entry[i] >> XC_TYPE_SHIFT == XC_XTAB;

        if (is_gone && !s->sent[pfn])
            continue;
        s->sent[pfn] = is_gone ? 0 : k->partly[i] ? SAVE_AGAIN : s->p2m[pfn];
        save_p2m_mark(s, pfn);
        k->entry[out] = k->entry[i];
        k->page[out++] = k->page[i];
    }
    k->n = out;
}

static int send_chunk(struct save *s, const uint64_t *set, struct chunk *k, struct save_count *count)
{
    choose(s, set, k);
    if (!k->n)
        return 0;
    int rc = find_frames(s, k);

    if (rc)
        return rc;
    count->pages += k->n;
    find_contents(s, k, count);
    note_sent(s, k);
    rc = xc_page_data(s->to, k->entry, k->page, k->n, s->o.zero == SAVE_ZERO_HOLES && s->to->zeroes);
    if (s->n_mapped > SAVE_MAPPED_MAX)
        window_close(s, k->first);
    return rc;
}

int save_pages_send(struct save *s, const uint64_t *set, struct save_count *count)
{
    struct chunk *k = malloc(sizeof(*k));
    uint64_t start = s->to->offset;
    int rc = k ? 0 : fault(-ENOMEM, "domain %u: no memory for saving it", s->domid);

    for (uint64_t first = 0; first < s->n_pages && !rc; first += SAVE_CHUNK) {
        k->first = first;
        rc = send_chunk(s, set, k, count);
        count->bytes = s->to->offset - start;
        if (!rc && s->o.progress)
            rc = s->o.progress(s->o.arg, count);
    }
    free(k);
    return rc;
}
