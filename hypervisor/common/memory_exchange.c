/* SPDX-License-Identifier: MIT */
/*
 * XENMEM_exchange: a domain trades frames for as many others that are contiguous or lie low, for DMA.
 *
 * Work goes in chunks: the larger extent order of the two sides decides how many frames are traded at once, so that
 * a chunk is one extent on one side. A chunk either happens as a whole or leaves everything as it was; progress is
 * written to the guest's nr_exchanged after each.
 *
 * Order inside a chunk: all that can fail without harm comes first (references to the old frames, allocation of the
 * new ones as the hypervisor's); then the old ones leave the domain and the new ones are assigned. A frame that
 * is still mapped or otherwise held is refused: it would not be freed, and so leave no room for the new one.
 */
#include "abi.h"
#include "domain.h"
#include "lib.h"
#include "logdirty.h"
#include "memory_ops.h"
#include "page.h"
#include "pgt.h"
#include "port.h"

#include <xen/memory.h>

#define CHUNK_ORDER_MAX 9

struct chunk {
    struct page *old[1UL << CHUNK_ORDER_MAX]; /* a reference to each */
    mfn_t fresh[1UL << CHUNK_ORDER_MAX];      /* one per extent */
    unsigned nr_old, nr_new;
};

static uint64_t extent_slot(const struct xen_memory_reservation *r, uint64_t i)
{
    return (uint64_t)r->extent_start.p + i * sizeof(xen_pfn_t);
}

static bool sane(const struct xen_memory_exchange *x, const struct vcpu *v)
{
    const struct xen_memory_reservation *in = &x->in, *out = &x->out;

    if (in->extent_order > CHUNK_ORDER_MAX || out->extent_order > CHUNK_ORDER_MAX)
        return false;
    if (in->nr_extents > (1UL << 40) || out->nr_extents > (1UL << 40))
        return false;
    if ((in->nr_extents << in->extent_order) != (out->nr_extents << out->extent_order))
        return false;
    if (in->domid != out->domid || x->nr_exchanged > in->nr_extents)
        return false;
    return v->domain->hardware || (out->extent_order == 0);
}

/* References to the old frames; nothing is taken away yet. */
static int find_old(struct domain *d, const struct xen_memory_reservation *in, uint64_t first, unsigned n,
                    struct chunk *c)
{
    for (unsigned i = 0; i < n; i++) {
        xen_pfn_t gmfn;

        if (get_guest(gmfn, guest_ptr(extent_slot(in, first + i))))
            return -XEN_EFAULT;
        for (uint64_t k = 0; k < 1UL << in->extent_order; k++) {
            struct page *pg = get_page_of_mfn(mfn(gmfn + k), d);

            if (!pg)
                return -XEN_EINVAL;
            c->old[c->nr_old++] = pg;
            /* the allocation's reference and ours; should another vCPU map it from now on, its loss */
            if (READ_ONCE(pg->count) != (PGC_ALLOC | 2))
                return -XEN_EINVAL;
        }
    }
    return 0;
}

static void put_old(struct chunk *c)
{
    for (unsigned i = 0; i < c->nr_old; i++)
        put_page(c->old[i]);
    c->nr_old = 0;
}

static int alloc_new(const struct xen_memory_reservation *out, unsigned n, struct chunk *c)
{
    unsigned bits = XENMEMF_get_address_bits(out->mem_flags);

    for (c->nr_new = 0; c->nr_new < n; c->nr_new++) {
        mfn_t m = frames_alloc_below(out->extent_order, 0, bits ? bits : 64);

        if (mfn_eq(m, INVALID_MFN))
            return -XEN_ENOMEM;
        c->fresh[c->nr_new] = m;
    }
    return 0;
}

static void free_new(const struct xen_memory_reservation *out, unsigned from, struct chunk *c)
{
    for (unsigned i = from; i < c->nr_new; i++)
        frames_free(c->fresh[i], out->extent_order);
}

/* The old frames leave the domain. One that another vCPU took away meanwhile ends the chunk: what had left by then
 * stays away, at the guest's own cost. */
