/* SPDX-License-Identifier: MIT */
/*
 * memory_op: a domain gives frames back, takes more, or exchanges some for better-placed ones; and learns about
 * its memory and the machine's. Lists are worked on in bounded steps; a continuation keeps its place in the upper
 * bits of the command, as the ABI has it.
 */
#include "abi.h"
#include "domain.h"
#include "lib.h"
#include "log.h"
#include "logdirty.h"
#include "memory_ops.h"
#include "page.h"
#include "pgt.h"
#include "port.h"
#include "x86/hypercalls.h"

#include <xen/memory.h>

#define CMD_BITS 6
#define CMD_MASK ((1U << CMD_BITS) - 1)

struct domain *memory_subject(struct vcpu *v, uint16_t id, int *rc)
{
    struct domain *d = domain_get_self(v, id);

    *rc = -XEN_ESRCH;
    if (d && d != v->domain && !v->domain->privileged) {
        *rc = -XEN_EPERM;
        domain_put(d);
        d = NULL;
    }
    return d;
}

/* The guest's limit in bits of machine address; 0 in the flags means none. */
static unsigned address_bits(unsigned mem_flags)
{
    unsigned bits = XENMEMF_get_address_bits(mem_flags);

    return bits ? bits : 64;
}

/* --- giving back ------------------------------------------------------------------------------------- */

/* One frame leaves the domain. What still uses it (mappings, a pin, a leftover of a page table) keeps it from
 * being freed, and d from getting another one for it. */
static int release_frame(struct domain *d, uint64_t gmfn)
{
    struct page *pg = get_page_of_mfn(mfn(gmfn), d);
    int rc;

    if (!pg)
        return -XEN_EINVAL;
    rc = pgt_drain(pg, true); /* what still is left over then keeps the frame for now */
    rc = domain_page_remove(d, pg);
    if (!rc) {
        domain_m2p_set(d, mfn_of(pg), M2P_INVALID);
        put_page(pg); /* the allocation's reference */
    }
    put_page(pg);
    return rc;
}

static uint64_t decrease(struct domain *d, const struct xen_memory_reservation *r, uint64_t done,
                         bool *preempted)
{
    for (uint64_t start = done; done < r->nr_extents; done++) {
        xen_pfn_t gmfn;

        if (done != start && preempt_needed()) {
            *preempted = true;
            break;
        }
        if (get_guest(gmfn, guest_ptr((uint64_t)r->extent_start.p + done * sizeof(gmfn))))
            break;
        for (uint64_t k = 0; k < 1UL << r->extent_order; k++)
            if (release_frame(d, gmfn + k))
                return done;
    }
    return done;
}

/* --- taking more ----------------------------------------------------------------------------------------- */

static uint64_t populate(struct domain *d, const struct xen_memory_reservation *r, uint64_t done,
                         bool increase, bool *preempted)
{
    for (uint64_t start = done; done < r->nr_extents; done++) {
        guest_ptr_t slot = guest_ptr((uint64_t)r->extent_start.p + done * sizeof(xen_pfn_t));
        xen_pfn_t gpfn = 0, mfn_val;
        struct page *pg;

        if (done != start && preempt_needed()) {
            *preempted = true;
            break;
        }
        if (!increase && get_guest(gpfn, slot))
            break;
        pg = domain_pages_alloc(d, r->extent_order, 0, address_bits(r->mem_flags));
        if (!pg)
            break;
        mfn_val = mfn_of(pg).n;
        if (!increase)
            for (uint64_t k = 0; k < 1UL << r->extent_order; k++)
                domain_m2p_set(d, mfn(mfn_val + k), gpfn + k);
        if (r->extent_start.p && put_guest(slot, mfn_val)) {
            for (uint64_t k = 0; k < 1UL << r->extent_order; k++)
                (void)release_frame(d, mfn_val + k);
            break;
        }
    }
    return done;
}

