/* SPDX-License-Identifier: MIT */
/*
 * The local APIC of each CPU: xAPIC through its page, x2APIC through MSRs; end of interrupt and
 * interprocessor interrupts. Physical destination mode only. The pins (LINT0, LINT1) and all other local
 * sources stay masked: the timer is x86/time/local_timer.c's. Facts: Intel SDM volume 3, chapter 10.
 *
 * All CPUs are in the same mode, chosen on the boot CPU: x2APIC when the processor has it and x2apic=0 was
 * not given, or when the firmware left it on (turning it off again is not worth its rules).
 */
#include "acpi.h"
#include "cmdline.h"
#include "irq.h"
#include "log.h"
#include "port.h"
#include "x86/cpu.h"
#include "x86/lapic.h"
#include "x86/mm.h"
#include "x86/smp.h"

bool lapic_x2apic;
volatile uint32_t *lapic_mmio;

static uint64_t spurious_count, error_count; /* [a] */

#define APIC_BASE_EXTD BIT(10)
#define APIC_BASE_ENABLE BIT(11)
#define APIC_BASE_ADDR 0x000ffffffffff000ULL
#define SVR_ENABLE BIT(8)

#define ICR_NMI 0x400
#define ICR_INIT 0x500
#define ICR_STARTUP 0x600
#define ICR_PENDING BIT(12)
#define ICR_ASSERT BIT(14)
#define ICR_LEVEL BIT(15)
#define ICR_ALL_BUT_SELF (3U << 18)
#define ICR_WAIT_LOOPS 1000000

bool lapic_x2apic_by_firmware(void)
{
    return cpu_features.x2apic &&
           (rdmsr(MSR_APIC_BASE) & (APIC_BASE_ENABLE | APIC_BASE_EXTD)) ==
               (APIC_BASE_ENABLE | APIC_BASE_EXTD);
}

/* --- Sending --------------------------------------------------------------------------------------- */

/* The xAPIC has one command register in two halves: an interrupt between the writes could change the first,
 * so they are off. The wait keeps an earlier command from being overwritten; bounded, because a
 * dead CPU must not take the sender with it. */
static void xapic_command(uint32_t apicid, uint32_t cmd)
{
    uint64_t flags = irq_save();
    unsigned i;

    for (i = 0; (lapic_mmio[LAPIC_ICR / 4] & ICR_PENDING) && i < ICR_WAIT_LOOPS; i++)
        cpu_relax();
    lapic_mmio[LAPIC_ICR_HIGH / 4] = apicid << 24;
    lapic_mmio[LAPIC_ICR / 4] = cmd;
    irq_restore(flags);
}

/* The write to an x2APIC MSR does not order earlier stores: what the receiver is to see must be out first. */
static inline void command(uint32_t apicid, uint32_t cmd)
{
    if (lapic_x2apic) {
        __asm__ volatile("mfence; lfence" ::: "memory");
        wrmsr(MSR_X2APIC(LAPIC_ICR), (uint64_t)apicid << 32 | cmd);
    } else {
        xapic_command(apicid, cmd);
    }
}

void lapic_eoi(void)
{
    lapic_write(LAPIC_EOI, 0);
}

void lapic_send(uint32_t apicid, uint8_t vector)
{
    command(apicid, ICR_ASSERT | vector);
}

void lapic_send_nmi(uint32_t apicid)
{
    command(apicid, ICR_ASSERT | ICR_NMI);
}

void lapic_send_nmi_others(void)
{
    command(0, ICR_ALL_BUT_SELF | ICR_ASSERT | ICR_NMI);
}

void lapic_send_init(uint32_t apicid)
{
    command(apicid, ICR_LEVEL | ICR_ASSERT | ICR_INIT);
}

void lapic_send_startup(uint32_t apicid, uint8_t page)
{
    command(apicid, ICR_ASSERT | ICR_STARTUP | page);
}

uint32_t lapic_id(void)
{
    uint32_t id = lapic_read(LAPIC_ID);

    return lapic_x2apic ? id : id >> 24;
}

