/* SPDX-License-Identifier: MIT */
/*
 * Pre-copy: while a guest runs, its memory is sent in rounds, each of the pages that were written since the one before. This is
 * the judge that says after each round whether to go on, from counts and times alone: no I/O, no clock of its own.
 *
 *   stop   the pause that is left is within the bound and does not get shorter any more, or rounds no longer help
 *   abort  the same, but the pause would be beyond the bound and the caller said that he would rather not move then
 *
 * It ends for any guest and any link: rounds, bytes and fruitless rounds are all bounded.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define PRECOPY_PAGE 4096U
#define PRECOPY_DOWNTIME_MS 300U /* defaults of the bounds */
#define PRECOPY_ROUNDS 30U

struct precopy_limits {
    unsigned downtime_ms;      /* the pause that is allowed; 0: PRECOPY_DOWNTIME_MS */
    unsigned rounds;           /* at most so many while the guest runs; 0: PRECOPY_ROUNDS */
    bool abort_if_busy;        /* rather not move than pause longer than that */
    uint64_t rate;             /* bytes a second at most; 0: as fast as it goes */
};

enum precopy_next { PRECOPY_ROUND, PRECOPY_STOP, PRECOPY_ABORT };

struct precopy {
    struct precopy_limits limits;
    uint64_t pages;            /* the guest's size */
    unsigned round;            /* rounds that are over */
    unsigned fruitless;        /* of them, in a row, that left no less than the best one before */
    unsigned futile;           /* of these, in a row, that left as much as they sent */
    uint64_t sent_bytes, dirty, best; /* dirty: pages left; best: the fewest so far */
    double rate;               /* bytes a second on the way, smoothed */
    double page_bytes;         /* what a page costs on the way: less than a page where many are zero */
    double dirty_rate;         /* pages a second that the guest writes for the first time in a round */
    double fixed_ms;           /* part of the pause that does not depend on pages */
    double pause_ms;           /* expected now */
    const char *reason;        /* of the last stop or abort, as a phrase */
};

/* What a person or a program sees of a move. */
struct move_progress {
    const char *phase;         /* "memory", "suspended", "switch", "done" */
    unsigned round;            /* from 1 */
    uint64_t pages;            /* the guest's */
    uint64_t round_pages, round_sent; /* of this round */
    uint64_t sent, bytes;      /* in all */
    uint64_t dirty;            /* written since the round before */
    double rate;               /* bytes a second */
    unsigned left_ms, pause_ms; /* expected: until it is over, of the guest's pause */
};

/* fixed_ms: what a pause costs that sends no page (devices, vCPUs, the other side's work). */
void precopy_begin(struct precopy *p, const struct precopy_limits *limits, uint64_t pages, double fixed_ms);
/* A round is over: it sent `bytes` for `pages` pages in `ms`; `dirty` pages were written meanwhile. */
enum precopy_next precopy_judge(struct precopy *p, uint64_t pages, uint64_t bytes, double ms, uint64_t dirty);
/* How long until the guest runs on the other side, if `left` pages of this round are yet to be sent. */
double precopy_left_ms(const struct precopy *p, uint64_t left);
/* Rate limit: how long to wait after `bytes` in `ms`, so that the limit is kept. */
double precopy_wait_ms(const struct precopy *p, uint64_t bytes, double ms);
