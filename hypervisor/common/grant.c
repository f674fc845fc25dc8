/* SPDX-License-Identifier: MIT */
/*
 * The grant_table_op hypercall: fetch each element once, do it, write it back; between elements a long batch may be
 * interrupted and continued with the rest. One row per sub-operation in grant_ops[]. Tables are in
 * grant_table.c, the conversation with the granting guest in grant_entry.c, mapping in grant_map.c, copying in
 * grant_copy.c.
 *
 * Not done: GNTTABOP_transfer (status GNTST_bad_page: the caller keeps its page), cache_flush (-XEN_ENOSYS).
 */
#include "grant_private.h"
#include "port.h"

union grant_args {
    struct gnttab_map_grant_ref map;
    struct gnttab_unmap_grant_ref unmap;
    struct gnttab_setup_table setup;
    struct gnttab_dump_table dump;
    struct gnttab_transfer transfer;
    struct gnttab_copy copy;
    struct gnttab_query_size query;
    struct gnttab_unmap_and_replace replace;
    struct gnttab_set_version set_version;
    struct gnttab_get_status_frames status;
    struct gnttab_get_version get_version;
    struct gnttab_swap_grant_ref swap;
};

struct grant_op_row {
    /* 0 (the result is in the element's status), or the hypercall's error. */
    int (*fn)(struct vcpu *v, union grant_args *a, struct unmap_batch *batch);
    uint8_t bytes;
    bool single; /* count must be 1 */
};

/* The domain that `id` names if v may look after its table, with a reference; NULL and a status. */
static struct domain *grant_target(struct vcpu *v, domid_t id, int16_t *status)
{
    struct domain *d = domain_get_self(v, id);

    *status = GNTST_okay;
    if (!d || !d->grants)
        *status = GNTST_bad_domain;
    else if (d != v->domain && !v->domain->privileged)
        *status = GNTST_permission_denied;
    if (*status && d) {
        domain_put(d);
        d = NULL;
    }
    return d;
}

static int op_map(struct vcpu *v, union grant_args *a, struct unmap_batch *batch)
{
    grant_map_one(v, &a->map);
    return 0;
}

static int op_unmap(struct vcpu *v, union grant_args *a, struct unmap_batch *batch)
{
    a->unmap.status = (int16_t)grant_unmap_one(v, a->unmap.host_addr, a->unmap.dev_bus_addr, 0,
                                               a->unmap.handle, batch);
    return 0;
}

static int op_replace(struct vcpu *v, union grant_args *a, struct unmap_batch *batch)
{
    struct gnttab_unmap_and_replace *op = &a->replace;
    int rc = GNTST_bad_virt_addr;

    if (op->host_addr && op->new_addr)
        rc = grant_unmap_one(v, op->host_addr, 0, op->new_addr, op->handle, batch);
    op->status = (int16_t)rc;
    return 0;
}

static int op_copy(struct vcpu *v, union grant_args *a, struct unmap_batch *batch)
{
    a->copy.status = (int16_t)grant_copy_one(v, &a->copy);
    return 0;
}

/* The one failure after which the ABI says that the page still is the caller's. */
static int op_transfer(struct vcpu *v, union grant_args *a, struct unmap_batch *batch)
{
    a->transfer.status = GNTST_bad_page;
    return 0;
}

/* Write the numbers of the first nr frames of d's table (or status frames). */
static int grant_list_frames(struct domain *d, guest_ptr_t list, uint32_t nr, bool status)
{
    for (uint32_t i = 0; i < nr; i++) {
        uint64_t frame;
        mfn_t m;

        if (grant_frame_get(d, i, status, &m))
            return GNTST_general_error;
        frame = m.n;
        if (put_guest(guest_ptr_add(list, i * sizeof(frame)), frame))
            return GNTST_bad_virt_addr;
    }
    return GNTST_okay;
}

static int op_setup_table(struct vcpu *v, union grant_args *a, struct unmap_batch *batch)
{
    struct domain *d = grant_target(v, a->setup.dom, &a->setup.status);
    int rc;

    if (!d)
        return 0;
    a->setup.status = GNTST_general_error;
    if (a->setup.nr_frames <= d->grants->max_frames) {
        spin_lock(&d->grants->lock);
        rc = grant_grow_locked(d, a->setup.nr_frames);
        spin_unlock(&d->grants->lock);
        if (!rc)
            a->setup.status = (int16_t)grant_list_frames(d, guest_ptr_of(a->setup.frame_list),
                                                         a->setup.nr_frames, false);
    }
    domain_put(d);
    return 0;
}

static int op_get_status_frames(struct vcpu *v, union grant_args *a, struct unmap_batch *batch)
{
    struct domain *d = grant_target(v, a->status.dom, &a->status.status);

    if (!d)
        return 0;
    a->status.status = GNTST_general_error;
    if (a->status.nr_frames <= READ_ONCE(d->grants->nr_status))
        a->status.status = (int16_t)grant_list_frames(d, guest_ptr_of(a->status.frame_list),
                                                      a->status.nr_frames, true);
    domain_put(d);
    return 0;
}

