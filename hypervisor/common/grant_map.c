/* SPDX-License-Identifier: MIT */
/*
 * Mapping granted frames and removing the mappings, with the handles (maptrack) that tie the two together.
 *
 *   MT_FREE --alloc--> MT_SETUP --mapped--> MT_MAPPED --unmap, kill--> MT_BUSY --flushed, dropped--> MT_FREE
 *                          `--failed--> MT_FREE            ^------------'  (removal refused, or half of it left)
 *
 * Order when removing: page table entry, TLB flush (one per batch), then the marks in the granting guest's entry
 * and the references: from the moment that guest sees its page unused, nobody can reach it any more.
 */
#include "grant_private.h"
#include "log.h"
#include "logdirty.h"
#include "port.h"

struct maptrack *grant_maptrack_at(const struct grant_table *gt, uint32_t index)
{
    return &gt->maptrack[index / MT_PER_FRAME][index % MT_PER_FRAME];
}

static uint32_t handle_of(const struct maptrack *mt, uint32_t index)
{
    return (uint32_t)mt->generation << MT_INDEX_BITS | index;
}

static int maptrack_grow_locked(struct grant_table *gt)
{
    uint32_t first = gt->nr_maptrack * (uint32_t)MT_PER_FRAME;
    struct maptrack *mt;

    if (gt->nr_maptrack >= gt->max_maptrack)
        return GNTST_no_space;
    mt = zalloc(FRAME_SIZE);
    if (!mt)
        return GNTST_no_space;
    gt->maptrack[gt->nr_maptrack++] = mt;
    for (uint32_t i = MT_PER_FRAME; i-- > 0;) {
        mt[i].next = gt->mt_free;
        gt->mt_free = first + i + 1;
    }
    return GNTST_okay;
}

/* A handle's entry in state SETUP: the caller's alone. */
static struct maptrack *maptrack_alloc(struct grant_table *gt, uint32_t *index)
{
    struct maptrack *mt = NULL;

    spin_lock(&gt->lock);
    if (!gt->dying && (gt->mt_free || !maptrack_grow_locked(gt))) {
        *index = gt->mt_free - 1;
        mt = grant_maptrack_at(gt, *index);
        gt->mt_free = mt->next;
        gt->mt_used++;
        mt->state = MT_SETUP;
    }
    spin_unlock(&gt->lock);
    return mt;
}

static void maptrack_free(struct grant_table *gt, uint32_t index)
{
    struct maptrack *mt = grant_maptrack_at(gt, index);

    spin_lock(&gt->lock);
    mt->owner = NULL;
    mt->page = NULL;
    mt->state = MT_FREE;
    mt->generation = (uint16_t)((mt->generation + 1) % MT_GENERATIONS);
    mt->next = gt->mt_free;
    gt->mt_free = index + 1;
    gt->mt_used--;
    spin_unlock(&gt->lock);
}

static void maptrack_publish(struct grant_table *gt, struct maptrack *mt)
{
    spin_lock(&gt->lock);
    mt->state = MT_MAPPED;
    spin_unlock(&gt->lock);
}

/* The entry of a live handle, now BUSY: the caller's alone. NULL: no such handle. */
static struct maptrack *maptrack_take(struct grant_table *gt, uint32_t handle, uint32_t *index)
{
    uint32_t i = handle & (BIT(MT_INDEX_BITS) - 1);
    struct maptrack *mt = NULL;
    uint32_t nr;

    spin_lock(&gt->lock);
    nr = gt->nr_maptrack * (uint32_t)MT_PER_FRAME;
    if (i < nr) {
        i = (uint32_t)index_nospec(i, nr);
        mt = grant_maptrack_at(gt, i);
        if (mt->state == MT_MAPPED && handle_of(mt, i) == handle)
            mt->state = MT_BUSY;
        else
            mt = NULL;
    }
    spin_unlock(&gt->lock);
    *index = i;
    return mt;
}

/* Hold the grant and its frame for mt, and enter the mapping. */
static int map_perform(struct vcpu *v, struct domain *rd, struct maptrack *mt,
                       const struct gnttab_map_grant_ref *op)
{
    bool write = !(op->flags & GNTMAP_readonly);
    struct grant_view view;
    struct page *pg;
    int rc;

    rc = grant_hold(rd, op->ref, v->domain->id, write, GRANT_FULL, &view);
    if (rc)
        return rc;
    pg = grant_page_get(rd, view.what.frame, write);
    if (!pg) {
        rc = GNTST_bad_page;
        goto release;
    }
    if (op->flags & GNTMAP_host_map) {
        rc = arch_grant_map(v, op->host_addr, mfn_of(pg), rd, op->flags);
        if (rc)
            goto put_page;
    }
    domain_ref(rd);
    mt->owner = rd;
    mt->page = pg;
    mt->ref = op->ref;
    mt->flags = (uint16_t)(op->flags & ~MT_DEVICE_WRITES);
    if (write && (op->flags & GNTMAP_device_map)) {
        mt->flags |= MT_DEVICE_WRITES; /* no entry of a table counts these */
        page_writer_add(pg);
    }
    return GNTST_okay;

put_page:
    grant_page_put(pg, write);
release:
    grant_release(rd, op->ref, write);
    return rc;
}

