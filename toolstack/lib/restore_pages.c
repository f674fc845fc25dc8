/* SPDX-License-Identifier: MIT */
/*
 * Pages out of the stream into a new guest. A record's new pages are given frames; data go into a buffer from which the hypervisor copies
 * them, and new frames are empty already. Under a hypervisor that does not copy, pages with data are mapped and read straight into the
 * guest. Those that are known to be empty are cleared by the hypervisor and never mapped. How many pages there can be is bounded before
 * anything is asked of the hypervisor.
 */
#include "fault.h"
#include "restore_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SUPER 512U

_Static_assert(XC_PAGES_MAX <= CTL_FRAMES_MAX, "a record's pages fit the buffer");

struct record {
    unsigned n, n_data;
    uint64_t entry[XC_PAGES_MAX];
    uint64_t fresh[XC_PAGES_MAX];   /* pages that have no frame yet */
    unsigned n_fresh;
    bool is_fresh[XC_PAGES_MAX];    /* of the entries: it is one of these */
    xen_pfn_t clear[XC_PAGES_MAX];  /* frames to be filled with zeroes */
    unsigned n_clear, n_zero;       /* ... and how many there are, those that are so already among them */
    bool zero[XC_PAGES_MAX];        /* of the pages with data: the i-th is a hole */
};

static unsigned type_of(uint64_t entry)
{
    return (unsigned)(entry >> XC_TYPE_SHIFT);
}

/* --- frames --------------------------------------------------------------------------------------------------------------- */

/* Single pages in any order. */
static int populate_list(struct restore *r, const uint64_t *pfn, unsigned n)
{
    struct xen_memory_reservation m = { .nr_extents = n, .domid = r->domid };

    memcpy(r->list, pfn, n * sizeof(*pfn));
    set_xen_guest_handle_raw(m.extent_start, r->list);
    int got = n ? ctl_memory_op(r->c, XENMEM_populate_physmap, &m, sizeof(m)) : 0;

    if (got < (int)n)
        return fault(got < 0 ? got : -ENOMEM, "domain %u: its memory: the host has not that much free; destroy or shrink a domain", r->domid);
    for (unsigned i = 0; i < n; i++)
        r->mfn[pfn[i]] = r->list[i];
    return 0;
}

/* How many neighbours begin at fresh[i] from a border of 2 MiB on: a multiple of 512, or 0. */
static unsigned super_run(const struct record *k, unsigned i)
{
    unsigned n = 1;

    if (k->fresh[i] % SUPER)
        return 0;
    while (i + n < k->n_fresh && k->fresh[i + n] == k->fresh[i] + n)
        n++;
    return n / SUPER * SUPER;
}

static int populate(struct restore *r, const struct record *k)
{
    uint64_t rest[XC_PAGES_MAX];
    unsigned n = 0;
    int rc = 0;

    if (r->shared->populated + k->n_fresh > r->limit)
        return xc_bad(&r->x, "it brings the guest to %llu pages; by its configuration (maxmem) it may have %llu",
                      (unsigned long long)r->shared->populated + k->n_fresh, (unsigned long long)r->limit);
    for (unsigned i = 0; i < k->n_fresh && !rc;) {
        unsigned run = super_run(k, i);

        if (run)
            rc = ctl_populate(r->c, r->domid, k->fresh[i], run, r->mfn + k->fresh[i]);
        else
            rest[n++] = k->fresh[i];
        i += run ? run : 1;
    }
    rc = rc ? rc : populate_list(r, rest, n);
    r->shared->populated += k->n_fresh;
    return rc;
}

/* A page that the guest gave back after it had been sent. */
static int release(struct restore *r, uint64_t pfn)
{
    struct xen_memory_reservation m = { .nr_extents = 1, .domid = r->domid };
    int rc = restore_early_end(r, true); /* a table that still names it would keep it */

    if (rc)
        return rc;
    r->list[0] = r->mfn[pfn];
    set_xen_guest_handle_raw(m.extent_start, r->list);
    int got = ctl_memory_op(r->c, XENMEM_decrease_reservation, &m, sizeof(m));

    if (got != 1)
        return fault(got < 0 ? got : -EBUSY, "domain %u: taking page %#llx back", r->domid, (unsigned long long)pfn);
    r->mfn[pfn] = 0;
    r->shared->populated--;
    return 0;
}

/* --- contents ------------------------------------------------------------------------------------------------------------- */

/* The record's list: which pages are new, which go, which are empty. */
static int sort_entries(struct restore *r, struct record *k)
{
    int rc = restore_early_undo(r, k->entry, k->n);

    k->n_fresh = k->n_clear = k->n_zero = k->n_data = 0;
    for (unsigned i = 0; i < k->n && !rc; i++) {
        uint64_t pfn = k->entry[i] & XC_PFN_MASK;
        unsigned type = type_of(k->entry[i]);
        bool there = xc_has_data(type) || type == XC_ALLOC;

        k->is_fresh[i] = there && !r->mfn[pfn];
        if (k->is_fresh[i])
            k->fresh[k->n_fresh++] = pfn;
        if (!there && r->mfn[pfn])
            rc = release(r, pfn);
        r->type[pfn] = (uint8_t)type;
        r->early_new |= restore_is_table(type);
    }
    return rc ? rc : populate(r, k);
}

