/* SPDX-License-Identifier: MIT */
/*
 * Control calls about the processor state of PV vCPUs: the context in the ABI's form, what did not fit into it
 * (callbacks for 32-bit and sysenter), and the extended FPU state. The vCPU is paused and its state brought into
 * memory first. Whatever domain 0 gives is checked as if the guest had given it: pv/context.c.
 */
#include "domain.h"
#include "domctl.h"
#include "lib.h"
#include "log.h"
#include "page.h"
#include "port.h"
#include "x86/context.h"
#include "x86/cpu.h"
#include "x86/guest.h"
#include "x86/policy.h"
#include "x86/pv.h"
#include "x86/pv_emul.h"

#define FXSAVE_BYTES 512
#define XSTATE_BV 512      /* offset of the header in an XSAVE area */
#define XSTATE_HEADER 64
#define EXT_HEADER 16      /* what getvcpuextstate puts before the area: XCR0, and all that was ever in it */

/* The vCPU named, paused, its state in memory; or NULL. */
static struct x86_vcpu *vcpu_hold(struct domain *d, uint32_t id)
{
    struct vcpu *t = domain_vcpu(d, id);

    if (!t)
        return NULL;
    vcpu_pause(t);
    vcpu_state_sync(t);
    return to_x86(t);
}

static void vcpu_release(struct x86_vcpu *xv)
{
    vcpu_unpause(&xv->v);
}

/* --- setvcpucontext -------------------------------------------------------------------------------- */

static int context_apply(struct x86_vcpu *xv, const struct vcpu_guest_context *c)
{
    struct vcpu *t = &xv->v;
    int rc = pv_context_set(t, c);

    if (rc)
        return rc;
    if (t->id == 0)
        t->domain->vm_assist = c->vm_assist & pv_vm_assist_known;
    pv_iret_slow_update(xv);
    if (c->flags & VGCF_online)
        vcpu_up(t);
    else
        __atomic_fetch_or(&t->pause_flags, VPF_DOWN, __ATOMIC_SEQ_CST);
    return 0;
}

/* No context: back to how it was made. */
static int context_reset(struct x86_vcpu *xv)
{
    int rc;

    __atomic_fetch_or(&xv->v.pause_flags, VPF_DOWN, __ATOMIC_SEQ_CST);
    xv->v.initialised = false;
    rc = pv_vcpu_relinquish(xv);
    pv_cr3_update(xv);
    return rc;
}

long domctl_setvcpucontext(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    guest_ptr_t from = guest_ptr_of(op->u.vcpucontext.ctxt);
    struct vcpu_guest_context *c = NULL;
    struct x86_vcpu *xv;
    long rc = 0;

    if (from.va) {
        c = zalloc(sizeof(*c));
        if (!c)
            return -XEN_ENOMEM;
        rc = copy_from_guest(c, from, sizeof(*c));
    }
    if (!rc) {
        xv = vcpu_hold(d, op->u.vcpucontext.vcpu);
        rc = xv ? (c ? context_apply(xv, c) : context_reset(xv)) : -XEN_EINVAL;
        if (xv)
            vcpu_release(xv);
    }
    zfree(c);
    return rc;
}

/* --- getvcpucontext -------------------------------------------------------------------------------- */

/* The legacy part of the FPU area; a component that the processor did not save is in its initial state. */
static void get_fpu(const struct x86_vcpu *xv, uint8_t *out)
{
    uint64_t have = cpu_features.xsave ? *(const uint64_t *)((const char *)xv->fpu + XSTATE_BV) : 3;

    memcpy(out, xv->fpu, FXSAVE_BYTES);
    if (!(have & 1)) { /* x87: control word, and registers */
        memset(out, 0, 24);
        *(uint16_t *)out = 0x37f;
        memset(out + 32, 0, 128);
    }
    if (!(have & 2))
        memset(out + 160, 0, 256);
}

static void get_tables(const struct x86_vcpu *xv, struct vcpu_guest_context *c)
{
    memcpy(c->trap_ctxt, xv->trap, sizeof(c->trap_ctxt));
    c->ldt_base = xv->ldt_entries ? xv->ldt_base : 0;
    c->ldt_ents = xv->ldt_entries;
    for (unsigned i = 0; i < DIV_UP(xv->gdt_entries, 512); i++)
        c->gdt_frames[i] = xv->gdt_frames[i];
    c->gdt_ents = xv->gdt_entries;
}

