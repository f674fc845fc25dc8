/* SPDX-License-Identifier: MIT */
/*
 * Scheduling: which vCPU runs where. common/sched.c holds the mechanism (states, wake, block, pause,
 * runstate accounting, SCHEDOP_*), a scheduler (common/sched_rr.c, ...) the policy behind
 * struct sched_ops.
 */
#pragma once

#include "list.h"
#include "types.h"

struct vcpu;
struct domain;

/* Why a vCPU is not runnable: bits of vcpu.pause_flags, plus vcpu.pause_count and the domain's. */
#define VPF_BLOCKED BIT(0) /* SCHEDOP_block, until an event is pending and unmasked */
#define VPF_POLL BIT(1)    /* SCHEDOP_poll, until one of the ports is pending or time is up */
#define VPF_DOWN BIT(2)    /* not brought up */

/* Per-vCPU data of the mechanism and of whichever policy runs. */
struct sched_vcpu {
    struct list run;      /* on a run queue */
    bool queued;
    bool running;         /* a CPU is executing it, or its state is still loaded there */
    bool last_yield;
    uint64_t started;     /* ns: when it last got the CPU */
    uint64_t slice_end;
    uint64_t affinity[MAX_CPUS / 64]; /* hard affinity */
};

/* The policy. All called with the run queue lock of `cpu` held (the queue the vCPU belongs to). */
struct sched_ops {
    const char *name;
    int id; /* XEN_SCHEDULER_* of the ABI */
    void (*enqueue)(unsigned cpu, struct vcpu *v, uint64_t now);
    void (*dequeue)(unsigned cpu, struct vcpu *v);
    /* The vCPU to run next on cpu (prev is already back in the queue if runnable), or NULL = idle;
     * *until = when to be asked again at the latest, 0 = never. */
    struct vcpu *(*pick)(unsigned cpu, uint64_t now, uint64_t *until);
    /* Where a waking vCPU should run. No lock held. */
    unsigned (*place)(struct vcpu *v);
};

void sched_init(void);                  /* boot CPU, before the first domain */
void sched_cpu_init(unsigned cpu, struct vcpu *idle);
int sched_vcpu_init(struct vcpu *v, unsigned cpu);  /* VPF_DOWN set, not queued */
void sched_vcpu_destroy(struct vcpu *v);

/* Is v allowed to run now? */
bool vcpu_runnable(const struct vcpu *v);
/* Reconsider v: it may have become runnable. Any context but interrupts. */
void vcpu_wake(struct vcpu *v);
/* v may have become unrunnable; if it is running elsewhere that CPU is told. */
void vcpu_sleep_nosync(struct vcpu *v);
/* ... and wait until it has really left the CPU and its state is in struct vcpu. Not on v itself. */
void vcpu_sleep_sync(struct vcpu *v);
/* Counted pause of one vCPU or all of a domain. */
void vcpu_pause(struct vcpu *v);
void vcpu_pause_nosync(struct vcpu *v);
void vcpu_unpause(struct vcpu *v);
void domain_pause(struct domain *d);
void domain_pause_nosync(struct domain *d);
void domain_unpause(struct domain *d);

/* An event became pending on v and its mask is open: leave a block or poll, or interrupt it. */
void vcpu_notify_event(struct vcpu *v);

/* SCHEDOP_block with the ABI's race rule: unmask events, block unless one is pending. */
void vcpu_block(struct vcpu *v);
void vcpu_yield(struct vcpu *v);

/* Time v has spent in each RUNSTATE_*, up to now. */
struct vcpu_runstate_info;
void vcpu_runstate_get(struct vcpu *v, struct vcpu_runstate_info *out);
/* Change of state with accounting; called by the mechanism only. */
void vcpu_runstate_change(struct vcpu *v, int state, uint64_t now);

/* Hypercalls (hypercalls.def). */
long do_sched_op(struct vcpu *v, uint64_t cmd, uint64_t arg, uint64_t a3, uint64_t a4, uint64_t a5);
long do_vcpu_op(struct vcpu *v, uint64_t cmd, uint64_t vcpuid, uint64_t arg, uint64_t a4,
                uint64_t a5);
long do_set_timer_op(struct vcpu *v, uint64_t timeout, uint64_t a2, uint64_t a3, uint64_t a4,
                     uint64_t a5);

/* From the machine (x86): run `next` on this CPU instead of `prev`; called by the SCHED softirq with
 * interrupts on and no lock held; may not return (the hypervisor stack of a CPU is not a vCPU's). Calls
 * sched_switched(prev) once prev's state is in memory and prev may run elsewhere. */
void context_switch(struct vcpu *prev, struct vcpu *next);
void sched_switched(struct vcpu *prev);
struct vcpu *current_vcpu(void); /* what this CPU runs; the idle vCPU when none */
