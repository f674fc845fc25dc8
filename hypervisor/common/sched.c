/* SPDX-License-Identifier: MIT */
/*
 * The mechanism of scheduling: run queues and their locks, the SCHED softirq that switches, moving vCPUs
 * between CPUs. What makes a vCPU runnable or not is in sched_state.c, the policy (sched_credit.c, sched_null.c)
 * behind struct sched_ops.
 *
 *            wake (place)                pick                     not runnable
 *   off  ------------------> queued -------------> current  -----------------------> off
 *                              ^                      |          (VPF_*, paused)
 *                              +---- preempted -------+
 *
 * A vCPU belongs to the queue of v->cpu; v->cpu, sched.queued and the runstate change only under
 * that queue's lock. Two queues are never locked at once: a vCPU changes its queue while it is neither
 * queued nor running, and whoever then locks its (new) queue finds out by looking whether it has to
 * be queued there (sched_requeue_if_needed): each step can be repeated, none can be lost.
 *
 * sched.running says that a CPU holds the vCPU's state: set when it is picked, cleared by
 * sched_switched() once the state is in memory. While it is set, v->cpu is that CPU and v can be queued
 * only there; so nobody else can run it too early. A CPU that leaves v queued behind tells an idle CPU.
 *
 * No runnable vCPU waits while a CPU it may use is idle: a CPU that finds nothing to do first marks itself
 * idle and then looks at all queues; who queues a vCPU first counts it and then looks for idle
 * CPUs. One of the two sees the other (both sides have a full barrier in between).
 *
 * Soft affinity never lets a CPU idle. A vCPU that runs outside its own (`displaced`) is counted; a CPU that finds
 * nothing to do calls such a one home: that CPU lets go of it as if affinity forbade it to stay.
 */
#include "sched.h"

#include "domain.h"
#include "lib.h"
#include "log.h"
#include "port.h"
#include "sched_private.h"

struct sched_cpu sched_cpus[MAX_CPUS];
uint16_t sched_waiting[MAX_CPUS];
uint64_t sched_idle_map[MAX_CPUS / 64];

static const struct sched_ops *const policies[] = {&sched_credit_ops, &sched_null_ops};
static const struct sched_ops *ops = &sched_credit_ops;
static uint32_t sched_displaced; /* [a] vCPUs that run outside their soft affinity */

const struct sched_ops *sched_policy(void)
{
    return ops;
}

/* credit2 is what the reference calls its default, which does what our credit does. */
bool sched_set_policy(const char *name)
{
    unsigned i;

    if (!*name || !strcmp(name, "credit2"))
        name = sched_credit_ops.name;
    for (i = 0; i < ARRAY_SIZE(policies); i++)
        if (!strcmp(policies[i]->name, name)) {
            ops = policies[i];
            return true;
        }
    return false;
}

/* --- Hints for policies ------------------------------------------------------------------------ */

bool sched_cpu_is_idle(unsigned cpu)
{
    return bit_test(sched_idle_map, cpu);
}

static unsigned sched_idle_of(const uint64_t *also, const uint64_t *mask)
{
    unsigned i, n = DIV_UP(cpu_count(), 64);

    for (i = 0; i < n; i++) {
        uint64_t m = READ_ONCE(sched_idle_map[i]) & READ_ONCE(mask[i]) & READ_ONCE(also[i]);

        if (m)
            return i * 64 + bit_first(m);
    }
    return MAX_CPUS;
}

unsigned sched_idle_cpu(const struct vcpu *v)
{
    unsigned cpu = MAX_CPUS;

    if (unlikely(READ_ONCE(v->sched.soft_matters)))
        cpu = sched_idle_of(v->sched.soft, v->sched.affinity);
    return cpu < MAX_CPUS ? cpu : sched_idle_of(v->sched.affinity, v->sched.affinity);
}

bool sched_prefers(const struct vcpu *v, unsigned cpu)
{
    return likely(!READ_ONCE(v->sched.soft_matters)) || bit_test(v->sched.soft, cpu);
}

