/* SPDX-License-Identifier: MIT */
/*
 * Interrupt descriptors and dispatch. A handler here acknowledges at the local APIC and either
 * calls the hypervisor's own function or puts the descriptor on the CPU's list for the PIRQ softirq
 * (pirq.c).
 *
 * Level-triggered lines: masked at the I/O APIC before the EOI, opened again by the guest's EOI, so
 * a guest that takes its time holds up nobody.
 *
 * Moving: an interrupt goes to another CPU by rewriting its destination. It keeps its vector number
 * if that is free there, so that the change is one write, and an EOI still matches. The old CPU's
 * vector stays valid until the first arrival at the new place (or until MOVE_SETTLE_NS have
 * passed): what was under way is not lost. Where the number is taken, only sources that are masked,
 * or can be meanwhile, get another one; others stay. Not here: interrupt remapping, APIC ids above
 * 254.
 */
#include "abi.h"
#include "acpi.h"
#include "lib.h"
#include "log.h"
#include "page.h"
#include "port.h"
#include "x86/irqs.h"
#include "x86/smp.h"

#define MOVE_SETTLE_NS 10000000ULL
#define VECTOR_OWN_FIRST 0xe0

static struct irq_desc *irq_table[IRQ_MAX];
static unsigned nr_gsis;
static void (*own_handler[256 - VECTOR_OWN_FIRST])(void);
static uint64_t stray_count;

struct irq_desc *irq_desc_of(unsigned irq)
{
    return irq < IRQ_MAX ? irq_table[index_nospec(irq, IRQ_MAX)] : NULL;
}

unsigned irq_count_gsis(void)
{
    return nr_gsis;
}

/* Messages and redirection entries carry 8 bits of APIC id; 255 is broadcast. */
static bool cpu_reachable(unsigned cpu)
{
    return cpu < cpu_count() && cpu_apicid[cpu] < 255;
}

static bool irq_can_mask(const struct irq_desc *q)
{
    return q->kind == IRQ_GSI || q->msi->maskable;
}

static void irq_hw_mask(struct irq_desc *q, bool masked)
{
    if (q->kind == IRQ_GSI)
        ioapic_mask(q->nr, masked);
    else
        msi_mask(q->msi, masked);
}

static void irq_hw_write(struct irq_desc *q)
{
    if (q->kind == IRQ_GSI)
        ioapic_route(q->nr, q->vector, cpu_apicid[q->cpu], q->level, q->active_low);
    else
        msi_write(q->msi, q->vector, cpu_apicid[q->cpu]);
}

static struct irq_desc *irq_make(unsigned nr, enum irq_kind kind)
{
    struct irq_desc *q = irq_table[nr];

    if (!q) {
        q = zalloc(sizeof(*q));
        if (!q)
            return NULL;
        spin_init(&q->lock, "irq", RANK_IRQ);
        q->nr = (uint16_t)nr;
    }
    q->kind = kind;
    smp_wmb(); /* with the interrupt path, which finds it by number */
    irq_table[nr] = q;
    return q;
}

/* --- Places ----------------------------------------------------------------------------------- */

static void irq_drop_old(struct irq_desc *q)
{
    if (q->old_vector)
        vector_free(q->old_cpu, q->old_vector, q->nr);
    q->old_vector = 0;
}

/* A first vector at cpu, else at any CPU that has one. */
static int irq_place(struct irq_desc *q, unsigned cpu)
{
    unsigned n = cpu_count();

    for (unsigned i = 0; i < n; i++) {
        unsigned c = (cpu + i) % n;
        int vector;

        if (!cpu_reachable(c))
            continue;
        vector = vector_alloc(c, q->nr, q->kind == IRQ_GSI);
        if (vector < 0)
            continue;
        q->vector = (uint8_t)vector;
        q->cpu = q->want_cpu = (uint16_t)c;
        irq_hw_write(q);
        return 0;
    }
    return -XEN_ENOSPC;
}

