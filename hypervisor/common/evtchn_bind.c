/* SPDX-License-Identifier: MIT */
/*
 * Binding and closing ports: the state machine
 *
 *   FREE -> (RESERVED) -> UNBOUND <-> INTERDOMAIN
 *                      -> VIRQ, IPI, PIRQ                 any open state -> FREE by close
 *
 * Two connected ports change together under evtchn_link_lock. Rules that the ABI header states (who may be
 * re-bound, global VIRQs on vCPU 0, ...) are checked here; who may act for another domain, in evtchn_op.c.
 */
#include "evtchn_private.h"
#include "irq.h"
#include "port.h"

struct spinlock evtchn_link_lock = SPINLOCK_INIT("evtchn link", RANK_EVTCHN_LINK);

bool virq_is_global(unsigned virq)
{
    return virq != VIRQ_TIMER && virq != VIRQ_DEBUG && virq != VIRQ_XENOPROF && virq != VIRQ_XENPMU;
}

uint32_t *evtchn_pirq_cell(struct domain *d, uint32_t pirq, bool make)
{
    struct evtchn_domain *ed = d->evtchn;
    uint32_t *page;

    if (pirq >= PIRQS_MAX)
        return NULL;
    pirq = (uint32_t)index_nospec(pirq, PIRQS_MAX);
    page = __atomic_load_n(&ed->pirq_page[pirq / PIRQS_PER_PAGE], __ATOMIC_ACQUIRE);
    if (!page && make) {
        page = zalloc(FRAME_SIZE);
        __atomic_store_n(&ed->pirq_page[pirq / PIRQS_PER_PAGE], page, __ATOMIC_RELEASE);
    }
    return page ? page + pirq % PIRQS_PER_PAGE : NULL;
}

/* A reserved port comes into use. */
static void evtchn_open(struct evtchn *ch, enum evtchn_state state, uint16_t vcpu, uint32_t nr)
{
    spin_lock(&ch->lock);
    WRITE_ONCE(ch->vcpu, vcpu);
    ch->peer = nr;
    ch->state = (uint8_t)state;
    spin_unlock(&ch->lock);
}

int evtchn_alloc_unbound(struct domain *d, domid_t remote, uint32_t *port)
{
    struct evtchn *ch;
    int rc;

    spin_lock(&d->evtchn->lock);
    ch = evtchn_alloc_locked(d, &rc);
    if (ch) {
        spin_lock(&ch->lock);
        ch->remote_id = remote;
        ch->state = ECS_UNBOUND;
        spin_unlock(&ch->lock);
        *port = ch->port;
    }
    spin_unlock(&d->evtchn->lock);
    return rc;
}

/* Set one end. Under evtchn_link_lock. */
static void evtchn_connect(struct evtchn *ch, struct domain *to, uint32_t port)
{
    spin_lock(&ch->lock);
    ch->remote = to;
    ch->peer = port;
    ch->state = ECS_INTERDOMAIN;
    spin_unlock(&ch->lock);
}

static void evtchn_disconnect(struct evtchn *ch, domid_t was)
{
    spin_lock(&ch->lock);
    ch->remote = NULL;
    ch->peer = 0;
    ch->remote_id = was;
    ch->state = ECS_UNBOUND;
    spin_unlock(&ch->lock);
}

/* ch is reserved; the far end is looked at and, if it waits for d, both are connected. */
static int evtchn_link(struct domain *d, struct evtchn *ch, struct domain *rd, uint32_t rport)
{
    struct evtchn *rch = evtchn_find(rd, rport);
    int rc = -XEN_EINVAL;

    if (!rch)
        return rc;
    spin_lock(&evtchn_link_lock);
    spin_lock(&rch->lock); /* "unbound" can only end under the link lock */
    if (rch->state == ECS_UNBOUND && rch->remote_id == d->id)
        rc = 0;
    spin_unlock(&rch->lock);
    if (!rc) {
        evtchn_connect(ch, rd, rport);
        evtchn_connect(rch, d, ch->port);
        /* It may have been sent to before anyone could see it: the ABI promises a first event. */
        spin_lock(&ch->lock);
        evtchn_set_pending(d, ch);
        spin_unlock(&ch->lock);
    }
    spin_unlock(&evtchn_link_lock);
    return rc;
}

