/* SPDX-License-Identifier: MIT */
/*
 * A PV vCPU's processor state as the ABI writes it down (struct vcpu_guest_context): given by the guest for its
 * secondary vCPUs, and later by the tools for restored ones. Everything in it is checked as the single
 * hypercalls check it.
 */
#include "domain.h"
#include "lib.h"
#include "log.h"
#include "page.h"
#include "pgt.h"
#include "port.h"
#include "x86/guest.h"
#include "x86/pv.h"
#include "x86/pv_emul.h"

/* What a guest may have in its flags register: arithmetic, TF, DF, RF, AC, ID. */
#define FLAGS_OF_GUEST 0x250dd5ULL
#define LDT_PAGES 16

static bool context_sane(const struct vcpu_guest_context *c)
{
    const uint64_t addrs[] = {c->user_regs.rip, c->kernel_sp, c->event_callback_eip,
                              c->failsafe_callback_eip, c->syscall_callback_eip, c->fs_base,
                              c->gs_base_kernel, c->gs_base_user};

    for (unsigned i = 0; i < ARRAY_SIZE(addrs); i++)
        if (!pv_kernel_address(addrs[i]))
            return false;
    for (unsigned i = 0; i < 256; i++)
        if (!pv_kernel_address(c->trap_ctxt[i].address))
            return false;
    return c->gdt_ents <= FIRST_RESERVED_GDT_ENTRY && c->ldt_ents <= 8192 &&
           !(c->ldt_ents && (c->ldt_base & (FRAME_SIZE - 1)));
}

static void copy_registers(struct x86_vcpu *xv, const struct vcpu_guest_context *c)
{
    xv->regs = c->user_regs;
    xv->regs.entry_vector = 0;
    xv->regs.error_code = 0;
    xv->regs.cs |= 3;
    xv->regs.ss |= 3;
    xv->regs.rflags = (xv->regs.rflags & FLAGS_OF_GUEST) | FLAG_IF | 2;
    xv->iopl = (c->user_regs.rflags >> 12) & 3;
    xv->iobase_kernel = xv->iopl && xv->v.domain->hardware ? TSS_IOBASE_ON : TSS_IOBASE_OFF;
    xv->kernel_ss = c->kernel_ss | 3;
    xv->kernel_sp = c->kernel_sp;
    xv->kernel_mode = !!(c->flags & VGCF_in_kernel);
    for (unsigned i = 0; i < 256; i++) {
        xv->trap[i] = c->trap_ctxt[i];
        xv->trap[i].vector = (uint8_t)i;
        xv->trap[i].cs |= 3;
    }
    xv->fs_base = c->fs_base;
    xv->gs_base_kernel = c->gs_base_kernel;
    xv->gs_base_user = c->gs_base_user;
    xv->cr0 = (xv->cr0 & ~(uint64_t)CR0_TS) | (c->ctrlreg[0] & CR0_TS);
    if (c->ctrlreg[4])
        pv_context_cr4(xv, c->ctrlreg[4]);
}

static int copy_debug_registers(struct x86_vcpu *xv, const struct vcpu_guest_context *c)
{
    static const unsigned order[] = {0, 1, 2, 3, 6, 7};

    for (unsigned i = 0; i < ARRAY_SIZE(order); i++)
        if (pv_set_dr(&xv->v, order[i], c->debugreg[order[i]]))
            return -XEN_EINVAL;
    return 0;
}

static void copy_callbacks(struct x86_vcpu *xv, const struct vcpu_guest_context *c)
{
    xv->event.rip = c->event_callback_eip;
    xv->event.mask_events = true;
    xv->failsafe.rip = c->failsafe_callback_eip;
    xv->failsafe.mask_events = c->flags & VGCF_failsafe_disables_events;
    xv->syscall_rip = c->syscall_callback_eip;
    xv->syscall_mask = !!(c->flags & VGCF_syscall_disables_events);
}

/* The FPU image in the context is in FXSAVE form. */
static void copy_fpu(struct x86_vcpu *xv, const struct vcpu_guest_context *c)
{
    if (!(c->flags & VGCF_I387_VALID))
        return;
    memcpy(xv->fpu, &c->fpu_ctxt, 512);
    *(uint32_t *)((char *)xv->fpu + 24) &= 0xffff; /* MXCSR: reserved bits would fault */
    if (cpu_features.xsave)
        *(uint64_t *)((char *)xv->fpu + 512) |= 3; /* what the context cannot say (AVX) stays: the tools set contexts they have read */
}

