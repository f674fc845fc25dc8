/* SPDX-License-Identifier: MIT */
/*
 * Proportional share, the default policy. Each vCPU has a virtual time that grows while it runs: one
 * nanosecond per nanosecond at weight 256, half as fast at 512; the one that has least runs. A domain's weight is
 * shared by its runnable vCPUs: with n of them the time of each grows n times as fast, and n is integrated
 * over the time it ran (sched_load_integral()), so that waking and sleeping at clever moments wins nothing.
 *
 * Sleepers. Who wakes gets no credit for having slept, but is put to the queue's clock less a bonus: so it
 * preempts whoever computes, for as long as the bonus lasts. Only time not used moves a vCPU forward;
 * waking never takes off what was used, and who wakes all the time gets its share and no more.
 *
 * Several CPUs. Each has its own heap and clock (the least time of its vCPUs, which never goes back); all count the
 * same time, shifted by a number per CPU. A CPU at whose clock others are far ahead has more work than they:
 * after a turn it gives its first vCPU to one of those (credit_push()), so shares hold across CPUs. Where that
 * cannot be (a domain deserves more than its only vCPU can use; vCPUs are pinned) its clock would fall back
 * without end: it is shifted to be DRIFT behind the foremost at most, which changes no order in its own heap.
 *
 * A turn is 10 ms, less when many wait or when the time grows fast, never below 1 ms; no timer when nobody waits.
 * Caps are in sched_cap.c.
 */
#include "domain.h"
#include "lib.h"
#include "log.h"
#include "port.h"
#include "sched.h"
#include "sched_credit.h"
#include "sched_heap.h"

#define MS 1000000UL
#define TURN_MOST (10 * MS)
#define TURN_LEAST MS    /* also when that breaks the next two */
#define ROUND (20 * MS)  /* of all that wait: divided by their number */
#define TURN_VT (20 * MS) /* a turn should not cost more virtual time */
#define BONUS (20 * MS)   /* of who wakes, in virtual time */
#define EDGE (2 * MS)    /* who was not woken preempts when it is better by so much */
#define PULL (10 * MS)   /* vCPUs change to a CPU that is so far ahead */
#define DRIFT (100 * MS) /* ... and more than this is not remembered; more than PULL and a turn */
#define FORGET (10000 * MS) /* time used before so long a sleep does not count any more */
#define SPEND_MOST BIT(35) /* of one charge: the product fits 64 bits */
#define GUESS_MOST BIT(32) /* ns */
#define PACE_SHIFT 20
#define SCAN_CPUS 8      /* looked at for a better place */
#define SCAN_VCPUS 64    /* looked at for one that may move */

struct credit_cpu {
    struct vcpu *root, *curr; /* those who wait; who runs (NULL: idle) */
    uint64_t clock;    /* least virtual time here; never back */
    uint64_t offset;   /* time of all CPUs = time here + offset */
    struct vcpu *keep; /* requeued too early to be preempted; between requeue and pick only */
    unsigned nr;       /* on the heap */
    unsigned scan;     /* where the next look at other CPUs begins */
    /* Read by other CPUs, any mixture of old and new will do; in the time of all: the clock, and the vCPU that runs
     * at time `at`, how fast that one's grows, and whether it is alone, so that the clock is its. */
    uint64_t seen, run, at, rate;
    bool alone;
} __aligned_to(64);

static struct credit_cpu credit_cpus[MAX_CPUS];
static uint64_t credit_front; /* [a] about the foremost of all clocks */
uint32_t sched_ratelimit_us;

static void credit_cpu_init(unsigned cpu)
{
    credit_cpus[cpu] = (struct credit_cpu){.scan = cpu};
}

/* --- Time ------------------------------------------------------------------------------------------ */

/* Virtual time per ns for a vCPU of d at this moment. */
static uint64_t credit_rate(const struct domain *d)
{
    return READ_ONCE(d->sched.pace) * (d->max_vcpus > 1 ? MAX(sched_load_count(d), 1) : 1);
}

static uint64_t credit_mark(const struct domain *d, uint64_t now)
{
    return d->max_vcpus > 1 ? sched_load_integral(d, now) : now & SCHED_LOAD_MASK;
}

