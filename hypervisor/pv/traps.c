/* SPDX-License-Identifier: MIT */
/*
 * A PV guest's exceptions: emulate what PV promises to emulate, hand the rest to the guest's own trap table.
 * Runs with interrupts on; regs is the guest's frame.
 */
#include "lib.h"
#include "log.h"
#include "logdirty.h"
#include "port.h"
#include "x86/cpu.h"
#include "x86/layout.h"
#include "x86/mm.h"
#include "x86/pv.h"

#define PF_PRESENT 1
#define PF_WRITE 2
#define PF_USER 4
#define PF_RESERVED 8

/* iretq in ring 3 makes the emulator of Debian 12 (QEMU 7.2) read the stack as if by the kernel, which SMAP forbids;
 * a processor does not do so. The instruction is then done here: it can only lead to ring 3 again, and what it
 * loads goes through the same final iret as everything else. */
static bool far_return(regs_t *regs)
{
    uint64_t w[5];
    uint8_t op[2];

    if (copy_from_guest(op, guest_ptr(regs->rip), 2) || op[0] != 0x48 || op[1] != 0xcf ||
        copy_from_guest(w, guest_ptr(regs->rsp), sizeof(w)))
        return false;
    regs->rip = w[0];
    regs->cs = (uint16_t)(w[1] | 3);
    regs->rflags = (w[2] & ~(FLAG_IOPL | FLAG_VM | FLAG_VIF | FLAG_VIP)) | FLAG_IF | 2;
    regs->rsp = w[3];
    regs->ss = (uint16_t)(w[4] | 3);
    regs->entry_vector = 0;
    return true;
}

static void page_fault(struct x86_vcpu *xv, regs_t *regs, uint64_t addr)
{
    struct vcpu *v = &xv->v;
    uint32_t error = regs->error_code;

    if (unlikely(!(error & PF_USER)) && cpu_features.smap && far_return(regs))
        return;

    if (domain_logged(v->domain) && mirror_fault(xv, addr, error))
        return;
    if (error & PF_RESERVED) {
        domain_crash(v->domain, "reserved bit set in a page table that was checked (address %lx)", addr);
        return;
    }
    /* A write to a present page by the kernel: perhaps to one of its page tables. */
    if ((error & (PF_PRESENT | PF_WRITE)) == (PF_PRESENT | PF_WRITE) && xv->kernel_mode &&
        (addr < HYP_VIRT_START || addr >= HYP_VIRT_END) && pv_emulate_pt_write(v, regs, addr))
        return;
    pv_inject_page_fault(v, addr, error);
}

/* int n through a gate the processor would not let the guest use. The vector is taken from the instruction:
 * the emulator in Debian 12 misreports it in the error code. */
static bool software_interrupt(struct x86_vcpu *xv, regs_t *regs)
{
    uint8_t op[2];
    struct trap_info *ti;

    if (copy_from_guest(op, guest_ptr(regs->rip), 2) || op[0] != 0xcd)
        return false;
    ti = &xv->trap[op[1]];
    if (!ti->address || TI_GET_DPL(ti) < (xv->kernel_mode ? 1 : 3))
        return false;
    regs->rip += 2;
    pv_inject_software(&xv->v, op[1]);
    return true;
}

static void general_protection(struct x86_vcpu *xv, regs_t *regs)
{
    if ((regs->error_code & 3) == 2) { /* refers to the IDT */
        uint8_t op[2];

        if (software_interrupt(xv, regs))
            return;
        /* give the guest the error code the manual promises */
        if (!copy_from_guest(op, guest_ptr(regs->rip), 2) && op[0] == 0xcd)
            regs->error_code = (uint32_t)op[1] * 8 + 2;
    } else if (regs->error_code == 0 && pv_emulate_privileged(&xv->v, regs)) {
        return;
    }
    pv_inject_exception(&xv->v, 13, regs->error_code);
}

static void debug_trap(struct x86_vcpu *xv)
{
    uint64_t dr6;

    __asm__ volatile("mov %%dr6, %0" : "=r"(dr6));
    __asm__ volatile("mov %0, %%dr6" ::"r"(0xffff0ff0UL));
    xv->dr[6] = dr6 | (xv->dr[6] & 0xf);
    pv_inject_exception(&xv->v, 1, 0);
}

static void no_coprocessor(struct x86_vcpu *xv)
{
    /* TS is only ever set because the guest asked for it; the trap clears it, as the ABI says. */
    __asm__ volatile("clts");
    if (xv->cr0 & CR0_TS) {
        xv->cr0 &= ~CR0_TS;
        pv_inject_exception(&xv->v, 7, 0);
    }
}

/* Writes the byte at va as it is. */
static void code_touch(struct vcpu *v, uint64_t va)
{
    uint64_t pte;
    struct page *pg = pv_lookup_va(v, va, &pte);
    uint8_t *frame;

    if (!pg)
        return;
    frame = map_frame(mfn_of(pg));
    __asm__ volatile("lock orb $0, %0" : "+m"(frame[va & ~FRAME_MASK]));
    unmap_frame(frame);
    put_page(pg);
}

/* A breakpoint that is not where it was met: another vCPU has replaced it just now. The emulator in Debian 12 may go on
 * meeting it for ever, if it translated the code while that was written; a write makes it look again. */
static void breakpoint(struct x86_vcpu *xv, regs_t *regs)
{
    uint8_t op;

    if (!copy_from_guest(&op, guest_ptr(regs->rip - 1), 1) && op != 0xcc && op != 3) /* int3, and the end of int $3 */
        code_touch(&xv->v, regs->rip - 1);
    pv_inject_software(&xv->v, 3);
}

void pv_trap(struct x86_vcpu *xv, regs_t *regs)
{
    unsigned vector = regs->entry_vector;

    switch (vector) {
    case 14:
        /* cr2 was saved by the entry code before interrupts came on */
        page_fault(xv, regs, xv->fault_addr);
        break;
    case 13:
        general_protection(xv, regs);
        break;
    case 6:
        if (!pv_emulate_forced_cpuid(&xv->v, regs))
            pv_inject_exception(&xv->v, 6, 0);
        break;
    case 7:
        no_coprocessor(xv);
        break;
    case 1:
        debug_trap(xv);
        break;
    case 3:
        breakpoint(xv, regs);
        break;
    case 4:
        pv_inject_software(&xv->v, vector);
        break;
    default:
        pv_inject_exception(&xv->v, vector, regs->error_code);
    }
}
