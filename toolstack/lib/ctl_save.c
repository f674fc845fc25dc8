/* SPDX-License-Identifier: MIT */
/* Control calls that only saving and restoring a guest need: page types, blobs of virtual CPUs, TSC, policies. */
#include "ctl.h"
#include "fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LEAVES 512U
#define MSRS 64U
#define OPS 128U /* of mmuext_op at once: they fit the command page */
#define BLOB_MAX 65536U

int ctl_page_types(struct ctl *c, domid_t domid, xen_pfn_t *list, unsigned n)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_getpageframeinfo3, .domain = domid, .u.getpageframeinfo3.num = n };

    set_xen_guest_handle_raw(op.u.getpageframeinfo3.array, list);
    int rc = n ? ctl_domctl(c, &op) : 0;

    if (rc)
        return fault(rc, "domain %u: the types of its pages: %s", domid, strerror(-rc));
    for (unsigned i = 0; i < n; i++)
        list[i] = (list[i] & XEN_DOMCTL_PFINFO_LTAB_MASK) >> XEN_DOMCTL_PFINFO_LTAB_SHIFT;
    return 0;
}

int ctl_clear_pages(struct ctl *c, domid_t domid, const xen_pfn_t *mfns, size_t count)
{
    struct mmuext_op op[OPS];
    int rc = 0;

    for (size_t done = 0; done < count && rc >= 0; done += OPS) {
        unsigned n = count - done < OPS ? (unsigned)(count - done) : OPS;

        for (unsigned i = 0; i < n; i++)
            op[i] = (struct mmuext_op){ .cmd = MMUEXT_CLEAR_PAGE, .arg1.mfn = mfns[done + i] };
        rc = ctl_mmuext_op(c, domid, op, n);
    }
    return rc < 0 ? fault(rc, "domain %u: clearing its pages: %s", domid, strerror(-rc)) : 0;
}

int ctl_pin_tables(struct ctl *c, domid_t domid, const xen_pfn_t *mfns, const uint8_t *level, size_t count)
{
    static const unsigned cmd[] = { 0, MMUEXT_PIN_L1_TABLE, MMUEXT_PIN_L2_TABLE, MMUEXT_PIN_L3_TABLE, MMUEXT_PIN_L4_TABLE,
                                    [CTL_UNPIN] = MMUEXT_UNPIN_TABLE };
    struct mmuext_op op[OPS];
    int rc = 0;

    for (size_t done = 0; done < count && rc >= 0; done += OPS) {
        unsigned n = count - done < OPS ? (unsigned)(count - done) : OPS;

        for (unsigned i = 0; i < n; i++)
            op[i] = (struct mmuext_op){ .cmd = cmd[level[done + i]], .arg1.mfn = mfns[done + i] };
        rc = ctl_mmuext_op(c, domid, op, n);
    }
    if (rc < 0)
        return fault(rc, "domain %u: the hypervisor refuses its page tables: %s (`xm dmesg` has more)", domid, strerror(-rc));
    return 0;
}

/* --- virtual CPUs --------------------------------------------------------------------------------------------------------- */

static int blob_fault(int rc, domid_t domid, unsigned vcpu, const char *doing, enum ctl_vcpu_blob which)
{
    static const char *const names[] = { "callbacks", "floating-point and vector registers", "MSRs" };

    return fault(rc, "domain %u, virtual CPU %u: %s its %s: %s", domid, vcpu, doing, names[which], strerror(-rc));
}

/* Out of the hypervisor's buffer into ordinary memory. */
static int keep(const void *from, uint32_t bytes, uint8_t **data, uint32_t *size)
{
    *data = malloc(bytes + 1U);
    if (!*data)
        return -ENOMEM;
    memcpy(*data, from, bytes);
    *size = bytes;
    return 0;
}

static int get_extended(struct ctl *c, struct xen_domctl *op, unsigned vcpu, uint8_t **data, uint32_t *bytes)
{
    op->cmd = XEN_DOMCTL_get_ext_vcpucontext;
    op->u.ext_vcpucontext.vcpu = vcpu;
    int rc = ctl_domctl(c, op);

    uint32_t size = op->u.ext_vcpucontext.size;

    return rc ? rc : keep(&op->u, size && size <= sizeof(op->u.pad) ? size : sizeof(op->u.pad), data, bytes);
}