/* v, running, is charged up to now. */
static void credit_spend(struct vcpu *v, uint64_t now)
{
    struct domain *d = v->domain;
    uint64_t mark = credit_mark(d, now), used = (mark - v->sched.mark) & SCHED_LOAD_MASK;

    if (unlikely(used > SPEND_MOST)) /* ran alone for very long; or clocks differ, and it is below 0 */
        used = used > SCHED_LOAD_MASK / 2 ? 0 : SPEND_MOST;
    v->sched.vt += used * READ_ONCE(d->sched.pace) >> PACE_SHIFT;
    if (unlikely(READ_ONCE(d->sched.cap)))
        sched_cap_spend(v, v->sched.charged, now);
    v->sched.mark = mark;
    v->sched.charged = now;
}

/* Bring the clock up to the least of those who are here. */
static void credit_clock(struct credit_cpu *c)
{
    const struct vcpu *v = c->curr ? c->curr : c->root;

    if (c->root && v && vt_before(c->root->sched.vt, v->sched.vt))
        v = c->root;
    if (v && vt_before(c->clock, v->sched.vt))
        c->clock = v->sched.vt;
}

/* Not too far behind the foremost. */
static void credit_drift(struct credit_cpu *c)
{
    uint64_t front = READ_ONCE(credit_front), here = c->clock + c->offset;

    if ((int64_t)(front - here) > (int64_t)DRIFT)
        c->offset = front - DRIFT - c->clock;
    else if ((int64_t)(here - front) > (int64_t)MS)
        WRITE_ONCE(credit_front, here);
}

/* A vCPU runs: let the others know. */
static void credit_publish(struct credit_cpu *c, uint64_t now)
{
    credit_drift(c);
    WRITE_ONCE(c->seen, c->clock + c->offset);
    WRITE_ONCE(c->run, c->curr->sched.vt + c->offset);
    WRITE_ONCE(c->at, now);
    WRITE_ONCE(c->rate, credit_rate(c->curr->domain));
    WRITE_ONCE(c->alone, !c->root);
}

/* How far, about now and in the time of all, the vCPU is that runs on a busy CPU. One that has been alone for seconds
 * counts as far ahead: if that is wrong, whoever is sent there makes it known. */
static uint64_t credit_guess_run(unsigned cpu, uint64_t now)
{
    struct credit_cpu *c = &credit_cpus[cpu];
    uint64_t at = READ_ONCE(c->at), ran = now > at ? now - at : 0;

    if (unlikely(ran > GUESS_MOST))
        return READ_ONCE(credit_front) + DRIFT;
    return READ_ONCE(c->run) + ((ran >> 8) * READ_ONCE(c->rate) >> (PACE_SHIFT - 8));
}

/* ... and how far the least of all there. */
static uint64_t credit_guess_clock(unsigned cpu, uint64_t now)
{
    struct credit_cpu *c = &credit_cpus[cpu];

    return READ_ONCE(c->alone) ? credit_guess_run(cpu, now) : READ_ONCE(c->seen);
}

/* --- The queue ------------------------------------------------------------------------------------- */

static void credit_add(struct credit_cpu *c, struct vcpu *v)
{
    sched_heap_add(&c->root, v);
    c->nr++;
}

static void credit_del(struct credit_cpu *c, struct vcpu *v)
{
    sched_heap_del(&c->root, v);
    c->nr--;
}

static void credit_enqueue(unsigned cpu, struct vcpu *v, uint64_t now)
{
    struct credit_cpu *c = &credit_cpus[cpu];
    uint64_t least;

    if (c->curr)
        credit_spend(c->curr, now);
    credit_clock(c);
    credit_drift(c); /* before v counts by its offset */
    least = c->clock - (!v->sched.left ? 0 : v->sched.asleep ? BONUS : 2 * DRIFT);
    v->sched.vt -= c->offset;
    if (!v->sched.left || now - v->sched.left > FORGET || vt_before(v->sched.vt, least))
        v->sched.vt = least;
    v->sched.boost = v->sched.woken;
    v->sched.woken = false;
    if (v->domain->max_vcpus > 1)
        sched_load_add(v->domain, now);
    credit_add(c, v);
    if (c->curr)
        credit_publish(c, now);
}

