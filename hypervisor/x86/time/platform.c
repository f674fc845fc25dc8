/* SPDX-License-Identifier: MIT */
/*
 * Platform timers: counters of known frequency against which the TSC is measured. In order of preference:
 * the ACPI PM timer (nobody, domain 0 included, can stop or set it), the HPET's main counter, and for
 * machines with neither channel 2 of the PIT, good for one window of 50 ms at boot only.
 * Facts: ACPI 6.4 4.8.3.3, HPET specification 1.0a, 8254 data sheet.
 */
#include "acpi.h"
#include "cmdline.h"
#include "lib.h"
#include "log.h"
#include "x86/cpu.h"
#include "x86/mm.h"
#include "x86/time.h"

/* --- ACPI PM timer --- */

static uint64_t pmtimer_read(void)
{
    return inl(acpi.pm_timer_port);
}

static struct platform_timer pmtimer = {
    .name = "acpi", .hz = 3579545, .bits = 24, .read = pmtimer_read, .lasting = true};

static bool pmtimer_probe(void)
{
    if (!acpi.pm_timer_port)
        return false;
    if (acpi.pm_timer_32bit)
        pmtimer.bits = 32;
    return true;
}

/* --- HPET --- */

#define HPET_CAP_HIGH 0x04 /* femtoseconds per tick */
#define HPET_CONFIG 0x10
#define HPET_COUNTER 0xf0
#define HPET_ENABLE 1
#define HPET_LEGACY 2
#define HPET_PERIOD_MAX 100000000

static volatile uint32_t *hpet;

static uint64_t hpet_read(void)
{
    return hpet[HPET_COUNTER / 4]; /* the low half: reads as one piece everywhere */
}

static struct platform_timer hpet_timer = {
    .name = "hpet", .bits = 32, .read = hpet_read, .lasting = true};

static bool hpet_probe(void)
{
    uint32_t period;

    if (!acpi.hpet_base)
        return false;
    hpet = ioremap(acpi.hpet_base, 1024, MAP_UC);
    if (!hpet)
        return false;
    period = hpet[HPET_CAP_HIGH / 4];
    if (period == 0 || period > HPET_PERIOD_MAX)
        return false;
    hpet_timer.hz = 1000000000000000ULL / period;
    hpet[HPET_CONFIG / 4] = (hpet[HPET_CONFIG / 4] & ~HPET_LEGACY) | HPET_ENABLE;
    return true;
}

/* --- PIT channel 2: started once, counts down from 65535 in 55 ms --- */

#define PIT_CH2 0x42
#define PIT_MODE 0x43
#define PIT_GATE 0x61

static uint64_t pit_read(void)
{
    uint16_t v;

    outb(PIT_MODE, 0x80); /* latch channel 2 */
    v = inb(PIT_CH2);
    v = (uint16_t)(v | inb(PIT_CH2) << 8);
    return (uint16_t)(0xffff - v);
}

static struct platform_timer pit = {.name = "pit", .hz = 1193182, .bits = 16, .read = pit_read};

static bool pit_probe(void)
{
    outb(PIT_GATE, (uint8_t)((inb(PIT_GATE) & ~2) | 1)); /* gate on, speaker off */
    outb(PIT_MODE, 0xb0);                                /* channel 2, both bytes, mode 0 */
    outb(PIT_CH2, 0xff);
    outb(PIT_CH2, 0xff);
    return true;
}

static const struct {
    struct platform_timer *t;
    bool (*probe)(void);
} known[] = {{&pmtimer, pmtimer_probe}, {&hpet_timer, hpet_probe}, {&pit, pit_probe}};

/* Does it move? 100 us of I/O are plenty for any of them. */
static bool counts(const struct platform_timer *t)
{
    uint64_t first = t->read();
    unsigned i;

    for (i = 0; i < 200; i++) {
        inb(0x80);
        if (t->read() != first)
            return true;
    }
    return false;
}

const struct platform_timer *platform_timer_find(void)
{
    unsigned i, pass;

    /* First what the command line asks for, then any. */
    for (pass = 0; pass < 2; pass++)
        for (i = 0; i < ARRAY_SIZE(known); i++) {
            if (pass == 0 && strcmp(opt.clocksource, known[i].t->name))
                continue;
            if (known[i].probe() && counts(known[i].t))
                return known[i].t;
        }
    return NULL;
}
