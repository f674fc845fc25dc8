/* SPDX-License-Identifier: MIT */
/*
 * Clock arithmetic: exactness against 128-bit and floating-point references, wraps, and hours of simulated
 * steering with noise, where system time must never go back and must not drift.
 * sources: hypervisor/common/timescale.c
 * libs: -lm
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "timescale.h"

static uint64_t seed = 1;
static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void test_muldiv(void **state)
{
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t a = rnd() >> (rnd() % 64), b = rnd() >> (rnd() % 64), c = rnd() >> (rnd() % 64);
        unsigned __int128 want;

        if (!c)
            continue;
        want = (unsigned __int128)a * b / c;
        assert_true(muldiv64(a, b, c) == (want >> 64 ? ~0ULL : (uint64_t)want));
    }
}

static const uint64_t rates[] = {1000000, 3579545, 999999999, 1000000000, 1000000001, 2394374000,
                                 4999999999, 10000000000};

static void test_scale(void **state)
{
    for (unsigned i = 0; i < ARRAY_SIZE(rates); i++) {
        struct time_scale s = {.stamp_tsc = 12345, .stamp_ns = 777};
        uint64_t hz = rates[i], ns;

        timescale_set_hz(&s, hz);
        assert_true(s.mul >= BIT(31));
        assert_true(fabs((double)timescale_hz(&s) - (double)hz) <= 1 + (double)hz * 2e-9);
        assert_true(timescale_ns(&s, 12344) == 777);
        /* an hour, within 4 parts in 10^9 */
        ns = timescale_ns(&s, 12345 + hz * 3600) - 777;
        assert_true(fabs((double)ns - 3600e9) < 3600e9 * 4e-9);
    }
}

/* A deadline is never early, and late by little. */
static void test_inverse(void **state)
{
    for (unsigned i = 0; i < 200000; i++) {
        struct time_scale s = {.stamp_tsc = rnd() >> 4, .stamp_ns = rnd() >> 4};
        uint64_t hz = rates[rnd() % ARRAY_SIZE(rates)], d = rnd() >> (64 - 1 - rnd() % 37), ns, at;

        timescale_set_hz(&s, hz);
        ns = s.stamp_ns + d;
        at = timescale_tsc(&s, ns);
        assert_true(timescale_ns(&s, at) >= ns);
        assert_true(timescale_ns(&s, at) - ns <= 200 + 4 * (1000000000 / hz + 1));
    }
}

static void test_inverse_far(void **state)
{
    struct time_scale s = {0};

    assert_int_equal(timescale_tsc(&s, 5), 0);
    timescale_set_hz(&s, 3000000000);
    /* a deadline too far away is clipped, not wrapped */
    assert_true(timescale_tsc(&s, ~0ULL) > 100 * 3000000000ULL);
    assert_true(timescale_tsc(&s, ~0ULL) < 200 * 3000000000ULL);
    s.stamp_ns = 100, s.stamp_tsc = 50;
    assert_int_equal(timescale_tsc(&s, 99), 50);
}

static void test_advance(void **state)
{
    assert_int_equal(counter_advance(5, 9, 24, 0), 4);
    assert_int_equal(counter_advance(0xfffffe, 3, 24, 0), 5);
    assert_int_equal(counter_advance(0xfffffe, 3, 24, BIT(24) + 6), BIT(24) + 5);
    for (unsigned i = 0; i < 100000; i++) {
        unsigned bits = rnd() & 1 ? 24 : 32;
        uint64_t start = rnd() & (BIT(bits) - 1), went = rnd() >> (20 + rnd() % 40);
        int64_t off = (int64_t)(rnd() % (BIT(bits) / 2 - 1)) * (rnd() & 1 ? 1 : -1);
        uint64_t guess = (int64_t)went + off < 0 ? 0 : went + (uint64_t)off;

        assert_true(counter_advance(start, (start + went) & (BIT(bits) - 1), bits, guess) == went);
    }
    assert_true(counter_advance(~0ULL, 1, 64, 0) == 2);
}

static void test_pairs(void **state)
{
    struct clock_pair p[3] = {{0, 10, 100}, {200, 11, 210}, {300, 12, 400}};
    struct clock_pair q = {1000200, 1011, 1000210};

    assert_ptr_equal(clock_pair_best(p, 3), &p[1]);
    assert_int_equal(clock_pair_tsc(&p[1]), 205);
    assert_int_equal(clock_pair_hz(&p[1], &q, 1000), 1000000);
    assert_int_equal(clock_pair_hz(&q, &p[1], 1000), 0);
}

/* --- Steering against a simulated machine: true time in ns, a TSC and a reference of known rates --- */

struct sim {
    double t;      /* true ns */
    double tsc_hz; /* true */
    uint64_t ref_hz, ref_base;
    unsigned bits;
};

static uint64_t sim_tsc(const struct sim *m, double t)
{
    return (uint64_t)(t * m->tsc_hz / 1e9);
}
static uint64_t sim_ref(const struct sim *m, double t)
{
    return ((uint64_t)(t * (double)m->ref_hz / 1e9) + m->ref_base) & (BIT(m->bits) - 1);
}

/* A look that takes `width` ns, the reference being read at a random moment within. */
static struct clock_pair sim_look(struct sim *m, double width)
{
    double inside = width * (double)(rnd() % 1000) / 1000;
    struct clock_pair p = {sim_tsc(m, m->t), sim_ref(m, m->t + inside), sim_tsc(m, m->t + width)};

