/* SPDX-License-Identifier: MIT */
/*
 * Software timers: per CPU, a heap ordered by deadline; callbacks run in SOFTIRQ_TIMER with
 * interrupts on and no lock held. The heap's links are in the timers, so that arming one never needs
 * memory and never fails. common/timer.c.
 */
#pragma once

#include "lock.h"
#include "types.h"

struct timer {
    uint64_t deadline; /* ns of system time; 0 when not set */
    void (*fn)(void *data);
    void *data;
    /* Links of the heap of `cpu`, private to timer.c: first child, next sibling, and previous
     * sibling or (for a first child) the parent. */
    struct timer *child, *next, *prev;
    uint16_t cpu;
};

void timer_init(struct timer *t, void (*fn)(void *), void *data, unsigned cpu);
/* (Re)arm at an absolute time; a time already past fires at once. O(log n). */
void timer_set(struct timer *t, uint64_t deadline);
/* Disarm. The callback may still be running on another CPU. */
void timer_stop(struct timer *t);
/* Disarm and wait until the callback is not running anywhere: then the memory may go. Not from
 * the callback itself. */
void timer_kill(struct timer *t);
/* Move to another CPU, armed or not. */
void timer_migrate(struct timer *t, unsigned cpu);
/* Set up a CPU's heap; before its first timer. */
void timer_cpu_init(unsigned cpu);
/* Checks all heaps; number of faults, each printed. */
unsigned timers_check(void);
/* Boot CPU, before the first timer_cpu_init(): registers SOFTIRQ_TIMER and debug key 'a'. */
void timers_init(void);
static inline bool timer_is_set(const struct timer *t)
{
    return READ_ONCE(t->deadline) != 0;
}
