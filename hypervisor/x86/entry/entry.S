/* SPDX-License-Identifier: MIT */
/*
 * Every way into the hypervisor from a guest and every way back.
 *
 * The frame (regs_t, the ABI's cpu_user_regs) is at the top of the CPU's stack when we come from a guest:
 *
 *   rsp0 -> ss rsp rflags cs rip | vector:error | rdi rsi rdx rcx rax r8..r11 rbx rbp r12..r15 <- rsp
 *
 * and anywhere below it when the hypervisor itself was interrupted. Segment registers and the FS and GS
 * bases stay the guest's all the time; per-CPU data is found by masking the stack pointer.
 */
#include "x86/layout.h"
#include "offsets.h"

#define EX_TABLE(at, fixup) \
    .pushsection .ex_table, "a"; .balign 8; .long (at) - .; .long (fixup) - .; .popsection

    .text

.macro SAVE_REGS
    push %rdi
    push %rsi
    push %rdx
    push %rcx
    push %rax
    push %r8
    push %r9
    push %r10
    push %r11
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
.endm

.macro RESTORE_REGS
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rax
    pop %rcx
    pop %rdx
    pop %rsi
    pop %rdi
.endm

/* Becomes clac where SMAP is on (cpu/setup.c). */
.macro CLAC_SITE
.Lclac\@:
    .byte 0x0f, 0x1f, 0x00
    .pushsection .clac_sites, "a"; .balign 4; .long .Lclac\@ - .; .popsection
.endm

/* Becomes stac there. */
.macro STAC_SITE
.Lstac\@:
    .byte 0x0f, 0x1f, 0x00
    .pushsection .stac_sites, "a"; .balign 4; .long .Lstac\@ - .; .popsection
.endm

/* One instruction that touches guest memory; a fault goes on at `fixup`. */
.macro GUEST_INSN fixup, insn:vararg
.Lguest\@:
    \insn
    EX_TABLE(.Lguest\@, \fixup)
.endm

/* reg = struct cpu_info of this CPU. Clobbers flags. */
.macro GET_CPU_INFO reg
    mov $-STACK_SIZE, \reg
    and %rsp, \reg
    add $STACK_SIZE - CPU_INFO_SIZE, \reg
.endm

/* ------------------------------------------------------------------------------------------------
 * syscall from 64-bit code; the per-CPU stub (below) has switched to the stack and pushed
 * ss rsp rflags cs rip and an empty error slot.
 * in: all guest registers live but rcx (= rip), r11 (= rflags); interrupts off
 *
 * The two ways that every system call of a guest takes (its program to its kernel, and back by the iret
 * hypercall) are done here without saving registers; whatever is not plain goes the long way in C, which does the
 * same from the start. Until then nothing has been changed.
 */
#define SLOT(reg) (reg - R_error)(%rsp) /* of the frame, rsp at the error slot */
#define INFO(f) (f - R_error)(%rsp)     /* of cpu_info */

/* Addresses of the hypervisor's half have 0x1ffff0 above bit 43. Clobbers scratch. */
.macro GUEST_ADDRESS_OR addr, scratch, other
    mov \addr, \scratch
    shr $43, \scratch
    cmp $0x1ffff0, \scratch
    je \other
.endm

    .globl syscall_entry
syscall_entry:
    movl $TRAP_SYSCALL, 4(%rsp)
    mov INFO(CPU_current), %rcx
    cmpl $0, V_kernel_mode(%rcx)
    jne 1f

/* From the guest's user mode: onto its kernel's stack with rcx r11 rip cs rflags rsp ss. */
    cmpl $0, INFO(CPU_softirq)
    jne syscall_slow
    cmpq $0, V_slow_flags(%rcx)
    jne syscall_slow
    cmpb $0, V_iret_slow(%rcx)
    jne syscall_slow
    mov V_info(%rcx), %r11
    cmpw $0, (%r11) /* an event is pending, or the mask is set */
    jne syscall_slow
    push %rax
