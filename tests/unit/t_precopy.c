/* SPDX-License-Identifier: MIT */
/*
 * The judge of pre-copy over simulated guests and links: it ends for all of them, and well for those that can be moved well.
 * V=1 prints what each came to.
 * sources: toolstack/lib/precopy.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "precopy.h"

#define MB (1024.0 * 1024)
#define PAGES (512ULL * 256)  /* 512 MB */

/* A guest writes `hot` pages over and over at `writes` pages a second; in a burst (every 5 s for 1 s) so many more. */
struct sim {
    double writes, hot, burst;
    double link, link_later;      /* bytes a second, at first and after `slows_at` ms */
    double slows_at;
    double empty;                 /* of its memory; a page that is empty costs an eighth of the time and no bytes */
    /* results */
    double now, pause;
    unsigned rounds;
    enum precopy_next end;
    struct precopy judge;
};

static double link_now(const struct sim *s)
{
    double link = s->slows_at > 0 && s->now > s->slows_at ? s->link_later : s->link;

    return s->judge.limits.rate && link > (double)s->judge.limits.rate ? (double)s->judge.limits.rate : link;
}

/* First writes of a page within `ms`: not more than the hot ones there are. */
static double written(const struct sim *s, double ms)
{
    double phase = s->now - 5000 * (double)(unsigned)(s->now / 5000);
    double n = (s->writes + (phase < 1000 ? s->burst : 0)) * ms / 1000;

    return n < s->hot ? n : s->hot;
}

static void run(struct sim *s, const struct precopy_limits *limits, const char *what)
{
    double todo = (double)PAGES;

    precopy_begin(&s->judge, limits, PAGES, 20);
    do {
        double sent = todo * (s->rounds ? 1 : 1 - s->empty);
        double ms = (sent + (todo - sent) / 8) * PRECOPY_PAGE * 1000 / link_now(s), dirty = written(s, ms);

        s->now += ms;
        s->rounds++;
        assert_true(s->rounds <= (limits->rounds ? limits->rounds : PRECOPY_ROUNDS));
        s->end = precopy_judge(&s->judge, (uint64_t)todo, (uint64_t)(sent * PRECOPY_PAGE), ms, (uint64_t)dirty);
        todo = (double)(uint64_t)dirty;
        assert_true(precopy_left_ms(&s->judge, (uint64_t)todo) >= 0);
    } while (s->end == PRECOPY_ROUND);
    s->pause = 20 + todo * PRECOPY_PAGE * 1000 / link_now(s);
    if (getenv("V"))
        printf("%-22s %2u rounds %7.1f s pause %8.1f ms (expected %8.1f) %s: %s\n", what, s->rounds, s->now / 1000, s->pause,
               s->judge.pause_ms, s->end == PRECOPY_STOP ? "moves" : "stays", s->judge.reason);
}

static void idle_guest(void **state)
{
    struct sim s = { .writes = 50, .hot = 200, .link = 100 * MB };

    run(&s, &(struct precopy_limits){ 0 }, "idle");
    assert_int_equal(s.end, PRECOPY_STOP);
    assert_true(s.rounds <= 3 && s.pause < 30);
}

static void writes_slower_than_the_link(void **state)
{
    struct sim s = { .writes = 10000, .hot = 60000, .link = 100 * MB };

    run(&s, &(struct precopy_limits){ .downtime_ms = 200 }, "40 MB/s over 100");
    assert_int_equal(s.end, PRECOPY_STOP);
    assert_true(s.pause <= 200 && s.rounds < 15);
    assert_true(s.now < 2.5 * 5120);        /* near the series' sum: 5.12 s / (1 - 0.4) */
}

static void writes_faster_than_the_link(void **state)
{
    struct sim s = { .writes = 100000, .hot = 40000, .link = 100 * MB };

    run(&s, &(struct precopy_limits){ 0 }, "faster than the link");
    assert_int_equal(s.end, PRECOPY_STOP);
    assert_true(s.rounds <= 6 && s.judge.sent_bytes <= 5 * PAGES * PRECOPY_PAGE);
    struct sim b = { .writes = 100000, .hot = 40000, .link = 100 * MB };

    run(&b, &(struct precopy_limits){ .abort_if_busy = true }, "the same, if not busy");
    assert_int_equal(b.end, PRECOPY_ABORT);
}

