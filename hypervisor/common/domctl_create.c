/* SPDX-License-Identifier: MIT */
/*
 * Control calls that make a domain: createdomain with all its checks, max_vcpus, which makes the vCPUs. What we
 * cannot give is refused here, and the log says what it was.
 */
#include "cmdline.h"
#include "domain.h"
#include "domctl.h"
#include "grant.h"
#include "lib.h"
#include "log.h"
#include "port.h"

#define FLAGS_KNOWN (XEN_DOMCTL_CDF_MAX * 2 - 1)
#define FLAGS_HVM (XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap | XEN_DOMCTL_CDF_oos_off | XEN_DOMCTL_CDF_nested_virt)

static long refuse(long rc, const char *what)
{
    log_info("createdomain: refused: %s\n", what);
    return rc;
}

static long check_kind(const struct xen_domctl_createdomain *c)
{
    if (c->flags & ~FLAGS_KNOWN)
        return refuse(-XEN_EINVAL, "unknown flags");
    if (c->flags & XEN_DOMCTL_CDF_hvm)
        return refuse(-XEN_EOPNOTSUPP, "HVM and PVH guests are not there yet: use type=\"pv\"");
    if (c->flags & FLAGS_HVM)
        return refuse(-XEN_EINVAL, "a PV guest with options of HVM guests");
    if (c->flags & XEN_DOMCTL_CDF_iommu)
        return refuse(-XEN_EOPNOTSUPP, "there is no IOMMU: no passthrough");
    if (c->flags & XEN_DOMCTL_CDF_vpmu)
        return refuse(-XEN_EOPNOTSUPP, "there is no virtual PMU");
    if (arch_guests_refused())
        return refuse(-XEN_EOPNOTSUPP, arch_guests_refused());
    if (c->arch.emulation_flags)
        return refuse(-XEN_EINVAL, "emulated devices are not a PV guest's");
    if (c->arch.misc_flags & ~XEN_X86_MSR_RELAXED)
        return refuse(-XEN_EINVAL, "unknown misc_flags");
    return 0;
}

static long check_limits(const struct xen_domctl_createdomain *c)
{
    unsigned version = XEN_DOMCTL_GRANT_version(c->grant_opts);

    if (!c->max_vcpus || c->max_vcpus > MAX_VCPUS)
        return refuse(-XEN_EINVAL, "1 to 256 vCPUs are possible");
    if (c->iommu_opts)
        return refuse(-XEN_EINVAL, "IOMMU options without an IOMMU");
    if (c->vmtrace_size)
        return refuse(-XEN_EOPNOTSUPP, "there is no vmtrace");
    if (version < 1 || version > 2 || (c->grant_opts & ~XEN_DOMCTL_GRANT_version_mask))
        return refuse(-XEN_EINVAL, "grant tables have version 1 or 2");
    return 0;
}

/* Below 0: what the hypervisor's command line says. */
static unsigned limit(int32_t asked, uint32_t usual)
{
    return asked < 0 ? usual : (unsigned)asked;
}

/* It may be destroyed by another vCPU as soon as it is there: it is complete then, and not looked at again. */
static int create(uint16_t id, const struct xen_domctl_createdomain *c)
{
    struct domain_config config = {
        .max_vcpus = c->max_vcpus,
        .max_evtchn_port = c->max_evtchn_port,
        .max_grant_frames = limit(c->max_grant_frames, opt.gnttab_max_frames),
        .max_maptrack_frames = limit(c->max_maptrack_frames, opt.gnttab_max_maptrack_frames),
        .max_grant_version = XEN_DOMCTL_GRANT_version(c->grant_opts),
        .xs_domain = c->flags & XEN_DOMCTL_CDF_xs_domain,
        .control_paused = true,
    };
    int rc;

    memcpy(config.handle, c->handle, sizeof(config.handle));
    return domain_create_config(id, false, &config, &rc) ? 0 : rc;
}

long domctl_createdomain(struct vcpu *v, struct domain *named, struct xen_domctl *op)
{
    const struct xen_domctl_createdomain *c = &op->u.createdomain;
    uint16_t id = op->domain;
    long bad = check_kind(c);
    int rc;

    if (!bad)
        bad = check_limits(c);
    if (bad)
        return bad;
    if (id == 0 || id >= DOMID_FIRST_RESERVED)
        id = domain_free_id();
    else if (named)
        return -XEN_EEXIST;
    if (id == DOMID_INVALID)
        return refuse(-XEN_ENOMEM, "all domain numbers are in use");
    rc = create(id, c);
    if (rc)
        return rc == -XEN_ENOMEM ? refuse(rc, "out of memory for the hypervisor's part") : rc;
    op->domain = id;
    return 0;
}

long domctl_max_vcpus(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    if (op->u.max_vcpus.max != d->max_vcpus)
        return -XEN_EINVAL; /* the ABI: as given to createdomain */
    for (unsigned i = 0; i < d->max_vcpus; i++) {
        if (d->vcpu[i])
            continue;
        if (!vcpu_create(d, i)) {
            log_info("d%u: no memory for vCPU %u of %u\n", d->id, i, d->max_vcpus);
            return -XEN_ENOMEM;
        }
        if (i + 1u < d->max_vcpus && preempt_needed())
            return -XEN_ERESTART;
    }
    return 0;
}
