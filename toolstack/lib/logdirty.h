/* SPDX-License-Identifier: MIT */
/* Log-dirty: which pages of a guest were written since last asked. 0 or a negative error with fault(). */
#pragma once

#include <stdint.h>

#include "ctl.h"

struct logdirty {
    struct ctl *c;
    uint32_t domid;
    uint64_t pages;        /* size of the bitmap */
    uint64_t *map;         /* bit p of word p / 64: page number p */
    uint64_t faults, dirty; /* of the last answer */
    int on;
};

/* Switches it on. Everything counts as clean from here on. */
int logdirty_begin(struct logdirty *l, struct ctl *c, uint32_t domid, uint64_t pages);
/* What was written since the call before goes to l->map, on top of what is there if `add`; gives how many bits are set there. */
int64_t logdirty_take(struct logdirty *l, int add);
/* Off; also if it was on for somebody who died (logdirty_off). */
void logdirty_end(struct logdirty *l);
void logdirty_off(struct ctl *c, uint32_t domid);
