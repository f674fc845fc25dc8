/* SPDX-License-Identifier: MIT */
/* Control calls that give a domain ports, device memory and interrupts: only what the caller has itself. */
#include "domain.h"
#include "domctl.h"
#include "port.h"
#include "x86/guest.h"

#define PORTS 65536u

static bool ports_allowed(const struct domain *d, unsigned first, unsigned n)
{
    for (unsigned p = first; p < first + n; p++)
        if (!ioport_allowed(d, p, 1))
            return false;
    return true;
}

long domctl_ioport_permission(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    unsigned first = op->u.ioport_permission.first_port, n = op->u.ioport_permission.nr_ports;
    int rc;

    if (!n || first >= PORTS || n > PORTS - first)
        return -XEN_EINVAL;
    if (!ports_allowed(v->domain, first, n))
        return -XEN_EPERM;
    domain_pause(d);
    rc = iocaps_set_ports(d, first, first + n - 1, op->u.ioport_permission.allow_access);
    domain_unpause(d);
    return rc;
}

long domctl_iomem_permission(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    uint64_t first = op->u.iomem_permission.first_mfn, n = op->u.iomem_permission.nr_mfns;
    int rc;

    if (!n || first + n - 1 < first || (first + n - 1) >> (52 - FRAME_SHIFT))
        return -XEN_EINVAL;
    if (!iomem_allowed(v->domain, first, first + n - 1))
        return -XEN_EPERM;
    domain_pause(d);
    rc = iocaps_set_mem(d, first, first + n - 1, op->u.iomem_permission.allow_access);
    domain_unpause(d);
    return rc;
}

long domctl_irq_permission(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    unsigned irq = op->u.irq_permission.pirq;
    int rc;

    if (!irq_allowed(v->domain, irq))
        return -XEN_EPERM;
    domain_pause(d);
    rc = iocaps_set_irq(d, irq, op->u.irq_permission.allow_access);
    domain_unpause(d);
    return rc;
}
