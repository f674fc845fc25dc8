/* SPDX-License-Identifier: MIT */
/*
 * A pseudo terminal per guest, for stock `xl console`. Nobody may be reading it: what does not fit is kept, the newest
 * TTY_BACKLOG bytes of it.
 */
#pragma once

#include "loop.h"

#include <stddef.h>

#define TTY_BACKLOG 16384

struct tty {
    struct source source;       /* the master; first, so that a source is a tty */
    int slave;                  /* held open, or the master would say hang-up while nobody is there */
    char path[64];
    char *backlog;              /* a ring, NULL until it is needed */
    size_t start, n;
    void *guest;
    void (*input)(struct tty *t);
};

/* Raw, no echo. */
int tty_open(struct tty *t, void *guest, void (*input)(struct tty *t));
void tty_write(struct tty *t, const char *data, size_t n);
void tty_close(struct tty *t);
