/* SPDX-License-Identifier: MIT */
/*
 * Event channels: delivery. Sending over a port, raising virtual and physical interrupts, and the life
 * of the per-domain and per-vCPU structures. What locks mean and why sending needs only one is in
 * evtchn_private.h. Binding is in evtchn_bind.c, the hypercall in evtchn_op.c, the two guest-visible
 * forms in evtchn_2l.c and evtchn_fifo.c.
 */
#include "evtchn_private.h"
#include "log.h"
#include "port.h"

void evtchn_set_pending(struct domain *d, struct evtchn *ch)
{
    struct evtchn_fifo *f = __atomic_load_n(&d->evtchn->fifo, __ATOMIC_ACQUIRE);

    if (f)
        evtchn_fifo_set_pending(d, f, ch);
    else
        evtchn_2l_set_pending(d, ch);
}

void evtchn_mark_vcpu(struct vcpu *v)
{
    struct vcpu_info *info = READ_ONCE(v->info);

    if (!__atomic_exchange_n(&info->evtchn_upcall_pending, 1, __ATOMIC_SEQ_CST))
        vcpu_notify_event(v);
}

int evtchn_send(struct domain *d, uint32_t port)
{
    struct evtchn *ch = evtchn_find(d, port);
    int rc = 0;

    if (!ch)
        return -XEN_EINVAL;
    spin_lock(&ch->lock);
    switch (ch->state) {
    case ECS_INTERDOMAIN:
        evtchn_set_pending(ch->remote, evtchn_find(ch->remote, ch->peer));
        break;
    case ECS_IPI:
        evtchn_set_pending(d, ch);
        break;
    case ECS_UNBOUND:
        break; /* the peer has gone or has not come: the event is lost, and that is no error */
    default:
        rc = -XEN_EINVAL;
    }
    spin_unlock(&ch->lock);
    return rc;
}

/* Deliver to a port of d if it still is what the caller's table said. */
static bool evtchn_raise(struct domain *d, uint32_t port, enum evtchn_state state, uint32_t nr)
{
    struct evtchn *ch = port ? evtchn_find(d, port) : NULL;
    bool ok;

    if (!ch)
        return false;
    spin_lock(&ch->lock);
    ok = ch->state == state && ch->peer == nr;
    if (ok)
        evtchn_set_pending(d, ch);
    spin_unlock(&ch->lock);
    return ok;
}

void virq_raise_vcpu(struct vcpu *v, unsigned virq)
{
    BUG_ON(virq >= NR_VIRQS || virq_is_global(virq));
    evtchn_raise(v->domain, READ_ONCE(v->evtchn->virq_port[virq]), ECS_VIRQ, virq);
}

void virq_raise_domain(struct domain *d, unsigned virq)
{
    BUG_ON(virq >= NR_VIRQS || !virq_is_global(virq));
    evtchn_raise(d, READ_ONCE(d->evtchn->virq_port[virq]), ECS_VIRQ, virq);
}

/* Numbers of domains; 0: domain 0. A handler that ends is forgotten: its number may soon be another domain's. */
static uint16_t virq_handler[NR_VIRQS];

int virq_set_handler(unsigned virq, struct domain *d)
{
    if (virq >= NR_VIRQS || !virq_is_global(virq))
        return -XEN_EINVAL;
    WRITE_ONCE(virq_handler[index_nospec(virq, NR_VIRQS)], d->id);
    return 0;
}