/* --- Setting up ------------------------------------------------------------------------------------- */

static void mask_local_sources(void)
{
    unsigned max_lvt = (lapic_read(LAPIC_VERSION) >> 16) & 0xff;

    lapic_write(LAPIC_LVT_TIMER, LAPIC_LVT_MASKED | VECTOR_TIMER);
    lapic_write(LAPIC_LVT_LINT0, LAPIC_LVT_MASKED);
    lapic_write(LAPIC_LVT_LINT1, LAPIC_LVT_MASKED);
    if (max_lvt >= 4)
        lapic_write(LAPIC_LVT_PERF, LAPIC_LVT_MASKED);
    if (max_lvt >= 5)
        lapic_write(LAPIC_LVT_THERMAL, LAPIC_LVT_MASKED | VECTOR_THERMAL);
    if (max_lvt >= 6)
        lapic_write(LAPIC_CMCI, LAPIC_LVT_MASKED);
}

/* Interrupts that the firmware took but never finished would block ours of lower priority. */
static void finish_leftovers(void)
{
    unsigned reg, round;

    for (round = 0; round < 256; round++) {
        for (reg = 0; reg < 8; reg++)
            if (lapic_read(LAPIC_ISR + reg * 0x10))
                break;
        if (reg == 8)
            return;
        lapic_eoi();
    }
}

void lapic_init_cpu(void)
{
    uint64_t base = rdmsr(MSR_APIC_BASE), want = base | APIC_BASE_ENABLE;

    /* From off to x2APIC goes through xAPIC, by the rules of the mode switch. */
    if (want != base)
        wrmsr(MSR_APIC_BASE, want);
    if (lapic_x2apic && !(base & APIC_BASE_EXTD))
        wrmsr(MSR_APIC_BASE, want | APIC_BASE_EXTD);
    mask_local_sources();
    if (!lapic_x2apic) {
        lapic_write(LAPIC_DFR, 0xffffffff);
        lapic_write(LAPIC_LDR, 0);
    }
    lapic_write(LAPIC_TPR, 0);
    lapic_write(LAPIC_SVR, SVR_ENABLE | VECTOR_SPURIOUS);
    finish_leftovers();
    lapic_write(LAPIC_ESR, 0);
    lapic_write(LAPIC_LVT_ERROR, VECTOR_ERROR);
}

static void spurious_interrupt(void)
{
    __atomic_fetch_add(&spurious_count, 1, __ATOMIC_RELAXED);
}

static void error_interrupt(void)
{
    uint32_t esr;

    lapic_write(LAPIC_ESR, 0); /* latches the present errors */
    esr = lapic_read(LAPIC_ESR);
    if (__atomic_fetch_add(&error_count, 1, __ATOMIC_RELAXED) < 10)
        log_warn("APIC: error %#x on CPU %u\n", esr, cpu_self());
}

void lapic_init_boot(void)
{
    bool inherited = lapic_x2apic_by_firmware();
    paddr_t base = rdmsr(MSR_APIC_BASE) & APIC_BASE_ADDR;

    lapic_x2apic = inherited || (cpu_features.x2apic && opt.x2apic);
    if (!lapic_x2apic) {
        if (!base)
            base = acpi.lapic_base;
        lapic_mmio = ioremap(base, FRAME_SIZE, MAP_UC);
        if (!lapic_mmio)
            panic("APIC: cannot map the local APIC at %#lx", (unsigned long)base);
    }
    lapic_init_cpu();
    vector_handler_set(VECTOR_SPURIOUS, spurious_interrupt);
    vector_handler_set(VECTOR_ERROR, error_interrupt);
    if (lapic_id() != cpu_apicid[0]) {
        log_warn("APIC: boot CPU has id %u, CPUID says %u\n", lapic_id(), cpu_apicid[0]);
        cpu_apicid[0] = lapic_id();
    }
    log_info("APIC: %s%s, id %u\n", lapic_x2apic ? "x2APIC" : "xAPIC",
             inherited ? " (by firmware)" : "", lapic_id());
}
