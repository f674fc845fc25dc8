/* SPDX-License-Identifier: MIT */
/*
 * Which ports, device memory and interrupts a domain may use. A domain without struct io_caps may use
 * nothing. The hardware domain gets everything that the hypervisor does not keep: interrupt controllers,
 * interval timer, its console port, and RAM (which is a matter of page ownership, not of this list).
 *
 * Two port maps: `denied` is what is refused; x86_domain.iobitmap, for the TSS, is what traps: a superset
 * (PCI configuration, the shared timer port). The hardware domain's are set up once, before it runs. Others get
 * rights by control calls, while they are paused: their own vCPUs are the ones that look without a lock. Their
 * accesses to ports all trap.
 */
#include "acpi.h"
#include "boot.h"
#include "console.h"
#include "log.h"
#include "page.h"
#include "port.h"
#include "x86/guest.h"

#define PORTS 65536
#define MAX_RANGES 320
#define MAX_IRQS_DENIED 4
#define MAX_IRQS_GRANTED 16
#define LAPIC_DEFAULT 0xfee00000ULL

struct range {
    uint64_t first, last; /* frames, inclusive */
};

struct io_caps {
    uint8_t denied[PORTS / 8]; /* 1: no */
    struct range mem[MAX_RANGES]; /* allowed; ascending, not touching */
    unsigned nr_mem;
    unsigned irq_denied[MAX_IRQS_DENIED];
    unsigned nr_irq_denied;
    bool irqs_listed;          /* none but these: */
    unsigned irq_granted[MAX_IRQS_GRANTED];
    unsigned nr_irq_granted;
};

static void ports_set(uint8_t *map, unsigned first, unsigned last)
{
    for (unsigned p = first; p <= last && p < PORTS; p++)
        map[p >> 3] |= (uint8_t)(1U << (p & 7));
}

bool ioport_allowed(const struct domain *d, unsigned port, unsigned bytes)
{
    const struct io_caps *caps = to_x86d(d)->caps;

    if (!caps || port >= PORTS || bytes > 4 || port + bytes > PORTS)
        return false;
    port = (unsigned)index_nospec(port, PORTS);
    for (unsigned i = port; i < port + bytes; i++)
        if (caps->denied[i >> 3] & (1U << (i & 7)))
            return false;
    return true;
}

bool iomem_allowed(const struct domain *d, uint64_t first_mfn, uint64_t last_mfn)
{
    const struct io_caps *caps = to_x86d(d)->caps;
    unsigned lo = 0, hi;

    if (!caps || first_mfn > last_mfn)
        return false;
    hi = caps->nr_mem;
    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;

        if (caps->mem[mid].last < first_mfn)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < caps->nr_mem && caps->mem[lo].first <= first_mfn && last_mfn <= caps->mem[lo].last;
}

bool irq_allowed(const struct domain *d, unsigned gsi)
{
    const struct io_caps *caps = to_x86d(d)->caps;

    if (!caps)
        return false;
    if (caps->irqs_listed) {
        for (unsigned i = 0; i < caps->nr_irq_granted; i++)
            if (caps->irq_granted[i] == gsi)
                return true;
        return false;
    }
    for (unsigned i = 0; i < caps->nr_irq_denied; i++)
        if (caps->irq_denied[i] == gsi)
            return false;
    return true;
}

/* --- Domain 0's share ----------------------------------------------------------------------------- */

/* Take frames [first, last] off the list. */
static int mem_remove(struct io_caps *c, uint64_t first, uint64_t last)
{
    for (unsigned i = 0; i < c->nr_mem; i++) {
        struct range r = c->mem[i];

        if (last < r.first || first > r.last)
            continue;
        if (first > r.first && last < r.last) { /* a hole: one range becomes two */
            if (c->nr_mem == MAX_RANGES)
                return -XEN_E2BIG;
            for (unsigned k = c->nr_mem++; k > i; k--)
                c->mem[k] = c->mem[k - 1];
            c->mem[i].last = first - 1;
            c->mem[i + 1].first = last + 1;
            return 0;
        }
        if (first > r.first) {
            c->mem[i].last = first - 1;
        } else if (last < r.last) {
            c->mem[i].first = last + 1;
        } else { /* all of it */
            c->nr_mem--;
            for (unsigned k = i; k < c->nr_mem; k++)
                c->mem[k] = c->mem[k + 1];
            i--;
        }
    }
    return 0;
}

static int mem_remove_bytes(struct io_caps *c, paddr_t start, uint64_t bytes)
{
    return mem_remove(c, start >> FRAME_SHIFT, (start + bytes - 1) >> FRAME_SHIFT);
}

static int mem_init_hardware(struct io_caps *c)
{
    unsigned bits = cpu_features.phys_bits >= 32 && cpu_features.phys_bits <= 52
                        ? cpu_features.phys_bits : 36;
    int rc;

    c->mem[0] = (struct range){0, (1ULL << (bits - FRAME_SHIFT)) - 1};
    c->nr_mem = 1;
    rc = mem_remove_bytes(c, acpi.lapic_base ? acpi.lapic_base : LAPIC_DEFAULT, FRAME_SIZE);
    for (unsigned i = 0; !rc && i < acpi.nr_ioapics; i++)
        rc = mem_remove_bytes(c, acpi.ioapic[i].base, FRAME_SIZE);
    /* The HPET is not ours (time comes from the PM timer): firmware code in domain 0 reads it. */
    for (unsigned i = 0; !rc && i < boot.nr_map; i++)
        if (boot.map[i].type == 1 && boot.map[i].size)
            rc = mem_remove_bytes(c, boot.map[i].start, boot.map[i].size);
    return rc;
}

