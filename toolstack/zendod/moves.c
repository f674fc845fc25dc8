/* SPDX-License-Identifier: MIT */
/*
 * Moves whose process has died (migrate.h). zendod only notices them: what there is to do may wait for another host, so that a process of
 * its own does it, one at a time. An attempt that did not end them is repeated after a minute.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "domains.h"
#include "fault.h"
#include "migrate_journal.h"
#include "store.h"
#include "zendod.h"

#define WHILE_MOVING_MS 2000
#define AGAIN_MS 60000

static pid_t worker;
static uint64_t not_before;

int moves_watch(void)
{
    char folder[300];
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

    snprintf(folder, sizeof(folder), "%.256s/migrate", domain_state_folder);
    mkdir(domain_state_folder, 0755);
    mkdir(folder, 0700);
    if (fd >= 0 && inotify_add_watch(fd, folder, IN_MOVED_TO) < 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* Of those that are there: how many, and is one without a holder that waits for something to be done? */
static unsigned look(bool *lost)
{
    char **list = journal_list();
    unsigned n = 0;

    *lost = false;
    for (unsigned i = 0; list && list[i]; i++) {
        struct journal j;
        int rc = journal_open(&j, list[i]);

        if (rc && rc != -EBUSY)
            continue;
        /* One that has arrived is only remembered, in case its source asks. */
        n += rc || j.step != STEP_RUNS;
        *lost |= !rc && j.step != STEP_RUNS;
        if (!rc)
            journal_leave(&j);
    }
    free(list);
    fault_clear();
    return n;
}

static void start_worker(void)
{
    worker = fork();
    if (!worker) {
        execlp("xm", "xm", "migrate", "--resolve", (char *)NULL);
        _exit(127);
    }
    log_line("a move of a guest has lost its process; xm migrate --resolve takes it up");
}

int moves_look(int watch, int usual_ms)
{
    char events[4096];
    int status;
    bool lost;

    while (watch >= 0 && read(watch, events, sizeof(events)) > 0)
        ;
    if (worker > 0 && waitpid(worker, &status, WNOHANG) == worker) {
        bool ended = WIFEXITED(status) && !WEXITSTATUS(status);

        log_line("xm migrate --resolve %s", ended ? "has ended it" : "could not end it yet; again in a minute");
        worker = 0;
        not_before = ended ? 0 : store_clock_ms() + AGAIN_MS;
    }
    unsigned n = look(&lost);

    if (!n)
        not_before = 0;
    if (lost && worker <= 0 && store_clock_ms() >= not_before)
        start_worker();
    return n || worker > 0 ? WHILE_MOVING_MS : usual_ms;
}
