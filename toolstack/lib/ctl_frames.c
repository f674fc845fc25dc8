/* SPDX-License-Identifier: MIT */
/* Contents of other domains' frames by Zendo's own control calls (zendo/control.h), where the hypervisor has them. */
#include "ctl.h"
#include "ctl_private.h"
#include "fault.h"

#include <string.h>

#include <zendo/control.h>

_Static_assert(CTL_FRAMES_MAX <= ZENDO_FRAMES_MAX, "one call takes them");

/* *left: how many were not done. */
static int call(struct ctl *c, domid_t domid, uint32_t cmd, const xen_pfn_t *list, unsigned n, const void *data, unsigned *left)
{
    struct xen_domctl op = { .cmd = cmd, .domain = domid };
    struct zendo_domctl_frames a = { .num = n, .list = (uintptr_t)list, .data = (uintptr_t)data };

    memcpy(&op.u, &a, sizeof(a));
    int rc = ctl_domctl(c, &op);

    memcpy(&a, &op.u, sizeof(a));
    *left = (unsigned)a.num;
    return rc;
}

void *ctl_frames_open(struct ctl *c, domid_t domid)
{
    unsigned left;
    /* An answer other than yes may come from a hypervisor that does not know the call: what it says then is its own matter. */
    bool there = !call(c, domid, ZENDO_DOMCTL_read_frames, NULL, 0, NULL, &left);

    void *data = c->frames;

    if (there && !data)
        return xencall_alloc_buffer_pages(c->call, CTL_FRAMES_MAX);
    if (there)
        c->frames = NULL;
    return there ? data : NULL;
}

void ctl_frames_close(struct ctl *c, void *data)
{
    if (c->frames && data)
        xencall_free_buffer_pages(c->call, data, CTL_FRAMES_MAX);
    else if (data)
        c->frames = data;
}

int ctl_frames_read(struct ctl *c, domid_t domid, xen_pfn_t *list, unsigned n, void *data, bool *zero)
{
    unsigned left;
    int rc = n ? call(c, domid, ZENDO_DOMCTL_read_frames, list, n, data, &left) : 0;

    if (rc)
        return fault(rc, "domain %u: reading %u of its pages: %s", domid, n, strerror(-rc));
    for (unsigned i = 0; i < n; i++) {
        zero[i] = list[i] & ZENDO_FRAME_ZERO;
        list[i] = (list[i] & XEN_DOMCTL_PFINFO_LTAB_MASK) >> XEN_DOMCTL_PFINFO_LTAB_SHIFT;
    }
    return 0;
}

int ctl_frames_write(struct ctl *c, domid_t domid, const xen_pfn_t *list, unsigned n, const void *data)
{
    unsigned left = 0;
    int rc = n ? call(c, domid, ZENDO_DOMCTL_write_frames, list, n, data, &left) : 0;

    if (rc)
        return fault(rc, "domain %u: writing frame %#llx, %u of %u pages before it: %s", domid,
                     (unsigned long long)(left && left <= n ? list[n - left] : 0), left <= n ? n - left : 0, n, strerror(-rc));
    return 0;
}
