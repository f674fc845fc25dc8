/* SPDX-License-Identifier: MIT */
/*
 * Entering a PV guest's kernel: the "bounce frame" on its stack and the new register state.
 *
 * The frame, from the new stack pointer up (ABI: arch-x86/xen-x86_64.h and what PV kernels expect):
 *
 *     rcx r11 [ds es fs gs: failsafe only] [error code] rip cs|mask<<32 rflags rsp ss
 *
 * cs has its privilege bits cleared if the kernel itself was interrupted; rflags shows IF as the inverse of
 * the vCPU's upcall mask. rcx and r11 being on the frame, the kernel may be entered by sysret.
 */
#include "lib.h"
#include "log.h"
#include "logdirty.h"
#include "port.h"
#include "x86/cpu.h"
#include "x86/guest.h"
#include "x86/mm.h"
#include "x86/pv.h"
#include "x86/uaccess.h"

#define FRAME_MAX 12

struct frame {
    uint64_t word[FRAME_MAX];
    unsigned n;
};

/* cr3 and GS base of the other mode. The current vCPU only. */
void pv_toggle_mode(struct x86_vcpu *xv)
{
    struct cpu_info *ci = cpu_info();
    uint64_t cr3;

    xv->kernel_mode ^= 1;
    cr3 = xv->kernel_mode ? xv->cr3_kernel : xv->cr3_user;
    *ci->tss_iobase = xv->kernel_mode ? xv->iobase_kernel : TSS_IOBASE_OFF;
    ci->guest_cr3 = cr3;
    __asm__ volatile("swapgs");
    write_cr3(cr3);
}

static bool push_frame(struct x86_vcpu *xv, regs_t *regs, uint64_t sp, const uint64_t *w, unsigned n)
{
    if (copy_to_guest(guest_ptr(sp), w, n * 8)) {
        domain_crash(xv->v.domain, "vcpu %u: no room for an exception frame on the kernel stack at %lx (rip %lx)",
                     xv->v.id, sp, regs->rip);
        return false;
    }
    return true;
}

/* Enter the kernel at cs:rip. `extra` words (n of them) go between r11 and rip. */
static bool bounce(struct x86_vcpu *xv, regs_t *regs, uint64_t rip, uint16_t cs, bool mask_events,
                   const uint64_t *extra, unsigned n_extra)
{
    struct vcpu_info *info = xv->v.info;
    uint8_t mask = READ_ONCE(info->evtchn_upcall_mask) & 1;
    uint64_t w[FRAME_MAX], sp;
    unsigned n = 0;
    uint16_t old_cs = regs->cs;

    if (xv->kernel_mode) {
        sp = regs->rsp & ~15UL;
        old_cs &= (uint16_t)~3U;
    } else {
        pv_toggle_mode(xv);
        sp = xv->kernel_sp & ~15UL;
    }
    w[n++] = regs->rcx;
    w[n++] = regs->r11;
    for (unsigned i = 0; i < n_extra; i++)
        w[n++] = extra[i];
    w[n++] = regs->rip;
    w[n++] = old_cs | ((uint64_t)mask << 32);
    w[n++] = (regs->rflags & ~(FLAG_IF | FLAG_IOPL)) | (mask ? 0 : FLAG_IF) |
             ((xv->v.domain->vm_assist & BIT(VMASST_TYPE_architectural_iopl)) ? (uint64_t)xv->iopl << 12 : 0);
    w[n++] = regs->rsp;
    w[n++] = regs->ss;
    sp -= n * 8;
    if (!push_frame(xv, regs, sp, w, n))
        return false;
    if (mask_events)
        WRITE_ONCE(info->evtchn_upcall_mask, 1);
    regs->rip = rip;
    regs->cs = cs;
    regs->rflags &= ~(FLAG_TF | FLAG_RF | FLAG_NT | FLAG_VM | FLAG_AC);
    regs->rsp = sp;
    regs->ss = FLAT_KERNEL_SS;
    regs->entry_vector = cs == FLAT_KERNEL_CS ? TRAP_SYSCALL : 0;
    return true;
}

static bool bounce_callback(struct x86_vcpu *xv, uint64_t rip, bool mask_events, const char *what)
{
    if (unlikely(!rip)) {
        domain_crash(xv->v.domain, "vcpu %u: no %s callback registered", xv->v.id, what);
        return false;
    }
    return bounce(xv, guest_regs(), rip, FLAT_KERNEL_CS, mask_events, NULL, 0);
}

