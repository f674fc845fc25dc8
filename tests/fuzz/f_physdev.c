/* SPDX-License-Identifier: MIT */
/*
 * Arbitrary physdev_op calls of a hardware domain and of a poor one, mixed with binding and arrivals. Each
 * argument is watched: read twice means trouble. At the end everything must have come back.
 * sources: hypervisor/x86/physdev.c hypervisor/x86/physdev_pci.c hypervisor/x86/irq/pirq.c hypervisor/x86/irq/irq.c hypervisor/x86/irq/msi.c hypervisor/x86/irq/vectors.c
 */
#include <stdlib.h>
#include <string.h>

#define IRQ_MODEL_REAL_MSI
#include "irq_model.h"
#include "x86/guest.h"
#include "x86/hypercalls.h"
#include "x86/mm.h"
#include "x86/pci.h"

#include <xen/physdev.h>

#define DEVS 4
#define RECORD 44 /* four bytes of what, 40 of argument */

static uint8_t cfg[DEVS][256];
static uint32_t table[16 * 4];
static struct pci_dev devs[DEVS];
static struct domain dom, poor;
static struct x86_vcpu vcpus[2];
static uint8_t arg[64] __aligned_to(8);

uint32_t pci_read(const struct pci_dev *dev, unsigned reg, unsigned bytes)
{
    uint32_t v = 0;

    if (reg + bytes <= 256)
        memcpy(&v, cfg[dev->devfn] + reg, bytes);
    return v;
}
void pci_write(const struct pci_dev *dev, unsigned reg, unsigned bytes, uint32_t val)
{
    if (reg + bytes <= 256)
        memcpy(cfg[dev->devfn] + reg, &val, bytes);
}
struct pci_dev *pci_find(unsigned seg, unsigned bus, unsigned devfn)
{
    return !seg && !bus && devfn < DEVS ? &devs[devfn] : NULL;
}
int pci_add(unsigned seg, unsigned bus, unsigned devfn, const struct pci_dev *info,
            struct pci_dev **out)
{
    struct pci_dev *dev = pci_find(seg, bus, devfn);

    if (dev && out)
        *out = dev;
    return dev ? 0 : -XEN_ENODEV;
}
int pci_remove(unsigned seg, unsigned bus, unsigned devfn)
{
    return -XEN_EBUSY;
}
int pci_mmcfg_confirm(uint64_t base, unsigned seg, unsigned first, unsigned last, bool usable)
{
    return -XEN_ENODEV;
}
void *ioremap(paddr_t pa, size_t bytes, uint64_t cache)
{
    return table;
}
void iounmap(void *va, size_t bytes)
{
}
int ioapic_reg_read(uint64_t base, uint32_t reg, uint32_t *val)
{
    *val = reg;
    return base == 0xfec00000 ? 0 : -XEN_EINVAL;
}
bool iomem_allowed(const struct domain *d, uint64_t first, uint64_t last)
{
    return d == &dom && first >= 0xf0000;
}
bool irq_allowed(const struct domain *d, unsigned gsi)
{
    return d == &dom && gsi != 4;
}
struct domain *domain_get_self(struct vcpu *v, uint16_t id)
{
    struct domain *d = id == DOMID_SELF || id == v->domain->id ? v->domain : id == 1 ? &poor : NULL;

    if (d)
        domain_ref(d);
    return d;
}

static void world_init(void)
{
    static bool once;

    host_reset();
    host_ram_init(64);
    host_cpus = 4;
    if (!once)
        irq_init();
    else
        pirq_init();
    once = true;
    memset(cfg, 0, sizeof(cfg));
    memset(devs, 0, sizeof(devs));
    for (unsigned i = 0; i < DEVS; i++) {
        list_init(&devs[i].msis);
        devs[i].devfn = (uint8_t)i;
        devs[i].msi_cap = i & 1 ? 0x50 : 0;
        devs[i].msix_cap = i & 2 ? 0x70 : 0;
        cfg[i][PCI_COMMAND_REG] = PCI_COMMAND_MEM;
        cfg[i][0x13] = 0xfe; /* BAR 0 */
        cfg[i][0x72] = 15;
        cfg[i][0x53] = i == 1; /* mask bits */
    }
    dom = (struct domain){.hardware = true, .privileged = true};
    poor = (struct domain){.id = 1};
    vcpus[0].v.domain = &dom;
    vcpus[1].v.domain = &poor;
    if (pirq_domain_init(&dom, NR_PIRQS) || pirq_domain_init(&poor, 32))
        abort();
}

static void world_check(void)
{
    struct msi *m;

    for (unsigned i = 0; i < DEVS; i++)
        list_for_each (m, &devs[i].msis, node) {
            unsigned cpu = m->apicid == 6 ? 3 : m->apicid / 2;
            int irq = vector_owner(cpu, m->vector);

            if (irq < GSIS || irq_desc_of((unsigned)irq)->msi != m)
                abort();
        }
}

static void step(const uint8_t *b)
{
    struct vcpu *v = &vcpus[b[1] & 1].v;
    unsigned pirq = b[2] % NR_PIRQS;

    v->cpu = b[1] >> 1 & 3;
    host_now += b[3] * 100000ULL;
    switch (b[0] & 7) {
    case 0:
        (void)!pirq_guest_bind(v, pirq, 0);
        break;
    case 1:
        pirq_guest_unbind(v->domain, pirq);
        break;
    case 2:
        pirq_guest_set_affinity(v->domain, pirq, v);
        break;
    case 3:
        arrive_gsi(b[2] % GSIS);
        break;
    case 4:
        arrive(b[2] & 1 ? 2 : 0, b[3]);
        break;
    default:
        memcpy(arg, b + 4, RECORD - 4);
        host_guest_clear();
        host_guest_allow(arg, sizeof(arg));
        host_guest_watch(arg, sizeof(arg), 0x11);
        do_physdev_op(v, b[3] & 0x3f, (uint64_t)(uintptr_t)arg, 0, 0, 0);
        if (host_watch_max() > 1)
            abort();
        host_guest_clear();
        host_guest_allow(arg, sizeof(arg));
        do_physdev_op_compat(v, (uint64_t)(uintptr_t)arg, 0, 0, 0, 0);
    }
}

void pv_set_iopl(struct x86_vcpu *xv, unsigned iopl)
{
    if (iopl > 3)
        abort();
    xv->iopl = (uint8_t)iopl;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    world_init();
    for (; size >= RECORD; data += RECORD, size -= RECORD) {
        step(data);
        world_check();
    }
    for (unsigned i = 0; i < 4; i++) /* old places settle */
        host_softirqs_run();
    pirq_domain_free(&dom);
    pirq_domain_free(&poor);
    for (unsigned i = 0; i < DEVS; i++)
        if (!list_empty(&devs[i].msis))
            abort();
    if (refs)
        abort();
    host_ram_free();
    return 0;
}