static int get_xsave(struct ctl *c, struct xen_domctl *op, unsigned vcpu, uint8_t **data, uint32_t *bytes)
{
    struct xen_domctl_vcpuextstate *x = &op->u.vcpuextstate;

    op->cmd = XEN_DOMCTL_getvcpuextstate;
    x->vcpu = vcpu;
    int rc = ctl_domctl(c, op); /* how long is it? */
    uint64_t size = x->size;

    if (rc || !size || size > BLOB_MAX)
        return rc ? rc : size ? -E2BIG : 0;
    void *buf = ctl_buffer(c, size);

    if (!buf)
        return -ENOMEM;
    set_xen_guest_handle_raw(x->buffer, buf);
    rc = ctl_domctl(c, op);
    rc = rc ? rc : keep(buf, (uint32_t)(x->size < size ? x->size : size), data, bytes);
    ctl_buffer_free(c, buf);
    return rc;
}

static int get_msrs(struct ctl *c, struct xen_domctl *op, unsigned vcpu, uint8_t **data, uint32_t *bytes)
{
    struct xen_domctl_vcpu_msrs *m = &op->u.vcpu_msrs;

    op->cmd = XEN_DOMCTL_get_vcpu_msrs;
    m->vcpu = vcpu;
    int rc = ctl_domctl(c, op); /* how many at most? */
    uint32_t max = m->msr_count;

    if (rc || !max || max > MSRS)
        return rc ? rc : max ? -E2BIG : 0;
    xen_domctl_vcpu_msr_t *buf = ctl_buffer(c, max * sizeof(*buf));

    if (!buf)
        return -ENOMEM;
    set_xen_guest_handle_raw(m->msrs, buf);
    rc = ctl_domctl(c, op);
    if (!rc && m->msr_count && m->msr_count <= max)
        rc = keep(buf, m->msr_count * (uint32_t)sizeof(*buf), data, bytes);
    ctl_buffer_free(c, buf);
    return rc;
}

int ctl_vcpu_get_blob(struct ctl *c, domid_t domid, unsigned vcpu, enum ctl_vcpu_blob which, uint8_t **data, uint32_t *bytes)
{
    struct xen_domctl op = { .domain = domid };
    int rc;

    *data = NULL;
    *bytes = 0;
    switch (which) {
    case CTL_VCPU_EXTENDED: rc = get_extended(c, &op, vcpu, data, bytes); break;
    case CTL_VCPU_XSAVE: rc = get_xsave(c, &op, vcpu, data, bytes); break;
    default: rc = get_msrs(c, &op, vcpu, data, bytes);
    }
    return rc < 0 ? blob_fault(rc, domid, vcpu, "reading", which) : 0;
}

static void prepare_set(struct xen_domctl *op, unsigned vcpu, enum ctl_vcpu_blob which, void *buf, uint32_t bytes)
{
    switch (which) {
    case CTL_VCPU_EXTENDED:
        op->cmd = XEN_DOMCTL_set_ext_vcpucontext;
        memcpy(&op->u, buf, bytes < sizeof(op->u.pad) ? bytes : sizeof(op->u.pad));
        op->u.ext_vcpucontext.vcpu = vcpu;
        break;
    case CTL_VCPU_XSAVE:
        op->cmd = XEN_DOMCTL_setvcpuextstate;
        op->u.vcpuextstate = (struct xen_domctl_vcpuextstate){ .vcpu = vcpu, .size = bytes };
        set_xen_guest_handle_raw(op->u.vcpuextstate.buffer, buf);
        break;
    default:
        op->cmd = XEN_DOMCTL_set_vcpu_msrs;
        op->u.vcpu_msrs = (struct xen_domctl_vcpu_msrs){ .vcpu = vcpu, .msr_count = bytes / (uint32_t)sizeof(xen_domctl_vcpu_msr_t) };
        set_xen_guest_handle_raw(op->u.vcpu_msrs.msrs, buf);
    }
}

int ctl_vcpu_set_blob(struct ctl *c, domid_t domid, unsigned vcpu, enum ctl_vcpu_blob which, const void *data, uint32_t bytes)
{
    struct xen_domctl op = { .domain = domid };
    void *buf = ctl_buffer(c, bytes);

    if (!buf)
        return -ENOMEM;
    memcpy(buf, data, bytes);
    prepare_set(&op, vcpu, which, buf, bytes);
    int rc = ctl_domctl(c, &op);

    ctl_buffer_free(c, buf);
    return rc < 0 ? blob_fault(rc, domid, vcpu, "setting", which) : 0;
}

