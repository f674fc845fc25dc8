/* SPDX-License-Identifier: MIT */
/* Registers of the local APIC, for those who drive a part of it (local timer). x86/irq/lapic.c. */
#pragma once

#include "types.h"
#include "x86/cpu.h"

/* Byte offsets of the memory-mapped form. */
#define LAPIC_ID 0x20
#define LAPIC_VERSION 0x30
#define LAPIC_TPR 0x80
#define LAPIC_EOI 0xb0
#define LAPIC_LDR 0xd0
#define LAPIC_DFR 0xe0
#define LAPIC_SVR 0xf0
#define LAPIC_ISR 0x100
#define LAPIC_ESR 0x280
#define LAPIC_CMCI 0x2f0
#define LAPIC_ICR 0x300
#define LAPIC_ICR_HIGH 0x310
#define LAPIC_LVT_TIMER 0x320
#define LAPIC_LVT_THERMAL 0x330
#define LAPIC_LVT_PERF 0x340
#define LAPIC_LVT_LINT0 0x350
#define LAPIC_LVT_LINT1 0x360
#define LAPIC_LVT_ERROR 0x370
#define LAPIC_TIMER_INITIAL 0x380
#define LAPIC_TIMER_CURRENT 0x390
#define LAPIC_TIMER_DIVIDE 0x3e0

#define LAPIC_LVT_MASKED BIT(16)
#define LAPIC_TIMER_DEADLINE BIT(18)
#define LAPIC_DIVIDE_BY_1 0xb

/* The MSR of a register in x2APIC mode. */
#define MSR_X2APIC(reg) (0x800 + ((reg) >> 4))

extern bool lapic_x2apic;                /* [I] after lapic_init_boot() */
extern volatile uint32_t *lapic_mmio;    /* [I] NULL in x2APIC mode */

static inline uint32_t lapic_read(unsigned reg)
{
    if (lapic_x2apic)
        return (uint32_t)rdmsr((uint32_t)MSR_X2APIC(reg));
    return lapic_mmio[reg / 4];
}
static inline void lapic_write(unsigned reg, uint32_t v)
{
    if (lapic_x2apic)
        wrmsr((uint32_t)MSR_X2APIC(reg), v);
    else
        lapic_mmio[reg / 4] = v;
}

/* The firmware handed this CPU over in x2APIC mode; before lapic_init_boot(). */
bool lapic_x2apic_by_firmware(void);
