/* SPDX-License-Identifier: MIT */
/* Control calls about what CPUID tells a guest. */
#include "ctl.h"
#include "fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LEAVES 512U
#define MSRS 64U

struct policy {
    xen_cpuid_leaf_t *leaf;
    xen_msr_entry_t *msr;
};

static int policy_alloc(struct ctl *c, struct policy *p)
{
    p->leaf = ctl_buffer(c, LEAVES * sizeof(*p->leaf));
    p->msr = ctl_buffer(c, MSRS * sizeof(*p->msr));
    return p->leaf && p->msr ? 0 : -ENOMEM;
}

/* Out of the buffer into ordinary memory. */
static int policy_take(struct ctl *c, struct policy *p, int rc, uint32_t n, xen_cpuid_leaf_t **out)
{
    *out = NULL;
    if (!rc && n <= LEAVES)
        *out = malloc((n + 1) * sizeof(**out));
    if (*out)
        memcpy(*out, p->leaf, n * sizeof(**out));
    ctl_buffer_free(c, p->leaf);
    ctl_buffer_free(c, p->msr);
    return rc ? rc : *out ? (int)n : fault(-ENOMEM, "cpuid: no memory");
}

int ctl_cpuid_max(struct ctl *c, xen_cpuid_leaf_t **out)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_get_cpu_policy };
    struct xen_sysctl_cpu_policy *a = &op.u.cpu_policy;
    struct policy p;
    int rc = policy_alloc(c, &p);

    *a = (struct xen_sysctl_cpu_policy){ .index = XEN_SYSCTL_cpu_policy_pv_max, .nr_leaves = LEAVES, .nr_msrs = MSRS };
    set_xen_guest_handle_raw(a->leaves, p.leaf);
    set_xen_guest_handle_raw(a->msrs, p.msr);
    rc = rc ? rc : ctl_sysctl(c, &op);
    if (rc)
        fault(rc, "host: what CPUID may tell a guest: %s", strerror(-rc));
    return policy_take(c, &p, rc, a->nr_leaves, out);
}

int ctl_cpuid_get(struct ctl *c, domid_t domid, xen_cpuid_leaf_t **out)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_get_cpu_policy, .domain = domid };
    struct xen_domctl_cpu_policy *a = &op.u.cpu_policy;
    struct policy p;
    int rc = policy_alloc(c, &p);

    *a = (struct xen_domctl_cpu_policy){ .nr_leaves = LEAVES, .nr_msrs = MSRS };
    set_xen_guest_handle_raw(a->leaves, p.leaf);
    set_xen_guest_handle_raw(a->msrs, p.msr);
    rc = rc ? rc : ctl_domctl(c, &op);
    if (rc)
        fault(rc, "domain %u: what CPUID tells it: %s", domid, strerror(-rc));
    return policy_take(c, &p, rc, a->nr_leaves, out);
}

int ctl_cpuid_set(struct ctl *c, domid_t domid, const xen_cpuid_leaf_t *leaf, unsigned n)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_set_cpu_policy, .domain = domid };
    struct xen_domctl_cpu_policy *a = &op.u.cpu_policy;
    xen_cpuid_leaf_t *buf = ctl_buffer(c, n * sizeof(*buf));

    if (!buf)
        return -ENOMEM;
    memcpy(buf, leaf, n * sizeof(*buf));
    *a = (struct xen_domctl_cpu_policy){ .nr_leaves = n };
    set_xen_guest_handle_raw(a->leaves, buf);
    int rc = ctl_domctl(c, &op);

    ctl_buffer_free(c, buf);
    if (rc)
        return fault(rc, "domain %u: the hypervisor refuses its CPUID (leaf %#x, subleaf %#x): %s; `xm dmesg` has more, mend 'cpuid ='", domid,
                     a->err_leaf, a->err_subleaf, strerror(-rc));
    return 0;
}