static void irq_deny(struct io_caps *c, unsigned gsi)
{
    if (c->nr_irq_denied < MAX_IRQS_DENIED)
        c->irq_denied[c->nr_irq_denied++] = gsi;
}

/* The console's port and line; lines of the PC's four serial ports are 4 and 3 alternately. */
static void uart_deny(struct io_caps *c)
{
    for (unsigned com = 0; com < 3; com++) {
        unsigned port = uart_port(com);

        if (!port)
            continue;
        ports_set(c->denied, port, port + 7);
        if (port == 0x3f8 || port == 0x3e8)
            irq_deny(c, 4);
        else if (port == 0x2f8 || port == 0x2e8)
            irq_deny(c, 3);
    }
}

static void ports_init_hardware(struct io_caps *c, uint8_t *trap)
{
    ports_set(c->denied, 0x20, 0x21); /* interrupt controllers */
    ports_set(c->denied, 0xa0, 0xa1);
    ports_set(c->denied, 0x40, 0x41); /* interval timer, channels 0 and 1 */
    uart_deny(c);
    for (unsigned i = 0; i < PORTS / 8; i++)
        trap[i] = c->denied[i];
    ports_set(trap, 0x43, 0x43);
    ports_set(trap, 0xcf8, 0xcff);
}

int iocaps_init_hardware(struct domain *d)
{
    struct x86_domain *xd = to_x86d(d);
    mfn_t m = frames_alloc(1, 0); /* two frames: 8 KiB */
    struct io_caps *c;
    int rc;

    if (mfn_eq(m, INVALID_MFN))
        return -XEN_ENOMEM;
    c = zalloc(sizeof(*c));
    if (!c) {
        frames_free(m, 1);
        return -XEN_ENOMEM;
    }
    rc = mem_init_hardware(c);
    if (rc) {
        log_err("iocaps: the memory map has too many regions (limit %u)\n", MAX_RANGES);
        zfree(c);
        frames_free(m, 1);
        return rc;
    }
    xd->iobitmap = map_frame(m); /* both: frames of one allocation are mapped together */
    ports_init_hardware(c, xd->iobitmap);
    xd->caps = c;
    return 0;
}

/* --- Rights of others, by control calls. d is paused; its domctl lock is held --------------------------- */

/* d's record, made with no rights at all if need be; NULL: no memory. */
static struct io_caps *caps_make(struct domain *d)
{
    struct x86_domain *xd = to_x86d(d);
    struct io_caps *c = xd->caps;

    if (c)
        return c;
    c = zalloc(sizeof(*c));
    if (!c)
        return NULL;
    ports_set(c->denied, 0, PORTS - 1);
    c->irqs_listed = true;
    xd->caps = c;
    return c;
}

void iocaps_free(struct domain *d)
{
    zfree(to_x86d(d)->caps);
    to_x86d(d)->caps = NULL;
}

int iocaps_set_ports(struct domain *d, unsigned first, unsigned last, bool allow)
{
    struct io_caps *c = caps_make(d);

    if (!c)
        return -XEN_ENOMEM;
    for (unsigned p = first; p <= last && p < PORTS; p++) {
        if (allow)
            c->denied[p >> 3] &= (uint8_t)~(1U << (p & 7));
        else
            c->denied[p >> 3] |= (uint8_t)(1U << (p & 7));
    }
    return 0;
}

/* Put [first, last] on the list, which does not touch it: what did was taken off. */
static int mem_insert(struct io_caps *c, uint64_t first, uint64_t last)
{
    unsigned i = 0;

    if (c->nr_mem == MAX_RANGES)
        return -XEN_E2BIG;
    while (i < c->nr_mem && c->mem[i].last < first)
        i++;
    for (unsigned k = c->nr_mem++; k > i; k--)
        c->mem[k] = c->mem[k - 1];
    c->mem[i] = (struct range){first, last};
    return 0;
}

/* Grow [*first, *last] by what touches it. */
static void mem_join(const struct io_caps *c, uint64_t *first, uint64_t *last)
{
    for (unsigned i = 0; i < c->nr_mem; i++)
        if (c->mem[i].last + 1 >= *first && c->mem[i].first <= *last + 1) {
            *first = MIN(*first, c->mem[i].first);
            *last = MAX(*last, c->mem[i].last);
        }
}

int iocaps_set_mem(struct domain *d, uint64_t first, uint64_t last, bool allow)
{
    struct io_caps *c = caps_make(d);
    int rc;

    if (!c)
        return -XEN_ENOMEM;
    if (allow)
        mem_join(c, &first, &last);
    rc = mem_remove(c, first, last);
    return rc || !allow ? rc : mem_insert(c, first, last);
}

int iocaps_set_irq(struct domain *d, unsigned gsi, bool allow)
{
    struct io_caps *c = caps_make(d);
    unsigned i = 0;

    if (!c)
        return -XEN_ENOMEM;
    while (i < c->nr_irq_granted && c->irq_granted[i] != gsi)
        i++;
    if (!allow && i < c->nr_irq_granted)
        c->irq_granted[i] = c->irq_granted[--c->nr_irq_granted];
    if (!allow || i < c->nr_irq_granted)
        return 0;
    if (c->nr_irq_granted == MAX_IRQS_GRANTED)
        return -XEN_E2BIG;
    c->irq_granted[c->nr_irq_granted++] = gsi;
    return 0;
}
