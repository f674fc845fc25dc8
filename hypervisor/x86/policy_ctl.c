/* SPDX-License-Identifier: MIT */
/*
 * Control calls about processor policies, and which policy a domain has. A domain starts with the default one,
 * shared by all; set_cpu_policy gives it its own, before it first runs. Guests of the HVM kind do not exist:
 * their policies and featuresets answer -XEN_EOPNOTSUPP.
 */
#include "x86/policy.h"

#include "domain.h"
#include "domctl.h"
#include "log.h"
#include "page.h"
#include "port.h"
#include "sysctl.h"
#include "x86/cpu.h"
#include "x86/guest.h"

#include <xen/arch-x86/cpufeatureset.h>
#include <xen/vcpu.h>

#define HANDLE(h) guest_ptr((uint64_t)(uintptr_t)(h).p)
#define LEAVES_MAX 512 /* of a caller that knows more than we; those must be zero */
#define MSRS_MAX 64

const struct cpu_policy *policy_of(const struct domain *d)
{
    const struct cpu_policy *own = to_x86d(d)->policy;

    if (own)
        return own;
    return d->hardware ? &policy_pv_hardware : &policy_pv_default;
}

void policy_domain_free(struct domain *d)
{
    zfree(to_x86d(d)->policy);
    to_x86d(d)->policy = NULL;
}

/* --- Reading ---------------------------------------------------------------------------------------- */

/* A request for the number, or the list; *nr is room and result. libxl asks for a domain's leaves without its MSRs. */
static long put_leaves(const struct cpu_policy *p, guest_ptr_t to, uint32_t *nr)
{
    xen_cpuid_leaf_t l;
    unsigned slot = 0;
    uint32_t n = 0;

    if (!to.va) {
        *nr = policy_max_leaves();
        return 0;
    }
    while (policy_next_leaf(p, &slot, &l)) {
        if (n >= *nr)
            return -XEN_ENOBUFS;
        if (put_guest(guest_ptr_add(to, n * sizeof(l)), l))
            return -XEN_EFAULT;
        n++;
    }
    *nr = n;
    return 0;
}

static long put_msrs(const struct cpu_policy *p, guest_ptr_t to, uint32_t *nr)
{
    xen_msr_entry_t m;

    if (!to.va) {
        *nr = POLICY_MSRS;
        return 0;
    }
    if (*nr < POLICY_MSRS)
        return -XEN_ENOBUFS;
    for (unsigned i = 0; i < POLICY_MSRS; i++) {
        policy_msr_entry(p, i, &m);
        if (put_guest(guest_ptr_add(to, i * sizeof(m)), m))
            return -XEN_EFAULT;
    }
    *nr = POLICY_MSRS;
    return 0;
}

static const struct cpu_policy *policy_by_index(uint32_t index)
{
    switch (index) {
    case XEN_SYSCTL_cpu_policy_raw:
        return &policy_raw;
    case XEN_SYSCTL_cpu_policy_host:
        return &policy_host;
    case XEN_SYSCTL_cpu_policy_pv_max:
        return &policy_pv_max;
    case XEN_SYSCTL_cpu_policy_pv_default:
        return &policy_pv_default;
    default:
        return NULL;
    }
}

long sysctl_get_cpu_policy(struct vcpu *v, struct xen_sysctl *op)
{
    struct xen_sysctl_cpu_policy *a = &op->u.cpu_policy;
    const struct cpu_policy *p = policy_by_index(a->index);
    long rc;

    if (a->_rsvd || a->index > XEN_SYSCTL_cpu_policy_hvm_default)
        return -XEN_EINVAL;
    if (!p)
        return -XEN_EOPNOTSUPP;
    rc = put_leaves(p, HANDLE(a->leaves), &a->nr_leaves);
    return rc ? rc : put_msrs(p, HANDLE(a->msrs), &a->nr_msrs);
}

long domctl_get_cpu_policy(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_cpu_policy *a = &op->u.cpu_policy;
    long rc = put_leaves(policy_of(d), HANDLE(a->leaves), &a->nr_leaves);

    return rc ? rc : put_msrs(policy_of(d), HANDLE(a->msrs), &a->nr_msrs);
}

static const struct cpu_policy *featureset_by_index(uint32_t index)
{
    switch (index) {
    case XEN_SYSCTL_cpu_featureset_raw:
        return &policy_raw;
    case XEN_SYSCTL_cpu_featureset_host:
        return &policy_host;
    case XEN_SYSCTL_cpu_featureset_pv:
        return &policy_pv_default;
    case XEN_SYSCTL_cpu_featureset_pv_max:
        return &policy_pv_max;
    default:
        return NULL;
    }
}

/* As tools want it: what AMD repeats from leaf 1 is not a feature of its own. */
void policy_featureset(const struct cpu_policy *p, struct cpu_featureset *f)
{
    policy_features(p, f);
    f->w[XEN_X86_FEATURE_SYSCALL / 32] &= ~POLICY_COMMON_1D;
}

