/* SPDX-License-Identifier: MIT */
/* What the control calls tell about a domain and its vCPUs. Nothing here changes anything. */
#include "domain.h"
#include "domctl.h"
#include "lib.h"
#include "port.h"
#include "sysctl.h"

#include <xen/sched.h>

/* Blocked only if all vCPUs that are up are; running if one is. */
static void info_of_vcpus(struct domain *d, struct xen_domctl_getdomaininfo *info)
{
    bool blocked = true, running = false;

    for (unsigned i = 0; i < d->max_vcpus; i++) {
        struct vcpu *v = READ_ONCE(d->vcpu[i]);
        struct vcpu_runstate_info r;
        uint32_t flags;

        if (!v)
            continue;
        vcpu_runstate_get(v, &r);
        info->cpu_time += r.time[RUNSTATE_running];
        info->max_vcpu_id = i;
        flags = READ_ONCE(v->pause_flags);
        if (flags & VPF_DOWN)
            continue;
        info->nr_online_vcpus++;
        blocked &= !!(flags & (VPF_BLOCKED | VPF_POLL));
        running |= READ_ONCE(v->sched.running);
    }
    if (running)
        info->flags |= XEN_DOMINF_running;
    else if (blocked)
        info->flags |= XEN_DOMINF_blocked;
}

void domain_info_fill(struct domain *d, struct xen_domctl_getdomaininfo *info)
{
    memset(info, 0, sizeof(*info));
    info->domain = d->id;
    info->max_vcpu_id = XEN_INVALID_MAX_VCPU_ID;
    info_of_vcpus(d, info);
    if (READ_ONCE(d->dying))
        info->flags |= XEN_DOMINF_dying;
    if (READ_ONCE(d->shut_down))
        info->flags |= XEN_DOMINF_shutdown | (uint32_t)d->shutdown_code << XEN_DOMINF_shutdownshift;
    if (READ_ONCE(d->control_pauses))
        info->flags |= XEN_DOMINF_paused;
    if (d->xs_domain)
        info->flags |= XEN_DOMINF_xs_domain;
    info->tot_pages = READ_ONCE(d->tot_pages);
    info->max_pages = READ_ONCE(d->max_pages);
    info->outstanding_pages = READ_ONCE(d->claim);
    info->shared_info_frame = d->shared_mfn.n;
    info->gpaddr_bits = 0;
    memcpy(info->handle, d->handle, sizeof(info->handle));
    arch_domain_info(d, info);
}

long domctl_getvcpuinfo(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_getvcpuinfo *info = &op->u.getvcpuinfo;
    struct vcpu *t = domain_vcpu(d, info->vcpu);
    struct vcpu_runstate_info r;
    uint32_t flags;

    if (!t)
        return -XEN_ESRCH;
    vcpu_runstate_get(t, &r);
    flags = READ_ONCE(t->pause_flags);
    info->online = !(flags & VPF_DOWN);
    info->blocked = !!(flags & (VPF_BLOCKED | VPF_POLL));
    info->running = READ_ONCE(t->sched.running);
    info->cpu_time = r.time[RUNSTATE_running];
    info->cpu = READ_ONCE(t->cpu);
    return 0;
}

/* The domain op->domain names, or the next one above. */
long domctl_getdomaininfo(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    struct domain *next = NULL;

    if (!d) {
        if (op->domain >= DOMID_FIRST_RESERVED)
            return -XEN_EINVAL;
        d = next = domain_find_from(op->domain);
        if (!d)
            return -XEN_ESRCH;
    }
    domain_info_fill(d, &op->u.getdomaininfo);
    op->domain = d->id;
    if (next)
        domain_put(next);
    return 0;
}

/* Domains by ascending number from first_domain on. The count is bounded by the caller's buffer and by the number
 * of domains there are; a rest is taken between domains, which starts the list again from where it came to. */
long sysctl_getdomaininfolist(struct vcpu *v, struct xen_sysctl *op)
{
    struct xen_sysctl_getdomaininfolist *l = &op->u.getdomaininfolist;
    struct xen_domctl_getdomaininfo info;
    uint32_t n = 0;
    struct domain *d;
    long rc = 0;

    for (d = domain_find_from(l->first_domain); d && n < l->max_domains; d = domain_next(d)) {
        domain_info_fill(d, &info);
        if (copy_to_guest(guest_ptr((uint64_t)(uintptr_t)l->buffer.p + n * sizeof(info)), &info,
                          sizeof(info))) {
            rc = -XEN_EFAULT;
            break;
        }
        n++;
    }
    if (d)
        domain_put(d);
    l->num_domains = n;
    return rc;
}
