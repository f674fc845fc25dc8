/* SPDX-License-Identifier: MIT */
/*
 * Control calls that tell about the machine: memory and processors, topology, idle times, CPU pools (there is
 * one, pool 0, with all CPUs and all domains). What x86 knows comes by arch_physinfo() and arch_cpu_topology().
 * One node: all memory is the same.
 */
#include "domain.h"
#include "lib.h"
#include "page.h"
#include "port.h"
#include "sched.h"
#include "sysctl.h"

#define HANDLE(h) guest_ptr((uint64_t)(uintptr_t)(h).p)
#define LOCAL_DISTANCE 10 /* of a node to itself, as ACPI's SLIT says */
#define BITMAP_MAX 8192   /* bits of a caller's bitmap that are written at most */

long sysctl_physinfo(struct vcpu *v, struct xen_sysctl *op)
{
    struct xen_sysctl_physinfo *pi = &op->u.physinfo;

    memset(pi, 0, sizeof(*pi));
    pi->nr_cpus = cpu_count();
    pi->max_cpu_id = cpu_count() - 1;
    pi->nr_nodes = 1;
    pi->total_pages = frames_total();
    pi->free_pages = frames_free_count();
    pi->outstanding_pages = frames_claimed();
    pi->max_mfn = frame_max - 1;
    pi->capabilities = XEN_SYSCTL_PHYSCAP_gnttab_v1 | XEN_SYSCTL_PHYSCAP_gnttab_v2;
    arch_physinfo(pi);
    return 0;
}

long sysctl_cputopoinfo(struct vcpu *v, struct xen_sysctl *op)
{
    struct xen_sysctl_cputopoinfo *a = &op->u.cputopoinfo;
    unsigned n = cpu_count(), room = a->num_cpus;

    a->num_cpus = n;
    if (!a->cputopo.p)
        return 0;
    for (unsigned i = 0; i < n && i < room; i++) {
        xen_sysctl_cputopo_t t = {.node = 0};

        arch_cpu_topology(i, &t.core, &t.socket);
        if (put_guest(guest_ptr_add(HANDLE(a->cputopo), i * sizeof(t)), t))
            return -XEN_EFAULT;
    }
    return 0;
}

long sysctl_numainfo(struct vcpu *v, struct xen_sysctl *op)
{
    struct xen_sysctl_numainfo *a = &op->u.numainfo;
    uint32_t room = a->num_nodes, distance = LOCAL_DISTANCE;
    xen_sysctl_meminfo_t m = {.memsize = frames_total() << FRAME_SHIFT,
                              .memfree = frames_free_count() << FRAME_SHIFT};

    a->num_nodes = 1;
    if (!room)
        return 0;
    if (a->meminfo.p && put_guest(HANDLE(a->meminfo), m))
        return -XEN_EFAULT;
    if (a->distance.p && put_guest(HANDLE(a->distance), distance))
        return -XEN_EFAULT;
    return 0;
}

/* All memory, or what lies below or above an address: that is not counted apart. */
long sysctl_availheap(struct vcpu *v, struct xen_sysctl *op)
{
    struct xen_sysctl_availheap *a = &op->u.availheap;

    if (a->node != -1 && a->node != 0)
        return -XEN_EINVAL;
    if (a->min_bitwidth || a->max_bitwidth)
        return -XEN_EOPNOTSUPP;
    a->avail_bytes = frames_free_count() << FRAME_SHIFT;
    return 0;
}

long sysctl_getcpuinfo(struct vcpu *v, struct xen_sysctl *op)
{
    struct xen_sysctl_getcpuinfo *a = &op->u.getcpuinfo;
    unsigned n = MIN(a->max_cpus, cpu_count());

    for (unsigned i = 0; i < n; i++) {
        xen_sysctl_cpuinfo_t c = {.idletime = sched_idle_time(i)};

        if (put_guest(guest_ptr_add(HANDLE(a->info), i * sizeof(c)), c))
            return -XEN_EFAULT;
    }
    a->nr_cpus = n;
    return 0;
}

/* --- CPU pools and the scheduler ------------------------------------------------------------------------ */

