/* SPDX-License-Identifier: MIT */
/*
 * Guests' clocks: pvclock in vcpu_info, the wall clock in shared_info, per-vCPU timers. common/vtime.c.
 */
#pragma once

#include "types.h"

struct domain;
struct vcpu;

/* From the machine (x86/time): how to get from this CPU's time stamp counter to system time:
 * ns = stamp_ns + (((tsc - stamp_tsc) << shift (>> if negative)) * mul) >> 32. */
struct time_scale {
    uint64_t stamp_tsc, stamp_ns;
    uint32_t mul;
    int8_t shift;
    bool tsc_stable; /* invariant and in step on all CPUs: PVCLOCK_TSC_STABLE_BIT */
};
void time_scale_now(struct time_scale *s);
/* ... and for the counter that v's guest sees instead of it: changes *s, a result of time_scale_now(). */
void guest_time_scale(const struct vcpu *v, struct time_scale *s);
uint64_t wallclock_ns_at_boot(void); /* ns since 1970 at system time 0, as last set */

/* Write v's vcpu_time_info if the scale has changed since the last time (before entering the guest on
 * this CPU); `force`: in any case. */
void vtime_update_vcpu(struct vcpu *v, bool force);
/* v does not run: what its vcpu_time_info says is not to be relied on any more, it is written when v next runs. */
void vtime_forget_vcpu(struct vcpu *v);
/* Wall clock of d to its shared_info. */
void vtime_update_wallclock(struct domain *d);
/* The hardware domain sets the wall clock (XENPF_settime): all domains learn it. */
void vtime_set_wallclock(uint64_t sec, uint32_t nsec, uint64_t at_system_ns);

int vtime_vcpu_init(struct vcpu *v); /* timers, pvclock version */
void vtime_vcpu_destroy(struct vcpu *v);

/* VCPUOP timers, on v itself or on another vCPU of its domain. 0 or -XEN_EINVAL/-XEN_ETIME. */
int vtime_set_singleshot(struct vcpu *v, uint64_t deadline, bool future);
void vtime_stop_singleshot(struct vcpu *v);
int vtime_set_periodic(struct vcpu *v, uint64_t period);
void vtime_stop_periodic(struct vcpu *v);