int evtchn_bind_interdomain(struct domain *d, struct domain *rd, uint32_t rport, uint32_t *port)
{
    struct evtchn *ch;
    int rc;

    spin_lock(&d->evtchn->lock);
    ch = evtchn_alloc_locked(d, &rc);
    if (ch) {
        rc = evtchn_link(d, ch, rd, rport);
        if (rc)
            evtchn_release_locked(d, ch);
        else
            *port = ch->port;
    }
    spin_unlock(&d->evtchn->lock);
    return rc;
}

static uint32_t *evtchn_virq_cell(struct domain *d, uint32_t virq, uint32_t vcpu)
{
    if (virq_is_global(virq))
        return &d->evtchn->virq_port[virq];
    return &d->vcpu[vcpu]->evtchn->virq_port[virq];
}

int evtchn_bind_virq(struct domain *d, uint32_t virq, uint32_t vcpu, uint32_t *port)
{
    struct vcpu *v = domain_vcpu(d, vcpu);
    struct evtchn *ch;
    uint32_t *cell;
    int rc;

    if (virq >= NR_VIRQS)
        return -XEN_EINVAL;
    virq = (uint32_t)index_nospec(virq, NR_VIRQS);
    if (virq_is_global(virq) && vcpu)
        return -XEN_EINVAL;
    if (!v)
        return -XEN_ENOENT;
    spin_lock(&d->evtchn->lock);
    cell = evtchn_virq_cell(d, virq, v->id);
    if (*cell) {
        rc = -XEN_EEXIST;
    } else {
        ch = evtchn_alloc_locked(d, &rc);
        if (ch) {
            evtchn_open(ch, ECS_VIRQ, v->id, virq);
            *port = ch->port;
            WRITE_ONCE(*cell, ch->port);
        }
    }
    spin_unlock(&d->evtchn->lock);
    return rc;
}

int evtchn_bind_ipi(struct domain *d, uint32_t vcpu, uint32_t *port)
{
    struct vcpu *v = domain_vcpu(d, vcpu);
    struct evtchn *ch;
    int rc;

    if (!v)
        return -XEN_ENOENT;
    spin_lock(&d->evtchn->lock);
    ch = evtchn_alloc_locked(d, &rc);
    if (ch) {
        evtchn_open(ch, ECS_IPI, v->id, 0);
        *port = ch->port;
    }
    spin_unlock(&d->evtchn->lock);
    return rc;
}

/* The port is open before the interrupt is, so that its first one is not lost. */
static int evtchn_bind_pirq_locked(struct domain *d, uint32_t pirq, uint32_t flags, uint32_t *port)
{
    uint32_t *cell = evtchn_pirq_cell(d, pirq, true);
    struct evtchn *ch;
    int rc;

    if (!cell)
        return -XEN_ENOMEM;
    if (*cell)
        return -XEN_EEXIST;
    ch = evtchn_alloc_locked(d, &rc);
    if (!ch)
        return rc;
    evtchn_open(ch, ECS_PIRQ, 0, pirq);
    WRITE_ONCE(*cell, ch->port);
    rc = pirq_guest_bind(d->vcpu[0], pirq, flags);
    if (rc) {
        WRITE_ONCE(*cell, 0);
        evtchn_release_locked(d, ch);
        return rc;
    }
    *port = ch->port;
    return 0;
}

int evtchn_bind_pirq(struct domain *d, uint32_t pirq, uint32_t flags, uint32_t *port)
{
    int rc;

    if (pirq >= PIRQS_MAX || (flags & ~(uint32_t)BIND_PIRQ__WILL_SHARE) || !domain_vcpu(d, 0))
        return -XEN_EINVAL;
    spin_lock(&d->evtchn->lock);
    rc = evtchn_bind_pirq_locked(d, pirq, flags, port);
    spin_unlock(&d->evtchn->lock);
    return rc;
}

/* May the port be moved to another vCPU? Its lock held. */
static bool evtchn_movable(const struct evtchn *ch)
{
    return ch->state == ECS_UNBOUND || ch->state == ECS_INTERDOMAIN || ch->state == ECS_PIRQ ||
           (ch->state == ECS_VIRQ && virq_is_global(ch->peer));
}

int evtchn_bind_vcpu(struct domain *d, uint32_t port, uint32_t vcpu)
{
    struct vcpu *v = domain_vcpu(d, vcpu);
    struct evtchn *ch = evtchn_find(d, port);
    int rc = -XEN_EINVAL;
    bool pirq;

    if (!v)
        return -XEN_ENOENT;
    if (!ch)
        return rc;
    spin_lock(&d->evtchn->lock);
    spin_lock(&ch->lock);
    if (evtchn_movable(ch)) {
        WRITE_ONCE(ch->vcpu, v->id);
        rc = 0;
    }
    pirq = ch->state == ECS_PIRQ;
    spin_unlock(&ch->lock);
    if (!rc && pirq) /* and stays so under the domain's lock */
        pirq_guest_set_affinity(d, ch->peer, v);
    spin_unlock(&d->evtchn->lock);
    return rc;
}

