/* SPDX-License-Identifier: MIT */
/* Soft interrupts: marked in cpu_info, run on the way back to a guest or in the idle loop. */
#include "irq.h"
#include "lib.h"
#include "log.h"
#include "port.h"
#include "sched.h"
#include "vtime.h"
#include "x86/cpu.h"
#include "x86/guest.h"
#include "x86/smp.h"
#include "x86/softirq.h"

static void (*handler[SOFTIRQ_NR])(void);
static struct cpu_info *info_of[MAX_CPUS];

void softirq_register(enum softirq nr, void (*fn)(void))
{
    handler[nr] = fn;
}

void softirq_cpu_init(void)
{
    info_of[cpu_self()] = cpu_info();
}

void softirq_raise(unsigned cpu, enum softirq nr)
{
    struct cpu_info *ci = info_of[cpu];
    uint32_t old;

    if (!ci)
        return;
    old = __atomic_fetch_or(&ci->softirq_pending, (uint32_t)BIT(nr), __ATOMIC_SEQ_CST);
    if (!(old & BIT(nr)) && cpu != cpu_self())
        smp_send_event_check(cpu);
}

bool preempt_needed(void)
{
    return READ_ONCE(cpu_info()->softirq_pending) != 0;
}

/* Interrupts on. SCHED goes last: it may not return. */
void softirq_run(void)
{
    struct cpu_info *ci = cpu_info();
    uint32_t todo = __atomic_exchange_n(&ci->softirq_pending, 0, __ATOMIC_SEQ_CST);

    for (unsigned nr = 0; nr < SOFTIRQ_NR; nr++)
        if (nr != SOFTIRQ_SCHED && (todo & BIT(nr)) && handler[nr])
            handler[nr]();
    /* The clock may have been steered: a vCPU that never sleeps learns it here. */
    if ((todo & BIT(SOFTIRQ_TIME)) || (todo & BIT(SOFTIRQ_TIMER)))
        if (ci->current && !ci->current->idle)
            vtime_update_vcpu(ci->current, false);
    if ((todo & BIT(SOFTIRQ_SCHED)) && handler[SOFTIRQ_SCHED])
        handler[SOFTIRQ_SCHED]();
}

void vcpu_kick(struct vcpu *v)
{
    unsigned cpu = v->cpu;

    /* An interrupt takes it out of the guest; the exit path looks at events. */
    if (cpu != cpu_self())
        smp_send_event_check(cpu);
}
