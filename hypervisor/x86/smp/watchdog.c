/* SPDX-License-Identifier: MIT */
/*
 * Watchdog (option watchdog): finds a CPU that no longer gets round to its softirqs. Each CPU has a timer
 * of one second that counts up its own heartbeat and looks at its neighbour's; when that has not moved for
 * watchdog_timeout seconds the neighbour gets an NMI and panics with its own registers. No performance
 * counter is needed, so it works on any machine; it does not notice all CPUs stuck at once, nor the only one.
 */
#include "cmdline.h"
#include "log.h"
#include "port.h"
#include "timer.h"
#include "x86/ap.h"
#include "x86/cpu.h"
#include "x86/smp.h"
#include "x86/watchdog.h"

#define PERIOD_NS 1000000000ULL

struct heartbeat {
    struct timer timer;
    uint64_t beats;      /* [a] written by its CPU */
    uint64_t seen;       /* of the neighbour, by its watcher: the next three too */
    uint64_t seen_since; /* ns */
    uint32_t suspect;    /* [a] the watcher sent an NMI to this CPU ... */
    uint64_t suspect_at; /* ... when it had so many beats */
} __aligned_to(64);

static struct heartbeat hearts[MAX_CPUS];

static void neighbour_check(unsigned self)
{
    unsigned other = self + 1 < cpu_count() ? self + 1 : 0;
    struct heartbeat *me = &hearts[self], *him = &hearts[other];
    uint64_t beats = __atomic_load_n(&him->beats, __ATOMIC_RELAXED), now = now_ns();

    if (other == self)
        return;
    if (beats != me->seen || !me->seen_since) {
        me->seen = beats;
        me->seen_since = now;
        return;
    }
    if (now - me->seen_since < opt.watchdog_timeout * PERIOD_NS)
        return;
    me->seen_since = now; /* ask again only after another such time */
    him->suspect_at = beats;
    __atomic_store_n(&him->suspect, 1, __ATOMIC_RELEASE);
    lapic_send_nmi(cpu_apicid[other]);
}

static void heartbeat(void *data)
{
    struct heartbeat *me = data;

    __atomic_fetch_add(&me->beats, 1, __ATOMIC_RELAXED);
    neighbour_check(cpu_self());
    timer_set(&me->timer, now_ns() + PERIOD_NS);
}

/* Whoever waits for a stuck CPU gets stuck too: the culprit has the fewest beats. */
static unsigned first_to_stop(void)
{
    unsigned cpu, first = 0;

    for (cpu = 1; cpu < cpu_count(); cpu++)
        if (READ_ONCE(hearts[cpu].beats) < READ_ONCE(hearts[first].beats))
            first = cpu;
    return first;
}

bool watchdog_nmi(regs_t *regs)
{
    struct heartbeat *me = &hearts[cpu_self()];

    smp_nmi();
    if (!__atomic_exchange_n(&me->suspect, 0, __ATOMIC_ACQUIRE))
        return false;
    if (__atomic_load_n(&me->beats, __ATOMIC_RELAXED) == me->suspect_at)
        panic("watchdog: CPU %u stuck at %#lx (CPU %u stopped first)", cpu_self(),
              (unsigned long)regs->rip, first_to_stop());
    return true; /* it came back while the NMI was under way */
}

void watchdog_init(void)
{
    unsigned cpu;

    if (!opt.watchdog || cpu_count() < 2)
        return;
    for (cpu = 0; cpu < cpu_count(); cpu++) {
        timer_init(&hearts[cpu].timer, heartbeat, &hearts[cpu], cpu);
        timer_set(&hearts[cpu].timer, now_ns() + PERIOD_NS);
    }
    log_info("watchdog: %u s\n", opt.watchdog_timeout);
}
