/* SPDX-License-Identifier: MIT */
/*
 * One thread, one loop. Connections with something to do stand in one of two queues, domains' and domain 0's, which take
 * turns; a turn is a few requests and a fraction of a millisecond. So a client waits for at most one turn of each other,
 * and domain 0's tools for one turn of one domain, whatever the domains do.
 */
#pragma once
#include "conn.h"

struct endpoint {
    struct conn conn;
    struct endpoint *next;
    bool queued, closing;
    bool (*step)(struct endpoint *e);    /* does a little; true if there may be more to do */
    void (*rest)(struct endpoint *e);    /* nothing more to do: ask to be told; may be NULL */
    void (*close)(struct endpoint *e);   /* frees it; called from the loop only */
};

/* A descriptor in the loop; ready() gets the epoll events. */
struct source {
    int fd;
    void (*ready)(struct source *s, unsigned events);
};

struct loop {
    int epoll;
    bool stop;
    struct endpoint *first[2], **last[2];    /* [0] domains, [1] domain 0 and its programs */
    void (*after)(void);                     /* after each request: the journal */
    void (*tick)(void);                      /* every second or so */
    uint64_t turns;
};

extern struct loop loop;

void loop_init(void);
void loop_add(struct source *s, unsigned events);
void loop_change(struct source *s, unsigned events);
void loop_remove(struct source *s);
/* The connection has something to do. */
void loop_wake(struct endpoint *e);
/* Takes it out of its queue; the caller frees it. */
void loop_forget(struct endpoint *e);
void loop_run(void);
/* Runs everything that can be done without waiting (tests, and before the end). */
void loop_drain(unsigned turns);
uint64_t loop_micros(void);
