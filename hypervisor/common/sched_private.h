/* SPDX-License-Identifier: MIT */
/* Between sched.c (mechanism), sched_state.c (states, pauses, events), sched_ops.c and sched_debug.c only. */
#pragma once

#include "lock.h"
#include "sched.h"
#include "timer.h"

struct sched_cpu {
    struct spinlock lock;
    struct vcpu *current; /* chosen to run here; changes under the lock, by the own CPU only */
    struct vcpu *idle;
    struct timer slice;   /* raises SOFTIRQ_SCHED when pick() wants to be asked again */
    uint64_t until;       /* lock: when `slice` is (being) set to fire, 0 = not */
    bool asked;           /* [a] told to take a vCPU from another queue */
    uint64_t switches, stolen, pushed; /* for the debug key; own CPU */
    bool ready;
} __aligned_to(64);

extern struct sched_cpu sched_cpus[MAX_CPUS];
/* vCPUs that wait on each CPU's queue: written under its lock, read without by CPUs that look for
 * work. Apart from struct sched_cpu, so that such a look touches few cache lines. */
extern uint16_t sched_waiting[MAX_CPUS];
extern uint64_t sched_idle_map[MAX_CPUS / 64]; /* CPUs with nothing to do: a CPU sets its bit under its
 * lock when it chooses idle; cleared there too, by whoever queues a vCPU there, and by whoever claims the
 * CPU and then raises SOFTIRQ_SCHED on it. */

/* The run queue that v belongs to, locked: v->cpu stays what it is until it is unlocked. */
struct sched_cpu *sched_lock(struct vcpu *v);
static inline unsigned sched_cpu_of(const struct sched_cpu *s)
{
    return (unsigned)(s - sched_cpus);
}
/* Under the lock of v's queue. */
void sched_queue_add(struct sched_cpu *s, struct vcpu *v, uint64_t now);
void sched_queue_del(struct sched_cpu *s, struct vcpu *v);
/* What v's runstate should be while it does not run. */
int sched_off_state(const struct vcpu *v);
void sched_softirq(void);
/* SCHEDOP_poll: mark v (current) as polling; false: an event is to be delivered already. Then the caller
 * looks at its ports, and ends the poll if one is pending. */
bool vcpu_poll_begin(struct vcpu *v, uint32_t port);
void vcpu_poll_end(struct vcpu *v);
