/* SPDX-License-Identifier: MIT */
/*
 * Domains and vCPUs: creation, look-up, references, and the end of their memory. How a domain stops
 * (shutdown, crash, destruction) is in domain_stop.c.
 *
 * A domain is found by its number in a table of pointers, and all of them are on a list sorted by number,
 * for walks. Both are changed and read under one small lock that is the innermost of the ordinary ones, so
 * that a look-up is possible with any other held; domain 0 is never freed and is found without it.
 *
 * The table holds one reference (the one domain_create() makes); domain_kill() drops it. The frames of a
 * domain hold another as long as there are any (page_refs.c). Whoever drops the last reference may hold locks, so
 * the domain only goes on a list, and a timer frees it where none are held. Until then it is in the table, but
 * cannot be looked up any more: a count of 0 never rises.
 */
#include "domain.h"

#include "cmdline.h"
#include "console.h"
#include "evtchn.h"
#include "grant.h"
#include "irq.h"
#include "lib.h"
#include "log.h"
#include "page.h"
#include "port.h"
#include "domain_private.h"
#include "vtime.h"

struct domain *dom_xen, *dom_io, *dom_orphans, *dom_hw;

/* Interrupt numbers of the hardware domain beyond the I/O APICs' inputs: for MSI. */
#define PIRQS_MSI 256

static struct spinlock table_lock = SPINLOCK_INIT("domain table", RANK_MAP);
static struct domain *domain_table[DOMID_FIRST_RESERVED];
static struct domain *domain_list;
static struct domain *dead_list; /* pushed and taken as a whole by atomic exchange */
static void domain_reap(void *unused);
static struct timer reaper = {.fn = domain_reap};

static void domain_free(struct domain *d);
static bool domain_unpublish(struct domain *d);

/* --- Look-up and references ------------------------------------------------------------------------ */

/* d with a reference, or NULL if it has none any more (or is NULL). */
static struct domain *try_domain_ref(struct domain *d)
{
    uint32_t n = d ? __atomic_load_n(&d->refs, __ATOMIC_RELAXED) : 0;

    while (n)
        if (__atomic_compare_exchange_n(&d->refs, &n, n + 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return d;
    return NULL;
}

/* The first of a list that can be referenced. */
static struct domain *first_domain_ref(struct domain *d)
{
    while (d && !try_domain_ref(d))
        d = d->next;
    return d;
}

struct domain *domain_get(uint16_t id)
{
    struct domain *d;

    if (id >= DOMID_FIRST_RESERVED)
        return NULL;
    id = (uint16_t)index_nospec(id, DOMID_FIRST_RESERVED);
    if (id == 0) {
        d = READ_ONCE(dom_hw);
        if (d)
            domain_ref(d);
        return d;
    }
    spin_lock(&table_lock);
    d = try_domain_ref(domain_table[id]);
    spin_unlock(&table_lock);
    return d;
}

struct domain *domain_get_self(struct vcpu *v, uint16_t id)
{
    if (id != DOMID_SELF && id != v->domain->id)
        return domain_get(id);
    domain_ref(v->domain);
    return v->domain;
}

void domain_ref(struct domain *d)
{
    __atomic_fetch_add(&d->refs, 1, __ATOMIC_RELAXED);
}

void domain_put(struct domain *d)
{
    if (__atomic_sub_fetch(&d->refs, 1, __ATOMIC_ACQ_REL))
        return;
    d->next_dead = __atomic_load_n(&dead_list, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&dead_list, &d->next_dead, d, false, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED))
        ;
    timer_set(&reaper, now_ns());
}

/* Timer callback. Domain 0 learns that nothing is left. */
static void domain_reap(void *unused)
{
    struct domain *d = __atomic_exchange_n(&dead_list, NULL, __ATOMIC_ACQUIRE);
    bool told = false;

    while (d) {
        struct domain *next = d->next_dead;

        told |= domain_unpublish(d);
        domain_free(d);
        d = next;
    }
    if (told)
        virq_raise_global(VIRQ_DOM_EXC);
}

struct domain *domain_next(struct domain *after)
{
    struct domain *d;

    spin_lock(&table_lock);
    d = domain_list;
    if (after && domain_table[after->id] == after)
        d = after->next;
    while (after && d && d->id <= after->id)
        d = d->next;
    d = first_domain_ref(d);
    spin_unlock(&table_lock);
    if (after)
        domain_put(after);
    return d;
}

struct domain *domain_find_from(uint16_t id)
{
    struct domain *d = NULL;

