/* SPDX-License-Identifier: MIT */
/*
 * The guest side of physical interrupts: each domain's numbering ("pirqs"), binding to event
 * channels, the "needs EOI" page, and delivery in the PIRQ softirq.
 *
 * pirqs of the hardware domain: I/O APIC inputs keep their number, messages are numbered from the
 * top of the range downward, so that the two do not meet. A pirq is
 *
 *     free --map--> mapped --bind--> mapped and bound --unbind--> mapped --unmap--> free
 *                                        \--unmap--> bound only (delivers nothing) --unbind--> free
 *
 * A line is delivered to one domain; who shares one is refused. Slow paths hold pirq_lock; EOI and
 * status read p->irq without it and irq.c checks under the descriptor's lock that it is still
 * theirs. The code touches no hardware; tests/unit/t_pirq.c runs it on the host.
 */
#include "abi.h"
#include "domain.h"
#include "evtchn.h"
#include "lock.h"
#include "logdirty.h"
#include "page.h"
#include "pgt.h"
#include "port.h"
#include "x86/irqs.h"

#include <xen/physdev.h>

#define PIRQ_BOUND 0x01
#define PIRQ_RESERVED 0x02 /* promised by get_free_pirq */

struct pirq {
    uint16_t irq; /* [pirq_lock; read without] irq + 1, 0: not mapped */
    uint8_t flags;
};

struct pirq_domain {
    uint32_t nr;
    struct page *eoi_page; /* held writable; NULL: none */
    uint64_t *eoi_bits;
    struct pirq p[];
};

struct spinlock pirq_lock = SPINLOCK_INIT("pirq", RANK_PIRQ);

/* Arrived on this CPU, for the softirq. Only its own CPU touches it, interrupts off. */
static struct {
    struct irq_desc *head;
} __aligned_to(64) arrived[MAX_CPUS];

static struct pirq *pirq_find(const struct domain *d, uint64_t pirq)
{
    struct pirq_domain *pd = d->pirqs;

    if (!pd || pirq >= pd->nr)
        return NULL;
    return &pd->p[index_nospec(pirq, pd->nr)];
}

static int pirq_irq(const struct pirq *p)
{
    return (int)READ_ONCE(p->irq) - 1;
}

/* --- The guest's page ------------------------------------------------------------------------- */

/* A set bit tells the guest that this pirq wants PHYSDEVOP_eoi. pirq_lock held. The guest may write
 * there too: that is its own loss, nothing here reads it. */
static void pirq_eoi_bit(struct pirq_domain *pd, unsigned pirq, bool set)
{
    if (!pd->eoi_bits)
        return;
    if (set)
        __atomic_or_fetch(&pd->eoi_bits[pirq / 64], BIT(pirq % 64), __ATOMIC_SEQ_CST);
    else
        __atomic_and_fetch(&pd->eoi_bits[pirq / 64], ~BIT(pirq % 64), __ATOMIC_SEQ_CST);
}

static bool pirq_needs_eoi(const struct pirq *p)
{
    int irq = pirq_irq(p);

    return irq >= 0 && irq_is_level((unsigned)irq);
}

int pirq_eoi_page_set(struct domain *d, uint64_t frame)
{
    struct pirq_domain *pd = d->pirqs;
    struct page *pg;
    int rc = 0;

    if (!pd || !mfn_valid(mfn(frame)))
        return -XEN_EINVAL;
    pg = page_of(mfn(frame));
    if (pgt_get_page(pg, d, PGT_WRITABLE, false))
        return -XEN_EINVAL;
    page_writer_add(pg);
    spin_lock(&pirq_lock);
    if (pd->eoi_page) {
        rc = -XEN_EBUSY;
    } else {
        pd->eoi_page = pg;
        pd->eoi_bits = map_frame(mfn(frame));
        for (unsigned i = 0; i < pd->nr; i++)
            pirq_eoi_bit(pd, i, pd->p[i].flags & PIRQ_BOUND && pirq_needs_eoi(&pd->p[i]));
    }
    spin_unlock(&pirq_lock);
    if (rc) {
        page_writer_drop(pg);
        pgt_put_page(pg, false);
    }
    return rc;
}

static void pirq_eoi_page_drop(struct pirq_domain *pd)
{
    if (!pd->eoi_page)
        return;
    unmap_frame(pd->eoi_bits);
    pd->eoi_bits = NULL;
    page_writer_drop(pd->eoi_page);
    pgt_put_page(pd->eoi_page, false);
    pd->eoi_page = NULL;
}

int pirq_status(const struct domain *d, unsigned pirq)
{
    const struct pirq *p = pirq_find(d, pirq);

    if (!p)
        return -XEN_EINVAL;
    return pirq_needs_eoi(p) ? XENIRQSTAT_needs_eoi : 0;
}

