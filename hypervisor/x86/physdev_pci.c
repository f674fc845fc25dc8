/* SPDX-License-Identifier: MIT */
/*
 * The half of HYPERVISOR_physdev_op in which domain 0 reports PCI devices: added, removed, reset.
 * All of it is the hardware domain's alone. Nothing here talks to a device but msi_restore() and
 * the probe for capabilities in pci_add().
 */
#include "abi.h"
#include "domain.h"
#include "port.h"
#include "x86/irqs.h"
#include "x86/pci.h"
#include "x86/physdev.h"

#include <xen/physdev.h>

static long pci_report(struct vcpu *v, unsigned seg, unsigned bus, unsigned devfn,
                       const struct pci_dev *info)
{
    long rc;

    if (!v->domain->hardware)
        return -XEN_EPERM;
    spin_lock(&pirq_lock);
    rc = info ? pci_add(seg, bus, devfn, info, NULL) : pci_remove(seg, bus, devfn);
    spin_unlock(&pirq_lock);
    return rc;
}

static long op_manage_pci(struct vcpu *v, guest_ptr_t arg, bool add)
{
    struct physdev_manage_pci m;
    struct pci_dev info = {0};

    if (get_guest(m, arg))
        return -XEN_EFAULT;
    return pci_report(v, 0, m.bus, m.devfn, add ? &info : NULL);
}

static long op_manage_pci_ext(struct vcpu *v, guest_ptr_t arg)
{
    struct physdev_manage_pci_ext m;
    struct pci_dev info = {0};

    if (get_guest(m, arg))
        return -XEN_EFAULT;
    if (m.is_extfn > 1 || m.is_virtfn > 1)
        return -XEN_EINVAL;
    info.extfn = m.is_extfn;
    info.virtfn = m.is_virtfn;
    info.pf_bus = m.physfn.bus;
    info.pf_devfn = m.physfn.devfn;
    return pci_report(v, 0, m.bus, m.devfn, &info);
}

/* The proximity domain, if given, follows the structure; there is no NUMA placement to use it. */
static long op_pci_device_add(struct vcpu *v, guest_ptr_t arg)
{
    struct physdev_pci_device_add a;
    struct pci_dev info = {0};

    if (copy_from_guest(&a, arg, offsetof(struct physdev_pci_device_add, optarr)))
        return -XEN_EFAULT;
    info.extfn = a.flags & XEN_PCI_DEV_EXTFN;
    info.virtfn = a.flags & XEN_PCI_DEV_VIRTFN;
    if (info.virtfn) {
        info.pf_bus = a.physfn.bus;
        info.pf_devfn = a.physfn.devfn;
    }
    return pci_report(v, a.seg, a.bus, a.devfn, &info);
}

static long op_pci_device_remove(struct vcpu *v, guest_ptr_t arg)
{
    struct physdev_pci_device p;

    if (get_guest(p, arg))
        return -XEN_EFAULT;
    return pci_report(v, p.seg, p.bus, p.devfn, NULL);
}

static long op_mmcfg_reserved(struct vcpu *v, guest_ptr_t arg)
{
    struct physdev_pci_mmcfg_reserved m;
    long rc;

    if (get_guest(m, arg))
        return -XEN_EFAULT;
    if (!v->domain->hardware)
        return -XEN_EPERM;
    spin_lock(&pirq_lock);
    rc = pci_mmcfg_confirm(m.address, m.segment, m.start_bus, m.end_bus,
                           m.flags & XEN_PCI_MMCFG_RESERVED);
    spin_unlock(&pirq_lock);
    return rc;
}

static long restore_msi(struct vcpu *v, unsigned seg, unsigned bus, unsigned devfn)
{
    struct pci_dev *dev;

    if (!v->domain->hardware)
        return -XEN_EPERM;
    spin_lock(&pirq_lock);
    dev = pci_find(seg, bus, devfn);
    if (dev)
        msi_restore(dev);
    spin_unlock(&pirq_lock);
    return dev ? 0 : -XEN_ENODEV;
}

static long op_restore_msi(struct vcpu *v, guest_ptr_t arg)
{
    struct physdev_restore_msi r;

    if (get_guest(r, arg))
        return -XEN_EFAULT;
    return restore_msi(v, 0, r.bus, r.devfn);
}

static long op_restore_msi_ext(struct vcpu *v, guest_ptr_t arg)
{
    struct physdev_pci_device r;

    if (get_guest(r, arg))
        return -XEN_EFAULT;
    return restore_msi(v, r.seg, r.bus, r.devfn);
}

/* "Its memory will not move" and "may move again". The table is looked up anew whenever none of the
 * device's interrupts is mapped, so there is nothing to fix or let go: check that it exists. */
static long op_msix_announce(struct vcpu *v, guest_ptr_t arg)
{
    struct physdev_pci_device r;
    struct pci_dev *dev;
    long rc;

    if (get_guest(r, arg))
        return -XEN_EFAULT;
    if (!v->domain->hardware)
        return -XEN_EPERM;
    spin_lock(&pirq_lock);
    dev = pci_find(r.seg, r.bus, r.devfn);
    rc = dev && dev->msix_cap ? 0 : -XEN_ENODEV;
    spin_unlock(&pirq_lock);
    return rc;
}

/* A USB controller is about to be reset, or was: of interest to a debug port console, which we have
 * not. */
static long op_dbgp(struct vcpu *v, guest_ptr_t arg)
{
    struct physdev_dbgp_op g;

    if (get_guest(g, arg))
        return -XEN_EFAULT;
    if (!v->domain->hardware)
        return -XEN_EPERM;
    if ((g.op != PHYSDEVOP_DBGP_RESET_PREPARE && g.op != PHYSDEVOP_DBGP_RESET_DONE) ||
        g.bus > PHYSDEVOP_DBGP_BUS_PCI)
        return -XEN_EINVAL;
    return 0;
}

/* --- Dispatch --------------------------------------------------------------------------------- */

long physdev_pci_op(struct vcpu *v, uint64_t cmd, guest_ptr_t arg)
{
    switch (cmd) {
    case PHYSDEVOP_manage_pci_add:
        return op_manage_pci(v, arg, true);
    case PHYSDEVOP_manage_pci_remove:
        return op_manage_pci(v, arg, false);
    case PHYSDEVOP_manage_pci_add_ext:
        return op_manage_pci_ext(v, arg);
    case PHYSDEVOP_pci_device_add:
        return op_pci_device_add(v, arg);
    case PHYSDEVOP_pci_device_remove:
        return op_pci_device_remove(v, arg);
    case PHYSDEVOP_pci_mmcfg_reserved:
        return op_mmcfg_reserved(v, arg);
    case PHYSDEVOP_restore_msi:
        return op_restore_msi(v, arg);
    case PHYSDEVOP_restore_msi_ext:
        return op_restore_msi_ext(v, arg);
    case PHYSDEVOP_prepare_msix:
    case PHYSDEVOP_release_msix:
        return op_msix_announce(v, arg);
    case PHYSDEVOP_dbgp_op:
        return op_dbgp(v, arg);
    }
    return -XEN_ENOSYS;
}