/* The bits of n CPUs from 0 on (all, or none) in the caller's bitmap. */
static long put_cpus(const struct xenctl_bitmap *b, unsigned n)
{
    unsigned bytes = DIV_UP(MIN(b->nr_bits, (uint32_t)BITMAP_MAX), 8);

    for (unsigned i = 0; i < bytes; i++) {
        uint8_t byte = i < n / 8 ? 0xff : i == n / 8 ? (uint8_t)((1U << n % 8) - 1) : 0;

        if (put_guest(guest_ptr_add(HANDLE(b->bitmap), i), byte))
            return -XEN_EFAULT;
    }
    return 0;
}

static unsigned domains_count(void)
{
    unsigned n = 0;

    for (struct domain *d = domain_next(NULL); d; d = domain_next(d))
        n++;
    return n;
}

/* The pool with this number or the next above. */
static long pool_info(struct xen_sysctl_cpupool_op *a)
{
    if (a->cpupool_id)
        return -XEN_ENOENT;
    a->sched_id = (uint32_t)sched_policy()->id;
    a->n_dom = domains_count();
    return put_cpus(&a->cpumap, cpu_count());
}

static long pool_move_domain(const struct xen_sysctl_cpupool_op *a)
{
    struct domain *d = a->domid < DOMID_FIRST_RESERVED ? domain_get((uint16_t)a->domid) : NULL;

    if (!d)
        return -XEN_EINVAL;
    domain_put(d);
    return 0; /* it is there */
}

long sysctl_cpupool_op(struct vcpu *v, struct xen_sysctl *op)
{
    struct xen_sysctl_cpupool_op *a = &op->u.cpupool_op;

    switch (a->op) {
    case XEN_SYSCTL_CPUPOOL_OP_INFO:
        return pool_info(a);
    case XEN_SYSCTL_CPUPOOL_OP_FREEINFO:
        return put_cpus(&a->cpumap, 0);
    case XEN_SYSCTL_CPUPOOL_OP_CREATE:
        return a->cpupool_id ? -XEN_EOPNOTSUPP : -XEN_EEXIST;
    case XEN_SYSCTL_CPUPOOL_OP_DESTROY:
        return a->cpupool_id ? -XEN_ENOENT : -XEN_EBUSY;
    case XEN_SYSCTL_CPUPOOL_OP_ADDCPU: /* none is free */
        return a->cpupool_id ? -XEN_ENOENT : a->cpu >= cpu_count() ? -XEN_EINVAL : -XEN_ENODEV;
    case XEN_SYSCTL_CPUPOOL_OP_RMCPU:
        return a->cpupool_id ? -XEN_ENOENT : a->cpu >= cpu_count() ? -XEN_EINVAL : -XEN_EBUSY;
    case XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN:
        return a->cpupool_id ? -XEN_ENOENT : pool_move_domain(a);
    default:
        return -XEN_ENOSYS;
    }
}

long sysctl_sched_id(struct vcpu *v, struct xen_sysctl *op)
{
    op->u.sched_id.sched_id = (uint32_t)sched_policy()->id;
    return 0;
}

/* --- Power and hot-plug ------------------------------------------------------------------------------------- */

#define MAX_CSTATE 1 /* idle CPUs halt */

/* No frequencies are set, no deeper idle states entered. */
long sysctl_pm_op(struct vcpu *v, struct xen_sysctl *op)
{
    struct xen_sysctl_pm_op *a = &op->u.pm_op;

    if (a->cmd != XEN_SYSCTL_pm_op_get_max_cstate || a->cpuid)
        return -XEN_EINVAL;
    a->u.get_max_cstate = MAX_CSTATE;
    return 0;
}

long sysctl_get_pmstat(struct vcpu *v, struct xen_sysctl *op)
{
    return op->u.get_pmstat.cpuid < cpu_count() ? -XEN_ENODEV : -XEN_EINVAL;
}

/* All CPUs that started stay online. */
long sysctl_cpu_hotplug(struct vcpu *v, struct xen_sysctl *op)
{
    const struct xen_sysctl_cpu_hotplug *a = &op->u.cpu_hotplug;

    if (a->op > XEN_SYSCTL_CPU_HOTPLUG_OFFLINE)
        return -XEN_EOPNOTSUPP;
    if (a->cpu >= cpu_count())
        return -XEN_EINVAL;
    return a->op == XEN_SYSCTL_CPU_HOTPLUG_ONLINE ? -XEN_EEXIST : -XEN_EOPNOTSUPP;
}