/* q->lock held. See the top of the file. */
static void irq_move(struct irq_desc *q, unsigned cpu)
{
    unsigned vector = q->vector;
    uint64_t now = now_ns();

    if (!q->vector || !cpu_reachable(cpu))
        return;
    q->want_cpu = (uint16_t)cpu;
    if (q->cpu == cpu)
        return;
    if (q->old_vector && now - q->moved_at < MOVE_SETTLE_NS)
        return; /* the next arrival does it */
    irq_drop_old(q);
    if (!vector_claim(cpu, vector, q->nr)) {
        bool quiet = q->kind == IRQ_GSI ? !q->enabled : irq_can_mask(q);
        int other = quiet ? vector_alloc(cpu, q->nr, q->kind == IRQ_GSI) : -XEN_EBUSY;

        if (other < 0) {
            q->want_cpu = q->cpu;
            return;
        }
        vector = (unsigned)other;
    }
    q->old_cpu = q->cpu;
    q->old_vector = q->vector;
    q->moved_at = now;
    q->cpu = (uint16_t)cpu;
    q->vector = (uint8_t)vector;
    irq_hw_write(q);
}

void irq_set_cpu(unsigned irq, unsigned cpu)
{
    struct irq_desc *q = irq_desc_of(irq);
    uint64_t flags;

    if (!q)
        return;
    flags = spin_lock_irqsave(&q->lock);
    irq_move(q, cpu);
    spin_unlock_irqrestore(&q->lock, flags);
}

/* --- I/O APIC lines --------------------------------------------------------------------------- */

int irq_gsi_setup(unsigned gsi, bool level, bool active_low)
{
    struct irq_desc *q = gsi < nr_gsis ? irq_desc_of(gsi) : NULL;
    uint64_t flags;
    int rc = 0;

    if (!q)
        return -XEN_EINVAL;
    flags = spin_lock_irqsave(&q->lock);
    if (q->configured && q->level == level && q->active_low == active_low) {
        rc = -XEN_EEXIST;
    } else if (q->enabled) {
        rc = -XEN_EBUSY;
    } else {
        q->level = level;
        q->active_low = active_low;
        q->configured = true;
        if (q->vector)
            irq_hw_write(q);
    }
    spin_unlock_irqrestore(&q->lock, flags);
    return rc;
}

int irq_request_gsi(unsigned gsi, bool level, bool active_low, void (*fn)(void *), void *data)
{
    struct irq_desc *q = gsi < nr_gsis ? irq_desc_of(gsi) : NULL;
    uint64_t flags;
    int rc = 0;

    if (!q)
        return -XEN_EINVAL;
    flags = spin_lock_irqsave(&q->lock);
    if (q->enabled || q->domain) {
        rc = -XEN_EBUSY;
    } else {
        q->level = level;
        q->active_low = active_low;
        q->configured = true;
        q->fn = fn;
        q->data = data;
        if (q->vector)
            irq_hw_write(q);
        else
            rc = irq_place(q, 0);
        if (!rc) {
            q->enabled = true;
            irq_hw_mask(q, false);
        } else {
            q->fn = NULL;
        }
    }
    spin_unlock_irqrestore(&q->lock, flags);
    return rc;
}

bool irq_is_gsi(unsigned irq)
{
    struct irq_desc *q = irq_desc_of(irq);

    return q && q->kind == IRQ_GSI;
}

bool irq_is_level(unsigned irq)
{
    struct irq_desc *q = irq_desc_of(irq);

    return q && q->kind == IRQ_GSI && READ_ONCE(q->level);
}

/* --- Messages --------------------------------------------------------------------------------- */

/* pirq_lock held: the table has one writer. */
static struct irq_desc *irq_find_free(void)
{
    for (unsigned nr = nr_gsis; nr < IRQ_MAX; nr++)
        if (!irq_table[nr] || irq_table[nr]->kind == IRQ_FREE)
            return irq_make(nr, IRQ_FREE);
    return NULL;
}

int irq_msi_alloc(struct msi *m, unsigned cpu)
{
    struct irq_desc *q = irq_find_free();
    uint64_t flags;
    int rc;

    if (!q)
        return -XEN_ENOMEM;
    flags = spin_lock_irqsave(&q->lock);
    q->kind = IRQ_MSI;
    q->msi = m;
    q->level = false;
    q->count = 0;
    rc = irq_place(q, cpu);
    if (rc) {
        q->kind = IRQ_FREE;
        q->msi = NULL;
    }
    spin_unlock_irqrestore(&q->lock, flags);
    return rc ? rc : q->nr;
}