    if (id >= DOMID_FIRST_RESERVED)
        return NULL;
    id = (uint16_t)index_nospec(id, DOMID_FIRST_RESERVED);
    spin_lock(&table_lock);
    d = try_domain_ref(domain_table[id]);
    if (!d) {
        for (d = domain_list; d && d->id < id; d = d->next)
            ;
        d = first_domain_ref(d);
    }
    spin_unlock(&table_lock);
    return d;
}

static int domain_publish(struct domain *d)
{
    struct domain **link = &domain_list;
    int rc = -XEN_EEXIST;

    spin_lock(&table_lock);
    if (!domain_table[d->id]) {
        while (*link && (*link)->id < d->id)
            link = &(*link)->next;
        d->next = *link;
        *link = d;
        domain_table[d->id] = d;
        rc = 0;
    }
    spin_unlock(&table_lock);
    return rc;
}

/* Was it in the table? A creation that failed was not. */
static bool domain_unpublish(struct domain *d)
{
    struct domain **link = &domain_list;
    bool was;

    spin_lock(&table_lock);
    while (*link && *link != d)
        link = &(*link)->next;
    if (*link)
        *link = d->next;
    was = domain_table[d->id] == d;
    if (was)
        domain_table[d->id] = NULL;
    spin_unlock(&table_lock);
    return was;
}

uint16_t domain_free_id(void)
{
    static uint16_t last;
    uint16_t id = DOMID_INVALID;

    spin_lock(&table_lock);
    for (unsigned i = 0; i < DOMID_FIRST_RESERVED && id == DOMID_INVALID; i++) {
        last = last + 1u < DOMID_FIRST_RESERVED ? (uint16_t)(last + 1) : 1;
        if (!domain_table[last])
            id = last;
    }
    spin_unlock(&table_lock);
    return id;
}

/* --- Creation ------------------------------------------------------------------------------------------ */

static void domain_init_common(struct domain *d, uint16_t id)
{
    d->id = id;
    d->refs = 1;
    spin_init(&d->domctl_lock, "domctl", RANK_DOMCTL);
    spin_init(&d->page_lock, "pages", RANK_PAGE_LIST);
    spin_init(&d->watchdog_lock, "watchdog", RANK_TIME);
    timer_init(&d->shutdown_timer, domain_shutdown_check, d, 0);
    sched_domain_init(d);
    timer_init(&d->watchdog[0], domain_watchdog_fired, d, 0);
    timer_init(&d->watchdog[1], domain_watchdog_fired, d, 0);
    d->shared_mfn = INVALID_MFN;
}

static int domain_alloc_shared(struct domain *d)
{
    mfn_t m = frames_alloc(0, 0);

    if (mfn_eq(m, INVALID_MFN))
        return -XEN_ENOMEM;
    d->shared = map_frame(m);
    d->shared_mfn = m;
    memset(d->shared, 0, FRAME_SIZE);
    share_page(page_of(m), d);
    return 0;
}

static int domain_init_parts(struct domain *d, const struct domain_config *c)
{
    int rc;

    d->vcpu = zalloc(c->max_vcpus * sizeof(d->vcpu[0]));
    if (!d->vcpu)
        return -XEN_ENOMEM;
    d->max_vcpus = (uint16_t)c->max_vcpus;
    memcpy(d->handle, c->handle, sizeof(d->handle));
    rc = domain_alloc_shared(d);
    if (!rc)
        rc = evtchn_domain_init(d);
    if (!rc)
        rc = grant_domain_init(d, c->max_grant_frames, c->max_maptrack_frames);
    if (rc)
        return rc;
    evtchn_domain_limit(d, c->max_evtchn_port);
    grant_domain_limit(d, c->max_grant_version);
    if (d->hardware)
        rc = pirq_domain_init(d, irq_count_gsis() + PIRQS_MSI);
    return rc;
}

struct domain *domain_create(uint16_t id, bool privileged, unsigned max_vcpus, int *rc)
{
    struct domain_config c = {
        .max_vcpus = max_vcpus,
        .max_evtchn_port = UINT32_MAX,
        .max_grant_frames = opt.gnttab_max_frames,
        .max_maptrack_frames = opt.gnttab_max_maptrack_frames,
        .max_grant_version = 2,
    };

    return domain_create_config(id, privileged, &c, rc);
}

struct domain *domain_create_config(uint16_t id, bool privileged, const struct domain_config *c, int *rc)
{
    struct domain *d;