#undef SLOT
#define SLOT(reg) (reg - R_error + 8)(%rsp)
#undef INFO
#define INFO(f) (f - R_error + 8)(%rsp)
    mov V_kernel_sp(%rcx), %r11
    and $-16, %r11
    sub $56, %r11
    GUEST_ADDRESS_OR %r11, %rax, syscall_slow_pop
    cmpq $0, V_syscall_rip(%rcx)
    je syscall_slow_pop
    movl $1, V_kernel_mode(%rcx)
    swapgs
    mov V_cr3_kernel(%rcx), %rax
    mov %rax, INFO(CPU_cr3)
    mov %rax, %cr3
    STAC_SITE
    mov SLOT(R_rip), %rax
    GUEST_INSN syscall_stack_fault, mov %rax, 0(%r11)
    GUEST_INSN syscall_stack_fault, mov %rax, 16(%r11)
    mov SLOT(R_rflags), %rax
    GUEST_INSN syscall_stack_fault, mov %rax, 8(%r11)
    GUEST_INSN syscall_stack_fault, mov %rax, 32(%r11)
    mov SLOT(R_cs), %rax
    GUEST_INSN syscall_stack_fault, mov %rax, 24(%r11)
    mov SLOT(R_rsp), %rax
    GUEST_INSN syscall_stack_fault, mov %rax, 40(%r11)
    mov SLOT(R_ss), %rax
    GUEST_INSN syscall_stack_fault, mov %rax, 48(%r11)
    CLAC_SITE
    mov %r11, SLOT(R_rsp)
    mov INFO(CPU_iobase), %r11
    mov V_iobase_kernel(%rcx), %eax
    mov %ax, (%r11)
    mov V_info(%rcx), %r11
    mov V_syscall_mask(%rcx), %eax
    mov %al, 1(%r11)
    pop %rax
#undef SLOT
#define SLOT(reg) (reg - R_error)(%rsp)
#undef INFO
#define INFO(f) (f - R_error)(%rsp)
    mov SLOT(R_rflags), %r11
    and $~0x54500, %r11d /* AC RF NT DF TF */
    mov V_syscall_rip(%rcx), %rcx
    mov SLOT(R_rsp), %rsp
    sysretq

/* The stack cannot be written: say so in C. The mode has been switched already. */
syscall_stack_fault:
    CLAC_SITE
    pop %rax
    mov SLOT(R_rip), %rcx
    SAVE_REGS
    mov CPU_current(%rsp), %rdi
    sti
    call pv_syscall_stack_fault
    jmp ret_to_guest

/* From the guest's kernel: a hypercall; iret has a short way. */
1:  cmp $23, %rax /* __HYPERVISOR_iret */
    jne hypercall_slow
    cmpl $0, INFO(CPU_softirq)
    jne hypercall_slow
    cmpq $0, V_slow_flags(%rcx)
    jne hypercall_slow
    cmpb $0, V_iret_slow(%rcx)
    jne hypercall_slow
    push %rdx
#undef SLOT
#define SLOT(reg) (reg - R_error + 8)(%rsp)
    mov SLOT(R_rsp), %r11
    GUEST_ADDRESS_OR %r11, %rdx, iret_slow_pop
    STAC_SITE
    /* rsp, which the long way needs, is overwritten last */
    GUEST_INSN iret_slow_pop, mov IRET_rip(%r11), %rdx
    mov %rdx, SLOT(R_rip)
    GUEST_INSN iret_slow_pop, movzwl IRET_ss(%r11), %edx
    or $3, %edx
    mov %rdx, SLOT(R_ss)
    GUEST_INSN iret_slow_pop, movzwl IRET_cs(%r11), %edx
    mov %edx, %eax
    or $3, %edx
    mov %rdx, SLOT(R_cs)
    GUEST_INSN iret_slow_pop, mov IRET_rflags(%r11), %rdx
    and $~0x1a7000, %edx /* IOPL NT VM VIF VIP; the upper half goes too */
    not %eax
    test $3, %al
    jnz iret_to_kernel
    mov V_cr3_user(%rcx), %rax
    test %rax, %rax
    jz iret_slow_pop
    bt $9, %edx
    jnc iret_slow_pop /* a program with its events masked: not plain */
    or $2, %edx
    mov %rdx, SLOT(R_rflags)
    GUEST_INSN iret_slow_pop, mov IRET_flags(%r11), %rdx
    GUEST_INSN iret_slow_pop, pushq IRET_rax(%r11)
    GUEST_INSN iret_slow_pop1, pushq IRET_rcx(%r11)
    GUEST_INSN iret_slow_pop2, pushq IRET_r11(%r11)
    GUEST_INSN iret_slow_pop3, mov IRET_rsp(%r11), %r11
    CLAC_SITE
