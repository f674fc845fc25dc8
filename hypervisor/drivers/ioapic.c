/* SPDX-License-Identifier: MIT */
/*
 * I/O APICs: finding their inputs, redirection entries, masking. Entries are written with physical
 * destination and fixed delivery; level lines are acknowledged by the local APIC's EOI broadcast
 * (the line is masked by then, see irq.c), so the EOI register of newer chips is not needed.
 * Entries that the firmware set to SMI are left alone. Not here: interrupt remapping formats.
 *
 * A copy of the low half of every entry is kept, so that masking is one write and no read.
 */
#include "abi.h"
#include "acpi.h"
#include "log.h"
#include "page.h"
#include "x86/irqs.h"
#include "x86/mm.h"

#define REG_ID 0
#define REG_VERSION 1
#define REG_RTE(pin) (0x10 + 2 * (pin))
#define RTE_MASKED BIT(16)
#define RTE_LEVEL BIT(15)
#define RTE_REMOTE_IRR BIT(14)
#define RTE_LOW BIT(13)
#define RTE_MODE_MASK (7u << 8)
#define RTE_MODE_SMI (2u << 8)
#define MAX_PINS 240

struct ioapic {
    volatile uint32_t *regs; /* word 0: index, word 4: data */
    uint64_t base;
    uint32_t gsi_base, pins;
    struct spinlock lock; /* RANK_IOAPIC: the index register, low[] */
    uint32_t low[MAX_PINS];
};

static struct ioapic *ioapics[ARRAY_SIZE(acpi.ioapic)];
static unsigned nr_ioapics;

static uint32_t reg_read(struct ioapic *io, uint32_t reg)
{
    io->regs[0] = reg;
    return io->regs[4];
}

static void reg_write(struct ioapic *io, uint32_t reg, uint32_t val)
{
    io->regs[0] = reg;
    io->regs[4] = val;
}

static struct ioapic *ioapic_of(unsigned gsi, unsigned *pin)
{
    for (unsigned i = 0; i < nr_ioapics; i++) {
        *pin = gsi - ioapics[i]->gsi_base;
        if (gsi >= ioapics[i]->gsi_base && *pin < ioapics[i]->pins)
            return ioapics[i];
    }
    return NULL;
}

static void ioapic_mask_all(struct ioapic *io)
{
    for (unsigned pin = 0; pin < io->pins; pin++) {
        uint32_t low = reg_read(io, REG_RTE(pin));

        if ((low & RTE_MODE_MASK) != RTE_MODE_SMI) {
            /* Edge and masked: also drops a Remote IRR that was left set. */
            low = RTE_MASKED;
            reg_write(io, REG_RTE(pin), low);
            reg_write(io, REG_RTE(pin) + 1, 0);
        }
        io->low[pin] = low;
    }
}

static void ioapic_setup(const struct acpi_ioapic *a)
{
    struct ioapic *io = zalloc(sizeof(*io));

    if (!io)
        panic("no memory for an I/O APIC");
    spin_init(&io->lock, "ioapic", RANK_IOAPIC);
    io->base = a->base;
    io->gsi_base = a->gsi_base;
    io->regs = ioremap(a->base, FRAME_SIZE, MAP_UC);
    if (!io->regs || reg_read(io, REG_VERSION) == ~0u) {
        log_warn("ioapic %u at %lx does not answer; ignored\n", a->id, (unsigned long)a->base);
        if (io->regs)
            iounmap((void *)(uintptr_t)io->regs, FRAME_SIZE);
        zfree(io);
        return;
    }
    io->pins = MIN((reg_read(io, REG_VERSION) >> 16 & 0xff) + 1, (uint32_t)MAX_PINS);
    ioapic_mask_all(io);
    ioapics[nr_ioapics++] = io;
    log_info("ioapic %u at %lx: version %x, GSI %u-%u\n", a->id, (unsigned long)a->base,
             reg_read(io, REG_VERSION) & 0xff, io->gsi_base, io->gsi_base + io->pins - 1);
}

