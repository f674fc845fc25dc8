/* SPDX-License-Identifier: MIT */
/* What the parts of the daemon share: the one store, its host, and the options. */
#pragma once
#include "loop.h"

struct options {
    const char *socket, *state, *log, *pid_file;
    bool foreground, verbose, no_domains, fresh;
};

extern struct store store;
extern struct host host;
extern struct options options;
extern const char *update_binary;    /* set by live-update: main replaces itself by it */

/* control.c: the daemon's own commands (struct host). */
int control_run(struct conn *c, int argc, char **argv, char **answer);
