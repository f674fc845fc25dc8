/* SPDX-License-Identifier: MIT */
/*
 * Which irq owns which vector on which CPU. Each CPU has a vector space of its own, so a machine
 * with n CPUs carries n times VECTOR_DEV_NR device interrupts. An entry is claimed by
 * compare-and-swap and read by the interrupt path without a lock. No hardware is touched here; the
 * code also runs on the host.
 */
#include "abi.h"
#include "x86/irqs.h"

/* 0: free, else irq + 1. */
static uint16_t owner[MAX_CPUS][VECTOR_DEV_NR];

/* int 0x80 and 0x82 belong to guests: their gates are open to ring 3. */
static bool vector_usable(unsigned vector)
{
    return vector >= VECTOR_DEV_FIRST && vector <= VECTOR_DEV_LAST && vector != 0x80 &&
           vector != 0x82;
}

bool vector_claim(unsigned cpu, unsigned vector, unsigned irq)
{
    uint16_t free = 0;

    if (cpu >= MAX_CPUS || irq >= IRQ_MAX || !vector_usable(vector))
        return false;
    return __atomic_compare_exchange_n(&owner[cpu][vector - VECTOR_DEV_FIRST], &free,
                                       (uint16_t)(irq + 1), false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_RELAXED);
}

int vector_alloc(unsigned cpu, unsigned irq, bool from_top)
{
    for (unsigned i = 0; i < VECTOR_DEV_NR; i++) {
        unsigned vector = from_top ? VECTOR_DEV_LAST - i : VECTOR_DEV_FIRST + i;

        if (vector_claim(cpu, vector, irq))
            return (int)vector;
    }
    return -XEN_ENOSPC;
}

void vector_free(unsigned cpu, unsigned vector, unsigned irq)
{
    uint16_t mine = (uint16_t)(irq + 1);

    if (cpu < MAX_CPUS && vector_usable(vector))
        __atomic_compare_exchange_n(&owner[cpu][vector - VECTOR_DEV_FIRST], &mine, 0, false,
                                    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

int vector_owner(unsigned cpu, unsigned vector)
{
    if (cpu >= MAX_CPUS || !vector_usable(vector))
        return -1;
    return (int)__atomic_load_n(&owner[cpu][vector - VECTOR_DEV_FIRST], __ATOMIC_ACQUIRE) - 1;
}

unsigned vector_count(unsigned cpu)
{
    unsigned n = 0;

    for (unsigned v = VECTOR_DEV_FIRST; v <= VECTOR_DEV_LAST; v++)
        n += vector_owner(cpu, v) >= 0;
    return n;
}
