/* SPDX-License-Identifier: MIT */
/*
 * The timer interrupt of each CPU: port_timer_program() for common/timer.c. TSC-deadline mode where the
 * processor has it, else the local APIC's one-shot counter, divided by one, with the frequency measured
 * at boot. A deadline beyond the counter's range is reached in several steps by re-arming; an interrupt that
 * comes a little early (rounding, steering of the clock) is re-armed too, so SOFTIRQ_TIMER never
 * finds its deadline still ahead.
 */
#include "irq.h"
#include "log.h"
#include "port.h"
#include "timescale.h"
#include "x86/cpu.h"
#include "x86/lapic.h"
#include "x86/smp.h"
#include "x86/time.h"

/* By CPU: what is programmed, 0 = nothing. Written by its own CPU with interrupts off. */
static struct {
    uint64_t deadline;
} __aligned_to(64) local[MAX_CPUS];

static bool use_deadline;     /* [I] */
static uint64_t ticks_per_ns; /* [I] 32.32 */

void local_timer_calib_start(void)
{
    lapic_write(LAPIC_TIMER_DIVIDE, LAPIC_DIVIDE_BY_1);
    lapic_write(LAPIC_LVT_TIMER, LAPIC_LVT_MASKED | VECTOR_TIMER);
    lapic_write(LAPIC_TIMER_INITIAL, 0xffffffff);
}

uint64_t local_timer_calib_read(void)
{
    return 0xffffffff - lapic_read(LAPIC_TIMER_CURRENT);
}

static void disarm(void)
{
    if (use_deadline)
        wrmsr(MSR_TSC_DEADLINE, 0);
    else
        lapic_write(LAPIC_TIMER_INITIAL, 0);
}

/* Interrupts off. The deadline is not 0. */
static void arm(uint64_t deadline)
{
    uint64_t now = now_ns();
    unsigned __int128 ticks;

    if (deadline <= now) {
        local[cpu_self()].deadline = 0;
        softirq_raise(cpu_self(), SOFTIRQ_TIMER);
    } else if (use_deadline) {
        wrmsr(MSR_TSC_DEADLINE, time_tsc_of_ns(deadline));
    } else {
        ticks = (((unsigned __int128)(deadline - now) * ticks_per_ns) >> 32) + 1;
        lapic_write(LAPIC_TIMER_INITIAL, ticks > 0xffffffff ? 0xffffffff : (uint32_t)ticks);
    }
}

void port_timer_program(uint64_t deadline)
{
    uint64_t flags = irq_save();

    local[cpu_self()].deadline = deadline;
    if (deadline)
        arm(deadline);
    else
        disarm();
    irq_restore(flags);
}

static void timer_interrupt(void)
{
    uint64_t deadline = local[cpu_self()].deadline;

    if (deadline)
        arm(deadline);
}

void local_timer_init_cpu(void)
{
    lapic_write(LAPIC_TIMER_DIVIDE, LAPIC_DIVIDE_BY_1);
    lapic_write(LAPIC_TIMER_INITIAL, 0);
    if (use_deadline) {
        lapic_write(LAPIC_LVT_TIMER, (uint32_t)LAPIC_TIMER_DEADLINE | VECTOR_TIMER);
        __asm__ volatile("mfence" ::: "memory"); /* the mode before the first deadline */
    } else {
        lapic_write(LAPIC_LVT_TIMER, VECTOR_TIMER);
    }
}

void local_timer_init_boot(uint64_t hz)
{
    use_deadline = cpu_features.tsc_deadline;
    if (!use_deadline && (hz < 1000000 || hz > 10000000000ULL))
        panic("time: the local APIC timer counts with %lu Hz", (unsigned long)hz);
    ticks_per_ns = muldiv64(hz, BIT(32), NS_PER_S);
    vector_handler_set(VECTOR_TIMER, timer_interrupt);
    local_timer_init_cpu();
    log_info("time: local timer %s, %lu kHz\n", use_deadline ? "by TSC deadline" : "one-shot",
             (unsigned long)(hz / 1000));
}