#undef SLOT
#define SLOT(reg) (reg - R_error + 32)(%rsp)
#undef INFO
#define INFO(f) (f - R_error + 32)(%rsp)
    mov %r11, SLOT(R_rsp)
    movl $0, V_kernel_mode(%rcx)
    swapgs
    mov %rax, INFO(CPU_cr3)
    mov %rax, %cr3
    mov INFO(CPU_iobase), %rax
    movw $TSS_IOBASE_OFF, (%rax)
    mov V_info(%rcx), %rax
    movb $0, 1(%rax)
    cmpw $0, (%rax) /* reads the byte just written, so the other one is not older: nothing came in between */
    jne iret_event
    test $0x100, %edx /* VGCF_in_syscall */
    jz iret_pop
    mov SLOT(R_rip), %rcx
    mov %rcx, %rax
    sar $47, %rax
    add $1, %rax
    cmp $1, %rax
    ja iret_pop
    mov SLOT(R_rflags), %r11
    test $0x10100, %r11d
    jnz iret_pop
    mov 16(%rsp), %rax
    mov 24(%rsp), %rdx
    mov SLOT(R_rsp), %rsp
    sysretq

iret_pop:
    pop %r11
    pop %rcx
    pop %rax
    pop %rdx
    add $8, %rsp
    jmp iret_to_guest

#undef SLOT
#define SLOT(reg) (reg - R_error + 8)(%rsp)
iret_to_kernel: /* with the event mask as in rflags */
    mov %edx, %eax
    or $0x202, %edx
    mov %rdx, SLOT(R_rflags)
    shr $9, %eax
    not %eax
    and $1, %eax
    GUEST_INSN iret_slow_pop, mov IRET_flags(%r11), %rdx
    test $0x100, %edx
    jnz iret_slow_pop
    GUEST_INSN iret_slow_pop, pushq IRET_rax(%r11)
    GUEST_INSN iret_slow_pop1, pushq IRET_rcx(%r11)
    GUEST_INSN iret_slow_pop2, pushq IRET_r11(%r11)
    GUEST_INSN iret_slow_pop3, mov IRET_rsp(%r11), %r11
    CLAC_SITE
#undef SLOT
#define SLOT(reg) (reg - R_error + 32)(%rsp)
    mov %r11, SLOT(R_rsp)
    mov V_info(%rcx), %rcx
    mov %al, 1(%rcx)
    movzwl (%rcx), %eax
    test %al, %al /* pending? */
    jz iret_pop
    test %ah, %ah /* and open? */
    jz iret_event
    jmp iret_pop

/* An event came: the frame is the new one already, deliver it from there. */
iret_event:
    pop %r11
    pop %rcx
    pop %rax
    pop %rdx
    movl $0, 4(%rsp)
    SAVE_REGS
    jmp ret_to_guest

iret_slow_pop3:
    add $8, %rsp
iret_slow_pop2:
    add $8, %rsp
iret_slow_pop1:
    add $8, %rsp
iret_slow_pop:
    CLAC_SITE
    pop %rdx
    mov $23, %eax
