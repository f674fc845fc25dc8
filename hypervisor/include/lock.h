/* SPDX-License-Identifier: MIT */
/*
 * Ranked ticket spinlocks. A CPU may take a lock only if its rank is higher than that of every lock
 * it holds (docs/LOCKING.md); debug builds check this. The host tests use the same code.
 *
 * Interrupt rule: interrupt handlers of ours only acknowledge and raise softirqs, so a plain lock is
 * never taken in interrupt context and is held with interrupts on. The few locks that an interrupt
 * handler does take (rank RANK_IRQ and above) are taken with the _irqsave forms only.
 */
#pragma once

#include "types.h"

/* Taken in this order. Keep docs/LOCKING.md in step. */
enum lock_rank {
    RANK_DOMLIST = 10,  /* creation and removal of domains */
    RANK_DOMCTL = 20,   /* per domain: reconfiguration */
    RANK_GRANT = 30,    /* grant table of a domain (two: lower domid first) */
    RANK_P2M = 40,      /* memory operations of a domain */
    RANK_EVTCHN = 50,   /* event channels of a domain (two: lower domid first) */
    RANK_EVTCHN_LINK = 51, /* who is connected to whom (one, global; binding and closing only) */
    RANK_EVTCHN_PORT = 52, /* state of one port; the only lock of the send path above the queue's */
    RANK_EVTCHN_Q = 55, /* FIFO queue of a vCPU */
    RANK_PIRQ = 58,     /* guest side of physical interrupts */
    RANK_LOGDIRTY_HELD = 59, /* list of a logged domain's frames that others can write to */
    RANK_PAGE_LIST = 60, /* list of a domain's frames, its counts */
    RANK_HYPMAP = 61,   /* the hypervisor's own page tables */
    RANK_HEAP = 64,     /* frame allocator */
    RANK_SLAB = 62,     /* small objects */
    RANK_TIME = 66,     /* wall clock, platform timer */
    RANK_SCHED = 70,    /* run queue of a CPU (two: lower CPU first) */
    RANK_SCHED_CAP = 72, /* what a capped domain may still use */
    RANK_TIMER = 74,    /* timer heap of a CPU */
    RANK_MAP = 76,      /* list of domains, for look-ups */
    RANK_LOGDIRTY = 77, /* mirror tables of a logged domain */
    RANK_TLB = 78,      /* one remote flush at a time */
    RANK_IRQ = 80,      /* interrupt descriptors: interrupts off from here on */
    RANK_PCI = 84,      /* configuration space ports */
    RANK_IOAPIC = 86,
    RANK_CONSOLE = 96,
};

struct spinlock {
    uint16_t next, owner; /* ticket */
    uint16_t rank;
    int16_t cpu; /* holder + 1, 0 if none: for debug keys and the order check */
    const char *name;
};

#define SPINLOCK_INIT(nm, rk) {.rank = (rk), .name = (nm)}
static inline void spin_init(struct spinlock *l, const char *name, enum lock_rank rank)
{
    *l = (struct spinlock)SPINLOCK_INIT(name, (uint16_t)rank);
}

/* lib/lock.c */
void spin_lock(struct spinlock *l);
void spin_unlock(struct spinlock *l);
bool try_spin_lock(struct spinlock *l);
bool spin_is_mine(const struct spinlock *l);

/* Debug key: what each CPU holds. */
void locks_dump(void);

/* irq_save/irq_restore come from the machine (port.h). */
uint64_t spin_lock_irqsave(struct spinlock *l);
void spin_unlock_irqrestore(struct spinlock *l, uint64_t flags);
