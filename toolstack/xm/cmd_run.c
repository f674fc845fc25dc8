/* SPDX-License-Identifier: MIT */
/* xm pause, unpause, rename, sysrq, trigger, domstate: small things done to a running guest. */
#include "domains.h"
#include "list.h"
#include "migrate_journal.h"
#include "save_file.h"
#include "xm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One that is coming from or going to another host is let go by the move, when it is decided where it runs. */
static int check_not_moving(const struct xen_domctl_getdomaininfo *d)
{
    struct journal j;
    char uuid[37];

    domain_format_uuid(d->handle, uuid);
    if (!(d->flags & XEN_DOMINF_paused) || !journal_find_guest(&j, uuid) || j.step == STEP_RUNS)
        return 0;
    return fault(-EBUSY, "domain %u: it is moving %s host %s and may run there; see `xm migrate --resolve`, --take and --drop", d->domain,
                 j.out ? "to" : "from", j.host);
}

/* The hypervisor counts pauses; people do not: one unpause lets a guest go that was paused twice. */
static int pause_one(const struct xen_domctl_getdomaininfo *d, bool pause)
{
    int left = pause ? 0 : check_not_moving(d);

    left = left || pause ? left : save_resume_left(xm_ctl(), d->domain);
    if (left < 0 || !(d->flags & XEN_DOMINF_paused) != pause)
        return left < 0 ? left : 0;
    return pause ? ctl_domain_pause(xm_ctl(), d->domain) : ctl_domain_unpause(xm_ctl(), d->domain);
}

int cmd_pause(struct args *a)
{
    bool pause = !strcmp(a->command->name, "pause");
    struct xen_domctl_getdomaininfo *list = NULL, one;
    uint32_t domid;
    int first = 0, n = 0;

    if (!a->n && !args_has(a, "a"))
        return usage_error(a, "which guest? name it, or add -a for all");
    for (unsigned i = 0; i < a->n; i++) {
        int rc = xm_guest(a->operands[i], &domid, &one, "paused");

        rc = rc ? rc : pause_one(&one, pause);
        first = first ? first : rc;
    }
    if (args_has(a, "a"))
        n = ctl_domain_list(xm_ctl(), &list);
    for (int i = 0; i < n; i++)
        if (list[i].domain && !(list[i].flags & XEN_DOMINF_dying)) {
            int rc = pause_one(&list[i], pause);

            first = first ? first : rc;
        }
    free(list);
    return first ? first : n < 0 ? n : 0;
}

int cmd_rename(struct args *a)
{
    uint32_t domid;
    int rc = xm_guest(a->operands[0], &domid, NULL, "renamed");

    return rc ? rc : domain_rename(xm_ctl(), domid, a->operands[1]);
}

int cmd_sysrq(struct args *a)
{
    char path[64];
    uint32_t domid;
    int rc = xm_guest(a->operands[0], &domid, NULL, "reached this way; use /proc/sysrq-trigger");

    if (!rc && (!a->operands[1][0] || a->operands[1][1]))
        return usage_error(a, "'%s' is not one letter", a->operands[1]);
    snprintf(path, sizeof(path), "/local/domain/%u/control/sysrq", domid);
    return rc ? rc : store_write(path, "%s", a->operands[1]);
}

/* A paravirtual guest has no power button: it is asked through the store instead. */
static int power(uint32_t domid, const struct xen_domctl_getdomaininfo *d)
{
    if (d->flags & XEN_DOMINF_hvm_guest)
        return ctl_domain_trigger(xm_ctl(), (domid_t)domid, XEN_DOMCTL_SENDTRIGGER_POWER, 0);
    return domain_request(xm_ctl(), domid, "poweroff");
}

int cmd_trigger(struct args *a)
{
    static const char *const names[] = { "nmi", "reset", "init", "power", "sleep" };
    struct xen_domctl_getdomaininfo d;
    long long vcpu = 0;
    uint32_t domid;
    int rc = xm_guest(a->operands[0], &domid, &d, "triggered");

    if (!rc && a->n > 2)
        rc = xm_number(a->operands[2], "virtual CPU", 0, 4095, &vcpu);
    if (rc)
        return rc;
    if (!strcmp(a->operands[1], "power"))
        return power(domid, &d);
    if (!strcmp(a->operands[1], "s3resume"))
        return fault(-EOPNOTSUPP, "domain %u: s3resume is for guests with firmware, of which there are none yet", domid);
    for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (!strcmp(a->operands[1], names[i]))
            return ctl_domain_trigger(xm_ctl(), (domid_t)domid, i, (unsigned)vcpu);
    return usage_error(a, "there is no trigger '%s'; they are nmi, reset, init, power, sleep, s3resume", a->operands[1]);
}

int cmd_domstate(struct args *a)
{
    struct xen_domctl_getdomaininfo d;
    uint32_t domid;
    int rc = xm_domain(a->operands[0], &domid, &d);

    if (rc)
        return rc;
    puts(d.flags & XEN_DOMINF_dying      ? "dying"
         : d.flags & XEN_DOMINF_shutdown ? domain_reason(d.flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask)
         : d.flags & XEN_DOMINF_paused   ? "paused"
         : d.flags & XEN_DOMINF_running  ? "running"
                                         : "idle");
    return 0;
}