struct msi *irq_msi_free(unsigned irq)
{
    struct irq_desc *q = irq_desc_of(irq);
    struct msi *m;
    uint64_t flags;

    if (!q || q->kind != IRQ_MSI)
        return NULL;
    flags = spin_lock_irqsave(&q->lock);
    m = q->msi;
    irq_hw_mask(q, true);
    irq_drop_old(q);
    vector_free(q->cpu, q->vector, q->nr);
    q->vector = 0;
    q->enabled = false;
    q->domain = NULL;
    q->msi = NULL;
    q->kind = IRQ_FREE; /* `pending` stays: the softirq may still hold it */
    spin_unlock_irqrestore(&q->lock, flags);
    return m;
}

/* --- Guests ----------------------------------------------------------------------------------- */

int irq_guest_bind(unsigned irq, struct domain *d, unsigned pirq, unsigned cpu)
{
    struct irq_desc *q = irq_desc_of(irq);
    uint64_t flags;
    int rc = 0;

    if (!q)
        return -XEN_EINVAL;
    flags = spin_lock_irqsave(&q->lock);
    if (q->kind == IRQ_FREE)
        rc = -XEN_EINVAL;
    else if (q->fn || q->domain)
        rc = -XEN_EBUSY;
    else if (!q->vector)
        rc = irq_place(q, cpu);
    else
        irq_move(q, cpu);
    if (!rc) {
        q->domain = d;
        q->pirq = pirq;
        q->in_flight = false;
        q->enabled = true;
        irq_hw_mask(q, false);
    }
    spin_unlock_irqrestore(&q->lock, flags);
    return rc;
}

void irq_guest_unbind(unsigned irq, struct domain *d, unsigned pirq)
{
    struct irq_desc *q = irq_desc_of(irq);
    uint64_t flags;

    if (!q)
        return;
    flags = spin_lock_irqsave(&q->lock);
    if (q->domain == d && q->pirq == pirq) {
        irq_hw_mask(q, true);
        q->domain = NULL;
        q->enabled = false;
        q->in_flight = false;
    }
    spin_unlock_irqrestore(&q->lock, flags);
}

void irq_guest_eoi(unsigned irq, struct domain *d, unsigned pirq)
{
    struct irq_desc *q = irq_desc_of(irq);
    uint64_t flags;

    if (!q)
        return;
    flags = spin_lock_irqsave(&q->lock);
    if (q->domain == d && q->pirq == pirq && q->in_flight) {
        q->in_flight = false;
        irq_hw_mask(q, false);
    }
    spin_unlock_irqrestore(&q->lock, flags);
}

/* --- Dispatch --------------------------------------------------------------------------------- */

void vector_handler_set(uint8_t vector, void (*fn)(void))
{
    BUG_ON(vector < VECTOR_OWN_FIRST);
    own_handler[vector - VECTOR_OWN_FIRST] = fn;
}

static void irq_own(uint8_t vector)
{
    void (*fn)(void) = own_handler[vector - VECTOR_OWN_FIRST];

    if (vector != VECTOR_SPURIOUS) /* which has no in-service bit */
        lapic_eoi();
    if (fn)
        fn();
    else
        __atomic_add_fetch(&stray_count, 1, __ATOMIC_RELAXED);
}

/* q->lock held, interrupts off. The hypervisor's function to call, or NULL. */
static void (*irq_arrived(struct irq_desc *q, unsigned cpu, uint8_t vector))(void *)
{
    void (*fn)(void *) = q->fn;

    if (cpu == q->cpu && vector == q->vector)
        irq_drop_old(q);
    q->count++;
    if (q->level || !(fn || q->domain))
        irq_hw_mask(q, true); /* level: before the EOI, or it comes again at once */
    lapic_eoi();
    if (!fn && q->domain) {
        q->in_flight = q->level;
        pirq_record(q);
    }
    if (q->want_cpu != q->cpu && !q->old_vector)
        irq_move(q, q->want_cpu);
    return fn;
}

