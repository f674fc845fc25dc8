/* SPDX-License-Identifier: MIT */
/*
 * Scheduling: which vCPU runs where. common/sched.c holds the mechanism (states, wake, block, pause,
 * runstate accounting, SCHEDOP_*), a scheduler (common/sched_credit.c, sched_null.c) the policy behind
 * struct sched_ops.
 */
#pragma once

#include "list.h"
#include "lock.h"
#include "timer.h"
#include "types.h"

struct vcpu;
struct domain;

/* Why a vCPU is not runnable: bits of vcpu.pause_flags, plus vcpu.pause_count and the domain's. */
#define VPF_BLOCKED BIT(0) /* SCHEDOP_block, until an event is pending and unmasked */
#define VPF_POLL BIT(1)    /* SCHEDOP_poll, until one of the ports is pending or time is up */
#define VPF_DOWN BIT(2)    /* not brought up */
#define VPF_SHUTDOWN BIT(3) /* its domain has shut down */
#define VPF_PARKED BIT(4)  /* its domain has used up what its cap allows; the policy's alone */

/* Per-vCPU data of the mechanism and of whichever policy runs. */
struct sched_vcpu {
    bool queued;
    bool running;         /* a CPU is executing it, or its state is still loaded there */
    bool last_yield;
    bool moving;          /* state still loaded on a CPU that it leaves: placed by sched_switched() */
    bool woken;           /* this enqueue ends a block or poll (policy: boost) */
    bool soft_matters;    /* soft affinity tells between CPUs of the hard one */
    bool displaced;       /* runs outside its soft affinity */
    uint64_t started;     /* ns: when it last got the CPU */
    uint64_t affinity[MAX_CPUS / 64]; /* hard affinity */
    uint64_t soft[MAX_CPUS / 64];     /* soft affinity: preferred */

    /* Of the policy. */
    struct list run;      /* on a list of waiting or parked ones */
    struct vcpu *child, *next, *prev; /* heap of waiting ones, sched_heap.h */
    uint64_t vt;          /* credit: virtual time it has used, see sched_credit.c */
    uint64_t mark;        /* credit: its domain's clock when it was last charged */
    uint64_t charged;     /* credit: ns, when it was last charged */
    uint64_t left;        /* credit: ns, when it stopped being runnable */
    bool asleep;          /* credit: left because it was not runnable; else it moves */
    bool boost;           /* credit: was woken by an event, may preempt at once */
    uint16_t owns;        /* null: its CPU + 1, 0 = has none */
};

/* Per-domain data of the policy. */
struct sched_domain {
    uint32_t weight;      /* [a] share relative to others */
    uint32_t cap;         /* [a] per cent of one CPU, 0 = none */
    uint64_t pace;        /* [a] virtual time per ns of one running vCPU, fixed point */
    uint64_t load;        /* [a] sched_load_*(): runnable vCPUs and their integral over time */
    struct spinlock lock; /* RANK_SCHED_CAP: what follows */
    int64_t budget;       /* ns that may still be used in this period; below 0: to be paid back */
    uint64_t period;      /* ns: when this period began */
    uint64_t cap_since;   /* ns: time before is not charged */
    struct list parked;   /* vCPUs with VPF_PARKED */
    struct timer refill;  /* set while there are any */
};
#define SCHED_WEIGHT_DEFAULT 256
#define SCHED_WEIGHT_MAX 65535

/*
 * The policy. All but place(), vcpu_init and vcpu_destroy are called with the run queue lock of `cpu` held
 * (the queue the vCPU belongs to). The running vCPU is not on the queue. Optional members may be NULL.
 */
struct sched_ops {
    const char *name;
    int id; /* XEN_SCHEDULER_* of the ABI */
    void (*cpu_init)(unsigned cpu);
    int (*vcpu_init)(struct vcpu *v);      /* optional: v->sched.policy */
    void (*vcpu_destroy)(struct vcpu *v);  /* optional */
    /* v became runnable (sched.woken: by an event) or came from another CPU. */
    void (*enqueue)(unsigned cpu, struct vcpu *v, uint64_t now);
    /* v has run here since sched.started and is still runnable: put it where it belongs. */
    void (*requeue)(unsigned cpu, struct vcpu *v, uint64_t now);
    void (*dequeue)(unsigned cpu, struct vcpu *v);
    /* v stops running and is not runnable: account for its time since sched.started. */
    void (*charge)(unsigned cpu, struct vcpu *v, uint64_t now);
    /* The vCPU to run next on cpu, taken off the queue, or NULL = idle; *until = when to be asked again at
     * the latest, 0 = never. */
    struct vcpu *(*pick)(unsigned cpu, uint64_t now, uint64_t *until);
    /* Should v, just put on the queue, run now in place of curr? */
    bool (*preempts)(unsigned cpu, const struct vcpu *v, const struct vcpu *curr, uint64_t now);
    /* A vCPU of this queue for the idle CPU `thief`, still queued, or NULL: sched_may_move(v, thief). */
    struct vcpu *(*steal)(unsigned cpu, unsigned thief);
    /* Optional. After a turn ended with vCPUs waiting: one of them, still queued, that should get its turn on
     * another (busy) CPU, *to, or NULL. */
    struct vcpu *(*push)(unsigned cpu, uint64_t now, unsigned *to);
    /* Where a waking vCPU should run. Takes no lock; sched_idle_cpu() and sched_queue_length() help. */
    unsigned (*place)(struct vcpu *v);
    void (*dump)(unsigned cpu); /* debug key: the queue */
    bool has_shares; /* weights and caps mean something */
    bool dedicates;  /* a CPU may be idle though a vCPU waits on its queue */
};
extern const struct sched_ops sched_credit_ops, sched_null_ops;
const struct sched_ops *sched_policy(void); /* the one in use */
/* Choose it by name (sched=), before sched_init(); "" is the default. False: nobody is called so. */
bool sched_set_policy(const char *name);
extern uint32_t sched_ratelimit_us; /* credit: who got a CPU keeps it so long, unless it blocks; 0 = off */