static void evtchn_clear_pending(struct domain *d, struct evtchn *ch)
{
    if (d->evtchn->fifo)
        evtchn_fifo_clear_pending(d->evtchn->fifo, ch);
    else
        evtchn_2l_clear_pending(d, ch);
}

/* d's lock and the link lock held: ch cannot change. Cut off all that may send to it, then free it. */
static int evtchn_close_locked(struct domain *d, struct evtchn *ch)
{
    switch (ch->state) {
    case ECS_FREE:
    case ECS_RESERVED:
        return -XEN_EINVAL;
    case ECS_INTERDOMAIN:
        evtchn_disconnect(evtchn_find(ch->remote, ch->peer), d->id);
        break;
    case ECS_VIRQ:
        WRITE_ONCE(*evtchn_virq_cell(d, ch->peer, ch->vcpu), 0);
        break;
    case ECS_PIRQ:
        WRITE_ONCE(*evtchn_pirq_cell(d, ch->peer, false), 0);
        pirq_guest_unbind(d, ch->peer);
        break;
    default:
        break;
    }
    spin_lock(&ch->lock);
    ch->state = ECS_RESERVED; /* a raiser that found the number in a table gives up */
    evtchn_clear_pending(d, ch);
    spin_unlock(&ch->lock);
    evtchn_release_locked(d, ch);
    return 0;
}

int evtchn_close(struct domain *d, uint32_t port)
{
    struct evtchn *ch = evtchn_find(d, port);
    int rc;

    if (!ch)
        return -XEN_EINVAL;
    spin_lock(&d->evtchn->lock);
    spin_lock(&evtchn_link_lock);
    rc = evtchn_close_locked(d, ch);
    spin_unlock(&evtchn_link_lock);
    spin_unlock(&d->evtchn->lock);
    return rc;
}

int evtchn_status(struct domain *d, struct evtchn_status *st)
{
    static const uint8_t code[] = {
        [ECS_FREE] = EVTCHNSTAT_closed,   [ECS_RESERVED] = EVTCHNSTAT_closed,
        [ECS_UNBOUND] = EVTCHNSTAT_unbound, [ECS_INTERDOMAIN] = EVTCHNSTAT_interdomain,
        [ECS_PIRQ] = EVTCHNSTAT_pirq,     [ECS_VIRQ] = EVTCHNSTAT_virq,
        [ECS_IPI] = EVTCHNSTAT_ipi,
    };
    struct evtchn *ch = evtchn_find(d, st->port);

    if (!ch)
        return -XEN_EINVAL;
    spin_lock(&ch->lock);
    st->status = code[ch->state];
    st->vcpu = ch->vcpu;
    switch (ch->state) {
    case ECS_UNBOUND:
        st->u.unbound.dom = ch->remote_id;
        break;
    case ECS_INTERDOMAIN:
        st->u.interdomain.dom = ch->remote->id;
        st->u.interdomain.port = ch->peer;
        break;
    case ECS_PIRQ:
        st->u.pirq = ch->peer;
        break;
    case ECS_VIRQ:
        st->u.virq = ch->peer;
        break;
    }
    spin_unlock(&ch->lock);
    return 0;
}

/* The next port to be closed, or 0 with d's lock held: all have been looked at. */
static uint32_t evtchn_reset_next(struct evtchn_domain *ed)
{
    uint32_t port;

    spin_lock(&ed->lock);
    port = ed->next_close + 1;
    if (port >= ed->nr_ports)
        return 0;
    ed->next_close = port;
    spin_unlock(&ed->lock);
    return port;
}

int evtchn_reset(struct domain *d)
{
    struct evtchn_domain *ed = d->evtchn;
    uint32_t port;
    int rc = 0;

    while ((port = evtchn_reset_next(ed))) {
        rc = evtchn_close(d, port); /* -XEN_EINVAL: was not open */
        if (!(port % PORTS_PER_BUCKET) && preempt_needed())
            return -XEN_ERESTART;
    }
    rc = 0;
    ed->next_close = 0;
    if (ed->active)
        rc = -XEN_EAGAIN;
    else
        evtchn_fifo_destroy_locked(d);
    spin_unlock(&ed->lock);
    return rc;
}
