/* SPDX-License-Identifier: MIT */
/*
 * A PV guest's accesses to the PCI configuration ports 0xcf8..0xcff, which always trap. The address
 * register is latched for each domain, so that guests and the hypervisor do not disturb each other:
 * the real pair of ports is used under one lock. Domain 0 reaches everything; other domains read
 * all ones but for their own latch.
 *
 * A kernel serialises its own address-data pairs; two vCPUs of one domain share the latch as they
 * would share the chip's.
 */
#include "abi.h"
#include "x86/guest.h"
#include "x86/pci.h"
#include "x86/pci_ports.h"

#define CF8 0xcf8
#define CFC 0xcfc

bool pci_port_read(struct vcpu *v, unsigned port, unsigned bytes, uint32_t *val)
{
    struct domain *d = v->domain;
    uint32_t latch = READ_ONCE(to_x86d(d)->pci_cf8);

    if (port < CF8 || port > CFC + 3)
        return false;
    if (port == CF8 && bytes == 4)
        *val = latch;
    else if (!d->hardware)
        *val = ~0u >> (32 - 8 * bytes);
    else if (port >= CFC)
        *val = pci_cf8_read(latch, port - CFC, bytes);
    else
        *val = pci_port_raw_read(port, bytes);
    return true;
}

bool pci_port_write(struct vcpu *v, unsigned port, unsigned bytes, uint32_t val)
{
    struct domain *d = v->domain;

    if (port < CF8 || port > CFC + 3)
        return false;
    if (port == CF8 && bytes == 4)
        WRITE_ONCE(to_x86d(d)->pci_cf8, val);
    else if (!d->hardware)
        return true;
    else if (port >= CFC)
        pci_cf8_write(READ_ONCE(to_x86d(d)->pci_cf8), port - CFC, bytes, val);
    else
        pci_port_raw_write(port, bytes, val);
    return true;
}
