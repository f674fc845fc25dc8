/* SPDX-License-Identifier: MIT */
/*
 * Translation caches. Guest translations are never global, so loading cr3 drops them all.
 *
 * The flush clock makes most remote flushes unnecessary. It is a 64-bit count; a CPU that begins a full flush
 * takes the next value t and, when the flush is done, notes t as its own stamp. Whoever removes the last
 * mapping of a frame notes the clock s (its low 32 bits are kept in struct page). A CPU whose stamp is > s has
 * flushed since; only the others are interrupted. Ages are compared, not values: the frame's age is at least
 * (uint32_t)(clock - s), so that a wrap of the 32 bits can only cause a flush too many, never one too few.
 *
 * A CPU that runs on idle_cr3 holds no guest translation and is skipped: it loads cr3 before it runs a guest.
 *
 * An idle CPU keeps the page tables of the vCPU that went to sleep on it, but touches no guest address. It is not
 * woken for a flush; it finds the flush wanted when it goes back to a guest ("lazy"). The exception is a page
 * table that stops being one (tlb_flush_stale_tables): the processor might walk it at any time of its own accord.
 */
#include "irq.h"
#include "lock.h"
#include "log.h"
#include "port.h"
#include "x86/cpu.h"
#include "x86/mm.h"
#include "x86/smp.h"

struct cpu_flush {
    uint64_t stamp;    /* [a] flush clock at its last full flush */
    uint64_t on_guest; /* [a] cr3 is a guest's */
    uint32_t lazy;     /* [a] idle: a flush may wait */
    uint32_t wanted;   /* [a] ... and one does */
} __aligned_to(64);

static struct cpu_flush cpus[MAX_CPUS];
static uint64_t flush_clock = 1; /* [a] */

/* One request at a time. */
static struct spinlock flush_lock = SPINLOCK_INIT("tlb flush", RANK_TLB);
static uint64_t flush_va;                      /* 0: everything */
static uint64_t flush_waiting[MAX_CPUS / 64];  /* [a] CPUs that have not answered */

void write_guest_cr3(uint64_t cr3)
{
    struct cpu_info *ci = cpu_info();
    struct cpu_flush *c = &cpus[ci->cpu];
    uint64_t t = __atomic_add_fetch(&flush_clock, 1, __ATOMIC_SEQ_CST);

    WRITE_ONCE(c->on_guest, cr3 != idle_cr3);
    smp_mb(); /* pairs with tlb_flush_stale(): on_guest is seen before we can cache anything */
    ci->guest_cr3 = cr3;
    write_cr3(cr3);
    WRITE_ONCE(c->stamp, t);
}

void tlb_flush_local(void)
{
    uint64_t cr4 = read_cr4(), t = __atomic_add_fetch(&flush_clock, 1, __ATOMIC_SEQ_CST);

    if (cr4 & CR4_PGE) {
        write_cr4(cr4 & ~CR4_PGE);
        write_cr4(cr4);
    } else {
        write_cr3(read_cr3());
    }
    WRITE_ONCE(cpus[cpu_self()].stamp, t);
}

/* Guest translations only. */
static void flush_guest_local(void)
{
    uint64_t t = __atomic_add_fetch(&flush_clock, 1, __ATOMIC_SEQ_CST);

    write_cr3(read_cr3());
    WRITE_ONCE(cpus[cpu_self()].stamp, t);
}

void tlb_flush_guest_local(void)
{
    flush_guest_local();
}

#define FLUSH_GLOBAL 1UL /* flush_va: 0 = guest translations, 1 = everything, else one page */

static void flush_one(uint64_t what)
{
    if (what == 0)
        flush_guest_local();
    else if (what == FLUSH_GLOBAL)
        tlb_flush_local();
    else
        invlpg(what);
}

static void flush_interrupt(void)
{
    unsigned self = cpu_self();

    if (!(__atomic_load_n(&flush_waiting[self / 64], __ATOMIC_ACQUIRE) & BIT(self % 64)))
        return;
    flush_one(READ_ONCE(flush_va));
    __atomic_fetch_and(&flush_waiting[self / 64], ~BIT(self % 64), __ATOMIC_RELEASE);
}

void tlb_init(void)
{
    vector_handler_set(VECTOR_TLB_FLUSH, flush_interrupt);
}

static bool any(const uint64_t *mask)
{
    uint64_t all = 0;

    for (unsigned i = 0; i < MAX_CPUS / 64; i++)
        all |= READ_ONCE(mask[i]);
    return all;
}

