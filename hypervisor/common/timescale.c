/* SPDX-License-Identifier: MIT */
/*
 * Clock arithmetic, see timescale.h. No hardware and no state of its own, so that the host tests can run
 * hours of clock life in a second.
 *
 * Steering: a platform counter (PM timer, HPET) is slow to read but does not drift; the time stamp counter is
 * fast but its frequency is known only by measurement. Once a second both are read. The difference between
 * where system time is and where the platform counter says it should be is made good over the next seconds by
 * running slightly faster or slower (STEER_MAX_PPM), and a part of it goes into the frequency estimate: a
 * second-order loop that settles with no lasting error. System time is one continuous,
 * piecewise linear, rising function of the counter.
 */
#include "timescale.h"

#define STEER_PERIOD_S 4   /* an error is made good in so many seconds */
#define STEER_FREQ_GAIN 16 /* part of it that is taken for a wrong frequency */
#define STEER_GLITCHES 3   /* so many in a row are the new truth */

uint64_t muldiv64(uint64_t a, uint64_t b, uint64_t c)
{
    unsigned __int128 p = (unsigned __int128)a * b, rem = 0;
    uint64_t q = 0;
    int i;

    if ((uint64_t)(p >> 64) >= c)
        return ~0ULL;
    /* Bit by bit: the compiler's 128-bit division is a library call that we do not link. */
    rem = p >> 64;
    for (i = 63; i >= 0; i--) {
        rem = rem << 1 | ((uint64_t)p >> i & 1);
        if (rem >= c) {
            rem -= c;
            q |= BIT(i);
        }
    }
    return q;
}

/* --- Scale ------------------------------------------------------------------------------------------ */

void timescale_set_hz(struct time_scale *s, uint64_t hz)
{
    int shift = 0;

    /* mul = 10^9 / hz * 2^32 / 2^shift must be in [2^31, 2^32): full precision. */
    while (muldiv64(NS_PER_S, BIT(32), hz) >> 32) {
        shift++;
        if (hz >= BIT(62))
            break;
        hz <<= 1;
    }
    while (shift > -31 && muldiv64(NS_PER_S, BIT(32), hz) < BIT(31)) {
        shift--;
        hz = hz / 2;
    }
    s->mul = (uint32_t)muldiv64(NS_PER_S, BIT(32), hz);
    s->shift = (int8_t)shift;
}

uint64_t timescale_hz(const struct time_scale *s)
{
    uint64_t hz;

    if (!s->mul)
        return 0;
    hz = muldiv64(NS_PER_S, BIT(32), s->mul);
    return s->shift < 0 ? hz << -s->shift : hz >> s->shift;
}

uint64_t timescale_tsc(const struct time_scale *s, uint64_t ns)
{
    uint64_t d;
    unsigned coarse;

    if (!s->mul)
        return 0;
    if (ns <= s->stamp_ns)
        return s->stamp_tsc;
    d = ns - s->stamp_ns;
    if (d >= BIT(37)) /* 137 s */
        d = BIT(37) - 1;
    /* Called for each timer that is set: one 64-bit division; beyond 4 s coarser by 32. */
    coarse = d >> 32 ? 5 : 0;
    d = ((d >> coarse << 32) / s->mul + 1) << coarse;
    if (coarse)
        d += BIT(coarse + 1);
    d = s->shift < 0 ? d << -s->shift : d >> s->shift;
    return s->stamp_tsc + d + 1;
}

/* --- Calibration ------------------------------------------------------------------------------------ */

const struct clock_pair *clock_pair_best(const struct clock_pair *p, unsigned n)
{
    const struct clock_pair *best = p;

    for (; n--; p++)
        if (p->tsc1 - p->tsc0 < best->tsc1 - best->tsc0)
            best = p;
    return best;
}

uint64_t clock_pair_tsc(const struct clock_pair *p)
{
    return p->tsc0 + (p->tsc1 - p->tsc0) / 2;
}

uint64_t clock_pair_hz(const struct clock_pair *a, const struct clock_pair *b, uint64_t ref_hz)
{
    if (b->ref <= a->ref)
        return 0;
    return muldiv64(clock_pair_tsc(b) - clock_pair_tsc(a), ref_hz, b->ref - a->ref);
}

