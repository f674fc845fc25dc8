/* SPDX-License-Identifier: MIT */
/* The loop: epoll for descriptors, two queues for connections with something to do. */
#include "loop.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define TURN_REQUESTS 16
#define TURN_MICROS 250
#define CLOCK_EVERY 4          /* requests of domain 0, which is trusted to have short ones: looking at the clock may be a system call */
#define TURNS_BETWEEN_POLLS 16

struct loop loop = { .epoll = -1 };

void loop_init(void)
{
    int i;

    loop.epoll = epoll_create1(EPOLL_CLOEXEC);
    for (i = 0; i < 2; i++)
        loop.last[i] = &loop.first[i];
}

static void loop_control(struct source *s, int op, unsigned events)
{
    struct epoll_event e = { .events = events, .data.ptr = s };

    epoll_ctl(loop.epoll, op, s->fd, &e);
}

void loop_add(struct source *s, unsigned events)
{
    loop_control(s, EPOLL_CTL_ADD, events);
}

void loop_change(struct source *s, unsigned events)
{
    loop_control(s, EPOLL_CTL_MOD, events);
}

void loop_remove(struct source *s)
{
    loop_control(s, EPOLL_CTL_DEL, 0);
}

uint64_t loop_micros(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static int endpoint_queue(const struct endpoint *e)
{
    return e->conn.who.domid == 0;
}

static void queue_append(struct endpoint *e)
{
    int q = endpoint_queue(e);

    e->next = NULL;
    *loop.last[q] = e;
    loop.last[q] = &e->next;
}

void loop_wake(struct endpoint *e)
{
    if (e->queued)
        return;
    e->queued = true;
    queue_append(e);
}

void loop_forget(struct endpoint *e)
{
    int q = endpoint_queue(e);
    struct endpoint **p = &loop.first[q];

    while (*p && *p != e)
        p = &(*p)->next;
    if (!*p)
        return;
    *p = e->next;
    if (loop.last[q] == &e->next)
        loop.last[q] = p;
    e->queued = false;
}

/* It stays marked as queued while it runs: what it causes for itself is done in the same turn. */
static void loop_turn(int q)
{
    struct endpoint *e = loop.first[q];
    uint64_t start = loop_micros();
    bool more = true;
    int n;

    loop.first[q] = e->next;
    if (!e->next)
        loop.last[q] = &loop.first[q];
    for (n = 0; more && !e->closing && n < TURN_REQUESTS; n++) {
        more = e->step(e);
        if (loop.after)
            loop.after();
        if ((!q || n % CLOCK_EVERY == CLOCK_EVERY - 1) && loop_micros() - start > TURN_MICROS)
            break;
    }
    loop.turns++;
    if (e->closing) {
        e->close(e);
    } else if (more) {
        queue_append(e);
    } else {
        e->queued = false;
        if (e->rest)
            e->rest(e);
    }
}

void loop_drain(unsigned turns)
{
    unsigned i;

    for (i = 0; i < turns && (loop.first[0] || loop.first[1]); i++)
        loop_turn(loop.first[i & 1] ? i & 1 : !(i & 1));
}

static void loop_poll(int timeout)
{
    struct epoll_event event[64];
    int n = epoll_wait(loop.epoll, event, 64, timeout), i;

    for (i = 0; i < n; i++) {
        struct source *s = event[i].data.ptr;

        s->ready(s, event[i].events);
    }
}

void loop_run(void)
{
    uint64_t tick = loop_micros();

    while (!loop.stop) {
        loop_poll(loop.first[0] || loop.first[1] ? 0 : 1000);
        loop_drain(TURNS_BETWEEN_POLLS);
        if (loop_micros() - tick > 1000000 && loop.tick) {
            tick = loop_micros();
            loop.tick();
        }
    }
}