static int take_root(struct x86_vcpu *xv, uint64_t cr3, mfn_t *out)
{
    mfn_t m = mfn(xen_cr3_to_pfn(cr3));
    int rc;

    if (!mfn_valid(m))
        return -XEN_EINVAL;
    rc = pgt_get_page(page_of_guest(m), xv->v.domain, PGT_L4, true);
    if (!rc)
        *out = m;
    return rc;
}

static void drop_root(mfn_t root)
{
    if (!mfn_eq(root, INVALID_MFN))
        (void)pgt_put_page(page_of(root), true); /* a leftover needs no owner: pgt.c */
}

/* All that holds references, taken before what v has is given up. */
struct context_refs {
    mfn_t root, root_user;
    mfn_t ldt[LDT_PAGES];
    unsigned nr_ldt;
};

static void refs_drop(struct context_refs *r)
{
    pv_ldt_frames_drop(r->ldt, r->nr_ldt);
    drop_root(r->root);
    drop_root(r->root_user);
}

static int refs_take(struct x86_vcpu *xv, const struct vcpu_guest_context *c, struct context_refs *r)
{
    unsigned pages = (unsigned)DIV_UP(c->ldt_ents, 512);
    int rc;

    *r = (struct context_refs){.root = INVALID_MFN, .root_user = INVALID_MFN};
    rc = take_root(xv, c->ctrlreg[3], &r->root);
    if (!rc && c->ctrlreg[1])
        rc = take_root(xv, c->ctrlreg[1], &r->root_user);
    if (!rc && pages) {
        rc = pv_ldt_frames_get(&xv->v, r->root, c->ldt_base, pages, r->ldt);
        if (!rc)
            r->nr_ldt = pages;
    }
    if (!rc)
        rc = pv_gdt_set(xv, (const uint64_t *)c->gdt_frames, (unsigned)c->gdt_ents);
    if (rc)
        refs_drop(r);
    return rc;
}

int pv_context_set(struct vcpu *v, const struct vcpu_guest_context *c)
{
    struct x86_vcpu *xv = to_x86(v);
    mfn_t old_root = xv->root, old_user = xv->root_user;
    struct context_refs r;
    int rc;

    if (!context_sane(c))
        return -XEN_EINVAL;
    rc = copy_debug_registers(xv, c);
    if (!rc)
        rc = refs_take(xv, c, &r);
    if (rc)
        return rc;
    xv->root = r.root;
    xv->root_user = r.root_user;
    drop_root(old_root);
    drop_root(old_user);
    pv_ldt_drop(xv);
    memcpy(xv->ldt_frames, r.ldt, sizeof(r.ldt));
    xv->ldt_base = c->ldt_base;
    xv->ldt_entries = (uint32_t)c->ldt_ents;
    copy_registers(xv, c);
    copy_callbacks(xv, c);
    copy_fpu(xv, c);
    pv_cr3_update(xv);
    pv_iret_slow_update(xv);
    if (!xv->kernel_mode && !xv->cr3_user)
        xv->kernel_mode = 1;
    v->initialised = true;
    return 0;
}

int pv_vcpu_relinquish(struct x86_vcpu *xv)
{
    mfn_t *roots[] = {&xv->root, &xv->root_user};

    if (xv->drain) {
        int rc = pgt_drain(xv->drain, true);

        if (rc)
            return rc;
        xv->drain = NULL;
    }
    pv_gdt_drop(xv);
    pv_ldt_drop(xv);
    for (unsigned i = 0; i < 2; i++) {
        mfn_t m = *roots[i];

        if (mfn_eq(m, INVALID_MFN))
            continue;
        *roots[i] = INVALID_MFN;
        if (pgt_put_page(page_of(m), true)) {
            xv->drain = page_of(m);
            return -XEN_ERESTART;
        }
    }
    return 0;
}

static int vcpu_initialise(struct vcpu *v, guest_ptr_t from)
{
    struct vcpu_guest_context *c = zalloc(sizeof(*c));
    int rc = -XEN_ENOMEM;

    if (c) {
        rc = copy_from_guest(c, from, sizeof(*c));
        if (!rc)
            rc = pv_context_set(v, c);
    }
    zfree(c);
    return rc;
}

const struct guest_kind pv_kind = {
    .name = "PV",
    .vcpu_initialise = vcpu_initialise,
};
