/* SPDX-License-Identifier: MIT */
/*
 * PCI configuration space and the list of functions domain 0 reports. Access is by mechanism 1
 * (ports 0xcf8, 0xcfc under pci_lock) or, for a function whose 4 KiB of an MMCFG window are mapped,
 * by memory. The hypervisor enumerates nothing itself: domain 0 does, and tells
 * (PHYSDEVOP_pci_device_add). Not here: bridges, resources, hot plug; those are domain 0's.
 */
#include "x86/pci.h"
#include "abi.h"
#include "acpi.h"
#include "lock.h"
#include "log.h"
#include "page.h"
#include "x86/cpu.h"
#include "x86/mm.h"

#define CF8 0xcf8
#define CFC 0xcfc
#define CF8_ENABLE 0x80000000u
#define MAX_CAPS 48 /* (256 - 64) / 4: a longer chain is a loop */

static struct spinlock pci_lock = SPINLOCK_INIT("pci", RANK_PCI);
static struct list pci_devs = LIST_INIT(pci_devs);
static bool mmcfg_usable[ARRAY_SIZE(acpi.mcfg)];

void pci_init(void)
{
    /* Segment 0 can wait until domain 0 has looked whether the window is real; the others cannot be
     * reached in any other way, and domain 0 reports their devices before it tells. */
    for (unsigned i = 0; i < acpi.nr_mcfg && i < ARRAY_SIZE(acpi.mcfg); i++)
        mmcfg_usable[i] = acpi.mcfg[i].segment != 0;
}

static uint32_t all_ones(unsigned bytes)
{
    return bytes >= 4 ? ~0u : (1u << (8 * bytes)) - 1;
}

/* --- Access ----------------------------------------------------------------------------------- */

static uint32_t port_in(uint16_t port, unsigned bytes)
{
    switch (bytes) {
    case 1:
        return inb(port);
    case 2:
        return inw(port);
    case 4:
        return inl(port);
    }
    return ~0u;
}

static void port_out(uint16_t port, unsigned bytes, uint32_t val)
{
    switch (bytes) {
    case 1:
        outb(port, (uint8_t)val);
        break;
    case 2:
        outw(port, (uint16_t)val);
        break;
    case 4:
        outl(port, val);
        break;
    }
}

uint32_t pci_cf8_read(uint32_t latch, unsigned offset, unsigned bytes)
{
    uint64_t flags;
    uint32_t val;

    if (!(latch & CF8_ENABLE) || offset + bytes > 4)
        return all_ones(bytes);
    flags = spin_lock_irqsave(&pci_lock);
    outl(CF8, latch);
    val = port_in((uint16_t)(CFC + offset), bytes);
    spin_unlock_irqrestore(&pci_lock, flags);
    return val;
}

void pci_cf8_write(uint32_t latch, unsigned offset, unsigned bytes, uint32_t val)
{
    uint64_t flags;

    if (!(latch & CF8_ENABLE) || offset + bytes > 4)
        return;
    flags = spin_lock_irqsave(&pci_lock);
    outl(CF8, latch);
    port_out((uint16_t)(CFC + offset), bytes, val);
    spin_unlock_irqrestore(&pci_lock, flags);
}

uint32_t pci_port_raw_read(unsigned port, unsigned bytes)
{
    uint64_t flags = spin_lock_irqsave(&pci_lock);
    uint32_t val = port_in((uint16_t)port, bytes);

    spin_unlock_irqrestore(&pci_lock, flags);
    return val;
}

void pci_port_raw_write(unsigned port, unsigned bytes, uint32_t val)
{
    uint64_t flags = spin_lock_irqsave(&pci_lock);

    port_out((uint16_t)port, bytes, val);
    spin_unlock_irqrestore(&pci_lock, flags);
}

static uint32_t cf8_of(const struct pci_dev *dev, unsigned reg)
{
    return CF8_ENABLE | (uint32_t)dev->bus << 16 | (uint32_t)dev->devfn << 8 | (reg & 0xfc);
}

uint32_t pci_read(const struct pci_dev *dev, unsigned reg, unsigned bytes)
{
    if (dev->ecam && reg + bytes <= FRAME_SIZE) {
        switch (bytes) {
        case 1:
            return dev->ecam[reg];
        case 2:
            return *(volatile uint16_t *)(dev->ecam + reg);
        default:
            return *(volatile uint32_t *)(dev->ecam + reg);
        }
    }
    if (dev->seg || reg + bytes > 256)
        return all_ones(bytes);
    return pci_cf8_read(cf8_of(dev, reg), reg & 3, bytes);
}

