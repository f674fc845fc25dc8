/* SPDX-License-Identifier: MIT */
/* What both sides of a move and the resolver do to real guests: let one go on, look whether it exists, reach the other host. */
#include "domains.h"
#include "fault.h"
#include "migrate_guest.h"
#include "store.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <xen/sched.h>

#define LATE_MS 3000      /* a request to suspend that was taken back may still be followed so long */

double migrate_clock_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1000 + (double)t.tv_nsec / 1e6;
}

void migrate_hurry(bool on)
{
    const struct sched_param p = { .sched_priority = on };

    sched_setscheduler(0, (on ? SCHED_RR : SCHED_OTHER) | SCHED_RESET_ON_FORK, &p); /* if it may not: slower, no worse */
}

static bool is_suspended(const struct xen_domctl_getdomaininfo *info)
{
    return info->flags & XEN_DOMINF_shutdown && (info->flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask) == SHUTDOWN_suspend;
}

/*
 * A process that died may have asked the guest to suspend a moment ago: the request is taken back, and it is looked after for a while
 * whether the guest follows it all the same.
 */
static int resume(struct ctl *c, uint32_t domid)
{
    struct xen_domctl_getdomaininfo info;
    char *asked;
    int rc = ctl_domain_info(c, (domid_t)domid, &info);

    if (rc)
        return fault(rc, "domain %u: %s", domid, strerror(-rc));
    logdirty_off(c, domid);
    rc = store_open();
    asked = rc ? NULL : store_read("/local/domain/%u/control/shutdown", domid);
    if (asked && !strcmp(asked, "suspend") && !is_suspended(&info)) {
        char path[64];

        snprintf(path, sizeof(path), "/local/domain/%u/control/shutdown", domid);
        store_write(path, "%s", "");
    }
    for (unsigned ms = 0; !rc && asked && !is_suspended(&info) && ms < LATE_MS; ms += 50) {
        usleep(50000);
        rc = ctl_domain_info(c, (domid_t)domid, &info);
        if (rc)
            break;
        char *now = store_read("/local/domain/%u/control/shutdown", domid);
        bool taken_back = !now || !*now;

        free(now);
        if (taken_back && ms > 500)
            break;
    }
    free(asked);
    return rc || !is_suspended(&info) ? rc : domain_resume_here(c, domid);
}

/* Whoever else has it suspended has done so for a reason of his own. */
int migrate_guest_resume(struct ctl *c, uint32_t domid)
{
    bool had = domain_is_held(domid);
    int rc = domain_hold(domid);

    rc = rc ? rc : resume(c, domid);
    if (!had)
        domain_release();
    return rc;
}

enum migrate_guest migrate_guest_look(struct ctl *c, uint32_t domid, const char *uuid)
{
    struct xen_domctl_getdomaininfo info;
    uint8_t want[16];

    if (domain_parse_uuid(uuid, want) || ctl_domain_info(c, (domid_t)domid, &info) || info.flags & XEN_DOMINF_dying ||
        memcmp(info.handle, want, sizeof(want)))
        return GUEST_ABSENT;
    return is_suspended(&info) ? GUEST_SUSPENDED : info.flags & XEN_DOMINF_paused ? GUEST_PAUSED : GUEST_RUNS;
}

int migrate_guest_connect(void *arg, const struct journal *j, struct wire *w)
{
    int rc = migrate_connect_command(j->command, j->host, w);

    w->silence_ms = 20000;
    return rc;
}
