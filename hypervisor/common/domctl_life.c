/* SPDX-License-Identifier: MIT */
/* Control calls for a domain's life and what is set in it: pausing, ending, going on after a suspend, limits. */
#include "domain.h"
#include "domctl.h"
#include "evtchn.h"
#include "lib.h"
#include "log.h"
#include "port.h"
#include "vtime.h"

#define CONTROL_PAUSES_MAX 255

/* The pauses of control calls are counted apart, so that no control call can undo a pause of ours. */
long domctl_pausedomain(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    uint32_t n = __atomic_load_n(&d->control_pauses, __ATOMIC_RELAXED);

    do {
        if (n >= CONTROL_PAUSES_MAX)
            return -XEN_EOVERFLOW;
    } while (!__atomic_compare_exchange_n(&d->control_pauses, &n, n + 1, false, __ATOMIC_SEQ_CST,
                                          __ATOMIC_RELAXED));
    domain_pause(d);
    return 0;
}

long domctl_unpausedomain(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    uint32_t n = __atomic_load_n(&d->control_pauses, __ATOMIC_RELAXED);

    do {
        if (!n)
            return -XEN_EINVAL;
    } while (!__atomic_compare_exchange_n(&d->control_pauses, &n, n - 1, false, __ATOMIC_SEQ_CST,
                                          __ATOMIC_RELAXED));
    if (n == 1)
        vtime_update_wallclock(d); /* whoever built or restored it has written over shared_info */
    domain_unpause(d);
    return 0;
}

long domctl_destroydomain(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    return domain_kill(d);
}

/* After SHUTDOWN_suspend that the tools took back, or a checkpoint. */
long domctl_resumedomain(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    domain_pause(d);
    domain_resume(d);
    domain_unpause(d);
    return 0;
}

/* A limit below what the domain has is no error: it can only not get more. */
long domctl_max_mem(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    uint64_t pages = op->u.max_mem.max_memkb >> (FRAME_SHIFT - 10);

    spin_lock(&d->page_lock);
    d->max_pages = MIN(pages, (uint64_t)UINT32_MAX);
    spin_unlock(&d->page_lock);
    return 0;
}

long domctl_setdomainhandle(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    memcpy(d->handle, op->u.setdomainhandle.handle, sizeof(d->handle));
    return 0;
}

long domctl_sendtrigger(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    struct vcpu *t = domain_vcpu(d, op->u.sendtrigger.vcpu);

    if (!t)
        return -XEN_ESRCH;
    if (op->u.sendtrigger.trigger != XEN_DOMCTL_SENDTRIGGER_NMI)
        return -XEN_ENOSYS;
    arch_vcpu_send_nmi(t);
    return 0;
}

long domctl_set_virq_handler(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    return virq_set_handler(op->u.set_virq_handler.virq, d);
}

/* There is one node. */
long domctl_setnodeaffinity(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    const struct xenctl_bitmap *map = &op->u.nodeaffinity.nodemap;
    uint8_t first;

    if (!map->nr_bits)
        return -XEN_EINVAL;
    if (get_guest(first, guest_ptr_of(map->bitmap)))
        return -XEN_EFAULT;
    return first & 1 ? 0 : -XEN_EINVAL;
}

long domctl_getnodeaffinity(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    const struct xenctl_bitmap *map = &op->u.nodeaffinity.nodemap;
    uint8_t first = 1;
    size_t bytes = DIV_UP(map->nr_bits, 8);

    if (!bytes)
        return 0;
    if (put_guest(guest_ptr_of(map->bitmap), first))
        return -XEN_EFAULT;
    return clear_guest(guest_ptr_add(guest_ptr_of(map->bitmap), 1), bytes - 1) ? -XEN_EFAULT : 0;
}