unsigned ioapic_init(void)
{
    unsigned top = 0;

    for (unsigned i = 0; i < acpi.nr_ioapics && i < ARRAY_SIZE(acpi.ioapic); i++) {
        if (acpi.ioapic[i].gsi_base >= IRQ_MAX / 2)
            log_warn("ioapic %u: GSI base %u is too high; ignored\n", acpi.ioapic[i].id,
                     acpi.ioapic[i].gsi_base);
        else
            ioapic_setup(&acpi.ioapic[i]);
    }
    for (unsigned i = 0; i < nr_ioapics; i++)
        top = MAX(top, ioapics[i]->gsi_base + ioapics[i]->pins);
    return MIN(top, (unsigned)IRQ_MAX / 2);
}

bool ioapic_has_gsi(unsigned gsi)
{
    unsigned pin;

    return ioapic_of(gsi, &pin) != NULL;
}

void ioapic_mask(unsigned gsi, bool masked)
{
    unsigned pin;
    struct ioapic *io = ioapic_of(gsi, &pin);
    uint64_t flags;
    uint32_t low;

    if (!io)
        return;
    flags = spin_lock_irqsave(&io->lock);
    low = masked ? io->low[pin] | RTE_MASKED : io->low[pin] & ~(uint32_t)RTE_MASKED;
    if (low != io->low[pin]) {
        io->low[pin] = low;
        reg_write(io, REG_RTE(pin), low);
        if (masked) /* reaches the chip before the EOI that follows */
            (void)io->regs[4];
    }
    spin_unlock_irqrestore(&io->lock, flags);
}

void ioapic_route(unsigned gsi, uint8_t vector, uint32_t apicid, bool level, bool active_low)
{
    unsigned pin;
    struct ioapic *io = ioapic_of(gsi, &pin);
    uint64_t flags;
    uint32_t low;

    if (!io)
        return;
    flags = spin_lock_irqsave(&io->lock);
    low =
        vector | (io->low[pin] & RTE_MASKED) | (level ? RTE_LEVEL : 0) | (active_low ? RTE_LOW : 0);
    /* With another vector the EOI under way would not match: drop Remote IRR by way of edge mode.
     * The callers see to it that the line is masked then. */
    if ((low ^ io->low[pin]) & 0xff && reg_read(io, REG_RTE(pin)) & RTE_REMOTE_IRR)
        reg_write(io, REG_RTE(pin), RTE_MASKED);
    reg_write(io, REG_RTE(pin) + 1, apicid << 24);
    if (low != io->low[pin])
        reg_write(io, REG_RTE(pin), low);
    io->low[pin] = low;
    spin_unlock_irqrestore(&io->lock, flags);
}

uint64_t ioapic_entry(unsigned gsi)
{
    unsigned pin;
    struct ioapic *io = ioapic_of(gsi, &pin);
    uint64_t flags, e;

    if (!io)
        return 0;
    flags = spin_lock_irqsave(&io->lock);
    e = (uint64_t)reg_read(io, REG_RTE(pin) + 1) << 32;
    e |= reg_read(io, REG_RTE(pin));
    spin_unlock_irqrestore(&io->lock, flags);
    return e;
}

int ioapic_reg_read(uint64_t base, uint32_t reg, uint32_t *val)
{
    for (unsigned i = 0; i < nr_ioapics; i++) {
        struct ioapic *io = ioapics[i];
        uint64_t flags;

        if (io->base != base)
            continue;
        if (reg > 2 && (reg < REG_RTE(0) || reg >= REG_RTE(io->pins)))
            return -XEN_EINVAL;
        flags = spin_lock_irqsave(&io->lock);
        *val = reg_read(io, reg);
        spin_unlock_irqrestore(&io->lock, flags);
        return 0;
    }
    return -XEN_EINVAL;
}