    *rc = -XEN_EINVAL;
    if (id >= DOMID_FIRST_RESERVED || !c->max_vcpus || c->max_vcpus > MAX_VCPUS)
        return NULL;
    *rc = -XEN_ENOMEM;
    d = arch_domain_alloc();
    if (!d)
        return NULL;
    domain_init_common(d, id);
    d->privileged = privileged;
    d->hardware = id == 0;
    d->pause_count = 1;
    d->control_pauses = c->control_paused;
    d->xs_domain = c->xs_domain;
    d->max_pages = d->hardware ? UINT32_MAX : 0;
    *rc = domain_init_parts(d, c);
    if (!*rc) {
        vtime_update_wallclock(d);
        *rc = domain_publish(d);
    }
    if (*rc) {
        domain_put(d);
        return NULL;
    }
    if (d->hardware)
        WRITE_ONCE(dom_hw, d);
    return d;
}

/* vCPU 32 and up have no place in shared_info: they cannot come up before they register one. */
static int vcpu_init_info(struct vcpu *v)
{
    if (v->id < XEN_LEGACY_MAX_VCPUS) {
        v->info = &v->domain->shared->vcpu_info[v->id];
    } else {
        v->info_dummy = zalloc(sizeof(*v->info_dummy));
        if (!v->info_dummy)
            return -XEN_ENOMEM;
        v->info = v->info_dummy;
    }
    v->info->evtchn_upcall_mask = 1;
    return 0;
}

static void vcpu_free(struct vcpu *v)
{
    vtime_vcpu_destroy(v);
    sched_vcpu_destroy(v);
    zfree(v->info_dummy);
    arch_vcpu_free(v);
}

struct vcpu *vcpu_create(struct domain *d, unsigned id)
{
    struct vcpu *v;

    if (id >= d->max_vcpus || d->vcpu[id])
        return NULL;
    v = arch_vcpu_alloc(d, id);
    if (!v)
        return NULL;
    v->domain = d;
    v->id = (uint16_t)id;
    if (sched_vcpu_init(v, (d->id + id) % cpu_count()))
        goto no_sched;
    if (vtime_vcpu_init(v) || vcpu_init_info(v) || evtchn_vcpu_init(v)) {
        vcpu_free(v);
        return NULL;
    }
    /* Walkers of d->vcpu[] see it complete. */
    __atomic_store_n(&d->vcpu[id], v, __ATOMIC_RELEASE);
    return v;
no_sched:
    arch_vcpu_free(v);
    return NULL;
}

/* --- The end -------------------------------------------------------------------------------------------- */

/* The last reference has gone, so nobody can find d, no vCPU of it runs and it has no frames. Also
 * undoes a creation that failed half way. */
static void domain_free(struct domain *d)
{
    unsigned i;

    BUG_ON(d == dom_hw || d == dom_xen || d == dom_io || d == dom_orphans);
    BUG_ON(d->claim);
    timer_kill(&d->shutdown_timer);
    sched_domain_destroy(d);
    timer_kill(&d->watchdog[0]);
    timer_kill(&d->watchdog[1]);
    if (d->grants)
        grant_domain_free(d);
    if (d->evtchn)
        evtchn_domain_free(d);
    if (d->pirqs)
        pirq_domain_free(d);
    for (i = 0; i < d->max_vcpus; i++)
        if (d->vcpu[i])
            vcpu_free(d->vcpu[i]);
    if (d->shared) {
        unmap_frame(d->shared);
        orphan_page(page_of(d->shared_mfn));
    }
    zfree(d->vcpu);
    arch_domain_free(d);
}

/* --- Special domains and the debug key --------------------------------------------------------------------- */

static struct domain *domain_make_special(uint16_t id)
{
    struct domain *d = arch_domain_alloc();

    if (!d)
        panic("no memory for the special domain %#x", id);
    domain_init_common(d, id);
    d->pause_count = 1;
    return d;
}

static void vcpu_print(struct vcpu *v)
{
    struct vcpu_runstate_info r;

    vcpu_runstate_get(v, &r);
    log_info("    v%u: CPU %u%s%s state %d flags %#x paused %u pending %u mask %u ran %lu ms, "
             "%lu exceptions in C\n",
             v->id, v->cpu, v->sched.running ? " running" : "", v->sched.queued ? " queued" : "",
             r.state, v->pause_flags, v->pause_count, v->info->evtchn_upcall_pending,
             v->info->evtchn_upcall_mask, r.time[RUNSTATE_running] / 1000000,
             v->stat_exceptions);
}

static void domains_dump(char key)
{
    struct domain *d;
    unsigned i;

    for (d = domain_next(NULL); d; d = domain_next(d)) {
        log_info("d%u: %s%s%s%s refs %u paused %u frames %lu of %lu shared_info %#lx\n", d->id,
                 d->kind ? d->kind->name : "?", d->privileged ? " privileged" : "",
                 d->shutting_down ? (d->shut_down ? " shut down" : " shutting down") : "",
                 d->dying ? " dying" : "", d->refs, d->pause_count, d->tot_pages, d->max_pages,
                 d->shared_mfn.n);
        for (i = 0; i < d->max_vcpus; i++)
            if (d->vcpu[i])
                vcpu_print(d->vcpu[i]);
    }
}

void domains_init(void)
{
    dom_xen = domain_make_special(DOMID_XEN);
    dom_io = domain_make_special(DOMID_IO);
    dom_orphans = domain_make_special(DOMID_INVALID);
    key_register('q', domains_dump, "domains and their vCPUs");
}