/* v leaves this CPU, or stops being runnable. */
static void credit_leave(struct credit_cpu *c, struct vcpu *v, uint64_t now)
{
    v->sched.vt += c->offset;
    v->sched.left = now;
    v->sched.asleep = !vcpu_runnable(v);
    if (v->domain->max_vcpus > 1)
        sched_load_sub(v->domain, now);
}

static void credit_dequeue(unsigned cpu, struct vcpu *v)
{
    struct credit_cpu *c = &credit_cpus[cpu];
    uint64_t now = now_ns();

    credit_del(c, v);
    credit_leave(c, v, now);
    if (c->curr && !c->root) { /* who runs is alone now: its clock will go on without us */
        credit_spend(c->curr, now);
        credit_clock(c);
        credit_publish(c, now);
    }
}

static void credit_charge(unsigned cpu, struct vcpu *v, uint64_t now)
{
    struct credit_cpu *c = &credit_cpus[cpu];

    credit_spend(v, now);
    credit_clock(c);
    credit_leave(c, v, now);
    c->curr = NULL;
}

static void credit_requeue(unsigned cpu, struct vcpu *v, uint64_t now)
{
    struct credit_cpu *c = &credit_cpus[cpu];

    credit_spend(v, now);
    c->curr = NULL;
    credit_add(c, v);
    if (unlikely(READ_ONCE(sched_ratelimit_us)) && !v->sched.last_yield &&
        now - v->sched.started < READ_ONCE(sched_ratelimit_us) * 1000ULL)
        c->keep = v;
}

/* --- Choosing -------------------------------------------------------------------------------------- */

/* The best; but who must be kept goes on, and who has just yielded goes behind the next. */
static struct vcpu *credit_first(struct credit_cpu *c)
{
    struct vcpu *v = c->keep ? c->keep : c->root, *second;

    c->keep = NULL;
    if (likely(!v || !v->sched.last_yield || c->nr == 1))
        return v;
    credit_del(c, v);
    second = c->root;
    credit_add(c, v);
    return second;
}

static uint64_t credit_turn(const struct credit_cpu *c, const struct vcpu *v, bool kept)
{
    uint64_t turn = ROUND / (c->nr + 1), rate = credit_rate(v->domain);

    if (rate > (TURN_VT / TURN_MOST) << PACE_SHIFT)
        turn = MIN(turn, (TURN_VT << PACE_SHIFT) / rate);
    turn = MAX(MIN(turn, TURN_MOST), TURN_LEAST);
    if (kept)
        turn = MIN(turn, READ_ONCE(sched_ratelimit_us) * 1000ULL);
    return turn;
}

static struct vcpu *credit_pick(unsigned cpu, uint64_t now, uint64_t *until)
{
    struct credit_cpu *c = &credit_cpus[cpu];
    bool kept = c->keep;
    uint64_t allow = 0;
    struct vcpu *v;

    while ((v = credit_first(c))) {
        credit_del(c, v);
        if (likely(!READ_ONCE(v->domain->sched.cap)) || (allow = sched_cap_allow(v, now)))
            break;
        credit_leave(c, v, now);
        sched_parked(cpu, v);
    }
    if (!v)
        return NULL;
    c->curr = v;
    v->sched.charged = now;
    v->sched.mark = credit_mark(v->domain, now);
    credit_clock(c);
    credit_publish(c, now);
    *until = c->root ? now + credit_turn(c, v, kept) : 0;
    if (unlikely(allow) && (!*until || now + allow < *until))
        *until = now + allow;
    return v;
}

static bool credit_preempts(unsigned cpu, const struct vcpu *v, const struct vcpu *curr, uint64_t now)
{
    if (v->sched.boost)
        return !vt_before(curr->sched.vt, v->sched.vt);
    return vt_before(v->sched.vt + EDGE, curr->sched.vt);
}

/* --- Several CPUs ---------------------------------------------------------------------------------- */

static bool credit_fits_well(const struct vcpu *v, unsigned cpu)
{
    return sched_may_move(v, cpu) && sched_prefers(v, cpu);
}

static struct vcpu *credit_steal(unsigned cpu, unsigned thief)
{
    struct vcpu *root = credit_cpus[cpu].root;
    struct vcpu *v = sched_heap_find(root, SCAN_VCPUS, credit_fits_well, thief);

