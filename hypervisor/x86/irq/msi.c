/* SPDX-License-Identifier: MIT */
/*
 * Message-signalled interrupts: the MSI and MSI-X capabilities. The hypervisor owns message
 * address, data and the mask bits; domain 0 writes the capabilities' enable bits by ordinary
 * configuration accesses. One message for each capability of plain MSI (several would need aligned
 * vectors on one CPU and must move together: refused, and drivers then ask for one). Not here:
 * interrupt remapping; the MSI-X table is not write-protected against domain 0, which is trusted
 * with its devices.
 */
#include "abi.h"
#include "log.h"
#include "page.h"
#include "x86/guest.h"
#include "x86/irqs.h"
#include "x86/mm.h"
#include "x86/pci.h"

/* MSI, from the capability's offset */
#define MSI_CTRL 2
#define MSI_CTRL_ENABLE 0x0001
#define MSI_CTRL_MULTI 0x0070
#define MSI_CTRL_64 0x0080
#define MSI_CTRL_MASKBITS 0x0100
#define MSI_ADDR_LO 4
#define MSI_ADDR_HI 8
#define MSI_DATA(wide) ((wide) ? 12u : 8u)
#define MSI_MASK(wide) ((wide) ? 16u : 12u)
/* MSI-X */
#define MSIX_CTRL 2
#define MSIX_CTRL_ENABLE 0x8000
#define MSIX_CTRL_MASKALL 0x4000
#define MSIX_CTRL_SIZE 0x07ff
#define MSIX_TABLE 4
#define MSIX_WORDS 4 /* of an entry: address low, high, data, control */
#define MSIX_ENTRY_MASK 1u

void msi_mask(struct msi *m, bool masked)
{
    if (!m->maskable || m->masked == masked)
        return;
    m->masked = masked;
    if (m->msix) {
        m->slot[3] = masked ? MSIX_ENTRY_MASK : 0;
        (void)m->slot[3]; /* posted write: has arrived when this returns */
    } else {
        pci_write(m->dev, m->cap + MSI_MASK(m->wide), 4, masked);
    }
}

static void msi_write_cap(struct msi *m)
{
    pci_write(m->dev, m->cap + MSI_ADDR_LO, 4, msi_address(m->apicid));
    if (m->wide)
        pci_write(m->dev, m->cap + MSI_ADDR_HI, 4, 0);
    pci_write(m->dev, m->cap + MSI_DATA(m->wide), 2, msi_data(m->vector));
}

/* The mask bit keeps a half-written message from being sent; without one the caller changes the
 * address alone (irq_move()), or nothing is enabled yet. */
void msi_write(struct msi *m, uint8_t vector, uint32_t apicid)
{
    bool was = m->masked;

    m->vector = vector;
    m->apicid = apicid;
    msi_mask(m, true);
    if (m->msix) {
        m->slot[0] = msi_address(apicid);
        m->slot[1] = 0;
        m->slot[2] = msi_data(vector);
    } else {
        msi_write_cap(m);
    }
    msi_mask(m, was);
}

/* --- MSI-X table ------------------------------------------------------------------------------ */

/* Base of a memory BAR, 0 when it is not one or not set (as in virtual functions). */
static uint64_t bar_base(const struct pci_dev *dev, unsigned bir)
{
    unsigned reg = 0x10 + 4 * bir;
    uint32_t low, type = pci_read(dev, PCI_HEADER_REG, 1) & 0x7f;

    if (bir >= (type == 0 ? 6u : 2u))
        return 0;
    low = pci_read(dev, reg, 4);
    if (low & 1)
        return 0;
    if ((low & 6) == 4)
        return (low & ~15u) | (uint64_t)pci_read(dev, reg + 4, 4) << 32;
    return low & ~15u;
}

static bool msix_memory_ok(const struct domain *d, uint64_t paddr, uint64_t bytes)
{
    uint64_t first = paddr >> FRAME_SHIFT, last = (paddr + bytes - 1) >> FRAME_SHIFT;

    if (last < first || last >> (52 - FRAME_SHIFT))
        return false;
    for (uint64_t m = first; m <= last; m++)
        if (mfn_valid(mfn(m)))
            return false; /* RAM is never a device's table */
    return iomem_allowed(d, first, last);
}

/* Map dev's table, again if domain 0 has moved the BAR meanwhile. */
static int msix_map_table(struct pci_dev *dev, const struct domain *d, uint64_t table_base)
{
    uint32_t where = pci_read(dev, dev->msix_cap + MSIX_TABLE, 4);
    uint32_t n = (pci_read(dev, dev->msix_cap + MSIX_CTRL, 2) & MSIX_CTRL_SIZE) + 1;
    uint64_t base = bar_base(dev, where & 7), bytes = (uint64_t)n * MSIX_WORDS * 4, paddr;

    paddr = (base ? base : table_base) + (where & ~7u);
    if (paddr == dev->msix_paddr && n == dev->msix_entries)
        return 0;
    if (!list_empty(&dev->msis))
        return -XEN_EBUSY;
    if (!(base ? base : table_base) || paddr & 3)
        return -XEN_EINVAL;
    if (!msix_memory_ok(d, paddr, bytes))
        return -XEN_EPERM;
    if (dev->msix_table)
        iounmap((void *)(uintptr_t)dev->msix_table, (size_t)dev->msix_entries * MSIX_WORDS * 4);
    dev->msix_paddr = 0;
    dev->msix_table = ioremap(paddr, bytes, MAP_UC);
    if (!dev->msix_table)
        return -XEN_ENOMEM;
    dev->msix_paddr = paddr;
    dev->msix_entries = n;
    return 0;
}