unsigned sched_queue_length(unsigned cpu)
{
    /* A CPU that has just come online is nobody's choice until it schedules. */
    return READ_ONCE(sched_cpus[cpu].ready) ? READ_ONCE(sched_waiting[cpu]) : UINT16_MAX;
}

bool sched_allowed_on(const struct vcpu *v, unsigned cpu)
{
    return bit_test(v->sched.affinity, cpu);
}

bool sched_may_move(const struct vcpu *v, unsigned cpu)
{
    return !__atomic_load_n(&v->sched.running, __ATOMIC_SEQ_CST) && sched_allowed_on(v, cpu);
}

/* --- Queues ------------------------------------------------------------------------------------- */

struct sched_cpu *sched_lock(struct vcpu *v)
{
    for (;;) {
        unsigned cpu = READ_ONCE(v->cpu);
        struct sched_cpu *s = &sched_cpus[cpu];

        spin_lock(&s->lock);
        if (likely(v->cpu == cpu))
            return s;
        spin_unlock(&s->lock);
    }
}

static void sched_count(struct sched_cpu *s, int delta)
{
    unsigned cpu = sched_cpu_of(s);

    WRITE_ONCE(sched_waiting[cpu], (uint16_t)(sched_waiting[cpu] + delta));
}

void sched_queue_add(struct sched_cpu *s, struct vcpu *v, uint64_t now)
{
    v->sched.queued = true;
    sched_count(s, 1);
    ops->enqueue(sched_cpu_of(s), v, now);
}

void sched_queue_del(struct sched_cpu *s, struct vcpu *v)
{
    ops->dequeue(sched_cpu_of(s), v);
    sched_count(s, -1);
    v->sched.queued = false;
}

void sched_parked(unsigned cpu, struct vcpu *v)
{
    sched_count(&sched_cpus[cpu], -1);
    v->sched.queued = false;
}

/* Have an idle CPU look at the other queues; its bit was cleared by us. */
static void sched_ask(unsigned cpu)
{
    __atomic_store_n(&sched_cpus[cpu].asked, true, __ATOMIC_SEQ_CST);
    softirq_raise(cpu, SOFTIRQ_SCHED);
}

/* A vCPU waits on CPU `busy`: if another CPU that may run it has nothing to do, have it look. */
static void sched_tell_idle(const struct vcpu *v, unsigned busy)
{
    unsigned cpu;

    smp_mb(); /* the count of the queue before the map of idle CPUs */
    while ((cpu = sched_idle_cpu(v)) < MAX_CPUS)
        if (cpu == busy || bit_test_and_clear(sched_idle_map, cpu)) {
            sched_ask(cpu);
            return;
        }
}

/* Some wait on s (locked) that its CPU does not choose now: have idle CPUs that may run one look. Rare: who
 * queues a vCPU normally finds the idle CPU for it. But a CPU that was told to look need not take the one
 * for which it was told; so whoever took something calls sched_share_all(). */
static void sched_share(struct sched_cpu *s)
{
    unsigned self = sched_cpu_of(s), cpu, n = cpu_count(), left = sched_waiting[self];

    smp_mb(); /* as in sched_tell_idle() */
    for (cpu = find_next_bit(sched_idle_map, n, 0); cpu < n && left;
         cpu = find_next_bit(sched_idle_map, n, cpu + 1)) {
        if (cpu != self && ops->steal(self, cpu) && bit_test_and_clear(sched_idle_map, cpu)) {
            sched_ask(cpu);
            left--;
        }
    }
}

static void sched_share_all(void)
{
    unsigned cpu, n = cpu_count();

    if (find_first_bit(sched_idle_map, n) >= n)
        return;
    for (cpu = 0; cpu < n; cpu++) {
        if (!READ_ONCE(sched_waiting[cpu]))
            continue;
        spin_lock(&sched_cpus[cpu].lock);
        sched_share(&sched_cpus[cpu]);
        spin_unlock(&sched_cpus[cpu].lock);
    }
}

/* What to do after the lock of a queue is dropped on which v was put. */
struct sched_news {
    bool ask;   /* its CPU should choose anew */
    bool share; /* v will wait there: an idle CPU might take it */
};

