/* SPDX-License-Identifier: MIT */
/*
 * Guests that have ended. Those made by xm have /zendo/domain/N in the store and a configuration kept; others (stock xl's) are
 * left alone. Nothing is remembered between two looks but how often a guest was restarted: what is done for good is written
 * to the store, so that the daemon may be restarted at any time.
 *
 *   shut down, reason known -> on_poweroff, on_reboot, ...: destroy, restart, rename-restart, preserve
 *   dying                   -> its devices are taken away, which lets the hypervisor give its memory back
 *   gone                    -> what is left of it in the store and behind its devices goes too
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "device.h"
#include "domains.h"
#include "dump.h"
#include "fault.h"
#include "restarts.h"
#include "store.h"
#include "zendod.h"

#include <xen/sched.h>

#define DUMP_FOLDER "/var/lib/zendo/dump"

struct ended {
    struct ctl *ctl;
    uint32_t domid;
    unsigned reason;
    char name[128];
};

static const char *const action_names[] = { [ACTION_DESTROY] = "destroy", [ACTION_RESTART] = "restart",
    [ACTION_RENAME_RESTART] = "rename-restart", [ACTION_PRESERVE] = "preserve", [ACTION_COREDUMP_DESTROY] = "coredump-destroy",
    [ACTION_COREDUMP_RESTART] = "coredump-restart", [ACTION_SOFT_RESET] = "soft-reset" };

static enum guest_action ended_action(const struct guest_config *c, unsigned reason)
{
    switch (reason) {
    case SHUTDOWN_poweroff: return c->on_poweroff;
    case SHUTDOWN_reboot: return c->on_reboot;
    case SHUTDOWN_watchdog: return c->on_watchdog;
    case SHUTDOWN_soft_reset: return c->on_soft_reset;
    default: return c->on_crash;
    }
}

static void ended_destroy(const struct ended *e)
{
    if (domain_destroy(e->ctl, e->domid))
        log_fault("guest %s (domain %u): not all of it could be removed", e->name, e->domid);
}

/* A dump of a domain that has ended needs no pause. One that fails does not hold up the rest of the action. */
static void ended_dump(const struct ended *e)
{
    char path[320], when[32];
    time_t now = time(NULL);
    struct tm tm;

    mkdir(DUMP_FOLDER, 0700);
    strftime(when, sizeof(when), "%Y-%m%d-%H%M.%S", localtime_r(&now, &tm));
    snprintf(path, sizeof(path), DUMP_FOLDER "/%s-%s.%u.core", domain_check_name(e->name) ? "guest" : e->name, when, e->domid);
    if (dump_core(e->ctl, (domid_t)e->domid, path))
        log_fault("guest %s (domain %u): no memory dump", e->name, e->domid);
    else
        log_line("guest %s (domain %u): memory dumped to %s", e->name, e->domid, path);
}

static enum guest_action ended_reduce(const struct ended *e, enum guest_action action)
{
    if (action == ACTION_COREDUMP_DESTROY || action == ACTION_COREDUMP_RESTART)
        ended_dump(e);
    if (action == ACTION_SOFT_RESET)
        log_line("guest %s: soft reset is not there yet; it is destroyed", e->name);
    return action == ACTION_COREDUMP_RESTART ? ACTION_RESTART
           : action == ACTION_COREDUMP_DESTROY || action == ACTION_SOFT_RESET ? ACTION_DESTROY : action;
}

/* The old one stays under another name; its devices go, the new one needs them. */
static int ended_put_aside(const struct ended *e)
{
    char other[160];
    int rc = -EEXIST;

    for (unsigned i = 1; i < 100 && rc; i++) {
        snprintf(other, sizeof(other), "%.100s-%u", e->name, i);
        fault_clear();
        rc = domain_rename(e->ctl, e->domid, other);
    }
    if (!rc)
        log_line("guest %s (domain %u): kept as %s", e->name, e->domid, other);
    return rc ? rc : devices_detach_all(e->domid, true);
}