/* --- Numbers ---------------------------------------------------------------------------------- */

static bool pirq_is_free(const struct pirq *p, bool promised)
{
    return !p->irq && (!p->flags || (promised && p->flags == PIRQ_RESERVED));
}

static int pirq_pick_top(const struct pirq_domain *pd)
{
    for (unsigned i = pd->nr; i-- > irq_count_gsis();)
        if (pirq_is_free(&pd->p[i], false))
            return (int)i;
    return -XEN_ENOSPC;
}

/* Numbers for lines that are wanted elsewhere than at their own; above the 16 ISA ones. */
static int pirq_pick_gsi(const struct pirq_domain *pd)
{
    for (unsigned i = 16; i < irq_count_gsis() && i < pd->nr; i++)
        if (pirq_is_free(&pd->p[i], false))
            return (int)i;
    return -XEN_ENOSPC;
}

int pirq_reserve(struct domain *d, bool gsi)
{
    struct pirq_domain *pd = d->pirqs;
    int n;

    if (!pd)
        return -XEN_EINVAL;
    spin_lock(&pirq_lock);
    n = gsi ? pirq_pick_gsi(pd) : pirq_pick_top(pd);
    if (n >= 0)
        pd->p[n].flags |= PIRQ_RESERVED;
    spin_unlock(&pirq_lock);
    return n;
}

/* --- Mapping ---------------------------------------------------------------------------------- */

static void pirq_enter(struct pirq *p, unsigned irq)
{
    p->flags &= (uint8_t)~PIRQ_RESERVED;
    WRITE_ONCE(p->irq, (uint16_t)(irq + 1));
}

static int pirq_map_gsi_locked(struct domain *d, unsigned gsi, int want)
{
    struct pirq_domain *pd = d->pirqs;
    struct pirq *p;

    for (unsigned i = 0; i < pd->nr; i++)
        if (pd->p[i].irq == gsi + 1) /* again: fine, if it is the same */
            return want < 0 || (unsigned)want == i ? (int)i : -XEN_EEXIST;
    if (want < 0) {
        p = pirq_find(d, gsi);
        want = p && pirq_is_free(p, false) ? (int)gsi : pirq_pick_gsi(pd);
        if (want < 0)
            return want;
    }
    p = pirq_find(d, (unsigned)want);
    if (!p)
        return -XEN_EINVAL;
    if (!pirq_is_free(p, true))
        return -XEN_EBUSY;
    pirq_enter(p, gsi);
    return want;
}

int pirq_map_gsi(struct domain *d, unsigned gsi, int want)
{
    int rc;

    if (!d->pirqs || !irq_is_gsi(gsi))
        return -XEN_EINVAL;
    spin_lock(&pirq_lock);
    rc = pirq_map_gsi_locked(d, gsi, want);
    spin_unlock(&pirq_lock);
    return rc;
}

int pirq_map_msi_locked(struct domain *d, struct msi *m, int want, unsigned cpu)
{
    struct pirq *p;
    int irq;

    if (!d->pirqs)
        return -XEN_EINVAL;
    if (want < 0)
        want = pirq_pick_top(d->pirqs);
    if (want < 0)
        return want;
    p = pirq_find(d, (unsigned)want);
    if (!p)
        return -XEN_EINVAL;
    if (!pirq_is_free(p, true))
        return -XEN_EBUSY;
    irq = irq_msi_alloc(m, cpu);
    if (irq < 0)
        return irq;
    pirq_enter(p, (unsigned)irq);
    return want;
}

static void pirq_unmap_locked(struct domain *d, unsigned pirq)
{
    struct pirq *p = &d->pirqs->p[pirq];
    unsigned irq = (unsigned)pirq_irq(p);
    struct msi *m;

    if (p->flags & PIRQ_BOUND)
        irq_guest_unbind(irq, d, pirq);
    pirq_eoi_bit(d->pirqs, pirq, false);
    WRITE_ONCE(p->irq, 0);
    m = irq_msi_free(irq); /* NULL: a line */
    if (m)
        msi_close(m);
}

int pirq_unmap(struct domain *d, unsigned pirq)
{
    struct pirq *p = pirq_find(d, pirq);
    int rc = -XEN_EINVAL;

    if (!p)
        return rc;
    spin_lock(&pirq_lock);
    if (p->irq || p->flags & PIRQ_RESERVED) {
        if (p->irq)
            pirq_unmap_locked(d, (unsigned)(p - d->pirqs->p));
        p->flags &= (uint8_t)~PIRQ_RESERVED;
        rc = 0;
    }
    spin_unlock(&pirq_lock);
    return rc;
}

/* --- For event channels (irq.h) --------------------------------------------------------------- */

