/* SPDX-License-Identifier: MIT */
/* Control calls about the host: processors, memory, pools, scheduler, log. */
#include "ctl.h"
#include "fault.h"

#include <errno.h>
#include <string.h>

#include <xen/features.h>

static int call(struct ctl *c, struct xen_sysctl *op, const char *what)
{
    int rc = ctl_sysctl(c, op);

    if (rc >= 0)
        return rc;
    return fault(rc, "host: %s: %s", what, rc == -ENOSYS ? "this hypervisor does not have that call" : strerror(-rc));
}

int ctl_physinfo(struct ctl *c, struct xen_sysctl_physinfo *info)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_physinfo };
    int rc = call(c, &op, "what it has");

    *info = op.u.physinfo;
    return rc;
}

/*
 * What the hypervisor tells us, and without what only domain 0 is told. Guests may write to their page tables, as the
 * first feature has it (each write is looked at), but none is told so: Linux would then not protect them.
 */
int ctl_features(struct ctl *c, uint32_t *features)
{
    xen_feature_info_t f = { .submap_idx = 0 };
    int rc = ctl_version(c, XENVER_get_features, &f, sizeof(f));

    if (rc)
        return fault(rc, "host: what its hypervisor offers: %s", strerror(-rc));
    *features = (f.submap & ~(1U << XENFEAT_dom0)) | 1U << XENFEAT_writable_page_tables;
    return 0;
}

int ctl_sched_id(struct ctl *c, unsigned *sched)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_sched_id };
    int rc = call(c, &op, "its scheduler");

    *sched = op.u.sched_id.sched_id;
    return rc;
}

const char *ctl_sched_name(unsigned sched)
{
    static const char *const names[] = { [XEN_SCHEDULER_CREDIT] = "credit", [XEN_SCHEDULER_CREDIT2] = "credit2",
        [XEN_SCHEDULER_ARINC653] = "arinc653", [XEN_SCHEDULER_RTDS] = "rtds", [XEN_SCHEDULER_NULL] = "null" };

    return sched < sizeof(names) / sizeof(*names) && names[sched] ? names[sched] : "unknown";
}

int ctl_sched_global(struct ctl *c, struct xen_sysctl_scheduler_op *what)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_scheduler_op };

    op.u.scheduler_op = *what;
    int rc = call(c, &op, "parameters of the scheduler");

    *what = op.u.scheduler_op;
    return rc;
}

int ctl_cpupool_info(struct ctl *c, uint32_t pool, struct xen_sysctl_cpupool_op *info, uint8_t *map, size_t bytes)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_cpupool_op };
    uint8_t *buf = ctl_buffer(c, bytes + 1);

    if (!buf)
        return -ENOMEM;
    op.u.cpupool_op.op = XEN_SYSCTL_CPUPOOL_OP_INFO;
    op.u.cpupool_op.cpupool_id = pool;
    set_xen_guest_handle_raw(op.u.cpupool_op.cpumap.bitmap, buf);
    op.u.cpupool_op.cpumap.nr_bits = (uint32_t)bytes * 8;
    int rc = ctl_sysctl(c, &op);

    if (!rc && map)
        memcpy(map, buf, bytes);
    ctl_buffer_free(c, buf);
    *info = op.u.cpupool_op;
    return rc && rc != -ENOENT ? fault(rc, "CPU pool %u: %s", pool, strerror(-rc)) : rc;
}

int ctl_cpu_idle(struct ctl *c, uint64_t *idle, unsigned max)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_getcpuinfo, .u.getcpuinfo.max_cpus = max };
    xen_sysctl_cpuinfo_t *buf = ctl_buffer(c, max * sizeof(*buf));

    if (!buf)
        return -ENOMEM;
    set_xen_guest_handle_raw(op.u.getcpuinfo.info, buf);
    int rc = call(c, &op, "idle time of its CPUs");
    unsigned n = op.u.getcpuinfo.nr_cpus < max ? op.u.getcpuinfo.nr_cpus : max;

    for (unsigned i = 0; !rc && i < n; i++)
        idle[i] = buf[i].idletime;
    ctl_buffer_free(c, buf);
    return rc ? rc : (int)n;
}

int ctl_cpu_topology(struct ctl *c, struct xen_sysctl_cputopo *topo, unsigned max)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_cputopoinfo, .u.cputopoinfo.num_cpus = max };
    struct xen_sysctl_cputopo *buf = ctl_buffer(c, max * sizeof(*buf));

    if (!buf)
        return -ENOMEM;
    set_xen_guest_handle_raw(op.u.cputopoinfo.cputopo, buf);
    int rc = call(c, &op, "topology of its CPUs");
    unsigned n = op.u.cputopoinfo.num_cpus < max ? op.u.cputopoinfo.num_cpus : max;

    if (!rc)
        memcpy(topo, buf, n * sizeof(*buf));
    ctl_buffer_free(c, buf);
    return rc ? rc : (int)n;
}

int ctl_numa_info(struct ctl *c, struct xen_sysctl_meminfo *nodes, unsigned max, uint32_t *distance)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_numainfo, .u.numainfo.num_nodes = max };
    struct xen_sysctl_meminfo *m = ctl_buffer(c, max * sizeof(*m));
    uint32_t *d = ctl_buffer(c, (size_t)max * max * sizeof(*d));
    int rc = -ENOMEM;
    unsigned n = 0;

    if (m && d) {
        set_xen_guest_handle_raw(op.u.numainfo.meminfo, m);
        set_xen_guest_handle_raw(op.u.numainfo.distance, d);
        rc = call(c, &op, "its memory nodes");
        n = op.u.numainfo.num_nodes < max ? op.u.numainfo.num_nodes : max;
    }
    if (!rc) {
        memcpy(nodes, m, n * sizeof(*m));
        memcpy(distance, d, (size_t)n * n * sizeof(*d));
    }
    ctl_buffer_free(c, d);
    ctl_buffer_free(c, m);
    return rc ? rc : (int)n;
}

int ctl_debug_keys(struct ctl *c, const char *keys)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_debug_keys };
    size_t n = strlen(keys);
    char *buf = ctl_buffer(c, n + 1);

    if (!buf)
        return -ENOMEM;
    memcpy(buf, keys, n);
    set_xen_guest_handle_raw(op.u.debug_keys.keys, buf);
    op.u.debug_keys.nr_keys = (uint32_t)n;
    int rc = call(c, &op, "debug keys");

    ctl_buffer_free(c, buf);
    return rc;
}

int ctl_console_read(struct ctl *c, char *out, size_t bytes, bool clear, uint32_t *index)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_readconsole };
    char *buf = ctl_buffer(c, bytes);

    if (!buf)
        return -ENOMEM;
    op.u.readconsole.clear = clear;
    op.u.readconsole.incremental = index != NULL;
    op.u.readconsole.index = index ? *index : 0;
    set_xen_guest_handle_raw(op.u.readconsole.buffer, buf);
    op.u.readconsole.count = (uint32_t)bytes;
    int rc = call(c, &op, "its log");
    unsigned n = op.u.readconsole.count < bytes ? op.u.readconsole.count : (unsigned)bytes;

    if (!rc)
        memcpy(out, buf, n);
    if (!rc && index)
        *index = op.u.readconsole.index;
    ctl_buffer_free(c, buf);
    return rc ? rc : (int)n;
}
