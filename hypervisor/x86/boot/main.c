/* SPDX-License-Identifier: MIT */
/*
 * The boot CPU from head.S to domain 0's first instruction, in order. docs/tour/boot.md walks through it.
 */
#include "acpi.h"
#include "boot.h"
#include "cmdline.h"
#include "console.h"
#include "domain.h"
#include "irq.h"
#include "lib.h"
#include "log.h"
#include "logdirty_core.h"
#include "panic.h"
#include "port.h"
#include "sched.h"
#include "timer.h"
#include "version_info.h"
#include "x86/ap.h"
#include "x86/boot.h"
#include "x86/context.h"
#include "x86/cpu.h"
#include "x86/debug_keys.h"
#include "x86/guest.h"
#include "x86/mm.h"
#include "x86/pci.h"
#include "x86/physdev.h"
#include "x86/policy.h"
#include "x86/power.h"
#include "x86/smp.h"
#include "x86/softirq.h"
#include "x86/speculation.h"
#include "x86/time.h"
#include "x86/traps.h"

static struct domain idle_domain = {.id = DOMID_IDLE};

static uint32_t cpus_scheduling; /* [a] CPUs that have an idle vCPU and can be given work */

/* This CPU's idle vCPU becomes what it runs. */
static void idle_vcpu_make(void)
{
    unsigned cpu = cpu_self();
    struct vcpu *v = arch_vcpu_alloc(&idle_domain, cpu);

    if (!v)
        panic("no memory for the idle vCPU of cpu %u", cpu);
    v->domain = &idle_domain;
    v->id = (uint16_t)cpu;
    v->idle = true;
    cpu_info()->current = v;
    sched_cpu_init(cpu, v);
    __atomic_fetch_add(&cpus_scheduling, 1, __ATOMIC_RELEASE);
}

bool idle_work(void)
{
    return opt.bootscrub && frames_scrub_some();
}

__noreturn void cpu_idle_enter(unsigned cpu)
{
    idle_vcpu_make();
    cpu_idle_run();
}

static void memory_init(void)
{
    mm_init_direct();
    hyp_slots_init();
    if (!cpu_prepare(0))
        panic("no memory for the boot CPU's tables");
    cpu_setup(0);
    softirq_cpu_init();
    quiesce_init();
}

static void machine_init(void)
{
    platform_init();
    acpi_init(boot.rsdp);
    reboot_init();
    lapic_init_boot();
    irq_init();
    tlb_init();
    pci_init();
    timers_init();
    timer_cpu_init(0);
    time_init_boot();
}

/* dom0_vcpus_pin: vCPU n stays on CPU n (round and round when there are more). */
static void dom0_pin(struct domain *d)
{
    for (unsigned i = 0; i < d->max_vcpus; i++) {
        uint64_t mask[MAX_CPUS / 64] = {0};
        unsigned cpu = i % cpu_count();

        mask[cpu / 64] = BIT(cpu % 64);
        if (d->vcpu[i] && vcpu_affinity_set(d->vcpu[i], mask))
            log_warn("dom0_vcpus_pin: vcpu %u could not be pinned to cpu %u\n", i, cpu);
    }
}

static void start_dom0(void)
{
    struct domain *d = dom0_create();

    if (!d)
        panic("domain 0 could not be made; the lines above say why");
    if (iocaps_init_hardware(d))
        panic("no memory for domain 0's I/O rights");
    if (opt.dom0_vcpus_pin)
        dom0_pin(d);
    if (opt.watchdog)
        watchdog_init(); /* not before: unpacking the kernel takes seconds */
    console_end_boot();
    mm_free_init();
    log_info("domain 0 starts\n");
    vcpu_up(d->vcpu[0]);
    domain_unpause(d);
}

/* The rest of boot on a stack of its own accord: .init may go while we run. */
static void boot_late(void)
{
    irq_enable();
    smp_start_all();
    while (__atomic_load_n(&cpus_scheduling, __ATOMIC_ACQUIRE) < cpu_count())
        cpu_relax();
    time_init_late();
    start_dom0();
    cpu_idle_run();
}

void boot_main(uint32_t magic, uint32_t info)
{
    boot_parse(magic, info, (const char *)DIRECT_VIRT);
    cmdline_parse(boot.cmdline);
    version_set_cmdline(boot.cmdline);
    console_init_early();
    log_info("Zendo, Xen ABI 4.17 (%s), loaded by %s\n", ZENDO_CHANGESET, boot.loader);
    log_info("command line: %s\n", boot.cmdline);
    cpu_features_find();
    memory_init();
    cpu_features_find_msrs();
    policies_init();
    speculation_init();
    machine_init();
    keys_init();
    debug_keys_init();
    if (!sched_set_policy(opt.sched))
        log_warn("command line: sched=%s: no such scheduler, it is %s; there are credit and null\n", opt.sched,
                 sched_policy()->name);
    sched_init();
    domains_init();
    m2p_share();
    idle_vcpu_make();
    console_init_irq();
    boot_late();
}
