/* SPDX-License-Identifier: MIT */
/* Control calls about one domain or its virtual CPUs. */
#include "ctl.h"
#include "fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Why a call about a domain fails, and what to do about it. */
static const char *why(int rc)
{
    switch (-rc) {
    case ESRCH: return "there is no such domain (see `xm list`)";
    case ENOSYS:
    case EOPNOTSUPP: return "this hypervisor does not have that call";
    case EPERM:
    case EACCES: return "not permitted; domain 0 alone may do that";
    case ENOMEM: return "the hypervisor has no memory left (see `xm info`, free_memory); destroy or shrink a domain";
    default: return strerror(-rc);
    }
}

static int call(struct ctl *c, struct xen_domctl *op, const char *what)
{
    domid_t domid = op->domain;
    int rc = ctl_domctl(c, op);

    return rc < 0 ? fault(rc, "domain %u: %s: %s", domid, what, why(rc)) : rc;
}

static int simple(struct ctl *c, unsigned cmd, domid_t domid, const char *what)
{
    struct xen_domctl op = { .cmd = cmd, .domain = domid };

    return call(c, &op, what);
}

int ctl_domain_info(struct ctl *c, domid_t domid, struct xen_domctl_getdomaininfo *info)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_getdomaininfo, .domain = domid };
    int rc = ctl_domctl(c, &op);

    /* The call gives the next domain when there is none of this number. */
    if (!rc && op.domain != domid)
        rc = -ESRCH;
    if (rc && rc != -ESRCH)
        return fault(rc, "domain %u: state: %s", domid, why(rc));
    if (!rc)
        *info = op.u.getdomaininfo;
    return rc;
}

/* One piece of the list, from domain `first` on: as many as fit, or a negative error. */
static int list_piece(struct ctl *c, domid_t first, struct xen_domctl_getdomaininfo *buf, unsigned max)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_getdomaininfolist };

    op.u.getdomaininfolist.first_domain = first;
    op.u.getdomaininfolist.max_domains = max;
    set_xen_guest_handle_raw(op.u.getdomaininfolist.buffer, buf);
    int rc = ctl_sysctl(c, &op);

    return rc ? rc : (int)op.u.getdomaininfolist.num_domains;
}

#define PIECE 64U

int ctl_domain_list(struct ctl *c, struct xen_domctl_getdomaininfo **list)
{
    struct xen_domctl_getdomaininfo *buf = ctl_buffer(c, PIECE * sizeof(*buf)), *all = NULL;
    unsigned n = 0;
    int got = buf ? (int)PIECE : -ENOMEM;

    while (got == (int)PIECE) {
        got = list_piece(c, n ? (domid_t)(all[n - 1].domain + 1) : 0, buf, PIECE);
        if (got <= 0 || (unsigned)got > PIECE)
            break;
        struct xen_domctl_getdomaininfo *more = realloc(all, (n + (unsigned)got) * sizeof(*all));
        if (!more) {
            got = -ENOMEM;
            break;
        }
        all = more;
        memcpy(all + n, buf, (unsigned)got * sizeof(*all));
        n += (unsigned)got;
    }
    ctl_buffer_free(c, buf);
    if (got < 0) {
        free(all);
        *list = NULL;
        return fault(got, "list of domains: %s", why(got));
    }
    *list = all;
    return (int)n;
}

int ctl_domain_create(struct ctl *c, const struct xen_domctl_createdomain *what, domid_t *domid)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_createdomain, .domain = 0xffff };

    op.u.createdomain = *what;
    int rc = ctl_domctl(c, &op);

    if (rc < 0)
        return fault(rc, "new domain: %s", why(rc));
    *domid = op.domain;
    return 0;
}

int ctl_domain_destroy(struct ctl *c, domid_t domid)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_destroydomain, .domain = domid };
    int rc;

    do
        rc = ctl_domctl(c, &op);
    while (rc == -EAGAIN || rc == -ERESTART);
    return rc < 0 ? fault(rc, "domain %u: destroying: %s", domid, why(rc)) : 0;
}

int ctl_domain_pause(struct ctl *c, domid_t domid)
{
    return simple(c, XEN_DOMCTL_pausedomain, domid, "pausing");
}

int ctl_domain_unpause(struct ctl *c, domid_t domid)
{
    return simple(c, XEN_DOMCTL_unpausedomain, domid, "unpausing");
}

int ctl_domain_resume(struct ctl *c, domid_t domid)
{
    return simple(c, XEN_DOMCTL_resumedomain, domid, "resuming");
}

int ctl_domain_max_vcpus(struct ctl *c, domid_t domid, unsigned count)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_max_vcpus, .domain = domid, .u.max_vcpus.max = count };

    return call(c, &op, "making its virtual CPUs");
}

int ctl_domain_max_mem(struct ctl *c, domid_t domid, uint64_t kib)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_max_mem, .domain = domid, .u.max_mem.max_memkb = kib };

    return call(c, &op, "setting its memory limit");
}

int ctl_domain_set_tsc(struct ctl *c, domid_t domid, unsigned mode)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_settscinfo, .domain = domid, .u.tsc_info.tsc_mode = mode };

    return call(c, &op, "setting its TSC mode");
}

int ctl_domain_set_time_offset(struct ctl *c, domid_t domid, int64_t seconds)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_settimeoffset, .domain = domid, .u.settimeoffset.time_offset_seconds = seconds };

    return call(c, &op, "its clock's offset");
}

int ctl_domain_trigger(struct ctl *c, domid_t domid, unsigned trigger, unsigned vcpu)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_sendtrigger, .domain = domid };

    op.u.sendtrigger.trigger = trigger;
    op.u.sendtrigger.vcpu = vcpu;
    return call(c, &op, "sending a trigger");
}