/* v becomes runnable on s (locked). A CPU without a slice timer must choose anew to start it. */
static struct sched_news sched_admit(struct sched_cpu *s, struct vcpu *v)
{
    unsigned cpu = sched_cpu_of(s);
    uint64_t now = now_ns();
    bool idle = s->current->idle;
    struct sched_news news;

    vcpu_runstate_change(v, RUNSTATE_runnable, now);
    sched_queue_add(s, v, now);
    if (idle && bit_test(sched_idle_map, cpu))
        bit_clear(sched_idle_map, cpu);
    news.ask = idle || !s->until || ops->preempts(cpu, v, s->current, now);
    news.share = !idle || sched_waiting[cpu] > 1;
    return news;
}

static void sched_tell(struct sched_news news, struct vcpu *v, unsigned cpu)
{
    if (news.ask)
        softirq_raise(cpu, SOFTIRQ_SCHED);
    if (news.share)
        sched_tell_idle(v, cpu);
}

/* Should v be on a queue and is not? Under the lock of s. The current vCPU of a CPU is looked at by its
 * softirq; one that still is loaded where affinity forbids it waits for sched_switched(). */
static bool sched_needs_queue(struct sched_cpu *s, struct vcpu *v)
{
    if (v->sched.queued || s->current == v || !vcpu_runnable(v))
        return false;
    if (likely(!v->sched.running || sched_allowed_on(v, sched_cpu_of(s))))
        return true;
    __atomic_store_n(&v->sched.moving, true, __ATOMIC_SEQ_CST);
    return !__atomic_load_n(&v->sched.running, __ATOMIC_SEQ_CST); /* pairs with sched_switched() */
}

/* Queue v on s if it should be; takes and drops the lock. */
static void sched_requeue_if_needed(struct sched_cpu *s, struct vcpu *v)
{
    unsigned cpu = sched_cpu_of(s);
    struct sched_news news = {false, false};

    spin_lock(&s->lock);
    if (v->cpu == cpu && sched_needs_queue(s, v))
        news = sched_admit(s, v);
    spin_unlock(&s->lock);
    sched_tell(news, v, cpu);
}

/* v is not to be queued: only its runstate may change (blocked to paused). Under the lock of s. */
static void sched_note_off(struct sched_cpu *s, struct vcpu *v)
{
    int state;

    if (v->sched.queued || s->current == v || vcpu_runnable(v))
        return;
    state = sched_off_state(v);
    if (v->runstate.state != state)
        vcpu_runstate_change(v, state, now_ns());
}

void vcpu_wake(struct vcpu *v)
{
    struct sched_cpu *s = sched_lock(v);
    struct sched_news news;
    unsigned cpu;

    if (!sched_needs_queue(s, v)) {
        sched_note_off(s, v);
        spin_unlock(&s->lock);
        return;
    }
    cpu = v->sched.running ? v->cpu : ops->place(v);
    if (cpu != v->cpu) {
        v->cpu = (uint16_t)cpu;
        spin_unlock(&s->lock);
        sched_requeue_if_needed(&sched_cpus[cpu], v);
        return;
    }
    news = sched_admit(s, v);
    spin_unlock(&s->lock);
    sched_tell(news, v, cpu);
}

/* --- The softirq ----------------------------------------------------------------------------------- */

/* Nothing to do here: take a waiting vCPU from another queue to ours. True if something was moved. */
static bool sched_steal(unsigned self)
{
    unsigned i, n = cpu_count();

    for (i = 1; i < n; i++) {
        unsigned cpu = (self + i) % n;
        struct sched_cpu *o = &sched_cpus[cpu];
        struct vcpu *v;

        if (!READ_ONCE(sched_waiting[cpu]))
            continue;
        spin_lock(&o->lock);
        /* An idle CPU with one waiting is about to run that one itself. */
        v = sched_waiting[cpu] > o->current->idle || ops->dedicates ? ops->steal(cpu, self) : NULL;
        if (v) {
            sched_queue_del(o, v);
            v->cpu = (uint16_t)self;
        }
        spin_unlock(&o->lock);
        if (v) {
            sched_cpus[self].stolen++;
            sched_requeue_if_needed(&sched_cpus[self], v);
            sched_share_all();
            return true;
        }
    }
    return false;
}