hypercall_slow:
#undef SLOT
#define SLOT(reg) (reg - R_error)(%rsp)
    mov SLOT(R_rip), %rcx
    SAVE_REGS
    mov CPU_current(%rsp), %rbx
    sti
    jmp hypercall_entry

syscall_slow_pop:
    pop %rax
syscall_slow:
    mov SLOT(R_rip), %rcx
    SAVE_REGS
    mov CPU_current(%rsp), %rbx
    sti
    jmp syscall_from_user

/* A hypercall: rax number; rdi rsi rdx r10 r8 arguments. */
    .globl hypercall_entry
hypercall_entry:
    cmp $64, %rax
    jae hypercall_bad
    sbb %rcx, %rcx /* carry is set: all ones; a mis-predicted branch gives 0 */
    and %rcx, %rax
    mov %r8, %r9
    mov %r10, %r8
    mov %rdx, %rcx
    mov %rsi, %rdx
    mov %rdi, %rsi
    mov %rbx, %rdi
    lea hypercall_table(%rip), %r10
    mov (%r10, %rax, 8), %rax
    call *%rax
    cmpb $0, V_restart(%rbx)
    jne hypercall_again
    mov %rax, R_rax(%rsp)
    jmp ret_to_guest
hypercall_again: /* arguments and rip have been set for a second try */
    movb $0, V_restart(%rbx)
    jmp ret_to_guest
hypercall_bad:
    movq $-38, R_rax(%rsp) /* -XEN_ENOSYS */
    jmp ret_to_guest

syscall_from_user:
    mov %rbx, %rdi
    mov %rsp, %rsi
    call pv_syscall_from_user
    /* fall through */

/* ------------------------------------------------------------------------------------------------
 * Back to the guest in cpu_info.regs.
 * in: rsp = &cpu_info.regs
 */
    .globl ret_to_guest
ret_to_guest:
    cli
    mov CPU_current(%rsp), %rbx
    cmpl $0, CPU_softirq(%rsp)
    jne ret_softirq
    cmpq $0, V_slow_flags(%rbx)
    jne ret_slow
    mov V_info(%rbx), %rax
    movzwl (%rax), %eax /* al: upcall pending, ah: mask */
    test %al, %al
    jz restore_guest
    test %ah, %ah
    jz ret_event
restore_guest:
    cmpl $TRAP_SYSCALL, R_vector(%rsp)
    jne restore_iret
    /* sysret: the frame was made by syscall or checked to be the same; rip canonical and low or high? */
    mov R_rip(%rsp), %rcx
    mov %rcx, %rax
    sar $47, %rax
    add $1, %rax
    cmp $1, %rax /* 0 or 1: canonical */
    ja restore_iret
    mov R_rflags(%rsp), %r11
    test $0x10100, %r11d /* RF or TF: sysret would lose or misplace them */
    jnz restore_iret
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    add $8, %rsp
    pop %r10
    pop %r9
    pop %r8
    pop %rax
    add $8, %rsp
    pop %rdx
    pop %rsi
    pop %rdi
    mov (R_rsp - R_error)(%rsp), %rsp
    sysretq

restore_iret:
    RESTORE_REGS
    add $8, %rsp
    .globl iret_to_guest
iret_to_guest:
    iretq
EX_TABLE(iret_to_guest, iret_to_guest) /* never used as is: trap_hypervisor() treats this address apart */

ret_softirq:
    sti
    call softirq_run
    jmp ret_to_guest
ret_slow:
    sti
    mov %rbx, %rdi
    call pv_slow_return
    jmp ret_to_guest
ret_event:
    sti
    mov %rbx, %rdi
    call pv_deliver_event
    jmp ret_to_guest

/* Enter the hypervisor's C part afresh: what was on the stack below the guest's frame is gone.
 * void ret_to_guest_fresh(void): noreturn */
    .globl ret_to_guest_fresh
ret_to_guest_fresh:
    GET_CPU_INFO %rax
    mov %rax, %rsp
    jmp ret_to_guest

/* void run_on_fresh_stack(void (*fn)(void)): noreturn */
    .globl run_on_fresh_stack
