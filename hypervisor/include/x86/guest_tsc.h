/* SPDX-License-Identifier: MIT */
/*
 * The time stamp counter that a guest sees (x86/time/guest_tsc.c): the processor's, or one of a fixed frequency
 * that is computed from system time whenever rdtsc traps (CR4.TSD).
 */
#pragma once

#include "types.h"
#include "vtime.h"

struct domain;
struct xen_domctl_tsc_info;

#define TSC_MODE_DEFAULT 0 /* emulate if need be */
#define TSC_MODE_ALWAYS 1
#define TSC_MODE_NEVER 2

/* [I] while the domain runs: changed only while it is paused and not loaded on any CPU. */
struct guest_tsc {
    uint32_t mode;        /* TSC_MODE_* */
    bool emulated;
    uint32_t khz;         /* of the emulated counter */
    uint32_t incarnation; /* how often the guest has been moved */
    int64_t offset_ns;    /* system time at which the counter is 0 */
    struct time_scale to_ns;
    uint64_t from_ns;     /* ticks per ns * 2^32 */
};

/* Emulated counter at system time ns. Only if emulated. */
uint64_t guest_tsc_at(const struct guest_tsc *t, uint64_t ns);
/* As the current CPU shows it to a guest of d: emulated or not. */
uint64_t guest_tsc_read(const struct domain *d);
uint32_t guest_tsc_khz(const struct domain *d);
/* mul and shift of d's counter, and the system time at which it is or was 0. */
void guest_tsc_scale(const struct domain *d, struct time_scale *s, uint64_t *at_zero);
uint32_t host_tsc_khz(void);

/* Domctl, d paused and its vCPUs' state in memory. -XEN_EINVAL: mode or frequency. */
int guest_tsc_set(struct domain *d, const struct xen_domctl_tsc_info *info) __must_check;
void guest_tsc_get(const struct domain *d, struct xen_domctl_tsc_info *info);
