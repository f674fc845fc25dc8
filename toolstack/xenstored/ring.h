/* SPDX-License-Identifier: MIT */
/*
 * A connection over a page shared with a domain. The other side is hostile: indexes are read once and checked, and what was
 * copied out is what counts. Knows no mapping and no event channels.
 */
#pragma once
#include "conn.h"

#define RING_FEATURE_WATCH_DEPTH 4u    /* xenstore-ring.txt, bit 2; not in the 4.17 header */

struct ring {
    struct xenstore_domain_interface *page;
    bool stopped;                      /* after an error, until the domain asks to reconnect */
};

/* Says what we can do, before the first byte is taken. */
void ring_start(struct ring *r);
/* Takes, answers and sends a little; true if there may be more to do. *notify: the other side has to be told. */
bool ring_step(struct ring *r, struct conn *c, bool *notify);