    return v ? v : sched_heap_find(root, SCAN_VCPUS, sched_may_move, thief);
}

/* Of a few busy CPUs of the map (NULL: all), other than `self`, the one that is furthest ahead by the `guess`, if that is
 * further than `than`; else MAX_CPUS. */
static unsigned credit_furthest(uint64_t (*guess)(unsigned cpu, uint64_t now), const uint64_t *map,
                                unsigned self, uint64_t than, uint64_t now)
{
    struct credit_cpu *c = &credit_cpus[self];
    unsigned i, n = cpu_count(), best = MAX_CPUS, cpu = READ_ONCE(c->scan) % n;

    for (i = 0; i < MIN(n, SCAN_CPUS); i++, cpu = cpu + 1 < n ? cpu + 1 : 0) {
        uint64_t far;

        if (cpu == self || (map && !bit_test(map, cpu)) || sched_queue_length(cpu) == UINT16_MAX ||
            sched_cpu_is_idle(cpu))
            continue;
        far = guess(cpu, now);
        if (vt_before(than, far)) {
            than = far;
            best = cpu;
        }
    }
    WRITE_ONCE(c->scan, cpu);
    return best;
}

/* v may go to `cpu`, and does not prefer to stay. */
static bool credit_fits_push(const struct vcpu *v, unsigned cpu)
{
    return sched_may_move(v, cpu) && (sched_prefers(v, cpu) || !sched_prefers(v, v->cpu));
}

static struct vcpu *credit_push(unsigned cpu, uint64_t now, unsigned *to)
{
    struct credit_cpu *c = &credit_cpus[cpu];
    struct vcpu *v;

    *to = credit_furthest(credit_guess_clock, NULL, cpu, c->clock + c->offset + PULL, now);
    if (*to == MAX_CPUS)
        return NULL;
    v = sched_heap_find(c->root, SCAN_VCPUS, credit_fits_push, *to);
    if (v && !vt_before(v->sched.vt + c->offset + PULL, credit_guess_clock(*to, now)))
        return NULL;
    return v;
}

/* Its last CPU if that is idle or v will preempt there, an idle one, or one where those who run deserve less. */
static unsigned credit_place(struct vcpu *v)
{
    unsigned last = READ_ONCE(v->cpu), cpu, n = cpu_count();
    bool allowed = sched_allowed_on(v, last);
    uint64_t now, here;

    if (likely(sched_cpu_is_idle(last) && allowed && sched_prefers(v, last)))
        return last;
    cpu = sched_idle_cpu(v);
    if (cpu < MAX_CPUS)
        return cpu;
    now = now_ns();
    here = credit_guess_run(last, now);
    if (allowed && !vt_before(here, v->sched.vt))
        return last;
    cpu = credit_furthest(credit_guess_run, v->sched.affinity, last, allowed ? here : here - BIT(62), now);
    if (cpu < MAX_CPUS)
        return cpu;
    return allowed ? last : (unsigned)find_first_bit(v->sched.affinity, n);
}

static void credit_dump(unsigned cpu)
{
    struct credit_cpu *c = &credit_cpus[cpu];
    struct vcpu *v;

    log_info("    clock %lu ms of this CPU, %lu of all\n", c->clock / MS, (c->clock + c->offset) / MS);
    for (v = c->root; v; v = sched_heap_next(v, true))
        log_info("    d%uv%u weight %u of %u vCPUs, cap %u, %ld us behind\n", v->domain->id, v->id,
                 v->domain->sched.weight, MAX(sched_load_count(v->domain), 1), v->domain->sched.cap,
                 (int64_t)(v->sched.vt - c->clock) / 1000);
}

/* The id is what tools see: credit2's, whose weights and caps mean the same. */
const struct sched_ops sched_credit_ops = {
    .name = "credit",
    .id = 6,
    .cpu_init = credit_cpu_init,
    .enqueue = credit_enqueue,
    .requeue = credit_requeue,
    .dequeue = credit_dequeue,
    .charge = credit_charge,
    .pick = credit_pick,
    .preempts = credit_preempts,
    .steal = credit_steal,
    .push = credit_push,
    .place = credit_place,
    .dump = credit_dump,
    .has_shares = true,
};
