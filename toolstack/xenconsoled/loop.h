/* SPDX-License-Identifier: MIT */
/* One thread waits for everything. What is freed while events are handed out stays until all of them are. */
#pragma once

#include <stdint.h>

struct source {
    int fd;
    uint32_t events;                        /* EPOLLIN, EPOLLOUT; asked for now */
    void (*ready)(struct source *s, uint32_t events);
};

int loop_open(void);
void loop_close(void);
int loop_add(struct source *s, uint32_t events);
void loop_want(struct source *s, uint32_t events);
/* Takes it out and closes its descriptor. */
void loop_drop(struct source *s);
void loop_free_later(void *p);
/* Milliseconds that always go forward. */
uint64_t loop_now(void);
/* Waits once, at most timeout_ms (-1: for ever), and hands out what came. Negative: an error with fault(). */
int loop_once(int timeout_ms);