void pci_write(const struct pci_dev *dev, unsigned reg, unsigned bytes, uint32_t val)
{
    if (dev->ecam && reg + bytes <= FRAME_SIZE) {
        if (bytes == 1)
            dev->ecam[reg] = (uint8_t)val;
        else if (bytes == 2)
            *(volatile uint16_t *)(dev->ecam + reg) = (uint16_t)val;
        else
            *(volatile uint32_t *)(dev->ecam + reg) = val;
        return;
    }
    if (!dev->seg && reg + bytes <= 256)
        pci_cf8_write(cf8_of(dev, reg), reg & 3, bytes, val);
}

unsigned pci_find_cap(const struct pci_dev *dev, unsigned id)
{
    unsigned pos;

    if (!(pci_read(dev, PCI_STATUS_REG, 2) & PCI_STATUS_CAPS))
        return 0;
    pos = pci_read(dev, PCI_CAP_PTR_REG, 1) & ~3u;
    for (unsigned i = 0; i < MAX_CAPS && pos >= 0x40; i++) {
        uint32_t head = pci_read(dev, pos, 2);

        if (head == 0xffff)
            break;
        if ((head & 0xff) == id)
            return pos;
        pos = head >> 8 & ~3u;
    }
    return 0;
}

/* --- List ------------------------------------------------------------------------------------- */

struct pci_dev *pci_find(unsigned seg, unsigned bus, unsigned devfn)
{
    struct pci_dev *dev;

    list_for_each (dev, &pci_devs, node)
        if (dev->seg == seg && dev->bus == bus && dev->devfn == devfn)
            return dev;
    return NULL;
}

/* Segment 0 works by ports; others only with their window. */
static void pci_map_ecam(struct pci_dev *dev)
{
    for (unsigned i = 0; i < acpi.nr_mcfg && i < ARRAY_SIZE(acpi.mcfg); i++) {
        uint64_t pa = acpi.mcfg[i].base;

        if (acpi.mcfg[i].segment != dev->seg || dev->bus < acpi.mcfg[i].bus_first ||
            dev->bus > acpi.mcfg[i].bus_last || !mmcfg_usable[i])
            continue;
        pa += (uint64_t)dev->bus << 20 | (uint64_t)dev->devfn << 12;
        if (!mfn_valid(mfn_of_paddr(pa))) /* firmware can be wrong: never on RAM */
            dev->ecam = ioremap(pa, FRAME_SIZE, MAP_UC);
        return;
    }
}

static void pci_unmap_ecam(struct pci_dev *dev)
{
    if (dev->ecam)
        iounmap((void *)(uintptr_t)dev->ecam, FRAME_SIZE);
    dev->ecam = NULL;
}

int pci_add(unsigned seg, unsigned bus, unsigned devfn, const struct pci_dev *info,
            struct pci_dev **out)
{
    struct pci_dev *dev = pci_find(seg, bus, devfn);

    if (!dev) {
        dev = zalloc(sizeof(*dev));
        if (!dev)
            return -XEN_ENOMEM;
        dev->seg = (uint16_t)seg;
        dev->bus = (uint8_t)bus;
        dev->devfn = (uint8_t)devfn;
        list_init(&dev->msis);
        pci_map_ecam(dev);
        /* A virtual function's ids read as all ones; its other registers do not. */
        if (pci_read(dev, 0, 4) == ~0u && pci_read(dev, 8, 4) == ~0u) {
            pci_unmap_ecam(dev);
            zfree(dev);
            return -XEN_ENODEV;
        }
        dev->msi_cap = (uint8_t)pci_find_cap(dev, PCI_CAP_MSI);
        dev->msix_cap = (uint8_t)pci_find_cap(dev, PCI_CAP_MSIX);
        list_add_tail(&pci_devs, &dev->node);
    }
    if (info) {
        dev->extfn = info->extfn;
        dev->virtfn = info->virtfn;
        dev->pf_bus = info->pf_bus;
        dev->pf_devfn = info->pf_devfn;
    }
    if (out)
        *out = dev;
    return 0;
}

int pci_remove(unsigned seg, unsigned bus, unsigned devfn)
{
    struct pci_dev *dev = pci_find(seg, bus, devfn);

    if (!dev)
        return -XEN_ENODEV;
    if (!list_empty(&dev->msis))
        return -XEN_EBUSY;
    if (dev->msix_table)
        iounmap((void *)(uintptr_t)dev->msix_table, (size_t)dev->msix_entries * 16);
    pci_unmap_ecam(dev);
    list_del(&dev->node);
    zfree(dev);
    return 0;
}

int pci_mmcfg_confirm(uint64_t base, unsigned seg, unsigned first, unsigned last, bool usable)
{
    for (unsigned i = 0; i < acpi.nr_mcfg && i < ARRAY_SIZE(acpi.mcfg); i++) {
        if (acpi.mcfg[i].base != base || acpi.mcfg[i].segment != seg ||
            acpi.mcfg[i].bus_first != first || acpi.mcfg[i].bus_last != last)
            continue;
        mmcfg_usable[i] = usable;
        return 0;
    }
    return -XEN_ENODEV;
}