/* The first round says little of the rate if most pages are empty: rounds do not get better by its being found out. */
static void mostly_empty(void **state)
{
    struct sim s = { .writes = 100000, .hot = 16384, .link = 40 * MB, .empty = 0.85 };

    run(&s, &(struct precopy_limits){ 0 }, "the same, mostly empty");
    assert_int_equal(s.end, PRECOPY_STOP);
    assert_true(s.rounds <= 3);
    assert_true(s.judge.pause_ms > 0.8 * s.pause && s.judge.pause_ms < 1.3 * s.pause);
}

static void small_hot_set(void **state)
{
    struct sim s = { .writes = 1000000, .hot = 1500, .link = 100 * MB };

    run(&s, &(struct precopy_limits){ 0 }, "small hot set");
    assert_int_equal(s.end, PRECOPY_STOP);
    assert_true(s.pause <= 300 && s.rounds <= 5);
}

static void bursts(void **state)
{
    struct sim s = { .writes = 500, .burst = 30000, .hot = 30000, .link = 60 * MB };

    run(&s, &(struct precopy_limits){ .downtime_ms = 150 }, "bursts");
    assert_int_equal(s.end, PRECOPY_STOP);
    assert_true(s.pause <= 150);
}

static void link_that_slows(void **state)
{
    struct sim s = { .writes = 3000, .hot = 60000, .link = 100 * MB, .link_later = 15 * MB, .slows_at = 5300 };

    run(&s, &(struct precopy_limits){ .downtime_ms = 400 }, "link slows");
    assert_int_equal(s.end, PRECOPY_STOP);
    /* What it believes of the pause when it stops is right within a factor of two. */
    assert_true(s.pause < 2 * s.judge.pause_ms + 20);
}

static void rounds_are_bounded(void **state)
{
    for (unsigned n = 1; n <= 4; n++) {
        struct sim s = { .writes = 20000, .hot = 100000, .link = 100 * MB };

        run(&s, &(struct precopy_limits){ .rounds = n, .downtime_ms = 1 }, "--rounds");
        assert_true(s.rounds <= n);
    }
}

static void rate_is_kept(void **state)
{
    struct precopy p;
    struct sim s = { .writes = 100, .hot = 1000, .link = 100 * MB };

    precopy_begin(&p, &(struct precopy_limits){ .rate = 1000000 }, PAGES, 0);
    assert_true(precopy_wait_ms(&p, 500000, 100) > 399.9 && precopy_wait_ms(&p, 500000, 100) < 400.1);
    assert_true(precopy_wait_ms(&p, 500000, 600) < 0.001);
    run(&s, &(struct precopy_limits){ .rate = 20 << 20 }, "--rate 160");
    assert_true(s.now > 25000);
    assert_int_equal(s.end, PRECOPY_STOP);
}

/* Any numbers at all: it ends within the rounds allowed, and what it says is a number. */
static void any_numbers_end(void **state)
{
    srandom(1);
    for (unsigned i = 0; i < 20000; i++) {
        struct precopy_limits l = { .downtime_ms = (unsigned)random() % 1000, .rounds = (unsigned)random() % 50, .abort_if_busy = random() & 1 };
        struct precopy p;
        unsigned n = 0;

        precopy_begin(&p, &l, (uint64_t)random() % PAGES, (double)(random() % 100));
        while (precopy_judge(&p, (uint64_t)random() % PAGES, (uint64_t)random(), (double)(random() % 100000) / 1000, (uint64_t)random() % PAGES)
               == PRECOPY_ROUND) {
            assert_true(++n < 50);
            assert_true(p.pause_ms >= 0 && p.pause_ms < 1e12 && precopy_left_ms(&p, 1000) < 1e13);
        }
        assert_true(p.reason[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle_guest), cmocka_unit_test(writes_slower_than_the_link), cmocka_unit_test(writes_faster_than_the_link),
        cmocka_unit_test(mostly_empty),
        cmocka_unit_test(small_hot_set), cmocka_unit_test(bursts), cmocka_unit_test(link_that_slows), cmocka_unit_test(rounds_are_bounded),
        cmocka_unit_test(rate_is_kept), cmocka_unit_test(any_numbers_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
