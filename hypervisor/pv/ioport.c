/* SPDX-License-Identifier: MIT */
/*
 * Port I/O on behalf of a PV guest, after its own privilege has been checked. PCI configuration goes to the
 * PCI code; ports that the domain owns go to the device; everything else reads as all ones and swallows
 * writes, so that drivers which look for ISA hardware find none.
 */
#include "x86/guest.h"
#include "x86/pci_ports.h"

#define PORT_PIT_MODE 0x43
#define PORT_PCI_FIRST 0xcf8
#define PORT_PCI_LAST 0xcff

static uint32_t all_ones(unsigned bytes)
{
    return bytes == 4 ? ~0U : (1U << (8 * bytes)) - 1;
}

static bool is_pci(unsigned port)
{
    return port >= PORT_PCI_FIRST && port <= PORT_PCI_LAST;
}

/* The mode port of the interval timer is shared: channels 0 and 1 are the hypervisor's. */
static bool pit_mode_ok(uint32_t val)
{
    unsigned channel = (val >> 6) & 3;

    if (channel != 3)
        return channel == 2;
    return !(val & 0x06); /* read-back of channel 2 only */
}

uint32_t guest_ioport_read(struct vcpu *v, unsigned port, unsigned bytes)
{
    uint32_t val;

    if (is_pci(port))
        return pci_port_read(v, port, bytes, &val) ? val : all_ones(bytes);
    if (!ioport_allowed(v->domain, port, bytes))
        return all_ones(bytes);
    switch (bytes) {
    case 1:
        return inb((uint16_t)port);
    case 2:
        return inw((uint16_t)port);
    default:
        return inl((uint16_t)port);
    }
}

void guest_ioport_write(struct vcpu *v, unsigned port, unsigned bytes, uint32_t val)
{
    if (is_pci(port)) {
        (void)pci_port_write(v, port, bytes, val);
        return;
    }
    if (!ioport_allowed(v->domain, port, bytes))
        return;
    if (port <= PORT_PIT_MODE && port + bytes > PORT_PIT_MODE) {
        if (bytes != 1 || !pit_mode_ok(val))
            return;
    }
    switch (bytes) {
    case 1:
        outb((uint16_t)port, (uint8_t)val);
        break;
    case 2:
        outw((uint16_t)port, (uint16_t)val);
        break;
    default:
        outl((uint16_t)port, val);
        break;
    }
}
