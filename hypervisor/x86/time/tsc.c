/* SPDX-License-Identifier: MIT */
/*
 * System time: the TSC, scaled. One scale serves all CPUs; a CPU whose TSC is off gets an offset that
 * makes it agree with the boot CPU's. Calibrated at boot against a platform timer, and, unless the
 * processor promises an invariant TSC that is in step everywhere, steered once a second ever after
 * (common/timescale.c has the arithmetic).
 *
 * How readers and the one writer (CPU 0, SOFTIRQ_TIME) meet: a ring of four scales; `scale_gen` says which one
 * is the newest. A new scale takes effect at a counter value some 20 ms in the future and equals the old one
 * there, so all CPUs change over at the same moment whenever they learn of it: system time is one rising
 * function of the TSC. A reader uses the newest or the one before; the writer touches neither, so a reader
 * never waits (an NMI may ask for the time), and only repeats if the ring moved on meanwhile.
 */
#include "cmdline.h"
#include "lib.h"
#include "log.h"
#include "port.h"
#include "timer.h"
#include "x86/cpu.h"
#include "x86/lapic.h"
#include "x86/smp.h"
#include "x86/time.h"

#define SCALES 4
static struct time_scale scales[SCALES];
static uint64_t scale_gen; /* [a] */

static int64_t tsc_offset[MAX_CPUS]; /* [I] once the CPU is online: added to its TSC */
static bool tsc_offsets_used, tsc_in_step = true, tsc_stable;

static const struct platform_timer *platform;
static struct clock_steer steer;    /* CPU 0, SOFTIRQ_TIME */
static struct timer steer_timer;
static uint64_t wallclock_base_ns, steer_count, glitch_count;
static int64_t steer_last_error;

#define STEER_PERIOD_NS NS_PER_S
#define EFFECT_DELAY_DIV 50 /* of a second */

/* --- Reading ---------------------------------------------------------------------------------------- */

static inline uint64_t tsc_ordered(void)
{
    __asm__ volatile("lfence" ::: "memory"); /* not before what comes before it */
    return rdtsc();
}

static inline int64_t tsc_offset_here(void)
{
    return unlikely(tsc_offsets_used) ? tsc_offset[cpu_self()] : 0;
}

static inline const struct time_scale *scale_at(uint64_t gen, uint64_t tsc)
{
    const struct time_scale *s = &scales[gen % SCALES];

    if (unlikely((int64_t)(tsc - s->stamp_tsc) < 0) && gen > 0)
        s = &scales[(gen - 1) % SCALES];
    return s;
}

uint64_t now_ns(void)
{
    uint64_t gen, tsc, ns;

    do {
        gen = __atomic_load_n(&scale_gen, __ATOMIC_ACQUIRE);
        tsc = tsc_ordered() + (uint64_t)tsc_offset_here();
        ns = timescale_ns(scale_at(gen, tsc), tsc);
        smp_rmb();
    } while (unlikely(gen != READ_ONCE(scale_gen)));
    return ns;
}

/* The scale in force, in terms of the common TSC. */
static void scale_now(struct time_scale *out)
{
    uint64_t gen;

    do {
        gen = __atomic_load_n(&scale_gen, __ATOMIC_ACQUIRE);
        *out = *scale_at(gen, tsc_ordered() + (uint64_t)tsc_offset_here());
        smp_rmb();
    } while (unlikely(gen != READ_ONCE(scale_gen)));
}

void time_scale_now(struct time_scale *s)
{
    scale_now(s);
    s->stamp_tsc -= (uint64_t)tsc_offset_here();
    s->tsc_stable = READ_ONCE(tsc_stable);
}

uint64_t time_tsc_of_ns(uint64_t ns)
{
    struct time_scale s;

    scale_now(&s);
    return timescale_tsc(&s, ns) - (uint64_t)tsc_offset_here();
}

uint64_t time_tsc_hz(void)
{
    return steer.base_hz;
}

bool time_tsc_in_step(void)
{
    return READ_ONCE(tsc_in_step);
}

uint64_t wallclock_ns_at_boot(void)
{
    return wallclock_base_ns;
}

void time_delay_us(unsigned us)
{
    uint64_t until;

    if (!steer.base_hz) { /* not calibrated yet: one port access takes about a microsecond */
        while (us--)
            inb(0x80);
        return;
    }
    until = now_ns() + (uint64_t)us * 1000;
    while (now_ns() < until)
        cpu_relax();
}

