/* SPDX-License-Identifier: MIT */
/*
 * The console ring that a guest shares: its output goes up, its input comes down. The guest may write anything into the page at any
 * time. So our own indexes are kept here and only told to the page; the guest's are read once, and one that says more than the
 * ring holds counts as nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xen/io/console.h>

#define RING_OUT sizeof(((struct xencons_interface *)0)->out)
#define RING_IN  sizeof(((struct xencons_interface *)0)->in)

struct ring {
    struct xencons_interface *page;
    uint32_t out_cons, in_prod;
    bool bad;                       /* the guest's indexes made no sense, at least once */
};

/* Takes over at the indexes that the page has, as after a restart of ours. */
void ring_begin(struct ring *r, void *page);
/* What the guest printed, at most RING_OUT bytes; gives their number. */
size_t ring_take(struct ring *r, char out[RING_OUT]);
/* Bytes of input that fit now. */
size_t ring_room(struct ring *r);
/* Puts input in; gives how much of it fitted. */
size_t ring_put(struct ring *r, const char *data, size_t n);
