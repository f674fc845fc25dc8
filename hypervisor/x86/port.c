/* SPDX-License-Identifier: MIT */
/* The small functions of port.h on this machine; the others are with what they belong to. */
#include "port.h"
#include "sched.h"
#include "x86/cpu.h"
#include "x86/smp.h"

unsigned cpu_self(void)
{
    return cpu_info()->cpu;
}

uint64_t irq_save(void)
{
    uint64_t flags;

    __asm__ volatile("pushfq; pop %0; cli" : "=r"(flags)::"memory");
    return flags;
}

void irq_restore(uint64_t flags)
{
    if (flags & FLAG_IF)
        irq_enable();
}

uint64_t arch_cpu_physid(unsigned cpu)
{
    return cpu_apicid[cpu] | (uint64_t)cpu_acpiid[cpu] << 32;
}
