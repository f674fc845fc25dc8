/* SPDX-License-Identifier: MIT */
/*
 * Waiting for the store: a watch, a test after each event, a limit. The watch's token is this call's own, so that
 * events of a watch that somebody else in the program holds are left to be looked at later: they are read and dropped
 * here, therefore a program that follows watches of its own (zendod) looks at everything again after a wait.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <xenstore.h>

#include "fault.h"
#include "store.h"

uint64_t store_clock_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Sleeps until an event or the end: 1, 0, -errno. */
static int store_sleep(uint64_t until)
{
    struct pollfd p = { .fd = xs_fileno(store_handle()), .events = POLLIN };
    uint64_t now = store_clock_ms();
    char **event = xs_check_watch(store_handle());      /* some may be queued in the library already */

    if (event) {
        free(event);
        return now < until;     /* events without end do not put the end off */
    }
    if (now >= until)
        return 0;
    int n = poll(&p, 1, (int)(until - now));
    if (n < 0 && errno != EINTR)
        return fault(-errno, "store: cannot wait");
    if (n > 0 && (p.revents & (POLLERR | POLLHUP)) && !(p.revents & POLLIN))
        return fault(-EPIPE, "store: xenstored has closed the connection; is it running?");
    return 1;
}

int store_wait(const char *path, unsigned timeout_ms, store_test_fn *test, void *arg)
{
    char token[32];
    static unsigned serial;
    uint64_t until = store_clock_ms() + timeout_ms;
    int rc = store_open();

    if (rc)
        return rc;
    snprintf(token, sizeof(token), "wait%u", serial++);
    if (!xs_watch(store_handle(), path, token))
        return fault(-errno, "store: cannot watch %s", path);
    while ((rc = test(path, arg)) == 0) {
        rc = store_sleep(until);
        if (rc <= 0) {
            rc = rc ? rc : test(path, arg);     /* it may have come with the last event */
            rc = rc ? rc : -ETIMEDOUT;
            break;
        }
    }
    xs_unwatch(store_handle(), path, token);
    return rc;
}

/* The number + 1, so that state 0 ends the wait too. */
static int store_test_state(const char *path, void *arg)
{
    const uint32_t *wanted = arg;
    int64_t state;
    int rc = store_read_number(&state, "%s", path);

    if (rc == -ENOENT)
        state = 0;
    else if (rc)
        return rc;
    return state >= 0 && state < 32 && (*wanted >> state & 1) ? (int)state + 1 : 0;
}

int store_wait_state(const char *path, uint32_t wanted, unsigned timeout_ms)
{
    int rc = store_wait(path, timeout_ms, store_test_state, &wanted);

    return rc > 0 ? rc - 1 : rc;
}
