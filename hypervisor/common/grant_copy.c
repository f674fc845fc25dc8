/* SPDX-License-Identifier: MIT */
/*
 * GNTTABOP_copy: bytes from one frame to another, each end given by the caller's own frame number or by a
 * grant to it. The grants are held only while the bytes move, without any lock. Version 2's sub-page grants
 * restrict the range; its transitive grants lead to a grant of another domain to the granting one, which is
 * held too, TRANSITIVE_MAX steps deep.
 */
#include "grant_private.h"
#include "lib.h"
#include "logdirty.h"
#include "port.h"

#define TRANSITIVE_MAX 4

/* One end of a copy with all that it holds. */
struct copy_end {
    struct grant_view hold[TRANSITIVE_MAX];
    unsigned nr_holds;
    struct page *page;
    bool write;
};

static void end_release(struct copy_end *e)
{
    if (e->page)
        grant_page_put(e->page, e->write);
    while (e->nr_holds--) {
        struct grant_view *h = &e->hold[e->nr_holds];

        grant_release(h->owner, h->ref, h->write);
        domain_put(h->owner);
    }
}

/* Hold one grant; the reference to its domain goes along. */
static int end_hold(struct copy_end *e, struct domain *rd, uint32_t ref, domid_t by)
{
    int rc;

    if (!rd)
        return GNTST_bad_domain;
    rc = e->nr_holds < TRANSITIVE_MAX
             ? grant_hold(rd, ref, by, e->write, GRANT_FULL | GRANT_SUB | GRANT_TRANSITIVE,
                          &e->hold[e->nr_holds])
             : GNTST_general_error;
    if (rc)
        domain_put(rd);
    else
        e->nr_holds++;
    return rc;
}

static bool in_range(const struct grant_active *a, unsigned offset, unsigned len)
{
    return a->kind != GRANT_SUB || (offset >= a->start && offset + len <= a->start + a->length);
}

static int end_open_ref(struct copy_end *e, struct vcpu *v, const struct gnttab_copy_ptr *p,
                        unsigned len)
{
    const struct grant_active *a;
    int rc;

    rc = end_hold(e, domain_get_self(v, p->domid), p->u.ref, v->domain->id);
    while (!rc) {
        const struct grant_view *h = &e->hold[e->nr_holds - 1];

        if (h->what.kind != GRANT_TRANSITIVE)
            break;
        rc = end_hold(e, domain_get(h->what.start), (uint32_t)h->what.frame, h->owner->id);
    }
    if (rc)
        return rc;
    a = &e->hold[e->nr_holds - 1].what;
    if (!in_range(a, p->offset, len))
        return GNTST_general_error;
    e->page = grant_page_get(e->hold[e->nr_holds - 1].owner, a->frame, e->write);
    return e->page ? GNTST_okay : GNTST_bad_page;
}

static int end_open(struct copy_end *e, struct vcpu *v, const struct gnttab_copy_ptr *p,
                    bool by_ref, unsigned len)
{
    if (by_ref)
        return end_open_ref(e, v, p, len);
    e->page = grant_page_get(v->domain, p->u.gmfn, e->write);
    return e->page ? GNTST_okay : GNTST_bad_page;
}

static int copy_decode(const struct gnttab_copy *op)
{
    if (MAX(op->source.offset, op->dest.offset) + op->len > (int)FRAME_SIZE)
        return GNTST_bad_copy_arg;
    if (!(op->flags & GNTCOPY_source_gref) && op->source.domid != DOMID_SELF)
        return GNTST_permission_denied;
    if (!(op->flags & GNTCOPY_dest_gref) && op->dest.domid != DOMID_SELF)
        return GNTST_permission_denied;
    return GNTST_okay;
}

int grant_copy_one(struct vcpu *v, const struct gnttab_copy *op)
{
    struct copy_end src = {.write = false}, dst = {.write = true};
    int rc = copy_decode(op);

    if (rc)
        return rc;
    rc = end_open(&src, v, &op->source, op->flags & GNTCOPY_source_gref, op->len);
    if (!rc)
        rc = end_open(&dst, v, &op->dest, op->flags & GNTCOPY_dest_gref, op->len);
    if (!rc) {
        const char *from = map_frame(mfn_of(src.page));
        char *to = map_frame(mfn_of(dst.page));

        memmove(to + op->dest.offset, from + op->source.offset, op->len);
        unmap_frame(to);
        page_dirtied(dst.page);
        unmap_frame(from);
    }
    end_release(&dst);
    end_release(&src);
    return rc;
}
