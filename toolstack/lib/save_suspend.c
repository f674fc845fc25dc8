/* SPDX-License-Identifier: MIT */
/*
 * Stopping a guest so that it can be saved, and letting it go on. The request is a word in the store that the guest's kernel takes away
 * when it begins. One that is not taken in time is taken back in a transaction: either the guest has taken it, or we have.
 */
#include "domains.h"
#include "fault.h"
#include "save.h"
#include "store.h"
#include "trace.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xenstore.h>
#include <xen/sched.h>

#define LATE_MS 20000 /* beyond the limit, for one that has begun */
#define LOOK_MS 200   /* how often to look if the store says nothing */
#define SOON_MS 300   /* most suspend within that: a look costs less than the store's word takes */
#define LOOK_SOON_MS 2

volatile int domain_suspend_stop;

static int check_can(struct ctl *c, uint32_t domid)
{
    struct xen_domctl_getdomaininfo d;
    int rc = ctl_domain_info(c, (domid_t)domid, &d);

    if (rc)
        return fault(rc, "domain %u: %s", domid, rc == -ESRCH ? "there is no such domain" : strerror(-rc));
    if (d.flags & XEN_DOMINF_hvm_guest)
        return fault(-EOPNOTSUPP, "domain %u: only paravirtual guests can be saved", domid);
    if (d.flags & XEN_DOMINF_paused)
        return fault(-EBUSY, "domain %u: it is paused and cannot answer; `xm unpause %u` first", domid, domid);
    return 0;
}

/* 1: suspended. 0: runs. Negative: it ended otherwise. */
static int look(struct ctl *c, uint32_t domid)
{
    struct xen_domctl_getdomaininfo d;
    int rc = ctl_domain_info(c, (domid_t)domid, &d);

    if (rc || d.flags & XEN_DOMINF_dying)
        return fault(-ECANCELED, "domain %u: it was destroyed while it was asked to suspend", domid);
    if (!(d.flags & XEN_DOMINF_shutdown))
        return 0;
    unsigned reason = d.flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask;

    if (reason != SHUTDOWN_suspend)
        return fault(-ECANCELED, "domain %u: it ended (%s) while it was asked to suspend", domid, domain_reason(reason));
    return 1;
}

static int wait_suspended(struct ctl *c, uint32_t domid, uint64_t until)
{
    uint64_t soon = store_clock_ms() + SOON_MS;
    int rc;

    while (!(rc = look(c, domid))) {
        struct pollfd p = { .fd = xs_fileno(store_handle()), .events = POLLIN };
        uint64_t now = store_clock_ms();
        int wait = now < soon ? LOOK_SOON_MS : LOOK_MS;

        if (now >= until || domain_suspend_stop)
            return -ETIMEDOUT;
        if (poll(&p, 1, until - now < (uint64_t)wait ? (int)(until - now) : wait) > 0)
            free(xs_check_watch(store_handle()));
    }
    return rc > 0 ? 0 : rc;
}

struct taking {
    uint32_t domid;
    bool *taken;
};

static int take_word(const void *arg)
{
    const struct taking *t = arg;
    char *word = store_read("/local/domain/%u/control/shutdown", t->domid);
    char path[64];

    snprintf(path, sizeof(path), "/local/domain/%u/control/shutdown", t->domid);
    *t->taken = word && !strcmp(word, "suspend");
    free(word);
    return *t->taken ? store_write(path, "%s", "") : 0;
}

/* 1: the word was still there and is gone now. 0: the guest has taken it. */
static int take_back(uint32_t domid)
{
    bool taken;
    int rc = store_transact(take_word, &(struct taking){ domid, &taken });

    return rc ? rc : taken;
}

static int late(struct ctl *c, uint32_t domid, unsigned timeout_ms)
{
    int rc = take_back(domid);
    bool stopped = domain_suspend_stop;

    domain_suspend_stop = 0;
    if (!rc) /* it has begun: it ends soon, or gives up by itself */
        rc = wait_suspended(c, domid, store_clock_ms() + LATE_MS);
    if (stopped && !rc) { /* too late for not suspending it: it goes on at once */
        rc = domain_resume_here(c, domid);
        rc = rc ? rc : 1;
    }
    if (stopped && rc > 0)
        return fault(-EINTR, "domain %u: stopped by a signal; it runs on", domid);
    if (rc > 0 || rc == -ETIMEDOUT)
        return fault(-ETIMEDOUT, "domain %u: its kernel did not suspend within %u s; it runs on (is it busy, or has it a driver that cannot?)", domid,
                     timeout_ms / 1000);
    return rc;
}

/* Who has it suspended: if he is killed, save_resume_left() finds the guest by this. */
static int note(uint32_t domid)
{
    char path[48];

    snprintf(path, sizeof(path), "/zendo/domain/%u/saving", domid);
    return store_write(path, "%d", (int)getpid());
}

static void forget(uint32_t domid)
{
    char path[48];

    snprintf(path, sizeof(path), "/zendo/domain/%u/saving", domid);
    if (store_exists("%s", path))
        store_remove("%s", path);
}

/* Once and for good: taking it back would be part of the guest's pause. */
int domain_suspend_watch(void)
{
    static bool watched;
    int rc = store_open();

    if (!rc && !watched && !xs_watch(store_handle(), "@releaseDomain", "suspend"))
        rc = fault(-errno, "store: cannot watch @releaseDomain");
    watched |= !rc;
    return rc;
}

int domain_suspend(struct ctl *c, uint32_t domid, unsigned timeout_ms)
{
    uint64_t start = store_clock_ms();
    int rc = domain_hold(domid);

    rc = rc ? rc : domain_suspend_watch();
    rc = rc ? rc : check_can(c, domid);
    if (rc)
        return rc;
    rc = note(domid);
    rc = rc ? rc : domain_request(c, domid, "suspend");
    trace_note("  suspend asked for");
    rc = rc ? rc : wait_suspended(c, domid, start + timeout_ms);
    trace_note("  suspended");
    if (rc == -ETIMEDOUT)
        rc = late(c, domid, timeout_ms);
    if (rc)
        forget(domid);
    return rc;
}

/* The call by which it suspended returns 1: cancelled. Its devices were told nothing and are as they were. */
int domain_run_on(struct ctl *c, uint32_t domid)
{
    vcpu_guest_context_t *v = calloc(1, sizeof(*v));
    int rc = v ? 0 : fault(-ENOMEM, "domain %u: resuming: no memory", domid);

    rc = rc ? rc : ctl_vcpu_get_context(c, (domid_t)domid, 0, v);
    if (!rc) {
        v->user_regs.rax = 1;
        rc = ctl_vcpu_set_context(c, (domid_t)domid, 0, v);
    }
    free(v);
    return rc ? rc : ctl_domain_resume(c, (domid_t)domid);
}

void domain_tell_running(uint32_t domid)
{
    if (store_open())
        return;
    xs_resume_domain(store_handle(), domid); /* so that its next end is told */
    forget(domid);
}

int domain_resume_here(struct ctl *c, uint32_t domid)
{
    int rc = domain_run_on(c, domid);

    if (!rc)
        domain_tell_running(domid);
    return rc;
}