static int msix_describe(struct msi *m, const struct domain *d, uint64_t table_base)
{
    struct pci_dev *dev = m->dev;
    int rc;

    if (!(pci_read(dev, PCI_COMMAND_REG, 2) & PCI_COMMAND_MEM))
        return -XEN_ENXIO;
    rc = msix_map_table(dev, d, table_base);
    if (rc)
        return rc;
    if (m->entry >= dev->msix_entries)
        return -XEN_EINVAL;
    m->cap = dev->msix_cap;
    m->slot = dev->msix_table + index_nospec(m->entry, dev->msix_entries) * MSIX_WORDS;
    m->maskable = true;
    return 0;
}

static int msi_describe(struct msi *m)
{
    uint32_t ctrl = pci_read(m->dev, m->dev->msi_cap + MSI_CTRL, 2);

    if (m->entry)
        return -XEN_EINVAL;
    m->cap = m->dev->msi_cap;
    m->wide = ctrl & MSI_CTRL_64;
    m->maskable = ctrl & MSI_CTRL_MASKBITS;
    if (ctrl & MSI_CTRL_MULTI) /* left over from an earlier driver: one message only */
        pci_write(m->dev, m->cap + MSI_CTRL, 2, ctrl & ~(uint32_t)MSI_CTRL_MULTI);
    return 0;
}

/* --- Life ------------------------------------------------------------------------------------- */

int msi_open(struct pci_dev *dev, const struct domain *d, bool msix, unsigned entry,
             uint64_t table_base, struct msi **out)
{
    struct msi *m, *o;
    int rc;

    if (!(msix ? dev->msix_cap : dev->msi_cap))
        return -XEN_ENODEV;
    if (entry > MSIX_CTRL_SIZE)
        return -XEN_EINVAL;
    list_for_each (o, &dev->msis, node)
        if (o->msix != msix || o->entry == entry)
            return -XEN_EBUSY;
    m = zalloc(sizeof(*m));
    if (!m)
        return -XEN_ENOMEM;
    m->dev = dev;
    m->msix = msix;
    m->entry = (uint16_t)entry;
    rc = msix ? msix_describe(m, d, table_base) : msi_describe(m);
    if (rc) {
        zfree(m);
        return rc;
    }
    m->masked = false;
    msi_mask(m, true);
    list_add_tail(&dev->msis, &m->node);
    *out = m;
    return 0;
}

void msi_close(struct msi *m)
{
    msi_mask(m, true);
    if (!m->msix && !m->maskable) {
        uint32_t ctrl = pci_read(m->dev, m->cap + MSI_CTRL, 2);

        if (ctrl & MSI_CTRL_ENABLE) /* its vector will be another's */
            pci_write(m->dev, m->cap + MSI_CTRL, 2, ctrl & ~(uint32_t)MSI_CTRL_ENABLE);
    }
    list_del(&m->node);
    zfree(m);
}

/* Domain 0 does this while the device is quiet; an arrival that moves one of its interrupts at the
 * very moment could still interfere: TODO(msi): take the descriptors' locks. */
void msi_restore(struct pci_dev *dev)
{
    struct msi *m;
    uint32_t ctrl;

    if (list_empty(&dev->msis))
        return;
    m = list_first(&dev->msis, struct msi, node);
    ctrl = pci_read(dev, m->cap + MSI_CTRL, 2);
    if (m->msix) {
        pci_write(dev, m->cap + MSIX_CTRL, 2, ctrl | MSIX_CTRL_ENABLE | MSIX_CTRL_MASKALL);
        list_for_each (m, &dev->msis, node) {
            bool was = m->masked;

            m->masked = !was; /* what the device holds now is unknown: force the writes */
            msi_mask(m, was);
            msi_write(m, m->vector, m->apicid);
        }
        pci_write(dev, dev->msix_cap + MSIX_CTRL, 2,
                  (ctrl | MSIX_CTRL_ENABLE) & ~(uint32_t)MSIX_CTRL_MASKALL);
        return;
    }
    msi_write_cap(m);
    if (m->maskable)
        pci_write(dev, m->cap + MSI_MASK(m->wide), 4, m->masked);
    pci_write(dev, m->cap + MSI_CTRL, 2, (ctrl & ~(uint32_t)MSI_CTRL_MULTI) | MSI_CTRL_ENABLE);
}
