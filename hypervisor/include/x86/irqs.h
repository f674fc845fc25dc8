/* SPDX-License-Identifier: MIT */
/*
 * Between the parts of x86/irq/ (and drivers/ioapic.c, x86/physdev.c): vectors, interrupt
 * descriptors, message-signalled interrupts, a domain's pirqs. Everybody else uses irq.h.
 *
 * An "irq" number names a source in this machine: 0..gsis-1 are I/O APIC inputs, the rest are
 * messages. Descriptors are made once and never freed (a pending list may still hold one).
 */
#pragma once

#include "irq.h"
#include "list.h"
#include "lock.h"

#define IRQ_MAX 2048

struct domain;
struct pci_dev;

/* --- vectors.c: per-CPU vector spaces; lock-free, any context --------------------------------- */

#define VECTOR_DEV_NR (VECTOR_DEV_LAST - VECTOR_DEV_FIRST + 1)

/* Any free vector of cpu for irq; from_top: I/O APIC lines, so that they rarely meet messages when
 * they want to keep their number on another CPU. The vector, or -XEN_ENOSPC. */
int vector_alloc(unsigned cpu, unsigned irq, bool from_top) __must_check;
/* Just this one. false: taken, or not a device's. */
bool vector_claim(unsigned cpu, unsigned vector, unsigned irq) __must_check;
/* Give it back; ignored unless it is irq's. */
void vector_free(unsigned cpu, unsigned vector, unsigned irq);
/* The irq that has it, or -1. */
int vector_owner(unsigned cpu, unsigned vector);
unsigned vector_count(unsigned cpu); /* in use */

/* --- irq.c ------------------------------------------------------------------------------------ */

enum irq_kind { IRQ_FREE, IRQ_GSI, IRQ_MSI };

struct irq_desc {
    struct spinlock lock; /* RANK_IRQ: all fields but pend_next, nr */
    uint16_t nr;          /* [I] */
    uint8_t kind;
    bool level, active_low;
    bool configured;            /* GSI: trigger and polarity have been given */
    bool enabled;               /* has a handler, open unless in_flight */
    bool in_flight;             /* level: arrived, masked until the guest's EOI */
    bool pending;               /* on a CPU's list of the PIRQ softirq */
    struct irq_desc *pend_next; /* of that list; valid while pending */
    uint8_t vector;             /* 0: none yet */
    uint8_t old_vector;         /* 0 or the previous place, still valid */
    uint16_t cpu, old_cpu, want_cpu;
    uint64_t moved_at; /* ns */
    struct msi *msi;
    void (*fn)(void *data); /* the hypervisor's own use */
    void *data;
    struct domain *domain; /* guest use: delivered to */
    uint32_t pirq;
    uint64_t count;
};

struct irq_desc *irq_desc_of(unsigned irq); /* NULL: no such */
/* Trigger and polarity of a GSI. 0; -XEN_EEXIST: was so already; -XEN_EBUSY: in use otherwise;
 * -XEN_EINVAL: no such line. */
int irq_gsi_setup(unsigned gsi, bool level, bool active_low);
bool irq_is_gsi(unsigned irq);
bool irq_is_level(unsigned irq);
/* A new irq for a message source: vector allocated near cpu, message written, masked if it can be.
 * The number, or -XEN_ENOSPC / -XEN_ENOMEM. */
int irq_msi_alloc(struct msi *m, unsigned cpu) __must_check;
/* The opposite; returns what irq_msi_alloc() got, for msi_close(). Guest use must have ended. */
struct msi *irq_msi_free(unsigned irq);
/* Deliver to pirq of d from now on, at cpu. -XEN_EBUSY: in use. -XEN_ENOSPC: no vector. */
int irq_guest_bind(unsigned irq, struct domain *d, unsigned pirq, unsigned cpu) __must_check;
void irq_guest_unbind(unsigned irq, struct domain *d, unsigned pirq);
void irq_guest_eoi(unsigned irq, struct domain *d, unsigned pirq);
/* Best effort: where it cannot move now it stays or follows at its next arrival. */
void irq_set_cpu(unsigned irq, unsigned cpu);

