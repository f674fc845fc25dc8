/* SPDX-License-Identifier: MIT */
/*
 * Domains, frames and page tables for the grant tests (t_grant.c, f_grant.c): three domains of one vCPU, domain 0
 * privileged. Frames belong to domain mfn % NDOM, but those handed out by frames_alloc() are the hypervisor's.
 * A "page table" is an array of slots per domain, host_addr its index. Included once per program.
 */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "../../hypervisor/common/grant_private.h"
#include "lib.h"
#include "pgt.h"
#include "port_host.h"

#define NDOM 3
#define GUEST_FRAMES 60U
#define ENV_FRAMES 400U
#define SLOTS 64U
#define ENV_MAX_FRAMES 8

static struct domain *env[NDOM];
static struct vcpu *env_v[NDOM];
static uint64_t env_slot[NDOM][SLOTS]; /* mfn + 1 */
static uint32_t env_written[ENV_FRAMES]; /* typed references */
static unsigned env_hyp_next, env_alloc_fail;
static unsigned env_drops_unflushed; /* frames let go while a stale translation might be left */
static uint32_t env_unmapped_at[ENV_FRAMES];
static uint32_t env_flushed_at;
static bool env_threads; /* several at once: the flush order is not watched */

/* --- stubs ------------------------------------------------------------------------------------------ */

void domain_ref(struct domain *d);
struct domain *domain_get(uint16_t id)
{
    if (id >= NDOM || !env[id] || env[id]->dying)
        return NULL;
    domain_ref(env[id]);
    return env[id];
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
    BUG_ON(!__atomic_fetch_sub(&d->refs, 1, __ATOMIC_RELAXED));
}
bool get_page(struct page *pg, const struct domain *d)
{
    if (pg->owner != d)
        return false;
    __atomic_fetch_add(&pg->count, 1, __ATOMIC_RELAXED);
    return true;
}
struct page *get_page_of_mfn(mfn_t m, const struct domain *d)
{
    return mfn_valid(m) && get_page(page_of(m), d) ? page_of(m) : NULL;
}
void put_page(struct page *pg)
{
    uint64_t m = mfn_of(pg).n;

    BUG_ON(!__atomic_fetch_sub(&pg->count, 1, __ATOMIC_RELAXED));
    if (!env_threads && env_unmapped_at[m] && env_unmapped_at[m] > env_flushed_at)
        env_drops_unflushed++;
}
int pgt_get_page(struct page *pg, const struct domain *d, uint64_t type, bool may_stop)
{
    if (mfn_of(pg).n == 5 || !get_page(pg, d)) /* frame 5 is a page table: not writable */
        return -XEN_EINVAL;
    __atomic_fetch_add(&env_written[mfn_of(pg).n], 1, __ATOMIC_RELAXED);
    return 0;
}
int pgt_put_page(struct page *pg, bool may_stop)
{
    BUG_ON(!__atomic_fetch_sub(&env_written[mfn_of(pg).n], 1, __ATOMIC_RELAXED));
    put_page(pg);
    return 0;
}
mfn_t frames_alloc(unsigned order, unsigned flags)
{
    BUG_ON(env_hyp_next >= ENV_FRAMES);
    if (env_alloc_fail && !--env_alloc_fail)
        return INVALID_MFN;
    memset(map_frame(mfn(env_hyp_next)), 0, FRAME_SIZE);
    return mfn(env_hyp_next++);
}
void share_page(struct page *pg, struct domain *d)
{
    pg->owner = d;
    pg->count = 1;
}
bool unshare_page(struct page *pg)
{
    if (pg->count != 1)
        return false;
    pg->count = 0;
    pg->owner = NULL;
    return true;
}
void tlb_flush_stale(uint32_t stamp)
{
    env_flushed_at = ++host_tlb_clock;
    host_tlb_flushes++;
}
int arch_grant_map(struct vcpu *v, uint64_t host_addr, mfn_t m, struct domain *owner, unsigned flags)
{
    uint64_t *slot = &env_slot[v->domain->id][host_addr % SLOTS];

    if (host_addr >= SLOTS || *slot)
        return GNTST_bad_virt_addr;
    BUG_ON(!get_page(page_of(m), owner));
    *slot = m.n + 1;
    return GNTST_okay;
}
int arch_grant_unmap(struct vcpu *v, uint64_t host_addr, mfn_t m, unsigned flags, uint64_t new_addr)
{
    uint64_t *slot = &env_slot[v->domain->id][host_addr % SLOTS];

    if (host_addr >= SLOTS || *slot != m.n + 1)
        return GNTST_general_error;
    if (__atomic_exchange_n(slot, 0, __ATOMIC_SEQ_CST) != m.n + 1)
        abort(); /* two at one handle */
    __atomic_fetch_sub(&page_of(m)->count, 1, __ATOMIC_RELAXED); /* the table's own; the handle's must outlast the flush */
    env_unmapped_at[m.n] = ++host_tlb_clock;
    return GNTST_okay;
}

