/* SPDX-License-Identifier: MIT */
/* Control calls: TSC modes, and the registers of a vCPU that are listed by number when a guest is saved. */
#include "domain.h"
#include "domctl.h"
#include "lib.h"
#include "port.h"
#include "vtime.h"
#include "x86/context.h"
#include "x86/guest.h"

#define HANDLE(h) guest_ptr((uint64_t)(uintptr_t)(h).p)

/* The counter changes for vCPUs only while none of them is in a processor; they are loaded anew afterwards. */
long domctl_settscinfo(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    long rc;

    domain_pause(d);
    for (unsigned i = 0; i < d->max_vcpus; i++)
        if (d->vcpu[i])
            vcpu_state_sync(d->vcpu[i]);
    rc = guest_tsc_set(d, &op->u.tsc_info);
    for (unsigned i = 0; i < d->max_vcpus; i++)
        if (d->vcpu[i])
            vtime_forget_vcpu(d->vcpu[i]);
    domain_unpause(d);
    return rc;
}

long domctl_gettscinfo(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    guest_tsc_get(d, &op->u.tsc_info);
    return 0;
}

/* Only TSC_AUX: what else a PV guest can write is in its context, or is nothing that lasts. */
#define VCPU_MSRS 1

long domctl_get_vcpu_msrs(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_vcpu_msrs *a = &op->u.vcpu_msrs;
    struct vcpu *t = domain_vcpu(d, a->vcpu);
    xen_domctl_vcpu_msr_t m = {.index = MSR_TSC_AUX};

    if (!t || t == v)
        return -XEN_EINVAL;
    if (!a->msrs.p) {
        a->msr_count = VCPU_MSRS;
        return 0;
    }
    m.value = READ_ONCE(to_x86(t)->tsc_aux);
    if (m.value && !a->msr_count) {
        a->msr_count = VCPU_MSRS;
        return -XEN_ENOBUFS;
    }
    if (m.value && put_guest(HANDLE(a->msrs), m))
        return -XEN_EFAULT;
    a->msr_count = m.value ? 1 : 0;
    return 0;
}

/* Registers that we do not keep are accepted if they are zero: as if nobody had mentioned them. */
static bool vcpu_msr_set(struct vcpu *t, const xen_domctl_vcpu_msr_t *m)
{
    if (m->reserved)
        return false;
    if (m->index != MSR_TSC_AUX)
        return !m->value;
    if (m->value >> 32 || (m->value && !cpu_features.rdtscp))
        return false;
    to_x86(t)->tsc_aux = (uint32_t)m->value;
    return true;
}

long domctl_set_vcpu_msrs(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_vcpu_msrs *a = &op->u.vcpu_msrs;
    struct vcpu *t = domain_vcpu(d, a->vcpu);
    uint32_t n = a->msr_count, i;
    xen_domctl_vcpu_msr_t m;
    long rc = 0;

    if (!t || n > FRAME_SIZE / sizeof(m))
        return -XEN_EINVAL;
    vcpu_pause(t);
    vcpu_state_sync(t); /* loaded anew when it next runs */
    for (i = 0; i < n && !rc; i++) {
        if (get_guest(m, guest_ptr_add(HANDLE(a->msrs), i * sizeof(m))))
            rc = -XEN_EFAULT;
        else if (!vcpu_msr_set(t, &m))
            rc = -XEN_EINVAL;
    }
    if (rc)
        a->msr_count = i - 1;
    vcpu_unpause(t);
    return rc;
}
