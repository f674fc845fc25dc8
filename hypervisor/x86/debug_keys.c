/* SPDX-License-Identifier: MIT */
/* Debug keys that need the machine or walk all domains; the others are registered where their data is. */
#include "console.h"
#include "domain.h"
#include "evtchn.h"
#include "grant.h"
#include "irq.h"
#include "lib.h"
#include "log.h"
#include "logdirty_core.h"
#include "pgt.h"
#include "port.h"
#include "x86/crash.h"
#include "x86/debug_keys.h"
#include "x86/guest.h"
#include "x86/smp.h"
#include "x86/time.h"

/* On each CPU in turn, interrupts off: what it was running when the key came. */
static void registers_here(void *arg)
{
    struct cpu_info *ci = cpu_info();
    struct vcpu *v = ci->current;

    if (!v || v->idle) {
        log_info("cpu %u: idle\n", ci->cpu);
        return;
    }
    log_info("cpu %u: d%u v%u, %s mode\n", ci->cpu, v->domain->id, v->id,
             to_x86(v)->kernel_mode ? "kernel" : "user");
    regs_print(&ci->regs);
}

static void key_registers(char key)
{
    for (unsigned cpu = 0; cpu < cpu_count(); cpu++) {
        uint64_t mask[MAX_CPUS / 64] = {0};

        mask[cpu / 64] = BIT(cpu % 64);
        smp_call(mask, registers_here, NULL);
    }
}

static void key_events(char key)
{
    for (struct domain *d = domain_next(NULL); d; d = domain_next(d)) {
        unsigned faults;

        evtchn_dump(d);
        faults = evtchn_check(d);
        log_info("d%u: event channels: %u faults\n", d->id, faults);
    }
}

static void key_grants(char key)
{
    for (struct domain *d = domain_next(NULL); d; d = domain_next(d)) {
        unsigned faults;

        grant_dump(d);
        faults = grant_check(d);
        log_info("d%u: grants: %u faults\n", d->id, faults);
    }
}

/* Recount all page-table references of a domain while it stands still. */
static void key_pages(char key)
{
    for (struct domain *d = domain_next(NULL); d; d = domain_next(d)) {
        unsigned faults;

        domain_pause(d);
        faults = pgt_check(d);
        if (domain_logged(d))
            faults += logdirty_check(d);
        domain_unpause(d);
        log_info("d%u: %lu frames, %lu owned in all, %lu given up but still in use; page types: %u faults\n",
                 d->id, d->tot_pages, d->owned_pages, d->loose_pages, faults);
    }
}

/* The part of it that is about logged domains, which takes a moment only. */
static void key_mirrors(char key)
{
    for (struct domain *d = domain_next(NULL); d; d = domain_next(d)) {
        if (!domain_logged(d))
            continue;
        domain_pause(d);
        (void)logdirty_check(d);
        domain_unpause(d);
    }
}

static void key_irqs(char key)
{
    irq_dump();
}

static void key_time(char key)
{
    time_dump();
}

static void key_locks(char key)
{
    locks_dump();
}

/* To see what a crash shows. */
static void key_crash(char key)
{
    panic("debug key %c: a crash was asked for", key);
}

void debug_keys_init(void)
{
    key_register('C', key_crash, "crash the hypervisor: registers and backtraces of all CPUs");
    key_register('d', key_registers, "registers of the guests on all CPUs");
    key_register('e', key_events, "event channels, with a check");
    key_register('g', key_grants, "grants, with a check");
    key_register('p', key_pages, "page types: recount all references (stops each domain meanwhile)");
    key_register('L', key_mirrors, "log-dirty: compare mirrors with the guests' tables (stops each logged domain meanwhile)");
    key_register('i', key_irqs, "interrupts");
    key_register('t', key_time, "clocks");
    key_register('l', key_locks, "locks held (debug builds)");
}