/* --- set up and down ----------------------------------------------------------------------------------- */

static void env_setup(void)
{
    host_reset();
    host_ram_init(ENV_FRAMES);
    memset(env_slot, 0, sizeof(env_slot));
    memset(env_written, 0, sizeof(env_written));
    memset(env_unmapped_at, 0, sizeof(env_unmapped_at));
    env_hyp_next = GUEST_FRAMES;
    env_drops_unflushed = env_alloc_fail = env_flushed_at = 0;
    env_threads = false;
    for (unsigned i = 0; i < NDOM; i++) {
        env[i] = calloc(1, sizeof(struct domain));
        env_v[i] = calloc(1, sizeof(struct vcpu));
        env[i]->id = (uint16_t)i;
        env[i]->privileged = i == 0;
        env[i]->refs = 1;
        env_v[i]->domain = env[i];
        if (grant_domain_init(env[i], ENV_MAX_FRAMES, 2))
            abort();
    }
    for (unsigned m = 1; m < GUEST_FRAMES; m++) {
        frame_table[m].owner = env[m % NDOM];
        frame_table[m].count = 1;
    }
}

/* What domain death does to the page tables: every entry's reference goes. */
static void env_kill(unsigned dom)
{
    int rc;

    env[dom]->dying = true;
    do
        rc = grant_domain_kill(env[dom]);
    while (rc == -XEN_ERESTART);
    BUG_ON(rc);
    for (unsigned s = 0; s < SLOTS; s++)
        if (env_slot[dom][s])
            put_page(page_of(mfn(env_slot[dom][s] - 1)));
    memset(env_slot[dom], 0, sizeof(env_slot[dom]));
}

static void env_teardown(void)
{
    host_zalloc_fail = env_alloc_fail = 0;
    for (unsigned i = 0; i < NDOM; i++)
        if (!env[i]->dying)
            env_kill(i);
    for (unsigned i = 0; i < NDOM; i++) {
        BUG_ON(grant_check(env[i]) || env[i]->refs != 1);
        grant_domain_free(env[i]);
        free(env[i]);
        free(env_v[i]);
    }
    for (unsigned m = 1; m < GUEST_FRAMES; m++)
        BUG_ON(frame_table[m].count != 1 || env_written[m]);
    for (unsigned m = GUEST_FRAMES; m < ENV_FRAMES; m++)
        BUG_ON(frame_table[m].count || env_written[m]);
    BUG_ON(host_zalloc_live || env_drops_unflushed);
    host_ram_free();
}

/* The hypercall as the guest issues it, continued to its end. */
static long env_op(unsigned dom, unsigned cmd, void *arg, uint64_t count)
{
    uint64_t at = (uint64_t)(uintptr_t)arg;
    long rc;

    while ((rc = do_grant_table_op(env_v[dom], cmd, at, count, 0, 0)) == HOST_AGAIN) {
        at = host_again.a[1];
        count = host_again.a[2];
    }
    return rc;
}

static unsigned env_check(void)
{
    unsigned faults = env_drops_unflushed;

    for (unsigned i = 0; i < NDOM; i++)
        faults += grant_check(env[i]);
    return faults;
}