/* Must v, current on s and runnable, leave this CPU: for affinity, or for a preferred CPU that has nothing to do? */
static bool sched_must_leave(const struct sched_cpu *s, const struct vcpu *v)
{
    if (unlikely(!sched_allowed_on(v, sched_cpu_of(s))))
        return true;
    return unlikely(v->sched.displaced) && !sched_prefers(v, sched_cpu_of(s)) &&
           sched_idle_of(v->sched.soft, v->sched.affinity) < MAX_CPUS;
}

/* prev stops being current (lock held): to the queue, off, or, if it is not to stay here, to
 * another CPU after sched_switched(). */
static void sched_put_prev(struct sched_cpu *s, struct vcpu *prev, uint64_t now)
{
    if (prev->idle)
        return;
    if (!vcpu_runnable(prev)) {
        ops->charge(sched_cpu_of(s), prev, now);
    } else if (unlikely(sched_must_leave(s, prev))) {
        ops->charge(sched_cpu_of(s), prev, now);
        prev->sched.moving = true;
    } else {
        prev->sched.queued = true;
        sched_count(s, 1);
        ops->requeue(sched_cpu_of(s), prev, now);
    }
}

static void sched_note_displaced(struct vcpu *v, bool displaced)
{
    v->sched.displaced = displaced;
    __atomic_fetch_add(&sched_displaced, displaced ? 1 : -1u, __ATOMIC_SEQ_CST);
}

/* This CPU has nothing to do: one that runs elsewhere only because this one was busy may come. */
static void sched_call_home(unsigned self)
{
    unsigned cpu, n = cpu_count();

    for (cpu = 0; cpu < n; cpu++) {
        struct sched_cpu *o = &sched_cpus[cpu];
        bool comes;

        if (cpu == self || bit_test(sched_idle_map, cpu) || !READ_ONCE(o->ready))
            continue;
        spin_lock(&o->lock);
        comes = o->current->sched.displaced && bit_test(o->current->sched.soft, self) &&
                sched_allowed_on(o->current, self);
        spin_unlock(&o->lock);
        if (comes) {
            softirq_raise(cpu, SOFTIRQ_SCHED);
            return;
        }
    }
}

/* next becomes s->current in place of prev (lock held). */
static void sched_change(struct sched_cpu *s, struct vcpu *prev, struct vcpu *next, uint64_t now)
{
    if (!prev->idle)
        vcpu_runstate_change(prev, vcpu_runnable(prev) ? RUNSTATE_runnable : sched_off_state(prev),
                             now);
    else
        vcpu_runstate_change(prev, RUNSTATE_runnable, now);
    if (unlikely(prev->sched.displaced))
        sched_note_displaced(prev, false);
    if (!next->idle) {
        /* A full barrier between `running` and the look at pending events on the way to the guest:
         * pairs with the one in vcpu_notify_event(). */
        (void)__atomic_exchange_n(&next->sched.running, true, __ATOMIC_SEQ_CST);
        next->sched.started = now;
        if (unlikely(!sched_prefers(next, sched_cpu_of(s))))
            sched_note_displaced(next, true);
    }
    vcpu_runstate_change(next, RUNSTATE_running, now);
    s->current = next;
}

/* Choose, with the lock held; s->current is the choice afterwards. */
static struct vcpu *sched_choose(struct sched_cpu *s, uint64_t now)
{
    unsigned cpu = sched_cpu_of(s);
    struct vcpu *prev = s->current, *next;
    bool marked = bit_test(sched_idle_map, cpu);

