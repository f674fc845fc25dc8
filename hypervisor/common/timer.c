/* SPDX-License-Identifier: MIT */
/*
 * Software timers. Each CPU has a pairing heap ordered by deadline whose links are in the timers
 * themselves: arming costs O(1), taking the first O(log n) amortised, and neither needs memory, so
 * nothing that a guest does with timers can fail or allocate. Which heap a timer is in is its `cpu`; that
 * changes only under the lock of the heap it leaves.
 *
 * The hardware is programmed when the earliest deadline of the own CPU comes nearer or moves; for
 * another CPU SOFTIRQ_TIMER is raised there. Disarming leaves the hardware alone: at worst one
 * interrupt finds nothing to do. The softirq runs what has expired, with the lock dropped, and then
 * programs the next deadline in any case, because the device is one-shot.
 */
#include "timer.h"

#include "console.h"
#include "lib.h"
#include "log.h"
#include "port.h"

/* Callbacks run in one go before other softirqs get a turn. */
#define TIMER_BATCH 64

struct timer_cpu {
    struct spinlock lock;
    struct timer *root;
    struct timer *running; /* its callback runs now; written by the own CPU under the lock */
    uint64_t programmed;   /* last told to the hardware, 0 = never; own CPU only */
    unsigned nr;
    bool in_softirq; /* own CPU only: the end of the softirq will program */
    bool ready;
} __aligned_to(64);

static struct timer_cpu timer_cpus[MAX_CPUS];

/* --- The heap ------------------------------------------------------------------------------ */

/* Two heaps, neither of which has siblings, become one. */
static struct timer *timer_meld(struct timer *a, struct timer *b)
{
    struct timer *t;

    if (!a || !b)
        return a ? a : b;
    if (b->deadline < a->deadline) {
        t = a;
        a = b;
        b = t;
    }
    b->next = a->child;
    b->prev = a;
    if (a->child)
        a->child->prev = b;
    a->child = b;
    return a;
}

/* Meld a list of siblings: in pairs from the left, then the results from the right. */
static struct timer *timer_meld_list(struct timer *list)
{
    struct timer *pairs = NULL, *heap = NULL;

    while (list) {
        struct timer *a = list, *b = a->next;

        list = b ? b->next : NULL;
        a->next = NULL;
        if (b)
            b->next = NULL;
        a = timer_meld(a, b);
        a->next = pairs;
        pairs = a;
    }
    while (pairs) {
        struct timer *a = pairs;

        pairs = a->next;
        a->next = NULL;
        heap = timer_meld(heap, a);
    }
    return heap;
}

static void timer_insert(struct timer_cpu *h, struct timer *t, uint64_t deadline)
{
    t->child = t->next = t->prev = NULL;
    WRITE_ONCE(t->deadline, deadline);
    h->root = timer_meld(h->root, t);
    h->nr++;
}

static void timer_remove(struct timer_cpu *h, struct timer *t)
{
    struct timer *sub = timer_meld_list(t->child);

    if (t == h->root) {
        h->root = sub;
    } else {
        if (t->prev->child == t)
            t->prev->child = t->next;
        else
            t->prev->next = t->next;
        if (t->next)
            t->next->prev = t->prev;
        h->root = timer_meld(h->root, sub);
    }
    if (h->root)
        h->root->prev = NULL;
    t->child = t->next = t->prev = NULL;
    WRITE_ONCE(t->deadline, 0);
    h->nr--;
}

/* The heap that t belongs to, locked. */
static struct timer_cpu *timer_lock(struct timer *t)
{
    for (;;) {
        unsigned cpu = READ_ONCE(t->cpu);
        struct timer_cpu *h = &timer_cpus[cpu];

        spin_lock(&h->lock);
        if (likely(t->cpu == cpu))
            return h;
        spin_unlock(&h->lock);
    }
}

/* --- Interface ------------------------------------------------------------------------------- */

void timer_init(struct timer *t, void (*fn)(void *), void *data, unsigned cpu)
{
    *t = (struct timer){.fn = fn, .data = data, .cpu = (uint16_t)cpu};
}

/* The earliest deadline of h is `first` now (0: none); before it was `was`. No lock held. */
static void timer_first_changed(struct timer_cpu *h, uint64_t was, uint64_t first)
{
    unsigned cpu = (unsigned)(h - timer_cpus);

    if (cpu != cpu_self()) {
        if (first && (!was || first < was))
            softirq_raise(cpu, SOFTIRQ_TIMER);
    } else if (!h->in_softirq && first && first != h->programmed) {
        h->programmed = first;
        port_timer_program(first);
    }
}

void timer_set(struct timer *t, uint64_t deadline)
{
    struct timer_cpu *h = timer_lock(t);
    uint64_t was = h->root ? h->root->deadline : 0;
    uint64_t first;

    if (!deadline)
        deadline = 1;
    if (t->deadline != deadline) {
        if (t->deadline)
            timer_remove(h, t);
        timer_insert(h, t, deadline);
    }
    first = h->root->deadline;
    spin_unlock(&h->lock);
    timer_first_changed(h, was, first);
}

void timer_stop(struct timer *t)
{
    struct timer_cpu *h;

    if (!timer_is_set(t))
        return;
    h = timer_lock(t);
    if (t->deadline)
        timer_remove(h, t);
    spin_unlock(&h->lock);
}

static bool timer_is_running(const struct timer *t)
{
    unsigned i, n = cpu_count();

    for (i = 0; i < n; i++)
        if (__atomic_load_n(&timer_cpus[i].running, __ATOMIC_ACQUIRE) == t)
            return true;
    return false;
}

