/* SPDX-License-Identifier: MIT */
/*
 * Surroundings of the control calls for a domain's life (tests/unit/t_domctl.c, tests/fuzz/f_domctl.c): domain 0 that
 * calls, and domains that are made of nothing but struct domain. What a handler asks of others is noted, not done.
 */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "cmdline.h"
#include "domain.h"
#include "domctl.h"
#include "evtchn.h"
#include "port_host.h"
#include "sysctl.h"
#include "vtime.h"

#define E_IDS 8

struct cmdline_options opt;
static struct domain e_dom0, *e_dom[E_IDS];
static struct vcpu e_v0;
static struct domain_config e_config;
static bool e_gone;
static int e_pauses, e_refs, e_kill_rc, e_virq = -1, e_nmis;

struct domain *dom_xen, *dom_io, *dom_hw = &e_dom0;

struct domain *domain_get(uint16_t id)
{
    struct domain *d = id == 0 ? &e_dom0 : id < E_IDS ? e_dom[id] : NULL;

    e_refs += !!d;
    return d;
}
void domain_put(struct domain *d) { e_refs--; }
struct domain *domain_find_from(uint16_t id)
{
    for (; id < E_IDS; id++) {
        struct domain *d = domain_get(id);

        if (d)
            return d;
    }
    return NULL;
}
struct domain *domain_next(struct domain *after)
{
    domain_put(after);
    return domain_find_from((uint16_t)(after->id + 1));
}
uint16_t domain_free_id(void)
{
    for (uint16_t id = 1; id < E_IDS; id++)
        if (!e_dom[id])
            return id;
    return DOMID_INVALID;
}
static void env_domain_free(uint16_t id)
{
    struct domain *d = e_dom[id];

    if (!d)
        return;
    for (unsigned i = 0; i < d->max_vcpus; i++)
        free(d->vcpu[i]);
    free(d->vcpu);
    free(d);
    e_dom[id] = NULL;
}
struct domain *domain_create_config(uint16_t id, bool privileged, const struct domain_config *c, int *rc)
{
    struct domain *d;

    if (privileged || id == 0 || id >= DOMID_FIRST_RESERVED || !c->max_vcpus || c->max_vcpus > MAX_VCPUS)
        abort(); /* the handler has checked that */
    *rc = -XEN_ENOMEM;
    if (id >= E_IDS)
        return NULL;
    e_config = *c;
    d = calloc(1, sizeof(*d));
    d->id = id;
    d->max_vcpus = (uint16_t)c->max_vcpus;
    d->vcpu = calloc(c->max_vcpus, sizeof(d->vcpu[0]));
    d->pause_count = 1;
    d->control_pauses = c->control_paused;
    d->xs_domain = c->xs_domain;
    spin_init(&d->domctl_lock, "domctl", RANK_DOMCTL);
    spin_init(&d->page_lock, "pages", RANK_PAGE_LIST);
    e_dom[id] = d;
    if (e_gone) { /* another vCPU of domain 0 has destroyed it already */
        env_domain_free(id);
        d = (struct domain *)(uintptr_t)8;
    }
    return d;
}
struct vcpu *vcpu_create(struct domain *d, unsigned id)
{
    struct vcpu *v = id < d->max_vcpus && !d->vcpu[id] ? calloc(1, sizeof(*v)) : NULL;

    if (!v)
        abort();
    v->domain = d;
    v->id = (uint16_t)id;
    v->pause_flags = VPF_DOWN;
    return d->vcpu[id] = v;
}
int domain_kill(struct domain *d)
{
    if (d->domctl_lock.cpu)
        abort(); /* it takes that lock itself */
    d->dying = true;
    return e_kill_rc;
}
void domain_resume(struct domain *d) { d->shutting_down = d->shut_down = false; }
void domain_pause(struct domain *d) { e_pauses++; }
void domain_unpause(struct domain *d) { e_pauses--; }
void vcpu_runstate_get(struct vcpu *v, struct vcpu_runstate_info *out) { *out = v->runstate; }
void arch_domain_info(const struct domain *d, struct xen_domctl_getdomaininfo *info) {}
void arch_vcpu_send_nmi(struct vcpu *v) { e_nmis++; }
void vtime_update_wallclock(struct domain *d) {}
void vtime_forget_vcpu(struct vcpu *v) {}
const char *arch_guests_refused(void) { return NULL; }
int virq_set_handler(unsigned virq, struct domain *d)
{
    e_virq = (int)virq;
    return virq < NR_VIRQS ? 0 : -XEN_EINVAL;
}

static void env_init(void)
{
    host_reset();
    memset(&e_dom0, 0, sizeof(e_dom0));
    memset(&e_v0, 0, sizeof(e_v0));
    spin_init(&e_dom0.domctl_lock, "domctl", RANK_DOMCTL);
    spin_init(&e_dom0.page_lock, "pages", RANK_PAGE_LIST);
    e_dom0.privileged = e_dom0.hardware = true;
    e_v0.domain = &e_dom0;
    e_gone = false;
    e_pauses = e_refs = e_kill_rc = e_nmis = 0;
    opt.gnttab_max_frames = 64;
    opt.gnttab_max_maptrack_frames = 1024;
}
static void env_done(void)
{
    for (uint16_t id = 0; id < E_IDS; id++)
        env_domain_free(id);
    host_guest_clear();
}
