/* SPDX-License-Identifier: MIT */
/* The static ACPI tables the hypervisor needs (drivers/acpi.c); no AML. Everything is copied at boot. */
#pragma once

#include "types.h"

struct acpi_ioapic {
    uint32_t id, gsi_base;
    paddr_t base;
};
struct acpi_override { /* ISA interrupt source override */
    uint8_t source;
    uint32_t gsi;
    bool active_low, level, valid;
};
struct acpi_info {
    paddr_t rsdp;
    bool found;
    uint64_t lapic_base;
    struct acpi_ioapic ioapic[64];
    unsigned nr_ioapics;
    struct acpi_override isa[16];
    bool pcat_8259;
    /* FADT */
    uint16_t sci, pm_timer_port, pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt;
    uint8_t pm1_evt_len;
    bool pm_timer_32bit;
    bool reset_supported;
    uint8_t reset_space, reset_value;
    uint64_t reset_addr;
    /* HPET */
    paddr_t hpet_base;
    /* MCFG */
    struct {
        paddr_t base;
        uint16_t segment;
        uint8_t bus_first, bus_last;
    } mcfg[8];
    unsigned nr_mcfg;
};
extern struct acpi_info acpi;

/* Find the tables from rsdp (0: search the BIOS area) and fill `acpi`, cpu_apicid[], cpus_possible. */
void acpi_init(paddr_t rsdp);
/* Write the PM1 control registers (sleep type and enable as domain 0 gives them) and wait. Returns only when the
 * machine did not react. x86/time/reboot.c. */
void acpi_enter_sleep(uint16_t pm1a, uint16_t pm1b);