    s->until = 0;
    sched_put_prev(s, prev, now);
    next = ops->pick(cpu, now, &s->until);
    if (next) {
        sched_count(s, -1);
        next->sched.queued = false;
        if (marked)
            bit_clear(sched_idle_map, cpu);
    } else {
        next = s->idle;
        s->until = 0;
        if (!marked)
            bit_set(sched_idle_map, cpu); /* a full barrier before sched_steal() looks */
    }
    if (next != prev)
        sched_change(s, prev, next, now);
    return next;
}

/* The common case of a softirq that changes nothing: nobody waits and the vCPU goes on, without a limit. */
static bool sched_nothing_to_do(struct sched_cpu *s, const struct vcpu *prev)
{
    return !prev->idle && !sched_waiting[sched_cpu_of(s)] && vcpu_runnable(prev) &&
           likely(!READ_ONCE(prev->domain->sched.cap)) && !sched_must_leave(s, prev);
}

static struct vcpu *sched_decide(struct sched_cpu *s, uint64_t now, uint64_t *until)
{
    struct vcpu *next;

    spin_lock(&s->lock);
    if (sched_nothing_to_do(s, s->current)) {
        next = s->current;
        s->until = 0;
    } else {
        next = sched_choose(s, now);
    }
    *until = s->until;
    if (unlikely(sched_waiting[sched_cpu_of(s)]))
        sched_share(s);
    spin_unlock(&s->lock);
    return next;
}

/* After a turn on `cpu` with others waiting: perhaps one of those gets its turn on another CPU. */
static void sched_push(unsigned cpu)
{
    struct sched_cpu *s = &sched_cpus[cpu];
    unsigned to = cpu;
    struct vcpu *v;

    spin_lock(&s->lock);
    v = sched_waiting[cpu] && !s->current->idle ? ops->push(cpu, now_ns(), &to) : NULL;
    if (v) {
        sched_queue_del(s, v);
        v->cpu = (uint16_t)to;
        s->pushed++;
    }
    spin_unlock(&s->lock);
    if (v)
        sched_requeue_if_needed(&sched_cpus[to], v);
}

void sched_softirq(void)
{
    unsigned cpu = cpu_self(), rounds = 0;
    struct sched_cpu *s = &sched_cpus[cpu];
    struct vcpu *prev = s->current, *next;
    uint64_t now = now_ns(), until;
    bool asked = false;

    if (READ_ONCE(s->asked))
        asked = __atomic_exchange_n(&s->asked, false, __ATOMIC_SEQ_CST);
    do {
        next = sched_decide(s, now, &until);
    } while (next->idle && sched_steal(cpu) && ++rounds < 4);
    if (unlikely(next->idle && READ_ONCE(sched_displaced)))
        sched_call_home(cpu);
    if (asked && !next->idle)
        sched_share_all(); /* we got something else in the meantime: pass it on */
    if (rounds == 4)
        softirq_raise(cpu, SOFTIRQ_SCHED);
    prev->sched.last_yield = false;
    if (until)
        timer_set(&s->slice, until);
    else
        timer_stop(&s->slice);
    if (next == prev) {
        if (until && cpu_count() > 1 && ops->push)
            sched_push(cpu);
        return;
    }
    s->switches++;
    context_switch(prev, next); /* may not return */
}

void sched_switched(struct vcpu *prev)
{
    if (prev->idle)
        return;
    __atomic_store_n(&prev->sched.running, false, __ATOMIC_SEQ_CST);
    if (unlikely(__atomic_load_n(&prev->sched.moving, __ATOMIC_SEQ_CST))) {
        WRITE_ONCE(prev->sched.moving, false);
        vcpu_wake(prev);
    }
    if (READ_ONCE(prev->sched.queued)) {
        unsigned cpu = READ_ONCE(prev->cpu);

        sched_tell_idle(prev, cpu);
        if (cpu_count() > 1 && ops->push && cpu == cpu_self())
            sched_push(cpu);
    }
    if (unlikely(READ_ONCE(prev->domain->shutting_down)))
        domain_shutdown_poke(prev->domain);
}

/* --- Setting up -------------------------------------------------------------------------------------- */

static void sched_slice_over(void *data)
{
    softirq_raise(cpu_self(), SOFTIRQ_SCHED);
}