/* For policies. Hints that may be old by the time they are used. */
bool sched_cpu_is_idle(unsigned cpu);
unsigned sched_idle_cpu(const struct vcpu *v); /* an idle CPU that v may use, a preferred one first, or MAX_CPUS */
unsigned sched_queue_length(unsigned cpu);
bool sched_allowed_on(const struct vcpu *v, unsigned cpu); /* affinity */
bool sched_may_move(const struct vcpu *v, unsigned cpu); /* affinity, and its state is in memory */
bool sched_prefers(const struct vcpu *v, unsigned cpu);  /* soft affinity */
/* From pick(): v, queued here and taken off the policy's queue, does not run until its flag, which the
 * policy has set, is cleared and vcpu_wake() called. */
void sched_parked(unsigned cpu, struct vcpu *v);

void sched_init(void);                  /* boot CPU, before the first domain */
void sched_cpu_init(unsigned cpu, struct vcpu *idle);
int sched_vcpu_init(struct vcpu *v, unsigned cpu);  /* VPF_DOWN set, not queued */
void sched_vcpu_destroy(struct vcpu *v);
void sched_domain_init(struct domain *d);    /* weight 256, no cap */
void sched_domain_destroy(struct domain *d); /* none of its vCPUs runs any more */
/* weight 1..65535, cap in per cent of one CPU, 0 = none. The caller sees to it that only one does so. */
void sched_domain_set(struct domain *d, uint32_t weight, uint32_t cap);
/* Set the hard affinity (intersected with the CPUs online: -XEN_EINVAL if nothing is left) and move v if
 * need be. */
int vcpu_affinity_set(struct vcpu *v, const uint64_t mask[MAX_CPUS / 64]) __must_check;
/* The CPUs it prefers among those; -XEN_EINVAL for an empty mask. */
int vcpu_soft_affinity_set(struct vcpu *v, const uint64_t mask[MAX_CPUS / 64]) __must_check;

/* Is v allowed to run now? */
bool vcpu_runnable(const struct vcpu *v);
/* Reconsider v: it may have become runnable. Any context but interrupts. */
void vcpu_wake(struct vcpu *v);
/* Clear VPF_DOWN and wake: VCPUOP_up, and the first vCPU of a new domain. */
void vcpu_up(struct vcpu *v);
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
/* A port of d became pending (masked or not): end the SCHEDOP_polls that wait for it. Any context but
 * interrupts; cheap when nobody polls (domain.nr_polling). */
void vcpu_poll_wake(struct domain *d, uint32_t port);

/* SCHEDOP_block with the ABI's race rule: unmask events, block unless one is pending. */
void vcpu_block(struct vcpu *v);
void vcpu_yield(struct vcpu *v);

/* Time v has spent in each RUNSTATE_*, up to now. */
struct vcpu_runstate_info;
void vcpu_runstate_get(struct vcpu *v, struct vcpu_runstate_info *out);
/* Copy v's runstate to the area it registered, in the current address space: by the machine after it has
 * loaded v and before v runs. */
void runstate_area_update(struct vcpu *v);
/* ns that a CPU had nothing to run. */
uint64_t sched_idle_time(unsigned cpu);
/* Change of state with accounting; called by the mechanism only. */
void vcpu_runstate_change(struct vcpu *v, int state, uint64_t now);

/* Hypercalls (hypercalls.def). */
long do_sched_op(struct vcpu *v, uint64_t cmd, uint64_t arg, uint64_t a3, uint64_t a4, uint64_t a5);
long do_sched_op_compat(struct vcpu *v, uint64_t cmd, uint64_t arg, uint64_t a3, uint64_t a4,
                        uint64_t a5);
long do_vcpu_op(struct vcpu *v, uint64_t cmd, uint64_t vcpuid, uint64_t arg, uint64_t a4,
                uint64_t a5);
long do_set_timer_op(struct vcpu *v, uint64_t timeout, uint64_t a2, uint64_t a3, uint64_t a4,
                     uint64_t a5);

/* From the machine (x86): run `next` on this CPU instead of `prev`; called by the SCHED softirq with
 * interrupts on and no lock held; may not return (the hypervisor stack of a CPU is not a vCPU's). Calls
 * sched_switched(prev) once prev's state is in memory and prev may run elsewhere: on each switch, also to
 * the idle vCPU (vcpu_sleep_sync() waits for it). */
void context_switch(struct vcpu *prev, struct vcpu *next);
void sched_switched(struct vcpu *prev);
struct vcpu *current_vcpu(void); /* what this CPU runs; the idle vCPU when none */

/* Faults in run queues and states of all vCPUs, each printed. */
unsigned sched_check(void);
/* From the machine (x86): an NMI for v; its answer to VCPUOP_get_physid. */
void arch_vcpu_send_nmi(struct vcpu *v);
uint64_t arch_cpu_physid(unsigned cpu); /* APIC id | ACPI id << 32 */
