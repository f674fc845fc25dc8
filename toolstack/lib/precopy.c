/* SPDX-License-Identifier: MIT */
/*
 * When to stop sending and pause the guest. A guest that writes slower than the link carries shrinks from round to round; the pause
 * gets shorter until it is all fixed cost. One that writes faster does not shrink: rounds after which as much is left as after the best one
 * before show that; two are enough if each left as much as it sent. What is left is counted in pages, since the rate is only
 * found out meanwhile. Less by less than a tenth is not called less: noise would keep it going.
 */
#include "precopy.h"

#define FRUITLESS_MAX 3U
#define FUTILE_MAX 2U         /* of rounds that left as much as they sent */
#define SENT_TIMES_MAX 4U     /* in all so many times the guest's size at most */
#define BETTER 0.9
#define SMALL_PAGES 64U       /* so few pages are not worth another round */

void precopy_begin(struct precopy *p, const struct precopy_limits *limits, uint64_t pages, double fixed_ms)
{
    *p = (struct precopy){ .limits = *limits, .pages = pages, .fixed_ms = fixed_ms, .page_bytes = PRECOPY_PAGE, .reason = "" };
    if (!p->limits.downtime_ms)
        p->limits.downtime_ms = PRECOPY_DOWNTIME_MS;
    if (!p->limits.rounds)
        p->limits.rounds = PRECOPY_ROUNDS;
}

/* A link that got slower is believed at once, one that got faster by halves: the pause must not be promised too short. */
static void take_rates(struct precopy *p, uint64_t pages, uint64_t bytes, double ms, uint64_t dirty)
{
    if (ms < 0.001)
        ms = 0.001;
    if (pages > 0 && bytes > 0) {
        double rate = (double)bytes * 1000 / ms, each = (double)bytes / (double)pages;

        /* The first round looks at every page, most of which may be empty, so its rate says little. */
        p->rate = p->round > 2 && rate > p->rate ? (p->rate + rate) / 2 : rate;
        /* Zero pages are mostly sent in the first round; what is written later is seldom zero. */
        p->page_bytes = p->round > 1 && each > p->page_bytes / 2 ? (p->page_bytes + each) / 2 : PRECOPY_PAGE;
    }
    p->dirty_rate = (double)dirty * 1000 / ms;
}

static double send_ms(const struct precopy *p, double pages)
{
    return p->rate > 0 ? pages * p->page_bytes * 1000 / p->rate : 0;
}

static enum precopy_next end(struct precopy *p, const char *reason)
{
    p->reason = reason;
    return p->pause_ms > p->limits.downtime_ms && p->limits.abort_if_busy ? PRECOPY_ABORT : PRECOPY_STOP;
}

enum precopy_next precopy_judge(struct precopy *p, uint64_t pages, uint64_t bytes, double ms, uint64_t dirty)
{
    bool better;

    p->round++;
    p->sent_bytes += bytes;
    p->dirty = dirty;
    take_rates(p, pages, bytes, ms, dirty);
    p->pause_ms = p->fixed_ms + send_ms(p, (double)dirty);
    better = p->round == 1 || (double)dirty < (double)p->best * BETTER;
    p->fruitless = better ? 0 : p->fruitless + 1;
    p->futile = !better && (double)dirty > (double)pages * BETTER ? p->futile + 1 : 0;
    if (better)
        p->best = dirty;
    if (dirty <= SMALL_PAGES && p->pause_ms <= p->limits.downtime_ms)
        return end(p, "few pages are left");
    if (!better && p->pause_ms <= p->limits.downtime_ms)
        return end(p, "the pause fits the bound and gets no shorter");
    if (p->round >= p->limits.rounds)
        return end(p, "that was the last round allowed");
    if (p->fruitless >= FRUITLESS_MAX || p->futile >= FUTILE_MAX)
        return end(p, "the guest writes as fast as its memory can be sent");
    if (p->sent_bytes > SENT_TIMES_MAX * p->pages * PRECOPY_PAGE)
        return end(p, "its memory has been sent four times over");
    return PRECOPY_ROUND;
}

/* The rounds to come are a geometric series if it writes slower than the link carries; else only this one is in sight. */
double precopy_left_ms(const struct precopy *p, uint64_t left)
{
    double now = send_ms(p, (double)left), ratio = p->rate > 0 ? p->dirty_rate * p->page_bytes / p->rate : 1;
    double later = ratio < 0.9 ? now * ratio / (1 - ratio) : now;

    return now + later + p->fixed_ms;
}

double precopy_wait_ms(const struct precopy *p, uint64_t bytes, double ms)
{
    double due = p->limits.rate ? (double)bytes * 1000 / (double)p->limits.rate : 0;

    return due > ms ? due - ms : 0;
}