void sched_cpu_init(unsigned cpu, struct vcpu *idle)
{
    struct sched_cpu *s = &sched_cpus[cpu];

    spin_init(&s->lock, "runq", RANK_SCHED);
    s->current = s->idle = idle;
    s->switches = s->stolen = s->pushed = s->until = 0;
    s->asked = false;
    idle->idle = true;
    idle->cpu = (uint16_t)cpu;
    idle->sched.running = true;
    idle->runstate.state = RUNSTATE_running;
    idle->runstate.state_entry_time = now_ns();
    timer_init(&s->slice, sched_slice_over, NULL, cpu);
    sched_waiting[cpu] = 0;
    ops->cpu_init(cpu);
    __atomic_store_n(&s->ready, true, __ATOMIC_RELEASE);
    bit_set(sched_idle_map, cpu);
    softirq_raise(cpu, SOFTIRQ_SCHED);
}

int sched_vcpu_init(struct vcpu *v, unsigned cpu)
{
    unsigned i;

    list_init(&v->sched.run);
    v->sched.owns = 0;
    v->cpu = (uint16_t)(sched_cpus[cpu].ready ? cpu : cpu_self());
    v->pause_flags = VPF_DOWN;
    for (i = 0; i < MAX_CPUS / 64; i++)
        v->sched.affinity[i] = v->sched.soft[i] = ~0ULL;
    v->runstate.state = RUNSTATE_offline;
    v->runstate.state_entry_time = now_ns();
    return ops->vcpu_init ? ops->vcpu_init(v) : 0;
}

/* v is down or paused for good, and has left its CPU. */
void sched_vcpu_destroy(struct vcpu *v)
{
    BUG_ON(v->sched.queued || v->sched.running);
    if (ops->vcpu_destroy)
        ops->vcpu_destroy(v);
}

/* Does soft affinity tell between the CPUs that v may use? If it holds none of them, it does not. */
static bool sched_soft_matters(const struct vcpu *v)
{
    unsigned cpu, n = cpu_count(), in = 0, out = 0;

    for (cpu = 0; cpu < n; cpu++)
        if (bit_test(v->sched.affinity, cpu)) {
            if (bit_test(v->sched.soft, cpu))
                in++;
            else
                out++;
        }
    return in && out;
}

/* Change one of v's masks and move it if need be. */
static void sched_set_mask(struct vcpu *v, uint64_t to[], const uint64_t mask[])
{
    struct sched_cpu *s = sched_lock(v);
    unsigned i, cpu = v->cpu;
    bool here;

    for (i = 0; i < MAX_CPUS / 64; i++)
        WRITE_ONCE(to[i], mask[i]);
    WRITE_ONCE(v->sched.soft_matters, sched_soft_matters(v));
    if (s->current == v && v->sched.displaced == sched_prefers(v, cpu))
        sched_note_displaced(v, !v->sched.displaced);
    here = !v->sched.displaced && sched_allowed_on(v, cpu);
    if (!sched_allowed_on(v, cpu) && v->sched.queued)
        sched_queue_del(s, v);
    spin_unlock(&s->lock);
    if (!here && READ_ONCE(s->current) == v)
        softirq_raise(cpu, SOFTIRQ_SCHED);
    else
        vcpu_wake(v); /* finds it a place if it is runnable and not queued */
    if (READ_ONCE(v->sched.queued))
        sched_tell_idle(v, READ_ONCE(v->cpu));
}

int vcpu_affinity_set(struct vcpu *v, const uint64_t mask[MAX_CPUS / 64])
{
    if (find_next_bit(mask, cpu_count(), 0) >= cpu_count())
        return -XEN_EINVAL;
    sched_set_mask(v, v->sched.affinity, mask);
    return 0;
}

int vcpu_soft_affinity_set(struct vcpu *v, const uint64_t mask[MAX_CPUS / 64])
{
    if (find_next_bit(mask, MAX_CPUS, 0) >= MAX_CPUS)
        return -XEN_EINVAL;
    sched_set_mask(v, v->sched.soft, mask);
    return 0;
}