static void get_control(struct x86_vcpu *xv, struct vcpu_guest_context *c)
{
    c->ctrlreg[0] = pv_guest_cr0(xv);
    c->ctrlreg[4] = pv_guest_cr4(xv);
    if (!mfn_eq(xv->root, INVALID_MFN))
        c->ctrlreg[3] = xen_pfn_to_cr3(xv->root.n);
    if (!mfn_eq(xv->root_user, INVALID_MFN))
        c->ctrlreg[1] = xen_pfn_to_cr3(xv->root_user.n);
    for (unsigned i = 0; i < 8; i++) {
        uint64_t val = 0;

        if (i != 4 && i != 5 && !pv_get_dr(&xv->v, i, &val))
            c->debugreg[i] = val;
    }
}

static void get_callbacks(const struct x86_vcpu *xv, struct vcpu_guest_context *c)
{
    c->event_callback_eip = xv->event.rip;
    c->failsafe_callback_eip = xv->failsafe.rip;
    c->syscall_callback_eip = xv->syscall_rip;
    if (xv->failsafe.mask_events)
        c->flags |= VGCF_failsafe_disables_events;
    if (xv->syscall_mask)
        c->flags |= VGCF_syscall_disables_events;
}

static void context_get(struct x86_vcpu *xv, struct vcpu_guest_context *c)
{
    c->flags = VGCF_I387_VALID;
    if (xv->kernel_mode)
        c->flags |= VGCF_in_kernel;
    if (!(READ_ONCE(xv->v.pause_flags) & VPF_DOWN))
        c->flags |= VGCF_online;
    c->user_regs = xv->regs;
    c->user_regs.rflags = (c->user_regs.rflags & ~(uint64_t)FLAG_IOPL) | (uint64_t)xv->iopl << 12;
    get_fpu(xv, (uint8_t *)&c->fpu_ctxt);
    get_tables(xv, c);
    get_control(xv, c);
    get_callbacks(xv, c);
    c->kernel_ss = xv->kernel_ss;
    c->kernel_sp = xv->kernel_sp;
    c->fs_base = xv->fs_base;
    c->gs_base_kernel = xv->gs_base_kernel;
    c->gs_base_user = xv->gs_base_user;
    c->vm_assist = xv->v.domain->vm_assist;
}

long domctl_getvcpucontext(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    struct vcpu *t = domain_vcpu(d, op->u.vcpucontext.vcpu);
    struct vcpu_guest_context *c;
    struct x86_vcpu *xv;
    long rc;

    if (!t)
        return -XEN_ESRCH;
    if (!t->initialised)
        return -XEN_ENODATA;
    c = zalloc(sizeof(*c));
    if (!c)
        return -XEN_ENOMEM;
    xv = vcpu_hold(d, t->id);
    context_get(xv, c);
    vcpu_release(xv);
    rc = copy_to_guest(guest_ptr_of(op->u.vcpucontext.ctxt), c, sizeof(*c)) ? -XEN_EFAULT : 0;
    zfree(c);
    return rc;
}

/* --- the rest of the callbacks ------------------------------------------------------------------------ */

long domctl_set_ext_vcpucontext(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    const struct xen_domctl_ext_vcpucontext *e = &op->u.ext_vcpucontext;
    struct x86_vcpu *xv;

    if (e->size < offsetof(struct xen_domctl_ext_vcpucontext, mcg_cap))
        return -XEN_EINVAL;
    if (!pv_kernel_address(e->syscall32_callback_eip) || !pv_kernel_address(e->sysenter_callback_eip))
        return -XEN_EINVAL;
    xv = vcpu_hold(d, e->vcpu);
    if (!xv)
        return -XEN_ESRCH;
    xv->syscall32 = (struct pv_callback){e->syscall32_callback_eip, e->syscall32_disables_events};
    xv->sysenter = (struct pv_callback){e->sysenter_callback_eip, e->sysenter_disables_events};
    vcpu_release(xv);
    return 0;
}

long domctl_get_ext_vcpucontext(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_ext_vcpucontext *e = &op->u.ext_vcpucontext;
    uint32_t id = e->vcpu;
    struct x86_vcpu *xv = vcpu_hold(d, id);

    if (!xv)
        return -XEN_ESRCH;
    memset(e, 0, sizeof(*e));
    e->vcpu = id;
    e->size = sizeof(*e);
    e->syscall32_callback_eip = xv->syscall32.rip;
    e->syscall32_disables_events = xv->syscall32.mask_events;
    e->sysenter_callback_eip = xv->sysenter.rip;
    e->sysenter_disables_events = xv->sysenter.mask_events;
    vcpu_release(xv);
    return 0;
}

/* --- extended FPU state ------------------------------------------------------------------------------- */

/* What may be in a vCPU's area: the components of its policy. Another host need not have more, so nothing more is given. */
static uint64_t ext_components(const struct domain *d)
{
    return (policy_xcr0(policy_of(d)) & cpu_features.xcr0) | XCR0_AT_START;
}

