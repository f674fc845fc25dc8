/* SPDX-License-Identifier: MIT */
/* The list of a guest's pages. See guest_p2m.h. */
#include "guest_p2m.h"
#include "fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PER_FRAME 512U

/* Copies `count` frame numbers out of the frames that list[] names. */
static int read_level(struct ctl *c, domid_t domid, const xen_pfn_t *list, uint64_t count, xen_pfn_t **out)
{
    uint64_t frames = (count + PER_FRAME - 1) / PER_FRAME;
    const xen_pfn_t *at = ctl_map(c, domid, list, frames, false);

    *out = malloc(count * sizeof(**out));
    if (at && *out)
        memcpy(*out, at, count * sizeof(**out));
    ctl_unmap(c, (void *)(uintptr_t)at, frames);
    if (at && *out)
        return 0;
    free(*out);
    *out = NULL;
    return at ? fault(-ENOMEM, "domain %u: no memory for the list of its pages", domid) : -EFAULT;
}

/* A guest may number its pages beyond what it has, for holes and what it gave back; not so far that its list takes domain 0's memory. */
static uint64_t pages_limit(const struct xen_domctl_getdomaininfo *info)
{
    uint64_t has = info->max_pages > info->tot_pages ? info->max_pages : info->tot_pages;

    return has < P2M_MAX_PAGES - P2M_SPARE_PAGES ? has + P2M_SPARE_PAGES : P2M_MAX_PAGES;
}

/* What shared_info says of the list: read once. */
static int read_root(struct ctl *c, domid_t domid, xen_pfn_t *root, uint64_t *pages)
{
    struct xen_domctl_getdomaininfo info;
    int rc = ctl_domain_info(c, domid, &info);

    if (rc)
        return fault(rc, "domain %u: %s", domid, strerror(-rc));
    const struct shared_info *s = ctl_map(c, domid, &(xen_pfn_t){ info.shared_info_frame }, 1, false);

    if (!s)
        return -EFAULT;
    *pages = *(volatile const unsigned long *)&s->arch.max_pfn;
    *root = *(volatile const xen_pfn_t *)&s->arch.pfn_to_mfn_frame_list_list;
    ctl_unmap(c, (void *)(uintptr_t)s, 1);
    if (!*pages || !*root || *root == ~0UL)
        return fault(-EAGAIN, "domain %u: its kernel has not said where it keeps the list of its pages; has it started?", domid);
    if (*pages > pages_limit(&info))
        return fault(-E2BIG, "domain %u: it says its list of pages has %llu entries; by its memory it may have %llu", domid, (unsigned long long)*pages,
                     (unsigned long long)pages_limit(&info));
    return 0;
}

int guest_p2m_read_frames(struct ctl *c, domid_t domid, xen_pfn_t **mfns, uint64_t *pages, xen_pfn_t **frames)
{
    xen_pfn_t root, *middle = NULL;
    int rc = read_root(c, domid, &root, pages);

    *mfns = NULL;
    *frames = NULL;
    if (rc)
        return rc;
    uint64_t n_leaves = (*pages + PER_FRAME - 1) / PER_FRAME, n_middle = (n_leaves + PER_FRAME - 1) / PER_FRAME;

    rc = n_middle > PER_FRAME ? -E2BIG : read_level(c, domid, &root, n_middle, &middle);
    rc = rc ? rc : read_level(c, domid, middle, n_leaves, frames);
    rc = rc ? rc : read_level(c, domid, *frames, *pages, mfns);
    free(middle);
    if (rc) {
        free(*frames);
        *frames = NULL;
    }
    return rc;
}

int guest_p2m_read(struct ctl *c, domid_t domid, xen_pfn_t **mfns, uint64_t *pages)
{
    xen_pfn_t *frames;
    int rc = guest_p2m_read_frames(c, domid, mfns, pages, &frames);

    free(frames);
    return rc;
}