/* --- Calibration at boot ------------------------------------------------------------------------------- */

#define CALIB_LOOKS 12
#define CALIB_WINDOW_DIV 21   /* of a second: 48 ms, within the PIT's 55 */
#define CALIB_MAX_WINDOWS 10
#define CALIB_WIDTH_PPM 100   /* brackets may be so wide, of the window */

/* Read a clock between two readings of the TSC, a dozen times, and keep the tightest. */
static struct clock_pair look_best(uint64_t (*read)(void))
{
    struct clock_pair p[CALIB_LOOKS];
    uint64_t flags = irq_save();
    unsigned i;

    for (i = 0; i < CALIB_LOOKS; i++) {
        p[i].tsc0 = tsc_ordered();
        p[i].ref = read();
        p[i].tsc1 = tsc_ordered();
    }
    irq_restore(flags);
    return *clock_pair_best(p, CALIB_LOOKS);
}

/* What is known after a window. */
struct calib {
    struct clock_pair ref, lapic;
};

static struct calib calib_look(uint64_t first)
{
    struct calib c = {look_best(platform->read), look_best(local_timer_calib_read)};

    c.ref.ref = counter_advance(first, c.ref.ref, platform->bits, 0);
    return c;
}

/* Spin until the platform timer has gone `ticks` from `first`, by steps short enough not to miss a wrap. */
static void calib_wait(uint64_t first, uint64_t ticks)
{
    uint64_t t0 = rdtsc();

    while (counter_advance(first, platform->read(), platform->bits, 0) < ticks)
        if (rdtsc() - t0 > BIT(37)) /* half a minute at 5 GHz: the counter has died */
            panic("time: the %s timer stopped", platform->name);
}

static void calibrate(void)
{
    uint64_t first, hz = 0, width, lapic_hz, window;
    struct calib a, b;
    unsigned i;

    local_timer_calib_start();
    first = platform->read();
    a = calib_look(first);
    window = platform->hz / CALIB_WINDOW_DIV;
    for (i = 1; i <= CALIB_MAX_WINDOWS; i++) {
        calib_wait(first, a.ref.ref + window * i);
        b = calib_look(first);
        hz = clock_pair_hz(&a.ref, &b.ref, platform->hz);
        width = (a.ref.tsc1 - a.ref.tsc0) + (b.ref.tsc1 - b.ref.tsc0);
        if (!platform->lasting || width < (b.ref.tsc0 - a.ref.tsc1) / (1000000 / CALIB_WIDTH_PPM))
            break; /* good enough, else a longer window */
    }
    if (hz < 1000000)
        panic("time: the TSC counts with %lu Hz", (unsigned long)hz);
    steer = (struct clock_steer){.ref_hz = platform->hz,
                                 .ref_bits = platform->bits,
                                 .base_hz = hz};
    lapic_hz = muldiv64(b.lapic.ref - a.lapic.ref, hz,
                        clock_pair_tsc(&b.lapic) - clock_pair_tsc(&a.lapic));
    local_timer_init_boot(lapic_hz);
}

static void wallclock_read(void)
{
    int64_t s = rtc_seconds();

    if (s < 0)
        log_warn("time: the battery clock makes no sense; the wall clock starts at 1970\n");
    else
        wallclock_base_ns = (uint64_t)s * NS_PER_S - now_ns();
}

void time_init_boot(void)
{
    struct time_scale *s = &scales[0];

    platform = platform_timer_find();
    if (!platform)
        panic("time: no ACPI PM timer, HPET or PIT");
    calibrate();
    timescale_set_hz(s, steer.base_hz);
    s->stamp_ns = 1; /* 0 means "never" in many places */
    s->stamp_tsc = tsc_ordered();
    wallclock_read();
    log_info("time: TSC %lu.%03lu MHz by %s timer%s\n", (unsigned long)(steer.base_hz / 1000000),
             (unsigned long)(steer.base_hz / 1000 % 1000), platform->name,
             cpu_features.tsc_invariant ? ", invariant" : "");
}

/* --- TSCs of other CPUs ------------------------------------------------------------------------------- */

#define SYNC_ROUNDS 16