int ctl_domain_debugging(struct ctl *c, domid_t domid, bool on)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_setdebugging, .domain = domid, .u.setdebugging.enable = on };

    return call(c, &op, "setting debugging");
}

/* --- virtual CPUs ----------------------------------------------------------------------------------------------------- */

int ctl_vcpu_info(struct ctl *c, domid_t domid, unsigned vcpu, struct xen_domctl_getvcpuinfo *info)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_getvcpuinfo, .domain = domid, .u.getvcpuinfo.vcpu = vcpu };
    int rc = call(c, &op, "state of a virtual CPU");

    if (!rc)
        *info = op.u.getvcpuinfo;
    return rc;
}

int ctl_vcpu_set_context(struct ctl *c, domid_t domid, unsigned vcpu, const vcpu_guest_context_t *ctxt)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_setvcpucontext, .domain = domid, .u.vcpucontext.vcpu = vcpu };
    vcpu_guest_context_t *buf = ctl_buffer(c, sizeof(*buf));

    if (!buf)
        return -ENOMEM;
    *buf = *ctxt;
    set_xen_guest_handle_raw(op.u.vcpucontext.ctxt, buf);
    int rc = call(c, &op, "setting a virtual CPU's registers");

    ctl_buffer_free(c, buf);
    return rc;
}

int ctl_vcpu_get_context(struct ctl *c, domid_t domid, unsigned vcpu, vcpu_guest_context_t *ctxt)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_getvcpucontext, .domain = domid, .u.vcpucontext.vcpu = vcpu };
    vcpu_guest_context_t *buf = ctl_buffer(c, sizeof(*buf));

    if (!buf)
        return -ENOMEM;
    set_xen_guest_handle_raw(op.u.vcpucontext.ctxt, buf);
    int rc = call(c, &op, "reading a virtual CPU's registers");

    *ctxt = *buf;
    ctl_buffer_free(c, buf);
    return rc;
}

/* Both affinity calls: the maps go in and come out. */
static int affinity(struct ctl *c, struct xen_domctl *op, uint8_t *hard, uint8_t *soft, size_t bytes, const char *what)
{
    struct xen_domctl_vcpuaffinity *a = &op->u.vcpuaffinity;
    uint8_t *buf = ctl_buffer(c, 2 * bytes);

    if (!buf)
        return -ENOMEM;
    if (hard) {
        memcpy(buf, hard, bytes);
        a->flags |= XEN_VCPUAFFINITY_HARD;
    }
    if (soft) {
        memcpy(buf + bytes, soft, bytes);
        a->flags |= XEN_VCPUAFFINITY_SOFT;
    }
    set_xen_guest_handle_raw(a->cpumap_hard.bitmap, buf);
    set_xen_guest_handle_raw(a->cpumap_soft.bitmap, buf + bytes);
    a->cpumap_hard.nr_bits = a->cpumap_soft.nr_bits = (uint32_t)bytes * 8;
    int rc = call(c, op, what);

    if (!rc && hard)
        memcpy(hard, buf, bytes);
    if (!rc && soft)
        memcpy(soft, buf + bytes, bytes);
    ctl_buffer_free(c, buf);
    return rc;
}

int ctl_vcpu_set_affinity(struct ctl *c, domid_t domid, unsigned vcpu, uint8_t *hard, uint8_t *soft, size_t bytes, bool force)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_setvcpuaffinity, .domain = domid, .u.vcpuaffinity.vcpu = vcpu };

    op.u.vcpuaffinity.flags = force ? XEN_VCPUAFFINITY_FORCE : 0;
    return affinity(c, &op, hard, soft, bytes, "setting a virtual CPU's affinity");
}

int ctl_vcpu_get_affinity(struct ctl *c, domid_t domid, unsigned vcpu, uint8_t *hard, uint8_t *soft, size_t bytes)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_getvcpuaffinity, .domain = domid, .u.vcpuaffinity.vcpu = vcpu };

    return affinity(c, &op, hard, soft, bytes, "reading a virtual CPU's affinity");
}

/* --- weights -------------------------------------------------------------------------------------------------------------- */

int ctl_sched_get(struct ctl *c, domid_t domid, unsigned sched, unsigned *weight, unsigned *cap)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_scheduler_op, .domain = domid };

    op.u.scheduler_op.sched_id = sched;
    op.u.scheduler_op.cmd = XEN_DOMCTL_SCHEDOP_getinfo;
    int rc = call(c, &op, "reading its scheduling parameters");

    /* credit and credit2 have the same two fields in the same place */
    *weight = rc ? 0 : op.u.scheduler_op.u.credit.weight;
    *cap = rc ? 0 : op.u.scheduler_op.u.credit.cap;
    return rc;
}

int ctl_sched_set(struct ctl *c, domid_t domid, unsigned sched, int weight, int cap)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_scheduler_op, .domain = domid };
    unsigned old_weight, old_cap;
    int rc = ctl_sched_get(c, domid, sched, &old_weight, &old_cap);

    if (rc)
        return rc;
    op.u.scheduler_op.sched_id = sched;
    op.u.scheduler_op.cmd = XEN_DOMCTL_SCHEDOP_putinfo;
    op.u.scheduler_op.u.credit.weight = (uint16_t)(weight < 0 ? (int)old_weight : weight);
    op.u.scheduler_op.u.credit.cap = (uint16_t)(cap < 0 ? (int)old_cap : cap);
    return call(c, &op, "setting its scheduling parameters");
}
