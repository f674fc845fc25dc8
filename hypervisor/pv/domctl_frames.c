/* SPDX-License-Identifier: MIT */
/* Control calls about single frames of PV guests: their types, and their contents without mapping them (zendo/control.h). */
#include "domain.h"
#include "domctl.h"
#include "lib.h"
#include "logdirty.h"
#include "pgt.h"
#include "port.h"

#include <zendo/control.h>

#define BATCH 64U      /* numbers copied at a time */
#define CONTENTS 16U   /* pages copied between two looks whether others wait */
#define FRAMES_MAX 1024

/* What save tools want to know of a frame: is it a page table, of which level, pinned; or not one of d's. The caller has a reference. */
static uint64_t frame_info(const struct page *pg)
{
    static const uint32_t tab[] = {XEN_DOMCTL_PFINFO_L1TAB, XEN_DOMCTL_PFINFO_L2TAB,
                                   XEN_DOMCTL_PFINFO_L3TAB, XEN_DOMCTL_PFINFO_L4TAB};
    uint64_t type = __atomic_load_n(&pg->type, __ATOMIC_ACQUIRE);

    if (READ_ONCE(pg->count) & PGC_HYP)
        return XEN_DOMCTL_PFINFO_XTAB;
    if ((type & PGT_COUNT_MASK) && PGT_LEVEL(type) >= 1 && PGT_LEVEL(type) <= 4)
        return tab[PGT_LEVEL(type) - 1] | (type & PGT_PINNED ? XEN_DOMCTL_PFINFO_LPINTAB : 0);
    return XEN_DOMCTL_PFINFO_NOTAB;
}

/* --- getpageframeinfo3 ------------------------------------------------------------------------------ */

static uint64_t info_of(const struct domain *d, uint64_t mfn_val)
{
    struct page *pg = get_page_of_mfn(mfn(mfn_val), d);
    uint64_t info = pg ? frame_info(pg) : XEN_DOMCTL_PFINFO_XTAB;

    if (pg)
        put_page(pg);
    return info;
}

/* In place: numbers of frames become their types. The argument is moved on, so that it can be issued again. */
long domctl_getpageframeinfo3(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_getpageframeinfo3 *g = &op->u.getpageframeinfo3;
    uint64_t frames[BATCH];

    if (g->num > FRAMES_MAX)
        return -XEN_E2BIG;
    while (g->num) {
        unsigned n = (unsigned)MIN(g->num, (uint64_t)BATCH);
        guest_ptr_t at = guest_ptr_of(g->array);

        if (copy_from_guest(frames, at, n * sizeof(frames[0])))
            return -XEN_EFAULT;
        for (unsigned i = 0; i < n; i++)
            frames[i] = info_of(d, frames[i]);
        if (copy_to_guest(at, frames, n * sizeof(frames[0])))
            return -XEN_EFAULT;
        g->num -= n;
        g->array.p += n;
        if (g->num && preempt_needed())
            return -XEN_ERESTART;
    }
    return 0;
}

/* --- contents --------------------------------------------------------------------------------------- */

/* Most pages with contents show it in the first 256 bytes. The guest may be writing: then log-dirty names the page again. */
static bool is_zero(const uint64_t *p)
{
    for (unsigned i = 0; i < FRAME_SIZE / sizeof(*p); i += 32) {
        uint64_t any = 0;

#pragma GCC unroll 32
        for (unsigned k = 0; k < 32; k++)
            any |= p[i + k];
        if (any)
            return false;
    }
    return true;
}

static int read_one(const struct domain *d, uint64_t *frame, guest_ptr_t to)
{
    struct page *pg = get_page_of_mfn(mfn(*frame), d);
    const void *from;
    int rc = 0;

    *frame = pg ? frame_info(pg) : XEN_DOMCTL_PFINFO_XTAB;
    if (!pg)
        return 0;
    if (*frame != XEN_DOMCTL_PFINFO_XTAB) {
        from = map_frame(mfn_of(pg));
        if (is_zero(from))
            *frame |= ZENDO_FRAME_ZERO;
        else
            rc = copy_to_guest(to, from, FRAME_SIZE);
        unmap_frame(from);
    }
    put_page(pg);
    return rc;
}

/* A reference for writing keeps the frame from becoming a page table meanwhile. */
static int write_one(struct domain *d, uint64_t frame, guest_ptr_t from)
{
    struct page *pg = get_page_of_mfn(mfn(frame), d);
    void *to;
    int rc;

    if (!pg)
        return -XEN_EINVAL;
    rc = READ_ONCE(pg->count) & PGC_HYP ? -XEN_EINVAL : pgt_get(pg, PGT_WRITABLE, true);
    if (!rc) {
        to = map_frame(mfn_of(pg));
        rc = copy_from_guest(to, from, FRAME_SIZE);
        unmap_frame(to);
        page_dirtied(pg); /* some of it may have been copied */
        pgt_put(pg, false);
    }
    put_page(pg);
    return rc;
}

static int some(struct domain *d, struct zendo_domctl_frames *a, unsigned n, bool write)
{
    uint64_t frames[CONTENTS];
    guest_ptr_t data = guest_ptr(a->data);
    unsigned done;
    int rc = copy_from_guest(frames, guest_ptr(a->list), n * sizeof(frames[0])) ? -XEN_EFAULT : 0;

    for (done = 0; done < n && !rc; done++, data = guest_ptr_add(data, FRAME_SIZE)) {
        rc = write ? write_one(d, frames[done], data) : read_one(d, &frames[done], data);
        if (rc)
            break;
    }
    if (done && !write && copy_to_guest(guest_ptr(a->list), frames, done * sizeof(frames[0])))
        return -XEN_EFAULT;
    a->num -= done;
    a->list += done * sizeof(frames[0]);
    a->data += (uint64_t)done * FRAME_SIZE;
    return rc;
}

static long contents(struct domain *d, struct xen_domctl *op, bool write)
{
    struct zendo_domctl_frames a;
    long rc = 0;

    memcpy(&a, &op->u, sizeof(a));
    if (a.num > ZENDO_FRAMES_MAX)
        return -XEN_E2BIG;
    while (a.num && !rc) {
        rc = some(d, &a, (unsigned)MIN(a.num, (uint64_t)CONTENTS), write);
        if (!rc && a.num && preempt_needed())
            rc = -XEN_ERESTART;
    }
    memcpy(&op->u, &a, sizeof(a));
    return rc;
}

long domctl_read_frames(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    return contents(d, op, false);
}

long domctl_write_frames(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    return contents(d, op, true);
}
