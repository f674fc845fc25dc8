/* SPDX-License-Identifier: MIT */
/*
 * The end of the machine: restart by the ACPI reset register, port 0xcf9, the keyboard controller or a
 * triple fault (reboot= chooses the first to try); off by the PM1 control registers with the values that
 * domain 0 took from its AML; or halt. Also what happens when domain 0 has shut down.
 */
#include "acpi.h"
#include "cmdline.h"
#include "console.h"
#include "domain.h"
#include "log.h"
#include "panic.h"
#include "port.h"
#include "x86/cpu.h"
#include "x86/mm.h"
#include "x86/power.h"
#include "x86/smp.h"

#include <xen/sched.h>

#define SLP_ENABLE 0x2000

static uint16_t sleep_pm1a, sleep_pm1b;
static bool sleep_known;
static volatile uint8_t *reset_mmio; /* mapped at boot: at the end nothing may be allocated */

__noreturn void machine_halt(void)
{
    irq_disable();
    smp_stop_others();
    for (;;)
        __asm__ volatile("cli; hlt");
}

/* --- Off --------------------------------------------------------------------------------------------- */

static void pm1_write(uint16_t a, uint16_t b)
{
    outw(acpi.pm1a_cnt, a);
    if (acpi.pm1b_cnt)
        outw(acpi.pm1b_cnt, b);
}

void acpi_enter_sleep(uint16_t pm1a, uint16_t pm1b)
{
    uint64_t flags;

    sleep_pm1a = pm1a;
    sleep_pm1b = pm1b;
    sleep_known = true;
    if (!acpi.pm1a_cnt)
        return;
    flags = irq_save();
    __asm__ volatile("wbinvd" ::: "memory");
    pm1_write((uint16_t)(pm1a & ~SLP_ENABLE), (uint16_t)(pm1b & ~SLP_ENABLE));
    pm1_write(pm1a, pm1b);
    time_delay_us(1000000);
    irq_restore(flags);
    log_warn("power: the machine did not switch off\n");
}

__noreturn void machine_power_off(void)
{
    if (sleep_known)
        acpi_enter_sleep(sleep_pm1a | SLP_ENABLE, sleep_pm1b | SLP_ENABLE);
    else
        log_info("power: no ACPI values for switching off from domain 0\n");
    log_info("power: halted; it is safe to switch off\n");
    machine_halt();
}

/* --- Restart -------------------------------------------------------------------------------------------- */

void reboot_init(void)
{
    if (acpi.reset_supported && acpi.reset_space == 0)
        reset_mmio = ioremap(acpi.reset_addr, 1, MAP_UC);
}

/* Configuration space of bus 0: device << 32 | function << 16 | offset. By ports and without a lock: whoever
 * held it will not run again. */
static void reset_acpi_pci(void)
{
    uint32_t dev = (acpi.reset_addr >> 32) & 31, fn = (acpi.reset_addr >> 16) & 7,
             reg = acpi.reset_addr & 0xff;

    outl(0xcf8, 0x80000000U | dev << 11 | fn << 8 | (reg & 0xfc));
    outb((uint16_t)(0xcfc + (reg & 3)), acpi.reset_value);
}

static void reset_acpi(void)
{
    if (!acpi.reset_supported)
        return;
    if (acpi.reset_space == 1 && acpi.reset_addr <= 0xffff)
        outb((uint16_t)acpi.reset_addr, acpi.reset_value);
    else if (acpi.reset_space == 0 && reset_mmio)
        *reset_mmio = acpi.reset_value;
    else if (acpi.reset_space == 2)
        reset_acpi_pci();
}

static void reset_pci(void)
{
    uint8_t v = inb(0xcf9) & (uint8_t)~6;

    outb(0xcf9, v | 2); /* hard reset ... */
    time_delay_us(50);
    outb(0xcf9, v | 6); /* ... now */
}

static void reset_keyboard(void)
{
    unsigned i, tries;

    for (tries = 0; tries < 10; tries++) {
        for (i = 0; (inb(0x64) & 2) && i < 10000; i++)
            ;
        outb(0x64, 0xfe);
        time_delay_us(50);
    }
}

static void reset_triple(void)
{
    static const struct {
        uint16_t limit;
        uint64_t base;
    } __packed no_idt;

    __asm__ volatile("lidt %0; int3" ::"m"(no_idt));
}

static void (*const reset_methods[])(void) = {reset_acpi, reset_pci, reset_keyboard, reset_triple};
static const char reset_letters[] = "apkt";

/* The method's name begins with its letter; "w," or "c," before it means nothing here. */
static const char *reset_wanted(void)
{
    const char *s = opt.reboot;

    if ((s[0] == 'w' || s[0] == 'c') && (s[1] == ',' || s[1] == 0))
        s += s[1] ? 2 : 1;
    return s;
}

__noreturn void machine_reboot(void)
{
    const char *wanted = reset_wanted();
    unsigned i;

    irq_disable();
    smp_stop_others();
    if (*wanted == 'n')
        machine_halt();
    for (i = 0; reset_letters[i]; i++)
        if (reset_letters[i] == *wanted) {
            reset_methods[i]();
            time_delay_us(100000);
        }
    for (i = 0; reset_letters[i]; i++) {
        reset_methods[i]();
        time_delay_us(100000);
    }
    machine_halt();
}

/* --- Domain 0 has shut down ------------------------------------------------------------------------------- */

static __noreturn void halt_for_a_person(const char *what)
{
    log_err("domain 0 %s; 'noreboot' was given: halted\n", what);
    machine_halt();
}

static __noreturn void restart(const char *what)
{
    if (opt.noreboot)
        halt_for_a_person(what);
    log_info("domain 0 %s: restarting the machine\n", what);
    machine_reboot();
}

__noreturn void machine_shutdown(unsigned code)
{
    switch (code) {
    case SHUTDOWN_poweroff:
        log_info("domain 0 halted: switching the machine off\n");
        machine_power_off();
    case SHUTDOWN_reboot:
        log_info("domain 0 asks for a restart\n");
        machine_reboot();
    case SHUTDOWN_crash:
        restart("crashed");
    case SHUTDOWN_watchdog:
        restart("let its watchdog expire");
    default:
        log_warn("domain 0 shut down with code %u\n", code);
        restart("shut down");
    }
}