static int op_query_size(struct vcpu *v, union grant_args *a, struct unmap_batch *batch)
{
    struct domain *d = grant_target(v, a->query.dom, &a->query.status);

    if (!d)
        return 0;
    a->query.nr_frames = READ_ONCE(d->grants->nr_frames);
    a->query.max_nr_frames = d->grants->max_frames;
    domain_put(d);
    return 0;
}

/* To the console: only for those who may read it. */
static int op_dump_table(struct vcpu *v, union grant_args *a, struct unmap_batch *batch)
{
    struct domain *d;

    a->dump.status = GNTST_permission_denied;
    if (!v->domain->privileged)
        return 0;
    d = grant_target(v, a->dump.dom, &a->dump.status);
    if (!d)
        return 0;
    grant_dump(d);
    domain_put(d);
    return 0;
}

static int op_set_version(struct vcpu *v, union grant_args *a, struct unmap_batch *batch)
{
    int rc;

    if (a->set_version.version != 1 && a->set_version.version != 2)
        return -XEN_EINVAL;
    rc = grant_set_version(v->domain, a->set_version.version);
    a->set_version.version = READ_ONCE(v->domain->grants->version);
    return rc;
}

static int op_get_version(struct vcpu *v, union grant_args *a, struct unmap_batch *batch)
{
    int16_t status;
    struct domain *d = grant_target(v, a->get_version.dom, &status);

    if (!d)
        return status == GNTST_permission_denied ? -XEN_EPERM : -XEN_ESRCH;
    a->get_version.version = READ_ONCE(d->grants->version);
    domain_put(d);
    return 0;
}

static int op_swap(struct vcpu *v, union grant_args *a, struct unmap_batch *batch)
{
    a->swap.status = (int16_t)grant_swap(v->domain, a->swap.ref_a, a->swap.ref_b);
    return 0;
}

static const struct grant_op_row grant_ops[] = {
    [GNTTABOP_map_grant_ref] = {op_map, sizeof(struct gnttab_map_grant_ref), false},
    [GNTTABOP_unmap_grant_ref] = {op_unmap, sizeof(struct gnttab_unmap_grant_ref), false},
    [GNTTABOP_setup_table] = {op_setup_table, sizeof(struct gnttab_setup_table), true},
    [GNTTABOP_dump_table] = {op_dump_table, sizeof(struct gnttab_dump_table), true},
    [GNTTABOP_transfer] = {op_transfer, sizeof(struct gnttab_transfer), false},
    [GNTTABOP_copy] = {op_copy, sizeof(struct gnttab_copy), false},
    [GNTTABOP_query_size] = {op_query_size, sizeof(struct gnttab_query_size), true},
    [GNTTABOP_unmap_and_replace] = {op_replace, sizeof(struct gnttab_unmap_and_replace), false},
    [GNTTABOP_set_version] = {op_set_version, sizeof(struct gnttab_set_version), true},
    [GNTTABOP_get_status_frames] = {op_get_status_frames, sizeof(struct gnttab_get_status_frames),
                                    true},
    [GNTTABOP_get_version] = {op_get_version, sizeof(struct gnttab_get_version), true},
    [GNTTABOP_swap_grant_ref] = {op_swap, sizeof(struct gnttab_swap_grant_ref), false},
};

/* Elements 0..count-1 at arg, or as many as fit a batch. How many are done; *rc: an error that ends the call;
 * -XEN_ERESTART: it should be continued later. */
static uint32_t grant_op_batch(struct vcpu *v, const struct grant_op_row *row, guest_ptr_t arg,
                               uint32_t count, int *rc)
{
    struct unmap_batch batch = {0};
    union grant_args args;
    uint32_t i = 0;

    for (*rc = 0; i < count && !*rc; i++) {
        guest_ptr_t at = guest_ptr_add(arg, (uint64_t)i * row->bytes);

        if (batch.nr == UNMAP_BATCH)
            break;
        if (i && preempt_needed())
            *rc = -XEN_ERESTART;
        else
            *rc = copy_from_guest(&args, at, row->bytes);
        if (*rc)
            break;
        *rc = row->fn(v, &args, &batch);
        if (copy_to_guest(at, &args, row->bytes) && !*rc)
            *rc = -XEN_EFAULT;
    }
    grant_unmap_finish(v->domain, &batch);
    return i;
}

long do_grant_table_op(struct vcpu *v, uint64_t cmd, uint64_t arg, uint64_t count, uint64_t a4,
                       uint64_t a5)
{
    const struct grant_op_row *row;
    uint32_t todo = (uint32_t)count;
    int rc = 0;

    if (cmd >= ARRAY_SIZE(grant_ops) || !v->domain->grants)
        return -XEN_ENOSYS;
    row = &grant_ops[index_nospec(cmd, ARRAY_SIZE(grant_ops))];
    if (todo > INT32_MAX || (row->single && todo != 1))
        return -XEN_EINVAL;
    while (todo && !rc) {
        uint32_t done = grant_op_batch(v, row, guest_ptr(arg), todo, &rc);

        arg += (uint64_t)done * row->bytes;
        todo -= done;
        if (rc == -XEN_ERESTART)
            return hcall_again(v, __HYPERVISOR_grant_table_op, cmd, arg, todo, a4, a5);
    }
    return rc;
}
