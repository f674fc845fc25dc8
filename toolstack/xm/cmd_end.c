/* SPDX-License-Identifier: MIT */
/* xm destroy, shutdown, reboot: how guests end. Several may be named. */
#include "xm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GONE_STEP_MS 20
#define KEPT_MS 1000    /* zendod answers within this on a busy host */
#define GONE_MS 10000

int cmd_destroy(struct args *a)
{
    uint32_t domid;
    int first = 0;

    for (unsigned i = 0; i < a->n; i++) {
        int rc = xm_guest(a->operands[i], &domid, NULL, "destroyed");

        rc = rc ? rc : domain_destroy(xm_ctl(), domid);
        if (rc && !first)
            first = rc;
    }
    return first;
}

/* The guest is asked by the store; with -F one whose kernel does not listen is ended. */
static int ask(struct args *a, uint32_t domid, const char *what)
{
    int rc = domain_request(xm_ctl(), domid, what);

    if (rc != -ENOTSUP || !args_has(a, "F"))
        return rc == -EALREADY && strcmp(what, "reboot") ? (fault_clear(), 0) : rc;
    fault_clear();
    if (!strcmp(what, "reboot"))
        return ctl_domain_trigger(xm_ctl(), (domid_t)domid, XEN_DOMCTL_SENDTRIGGER_RESET, 0);
    return domain_destroy(xm_ctl(), domid);
}

/*
 * zendod takes away what has shut down; who typed -w wants to see it gone. One that is preserved, or that nobody follows,
 * stays: a moment's patience, longer only while it is being taken back.
 */
static void wait_gone(uint32_t domid)
{
    struct xen_domctl_getdomaininfo info;

    for (unsigned ms = 0; ms < GONE_MS && !ctl_domain_info(xm_ctl(), (domid_t)domid, &info); ms += GONE_STEP_MS) {
        if (ms >= KEPT_MS && !(info.flags & XEN_DOMINF_dying))
            break;
        usleep(GONE_STEP_MS * 1000);
    }
    fault_clear();
}

static int wait_for(uint32_t domid, const char *what, bool quiet)
{
    int reason, rc = domain_wait_end(xm_ctl(), domid, 0, &reason);

    if (!rc && !quiet && reason >= 0)
        printf("domain %u has shut down, reason: %s\n", domid, domain_reason((unsigned)reason));
    else if (!rc && !quiet)
        printf("domain %u is gone\n", domid);
    if (!rc && reason >= 0)
        wait_gone(domid);
    return rc;
}

/* The guests that are meant: those named, or all. To be freed. */
static int select_guests(struct args *a, uint32_t **list)
{
    struct xen_domctl_getdomaininfo *all = NULL;
    bool every = args_has(a, "a");
    int n = every ? ctl_domain_list(xm_ctl(), &all) : (int)a->n, got = 0, rc = 0;

    *list = n < 0 ? NULL : calloc((size_t)n + 1, sizeof(**list));
    if (!*list)
        return n < 0 ? n : -ENOMEM;
    for (int i = 0; i < n && !rc; i++) {
        if (!every)
            rc = xm_guest(a->operands[i], &(*list)[got++], NULL, "shut down from here; use its own `poweroff`");
        else if (all[i].domain && !(all[i].flags & (XEN_DOMINF_dying | XEN_DOMINF_shutdown)))
            (*list)[got++] = all[i].domain;
    }
    free(all);
    return rc ? rc : got;
}

int cmd_shutdown(struct args *a)
{
    const char *what = !strcmp(a->command->name, "reboot") || (!strcmp(a->command->name, "shutdown") && args_has(a, "R")) ? "reboot" : "poweroff";
    uint32_t *list;
    int n, first = 0;

    if (!a->n && !args_has(a, "a"))
        return usage_error(a, "which guest? name it, or add -a for all");
    n = select_guests(a, &list);
    for (int i = 0; i < n; i++) {
        int rc = ask(a, list[i], what);

        if (rc && !first)
            first = rc;
    }
    for (int i = 0; i < n && !first && args_has(a, "w"); i++)
        first = wait_for(list[i], what, args_has(a, "q"));
    free(list);
    return n < 0 ? n : first;
}