static void irq_device(struct irq_desc *q, unsigned cpu, uint8_t vector)
{
    uint64_t flags = spin_lock_irqsave(&q->lock);
    void (*fn)(void *);
    void *data = q->data;

    if (q->kind == IRQ_FREE) { /* went away meanwhile */
        spin_unlock_irqrestore(&q->lock, flags);
        lapic_eoi();
        return;
    }
    fn = irq_arrived(q, cpu, vector);
    spin_unlock_irqrestore(&q->lock, flags);
    if (!fn)
        return;
    fn(data);
    if (q->level) { /* the hypervisor's own lines are never given up */
        flags = spin_lock_irqsave(&q->lock);
        irq_hw_mask(q, false);
        spin_unlock_irqrestore(&q->lock, flags);
    }
}

/* Nobody's vector: what was on its way when its source was shut. */
static void irq_stray(uint8_t vector)
{
    __atomic_add_fetch(&stray_count, 1, __ATOMIC_RELAXED);
    if (vector >= VECTOR_DEV_FIRST)
        lapic_eoi();
    else
        pic_stray(vector);
}

void irq_dispatch(uint8_t vector)
{
    unsigned cpu = cpu_self();
    int irq;

    if (vector >= VECTOR_OWN_FIRST) {
        irq_own(vector);
        return;
    }
    irq = vector_owner(cpu, vector);
    if (irq < 0)
        irq_stray(vector);
    else
        irq_device(irq_table[irq], cpu, vector);
}

/* --- Boot ------------------------------------------------------------------------------------- */

/* ISA lines are edge, active high, one to one, unless the MADT says otherwise. */
static void irq_isa_defaults(void)
{
    for (unsigned i = 0; i < 16 && i < nr_gsis; i++)
        if (irq_table[i] && !acpi.isa[i].valid)
            irq_table[i]->configured = true;
    for (unsigned i = 0; i < 16; i++) {
        const struct acpi_override *o = &acpi.isa[i];
        struct irq_desc *q = o->valid && o->gsi < nr_gsis ? irq_table[o->gsi] : NULL;

        if (!q)
            continue;
        q->level = o->level;
        q->active_low = o->active_low;
        q->configured = true;
    }
}

void irq_init(void)
{
    pic_init();
    nr_gsis = ioapic_init();
    for (unsigned gsi = 0; gsi < nr_gsis; gsi++)
        if (ioapic_has_gsi(gsi) && !irq_make(gsi, IRQ_GSI))
            panic("no memory for interrupt descriptors");
    irq_isa_defaults();
    pirq_init();
    if (!nr_gsis)
        log_warn("irq: no I/O APIC found: only message-signalled interrupts will work\n");
}

static void irq_dump_one(const struct irq_desc *q)
{
    static const char *const kinds[] = {"free", "gsi", "msi"};

    log_info("irq %4u %s vec %02x cpu %u%s%s%s count %lu", q->nr, kinds[q->kind], q->vector, q->cpu,
             q->level ? " level" : " edge", q->active_low ? " low" : "",
             q->in_flight ? " in flight" : "", (unsigned long)q->count);
    if (q->fn)
        log_info(" hypervisor");
    else if (q->domain)
        log_info(" domain pirq %u", q->pirq);
    if (q->kind == IRQ_GSI)
        log_info(" rte %016lx", (unsigned long)ioapic_entry(q->nr));
    log_info("\n");
}

/* Reads without locks: a debug key must work when one is stuck. */
void irq_dump(void)
{
    for (unsigned nr = 0; nr < IRQ_MAX; nr++)
        if (irq_table[nr] && (irq_table[nr]->vector || irq_table[nr]->enabled))
            irq_dump_one(irq_table[nr]);
    for (unsigned cpu = 0; cpu < cpu_count(); cpu++)
        log_info("cpu %u: %u of %u vectors in use\n", cpu, vector_count(cpu), VECTOR_DEV_NR);
    log_info("stray interrupts: %lu\n", (unsigned long)stray_count);
}
