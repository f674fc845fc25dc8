/* SPDX-License-Identifier: MIT */
/*
 * A guest's console for a program: `xm console`, `xm create -c`. xenconsoled is asked at its socket; if it does not run, the pseudo
 * terminal that another console daemon wrote into the store is used.
 */
#pragma once

#include <stdint.h>

#define CONSOLE_LEAVE 0x1d      /* Ctrl-] */

extern const char *console_socket; /* /run/zendo/console.sock; tests have their own */

enum { CONSOLE_LEFT, CONSOLE_GONE };

/*
 * Connects to the console of a domain, which may not have run yet; returns when the daemon serves it, so that nothing
 * of what the guest prints from now on is missed. The descriptor, or a negative error with fault().
 */
int console_attach(uint32_t domid);
/*
 * Copies both ways between the console and in/out until the leaving key comes (CONSOLE_LEFT) or the guest is gone
 * (CONSOLE_GONE). The end of `in` ends only the input. A slow guest does not hold up what it prints.
 */
int console_pump(int console, int in, int out);
/* The same on this program's terminal, raw meanwhile, and put back also by signals. Closes the descriptor. */
int console_run(int console);
/* What a guest of this name printed, in this run or (when it does not run) in its last, to `out`. */
int console_last(const char *name, int out);