int pirq_guest_bind(struct vcpu *v, unsigned pirq, unsigned flags)
{
    struct domain *d = v->domain;
    struct pirq *p = pirq_find(d, pirq);
    int rc = -XEN_EINVAL;

    (void)flags; /* WILL_SHARE: allowed to say, never granted */
    if (!p)
        return rc;
    pirq = (unsigned)(p - d->pirqs->p);
    spin_lock(&pirq_lock);
    if (p->flags & PIRQ_BOUND)
        rc = -XEN_EBUSY;
    else if (p->irq)
        rc = irq_guest_bind((unsigned)pirq_irq(p), d, pirq, v->cpu);
    if (!rc) {
        p->flags |= PIRQ_BOUND;
        pirq_eoi_bit(d->pirqs, pirq, pirq_needs_eoi(p));
    }
    spin_unlock(&pirq_lock);
    return rc;
}

void pirq_guest_unbind(struct domain *d, unsigned pirq)
{
    struct pirq *p = pirq_find(d, pirq);

    if (!p)
        return;
    pirq = (unsigned)(p - d->pirqs->p);
    spin_lock(&pirq_lock);
    if (p->flags & PIRQ_BOUND) {
        if (p->irq)
            irq_guest_unbind((unsigned)pirq_irq(p), d, pirq);
        p->flags &= (uint8_t)~PIRQ_BOUND;
        pirq_eoi_bit(d->pirqs, pirq, false);
    }
    spin_unlock(&pirq_lock);
}

void pirq_guest_set_affinity(struct domain *d, unsigned pirq, struct vcpu *v)
{
    struct pirq *p = pirq_find(d, pirq);

    if (!p)
        return;
    spin_lock(&pirq_lock);
    if (p->flags & PIRQ_BOUND && p->irq)
        irq_set_cpu((unsigned)pirq_irq(p), v->cpu);
    spin_unlock(&pirq_lock);
}

void pirq_guest_eoi(struct domain *d, unsigned pirq)
{
    struct pirq *p = pirq_find(d, pirq);
    int irq = p ? pirq_irq(p) : -1;

    if (irq >= 0)
        irq_guest_eoi((unsigned)irq, d, (unsigned)(p - d->pirqs->p));
}

/* --- Delivery --------------------------------------------------------------------------------- */

void pirq_record(struct irq_desc *q)
{
    unsigned cpu = cpu_self();

    if (q->pending)
        return; /* not delivered yet: once is enough */
    q->pending = true;
    q->pend_next = arrived[cpu].head;
    arrived[cpu].head = q;
    softirq_raise(cpu, SOFTIRQ_PIRQ);
}

/* Deliver q; the next of the list. `pending` goes before the event is sent: an interrupt that comes
 * after the guest has looked at its device is a new entry. */
static struct irq_desc *pirq_deliver(struct irq_desc *q)
{
    uint64_t flags = spin_lock_irqsave(&q->lock);
    struct irq_desc *next = q->pend_next;
    struct domain *d = q->domain;
    unsigned pirq = q->pirq;

    q->pending = false;
    q->pend_next = NULL;
    if (d)
        domain_ref(d); /* bound, hence alive */
    spin_unlock_irqrestore(&q->lock, flags);
    if (d) {
        evtchn_pirq_raise(d, pirq); /* nobody listens: a level line stays shut, as it must */
        domain_put(d);
    }
    return next;
}

static void pirq_softirq(void)
{
    unsigned cpu = cpu_self();
    uint64_t flags = irq_save();
    struct irq_desc *q = arrived[cpu].head;

    arrived[cpu].head = NULL;
    irq_restore(flags);
    while (q)
        q = pirq_deliver(q);
}

void pirq_init(void)
{
    softirq_register(SOFTIRQ_PIRQ, pirq_softirq);
}

/* --- Domains ---------------------------------------------------------------------------------- */

int pirq_domain_init(struct domain *d, unsigned nr_pirqs)
{
    struct pirq_domain *pd;

    if (!nr_pirqs || nr_pirqs > FRAME_SIZE * 8) /* bits of the guest's page */
        return -XEN_EINVAL;
    pd = zalloc(sizeof(*pd) + nr_pirqs * sizeof(pd->p[0]));
    if (!pd)
        return -XEN_ENOMEM;
    pd->nr = nr_pirqs;
    d->pirqs = pd;
    return 0;
}

/* When no vCPU of d runs any more; may be called again. */
void pirq_domain_free(struct domain *d)
{
    struct pirq_domain *pd = d->pirqs;

    if (!pd)
        return;
    spin_lock(&pirq_lock);
    for (unsigned i = 0; i < pd->nr; i++)
        if (pd->p[i].irq)
            pirq_unmap_locked(d, i);
    d->pirqs = NULL;
    spin_unlock(&pirq_lock);
    pirq_eoi_page_drop(pd);
    zfree(pd);
}
