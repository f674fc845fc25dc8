/* SPDX-License-Identifier: MIT */
/*
 * The tables themselves: making, growing, changing version, freeing. The frames of a table are the hypervisor's and
 * shared with their domain; they never shrink while it lives (status frames stay, unused, when a domain goes
 * back to version 1).
 */
#include "grant_private.h"
#include "lib.h"
#include "log.h"
#include "port.h"

static void *grant_frame_new(struct domain *d)
{
    mfn_t m = frames_alloc(0, 0);

    if (mfn_eq(m, INVALID_MFN))
        return NULL;
    share_page(page_of(m), d);
    return map_frame(m);
}

/* Others may still map it: then it goes with the last of them. */
static void grant_frame_free(void *va)
{
    mfn_t m = map_frame_mfn(va);

    unmap_frame(va);
    orphan_page(page_of(m));
}

int grant_domain_init(struct domain *d, unsigned max_frames, unsigned max_maptrack)
{
    struct grant_table *gt = zalloc(sizeof(*gt));

    if (!gt)
        return -XEN_ENOMEM;
    spin_init(&gt->lock, "grant table", RANK_GRANT);
    gt->version = 1;
    gt->max_version = 2;
    gt->max_frames = MIN(MAX(max_frames, 1U), GRANT_FRAMES_LIMIT);
    gt->max_maptrack = MIN(max_maptrack, MT_FRAMES_LIMIT);
    gt->shared = zalloc(gt->max_frames * sizeof(*gt->shared));
    gt->status = zalloc(gt->max_frames * sizeof(*gt->status));
    gt->active = zalloc(gt->max_frames * CHUNKS_PER_FRAME * sizeof(*gt->active));
    gt->maptrack = zalloc(MAX(gt->max_maptrack, 1U) * sizeof(*gt->maptrack));
    d->grants = gt;
    if (gt->shared && gt->status && gt->active && gt->maptrack)
        return 0;
    grant_domain_free(d);
    return -XEN_ENOMEM;
}

void grant_domain_limit(struct domain *d, unsigned max_version)
{
    d->grants->max_version = max_version;
}

void grant_domain_free(struct domain *d)
{
    struct grant_table *gt = d->grants;

    if (!gt)
        return;
    BUG_ON(gt->mt_used);
    for (unsigned i = 0; i < gt->nr_frames; i++)
        grant_frame_free(gt->shared[i]);
    for (unsigned i = 0; i < gt->nr_status; i++)
        grant_frame_free(gt->status[i]);
    for (unsigned i = 0; gt->active && i < gt->max_frames * CHUNKS_PER_FRAME; i++)
        zfree(gt->active[i]);
    for (unsigned i = 0; gt->maptrack && i < gt->max_maptrack; i++)
        zfree(gt->maptrack[i]);
    zfree(gt->shared);
    zfree(gt->status);
    zfree(gt->active);
    zfree(gt->maptrack);
    zfree(gt);
    d->grants = NULL;
}

/* Status frames for nr_frames of version 2. What was made before a failure stays and is used next time. */
static int grant_grow_status(struct domain *d, unsigned nr_frames)
{
    struct grant_table *gt = d->grants;
    unsigned want = (unsigned)DIV_UP(nr_frames * V2_PER_FRAME, STATUS_PER_FRAME);

    while (gt->nr_status < want) {
        void *va = grant_frame_new(d);

        if (!va)
            return -XEN_ENOMEM;
        gt->status[gt->nr_status++] = va;
    }
    return 0;
}

int grant_grow_locked(struct domain *d, unsigned nr_frames)
{
    struct grant_table *gt = d->grants;

    if (nr_frames > gt->max_frames || gt->dying)
        return -XEN_EINVAL;
    if (gt->version == 2 && grant_grow_status(d, nr_frames))
        return -XEN_ENOMEM;
    while (gt->nr_frames < nr_frames) {
        struct grant_active **chunk = &gt->active[gt->nr_frames * CHUNKS_PER_FRAME];
        void *va;

        /* Enough for version 1, which has more entries per frame. */
        for (unsigned i = 0; i < CHUNKS_PER_FRAME; i++)
            if (!chunk[i] && !(chunk[i] = zalloc(ACTIVE_PER_CHUNK * sizeof(**chunk))))
                return -XEN_ENOMEM;
        va = grant_frame_new(d);
        if (!va)
            return -XEN_ENOMEM;
        gt->shared[gt->nr_frames++] = va;
    }
    return 0;
}

int grant_frame_get(struct domain *d, unsigned idx, bool status, mfn_t *out)
{
    struct grant_table *gt = d->grants;
    int rc = -XEN_EINVAL;

    if (!gt)
        return rc;
    spin_lock(&gt->lock);
    if (status) {
        if (gt->version == 2 && idx < gt->nr_status)
            rc = 0;
    } else if (idx < gt->max_frames) {
        rc = idx < gt->nr_frames ? 0 : grant_grow_locked(d, idx + 1);
    }
    if (!rc)
        *out = map_frame_mfn(status ? (void *)gt->status[idx] : gt->shared[idx]);
    spin_unlock(&gt->lock);
    return rc;
}