static long reservation_op(struct vcpu *v, unsigned op, uint64_t cmd, uint64_t arg)
{
    struct xen_memory_reservation r;
    uint64_t start = cmd >> CMD_BITS, done;
    bool preempted = false;
    struct domain *d;
    int rc;

    if (get_guest(r, guest_ptr(arg)))
        return (long)start;
    /* the place kept in the command must fit in the result and the count */
    if (r.nr_extents > (~0UL >> CMD_BITS) || start > r.nr_extents)
        return (long)start;
    if (r.extent_order > (v->domain->hardware ? MAX_ORDER : 9))
        return (long)start;
    d = memory_subject(v, r.domid, &rc);
    if (!d)
        return start ? (long)start : rc;
    if (op == XENMEM_decrease_reservation)
        done = decrease(d, &r, start, &preempted);
    else
        done = populate(d, &r, start, op == XENMEM_increase_reservation, &preempted);
    domain_put(d);
    if (preempted)
        return hcall_again(v, __HYPERVISOR_memory_op, op | (done << CMD_BITS), arg, 0, 0, 0);
    return (long)done;
}

/* --- claims ------------------------------------------------------------------------------------------------- */

/* Arithmetic only. One claim at a time for a domain; what has no meaning here must be zero. */
static long claim_pages(struct vcpu *v, uint64_t arg)
{
    struct xen_memory_reservation r;
    struct domain *d;
    int rc;

    if (!v->domain->privileged)
        return -XEN_EPERM;
    if (get_guest(r, guest_ptr(arg)))
        return -XEN_EFAULT;
    if (r.extent_start.p || r.extent_order || r.mem_flags)
        return -XEN_EINVAL;
    d = memory_subject(v, r.domid, &rc);
    if (!d)
        return rc;
    rc = domain_claim(d, r.nr_extents);
    domain_put(d);
    return rc;
}

/* --- figures ------------------------------------------------------------------------------------------------ */

/* The guest says so itself: read once, and never an error's number. */
static long maximum_gpfn(const struct domain *d)
{
    uint64_t pages = READ_ONCE(d->shared->arch.max_pfn);

    return (long)MIN(pages ? pages - 1 : 0, (uint64_t)INT64_MAX);
}

static long pages_of(struct vcpu *v, unsigned op, uint64_t arg)
{
    struct domain *d;
    domid_t id;
    long n;
    int rc;

    if (get_guest(id, guest_ptr(arg)))
        return -XEN_EFAULT;
    d = memory_subject(v, id, &rc);
    if (!d)
        return rc;
    if (op == XENMEM_current_reservation)
        n = (long)d->tot_pages;
    else if (op == XENMEM_maximum_reservation)
        n = (long)d->max_pages;
    else
        n = maximum_gpfn(d);
    domain_put(d);
    return n;
}

static long machphys_mapping(uint64_t arg)
{
    struct xen_machphys_mapping m = {
        .v_start = MACH2PHYS_VIRT_START,
        .v_end = MACH2PHYS_VIRT_END,
        .max_mfn = MACH2PHYS_NR_ENTRIES - 1,
    };

    return put_guest(guest_ptr(arg), m) ? -XEN_EFAULT : 0;
}

static long dispatch(struct vcpu *v, unsigned op, uint64_t cmd, uint64_t arg)
{
    switch (op) {
    case XENMEM_increase_reservation:
    case XENMEM_decrease_reservation:
    case XENMEM_populate_physmap:
        return reservation_op(v, op, cmd, arg);
    case XENMEM_exchange:
        return memory_exchange(v, arg);
    case XENMEM_claim_pages:
        return claim_pages(v, arg);
    case XENMEM_maximum_ram_page:
        return (long)(frame_max - 1);
    case XENMEM_current_reservation:
    case XENMEM_maximum_reservation:
    case XENMEM_maximum_gpfn:
        return pages_of(v, op, arg);
    case XENMEM_acquire_resource:
        return memory_acquire_resource(v, cmd, arg);
    case XENMEM_get_vnumainfo:
        return -XEN_EOPNOTSUPP;
    case XENMEM_machphys_mapping:
        return machphys_mapping(arg);
    default:
        return arch_memory_op(v, op, arg);
    }
}

long do_memory_op(struct vcpu *v, uint64_t cmd, uint64_t arg, uint64_t a3, uint64_t a4, uint64_t a5)
{
    return dispatch(v, (unsigned)cmd & CMD_MASK, cmd, arg);
}
