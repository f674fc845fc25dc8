/* SPDX-License-Identifier: MIT */
/*
 * A machine for the interrupt code on the host: I/O APIC, local APIC, four CPUs (one of which no
 * message can name), event channels that count, message sources (unless IRQ_MODEL_REAL_MSI: then
 * x86/irq/msi.c is linked). Included by one .c file of a test.
 */
#pragma once

#include "abi.h"
#include "acpi.h"
#include "domain.h"
#include "evtchn.h"
#include "pgt.h"
#include "port_host.h"
#include "x86/irqs.h"
#include "x86/smp.h"

#define GSIS 24
#define NR_PIRQS 64

struct acpi_info acpi;
uint32_t cpu_apicid[MAX_CPUS] = {0, 2, 300, 6};
static struct {
    bool masked, level;
    uint8_t vector;
    uint32_t apicid;
} rte[GSIS];
static unsigned eois, raised[NR_PIRQS];
static bool listening = true;
static int refs;

void pic_init(void)
{
}
void pic_stray(uint8_t vector)
{
    (void)vector;
}
void lapic_eoi(void)
{
    eois++;
}
unsigned ioapic_init(void)
{
    for (unsigned i = 0; i < GSIS; i++)
        rte[i].masked = true;
    return GSIS;
}
bool ioapic_has_gsi(unsigned gsi)
{
    return gsi < GSIS;
}
void ioapic_route(unsigned gsi, uint8_t vector, uint32_t apicid, bool level, bool low)
{
    (void)low;
    rte[gsi].vector = vector;
    rte[gsi].apicid = apicid;
    rte[gsi].level = level;
}
void ioapic_mask(unsigned gsi, bool masked)
{
    rte[gsi].masked = masked;
}
uint64_t ioapic_entry(unsigned gsi)
{
    return rte[gsi].vector;
}
#ifndef IRQ_MODEL_REAL_MSI
static unsigned closed;
void msi_mask(struct msi *m, bool masked)
{
    if (m->maskable)
        m->masked = masked;
}
void msi_write(struct msi *m, uint8_t vector, uint32_t apicid)
{
    m->vector = vector;
    m->apicid = apicid;
}
void msi_close(struct msi *m)
{
    (void)m;
    closed++;
}
#endif
bool evtchn_pirq_raise(struct domain *d, unsigned pirq)
{
    (void)d;
    raised[pirq]++;
    return listening;
}
void domain_ref(struct domain *d)
{
    (void)d;
    refs++;
}
void domain_put(struct domain *d)
{
    (void)d;
    refs--;
}
int pgt_get_page(struct page *pg, const struct domain *d, uint64_t type, bool may_stop)
{
    (void)may_stop;
    if (type != PGT_WRITABLE || pg->owner != d)
        return -XEN_EINVAL;
    pg->type++;
    return 0;
}
int pgt_put_page(struct page *pg, bool may_stop)
{
    (void)may_stop;
    pg->type--;
    return 0;
}

/* The source sends: dispatch on the CPU with this APIC id. */
static void arrive(uint32_t apicid, uint8_t vector)
{
    for (host_cpu = 0; cpu_apicid[host_cpu] != apicid; host_cpu++)
        ;
    irq_dispatch(vector);
    host_softirqs_run();
    host_cpu = 0;
}

static void arrive_gsi(unsigned gsi)
{
    if (!rte[gsi].masked)
        arrive(rte[gsi].apicid, rte[gsi].vector);
}