/* --- pirq.c ----------------------------------------------------------------------------------- */

void pirq_init(void); /* by irq_init() */
/* q arrived for q->domain. Interrupts off, q->lock held: put on this CPU's list, raise the softirq.
 */
void pirq_record(struct irq_desc *q);

/* Slow paths (map, unmap, bind, PCI device list) are one at a time: RANK_PIRQ. */
extern struct spinlock pirq_lock;

/* These take pirq_lock unless named _locked. A pirq number, or -error: -XEN_EINVAL no such thing,
 * -XEN_EEXIST (line has another pirq), -XEN_EBUSY (number in use), -XEN_ENOSPC. `want` < 0: choose.
 */
int pirq_map_gsi(struct domain *d, unsigned gsi, int want);
int pirq_map_msi_locked(struct domain *d, struct msi *m, int want, unsigned cpu);
int pirq_unmap(struct domain *d, unsigned pirq);
int pirq_reserve(struct domain *d, bool gsi);
/* XENIRQSTAT_* of a pirq, or -XEN_EINVAL: out of d's range. No lock. */
int pirq_status(const struct domain *d, unsigned pirq);
/* The guest's page of "needs EOI" bits: a frame of d, held writable from now on. 0, -XEN_EBUSY (has
 * one already), -XEN_EINVAL (not a writable frame of d). */
int pirq_eoi_page_set(struct domain *d, uint64_t frame);

/* --- msi.c ------------------------------------------------------------------------------------ */

struct msi {
    struct list node; /* of dev->msis [pirq_lock] */
    struct pci_dev *dev;
    bool msix, maskable, wide; /* wide: 64-bit address */
    uint8_t cap;
    uint16_t entry;
    volatile uint32_t *slot; /* MSI-X: its four words in the table */
    bool masked;             /* [irq_desc.lock] as are the next two */
    uint8_t vector;
    uint32_t apicid;
};

#define MSI_ADDR_BASE 0xfee00000u

/* Fixed delivery, physical destination, edge. apicid < 255 (no interrupt remapping). */
static inline uint32_t msi_address(uint32_t apicid)
{
    return MSI_ADDR_BASE | (apicid & 0xff) << 12;
}
static inline uint32_t msi_data(uint8_t vector)
{
    return vector;
}

/* Find and describe entry `entry` of dev's MSI or MSI-X capability, masked. pirq_lock held. `d`: on
 * whose behalf (its right to the table's memory is checked). 0; -XEN_ENODEV no such capability;
 * -XEN_EINVAL; -XEN_EBUSY in use; -XEN_ENXIO memory decoding is off; -XEN_EPERM; -XEN_ENOMEM. */
int msi_open(struct pci_dev *dev, const struct domain *d, bool msix, unsigned entry,
             uint64_t table_base, struct msi **out) __must_check;
void msi_close(struct msi *m); /* pirq_lock held; masks it */
/* Program the message; keeps the mask state. Any context. */
void msi_write(struct msi *m, uint8_t vector, uint32_t apicid);
void msi_mask(struct msi *m, bool masked);
/* After the device lost its state: write everything again, enable. pirq_lock held. */
void msi_restore(struct pci_dev *dev);

/* --- pic.c ------------------------------------------------------------------------------------ */

void pic_init(void);            /* 8259s: out of the exceptions' vectors, all masked */
void pic_stray(uint8_t vector); /* one of theirs came nevertheless */

/* --- drivers/ioapic.c ------------------------------------------------------------------------- */

/* Map all, mask all; the number of GSIs (one above the highest). */
unsigned ioapic_init(void);
bool ioapic_has_gsi(unsigned gsi);
/* Write the redirection entry; the mask bit stays as it is. */
void ioapic_route(unsigned gsi, uint8_t vector, uint32_t apicid, bool level, bool active_low);
void ioapic_mask(unsigned gsi, bool masked);
/* Register access for PHYSDEVOP_apic_read: 0 or -XEN_EINVAL. */
int ioapic_reg_read(uint64_t base, uint32_t reg, uint32_t *val) __must_check;
uint64_t ioapic_entry(unsigned gsi); /* for irq_dump() */
