/* SPDX-License-Identifier: MIT */
/*
 * Domains, frames and stubs for the event channel tests (evtchn_calls.h, f_evtchn.c): three domains with two
 * vCPUs each; domain 0 is privileged. Included once per program.
 */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "../../hypervisor/common/evtchn_private.h"
#include "irq.h"
#include "lib.h"
#include "pgt.h"
#include "port_host.h"

#define NDOM 3
#define NVCPU 2
#define ENV_FRAMES 256

struct env_domain {
    struct domain d;
    struct vcpu v[NVCPU];
    struct vcpu *vp[NVCPU];
    struct vcpu_info info[NVCPU];
    struct shared_info shared;
};
static struct env_domain *env[NDOM];
static unsigned env_notified[NDOM][NVCPU];
static unsigned env_pirq_bound[NDOM];
static int env_pirq_rc;
static int64_t env_page_refs;
struct domain *dom_hw;

/* --- stubs ------------------------------------------------------------------------------------- */

void domain_ref(struct domain *d);
struct domain *domain_get(uint16_t id)
{
    if (id >= NDOM || !env[id])
        return NULL;
    domain_ref(&env[id]->d);
    return &env[id]->d;
}
struct domain *domain_get_self(struct vcpu *v, uint16_t id)
{
    return domain_get(id == DOMID_SELF ? v->domain->id : id);
}
void domain_ref(struct domain *d)
{
    __atomic_fetch_add(&d->refs, 1, __ATOMIC_RELAXED);
}
void domain_put(struct domain *d)
{
    __atomic_fetch_sub(&d->refs, 1, __ATOMIC_RELAXED);
}
void vcpu_notify_event(struct vcpu *v)
{
    __atomic_fetch_add(&env_notified[v->domain->id][v->id], 1, __ATOMIC_RELAXED);
}
static unsigned env_poll_wakes;
void vcpu_poll_wake(struct domain *d, uint32_t port)
{
    __atomic_fetch_add(&env_poll_wakes, 1, __ATOMIC_RELAXED);
}
int pirq_guest_bind(struct vcpu *v, unsigned pirq, unsigned flags)
{
    if (!env_pirq_rc)
        __atomic_fetch_add(&env_pirq_bound[v->domain->id], 1, __ATOMIC_RELAXED);
    return env_pirq_rc;
}
void pirq_guest_unbind(struct domain *d, unsigned pirq)
{
    __atomic_fetch_sub(&env_pirq_bound[d->id], 1, __ATOMIC_RELAXED);
}
static unsigned env_affinity_calls;
void pirq_guest_set_affinity(struct domain *d, unsigned pirq, struct vcpu *v)
{
    __atomic_fetch_add(&env_affinity_calls, 1, __ATOMIC_RELAXED);
}
/* Frames are the domains' by number: frame % NDOM. */
int pgt_get_page(struct page *pg, const struct domain *d, uint64_t type, bool may_stop)
{
    if (mfn_of(pg).n % NDOM != d->id || type != PGT_WRITABLE)
        return -XEN_EINVAL;
    pg->count++;
    env_page_refs++;
    return 0;
}
int pgt_put_page(struct page *pg, bool may_stop)
{
    BUG_ON(!pg->count);
    pg->count--;
    env_page_refs--;
    return 0;
}

/* --- set up and down ------------------------------------------------------------------------------ */

static struct env_domain *env_domain_new(unsigned id)
{
    struct env_domain *e = calloc(1, sizeof(*e));

    e->d.id = (uint16_t)id;
    e->d.privileged = e->d.hardware = id == 0;
    e->d.max_vcpus = NVCPU;
    e->d.vcpu = e->vp;
    e->d.shared = &e->shared;
    e->d.refs = 1;
    if (evtchn_domain_init(&e->d))
        abort();
    for (unsigned i = 0; i < NVCPU; i++) {
        e->v[i].domain = &e->d;
        e->v[i].id = (uint16_t)i;
        e->v[i].info = &e->info[i];
        e->vp[i] = &e->v[i];
        if (evtchn_vcpu_init(&e->v[i]))
            abort();
    }
    env[id] = e;
    return e;
}

static void env_domain_del(unsigned id)
{
    int rc;

    while ((rc = evtchn_domain_kill(&env[id]->d)))
        if (rc != -XEN_ERESTART)
            abort();
    if (evtchn_check(&env[id]->d))
        abort();
    evtchn_domain_free(&env[id]->d);
    if (env[id]->d.refs != 1)
        abort();
    free(env[id]);
    env[id] = NULL;
}

static void env_setup(void)
{
    host_reset();
    host_ram_init(ENV_FRAMES);
    memset(env_notified, 0, sizeof(env_notified));
    memset(env_pirq_bound, 0, sizeof(env_pirq_bound));
    env_page_refs = env_pirq_rc = 0;
    for (unsigned i = 0; i < NDOM; i++)
        env_domain_new(i);
    dom_hw = &env[0]->d;
}

static void env_teardown(void)
{
    for (unsigned i = 0; i < NDOM; i++)
        if (env[i])
            env_domain_del(i);
    BUG_ON(env_page_refs || host_zalloc_live);
    for (unsigned i = 0; i < NDOM; i++)
        BUG_ON(env_pirq_bound[i]);
    host_ram_free();
}

/* The hypercall as the guest issues it, continued to its end. */
static long env_op(unsigned dom, unsigned vcpu, unsigned cmd, void *arg)
{
    long rc;

    do
        rc = do_event_channel_op(env[dom]->vp[vcpu], cmd, (uint64_t)(uintptr_t)arg, 0, 0, 0);
    while (rc == HOST_AGAIN);
    return rc;
}

static unsigned env_check(void)
{
    unsigned faults = 0;

    for (unsigned i = 0; i < NDOM; i++)
        if (env[i])
            faults += evtchn_check(&env[i]->d);
    return faults;
}
