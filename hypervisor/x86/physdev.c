/* SPDX-License-Identifier: MIT */
/*
 * HYPERVISOR_physdev_op: how domain 0 tells about interrupts and PCI devices and asks for pirqs.
 * One function for each sub-operation: copy in, check, perform; those about PCI devices are in
 * physdev_pci.c. What is the machine's is the hardware domain's alone; a domain's own I/O
 * privilege, EOI and status are anybody's. Not here: several messages for one MSI capability
 * (-XEN_EOPNOTSUPP with entry_nr = 1: ask for one), version 1 of the EOI page, writing I/O APIC
 * registers, the long obsolete unmask notification (-XEN_ENOSYS).
 */
#include "abi.h"
#include "irq.h"
#include "log.h"
#include "port.h"
#include "x86/guest.h"
#include "x86/pv.h"
#include "x86/hypercalls.h"
#include "x86/irqs.h"
#include "x86/pci.h"
#include "x86/physdev.h"

#include <xen/physdev.h>

#define MAX_PORTS 65536

/* --- A domain's own --------------------------------------------------------------------------- */

static long op_eoi(struct vcpu *v, guest_ptr_t arg)
{
    struct physdev_eoi e;

    if (get_guest(e, arg))
        return -XEN_EFAULT;
    if (pirq_status(v->domain, e.irq) < 0)
        return -XEN_EINVAL;
    pirq_guest_eoi(v->domain, e.irq);
    return 0;
}

static long op_eoi_page(struct vcpu *v, guest_ptr_t arg)
{
    struct physdev_pirq_eoi_gmfn e;

    if (get_guest(e, arg))
        return -XEN_EFAULT;
    return pirq_eoi_page_set(v->domain, e.gmfn);
}

static long op_irq_status(struct vcpu *v, guest_ptr_t arg)
{
    struct physdev_irq_status_query q;
    int status;

    if (get_guest(q, arg))
        return -XEN_EFAULT;
    status = pirq_status(v->domain, q.irq);
    if (status < 0)
        return status;
    q.flags = (uint32_t)status;
    return put_guest(arg, q);
}

static long op_set_iopl(struct vcpu *v, guest_ptr_t arg)
{
    struct physdev_set_iopl s;

    if (get_guest(s, arg))
        return -XEN_EFAULT;
    if (s.iopl > 3)
        return -XEN_EINVAL;
    pv_set_iopl(to_x86(v), s.iopl);
    return 0;
}

/* The bitmap is the guest's and read at each use, like any of its memory. */
static long op_set_iobitmap(struct vcpu *v, guest_ptr_t arg)
{
    struct physdev_set_iobitmap s;

    if (get_guest(s, arg))
        return -XEN_EFAULT;
    if (s.nr_ports > MAX_PORTS)
        return -XEN_EINVAL;
    to_x86(v)->iobmp = guest_ptr_of(s.bitmap);
    to_x86(v)->iobmp_bits = s.nr_ports;
    return 0;
}

/* --- Lines ------------------------------------------------------------------------------------ */

static long op_apic_read(struct vcpu *v, guest_ptr_t arg)
{
    struct physdev_apic a;
    int rc;

    if (get_guest(a, arg))
        return -XEN_EFAULT;
    if (!v->domain->hardware)
        return -XEN_EPERM;
    rc = ioapic_reg_read(a.apic_physbase, a.reg, &a.value);
    return rc ? rc : put_guest(arg, a);
}

/* Vectors are the hypervisor's and belong to one CPU each; what the guest gets is just a number
 * that it keeps with its interrupt. */
static long op_alloc_irq_vector(struct vcpu *v, guest_ptr_t arg)
{
    struct physdev_irq q;

    if (get_guest(q, arg))
        return -XEN_EFAULT;
    if (!v->domain->hardware)
        return -XEN_EPERM;
    if (!irq_is_gsi(q.irq))
        return -XEN_EINVAL;
    q.vector = q.irq;
    return put_guest(arg, q);
}

