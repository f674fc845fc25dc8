/* SPDX-License-Identifier: MIT */
/* What a save holds beside pages: virtual CPUs, shared_info, TSC, CPU policy; frames in them become page numbers. */
#include "fault.h"
#include "save_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096U
#define GDT_FRAMES 16U

/* *mfn becomes a page's number. */
static int to_page(const struct save *s, unsigned vcpu, const char *what, unsigned long *mfn)
{
    uint64_t pfn = save_p2m_find(s, *mfn);

    if (pfn == SAVE_NONE)
        return fault(-EINVAL, "domain %u, virtual CPU %u: %s is frame %#lx, which is not in the guest's list of pages", s->domid, vcpu, what, *mfn);
    *mfn = pfn;
    return 0;
}

static int table_to_page(const struct save *s, unsigned vcpu, const char *what, unsigned long *cr3)
{
    unsigned long frame = xen_cr3_to_pfn(*cr3);
    int rc = to_page(s, vcpu, what, &frame);

    *cr3 = xen_pfn_to_cr3(frame);
    return rc;
}

static int make_portable(const struct save *s, unsigned vcpu, vcpu_guest_context_t *v)
{
    unsigned long start_info = v->user_regs.rdx;
    unsigned frames = (unsigned)((v->gdt_ents + 511) / 512);
    int rc = 0;

    if (!vcpu) { /* the argument of the call by which it suspended */
        rc = to_page(s, vcpu, "its start_info", &start_info);
        v->user_regs.rdx = start_info;
    }
    if (!rc && frames > GDT_FRAMES)
        rc = fault(-EINVAL, "domain %u, virtual CPU %u: a GDT of %lu entries", s->domid, vcpu, v->gdt_ents);
    for (unsigned i = 0; i < frames && !rc; i++)
        rc = to_page(s, vcpu, "its GDT", &v->gdt_frames[i]);
    rc = rc ? rc : table_to_page(s, vcpu, "its page table", &v->ctrlreg[3]);
    if (!rc && v->ctrlreg[1]) {
        rc = table_to_page(s, vcpu, "its user page table", &v->ctrlreg[1]);
        v->ctrlreg[1] |= 1; /* so that page 0 is not taken for none */
    }
    return rc;
}

struct vcpu_head {
    uint32_t id, reserved;
};

static int put_context(struct save *s, unsigned vcpu)
{
    struct vcpu_head h = { vcpu, 0 };
    vcpu_guest_context_t *v = calloc(1, sizeof(*v));
    int rc = v ? ctl_vcpu_get_context(s->c, s->domid, vcpu, v) : fault(-ENOMEM, "no memory");

    rc = rc ? rc : make_portable(s, vcpu, v);
    rc = rc ? rc : xc_record2(s->to, XC_PV_VCPU_BASIC, &h, sizeof(h), v, sizeof(*v));
    free(v);
    return rc;
}

static int put_blobs(struct save *s, unsigned vcpu)
{
    static const struct {
        enum ctl_vcpu_blob which;
        uint32_t record;
    } blobs[] = { { CTL_VCPU_EXTENDED, XC_PV_VCPU_EXTENDED }, { CTL_VCPU_XSAVE, XC_PV_VCPU_XSAVE }, { CTL_VCPU_MSRS, XC_PV_VCPU_MSRS } };
    struct vcpu_head h = { vcpu, 0 };
    int rc = 0;

    for (unsigned i = 0; i < sizeof(blobs) / sizeof(*blobs) && !rc; i++) {
        uint8_t *data;
        uint32_t bytes;

        rc = ctl_vcpu_get_blob(s->c, s->domid, vcpu, blobs[i].which, &data, &bytes);
        if (!rc && bytes)
            rc = xc_record2(s->to, blobs[i].record, &h, sizeof(h), data, bytes);
        free(data);
    }
    return rc;
}

/* Those that are off have no state: the guest makes them anew. */
int save_vcpus(struct save *s)
{
    struct xen_domctl_getdomaininfo info;
    struct xen_domctl_getvcpuinfo v;
    int rc = ctl_domain_info(s->c, s->domid, &info);

    for (unsigned i = 0; !rc && i <= info.max_vcpu_id; i++) {
        rc = ctl_vcpu_info(s->c, s->domid, i, &v);
        if (rc || !v.online)
            continue;
        rc = put_context(s, i);
        rc = rc ? rc : put_blobs(s, i);
    }
    return rc;
}

int save_tsc(struct save *s)
{
    struct xen_domctl_tsc_info info;
    int rc = ctl_domain_get_tsc_info(s->c, s->domid, &info);
    struct {
        uint32_t mode, khz;
        uint64_t nsec;
        uint32_t incarnation, reserved;
    } t = { info.tsc_mode, info.gtsc_khz, info.elapsed_nsec, info.incarnation, 0 };

    return rc ? rc : xc_record(s->to, XC_TSC_INFO, &t, sizeof(t));
}

int save_shared_info(struct save *s)
{
    struct xen_domctl_getdomaininfo info;
    int rc = ctl_domain_info(s->c, s->domid, &info);
    void *at = rc ? NULL : ctl_map(s->c, s->domid, &(xen_pfn_t){ info.shared_info_frame }, 1, false);

    if (!at)
        return rc ? fault(rc, "domain %u: %s", s->domid, strerror(-rc)) : -EFAULT;
    rc = xc_record(s->to, XC_SHARED_INFO, at, PAGE);
    ctl_unmap(s->c, at, 1);
    return rc;
}

int save_policy(struct save *s)
{
    xen_cpuid_leaf_t *leaf = NULL;
    xen_msr_entry_t *msr = NULL;
    unsigned n_leaves, n_msrs;
    int rc = ctl_policy_get(s->c, s->domid, &leaf, &n_leaves, &msr, &n_msrs);

    if (!rc && n_leaves)
        rc = xc_record(s->to, XC_CPUID_POLICY, leaf, n_leaves * sizeof(*leaf));
    if (!rc && n_msrs)
        rc = xc_record(s->to, XC_MSR_POLICY, msr, n_msrs * sizeof(*msr));
    free(leaf);
    free(msr);
    return rc;
}
