/* SPDX-License-Identifier: MIT */
/*
 * Ticket spinlocks with ranks. A CPU draws a ticket from `next` and waits until `owner` shows it,
 * so waiters are served in order. Debug builds keep, per CPU, the locks it holds in the order taken
 * and stop the machine when a rank is not above all those held (the same rank twice is allowed for
 * the few pairs that docs/LOCKING.md lists, by address or number order of their owners), and when a
 * lock is released by a CPU that does not hold it. Shared by the target and the host tests.
 */
#include "lock.h"

#include "log.h"
#include "port.h"

#ifdef ZENDO_DEBUG

#define LOCKS_HELD_MAX 16

struct locks_held {
    unsigned nr;
    const struct spinlock *lock[LOCKS_HELD_MAX];
} __aligned_to(64);

static struct locks_held locks_held[MAX_CPUS];

/* Two locks of one rank at once: only where docs/LOCKING.md gives the order. */
static bool rank_may_pair(unsigned rank)
{
    return rank == RANK_GRANT || rank == RANK_EVTCHN || rank == RANK_SCHED ||
           rank == RANK_PAGE_LIST;
}

/* Interrupts are off, or the caller cannot be interrupted by somebody who locks (lock.h). */
static void lock_check_take(const struct spinlock *l, bool may_wait)
{
    struct locks_held *h = &locks_held[cpu_self()];
    unsigned i;

    if (h->nr == LOCKS_HELD_MAX)
        panic("lock %s: %u locks held already", l->name, h->nr);
    for (i = 0; i < h->nr && may_wait; i++) {
        const struct spinlock *o = h->lock[i];

        if (o == l || o->rank > l->rank || (o->rank == l->rank && !rank_may_pair(l->rank)))
            panic("lock order: %s (%u) taken while holding %s (%u)", l->name, l->rank, o->name,
                  o->rank);
    }
}

static void lock_note_taken(const struct spinlock *l)
{
    struct locks_held *h = &locks_held[cpu_self()];

    h->lock[h->nr++] = l;
}

static void lock_note_released(const struct spinlock *l)
{
    struct locks_held *h = &locks_held[cpu_self()];
    unsigned i;

    for (i = h->nr; i-- > 0;)
        if (h->lock[i] == l) {
            for (h->nr--; i < h->nr; i++)
                h->lock[i] = h->lock[i + 1];
            return;
        }
    panic("lock %s released by CPU %u, which does not hold it", l->name, cpu_self());
}

/* Others may take and release meanwhile: a snapshot for a person. */
void locks_dump(void)
{
    for (unsigned cpu = 0; cpu < cpu_count(); cpu++) {
        const struct locks_held *h = &locks_held[cpu];

        log_info("cpu %u holds %u locks\n", cpu, READ_ONCE(h->nr));
        for (unsigned i = 0; i < READ_ONCE(h->nr) && i < LOCKS_HELD_MAX; i++)
            log_info("  %s (%u)\n", h->lock[i]->name, h->lock[i]->rank);
    }
}

#else

void locks_dump(void)
{
    log_info("this build keeps no record of locks held: make DEBUG=1\n");
}

static inline void lock_check_take(const struct spinlock *l, bool may_wait)
{
}
static inline void lock_note_taken(const struct spinlock *l)
{
}
static inline void lock_note_released(const struct spinlock *l)
{
}

#endif

void spin_lock(struct spinlock *l)
{
    uint16_t ticket;

    lock_check_take(l, true);
    ticket = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);
    while (__atomic_load_n(&l->owner, __ATOMIC_ACQUIRE) != ticket)
        cpu_relax();
    WRITE_ONCE(l->cpu, (int16_t)(cpu_self() + 1));
    lock_note_taken(l);
}

bool try_spin_lock(struct spinlock *l)
{
    uint16_t owner = __atomic_load_n(&l->owner, __ATOMIC_RELAXED);
    uint16_t next = owner;

    lock_check_take(l, false); /* who does not wait cannot deadlock */
    if (!__atomic_compare_exchange_n(&l->next, &next, (uint16_t)(owner + 1), false,
                                     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return false;
    WRITE_ONCE(l->cpu, (int16_t)(cpu_self() + 1));
    lock_note_taken(l);
    return true;
}

void spin_unlock(struct spinlock *l)
{
    lock_note_released(l);
    WRITE_ONCE(l->cpu, 0);
    /* Only the holder writes owner; release pairs with the acquire in spin_lock(). */
    __atomic_store_n(&l->owner, (uint16_t)(l->owner + 1), __ATOMIC_RELEASE);
}

bool spin_is_mine(const struct spinlock *l)
{
    return READ_ONCE(l->cpu) == (int16_t)(cpu_self() + 1);
}

uint64_t spin_lock_irqsave(struct spinlock *l)
{
    uint64_t flags = irq_save();

    spin_lock(l);
    return flags;
}

void spin_unlock_irqrestore(struct spinlock *l, uint64_t flags)
{
    spin_unlock(l);
    irq_restore(flags);
}