static long op_setup_gsi(struct vcpu *v, guest_ptr_t arg)
{
    struct physdev_setup_gsi s;

    if (get_guest(s, arg))
        return -XEN_EFAULT;
    if (!v->domain->hardware)
        return -XEN_EPERM;
    if (s.gsi < 0 || s.triggering > 1 || s.polarity > 1)
        return -XEN_EINVAL;
    return irq_gsi_setup((unsigned)s.gsi, s.triggering, s.polarity);
}

/* --- Mapping ---------------------------------------------------------------------------------- */

/* Domain 0 maps all ISA lines when it boots and complains about any that it cannot; so the
 * hypervisor's own may be mapped too, and binding one is refused (irq_guest_bind()). */
static int map_gsi(struct vcpu *v, struct domain *d, const struct physdev_map_pirq *m)
{
    if (m->index < 0)
        return -XEN_EINVAL;
    if (!v->domain->hardware && !irq_allowed(v->domain, (unsigned)m->index))
        return -XEN_EPERM;
    return pirq_map_gsi(d, (unsigned)m->index, m->pirq);
}

static int map_msi_locked(struct vcpu *v, struct domain *d, const struct physdev_map_pirq *m)
{
    unsigned seg = m->type == MAP_PIRQ_TYPE_MSI ? 0 : (unsigned)m->bus >> 16;
    unsigned bus = (unsigned)m->bus & 0xff, devfn = (unsigned)m->devfn & 0xff;
    struct pci_dev *dev = pci_find(seg, bus, devfn);
    bool msix = m->table_base != 0;
    struct msi *msi;
    int rc = 0;

    if (!dev) /* domain 0 did not report it, but there it is */
        rc = pci_add(seg, bus, devfn, NULL, &dev);
    if (!rc)
        rc = msi_open(dev, v->domain, msix, msix ? (unsigned)m->entry_nr : 0, m->table_base, &msi);
    if (rc)
        return rc;
    rc = pirq_map_msi_locked(d, msi, m->pirq, v->cpu);
    if (rc < 0)
        msi_close(msi);
    return rc;
}

static int map_msi(struct vcpu *v, struct domain *d, struct physdev_map_pirq *m)
{
    int rc;

    if (!v->domain->hardware)
        return -XEN_EPERM;
    if (m->devfn < 0 || m->devfn > 255 || m->bus & 0xff00 || m->entry_nr < 0)
        return -XEN_EINVAL;
    if (m->type == MAP_PIRQ_TYPE_MULTI_MSI) {
        if (m->entry_nr < 1 || m->entry_nr > 32 || m->table_base)
            return -XEN_EINVAL;
        if (m->entry_nr > 1) {
            m->entry_nr = 1; /* so many can be had */
            return -XEN_EOPNOTSUPP;
        }
    }
    spin_lock(&pirq_lock);
    rc = map_msi_locked(v, d, m);
    spin_unlock(&pirq_lock);
    if (rc < 0)
        log_guest(v->domain, "no MSI%s for %04x:%02x:%02x.%d: error %d\n",
                  m->table_base ? "-X" : "",
                  m->type == MAP_PIRQ_TYPE_MSI ? 0 : (unsigned)m->bus >> 16, m->bus & 0xff,
                  m->devfn >> 3, m->devfn & 7, rc);
    return rc;
}

static int map_for(struct vcpu *v, struct domain *d, struct physdev_map_pirq *m)
{
    if (d != v->domain && !v->domain->privileged)
        return -XEN_EPERM;
    switch (m->type) {
    case MAP_PIRQ_TYPE_GSI:
        return map_gsi(v, d, m);
    case MAP_PIRQ_TYPE_MSI:
    case MAP_PIRQ_TYPE_MSI_SEG:
    case MAP_PIRQ_TYPE_MULTI_MSI:
        return map_msi(v, d, m);
    }
    return -XEN_EINVAL;
}