/* AP and boot CPU: the AP counts `ask` up, the boot CPU answers with its TSC. One AP at a time. */
static struct {
    uint64_t ask, answered, tsc;
} sync;

void time_sync_serve(void)
{
    uint64_t ask = __atomic_load_n(&sync.ask, __ATOMIC_ACQUIRE);

    if (ask == sync.answered)
        return;
    sync.tsc = tsc_ordered();
    __atomic_store_n(&sync.answered, ask, __ATOMIC_RELEASE);
}

/* Bounds of what to add to our TSC to get the boot CPU's: its reading lay between two of ours. */
static void sync_measure(int64_t *low, int64_t *high)
{
    unsigned i;

    *low = INT64_MIN;
    *high = INT64_MAX;
    for (i = 0; i < SYNC_ROUNDS; i++) {
        uint64_t ask = sync.ask + 1, before = tsc_ordered(), after;

        __atomic_store_n(&sync.ask, ask, __ATOMIC_RELEASE);
        while (__atomic_load_n(&sync.answered, __ATOMIC_ACQUIRE) != ask)
            cpu_relax();
        after = tsc_ordered();
        *low = MAX(*low, (int64_t)(sync.tsc - after));
        *high = MIN(*high, (int64_t)(sync.tsc - before));
    }
}

void time_init_cpu(void)
{
    unsigned cpu = cpu_self();
    int64_t low, high;

    sync_measure(&low, &high);
    if (low > 0 || high < 0) {
        tsc_offset[cpu] = low + (high - low) / 2;
        tsc_offsets_used = true;
        tsc_in_step = false;
        smp_mb();
        log_info("time: CPU %u's TSC is off by %ld\n", cpu, (long)tsc_offset[cpu]);
    }
    local_timer_init_cpu();
}

/* --- Steering --------------------------------------------------------------------------------------------- */

static void steer_tick(void *unused)
{
    softirq_raise(0, SOFTIRQ_TIME);
}

static void steer_softirq(void)
{
    uint64_t gen = scale_gen, eff;
    struct clock_pair look = look_best(platform->read);
    struct time_scale next;

    if ((int64_t)(rdtsc() - scales[gen % SCALES].stamp_tsc) > 0) { /* the last one is in force */
        eff = look.tsc1 + steer.base_hz / EFFECT_DELAY_DIV;
        if (clock_steer(&steer, &scales[gen % SCALES], &look, eff, &next)) {
            steer_last_error = (int64_t)(steer.target_ns -
                                         timescale_ns(&scales[gen % SCALES], clock_pair_tsc(&look)));
            scales[(gen + 1) % SCALES] = next;
            __atomic_store_n(&scale_gen, gen + 1, __ATOMIC_RELEASE);
            steer_count++;
        } else if (!glitch_count++) {
            log_warn("time: the %s timer jumped; ignored\n", platform->name);
        }
    }
    timer_set(&steer_timer, now_ns() + STEER_PERIOD_NS);
}

void time_init_late(void)
{
    struct clock_pair look;

    tsc_stable = cpu_features.tsc_invariant && tsc_in_step &&
                 (!opt.clocksource[0] || !strcmp(opt.clocksource, "tsc"));
    if (tsc_stable || !platform->lasting) {
        log_info("time: not steered (%s)\n", tsc_stable ? "stable TSC" : "no lasting platform timer");
        return;
    }
    look = look_best(platform->read);
    steer.last_tsc = clock_pair_tsc(&look);
    steer.last_ref = look.ref;
    steer.origin_ns = timescale_ns(&scales[0], steer.last_tsc);
    softirq_register(SOFTIRQ_TIME, steer_softirq);
    timer_init(&steer_timer, steer_tick, NULL, 0);
    timer_set(&steer_timer, now_ns() + STEER_PERIOD_NS);
}

void time_dump(void)
{
    log_info("time: now %lu ns, TSC %lu Hz by %s, %s, offsets %s; %lu corrections, last error %ld ns, "
             "%lu jumps of the timer\n",
             (unsigned long)now_ns(), (unsigned long)steer.base_hz, platform->name,
             tsc_stable ? "stable" : "steered", tsc_offsets_used ? "used" : "none",
             (unsigned long)steer_count, (long)steer_last_error, (unsigned long)glitch_count);
}
