/* SPDX-License-Identifier: MIT */
/* PCI functions: configuration space and the list that domain 0 reports (drivers/pci.c). */
#pragma once

#include "list.h"
#include "types.h"

struct pci_dev {
    struct list node; /* [pirq_lock] */
    uint16_t seg;
    uint8_t bus, devfn;
    bool extfn, virtfn; /* as reported */
    uint8_t pf_bus, pf_devfn;
    uint8_t msi_cap, msix_cap; /* offsets, 0: none */
    volatile uint8_t *ecam;    /* its 4 KiB of MMCFG, or NULL: by ports */
    struct list msis;          /* struct msi, [pirq_lock] */
    uint64_t msix_paddr;       /* table as mapped, 0: not */
    volatile uint32_t *msix_table;
    uint32_t msix_entries;
};

#define PCI_COMMAND_REG 0x04
#define PCI_COMMAND_MEM 0x02
#define PCI_STATUS_REG 0x06
#define PCI_STATUS_CAPS 0x10
#define PCI_HEADER_REG 0x0e
#define PCI_CAP_PTR_REG 0x34
#define PCI_CAP_MSI 0x05
#define PCI_CAP_MSIX 0x11

void pci_init(void); /* boot, before domain 0 */

/* One aligned access of 1, 2 or 4 bytes; all ones where there is nothing. Any context. */
uint32_t pci_read(const struct pci_dev *dev, unsigned reg, unsigned bytes);
void pci_write(const struct pci_dev *dev, unsigned reg, unsigned bytes, uint32_t val);

/* Mechanism 1 for a guest's trapped accesses: address latch as given, data port 0xcfc + offset. */
uint32_t pci_cf8_read(uint32_t latch, unsigned offset, unsigned bytes);
void pci_cf8_write(uint32_t latch, unsigned offset, unsigned bytes, uint32_t val);
/* Any other access to 0xcf8..0xcff as it is (0xcf9 is a reset register). */
uint32_t pci_port_raw_read(unsigned port, unsigned bytes);
void pci_port_raw_write(unsigned port, unsigned bytes, uint32_t val);

/* Device list; pirq_lock held. */
struct pci_dev *pci_find(unsigned seg, unsigned bus, unsigned devfn);
/* Add it (again: updates the flags). 0, -XEN_ENODEV when nothing answers, -XEN_ENOMEM. */
int pci_add(unsigned seg, unsigned bus, unsigned devfn, const struct pci_dev *info,
            struct pci_dev **out);
/* 0, -XEN_ENODEV, -XEN_EBUSY while it has interrupts mapped. */
int pci_remove(unsigned seg, unsigned bus, unsigned devfn);
unsigned pci_find_cap(const struct pci_dev *dev, unsigned id); /* offset or 0 */
/* Domain 0 found (or lost) the reservation of an MMCFG window. 0, -XEN_ENODEV not in our table. */
int pci_mmcfg_confirm(uint64_t base, unsigned seg, unsigned first, unsigned last, bool usable);