static long op_map_pirq(struct vcpu *v, guest_ptr_t arg)
{
    struct physdev_map_pirq m;
    struct domain *d;
    int rc;

    if (get_guest(m, arg))
        return -XEN_EFAULT;
    d = domain_get_self(v, m.domid);
    if (!d)
        return -XEN_ESRCH;
    rc = map_for(v, d, &m);
    if (rc >= 0)
        m.pirq = rc;
    if ((rc >= 0 || rc == -XEN_EOPNOTSUPP) && put_guest(arg, m)) {
        if (rc >= 0 && m.type != MAP_PIRQ_TYPE_GSI)
            (void)pirq_unmap(d, (unsigned)rc);
        rc = -XEN_EFAULT;
    }
    domain_put(d);
    return MIN(rc, 0);
}

static long op_unmap_pirq(struct vcpu *v, guest_ptr_t arg)
{
    struct physdev_unmap_pirq u;
    struct domain *d;
    long rc = -XEN_EPERM;

    if (get_guest(u, arg))
        return -XEN_EFAULT;
    d = domain_get_self(v, u.domid);
    if (!d)
        return -XEN_ESRCH;
    if (d == v->domain || v->domain->privileged)
        rc = u.pirq < 0 ? -XEN_EINVAL : pirq_unmap(d, (unsigned)u.pirq);
    domain_put(d);
    return rc;
}

static long op_get_free_pirq(struct vcpu *v, guest_ptr_t arg)
{
    struct physdev_get_free_pirq f;
    int n;

    if (get_guest(f, arg))
        return -XEN_EFAULT;
    if (f.type != MAP_PIRQ_TYPE_GSI && f.type != MAP_PIRQ_TYPE_MSI)
        return -XEN_EINVAL;
    n = pirq_reserve(v->domain, f.type == MAP_PIRQ_TYPE_GSI);
    if (n < 0)
        return n;
    f.pirq = (uint32_t)n;
    if (!put_guest(arg, f))
        return 0;
    (void)pirq_unmap(v->domain, (unsigned)n);
    return -XEN_EFAULT;
}

/* --- Dispatch --------------------------------------------------------------------------------- */

static long physdev_op(struct vcpu *v, uint64_t cmd, guest_ptr_t arg)
{
    switch (cmd) {
    case PHYSDEVOP_eoi:
        return op_eoi(v, arg);
    case PHYSDEVOP_pirq_eoi_gmfn_v2:
        return op_eoi_page(v, arg);
    case PHYSDEVOP_irq_status_query:
        return op_irq_status(v, arg);
    case PHYSDEVOP_set_iopl:
        return op_set_iopl(v, arg);
    case PHYSDEVOP_set_iobitmap:
        return op_set_iobitmap(v, arg);
    case PHYSDEVOP_apic_read:
        return op_apic_read(v, arg);
    case PHYSDEVOP_alloc_irq_vector:
        return op_alloc_irq_vector(v, arg);
    case PHYSDEVOP_setup_gsi:
        return op_setup_gsi(v, arg);
    case PHYSDEVOP_map_pirq:
        return op_map_pirq(v, arg);
    case PHYSDEVOP_unmap_pirq:
        return op_unmap_pirq(v, arg);
    case PHYSDEVOP_get_free_pirq:
        return op_get_free_pirq(v, arg);
    }
    return physdev_pci_op(v, cmd, arg);
}

long do_physdev_op(struct vcpu *v, uint64_t cmd, uint64_t arg, uint64_t a3, uint64_t a4,
                   uint64_t a5)
{
    return physdev_op(v, (uint32_t)cmd, guest_ptr(arg));
}

long do_physdev_op_compat(struct vcpu *v, uint64_t arg, uint64_t a2, uint64_t a3, uint64_t a4,
                          uint64_t a5)
{
    guest_ptr_t op = guest_ptr(arg);
    uint32_t cmd;

    if (get_guest(cmd, op))
        return -XEN_EFAULT;
    switch (cmd) { /* those that the old structure has room for */
    case PHYSDEVOP_irq_status_query:
    case PHYSDEVOP_set_iopl:
    case PHYSDEVOP_set_iobitmap:
    case PHYSDEVOP_apic_read:
    case PHYSDEVOP_alloc_irq_vector:
        return physdev_op(v, cmd, guest_ptr_add(op, offsetof(struct physdev_op, u)));
    }
    return -XEN_ENOSYS;
}
