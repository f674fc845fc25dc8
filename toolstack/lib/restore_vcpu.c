/* SPDX-License-Identifier: MIT */
/* The last steps of a restore, when nothing of the guest is mapped any more: pinned page tables, CPU policy, vCPUs, TSC. */
#include "cpuid_fit.h"
#include "fault.h"
#include "restore_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 1024U
#define GDT_MAX 8192U

int restore_pins(struct restore *r)
{
    xen_pfn_t mfn[BATCH];
    uint8_t level[BATCH];
    unsigned n = 0;
    int rc = 0;

    for (uint64_t p = 0; p < r->st.p2m_pages && !rc; p++) {
        if (!r->mfn[p] || !restore_is_pinned(r->type[p]) || r->early[p] & RESTORE_PINNED)
            continue;
        mfn[n] = r->mfn[p];
        level[n++] = r->type[p] & 7;
        if (n == BATCH) {
            rc = ctl_pin_tables(r->c, r->domid, mfn, level, n);
            n = 0;
        }
    }
    rc = rc || !n ? rc : ctl_pin_tables(r->c, r->domid, mfn, level, n);
    return rc ? rc : restore_early_end(r, false);
}

static int set_policy(struct restore *r, const xen_cpuid_leaf_t *leaf, unsigned n)
{
    const struct xc_blob *msrs = &r->st.msr_policy;

    return ctl_policy_set(r->c, r->domid, leaf, n, (const void *)msrs->data, msrs->bytes / (unsigned)sizeof(xen_msr_entry_t));
}

/* Another hypervisor's, or another host's: what matters to the guest stays as it is. */
static int set_fitted(struct restore *r, unsigned n, int rc)
{
    xen_cpuid_leaf_t *leaf = (void *)r->st.cpuid.data, *max = NULL;
    char *why = strdup(fault_text());
    bool changed = false;

    fault_clear();
    int n_max = ctl_cpuid_max(r->c, &max);

    if (n_max > 0)
        n = cpuid_fit(leaf, n, max, (unsigned)n_max, &changed);
    free(max);
    if (changed)
        rc = set_policy(r, leaf, n);
    else
        fault(rc, "%s", why ? why : "no memory");
    free(why);
    return rc;
}

int restore_policy(struct restore *r)
{
    unsigned n = r->st.cpuid.bytes / (unsigned)sizeof(xen_cpuid_leaf_t);

    if (!n && !r->st.msr_policy.bytes)
        return 0; /* streams of version 2 have none: the default stays */
    int rc = set_policy(r, (const void *)r->st.cpuid.data, n);

    return rc == -EINVAL || rc == -ERANGE ? set_fitted(r, n, rc) : rc;
}

int restore_tsc(struct restore *r)
{
    const struct xen_domctl_tsc_info t = { .tsc_mode = r->st.tsc_mode, .gtsc_khz = r->st.tsc_khz, .incarnation = r->st.tsc_incarnation,
        .elapsed_nsec = r->st.tsc_nsec };

    return r->st.has_tsc ? ctl_domain_set_tsc_info(r->c, r->domid, &t) : 0;
}

/* --- virtual CPUs --------------------------------------------------------------------------------------------------------- */

static int to_frame(const struct restore *r, unsigned vcpu, const char *what, unsigned long *pfn)
{
    if (!restore_has(r, *pfn))
        return fault(-EINVAL, "virtual CPU %u: %s is page %#lx, which the stream has not brought", vcpu, what, *pfn);
    *pfn = r->mfn[*pfn];
    return 0;
}

static int table_to_frame(const struct restore *r, unsigned vcpu, const char *what, unsigned long *cr3)
{
    unsigned long pfn = xen_cr3_to_pfn(*cr3 & ~0xfffUL);
    int rc = to_frame(r, vcpu, what, &pfn);

    *cr3 = xen_pfn_to_cr3(pfn);
    return rc;
}

static int make_local(const struct restore *r, unsigned vcpu, vcpu_guest_context_t *v)
{
    unsigned long start_info = v->user_regs.rdx;
    int rc = 0;

    if (v->gdt_ents > GDT_MAX)
        return fault(-EINVAL, "virtual CPU %u: a GDT of %lu entries; %u is the limit", vcpu, v->gdt_ents, GDT_MAX);
    if (!vcpu) {
        rc = to_frame(r, vcpu, "start_info", &start_info);
        v->user_regs.rdx = start_info;
    }
    for (unsigned i = 0; i < (v->gdt_ents + 511) / 512 && !rc; i++)
        rc = to_frame(r, vcpu, "its GDT", &v->gdt_frames[i]);
    rc = rc ? rc : table_to_frame(r, vcpu, "its page table", &v->ctrlreg[3]);
    return rc || !(v->ctrlreg[1] & 1) ? rc : table_to_frame(r, vcpu, "its user page table", &v->ctrlreg[1]);
}

static int set_blob(const struct restore *r, unsigned vcpu, enum ctl_vcpu_blob which, const struct xc_blob *b)
{
    return b->bytes ? ctl_vcpu_set_blob(r->c, r->domid, vcpu, which, b->data, b->bytes) : 0;
}

static int restore_vcpu(struct restore *r, unsigned vcpu)
{
    const struct xc_vcpu *from = &r->st.vcpu[vcpu];
    vcpu_guest_context_t v;

    memcpy(&v, from->basic.data, sizeof(v));
    int rc = make_local(r, vcpu, &v);

    rc = rc ? rc : ctl_vcpu_set_context(r->c, r->domid, vcpu, &v);
    rc = rc ? rc : set_blob(r, vcpu, CTL_VCPU_EXTENDED, &from->extended);
    rc = rc ? rc : set_blob(r, vcpu, CTL_VCPU_XSAVE, &from->xsave);
    return rc ? rc : set_blob(r, vcpu, CTL_VCPU_MSRS, &from->msrs);
}

int restore_vcpus(struct restore *r)
{
    int rc = 0;

    for (unsigned i = 0; i < r->st.max_vcpus && i < XC_VCPUS_MAX && !rc; i++)
        if (r->st.vcpu[i].basic.data)
            rc = restore_vcpu(r, i);
    return rc;
}
