/* SPDX-License-Identifier: MIT */
/* Processors: finding, starting, talking to them (x86/smp, x86/irq/apic.c). */
#pragma once

#include "types.h"

extern uint32_t cpu_apicid[];      /* by CPU number; filled from the MADT, [0] is the boot CPU */
extern uint32_t cpu_acpiid[];
extern unsigned cpus_possible;     /* listed as enabled by ACPI (limited by maxcpus=) */

void lapic_init_boot(void);        /* detect x2APIC or map xAPIC; set up this CPU's */
void lapic_init_cpu(void);
void lapic_eoi(void);
void lapic_send(uint32_t apicid, uint8_t vector);      /* fixed IPI; interrupts off or on */
void lapic_send_nmi(uint32_t apicid);
void lapic_send_nmi_others(void);
void lapic_send_init(uint32_t apicid);
void lapic_send_startup(uint32_t apicid, uint8_t page);
uint32_t lapic_id(void);

void smp_start_all(void);          /* start every possible CPU and wait; prints those that did not come */
void smp_send_event_check(unsigned cpu);
/* Run fn(arg) on the CPUs of the mask (self too) with interrupts off there, wait for all. */
void smp_call(const uint64_t mask[], void (*fn)(void *), void *arg);
/* Stop all other CPUs for ever (panic, shutdown). */
void smp_stop_others(void);

/* x86/time: calibration, local timer. */
void time_init_boot(void);         /* find HPET/PM timer, calibrate TSC, local APIC timer */
void time_init_cpu(void);          /* local timer of an AP */
void watchdog_init(void);
void time_delay_us(unsigned us);   /* busy wait; from time_init_boot() on */