long sysctl_get_cpu_featureset(struct vcpu *v, struct xen_sysctl *op)
{
    struct xen_sysctl_cpu_featureset *a = &op->u.cpu_featureset;
    const struct cpu_policy *p = featureset_by_index(a->index);
    struct cpu_featureset f;
    uint32_t n = MIN(a->nr_features, (uint32_t)POLICY_WORDS);
    bool all = a->nr_features >= POLICY_WORDS;

    if (a->index > XEN_SYSCTL_cpu_featureset_hvm_max)
        return -XEN_EINVAL;
    if (!a->features.p) {
        a->nr_features = POLICY_WORDS;
        return 0;
    }
    if (!p)
        return -XEN_EOPNOTSUPP;
    policy_featureset(p, &f);
    a->nr_features = n;
    if (copy_to_guest(HANDLE(a->features), f.w, n * sizeof(f.w[0])))
        return -XEN_EFAULT;
    return all ? 0 : -XEN_ENOBUFS;
}

long sysctl_get_cpu_levelling_caps(struct vcpu *v, struct xen_sysctl *op)
{
    op->u.cpu_levelling_caps.caps =
        cpu_features.cpuid_faulting ? XEN_SYSCTL_CPU_LEVELCAP_faulting : 0;
    return 0;
}

/* --- Setting -------------------------------------------------------------------------------------------- */

static bool has_run(const struct domain *d)
{
    for (unsigned i = 0; i < d->max_vcpus; i++) {
        const struct vcpu *v = d->vcpu ? d->vcpu[i] : NULL;

        if (v && (READ_ONCE(v->runstate.time[RUNSTATE_running]) || READ_ONCE(v->sched.running)))
            return true;
    }
    return false;
}

static long take_leaves(struct cpu_policy *p, struct xen_domctl_cpu_policy *a)
{
    xen_cpuid_leaf_t l;

    for (uint32_t i = 0; i < a->nr_leaves; i++) {
        int rc;

        if (get_guest(l, guest_ptr_add(HANDLE(a->leaves), i * sizeof(l))))
            return -XEN_EFAULT;
        rc = policy_take_leaf(p, &l);
        if (rc) {
            a->err_leaf = l.leaf;
            a->err_subleaf = l.subleaf;
            return rc;
        }
    }
    return 0;
}

static long take_msrs(struct cpu_policy *p, struct xen_domctl_cpu_policy *a)
{
    xen_msr_entry_t m;

    for (uint32_t i = 0; i < a->nr_msrs; i++) {
        int rc;

        if (get_guest(m, guest_ptr_add(HANDLE(a->msrs), i * sizeof(m))))
            return -XEN_EFAULT;
        rc = policy_take_msr(p, &m);
        if (rc) {
            a->err_msr = m.idx;
            return rc;
        }
    }
    return 0;
}

static void say_refused(const struct domain *d, const struct policy_fault *f)
{
    static const char reg[] = "abcd";

    if (f->msr != ~0U)
        log_warn("d%u: processor policy refused: MSR %#x asks for %s: %#x\n", d->id, f->msr,
                 f->what, f->bits);
    else
        log_warn("d%u: processor policy refused: CPUID leaf %#x subleaf %#x e%cx asks for %s: %#x\n",
                 d->id, f->leaf, f->subleaf == XEN_CPUID_NO_SUBLEAF ? 0 : f->subleaf,
                 reg[f->reg & 3], f->what, f->bits);
}

/*
 * p: the domain's policy with the caller's values over it. An emulated counter is invariant whatever the processor's
 * is, so that may be promised (xl does).
 */
static long policy_audit(const struct domain *d, struct cpu_policy *p,
                         struct xen_domctl_cpu_policy *a)
{
    struct policy_fault f;
    uint32_t *power = p->r[policy_slot(0x80000007, 0)];
    uint32_t promise = to_x86d(d)->tsc.emulated ? power[EDX] & 1U << XEN_X86_FEATURE_ITSC % 32 : 0;
    int rc;

    power[EDX] &= ~promise;
    rc = policy_check(p, &policy_pv_max, &f);
    power[EDX] |= promise;
    if (rc) {
        a->err_leaf = f.leaf;
        a->err_subleaf = f.subleaf;
        a->err_msr = f.msr;
        say_refused(d, &f);
        return rc;
    }
    policy_force(p, &policy_pv_max);
    return 0;
}

/* p becomes d's policy, unless d has run. It does not run now: nobody looks at the old one. */
static long policy_install(struct domain *d, struct cpu_policy *p)
{
    if (has_run(d))
        return -XEN_EEXIST; /* programs have seen the other one */
    policy_domain_free(d);
    to_x86d(d)->policy = p;
    return 0;
}

/* The domctl lock is held and d is not the caller's. */
long domctl_set_cpu_policy(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_cpu_policy *a = &op->u.cpu_policy;
    struct cpu_policy *p;
    long rc;

    a->err_leaf = a->err_subleaf = a->err_msr = ~0U;
    if (a->nr_leaves > LEAVES_MAX || a->nr_msrs > MSRS_MAX)
        return -XEN_E2BIG;
    p = zalloc(sizeof(*p));
    if (!p)
        return -XEN_ENOMEM;
    *p = *policy_of(d);
    rc = take_leaves(p, a);
    if (!rc)
        rc = take_msrs(p, a);
    if (!rc)
        rc = policy_audit(d, p, a);
    if (!rc) {
        domain_pause(d); /* another control call may let it go meanwhile */
        rc = policy_install(d, p);
        domain_unpause(d);
    }
    if (rc)
        zfree(p);
    return rc;
}