/* A callback may arm its own timer again while we wait: then once more. */
void timer_kill(struct timer *t)
{
    do {
        struct timer_cpu *h = timer_lock(t);

        if (t->deadline)
            timer_remove(h, t);
        spin_unlock(&h->lock);
        while (timer_is_running(t))
            cpu_relax();
    } while (timer_is_set(t));
}

void timer_migrate(struct timer *t, unsigned cpu)
{
    struct timer_cpu *h;
    uint64_t deadline;

    if (READ_ONCE(t->cpu) == cpu)
        return;
    h = timer_lock(t);
    deadline = t->deadline;
    if (deadline)
        timer_remove(h, t);
    WRITE_ONCE(t->cpu, (uint16_t)cpu);
    spin_unlock(&h->lock);
    if (deadline)
        timer_set(t, deadline);
}

/* --- Expiry -------------------------------------------------------------------------------------- */

/* Take the first timer off and run it if it is due. */
static bool timer_run_first(struct timer_cpu *h, uint64_t now)
{
    void (*fn)(void *);
    void *data;
    struct timer *t;

    spin_lock(&h->lock);
    t = h->root;
    if (!t || t->deadline > now) {
        spin_unlock(&h->lock);
        return false;
    }
    __atomic_store_n(&h->running, t, __ATOMIC_RELEASE);
    timer_remove(h, t);
    fn = t->fn;
    data = t->data;
    spin_unlock(&h->lock);
    fn(data);
    /* From here on t's memory may be gone: timer_kill() waits for this store. */
    __atomic_store_n(&h->running, NULL, __ATOMIC_RELEASE);
    return true;
}

static void timer_softirq(void)
{
    unsigned cpu = cpu_self(), n = 0;
    struct timer_cpu *h = &timer_cpus[cpu];
    uint64_t now = now_ns(), next;

    h->in_softirq = true;
    while (n < TIMER_BATCH && timer_run_first(h, now))
        n++;
    h->in_softirq = false;
    if (n == TIMER_BATCH) {
        softirq_raise(cpu, SOFTIRQ_TIMER);
        return;
    }
    spin_lock(&h->lock);
    next = h->root ? h->root->deadline : 0;
    spin_unlock(&h->lock);
    if (next || h->programmed > now)
        port_timer_program(next);
    h->programmed = next;
}

/* --- Checks and the debug key --------------------------------------------------------------------- */

/* The next timer of a walk that meets each of a heap once; no recursion, no memory. */
static struct timer *timer_walk(struct timer *t)
{
    if (t->child)
        return t->child;
    while (t) {
        if (t->next)
            return t->next;
        while (t->prev && t->prev->child != t)
            t = t->prev;
        t = t->prev; /* the parent */
    }
    return NULL;
}

static unsigned timer_check_one(const struct timer *t, unsigned cpu)
{
    const struct timer *parent = t, *c;
    unsigned bad = t->cpu != cpu || !t->deadline || !t->fn;

    while (parent->prev && parent->prev->child != parent)
        parent = parent->prev;
    parent = parent->prev;
    if (parent && parent->deadline > t->deadline)
        bad++;
    c = t->child;
    if (c && c->prev != t)
        bad++;
    if (t->next && t->next->prev != t)
        bad++;
    if (bad)
        log_err("timers: CPU %u: bad timer %p deadline %lu\n", cpu, (const void *)t, t->deadline);
    return bad;
}

unsigned timers_check(void)
{
    unsigned cpu, bad = 0;

    for (cpu = 0; cpu < cpu_count(); cpu++) {
        struct timer_cpu *h = &timer_cpus[cpu];
        struct timer *t;
        unsigned n = 0;

        if (!h->ready)
            continue;
        spin_lock(&h->lock);
        for (t = h->root; t && n <= h->nr; t = timer_walk(t), n++)
            bad += timer_check_one(t, cpu);
        if (n != h->nr || (h->root && (h->root->prev || h->root->next))) {
            log_err("timers: CPU %u: %u in the heap, %u counted\n", cpu, n, h->nr);
            bad++;
        }
        spin_unlock(&h->lock);
    }
    return bad;
}

static void timer_print(const struct timer *t, uint64_t now)
{
    uint64_t offset = 0, size = 0;
    const char *name = symbol_name((uint64_t)(uintptr_t)t->fn, &offset, &size);

    log_info("  in %ld us: %s(%p)\n", (int64_t)(t->deadline - now) / 1000, name ? name : "?",
             t->data);
}

static void timers_dump(char key)
{
    uint64_t now = now_ns();
    unsigned cpu;

    log_info("timers at %lu ns, %u faults\n", now, timers_check());
    for (cpu = 0; cpu < cpu_count(); cpu++) {
        struct timer_cpu *h = &timer_cpus[cpu];
        struct timer *t;
        unsigned n = 0;

        if (!h->ready)
            continue;
        spin_lock(&h->lock);
        log_info("CPU %u: %u armed, hardware at %lu\n", cpu, h->nr, h->programmed);
        for (t = h->root; t && n < 40; t = timer_walk(t), n++)
            timer_print(t, now);
        spin_unlock(&h->lock);
    }
}

void timer_cpu_init(unsigned cpu)
{
    struct timer_cpu *h = &timer_cpus[cpu];

    spin_init(&h->lock, "timers", RANK_TIMER);
    h->root = h->running = NULL;
    h->programmed = 0;
    h->nr = 0;
    h->in_softirq = false;
    h->ready = true;
}

void timers_init(void)
{
    softirq_register(SOFTIRQ_TIMER, timer_softirq);
    key_register('a', timers_dump, "armed timers");
}
