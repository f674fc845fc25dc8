/* SPDX-License-Identifier: MIT */
/*
 * The event_channel_op hypercall: fetch the argument once, decide on which domain it acts and whether the caller
 * may, then call the function that does it. One row per sub-operation in evtchn_ops[].
 */
#include "evtchn_private.h"
#include "port.h"

union evtchn_args {
    struct evtchn_alloc_unbound alloc_unbound;
    struct evtchn_bind_interdomain bind_interdomain;
    struct evtchn_bind_virq bind_virq;
    struct evtchn_bind_pirq bind_pirq;
    struct evtchn_bind_ipi bind_ipi;
    struct evtchn_close close;
    struct evtchn_send send;
    struct evtchn_status status;
    struct evtchn_bind_vcpu bind_vcpu;
    struct evtchn_unmask unmask;
    struct evtchn_reset reset;
    struct evtchn_init_control init_control;
    struct evtchn_expand_array expand_array;
    struct evtchn_set_priority set_priority;
};

struct evtchn_op_row {
    int (*fn)(struct vcpu *v, union evtchn_args *a);
    uint8_t bytes;
    bool out; /* copied back on success */
};

/* The domain that `id` names if v may act on it, with a reference; NULL and *rc. */
static struct domain *evtchn_target(struct vcpu *v, domid_t id, int *rc)
{
    struct domain *d = domain_get_self(v, id);

    *rc = 0;
    if (!d || !d->evtchn) {
        *rc = -XEN_ESRCH;
    } else if (d != v->domain && !v->domain->privileged) {
        *rc = -XEN_EPERM;
    }
    if (*rc && d) {
        domain_put(d);
        d = NULL;
    }
    return d;
}

static int op_alloc_unbound(struct vcpu *v, union evtchn_args *a)
{
    domid_t remote = a->alloc_unbound.remote_dom;
    struct domain *d;
    int rc;

    d = evtchn_target(v, a->alloc_unbound.dom, &rc);
    if (!d)
        return rc;
    if (remote == DOMID_SELF)
        remote = v->domain->id;
    rc = evtchn_alloc_unbound(d, remote, &a->alloc_unbound.port);
    domain_put(d);
    return rc;
}

static int op_bind_interdomain(struct vcpu *v, union evtchn_args *a)
{
    struct domain *rd = domain_get_self(v, a->bind_interdomain.remote_dom);
    int rc = -XEN_ESRCH;

    if (!rd)
        return rc;
    if (rd->evtchn)
        rc = evtchn_bind_interdomain(v->domain, rd, a->bind_interdomain.remote_port,
                                     &a->bind_interdomain.local_port);
    domain_put(rd);
    return rc;
}

static int op_bind_virq(struct vcpu *v, union evtchn_args *a)
{
    return evtchn_bind_virq(v->domain, a->bind_virq.virq, a->bind_virq.vcpu, &a->bind_virq.port);
}

static int op_bind_pirq(struct vcpu *v, union evtchn_args *a)
{
    return evtchn_bind_pirq(v->domain, a->bind_pirq.pirq, a->bind_pirq.flags, &a->bind_pirq.port);
}

static int op_bind_ipi(struct vcpu *v, union evtchn_args *a)
{
    return evtchn_bind_ipi(v->domain, a->bind_ipi.vcpu, &a->bind_ipi.port);
}

static int op_close(struct vcpu *v, union evtchn_args *a)
{
    return evtchn_close(v->domain, a->close.port);
}

static int op_send(struct vcpu *v, union evtchn_args *a)
{
    return evtchn_send(v->domain, a->send.port);
}

static int op_status(struct vcpu *v, union evtchn_args *a)
{
    struct domain *d;
    int rc;

    d = evtchn_target(v, a->status.dom, &rc);
    if (!d)
        return rc;
    rc = evtchn_status(d, &a->status);
    domain_put(d);
    return rc;
}

static int op_bind_vcpu(struct vcpu *v, union evtchn_args *a)
{
    return evtchn_bind_vcpu(v->domain, a->bind_vcpu.port, a->bind_vcpu.vcpu);
}

static int op_unmask(struct vcpu *v, union evtchn_args *a)
{
    return evtchn_unmask(v->domain, a->unmask.port);
}

static int op_reset(struct vcpu *v, union evtchn_args *a)
{
    struct domain *d;
    int rc;

    d = evtchn_target(v, a->reset.dom, &rc);
    if (!d)
        return rc;
    rc = evtchn_reset(d);
    domain_put(d);
    return rc;
}

static int op_init_control(struct vcpu *v, union evtchn_args *a)
{
    a->init_control.link_bits = EVTCHN_FIFO_LINK_BITS;
    return evtchn_fifo_init_control(v->domain, &a->init_control);
}

static int op_expand_array(struct vcpu *v, union evtchn_args *a)
{
    return evtchn_fifo_expand_array(v->domain, a->expand_array.array_gfn);
}

static int op_set_priority(struct vcpu *v, union evtchn_args *a)
{
    return evtchn_fifo_set_priority(v->domain, a->set_priority.port, a->set_priority.priority);
}

#define ROW(name, out) [EVTCHNOP_##name] = {op_##name, sizeof(struct evtchn_##name), out}
static const struct evtchn_op_row evtchn_ops[] = {
    ROW(bind_interdomain, true),
    ROW(bind_virq, true),
    ROW(bind_pirq, true),
    ROW(close, false),
    ROW(send, false),
    ROW(status, true),
    ROW(alloc_unbound, true),
    ROW(bind_ipi, true),
    ROW(bind_vcpu, false),
    ROW(unmask, false),
    ROW(reset, false),
    ROW(init_control, true),
    ROW(expand_array, false),
    ROW(set_priority, false),
};

long do_event_channel_op(struct vcpu *v, uint64_t cmd, uint64_t arg, uint64_t a3, uint64_t a4,
                         uint64_t a5)
{
    const struct evtchn_op_row *row;
    union evtchn_args args;
    int rc;

    if (cmd >= ARRAY_SIZE(evtchn_ops))
        return -XEN_ENOSYS;
    row = &evtchn_ops[index_nospec(cmd, ARRAY_SIZE(evtchn_ops))];
    if (copy_from_guest(&args, guest_ptr(arg), row->bytes))
        return -XEN_EFAULT;
    rc = row->fn(v, &args);
    if (rc == -XEN_ERESTART)
        return hcall_again(v, __HYPERVISOR_event_channel_op, cmd, arg, a3, a4, a5);
    /* A port whose number cannot be told stays open: the guest finds it by EVTCHNOP_status or reset. */
    if (!rc && row->out && copy_to_guest(guest_ptr(arg), &args, row->bytes))
        rc = -XEN_EFAULT;
    return rc;
}

long do_event_channel_op_compat(struct vcpu *v, uint64_t arg, uint64_t a2, uint64_t a3, uint64_t a4,
                                uint64_t a5)
{
    uint32_t cmd;

    if (get_guest(cmd, guest_ptr(arg)))
        return -XEN_EFAULT;
    if (cmd > EVTCHNOP_unmask)
        return -XEN_ENOSYS;
    return do_event_channel_op(v, cmd, arg + offsetof(struct evtchn_op, u), 0, 0, 0);
}
