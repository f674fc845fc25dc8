/* SPDX-License-Identifier: MIT */
/*
 * Waiting until everybody has finished what he was doing. The hypervisor is not preempted: a CPU that is on its way
 * back to a guest, or idle, is in the middle of nothing. A soft interrupt runs exactly there, so a CPU that has run it
 * since it was asked has left whatever it was in before.
 */
#include "lib.h"
#include "logdirty_core.h"
#include "port.h"

static uint64_t quiesce_clock;           /* [a] last ticket given */
static uint64_t quiesce_seen[MAX_CPUS];  /* [a] its own CPU: clock when it last passed */

static void quiesce_pass(void)
{
    uint64_t now = __atomic_load_n(&quiesce_clock, __ATOMIC_SEQ_CST);

    __atomic_store_n(&quiesce_seen[cpu_self()], now, __ATOMIC_SEQ_CST);
}

void quiesce_init(void)
{
    softirq_register(SOFTIRQ_QUIESCE, quiesce_pass);
}

uint64_t quiesce_begin(void)
{
    uint64_t ticket = __atomic_add_fetch(&quiesce_clock, 1, __ATOMIC_SEQ_CST);

    for (unsigned cpu = 0; cpu < cpu_count(); cpu++)
        softirq_raise(cpu, SOFTIRQ_QUIESCE);
    return ticket;
}

bool quiesce_done(uint64_t ticket)
{
    for (unsigned cpu = 0; cpu < cpu_count(); cpu++)
        if (__atomic_load_n(&quiesce_seen[cpu], __ATOMIC_SEQ_CST) < ticket)
            return false;
    return true;
}
