/* SPDX-License-Identifier: MIT */
/*
 * Between the files of x86/time. The entry points for everybody else are in x86/smp.h (init), port.h
 * (now_ns, port_timer_program) and vtime.h (time_scale_now, wallclock_ns_at_boot).
 */
#pragma once

#include "timescale.h"
#include "types.h"

/* A counter of known frequency. */
struct platform_timer {
    const char *name;
    uint64_t hz;
    unsigned bits;
    uint64_t (*read)(void);
    bool lasting; /* can be read for ever, not only for a moment at boot */
};
/* The best that this machine has and that counts (clocksource= may choose); NULL: none. platform.c */
const struct platform_timer *platform_timer_find(void);

/* --- tsc.c --- */

/* After timer_cpu_init(0) and smp_start_all(): decide whether system time needs steering and start it. */
void time_init_late(void);
/* The boot CPU, while it waits for an AP: answer its questions about our TSC. Cheap when there are none. */
void time_sync_serve(void);
uint64_t time_tsc_hz(void);
bool time_tsc_in_step(void); /* the same on all CPUs */
/* Counter value of this CPU's TSC at which system time `ns` is reached (not more than 137 s ahead). */
uint64_t time_tsc_of_ns(uint64_t ns);
/* For the debug key. */
void time_dump(void);

/* --- local_timer.c --- */

void local_timer_calib_start(void);       /* free-running from 0 */
uint64_t local_timer_calib_read(void);    /* ticks since */
void local_timer_init_boot(uint64_t hz);  /* hz of the local APIC timer, from calibration */
void local_timer_init_cpu(void);

/* --- rtc.c --- */

/* Seconds since 1970 from the battery clock, or -1: not readable or nonsense. */
int64_t rtc_seconds(void);
