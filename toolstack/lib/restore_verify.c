/* SPDX-License-Identifier: MIT */
/*
 * After a VERIFY record all pages come once more (xm migrate --debug, xl migrate --debug), and are compared with what has arrived: the test
 * that nothing that was written while the guest moved has been missed. Page tables are compared as they came, before they get their new
 * frames.
 */
#include "fault.h"
#include "restore_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_zero(const uint8_t *page)
{
    return !page[0] && !memcmp(page, page + 1, RESTORE_PAGE - 1);
}

static void count(struct restore *r, uint64_t pfn, bool same)
{
    r->compared++;
    if (!same && !r->differ++)
        r->first_differs = pfn;
}

/* Page by page: the stream's data into a buffer, the guest's from where they are mapped, `at` in the order of the list. */
static int compare(struct restore *r, const uint64_t *entry, unsigned n, const uint8_t *at, uint8_t *buf)
{
    for (unsigned i = 0; i < n; i++) {
        uint64_t pfn = entry[i] & XC_PFN_MASK;
        unsigned type = (unsigned)(entry[i] >> XC_TYPE_SHIFT);
        bool data = xc_has_data(type);
        int rc = data ? stream_read(r->in, buf, RESTORE_PAGE) : 0;

        if (rc)
            return rc;
        if (!data && type != XC_ALLOC) {
            count(r, pfn, !r->mfn[pfn]);
            continue;
        }
        if (!r->mfn[pfn]) {
            count(r, pfn, false);
            continue;
        }
        if (data && r->early[pfn] & RESTORE_LOCAL && restore_localise(r, pfn, (uint64_t *)(void *)buf))
            return -EINVAL;
        count(r, pfn, r->type[pfn] == type || !data ? data ? !memcmp(at, buf, RESTORE_PAGE) : is_zero(at) : false);
        at += RESTORE_PAGE;
    }
    return 0;
}

int restore_verify_pages(struct restore *r, const uint64_t *entry, unsigned n)
{
    unsigned frames = 0;
    uint8_t *buf = malloc(RESTORE_PAGE), *at = NULL;

    for (unsigned i = 0; i < n; i++) {
        unsigned type = (unsigned)(entry[i] >> XC_TYPE_SHIFT);

        if ((xc_has_data(type) || type == XC_ALLOC) && r->mfn[entry[i] & XC_PFN_MASK])
            r->list[frames++] = r->mfn[entry[i] & XC_PFN_MASK];
    }
    if (buf && frames)
        at = ctl_map(r->c, r->domid, r->list, frames, false);
    int rc = !buf ? fault(-ENOMEM, "restoring: no memory") : frames && !at ? -EFAULT : compare(r, entry, n, at, buf);

    if (at)
        ctl_unmap(r->c, at, frames);
    free(buf);
    return rc;
}

int restore_verify_end(struct restore *r)
{
    if (r->differ)
        return fault(-EILSEQ, "verify: %llu of %llu pages are not what they are at the source, the first is page %#llx",
                     (unsigned long long)r->differ, (unsigned long long)r->compared, (unsigned long long)r->first_differs);
    if (r->verify)
        fprintf(stderr, "verify: %llu pages are the same on both sides\n", (unsigned long long)r->compared);
    return xc_check_complete(&r->x, &r->st);
}
