/* SPDX-License-Identifier: MIT */
/*
 * The iret hypercall: a PV kernel's way back to its user mode, or to a place in itself with the right
 * event mask. The context is on the guest's stack (struct iret_context): rax r11 rcx flags rip cs rflags rsp ss.
 */
#include "lib.h"
#include "log.h"
#include "port.h"
#include "x86/cpu.h"
#include "x86/guest.h"
#include "x86/hypercalls.h"
#include "x86/pv.h"

long do_iret(struct vcpu *v, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
    struct x86_vcpu *xv = to_x86(v);
    regs_t *regs = guest_regs();
    struct iret_context c;

    if (unlikely(copy_from_guest(&c, guest_ptr(regs->rsp), sizeof(c)))) {
        domain_crash(v->domain, "vcpu %u: iret with an unreadable stack %lx", v->id, regs->rsp);
        return 0;
    }
    if ((c.cs & 3) == 3) {
        if (unlikely(!xv->cr3_user)) {
            domain_crash(v->domain, "vcpu %u: iret to user mode without a user page table", v->id);
            return 0;
        }
        pv_toggle_mode(xv);
    }
    if (xv->v.domain->vm_assist & BIT(VMASST_TYPE_architectural_iopl))
        pv_set_iopl(xv, (c.rflags >> 12) & 3);
    regs->rip = c.rip;
    regs->cs = (uint16_t)(c.cs | 3);
    regs->rflags = (c.rflags & ~(FLAG_IOPL | FLAG_VM | FLAG_VIF | FLAG_VIP | FLAG_NT)) | FLAG_IF | 2;
    regs->rsp = c.rsp;
    regs->ss = (uint16_t)(c.ss | 3);
    if (c.flags & VGCF_in_syscall) {
        regs->entry_vector = TRAP_SYSCALL;
        regs->cs = FLAT_USER_CS64;
        regs->ss = FLAT_USER_SS64;
    } else {
        regs->entry_vector = 0;
        regs->r11 = c.r11;
        regs->rcx = c.rcx;
    }
    WRITE_ONCE(v->info->evtchn_upcall_mask, !(c.rflags & FLAG_IF));
    if (unlikely(xv->nmi_masked)) {
        xv->nmi_masked = false;
        pv_iret_slow_update(xv);
        if (xv->nmi_pending)
            __atomic_fetch_or(&xv->slow_flags, XVF_NMI, __ATOMIC_SEQ_CST);
    }
    return (long)c.rax;
}
