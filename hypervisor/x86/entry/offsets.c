/* SPDX-License-Identifier: MIT */
/* Structure offsets for assembly: compiled to text only; the Makefile turns it into gen/offsets.h. */
#include "x86/guest.h"
#include "x86/cpu.h"

#define DEFINE(sym, val) __asm__ volatile("->" #sym " %0 " #val : : "i"(val))
#define REG(sym, f) DEFINE(sym, offsetof(regs_t, f))
#define INFO(sym, f) DEFINE(sym, offsetof(struct cpu_info, f))
#define VCPU(sym, f) DEFINE(sym, offsetof(struct x86_vcpu, f))

void offsets(void);
void offsets(void)
{
    REG(R_r15, r15);
    REG(R_r14, r14);
    REG(R_r13, r13);
    REG(R_r12, r12);
    REG(R_rbp, rbp);
    REG(R_rbx, rbx);
    REG(R_r11, r11);
    REG(R_r10, r10);
    REG(R_r9, r9);
    REG(R_r8, r8);
    REG(R_rax, rax);
    REG(R_rcx, rcx);
    REG(R_rdx, rdx);
    REG(R_rsi, rsi);
    REG(R_rdi, rdi);
    REG(R_error, error_code);
    REG(R_vector, entry_vector);
    REG(R_rip, rip);
    REG(R_cs, cs);
    REG(R_rflags, rflags);
    REG(R_rsp, rsp);
    REG(R_ss, ss);
    REG(R_es, es);
    INFO(CPU_regs, regs);
    INFO(CPU_current, current);
    INFO(CPU_number, cpu);
    INFO(CPU_softirq, softirq_pending);
    INFO(CPU_cr3, guest_cr3);
    INFO(CPU_iobase, tss_iobase);
    DEFINE(CPU_INFO_SIZE, sizeof(struct cpu_info));
    VCPU(V_info, v.info);
    VCPU(V_kernel_mode, kernel_mode);
    VCPU(V_cr3_kernel, cr3_kernel);
    VCPU(V_cr3_user, cr3_user);
    VCPU(V_kernel_sp, kernel_sp);
    VCPU(V_syscall_rip, syscall_rip);
    VCPU(V_syscall_mask, syscall_mask);
    VCPU(V_slow_flags, slow_flags);
    VCPU(V_restart, hcall_restart);
    VCPU(V_fault, fault_addr);
    VCPU(V_iobase_kernel, iobase_kernel);
    VCPU(V_iret_slow, iret_slow);
#define IRET(f) DEFINE(IRET_##f, offsetof(struct iret_context, f))
    IRET(rax);
    IRET(r11);
    IRET(rcx);
    IRET(flags);
    IRET(rip);
    IRET(cs);
    IRET(rflags);
    IRET(rsp);
    IRET(ss);
}
