/* SPDX-License-Identifier: MIT */
/* How domains end: asked to, or by force. */
#include "device.h"
#include "domains.h"
#include "fault.h"
#include "store.h"

#include <xenstore.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xen/sched.h>

/* Keeps the first failure of a row of steps that are all taken. */
static void note(int *rc, int now)
{
    if (!*rc)
        *rc = now;
}

static void remove_kept_config(const uint8_t uuid[16])
{
    char path[256];

    domain_config_path(uuid, path, sizeof(path));
    unlink(path);
}

int domain_destroy(struct ctl *c, uint32_t domid)
{
    struct xen_domctl_getdomaininfo info;
    int rc = ctl_domain_info(c, (domid_t)domid, &info);

    if (rc)
        return rc == -ESRCH ? fault(-ENOENT, "there is no domain %u (see `xm list`)", domid) : rc;
    if (!domid)
        return fault(-EPERM, "domain 0 administers this host and cannot be destroyed");
    if (!(info.flags & XEN_DOMINF_dying))
        note(&rc, ctl_domain_pause(c, (domid_t)domid)); /* it must not use its devices while they go */
    note(&rc, devices_detach_all(domid, true));
    note(&rc, ctl_domain_destroy(c, (domid_t)domid));
    xs_release_domain(store_handle(), domid); /* it may never have been introduced */
    note(&rc, domain_remove_nodes(domid));
    remove_kept_config(info.handle);
    return rc;
}

/* --- asking ------------------------------------------------------------------------------------------------------------ */

/* A kernel that has set up its side writes feature-WHAT = 1; older ones write none at all, and may still listen. */
static bool listens(uint32_t domid, const char *what)
{
    int64_t v;
    bool any = store_exists("/local/domain/%u/control/feature-poweroff", domid);

    return !any || (!store_read_number(&v, "/local/domain/%u/control/feature-%s", domid, what) && v);
}

int domain_request(struct ctl *c, uint32_t domid, const char *what)
{
    char path[64];
    struct xen_domctl_getdomaininfo info;
    int rc = ctl_domain_info(c, (domid_t)domid, &info);

    if (rc)
        return fault(rc, "domain %u: %s", domid, rc == -ESRCH ? "there is no such domain" : strerror(-rc));
    if (info.flags & (XEN_DOMINF_dying | XEN_DOMINF_shutdown))
        return fault(-EALREADY, "domain %u: it has ended already; `xm destroy %u` removes it", domid, domid);
    rc = store_open();
    if (!rc && !listens(domid, what))
        rc = fault(-ENOTSUP, "domain %u: its kernel does not listen to '%s'; `xm destroy %u` ends it at once", domid, what, domid);
    snprintf(path, sizeof(path), "/local/domain/%u/control/shutdown", domid);
    return rc ? rc : store_write(path, "%s", what);
}

const char *domain_reason(unsigned reason)
{
    static const char *const names[] = { [SHUTDOWN_poweroff] = "poweroff", [SHUTDOWN_reboot] = "reboot", [SHUTDOWN_suspend] = "suspend",
        [SHUTDOWN_crash] = "crash", [SHUTDOWN_watchdog] = "watchdog", [SHUTDOWN_soft_reset] = "soft-reset" };

    return reason < sizeof(names) / sizeof(*names) && names[reason] ? names[reason] : "unknown";
}

/* 1 and the reason if it has ended. */
static int has_ended(struct ctl *c, uint32_t domid, int *reason)
{
    struct xen_domctl_getdomaininfo info;
    int rc = ctl_domain_info(c, (domid_t)domid, &info);

    *reason = -1;
    if (rc == -ESRCH || (!rc && info.flags & XEN_DOMINF_dying))
        return 1;
    if (rc)
        return rc;
    *reason = (int)(info.flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask);
    return !!(info.flags & XEN_DOMINF_shutdown);
}

/* Waits on the store's word that some domain has ended, with a look every second in case another took that word. */
int domain_wait_end(struct ctl *c, uint32_t domid, unsigned timeout_ms, int *reason)
{
    uint64_t start = store_clock_ms();
    int rc = store_open();

    if (rc)
        return rc;
    xs_watch(store_handle(), "@releaseDomain", "wait-end");
    while (!(rc = has_ended(c, domid, reason))) {
        struct pollfd p = { .fd = xs_fileno(store_handle()), .events = POLLIN };
        uint64_t gone = store_clock_ms() - start;

        if (timeout_ms && gone >= timeout_ms) {
            rc = fault(-ETIMEDOUT, "domain %u: still runs after %u s; `xm destroy %u` ends it at once", domid, timeout_ms / 1000, domid);
            break;
        }
        if (poll(&p, 1, timeout_ms && timeout_ms - gone < 1000 ? (int)(timeout_ms - gone) : 1000) > 0)
            free(xs_check_watch(store_handle()));
    }
    xs_unwatch(store_handle(), "@releaseDomain", "wait-end");
    return rc < 0 ? rc : 0;
}