static int remove_old(struct domain *d, struct chunk *c)
{
    for (unsigned i = 0; i < c->nr_old; i++) {
        struct page *pg = c->old[i];

        if (domain_page_remove(d, pg))
            return -XEN_EINVAL;
        domain_m2p_set(d, mfn_of(pg), M2P_INVALID);
        put_page(pg); /* the allocation's reference */
    }
    return 0;
}

/* One extent becomes the domain's, or is freed: also when the guest's list cannot be read any more. */
static int assign_extent(struct domain *d, mfn_t m, unsigned order, guest_ptr_t slot)
{
    xen_pfn_t gpfn, first = m.n;

    if (get_guest(gpfn, slot)) {
        frames_free(m, order);
        return -XEN_EFAULT;
    }
    for (uint64_t k = 0; k < 1UL << order; k++) {
        if (domain_page_assign(d, page_of(mfn_add(m, k)))) {
            for (; k < 1UL << order; k++)
                frames_free(mfn_add(m, k), 0);
            return -XEN_EINVAL;
        }
        domain_m2p_set(d, mfn_add(m, k), gpfn + k);
    }
    return put_guest(slot, first) ? -XEN_EFAULT : 0;
}

static int exchange_chunk(struct domain *d, const struct xen_memory_exchange *x, uint64_t in_first,
                          uint64_t out_first, unsigned order, struct chunk *c)
{
    unsigned n_in = 1U << (order - x->in.extent_order), n_out = 1U << (order - x->out.extent_order);
    unsigned done = 0;
    int rc;

    c->nr_old = c->nr_new = 0;
    rc = find_old(d, &x->in, in_first, n_in, c);
    if (!rc)
        rc = alloc_new(&x->out, n_out, c);
    if (!rc)
        rc = remove_old(d, c);
    put_old(c); /* freed here: their room is the new ones' */
    while (!rc && done < n_out) {
        rc = assign_extent(d, c->fresh[done], x->out.extent_order,
                           guest_ptr(extent_slot(&x->out, out_first + done)));
        done++;
    }
    free_new(&x->out, done, c);
    return rc;
}

static long exchange(struct vcpu *v, struct domain *d, uint64_t arg, struct xen_memory_exchange *x,
                     struct chunk *c)
{
    unsigned order = MAX(x->in.extent_order, x->out.extent_order);
    unsigned in_step = 1U << (order - x->in.extent_order);
    guest_ptr_t progress = guest_ptr_add(guest_ptr(arg), offsetof(struct xen_memory_exchange, nr_exchanged));
    uint64_t start = x->nr_exchanged;
    int rc;

    while (x->nr_exchanged < x->in.nr_extents) {
        uint64_t frames = x->nr_exchanged << x->in.extent_order;

        if (x->nr_exchanged != start && preempt_needed())
            return hcall_again(v, __HYPERVISOR_memory_op, XENMEM_exchange, arg, 0, 0, 0);
        rc = exchange_chunk(d, x, x->nr_exchanged, frames >> x->out.extent_order, order, c);
        if (rc)
            return rc;
        x->nr_exchanged += in_step;
        if (put_guest(progress, x->nr_exchanged))
            return -XEN_EFAULT;
    }
    return 0;
}

long memory_exchange(struct vcpu *v, uint64_t arg)
{
    struct xen_memory_exchange x;
    struct domain *d;
    struct chunk *c;
    long rc;

    if (get_guest(x, guest_ptr(arg)))
        return -XEN_EFAULT;
    if (!sane(&x, v))
        return -XEN_EINVAL;
    if ((x.nr_exchanged << x.in.extent_order) & ((1UL << MAX(x.in.extent_order, x.out.extent_order)) - 1))
        return -XEN_EINVAL;
    d = domain_get_self(v, x.in.domid);
    if (!d)
        return -XEN_ESRCH;
    if (d != v->domain) {
        domain_put(d);
        return -XEN_EPERM;
    }
    c = zalloc(sizeof(*c));
    rc = c ? exchange(v, d, arg, &x, c) : -XEN_ENOMEM;
    zfree(c);
    domain_put(d);
    return rc;
}
