/* SPDX-License-Identifier: MIT */
/*
 * Arithmetic of clocks: from a counter to nanoseconds and back, calibration of one counter against
 * another, steering without jumps, calendar dates. Pure; common/timescale.c.
 */
#pragma once

#include "types.h"
#include "vtime.h"

#define NS_PER_S 1000000000ULL

/* a * b / c by 128 bits; all ones when the result does not fit. c != 0. */
uint64_t muldiv64(uint64_t a, uint64_t b, uint64_t c);

/* mul and shift of a counter with this frequency (1 Hz .. 2^40 Hz); stamps are left alone. */
void timescale_set_hz(struct time_scale *s, uint64_t hz);
/* Frequency that mul and shift stand for. */
uint64_t timescale_hz(const struct time_scale *s);

/* System time at a counter value; before the stamp: the stamp. */
static inline uint64_t timescale_ns(const struct time_scale *s, uint64_t tsc)
{
    uint64_t d = tsc - s->stamp_tsc;

    if (unlikely((int64_t)d < 0))
        return s->stamp_ns;
    if (s->shift < 0)
        d >>= -s->shift;
    else
        d <<= s->shift;
    return s->stamp_ns + (uint64_t)(((unsigned __int128)d * s->mul) >> 32);
}

/* A counter value at which at least `ns` of system time has been reached; for ns no more than some 100 s
 * after the stamp. 0 when the scale is not set. */
uint64_t timescale_tsc(const struct time_scale *s, uint64_t ns);

/* One look at two clocks: the reference was `ref` somewhere between tsc0 and tsc1. */
struct clock_pair {
    uint64_t tsc0, ref, tsc1;
};
/* The tightest of n. */
const struct clock_pair *clock_pair_best(const struct clock_pair *p, unsigned n);
/* Middle of the bracket. */
uint64_t clock_pair_tsc(const struct clock_pair *p);
/* Frequency of tsc from two looks and the reference's frequency; 0: no time passed. */
uint64_t clock_pair_hz(const struct clock_pair *a, const struct clock_pair *b, uint64_t ref_hz);

/* How far a counter of `bits` bits went from `last` to `now`, when by another clock it should have been
 * about `expected`: the value nearest to it that agrees with the two readings. */
uint64_t counter_advance(uint64_t last, uint64_t now, unsigned bits, uint64_t expected);

/* The clock's state between re-calibrations. */
struct clock_steer {
    uint64_t ref_hz;
    unsigned ref_bits;
    uint64_t base_hz;               /* best estimate of the counter's frequency */
    uint64_t last_tsc, last_ref;    /* previous look */
    uint64_t origin_ns, ref_since;  /* where the reference was believed last, and its ticks since then */
    uint64_t target_ns;             /* system time the reference stands for at last_tsc */
    unsigned glitches;              /* intervals in a row that did not fit */
};
/* One more look, `cur` being the scale in force: *next is the scale to use from next->stamp_tsc (= eff_tsc) on,
 * continuous with cur there and never backwards. False: the look was a glitch (a stopped or reset reference):
 * keep cur. */
bool clock_steer(struct clock_steer *st, const struct time_scale *cur, const struct clock_pair *look,
                 uint64_t eff_tsc, struct time_scale *next);
#define STEER_MAX_PPM 500     /* the clock never runs wrong by more to catch up */
#define STEER_GLITCH_PPM 10000 /* an interval that is off by so much is not the clock's fault */

/* Seconds since 1970 of a date (Gregorian, month and day from 1), or -1 for no such date. */
int64_t calendar_seconds(int year, int month, int day, int hour, int minute, int second);