unsigned grant_frames_limit(const struct domain *d, bool status)
{
    unsigned n = d->grants ? d->grants->max_frames : 0;

    return status ? (unsigned)DIV_UP(n * V2_PER_FRAME, STATUS_PER_FRAME) : n;
}

static bool grant_any_held(const struct grant_table *gt)
{
    for (uint32_t ref = 0; ref < grant_entries(gt); ref++)
        if (grant_active_of(gt, ref)->kind)
            return true;
    return false;
}

/* One of the first entries in version 1's form; empty if it is held in a form that only version 2 has. */
static struct grant_entry_v1 grant_reserved_get(const struct grant_table *gt, unsigned i)
{
    const struct grant_entry_v1 *e1 = (struct grant_entry_v1 *)gt->shared[0] + i;
    const union grant_entry_v2 *e2 = (union grant_entry_v2 *)gt->shared[0] + i;
    struct grant_entry_v1 e;
    uint64_t frame;

    if (gt->version == 2) {
        e.flags = READ_ONCE(e2->hdr.flags);
        e.domid = READ_ONCE(e2->hdr.domid);
        frame = READ_ONCE(e2->full_page.frame);
    } else {
        e.flags = READ_ONCE(e1->flags);
        e.domid = READ_ONCE(e1->domid);
        frame = READ_ONCE(e1->frame);
    }
    e.frame = (uint32_t)frame;
    if ((e.flags & (GTF_type_mask | GTF_sub_page)) != GTF_permit_access || frame >> 32)
        return (struct grant_entry_v1){0};
    e.flags &= (uint16_t) ~(GTF_reading | GTF_writing);
    return e;
}

/* The first entries outlive a change of version: console and store, put there when the domain was built. */
static void grant_convert(struct grant_table *gt, unsigned version)
{
    struct grant_entry_v1 keep[GNTTAB_NR_RESERVED_ENTRIES];

    for (unsigned i = 0; i < GNTTAB_NR_RESERVED_ENTRIES; i++)
        keep[i] = grant_reserved_get(gt, i);
    for (unsigned i = 0; i < gt->nr_frames; i++)
        memset(gt->shared[i], 0, FRAME_SIZE);
    for (unsigned i = 0; i < gt->nr_status; i++)
        memset(gt->status[i], 0, FRAME_SIZE);
    for (unsigned i = 0; i < GNTTAB_NR_RESERVED_ENTRIES; i++) {
        union grant_entry_v2 *e2 = (union grant_entry_v2 *)gt->shared[0] + i;

        if (version == 1) {
            ((struct grant_entry_v1 *)gt->shared[0])[i] = keep[i];
        } else {
            e2->full_page.frame = keep[i].frame;
            e2->hdr = (grant_entry_header_t){keep[i].flags, keep[i].domid};
        }
    }
}

static int grant_set_version_locked(struct domain *d, unsigned version)
{
    struct grant_table *gt = d->grants;

    if (gt->version == version)
        return 0;
    if (version > gt->max_version)
        return -XEN_EOPNOTSUPP;
    if (grant_any_held(gt))
        return -XEN_EBUSY;
    if (version == 2 && grant_grow_status(d, gt->nr_frames))
        return -XEN_ENOMEM;
    if (gt->nr_frames)
        grant_convert(gt, version);
    gt->version = version;
    return 0;
}

int grant_set_version(struct domain *d, unsigned version)
{
    int rc;

    spin_lock(&d->grants->lock);
    rc = grant_set_version_locked(d, version);
    spin_unlock(&d->grants->lock);
    return rc;
}

void grant_dump(struct domain *d)
{
    struct grant_table *gt = d->grants;

    if (!gt)
        return;
    spin_lock(&gt->lock);
    log_info("grants of d%u: version %u, %u of %u frames, %u mappings of others'\n", d->id,
             gt->version, gt->nr_frames, gt->max_frames, gt->mt_used);
    for (uint32_t ref = 0; ref < grant_entries(gt); ref++) {
        const struct grant_active *act = grant_active_of(gt, ref);

        if (act->kind)
            log_info("  %u: frame %#lx held by d%u: %u reading, %u writing\n", ref,
                     (unsigned long)act->frame, act->domid, act->readers, act->writers);
    }
    spin_unlock(&gt->lock);
}

/* Free list of handles against their states, and held entries. */
unsigned grant_check(struct domain *d)
{
    struct grant_table *gt = d->grants;
    uint32_t nr, used = 0, free = 0;
    unsigned faults = 0;

    if (!gt)
        return 0;
    spin_lock(&gt->lock);
    nr = gt->nr_maptrack * (uint32_t)MT_PER_FRAME;
    for (uint32_t i = 0; i < nr; i++)
        used += grant_maptrack_at(gt, i)->state != MT_FREE;
    for (uint32_t i = gt->mt_free; i && free <= nr; i = grant_maptrack_at(gt, i - 1)->next)
        free += grant_maptrack_at(gt, i - 1)->state == MT_FREE;
    faults += used != gt->mt_used || used + free != nr;
    for (uint32_t ref = 0; ref < grant_entries(gt); ref++) {
        const struct grant_active *act = grant_active_of(gt, ref);

        faults += !act->kind != !(act->readers || act->writers);
    }
    spin_unlock(&gt->lock);
    if (faults)
        log_err("grant: d%u: %u faults\n", d->id, faults);
    return faults;
}
