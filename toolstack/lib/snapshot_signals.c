/* SPDX-License-Identifier: MIT */
/*
 * Interrupting. Ended in the middle a command would leave a guest that stands still, whose writes are logged for ever, or that is gone: so signals
 * are held back from the first change to the last, and one that waits ends what can still be ended.
 */
#include "fault.h"
#include "snapshot_private.h"

#include <errno.h>
#include <signal.h>

static const int which[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

void snap_hold_signals(bool on, sigset_t *before)
{
    sigset_t set;

    sigemptyset(&set);
    for (unsigned i = 0; i < sizeof(which) / sizeof(*which); i++)
        sigaddset(&set, which[i]);
    if (on)
        sigprocmask(SIG_BLOCK, &set, before);
    else
        sigprocmask(SIG_SETMASK, before, NULL);
}

int snap_check_stop(void)
{
    sigset_t waiting;

    sigpending(&waiting);
    for (unsigned i = 0; i < sizeof(which) / sizeof(*which); i++)
        if (sigismember(&waiting, which[i]))
            return fault(-EINTR, "stopped by request");
    return 0;
}