static uint32_t ext_area_size(const struct domain *d)
{
    return policy_xstate_size(policy_of(d), ext_components(d), false);
}

static int ext_copy_out(struct x86_vcpu *xv, guest_ptr_t to)
{
    const uint8_t *area = (const uint8_t *)xv->fpu;
    uint64_t have = *(const uint64_t *)(area + XSTATE_BV) & ext_components(xv->v.domain);
    uint64_t head[2] = {xv->xcr0, xv->xcr0 | have};
    uint64_t header[XSTATE_HEADER / 8] = {have};
    uint8_t legacy[FXSAVE_BYTES];

    get_fpu(xv, legacy);
    if (copy_to_guest(to, head, sizeof(head)) ||
        copy_to_guest(guest_ptr_add(to, EXT_HEADER), legacy, sizeof(legacy)) ||
        copy_to_guest(guest_ptr_add(to, EXT_HEADER + XSTATE_BV), header, sizeof(header)) ||
        copy_to_guest(guest_ptr_add(to, EXT_HEADER + XSTATE_BV + XSTATE_HEADER), area + XSTATE_BV + XSTATE_HEADER,
                      ext_area_size(xv->v.domain) - XSTATE_BV - XSTATE_HEADER))
        return -XEN_EFAULT;
    return 0;
}

/* The first call asks for the size: 0 if the processor has no XSAVE. */
long domctl_getvcpuextstate(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_vcpuextstate *e = &op->u.vcpuextstate;
    uint64_t size = cpu_features.xsave ? EXT_HEADER + ext_area_size(d) : 0;
    struct x86_vcpu *xv;
    long rc;

    if (!domain_vcpu(d, e->vcpu))
        return -XEN_ESRCH;
    if (!e->size && !e->xfeature_mask) {
        e->xfeature_mask = cpu_features.xsave ? cpu_features.xcr0 : 0;
        e->size = size;
        return 0;
    }
    if (!size || e->size != size || e->xfeature_mask != cpu_features.xcr0)
        return -XEN_EINVAL;
    xv = vcpu_hold(d, e->vcpu);
    rc = ext_copy_out(xv, guest_ptr_of(e->buffer));
    vcpu_release(xv);
    return rc;
}

/* XRSTOR faults on what is refused here. */
static bool ext_area_sane(uint8_t *area, uint64_t allowed)
{
    uint64_t *header = (uint64_t *)(area + XSTATE_BV);

    if (header[0] & ~allowed)
        return false;
    for (unsigned i = 1; i < XSTATE_HEADER / 8; i++) /* not compacted, reserved */
        if (header[i])
            return false;
    *(uint32_t *)(area + 24) &= 0xffff; /* MXCSR */
    return true;
}

/* What XSETBV takes; and what vCPUs start with, which one keeps whose policy has no XSAVE. */
static bool ext_xcr0_valid(const struct domain *d, uint64_t xcr0)
{
    return xcr0 == XCR0_AT_START || pv_xcr0_valid(d, xcr0);
}

static int ext_apply(struct x86_vcpu *xv, uint8_t *state, size_t area)
{
    uint64_t xcr0 = *(uint64_t *)state;

    if (!ext_xcr0_valid(xv->v.domain, xcr0))
        return -XEN_EINVAL;
    if (area && !ext_area_sane(state + EXT_HEADER, ext_components(xv->v.domain)))
        return -XEN_EINVAL;
    xv->xcr0 = xcr0;
    if (area)
        memcpy(xv->fpu, state + EXT_HEADER, area);
    return 0;
}

long domctl_setvcpuextstate(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    const struct xen_domctl_vcpuextstate *e = &op->u.vcpuextstate;
    size_t area = e->size - EXT_HEADER;
    struct x86_vcpu *xv;
    uint8_t *state;
    long rc;

    if (!domain_vcpu(d, e->vcpu))
        return -XEN_ESRCH;
    if (!cpu_features.xsave)
        return -XEN_EOPNOTSUPP;
    if (e->size < EXT_HEADER || area > cpu_features.xsave_size ||
        (area && area < FXSAVE_BYTES + XSTATE_HEADER))
        return -XEN_EINVAL;
    state = zalloc(EXT_HEADER + cpu_features.xsave_size);
    if (!state)
        return -XEN_ENOMEM;
    rc = copy_from_guest(state, guest_ptr_of(e->buffer), e->size);
    if (!rc) {
        xv = vcpu_hold(d, e->vcpu);
        rc = ext_apply(xv, state, area);
        vcpu_release(xv);
    }
    zfree(state);
    return rc;
}