    m->t += width;
    return p;
}

/* Run so many seconds; returns the largest error of system time in the last quarter. */
static double sim_run(struct sim *m, uint64_t wrong_hz, unsigned seconds, double noise_ns)
{
    struct clock_steer st = {.ref_hz = m->ref_hz, .ref_bits = m->bits, .base_hz = wrong_hz};
    struct time_scale cur = {0}, next;
    struct clock_pair look;
    double worst = 0, zero;
    uint64_t last = 0;

    timescale_set_hz(&cur, wrong_hz);
    cur.stamp_tsc = sim_tsc(m, m->t);
    look = sim_look(m, 1000);
    zero = m->t - 500;
    st.last_tsc = clock_pair_tsc(&look);
    st.last_ref = look.ref;
    st.origin_ns = timescale_ns(&cur, st.last_tsc);
    for (unsigned i = 0; i < seconds; i++) {
        uint64_t eff, before, after;
        double e;

        m->t += 1e9;
        look = sim_look(m, 500 + noise_ns * (double)(rnd() % 100) / 100);
        eff = look.tsc1 + (uint64_t)(m->tsc_hz / 50);
        assert_true(clock_steer(&st, &cur, &look, eff, &next));
        before = timescale_ns(&cur, eff);
        after = timescale_ns(&next, eff);
        assert_true(before == after); /* continuous */
        assert_true(before > last);
        last = before;
        cur = next;
        m->t += 21e6;
        e = (double)timescale_ns(&cur, sim_tsc(m, m->t)) - (m->t - zero);
        if (i > seconds * 3 / 4 && fabs(e) > worst)
            worst = fabs(e);
    }
    return worst;
}

static void test_steer(void **state)
{
    struct sim pm = {.t = 5e9, .tsc_hz = 2394374123.0, .ref_hz = 3579545, .ref_base = 0xfff000, .bits = 24};
    struct sim hpet = {.t = 1e9, .tsc_hz = 1e9, .ref_hz = 100000000, .ref_base = 0xfffff000, .bits = 32};

    /* 200 ppm wrong at the start; two hours; the error stays within the reading noise */
    assert_true(sim_run(&pm, (uint64_t)(pm.tsc_hz * 1.0002), 7200, 0) < 2000);
    assert_true(sim_run(&pm, (uint64_t)(pm.tsc_hz * 0.9998), 7200, 20000) < 40000);
    assert_true(sim_run(&hpet, 1000000000, 3600, 0) < 1500);
    assert_true(sim_run(&hpet, 999900000, 3600, 5000) < 10000);
}

/* The reference jumps: ignored, and life goes on. It stays at another rate: believed after three. */
static void test_glitch(void **state)
{
    struct sim m = {.t = 5e9, .tsc_hz = 2e9, .ref_hz = 14318180, .bits = 32};
    struct clock_steer st = {.ref_hz = m.ref_hz, .ref_bits = m.bits, .base_hz = 2000000000};
    struct time_scale cur = {0}, next;
    struct clock_pair look = sim_look(&m, 1000);
    unsigned refused = 0;

    timescale_set_hz(&cur, st.base_hz);
    cur.stamp_tsc = st.last_tsc = clock_pair_tsc(&look);
    st.last_ref = look.ref;
    for (unsigned i = 0; i < 20; i++) {
        m.t += 1e9;
        if (i == 10)
            m.ref_base += 7000000;
        look = sim_look(&m, 1000);
        if (clock_steer(&st, &cur, &look, look.tsc1 + 1000, &next))
            cur = next;
        else
            refused++;
    }
    assert_int_equal(refused, 1);
    assert_true(fabs((double)st.base_hz - 2e9) < 2e9 * 2e-6);
    m.tsc_hz = 2.2e9;
    m.t = (double)look.tsc1 / m.tsc_hz * 1e9;
    for (unsigned i = 0; i < 6; i++) {
        m.t += 1e9;
        look = sim_look(&m, 1000);
        if (clock_steer(&st, &cur, &look, look.tsc1 + 1000, &next))
            cur = next;
    }
    assert_true(fabs((double)st.base_hz - 2.2e9) < 2.2e9 * 1e-3);
}

static void test_calendar(void **state)
{
    assert_int_equal(calendar_seconds(1970, 1, 1, 0, 0, 0), 0);
    assert_int_equal(calendar_seconds(2023, 2, 29, 0, 0, 0), -1);
    assert_int_equal(calendar_seconds(2100, 2, 29, 0, 0, 0), -1);
    assert_int_equal(calendar_seconds(2024, 13, 1, 0, 0, 0), -1);
    assert_int_equal(calendar_seconds(2024, 0, 1, 0, 0, 0), -1);
    assert_int_equal(calendar_seconds(2024, 1, 0, 0, 0, 0), -1);
    assert_int_equal(calendar_seconds(2024, 1, 1, 24, 0, 0), -1);
    for (int64_t t = 0; t < 4102444800 * 2; t += 86400 * 3 + 12345) {
        time_t tt = (time_t)t;
        struct tm tm;

        gmtime_r(&tt, &tm);
        assert_int_equal(calendar_seconds(tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                                          tm.tm_min, tm.tm_sec),
                         t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_muldiv),      cmocka_unit_test(test_scale),
        cmocka_unit_test(test_inverse),     cmocka_unit_test(test_inverse_far),
        cmocka_unit_test(test_advance),     cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_steer),       cmocka_unit_test(test_glitch),
        cmocka_unit_test(test_calendar),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