run_on_fresh_stack:
    GET_CPU_INFO %rax
    mov %rax, %rsp
    and $-16, %rsp
    call *%rdi
    ud2

/* The iret to the guest faulted; trap_hypervisor() has put the guest's registers back into cpu_info.regs. */
    .globl iret_fault_resume
iret_fault_resume:
    GET_CPU_INFO %rax
    mov %rax, %rsp
    sti
    mov CPU_current(%rsp), %rdi
    call pv_failsafe
    jmp ret_to_guest

/* ------------------------------------------------------------------------------------------------
 * Exceptions and interrupts: 256 stubs of 16 bytes each.
 */
    .globl trap_stubs
    .balign 16
trap_stubs:
vector = 0
.rept 256
    .balign 16
    .if (vector == 8) || (vector == 10) || (vector == 11) || (vector == 12) || (vector == 13) || (vector == 14) || (vector == 17) || (vector == 21) || (vector == 29) || (vector == 30)
    .else
    push $0
    .endif
    movl $vector, 4(%rsp)
    .if (vector == 2) || (vector == 18)
    jmp trap_nmi
    .elseif vector == 1
    jmp trap_debug
    .elseif vector >= 32
    jmp trap_irq
    .else
    jmp trap_common
    .endif
vector = vector + 1
.endr

trap_common:
    SAVE_REGS
    cld
    CLAC_SITE
    mov %rsp, %rdi
    testb $3, R_cs(%rsp)
    jz 1f
    mov CPU_current(%rsp), %rbx
    cmpb $14, R_vector(%rsp)
    jne 2f
    mov %cr2, %rax /* before interrupts: a fault of ours would overwrite it */
    mov %rax, V_fault(%rbx)
2:  sti
    call trap_guest /* (regs) */
    jmp ret_to_guest
1:  call trap_hypervisor /* (regs); returns to retry or after a fix-up */
    RESTORE_REGS
    add $8, %rsp
    iretq

trap_irq:
    SAVE_REGS
    cld
    CLAC_SITE
    movzbl R_vector(%rsp), %edi
    testb $3, R_cs(%rsp)
    jz 1f
    call irq_dispatch /* (vector) */
    jmp ret_to_guest
1:  call irq_dispatch
    RESTORE_REGS
    add $8, %rsp
    iretq

/* NMI and machine check, each on a stack of its own: may have interrupted anything, so nothing of the guest
 * path is entered; a message for the guest is left as a slow flag and an event check. */
trap_nmi:
    SAVE_REGS
    cld
    CLAC_SITE
    mov %rsp, %rdi
    call trap_nmi_mc /* (regs) */
    RESTORE_REGS
    add $8, %rsp
    iretq

/* #DB has a stack of its own because syscall can meet it before the stack is switched. From a guest it is
 * moved to the main stack and treated like any trap. */
trap_debug:
    SAVE_REGS
    cld
    CLAC_SITE
    testb $3, R_cs(%rsp)
    jnz 1f
    mov %rsp, %rdi
    call trap_debug_hypervisor
    RESTORE_REGS
    add $8, %rsp
    iretq
1:  mov %rsp, %rsi
    GET_CPU_INFO %rdi
    mov %rdi, %rax
    mov $21, %ecx /* r15 .. ss */
    rep movsq
    mov %rax, %rsp
    mov %rsp, %rdi
    sti
    call trap_guest
    jmp ret_to_guest

/* ------------------------------------------------------------------------------------------------
 * Guest memory. size_t user_copy(void *to, const void *from, size_t n): bytes NOT copied.
 * The caller has checked that the guest side is not ours. SMAP is opened by the caller's alternatives
 * (user_access_begin/end).
 */
    .globl user_copy
user_copy:
    mov %rdx, %rcx
    shr $3, %rcx
    and $7, %edx
1:  rep movsq
    mov %edx, %ecx
2:  rep movsb
    xor %eax, %eax
    ret