static void virq_forget_handler(const struct domain *d)
{
    for (unsigned virq = 0; virq < NR_VIRQS; virq++) {
        uint16_t id = d->id;

        (void)__atomic_compare_exchange_n(&virq_handler[virq], &id, 0, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    }
}

void virq_raise_global(unsigned virq)
{
    uint16_t id = READ_ONCE(virq_handler[virq]);
    struct domain *d = id ? domain_get(id) : NULL, *hw = READ_ONCE(dom_hw);

    if (d && !READ_ONCE(d->dying)) {
        virq_raise_domain(d, virq);
    } else {
        WRITE_ONCE(virq_handler[virq], 0);
        if (hw && hw->evtchn)
            virq_raise_domain(hw, virq);
    }
    if (d)
        domain_put(d);
}

bool evtchn_pirq_raise(struct domain *d, unsigned pirq)
{
    uint32_t *cell = evtchn_pirq_cell(d, pirq, false);

    return cell && evtchn_raise(d, READ_ONCE(*cell), ECS_PIRQ, pirq);
}

bool evtchn_is_known(struct domain *d, uint32_t port)
{
    return evtchn_find(d, port) != NULL;
}

bool evtchn_is_pending(struct domain *d, uint32_t port)
{
    struct evtchn *ch = evtchn_find(d, port);
    struct evtchn_fifo *f;
    bool pending = false;

    if (!ch)
        return false;
    spin_lock(&ch->lock);
    if (ch->state > ECS_RESERVED) {
        f = __atomic_load_n(&d->evtchn->fifo, __ATOMIC_ACQUIRE);
        pending = f ? evtchn_fifo_is_pending(f, ch) : evtchn_2l_is_pending(d, port);
    }
    spin_unlock(&ch->lock);
    return pending;
}

bool evtchn_is_masked(struct domain *d, uint32_t port)
{
    struct evtchn *ch = evtchn_find(d, port);
    struct evtchn_fifo *f;
    bool masked = true;

    if (!ch)
        return true;
    spin_lock(&ch->lock);
    if (ch->state > ECS_RESERVED) {
        f = __atomic_load_n(&d->evtchn->fifo, __ATOMIC_ACQUIRE);
        masked = f ? evtchn_fifo_is_masked(f, ch->port) : evtchn_2l_is_masked(d, ch->port);
    }
    spin_unlock(&ch->lock);
    return masked;
}

int evtchn_unmask(struct domain *d, uint32_t port)
{
    struct evtchn *ch = evtchn_find(d, port);
    struct evtchn_fifo *f;

    if (!ch)
        return -XEN_EINVAL;
    spin_lock(&ch->lock);
    if (ch->state > ECS_RESERVED) {
        f = __atomic_load_n(&d->evtchn->fifo, __ATOMIC_ACQUIRE);
        if (f)
            evtchn_fifo_unmask(d, f, ch);
        else
            evtchn_2l_unmask(d, ch);
    }
    spin_unlock(&ch->lock);
    return 0;
}

/*
 * Senders that still hold the old pointer finish in the old place, which stays valid memory (it is in
 * shared_info or the dummy). So claim that everything may be pending: the guest looks and finds out.
 */
void evtchn_vcpu_info_moved(struct vcpu *v)
{
    struct vcpu_info *info = READ_ONCE(v->info);

    __atomic_store_n(&info->evtchn_pending_sel, ~(xen_ulong_t)0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&info->evtchn_upcall_pending, 1, __ATOMIC_SEQ_CST);
    vcpu_notify_event(v);
}

int evtchn_domain_init(struct domain *d)
{
    struct evtchn_domain *ed = zalloc(sizeof(*ed));

    if (!ed)
        return -XEN_ENOMEM;
    spin_init(&ed->lock, "evtchn", RANK_EVTCHN);
    ed->max_port = UINT32_MAX;
    d->evtchn = ed;
    return 0;
}

void evtchn_domain_limit(struct domain *d, uint32_t max_port)
{
    d->evtchn->max_port = max_port;
}

int evtchn_vcpu_init(struct vcpu *v)
{
    struct evtchn_domain *ed = v->domain->evtchn;
    struct evtchn_vcpu *ev = zalloc(sizeof(*ev));

    if (!ev)
        return -XEN_ENOMEM;
    spin_init(&ev->lock, "evtchn queue", RANK_EVTCHN_Q);
    v->evtchn = ev;
    if (ed) { /* the idle domain has none */
        spin_lock(&ed->lock);
        ev->next = ed->vcpus;
        ed->vcpus = ev;
        spin_unlock(&ed->lock);
    }
    return 0;
}

int evtchn_domain_kill(struct domain *d)
{
    struct evtchn_domain *ed = d->evtchn;
    int rc;

    if (!ed)
        return 0;
    spin_lock(&ed->lock);
    if (!ed->dying) {
        ed->dying = true; /* no port will be allocated from now on */
        ed->next_close = 0;
    }
    spin_unlock(&ed->lock);
    virq_forget_handler(d);
    rc = evtchn_reset(d);
    /* EAGAIN: someone else is resetting d at the same time and has a port in hand. */
    return rc ? -XEN_ERESTART : 0;
}

void evtchn_domain_free(struct domain *d)
{
    struct evtchn_domain *ed = d->evtchn;

    if (!ed)
        return;
    BUG_ON(ed->active || ed->fifo);
    while (ed->vcpus) {
        struct evtchn_vcpu *ev = ed->vcpus;

        ed->vcpus = ev->next;
        zfree(ev);
    }
    for (unsigned i = 0; i < PIRQ_PAGES; i++)
        zfree(ed->pirq_page[i]);
    evtchn_ports_free(ed);
    zfree(ed);
    d->evtchn = NULL;
}