static void inject(struct x86_vcpu *xv, unsigned vector, const uint64_t *error)
{
    const struct trap_info *ti = &xv->trap[vector];
    regs_t *regs = guest_regs();

    if (unlikely(!ti->address)) {
        domain_crash(xv->v.domain, "vcpu %u: exception %u (error %lx) at %lx without a handler", xv->v.id,
                     vector, error ? *error : 0, regs->rip);
        return;
    }
    bounce(xv, regs, ti->address, ti->cs, TI_GET_IF(ti), error, error ? 1 : 0);
}

static bool has_error_code(unsigned vector)
{
    return (BIT(8) | BIT(10) | BIT(11) | BIT(12) | BIT(13) | BIT(14) | BIT(17) | BIT(21)) & BIT(vector & 31);
}

void pv_inject_exception(struct vcpu *v, unsigned vector, uint32_t error)
{
    uint64_t code = error;

    inject(to_x86(v), vector, has_error_code(vector) ? &code : NULL);
}

void pv_inject_software(struct vcpu *v, unsigned vector)
{
    inject(to_x86(v), vector, NULL);
}

void pv_inject_page_fault(struct vcpu *v, uint64_t addr, uint32_t error)
{
    struct x86_vcpu *xv = to_x86(v);
    uint64_t code = xv->kernel_mode ? error & ~4U : error | 4U; /* the guest's idea of user */

    xv->cr2 = addr;
    v->info->arch.cr2 = addr;
    inject(xv, 14, &code);
}

void pv_syscall_from_user(struct x86_vcpu *xv, regs_t *regs)
{
    bounce_callback(xv, xv->syscall_rip, xv->syscall_mask, "syscall");
    regs->rflags &= ~FLAG_DF; /* as a kernel asks of its own syscall entry */
}

/* A compatibility-mode program: without a callback the guest sees #GP... of the instruction, which is two
 * bytes long. */
void pv_syscall32_from_user(struct x86_vcpu *xv, regs_t *regs)
{
    regs->rcx = regs->rip;
    regs->entry_vector = 0;
    if (xv->syscall32.rip) {
        bounce(xv, regs, xv->syscall32.rip, FLAT_KERNEL_CS, xv->syscall32.mask_events, NULL, 0);
        return;
    }
    regs->rip -= 2;
    pv_inject_exception(&xv->v, 6, 0);
}

/* From the short way in entry.S: the kernel's stack cannot be written. */
void pv_syscall_stack_fault(struct x86_vcpu *xv)
{
    domain_crash(xv->v.domain, "vcpu %u: no room for a system call's frame on the kernel stack at %lx", xv->v.id,
                 xv->kernel_sp);
}

void pv_deliver_event(struct x86_vcpu *xv)
{
    bounce_callback(xv, xv->event.rip, true, "event");
}

void pv_failsafe(struct x86_vcpu *xv)
{
    regs_t *regs = guest_regs();
    uint16_t ds, es, fs, gs;
    uint64_t sel[4];

    __asm__ volatile("mov %%ds, %0; mov %%es, %1; mov %%fs, %2; mov %%gs, %3"
                     : "=r"(ds), "=r"(es), "=r"(fs), "=r"(gs));
    sel[0] = ds;
    sel[1] = es;
    sel[2] = fs;
    sel[3] = gs;
    if (!xv->failsafe.rip) {
        domain_crash(xv->v.domain, "vcpu %u: iret to %x:%lx, stack %x:%lx refused, and no failsafe callback",
                     xv->v.id, regs->cs, regs->rip, regs->ss, regs->rsp);
        return;
    }
    bounce(xv, regs, xv->failsafe.rip, FLAT_KERNEL_CS, xv->failsafe.mask_events, sel, 4);
}

void pv_iret_slow_update(struct x86_vcpu *xv)
{
    xv->iret_slow = xv->nmi_masked || (xv->v.domain->vm_assist & BIT(VMASST_TYPE_architectural_iopl)) ||
                    domain_logged(xv->v.domain);
}

static void deliver_nmi(struct x86_vcpu *xv)
{
    const struct trap_info *ti = &xv->trap[2];
    regs_t *regs = guest_regs();

    xv->nmi_pending = false;
    if (xv->nmi.rip)
        xv->nmi_masked = bounce(xv, regs, xv->nmi.rip, FLAT_KERNEL_CS, true, NULL, 0);
    else if (ti->address)
        xv->nmi_masked = bounce(xv, regs, ti->address, ti->cs, true, NULL, 0);
    pv_iret_slow_update(xv);
}

void pv_slow_return(struct x86_vcpu *xv)
{
    uint64_t flags = __atomic_exchange_n(&xv->slow_flags, 0, __ATOMIC_SEQ_CST);

    if ((flags & XVF_NMI) && xv->nmi_pending && !xv->nmi_masked)
        deliver_nmi(xv);
}