/* --- clock and policy ------------------------------------------------------------------------------------------------------ */

int ctl_domain_get_tsc_info(struct ctl *c, domid_t domid, struct xen_domctl_tsc_info *info)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_gettscinfo, .domain = domid };
    int rc = ctl_domctl(c, &op);

    *info = op.u.tsc_info;
    return rc ? fault(rc, "domain %u: its TSC: %s", domid, strerror(-rc)) : 0;
}

int ctl_domain_set_tsc_info(struct ctl *c, domid_t domid, const struct xen_domctl_tsc_info *info)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_settscinfo, .domain = domid, .u.tsc_info = *info };
    int rc = ctl_domctl(c, &op);

    return rc ? fault(rc, "domain %u: setting its TSC (mode %u, %u kHz): %s", domid, info->tsc_mode, info->gtsc_khz, strerror(-rc)) : 0;
}

struct policy_buffers {
    xen_cpuid_leaf_t *leaf;
    xen_msr_entry_t *msr;
};

static int policy_open(struct ctl *c, struct policy_buffers *b, struct xen_domctl_cpu_policy *a)
{
    *b = (struct policy_buffers){ ctl_buffer(c, LEAVES * sizeof(*b->leaf)), ctl_buffer(c, MSRS * sizeof(*b->msr)) };
    *a = (struct xen_domctl_cpu_policy){ .nr_leaves = LEAVES, .nr_msrs = MSRS };
    set_xen_guest_handle_raw(a->leaves, b->leaf);
    set_xen_guest_handle_raw(a->msrs, b->msr);
    return b->leaf && b->msr ? 0 : -ENOMEM;
}

static void policy_close(struct ctl *c, struct policy_buffers *b)
{
    ctl_buffer_free(c, b->leaf);
    ctl_buffer_free(c, b->msr);
}

int ctl_policy_get(struct ctl *c, domid_t domid, xen_cpuid_leaf_t **leaf, unsigned *n_leaves, xen_msr_entry_t **msr, unsigned *n_msrs)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_get_cpu_policy, .domain = domid };
    struct xen_domctl_cpu_policy *a = &op.u.cpu_policy;
    struct policy_buffers b;
    uint32_t size;
    uint8_t *l = NULL, *m = NULL;
    int rc = policy_open(c, &b, a);

    rc = rc ? rc : ctl_domctl(c, &op);
    if (!rc && (a->nr_leaves > LEAVES || a->nr_msrs > MSRS))
        rc = -E2BIG;
    rc = rc ? rc : keep(b.leaf, a->nr_leaves * (uint32_t)sizeof(*b.leaf), &l, &size);
    rc = rc ? rc : keep(b.msr, a->nr_msrs * (uint32_t)sizeof(*b.msr), &m, &size);
    policy_close(c, &b);
    *leaf = (void *)l;
    *msr = (void *)m;
    *n_leaves = a->nr_leaves;
    *n_msrs = a->nr_msrs;
    return rc ? fault(rc, "domain %u: its CPU policy: %s", domid, strerror(-rc)) : 0;
}

int ctl_policy_set(struct ctl *c, domid_t domid, const xen_cpuid_leaf_t *leaf, unsigned n_leaves, const xen_msr_entry_t *msr, unsigned n_msrs)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_set_cpu_policy, .domain = domid };
    struct xen_domctl_cpu_policy *a = &op.u.cpu_policy;
    struct policy_buffers b;

    if (n_leaves > LEAVES || n_msrs > MSRS)
        return fault(-E2BIG, "domain %u: a CPU policy of %u leaves and %u MSRs; %u and %u are the limit", domid, n_leaves, n_msrs, LEAVES, MSRS);
    int rc = policy_open(c, &b, a);

    if (!rc) {
        memcpy(b.leaf, leaf, n_leaves * sizeof(*leaf));
        memcpy(b.msr, msr, n_msrs * sizeof(*msr));
        a->nr_leaves = n_leaves;
        a->nr_msrs = n_msrs;
        rc = ctl_domctl(c, &op);
    }
    policy_close(c, &b);
    if (rc)
        return fault(rc, "domain %u: this host cannot give it the CPU features it was started with (leaf %#x, subleaf %#x, MSR %#x): %s; see `xm info`, `xm dmesg`",
                     domid, a->err_leaf, a->err_subleaf, a->err_msr, strerror(-rc));
    return 0;
}