static int map_one(struct vcpu *v, struct domain *rd, struct gnttab_map_grant_ref *op)
{
    struct grant_table *gt = v->domain->grants;
    struct maptrack *mt;
    uint32_t index;
    int rc;

    mt = maptrack_alloc(gt, &index);
    if (!mt)
        return GNTST_no_space;
    rc = map_perform(v, rd, mt, op);
    if (rc) {
        maptrack_free(gt, index);
        return rc;
    }
    op->handle = handle_of(mt, index);
    op->dev_bus_addr = paddr_of_mfn(mfn_of(mt->page));
    maptrack_publish(gt, mt);
    return GNTST_okay;
}

void grant_map_one(struct vcpu *v, struct gnttab_map_grant_ref *op)
{
    struct domain *rd;

    op->handle = ~0U;
    op->status = GNTST_bad_gntref;
    if (!(op->flags & (GNTMAP_host_map | GNTMAP_device_map)))
        return;
    op->status = GNTST_bad_domain;
    rd = domain_get(op->dom);
    if (!rd)
        return;
    op->status = (int16_t)map_one(v, rd, op);
    domain_put(rd);
}

/* Remove what was asked for from the page tables; what is left stays in mt->flags. */
static int unmap_perform(struct vcpu *v, struct maptrack *mt, uint64_t host_addr, uint64_t dev_addr,
                         uint64_t new_addr)
{
    mfn_t m = mfn_of(mt->page);
    int rc;

    if (dev_addr && (!(mt->flags & GNTMAP_device_map) || dev_addr != paddr_of_mfn(m)))
        return GNTST_bad_dev_addr;
    if (host_addr) {
        if (!(mt->flags & GNTMAP_host_map))
            return GNTST_bad_virt_addr;
        rc = arch_grant_unmap(v, host_addr, m, mt->flags, new_addr);
        if (rc)
            return rc;
        mt->flags &= (uint16_t)~GNTMAP_host_map;
    }
    if (dev_addr)
        mt->flags &= (uint16_t)~GNTMAP_device_map;
    return GNTST_okay;
}

int grant_unmap_one(struct vcpu *v, uint64_t host_addr, uint64_t dev_addr, uint64_t new_addr,
                    uint32_t handle, struct unmap_batch *batch)
{
    struct grant_table *gt = v->domain->grants;
    struct maptrack *mt;
    uint32_t index;
    int rc;

    mt = maptrack_take(gt, handle, &index);
    if (!mt)
        return GNTST_bad_handle;
    rc = unmap_perform(v, mt, host_addr, dev_addr, new_addr);
    batch->stale |= !rc && host_addr;
    if (mt->flags & (GNTMAP_host_map | GNTMAP_device_map))
        maptrack_publish(gt, mt);
    else
        batch->index[batch->nr++] = index; /* stays BUSY until the flush */
    return rc;
}

void grant_unmap_finish(struct domain *d, struct unmap_batch *batch)
{
    struct grant_table *gt = d->grants;

    if (batch->stale)
        tlb_flush_stale(tlb_stamp_now());
    batch->stale = false;
    for (unsigned i = 0; i < batch->nr; i++) {
        struct maptrack *mt = grant_maptrack_at(gt, batch->index[i]);
        bool write = !(mt->flags & GNTMAP_readonly);
        struct domain *owner = mt->owner;

        if (mt->flags & MT_DEVICE_WRITES)
            page_writer_drop(mt->page);
        grant_page_put(mt->page, write);
        grant_release(owner, mt->ref, write);
        maptrack_free(gt, batch->index[i]);
        domain_put(owner);
    }
    batch->nr = 0;
}

/* Take up to a batch of live entries, whatever they map: d's page tables are dead or hold their own references. */
static bool kill_collect(struct grant_table *gt, struct unmap_batch *batch)
{
    uint32_t nr;

    spin_lock(&gt->lock);
    gt->dying = true;
    nr = gt->nr_maptrack * (uint32_t)MT_PER_FRAME;
    for (; gt->mt_used && gt->mt_kill < nr && batch->nr < UNMAP_BATCH; gt->mt_kill++) {
        struct maptrack *mt = grant_maptrack_at(gt, gt->mt_kill);

        if (mt->state != MT_MAPPED)
            continue;
        mt->state = MT_BUSY;
        batch->index[batch->nr++] = gt->mt_kill;
    }
    spin_unlock(&gt->lock);
    return batch->nr;
}

int grant_domain_kill(struct domain *d)
{
    struct grant_table *gt = d->grants;
    struct unmap_batch batch = {0};

    if (!gt)
        return 0;
    while (kill_collect(gt, &batch)) {
        batch.stale = true;
        grant_unmap_finish(d, &batch);
        if (preempt_needed())
            return -XEN_ERESTART;
    }
    if (!gt->mt_used)
        return 0;
    gt->mt_kill = 0; /* one was in other hands: look again */
    return -XEN_ERESTART;
}
