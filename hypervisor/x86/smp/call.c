/* SPDX-License-Identifier: MIT */
/*
 * CPUs talking to each other once they run: "look at your softirqs", "run this function", "stop". One
 * function call is under way at a time; whoever waits, for his turn or for the others to finish, serves
 * calls to himself meanwhile, so that two callers cannot wait for each other even with interrupts off.
 */
#include "irq.h"
#include "lib.h"
#include "log.h"
#include "port.h"
#include "x86/ap.h"
#include "x86/cpu.h"
#include "x86/smp.h"

#define MASK_WORDS (MAX_CPUS / 64)

static struct {
    uint32_t busy; /* [a] */
    void (*fn)(void *);
    void *arg;
    uint64_t pending[MASK_WORDS]; /* [a] CPUs that have not finished */
} call;

static uint32_t stopping, stopped; /* [a] */

void smp_send_event_check(unsigned cpu)
{
    lapic_send(cpu_apicid[cpu], VECTOR_EVENT_CHECK);
}

/* The way out of any interrupt looks at softirqs and events: nothing else to do. */
static void event_check_interrupt(void)
{
}

/* Interrupts off. */
static void call_serve(void)
{
    unsigned self = cpu_self();

    if (!(__atomic_load_n(&call.pending[self / 64], __ATOMIC_ACQUIRE) & BIT(self % 64)))
        return;
    call.fn(call.arg);
    __atomic_fetch_and(&call.pending[self / 64], ~BIT(self % 64), __ATOMIC_RELEASE);
}

static void call_serve_irqsave(void)
{
    uint64_t flags = irq_save();

    call_serve();
    irq_restore(flags);
    cpu_relax();
}

static bool call_pending(void)
{
    uint64_t all = 0;
    unsigned i;

    for (i = 0; i < MASK_WORDS; i++)
        all |= __atomic_load_n(&call.pending[i], __ATOMIC_ACQUIRE);
    return all;
}

void smp_call(const uint64_t mask[], void (*fn)(void *), void *arg)
{
    unsigned cpu, self = cpu_self(), n = cpu_count();
    bool self_too = mask[self / 64] & BIT(self % 64);
    uint64_t flags;

    while (__atomic_exchange_n(&call.busy, 1, __ATOMIC_ACQUIRE))
        call_serve_irqsave();
    call.fn = fn;
    call.arg = arg;
    for (cpu = 0; cpu < n; cpu++) {
        if (cpu == self || !(mask[cpu / 64] & BIT(cpu % 64)))
            continue;
        /* Releases fn and arg to a CPU that polls. */
        __atomic_fetch_or(&call.pending[cpu / 64], BIT(cpu % 64), __ATOMIC_SEQ_CST);
        lapic_send(cpu_apicid[cpu], VECTOR_CALL);
    }
    if (self_too) {
        flags = irq_save();
        fn(arg);
        irq_restore(flags);
    }
    while (call_pending())
        cpu_relax();
    __atomic_store_n(&call.busy, 0, __ATOMIC_RELEASE);
}

void smp_call_init(void)
{
    vector_handler_set(VECTOR_CALL, call_serve);
    vector_handler_set(VECTOR_EVENT_CHECK, event_check_interrupt);
}

/* --- Stopping ------------------------------------------------------------------------------------------- */

bool smp_nmi(void)
{
    if (likely(!__atomic_load_n(&stopping, __ATOMIC_ACQUIRE)))
        return false;
    __atomic_fetch_add(&stopped, 1, __ATOMIC_RELEASE);
    for (;;)
        __asm__ volatile("cli; hlt");
}

/* By NMI, which reaches a CPU that has interrupts off, too. Waits a tenth of a second at most. */
void smp_stop_others(void)
{
    unsigned others = cpu_count() - 1;
    uint64_t until;

    if (!others || __atomic_exchange_n(&stopping, 1, __ATOMIC_SEQ_CST))
        return;
    lapic_send_nmi_others();
    until = now_ns() + 100000000;
    while (__atomic_load_n(&stopped, __ATOMIC_ACQUIRE) < others && now_ns() < until)
        cpu_relax();
}