void tlb_lazy_enter(void)
{
    __atomic_store_n(&cpus[cpu_self()].lazy, 1, __ATOMIC_SEQ_CST);
}

void tlb_lazy_leave(void)
{
    struct cpu_flush *c = &cpus[cpu_self()];

    __atomic_store_n(&c->lazy, 0, __ATOMIC_SEQ_CST);
    /* pairs with leave_to_lazy(): either it sees us awake or we see the wish */
    if (__atomic_load_n(&c->wanted, __ATOMIC_SEQ_CST)) {
        __atomic_store_n(&c->wanted, 0, __ATOMIC_SEQ_CST);
        flush_guest_local();
    }
}

/* Is it enough to leave word for this CPU? */
static bool leave_to_lazy(struct cpu_flush *c)
{
    if (!__atomic_load_n(&c->lazy, __ATOMIC_SEQ_CST))
        return false;
    __atomic_store_n(&c->wanted, 1, __ATOMIC_SEQ_CST);
    return __atomic_load_n(&c->lazy, __ATOMIC_SEQ_CST);
}

static void flush_mask(const uint64_t mask[MAX_CPUS / 64], uint64_t what, bool lazy_may_wait)
{
    unsigned self = cpu_self(), n = cpu_count();
    uint64_t others[MAX_CPUS / 64];

    if (mask[self / 64] & BIT(self % 64))
        flush_one(what);
    for (unsigned i = 0; i < MAX_CPUS / 64; i++)
        others[i] = mask[i];
    others[self / 64] &= ~BIT(self % 64);
    for (unsigned cpu = 0; lazy_may_wait && cpu < n; cpu++)
        if ((others[cpu / 64] & BIT(cpu % 64)) && leave_to_lazy(&cpus[cpu]))
            others[cpu / 64] &= ~BIT(cpu % 64);
    if (!any(others))
        return;

    spin_lock(&flush_lock);
    WRITE_ONCE(flush_va, what);
    for (unsigned i = 0; i < MAX_CPUS / 64; i++)
        __atomic_store_n(&flush_waiting[i], others[i], __ATOMIC_RELEASE);
    for (unsigned cpu = 0; cpu < n; cpu++)
        if (others[cpu / 64] & BIT(cpu % 64))
            lapic_send(cpu_apicid[cpu], VECTOR_TLB_FLUSH);
    while (any(flush_waiting))
        cpu_relax();
    spin_unlock(&flush_lock);
}

void tlb_flush_cpus(const uint64_t mask[MAX_CPUS / 64])
{
    flush_mask(mask, 0, true);
}

void tlb_flush_page_cpus(const uint64_t mask[MAX_CPUS / 64], uint64_t va)
{
    flush_mask(mask, va & FRAME_MASK, true);
}

void tlb_flush_all(void)
{
    uint64_t mask[MAX_CPUS / 64];

    for (unsigned i = 0; i < MAX_CPUS / 64; i++)
        mask[i] = ~0UL;
    for (unsigned cpu = cpu_count(); cpu < MAX_CPUS; cpu++)
        mask[cpu / 64] &= ~BIT(cpu % 64);
    flush_mask(mask, FLUSH_GLOBAL, false);
}

uint32_t tlb_stamp_now(void)
{
    return (uint32_t)__atomic_load_n(&flush_clock, __ATOMIC_SEQ_CST);
}

static void flush_stale(uint32_t stamp, bool lazy_may_wait)
{
    uint64_t mask[MAX_CPUS / 64] = {0}, found = 0, now;
    unsigned n = cpu_count();

    smp_mb();
    now = READ_ONCE(flush_clock);
    for (unsigned cpu = 0; cpu < n; cpu++) {
        uint64_t frame_age = (uint32_t)((uint32_t)now - stamp);

        /* flushed since: stamp > s, that is age < the frame's */
        if (!READ_ONCE(cpus[cpu].on_guest) || now - READ_ONCE(cpus[cpu].stamp) < frame_age)
            continue;
        mask[cpu / 64] |= BIT(cpu % 64);
        found = 1;
    }
    if (found)
        flush_mask(mask, 0, lazy_may_wait);
}

void tlb_flush_stale(uint32_t stamp)
{
    flush_stale(stamp, true);
}

void tlb_flush_stale_tables(uint32_t stamp)
{
    flush_stale(stamp, false);
}
