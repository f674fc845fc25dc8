/* SPDX-License-Identifier: MIT */
/* The x86 halves of domains and vCPUs: allocation, processor state at birth, what goes when a domain dies. */
#include "domain.h"
#include "domctl.h"
#include "lib.h"
#include "irq.h"
#include "log.h"
#include "logdirty_core.h"
#include "page.h"
#include "pgt.h"
#include "port.h"
#include "x86/context.h"
#include "x86/cpu.h"
#include "x86/guest.h"
#include "x86/policy.h"
#include "x86/pv.h"

#define FXSAVE_SIZE 512

struct domain *arch_domain_alloc(void)
{
    static uint32_t serials;
    struct x86_domain *xd = zalloc(sizeof(*xd));

    if (!xd)
        return NULL;
    xd->d.kind = &pv_kind;
    xd->serial = __atomic_add_fetch(&serials, 1, __ATOMIC_RELAXED);
    return &xd->d;
}

void arch_domain_free(struct domain *d)
{
    policy_domain_free(d);
    iocaps_free(d);
    zfree(to_x86d(d)->e820);
    zfree(to_x86d(d));
}

void arch_domain_info(const struct domain *d, struct xen_domctl_getdomaininfo *info)
{
    info->arch_config.emulation_flags = 0; /* a PV guest is given no emulated devices */
}

/* The initial FPU state: as after FNINIT, with MXCSR at its reset value. */
static bool fpu_init(struct x86_vcpu *xv)
{
    unsigned size = cpu_features.xsave ? cpu_features.xsave_size : FXSAVE_SIZE;
    unsigned order = 0;
    mfn_t m;

    while ((FRAME_SIZE << order) < size)
        order++;
    m = frames_alloc(order, 0); /* a frame of its own: aligned, and never next to anybody's */
    if (mfn_eq(m, INVALID_MFN))
        return false;
    xv->fpu = map_frame(m);
    memset(xv->fpu, 0, FRAME_SIZE << order);
    *(uint16_t *)xv->fpu = 0x37f;
    *(uint32_t *)((char *)xv->fpu + 24) = 0x1f80;
    if (cpu_features.xsave)
        *(uint64_t *)((char *)xv->fpu + 512) = 3; /* x87 and SSE are in the legacy area */
    return true;
}

struct vcpu *arch_vcpu_alloc(struct domain *d, unsigned id)
{
    struct x86_vcpu *xv = zalloc(sizeof(*xv));

    if (!xv)
        return NULL;
    if (!fpu_init(xv)) {
        zfree(xv);
        return NULL;
    }
    xv->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG;
    xv->cr4 = 0x660;
    /* With SSE, unlike after a reset: programs see the real CR4.OSXSAVE, whatever their kernel does, and then save what their
     * calls are given in SSE registers (ld.so does) by xsave, which saves nothing of which XCR0 does not know. */
    xv->xcr0 = cpu_features.xsave ? XCR0_AT_START : 1;
    xv->dr[6] = 0xffff0ff0;
    xv->dr[7] = 0x400;
    xv->root = xv->root_user = INVALID_MFN;
    xv->kernel_mode = 1;
    xv->iobase_kernel = TSS_IOBASE_OFF;
    for (unsigned i = 0; i < 256; i++)
        xv->trap[i].vector = (uint8_t)i;
    return &xv->v;
}

void arch_vcpu_free(struct vcpu *v)
{
    struct x86_vcpu *xv = to_x86(v);
    unsigned order = 0, size = cpu_features.xsave ? cpu_features.xsave_size : FXSAVE_SIZE;

    while ((FRAME_SIZE << order) < size)
        order++;
    if (xv->fpu)
        frames_free(mfn_of_paddr((paddr_t)((uint64_t)xv->fpu - DIRECT_VIRT)), order);
    zfree(xv);
}

/* What holds on to the domain's memory from the processor's side. Vcpus are down for good by now. */
int arch_domain_relinquish(struct domain *d)
{
    int stopping = logdirty_stop(d);

    if (stopping)
        return stopping;
    for (unsigned i = 0; i < d->max_vcpus; i++) {
        struct x86_vcpu *xv = d->vcpu[i] ? to_x86(d->vcpu[i]) : NULL;
        int rc = 0;

        if (!xv)
            continue;
        vcpu_state_sync(&xv->v);
        rc = pv_vcpu_relinquish(xv);
        if (rc)
            return rc;
    }
    pirq_domain_free(d);
    return pgt_domain_sweep(d, &to_x86d(d)->sweep);
}