/* Of the data that follow, which are holes in a file? */
static void find_holes(struct restore *r, struct record *k, unsigned n_data)
{
    memset(k->zero, 0, sizeof(k->zero));
    for (unsigned i = 0; i < n_data;) {
        uint64_t pages = stream_zero_ahead(r->in, (uint64_t)i * RESTORE_PAGE, (uint64_t)(n_data - i) * RESTORE_PAGE) / RESTORE_PAGE;

        memset(k->zero + i, 1, pages);
        i += pages ? (unsigned)pages : 1;
    }
}

/* Frames to be mapped go to r->list, in the stream's order; gives their number. */
static unsigned list_frames(struct restore *r, struct record *k)
{
    unsigned n = 0, data = 0;

    for (unsigned i = 0; i < k->n; i++) {
        uint64_t pfn = k->entry[i] & XC_PFN_MASK;

        if (type_of(k->entry[i]) == XC_ALLOC || (xc_has_data(type_of(k->entry[i])) && k->zero[data])) {
            k->n_zero++;
            if (!r->data || !k->is_fresh[i])
                k->clear[k->n_clear++] = r->mfn[pfn];
        } else if (xc_has_data(type_of(k->entry[i]))) {
            r->list[n++] = r->mfn[pfn];
        }
        data += xc_has_data(type_of(k->entry[i]));
    }
    return n;
}

/* Runs of data and of holes in turn; the data go to `to`, one page behind the other. */
static int read_runs(struct restore *r, const struct record *k, unsigned n_data, uint8_t *to)
{
    int rc = 0;

    for (unsigned i = 0; i < n_data && !rc;) {
        unsigned n = 1;

        while (i + n < n_data && k->zero[i + n] == k->zero[i])
            n++;
        if (k->zero[i]) {
            rc = stream_skip(r->in, (uint64_t)n * RESTORE_PAGE);
        } else {
            rc = stream_read(r->in, to, (size_t)n * RESTORE_PAGE);
            to += (size_t)n * RESTORE_PAGE;
        }
        i += n;
    }
    return rc ? fault(rc, "record %llu (%s) at offset %llu", (unsigned long long)r->x.r.index, xc_name(r->x.r.type), (unsigned long long)r->x.r.offset) : 0;
}

/* What the stream has for the frames in r->list, n of them. */
static int fill_pages(struct restore *r, const struct record *k, unsigned n)
{
    uint8_t *at = r->data ? r->data : n ? ctl_map(r->c, r->domid, r->list, n, true) : NULL;
    int rc = n && !at ? -EFAULT : read_runs(r, k, r->x.r.n_data, at);

    if (r->data)
        rc = rc ? rc : ctl_frames_write(r->c, r->domid, r->list, n, r->data);
    else if (at && !r->in->shared)
        ctl_unmap(r->c, at, n);
    r->shared->data += n;
    return rc;
}

static int read_pages(struct restore *r)
{
    struct record *k = malloc(sizeof(*k));
    int rc = k ? xc_check_pages_allowed(&r->x, &r->st) : fault(-ENOMEM, "restoring: no memory");

    rc = rc ? rc : xc_pages(&r->x, k->entry, r->st.p2m_pages);
    if (rc) {
        free(k);
        return rc;
    }
    k->n = r->x.r.n_pages;
    if (r->verify) {
        rc = restore_verify_pages(r, k->entry, k->n);
        free(k);
        return rc ? rc : xc_done(&r->x);
    }
    rc = sort_entries(r, k);
    if (!rc)
        find_holes(r, k, r->x.r.n_data);
    rc = rc ? rc : fill_pages(r, k, list_frames(r, k));
    rc = rc ? rc : ctl_clear_pages(r->c, r->domid, k->clear, k->n_clear);
    r->shared->zero += k->n_zero;
    free(k);
    return rc ? rc : xc_done(&r->x);
}

static int read_record(struct restore *r)
{
    if (r->x.r.type == XC_VERIFY) {
        r->verify = true;
        return r->x.r.bytes ? xc_bad(&r->x, "it should be empty") : xc_check_pages_allowed(&r->x, &r->st);
    }
    int rc = r->x.r.type == XC_PAGE_DATA ? read_pages(r) : xc_take(&r->x, &r->st);

    r->shared->offset = r->in->offset;
    if (!rc && r->o->progress)
        r->o->progress(r->o->arg, r->shared->data + r->shared->zero, r->in->offset);
    return rc;
}

int restore_read(struct restore *r)
{
    int rc = 0;

    while (!rc) {
        r->between = true;
        rc = xc_next(&r->x);
        r->between = false;
        if (!rc && r->x.r.type == XC_END)
            return r->x.r.bytes ? xc_bad(&r->x, "it should be empty") : restore_verify_end(r);
        rc = rc ? rc : read_record(r);
    }
    return rc;
}