uint64_t counter_advance(uint64_t last, uint64_t now, unsigned bits, uint64_t expected)
{
    uint64_t mask = bits >= 64 ? ~0ULL : BIT(bits) - 1;
    uint64_t low = (now - last) & mask, span = mask + 1, d;

    if (bits >= 64)
        return low;
    d = (expected & ~mask) | low;
    if (d > expected && d - expected > span / 2 && d >= span)
        d -= span;
    else if (d < expected && expected - d > span / 2)
        d += span;
    return d;
}

/* --- Steering ---------------------------------------------------------------------------------------- */

static uint64_t abs_diff(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

/* Forget where the reference stood: from here on it agrees with system time. */
static void steer_rebase(struct clock_steer *st, uint64_t tsc, uint64_t ref, uint64_t ns)
{
    st->last_tsc = tsc;
    st->last_ref = ref;
    st->origin_ns = st->target_ns = ns;
    st->ref_since = 0;
}

static int64_t clip(int64_t v, int64_t limit)
{
    return v > limit ? limit : v < -limit ? -limit : v;
}

/* hz changed by ppb parts in 10^9. */
static uint64_t hz_adjust(uint64_t hz, int64_t ppb)
{
    return muldiv64(hz, (uint64_t)((int64_t)NS_PER_S + ppb), NS_PER_S);
}

bool clock_steer(struct clock_steer *st, const struct time_scale *cur, const struct clock_pair *look,
                 uint64_t eff_tsc, struct time_scale *next)
{
    uint64_t tsc = clock_pair_tsc(look), dtsc = tsc - st->last_tsc;
    uint64_t expected = muldiv64(dtsc, st->ref_hz, st->base_hz);
    uint64_t dref = counter_advance(st->last_ref, look->ref, st->ref_bits, expected);
    uint64_t now = timescale_ns(cur, tsc), uncertain;
    int64_t error, ppb;

    if (!dtsc)
        return false;
    /* The bracket's own width, and two ticks, may be off in any case. */
    uncertain = muldiv64(look->tsc1 - look->tsc0, st->ref_hz, st->base_hz) + 2;
    if (abs_diff(dref, expected) > expected / (1000000 / STEER_GLITCH_PPM) + uncertain) {
        if (++st->glitches >= STEER_GLITCHES && dref) {
            st->base_hz = muldiv64(dtsc, st->ref_hz, dref);
            st->glitches = 0;
        }
        steer_rebase(st, tsc, look->ref, now);
        return false;
    }
    st->glitches = 0;
    st->last_tsc = tsc;
    st->last_ref = look->ref;
    st->ref_since += dref; /* the sum, not each interval, is rounded to ns */
    st->target_ns = st->origin_ns + muldiv64(st->ref_since, NS_PER_S, st->ref_hz);
    error = clip((int64_t)(st->target_ns - now), (int64_t)NS_PER_S);

    /* Late: a counter that is slower than thought makes system time fall behind, and vice versa. */
    ppb = clip(error / STEER_PERIOD_S, STEER_MAX_PPM * 1000);
    st->base_hz = hz_adjust(st->base_hz, -ppb / STEER_FREQ_GAIN);
    *next = *cur;
    next->stamp_tsc = eff_tsc;
    next->stamp_ns = timescale_ns(cur, eff_tsc);
    timescale_set_hz(next, hz_adjust(st->base_hz, -ppb));
    return true;
}

/* --- Calendar ---------------------------------------------------------------------------------------- */

static bool leap(int y)
{
    return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

int64_t calendar_seconds(int year, int month, int day, int hour, int minute, int second)
{
    static const uint16_t before[12] = {0,   31,  59,  90,  120, 151,
                                        181, 212, 243, 273, 304, 334};
    static const uint8_t length[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t days;
    int y;

    if (year < 1970 || year > 2399 || month < 1 || month > 12 || day < 1 || hour < 0 || hour > 23 ||
        minute < 0 || minute > 59 || second < 0 || second > 60)
        return -1;
    if (day > length[month - 1] + (month == 2 && leap(year)))
        return -1;
    y = year - 1; /* whole years before this one hold the leap days */
    days = (int64_t)(year - 1970) * 365 + (y / 4 - y / 100 + y / 400) -
           (1969 / 4 - 1969 / 100 + 1969 / 400);
    days += before[month - 1] + (month > 2 && leap(year)) + day - 1;
    return ((days * 24 + hour) * 60 + minute) * 60 + second;
}
