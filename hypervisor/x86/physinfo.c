/* SPDX-License-Identifier: MIT */
/*
 * What x86 tells in sysctl physinfo and cputopoinfo. Where a CPU is follows from its APIC id: low bits the thread,
 * then the core, the rest the package; how many bits, the boot CPU says.
 */
#include "domain.h"
#include "lib.h"
#include "port.h"
#include "sysctl.h"
#include "x86/cpu.h"
#include "x86/guest_tsc.h"
#include "x86/pci.h"
#include "x86/policy.h"
#include "x86/smp.h"

struct shifts {
    unsigned core, package;
};

static unsigned bits_for(uint32_t n)
{
    return n > 1 ? 32 - (unsigned)__builtin_clz(n - 1) : 0;
}

static const uint32_t *raw(uint32_t leaf, uint32_t sub)
{
    return policy_raw.r[policy_slot(leaf, sub)];
}

/* Leaf b where there is one; else from the counts of leaves 1 and 4 (Intel) or 80000008 (AMD, no threads). */
static struct shifts topology_shifts(void)
{
    struct shifts s = {0, 0};
    uint32_t logical = raw(1, 0)[EDX] & BIT(28) ? (raw(1, 0)[EBX] >> 16) & 0xff : 1, cores;

    if (raw(0xb, 0)[EBX] && raw(0xb, 1)[EBX]) {
        s.core = raw(0xb, 0)[EAX] & 31;
        s.package = raw(0xb, 1)[EAX] & 31;
        return s;
    }
    if (cpu_features.amd) {
        uint32_t c = raw(0x80000008, 0)[ECX];

        s.package = c >> 12 & 15 ? c >> 12 & 15 : bits_for((c & 0xff) + 1);
        return s;
    }
    cores = (raw(4, 0)[EAX] >> 26) + 1;
    s.package = bits_for(logical);
    s.core = cores < logical ? s.package - bits_for(cores) : 0;
    return s;
}

void arch_cpu_topology(unsigned cpu, uint32_t *core, uint32_t *socket)
{
    struct shifts s = topology_shifts();

    *core = (cpu_apicid[cpu] & ((1U << s.package) - 1)) >> s.core;
    *socket = cpu_apicid[cpu] >> s.package;
}

/* Devices that we know have no node that we know. When a rest is due, the caller asks for the others again. */
long sysctl_pcitopoinfo(struct vcpu *v, struct xen_sysctl *op)
{
    struct xen_sysctl_pcitopoinfo *a = &op->u.pcitopoinfo;
    uint64_t devs = (uint64_t)(uintptr_t)a->devs.p, nodes = (uint64_t)(uintptr_t)a->nodes.p;
    physdev_pci_device_t dev;
    uint32_t i, node;

    if (!devs || !nodes)
        return -XEN_EINVAL;
    for (i = 0; i < a->num_devs; i++) {
        if (i && preempt_needed())
            break;
        if (get_guest(dev, guest_ptr(devs + i * sizeof(dev))))
            return -XEN_EFAULT;
        node = pci_find(dev.seg, dev.bus, dev.devfn) ? XEN_INVALID_NODE_ID : XEN_INVALID_DEV;
        if (put_guest(guest_ptr(nodes + i * sizeof(node)), node))
            return -XEN_EFAULT;
    }
    a->num_devs = i;
    return 0;
}

/* Threads of the first CPU's core, and cores of its package, that are online. */
static void count_topology(struct xen_sysctl_physinfo *pi)
{
    uint32_t threads = 0, in_package = 0, core0, socket0, core, socket;

    arch_cpu_topology(0, &core0, &socket0);
    for (unsigned i = 0; i < cpu_count(); i++) {
        arch_cpu_topology(i, &core, &socket);
        in_package += socket == socket0;
        threads += socket == socket0 && core == core0;
    }
    pi->threads_per_core = threads;
    pi->cores_per_socket = in_package / threads;
}

void arch_physinfo(struct xen_sysctl_physinfo *pi)
{
    struct cpu_featureset f;

    count_topology(pi);
    pi->cpu_khz = host_tsc_khz();
    if (!arch_guests_refused())
        pi->capabilities |= XEN_SYSCTL_PHYSCAP_pv;
    policy_featureset(&policy_host, &f);
    memcpy(pi->hw_cap, f.w, sizeof(pi->hw_cap));
}