/* Its name stays listed between the two: whoever looks for it finds the node below. */
static void ended_restart(const struct ended *e, struct guest_config *cfg, bool keep)
{
    struct domain_options options = { .paused = false };
    uint64_t start = store_clock_ms();
    uint32_t domid;
    char node[DOMAIN_NAME_PATH];
    int rc = 0;

    if (!restarts_allow(e->name, start)) {
        fault(-EAGAIN, "ended %u times within %u s (the last time by %s) and is not restarted any more; see xm console --last %s, then xm "
              "create it again", RESTARTS_MAX, RESTARTS_MS / 1000, domain_reason(e->reason), e->name);
        domain_why_add(e->name, fault_text());
        log_fault("guest %s", e->name);
        ended_destroy(e);
        return;
    }
    domain_name_path("/zendo/restarting", e->name, node, sizeof(node)); /* 127 characters fit */
    store_write(node, "%u", e->domid);
    if (keep)
        rc = ended_put_aside(e);
    else
        ended_destroy(e);
    if (keep) {
        free(cfg->uuid);
        cfg->uuid = NULL;
    }
    rc = rc ? rc : domain_create(e->ctl, cfg, &options, &domid);
    if (rc) {
        domain_why_add(e->name, fault_text());
        log_fault("guest %s: cannot be restarted", e->name);
    } else {
        log_line("guest %s: runs again as domain %u, after %llu ms", e->name, domid, (unsigned long long)(store_clock_ms() - start));
    }
    store_remove("%s", node);
}

static void ended_act(const struct ended *e, struct guest_config *cfg)
{
    enum guest_action action = ended_reduce(e, ended_action(cfg, e->reason));

    log_line("guest %s (domain %u) has ended: %s; %s", e->name, e->domid, domain_reason(e->reason), action_names[action]);
    switch (action) {
    case ACTION_PRESERVE:
        break;
    case ACTION_RESTART:
    case ACTION_RENAME_RESTART:
        ended_restart(e, cfg, action == ACTION_RENAME_RESTART);
        break;
    default:
        ended_destroy(e);
        break;
    }
}

/* A domain is acted upon once, also when it is preserved. */
static void follow_ended(struct ctl *c, const struct xen_domctl_getdomaininfo *info)
{
    struct ended e = { .ctl = c, .domid = info->domain, .reason = info->flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask };
    struct guest_config cfg = { .file = NULL };
    char path[256], *name;

    if (e.reason == SHUTDOWN_suspend || store_exists("/zendo/domain/%u/ended", e.domid))
        return;
    snprintf(path, sizeof(path), "/zendo/domain/%u/ended", e.domid);
    if (store_write(path, "%s", domain_reason(e.reason)))
        log_fault("domain %u", e.domid);
    name = domain_name(e.domid);
    snprintf(e.name, sizeof(e.name), "%s", name ? name : "(without a name)");
    free(name);
    domain_config_path(info->handle, path, sizeof(path));
    if (config_load(&cfg, path, NULL, 0)) {
        log_fault("guest %s (domain %u) has ended: %s; its configuration is lost, it is destroyed", e.name, e.domid, domain_reason(e.reason));
        ended_destroy(&e);
    } else {
        if (cfg.name && strcmp(cfg.name, e.name) && name) {     /* renamed meanwhile */
            free(cfg.name);
            cfg.name = strdup(e.name);
        }
        ended_act(&e, &cfg);
    }
    config_dispose(&cfg);
}

static void follow_gone(uint32_t domid)
{
    log_line("domain %u is gone; what is left of it is removed", domid);
    if (devices_detach_all(domid, true) | domain_remove_nodes(domid))
        log_fault("domain %u", domid);
}

/* The store first: a domain that is made between the two looks is then there, not missing. */
void follow_domain(struct ctl *c, uint32_t domid)
{
    struct xen_domctl_getdomaininfo info;

    fault_clear();
    if (!store_exists("/zendo/domain/%u", domid))
        return;
    int rc = ctl_domain_info(c, (domid_t)domid, &info);

    if (rc == -ESRCH)
        follow_gone(domid);
    else if (rc)
        log_fault("domain %u", domid);
    else if (info.flags & XEN_DOMINF_dying)
        devices_detach_all(domid, true);
    else if (info.flags & XEN_DOMINF_shutdown)
        follow_ended(c, &info);
}

void follow_domains(struct ctl *c)
{
    unsigned count;
    char **names = store_list(&count, "/zendo/domain");

    for (unsigned i = 0; names && i < count; i++)
        follow_domain(c, (uint32_t)strtoul(names[i], NULL, 10));
    free(names);
}