3:  lea (%rdx, %rcx, 8), %rax
    ret
4:  mov %rcx, %rax
    ret
EX_TABLE(1b, 3b)
EX_TABLE(2b, 4b)

/* size_t user_clear(void *to, size_t n) */
    .globl user_clear
user_clear:
    mov %rsi, %rcx
    xor %eax, %eax
1:  rep stosb
2:  mov %rcx, %rax
    ret
EX_TABLE(1b, 2b)

/* int rdmsr_safe(uint32_t msr, uint64_t *v); int wrmsr_safe(uint32_t msr, uint64_t v) */
    .globl rdmsr_safe, wrmsr_safe
rdmsr_safe:
    mov %edi, %ecx
1:  rdmsr
    shl $32, %rdx
    or %rdx, %rax
    mov %rax, (%rsi)
    xor %eax, %eax
    ret
wrmsr_safe:
    mov %edi, %ecx
    mov %esi, %eax
    mov %rsi, %rdx
    shr $32, %rdx
2:  wrmsr
    xor %eax, %eax
    ret
3:  mov $-14, %eax /* -XEN_EFAULT */
    ret
EX_TABLE(1b, 3b)
EX_TABLE(2b, 3b)

/* Load a data segment register, or zero it when the descriptor will not do: int load_ds(uint16_t) ... return
 * 0, or 1 if it was refused. */
.macro LOADSEG name, reg
    .globl load_\name
load_\name:
    xor %eax, %eax
1:  mov %edi, \reg
    ret
2:  mov %eax, \reg
    inc %eax
    ret
EX_TABLE(1b, 2b)
.endm
LOADSEG ds, %ds
LOADSEG es, %es
LOADSEG fs, %fs
/* The user's GS selector, with the kernel's base kept: in kernel mode the user base is the swapped one. */
    .globl load_gs_user
load_gs_user:
    xor %eax, %eax
    swapgs
1:  mov %edi, %gs
    mfence
    swapgs
    ret
2:  mov %eax, %gs
    inc %eax
    swapgs
    ret
EX_TABLE(1b, 2b)
    .globl load_gs
load_gs:
    xor %eax, %eax
1:  mov %edi, %gs
    ret
2:  mov %eax, %gs
    inc %eax
    ret
EX_TABLE(1b, 2b)

/* ------------------------------------------------------------------------------------------------
 * Per-CPU syscall stubs: copied to PERCPU_STUB of each CPU and patched (cpu/setup.c). The scratch word is
 * at PERCPU_TSS of the same CPU, 0x4000 below the stub.
 */
#define SCRATCH (syscall_stub - (PERCPU_STUB - PERCPU_TSS))
    .globl syscall_stub, syscall_stub_end, syscall_stub_stack, syscall_stub32, syscall_stub32_stack
syscall_stub:
    mov %rsp, SCRATCH(%rip)
1:  movabs $0x1122334455667788, %rsp
    .set syscall_stub_stack, 1b + 2
    push $SEL_GUEST_DS
    push SCRATCH(%rip)
    push %r11
    push $SEL_GUEST_CS64
    push %rcx
    push $0
    movabs $syscall_entry, %rcx
    jmp *%rcx
    .balign 64
syscall_stub32: /* syscall from compatibility mode */
    mov %rsp, SCRATCH(%rip)
2:  movabs $0x1122334455667788, %rsp
    .set syscall_stub32_stack, 2b + 2
    push $SEL_GUEST_DS
    push SCRATCH(%rip)
    push %r11
    push $SEL_GUEST_CS32
    push %rcx
    push $0
    movabs $syscall32_entry, %rcx
    jmp *%rcx
syscall_stub_end:

/* A 32-bit program's syscall: always the guest kernel's business; iret back. */
syscall32_entry:
    SAVE_REGS
    mov CPU_current(%rsp), %rbx
    sti
    mov %rbx, %rdi
    mov %rsp, %rsi
    call pv_syscall32_from_user
    jmp ret_to_guest
