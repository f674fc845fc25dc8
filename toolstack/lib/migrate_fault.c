/* SPDX-License-Identifier: MIT */
/* The places in a move at which tests end a process or break the connection. */
#include "migrate.h"
#include "trace.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

const char *const migrate_points[] = {
    "out-connected", "out-offered", "out-answered", "out-begun", "out-started", "out-memory", "out-suspending", "out-suspended", "out-sent",
    "out-prepared", "out-committed", "out-go", "out-running", "out-settled", "out-destroying", "out-destroyed", "out-told",
    "in-connected", "in-offered", "in-answered", "in-begun", "in-memory", "in-complete", "in-prepared", "in-said-prepared", "in-go",
    "in-decided", "in-runs", "in-said-running", "in-named", "in-noted", "in-said-settled", "in-destroyed", NULL,
};

void migrate_point(const char *point, struct wire *w)
{
    const char *wanted = getenv("ZENDO_MIGRATE_FAULT");
    size_t n = strlen(point);

    trace_note(point);
    if (!wanted || strncmp(wanted, point, n) || wanted[n] != ':')
        return;
    if (!strcmp(wanted + n, ":kill"))
        raise(SIGKILL);
    if (!strcmp(wanted + n, ":cut") && w)
        wire_cut(w);
    if (!strcmp(wanted + n, ":full")) {
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 0, RLIM_INFINITY });
    }
    if (!strcmp(wanted + n, ":wait")) {
        fprintf(stderr, "migrate: at %s\n", point);
        sleep(10);
    }
}
