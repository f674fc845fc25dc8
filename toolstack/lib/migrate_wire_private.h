/* SPDX-License-Identifier: MIT */
/* Between migrate_wire.c (messages) and migrate_data.c (the guest's stream). */
#pragma once

#include "migrate_wire.h"

#define WIRE_GATHER (256U << 10) /* small pieces of outgoing data */
#define WIRE_AHEAD 16384U        /* read ahead for small pieces of incoming data */

struct wire_head {
    uint32_t type, length;
};

int wire_take(struct wire *w, void *at, size_t n, unsigned timeout_ms);
int wire_take_abort(struct wire *w, uint32_t length);
int wire_wait(struct wire *w, int fd, short events, unsigned timeout_ms);
int wire_lost(struct wire *w, const char *what);
int wire_write_failed(struct wire *w, int error);
