/* SPDX-License-Identifier: MIT */
/*
 * memory_op acquire_resource: frames of the hypervisor's that belong to a guest, for a privileged domain to map: the
 * grant table, into which the tools write the first entries of a new guest.
 */
#include "abi.h"
#include "domain.h"
#include "grant.h"
#include "lib.h"
#include "memory_ops.h"
#include "port.h"

#include <xen/memory.h>

#define CMD_BITS 6

static long frame_of(struct domain *d, const struct xen_mem_acquire_resource *r, uint64_t idx, xen_pfn_t *out)
{
    mfn_t m;
    int rc;

    if (idx > UINT32_MAX)
        return -XEN_EINVAL;
    rc = grant_frame_get(d, (unsigned)idx, r->id == XENMEM_resource_grant_table_id_status, &m);
    if (!rc)
        *out = m.n;
    return rc;
}

/* From frame `done` of the request on; a rest is kept in the command, as the other operations have it. */
static long acquire(struct vcpu *v, struct domain *d, const struct xen_mem_acquire_resource *r, uint64_t done,
                    uint64_t arg)
{
    guest_ptr_t list = guest_ptr_of(r->frame_list);

    for (uint64_t start = done; done < r->nr_frames; done++) {
        xen_pfn_t frame;
        long rc;

        if (done != start && preempt_needed())
            return hcall_again(v, __HYPERVISOR_memory_op, XENMEM_acquire_resource | done << CMD_BITS, arg, 0,
                               0, 0);
        rc = frame_of(d, r, r->frame + done, &frame);
        if (rc)
            return rc;
        if (put_guest(guest_ptr_add(list, done * sizeof(frame)), frame))
            return -XEN_EFAULT;
    }
    return 0;
}

static long size_of(struct domain *d, struct xen_mem_acquire_resource *r, uint64_t arg)
{
    r->nr_frames = grant_frames_limit(d, r->id == XENMEM_resource_grant_table_id_status);
    return put_guest(guest_ptr(arg), *r) ? -XEN_EFAULT : 0;
}

long memory_acquire_resource(struct vcpu *v, uint64_t cmd, uint64_t arg)
{
    struct xen_mem_acquire_resource r;
    struct domain *d;
    long rc;
    int why;

    if (get_guest(r, guest_ptr(arg)))
        return -XEN_EFAULT;
    if (!v->domain->privileged)
        return -XEN_EPERM;
    if (r.pad || r.type != XENMEM_resource_grant_table || r.id > XENMEM_resource_grant_table_id_status)
        return r.pad ? -XEN_EINVAL : -XEN_EOPNOTSUPP;
    d = memory_subject(v, r.domid, &why);
    if (!d)
        return why;
    if (!r.nr_frames)
        rc = guest_ptr_of(r.frame_list).va ? -XEN_EINVAL : size_of(d, &r, arg);
    else
        rc = r.frame + r.nr_frames < r.frame ? -XEN_EINVAL : acquire(v, d, &r, (uint32_t)cmd >> CMD_BITS, arg);
    domain_put(d);
    return rc;
}
