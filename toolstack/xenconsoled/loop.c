/* SPDX-License-Identifier: MIT */
/* See loop.h. */
#include "loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "fault.h"

#define BATCH 64

static int epoll = -1;
static struct epoll_event batch[BATCH];
static int in_batch;
static void **graves;
static unsigned n_graves, room_graves;

int loop_open(void)
{
    epoll = epoll_create1(EPOLL_CLOEXEC);
    return epoll < 0 ? fault(-errno, "epoll: %s", strerror(errno)) : 0;
}

void loop_close(void)
{
    if (epoll >= 0)
        close(epoll);
    epoll = -1;
    for (unsigned i = 0; i < n_graves; i++)
        free(graves[i]);
    free(graves);
    graves = NULL;
    n_graves = room_graves = 0;
}

int loop_add(struct source *s, uint32_t events)
{
    struct epoll_event e = { .events = events, .data.ptr = s };

    s->events = events;
    return epoll_ctl(epoll, EPOLL_CTL_ADD, s->fd, &e) ? fault(-errno, "epoll: %s", strerror(errno)) : 0;
}

void loop_want(struct source *s, uint32_t events)
{
    struct epoll_event e = { .events = events, .data.ptr = s };

    if (s->fd >= 0 && s->events != events && !epoll_ctl(epoll, EPOLL_CTL_MOD, s->fd, &e))
        s->events = events;
}

void loop_drop(struct source *s)
{
    if (s->fd < 0)
        return;
    epoll_ctl(epoll, EPOLL_CTL_DEL, s->fd, NULL);
    close(s->fd);
    s->fd = -1;
    for (int i = 0; i < in_batch; i++)
        if (batch[i].data.ptr == s)
            batch[i].data.ptr = NULL;
}

void loop_free_later(void *p)
{
    if (n_graves == room_graves) {
        void **more = realloc(graves, (2 * room_graves + 16) * sizeof(*more));

        if (!more)
            return; /* lost, which is better than used again */
        graves = more;
        room_graves = 2 * room_graves + 16;
    }
    graves[n_graves++] = p;
}

uint64_t loop_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int loop_once(int timeout_ms)
{
    in_batch = epoll_wait(epoll, batch, BATCH, timeout_ms);
    if (in_batch < 0) {
        in_batch = 0;
        return errno == EINTR ? 0 : fault(-errno, "epoll: %s", strerror(errno));
    }
    for (int i = 0; i < in_batch; i++) {
        struct source *s = batch[i].data.ptr;

        if (s && s->ready)
            s->ready(s, batch[i].events);
    }
    in_batch = 0;
    while (n_graves)
        free(graves[--n_graves]);
    return 0;
}
