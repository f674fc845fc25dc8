/* SPDX-License-Identifier: MIT */
/* xm dump-core. */
#include "dump.h"
#include "xm.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#define FOLDER "/var/lib/zendo/dump"

static void default_path(uint32_t domid, char *out, size_t size)
{
    char *name = domain_name(domid), when[32];
    time_t now = time(NULL);
    struct tm tm;

    mkdir("/var/lib/zendo", 0755);
    mkdir(FOLDER, 0700);
    strftime(when, sizeof(when), "%Y-%m%d-%H%M.%S", localtime_r(&now, &tm));
    snprintf(out, size, FOLDER "/%s-%s.%u.core", when, name && !domain_check_name(name) ? name : "guest", domid);
    free(name);
}

int cmd_dump_core(struct args *a)
{
    struct xen_domctl_getdomaininfo d;
    char path[512];
    uint32_t domid;
    int rc = xm_guest(a->operands[0], &domid, &d, "dumped");

    if (rc)
        return rc;
    bool pause = !args_has(a, "L") && !(d.flags & (XEN_DOMINF_paused | XEN_DOMINF_shutdown));

    if (a->n > 1)
        snprintf(path, sizeof(path), "%s", a->operands[1]);
    else
        default_path(domid, path, sizeof(path));
    if (pause)
        rc = ctl_domain_pause(xm_ctl(), (domid_t)domid);
    rc = rc ? rc : dump_core(xm_ctl(), (domid_t)domid, path);
    if (pause && !args_has(a, "C"))
        ctl_domain_unpause(xm_ctl(), (domid_t)domid);
    if (!rc && args_has(a, "C"))
        rc = domain_destroy(xm_ctl(), domid);
    if (!rc)
        printf("domain %u: dumped to %s\n", domid, path);
    return rc;
}
