/* SPDX-License-Identifier: MIT */
/*
 * Everything of a test guest that must be assembly: Xen ELF notes, first instruction, entry points for
 * exceptions, events, system calls and the failsafe callback, the way back by the iret hypercall,
 * entry to user mode and setjmp.
 *
 * Stack as the hypervisor leaves it at an entry point (growing up in memory):
 *     rcx r11 [error code] rip cs rflags rsp ss
 * and as kit_trap() sees it (struct kit_frame):
 *     r15 r14 r13 r12 rbp rbx rdx rsi rdi r8 r9 r10  rax r11 rcx  vector error rip cs rflags rsp ss
 */
#define __ASSEMBLY__ 1
#define __ASSEMBLER__ 1
#define HCALL_IRET 23
#define VEC_FAILSAFE 256
#define VEC_SYSCALL 257
#define VEC_UPCALL 258
#define USER_DONE 0x5a5a

.macro note type, kind, value:vararg
    .pushsection .note.Xen, "a", @note
    .balign 4
    .long 4, 2f - 1f, \type
    .asciz "Xen"
1:  \kind \value
2:  .balign 4
    .popsection
.endm
    note 6, .asciz, "zendo-guest"               /* GUEST_OS */
    note 7, .asciz, "1"                         /* GUEST_VERSION */
    note 8, .asciz, "generic"                   /* LOADER */
    note 5, .asciz, "xen-3.0"                   /* XEN_VERSION */
    note 3, .quad, VIRT_BASE                    /* VIRT_BASE */
    note 4, .quad, 0                            /* PADDR_OFFSET */
    note 1, .quad, _start                       /* ENTRY */
    note 10, .asciz, "!writable_page_tables|pae_pgdir_above_4gb"

    .text
    .globl _start
/* in: rsi = start_info */
_start:
    cld
    lea kit_blocks + 65536(%rip), %rsp
    xor %ebp, %ebp
    mov %rsi, %rdi
    call kit_main
    ud2

    .globl kit_ap_start
/* in: rdi = struct kit_cpu, rsp = top of its stack */
kit_ap_start:
    cld
    xor %ebp, %ebp
    call kit_ap_main
    ud2

.macro entry vec
    .balign 16
    mov (%rsp), %rcx
    mov 8(%rsp), %r11
    movq $0, 8(%rsp)
    movq $\vec, (%rsp)
    jmp kit_entry
.endm
.macro entry_err vec
    .balign 16
    pop %rcx
    pop %r11
    push $\vec
    jmp kit_entry
.endm

/* 256 stubs of 32 bytes each */
    .balign 32
    .globl kit_vectors
kit_vectors:
.set i, 0
.rept 256
    .balign 32
    .if i == 8 || (i >= 10 && i <= 14) || i == 17 || i == 21
    entry_err i
    .else
    entry i
    .endif
    .set i, i + 1
.endr

    .globl kit_entry_syscall, kit_entry_upcall, kit_entry_failsafe
kit_entry_syscall:
    entry VEC_SYSCALL
kit_entry_upcall:
    entry VEC_UPCALL
/* rcx r11 ds es fs gs rip ... : gs goes into the error code's place, the others are dropped */
kit_entry_failsafe:
    pop %rcx
    pop %r11
    add $24, %rsp
    push $VEC_FAILSAFE

kit_entry:
    push %rcx
    push %r11
    push %rax
    push %r10
    push %r9
    push %r8
    push %rdi
    push %rsi
    push %rdx
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    cld
    mov %rsp, %rdi
    mov %rsp, %rbx
    and $-16, %rsp
    call kit_trap
    mov %rbx, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    pop %rdx
    pop %rsi
    pop %rdi
    pop %r8
    pop %r9
    pop %r10
    /* rax r11 rcx vector error  ->  (gap) rax r11 rcx flags: what the iret hypercall wants before rip */
    mov 16(%rsp), %rcx
    mov %rcx, 24(%rsp)
    mov 8(%rsp), %rcx
    mov %rcx, 16(%rsp)
    mov (%rsp), %rcx
    mov %rcx, 8(%rsp)
    movq $0, 32(%rsp)
    add $8, %rsp
    mov $HCALL_IRET, %eax
    syscall
    ud2

    .globl kit_iret_raw
/* in: rdi = struct iret_context; goes there with the other registers as they are. Returns only if refused. */
kit_iret_raw:
    sub $128, %rsp
    and $-16, %rsp
    mov %rdi, %rsi
    mov %rsp, %rdi
    mov $9, %ecx                    /* then rdi, rsi for the other side */
    rep movsq
    mov kit_iret_rdi(%rip), %rdi
    mov kit_iret_rsi(%rip), %rsi
    mov $HCALL_IRET, %eax
    syscall
    ud2

    .globl kit_user_done
/* user functions return to this address */
kit_user_done:
    mov %rax, %rdi
    mov $USER_DONE, %eax
    syscall
    ud2

    .globl kit_setjmp, kit_longjmp
/* in: rdi = struct kit_jmp. Returns 0, and then once more what kit_longjmp gives. */
kit_setjmp:
    mov (%rsp), %rax
    mov %rax, (%rdi)
    lea 8(%rsp), %rax
    mov %rax, 8(%rdi)
    mov %rbx, 16(%rdi)
    mov %rbp, 24(%rdi)
    mov %r12, 32(%rdi)
    mov %r13, 40(%rdi)
    mov %r14, 48(%rdi)
    mov %r15, 56(%rdi)
    xor %eax, %eax
    ret
kit_longjmp:
    mov 16(%rdi), %rbx
    mov 24(%rdi), %rbp
    mov 32(%rdi), %r12
    mov 40(%rdi), %r13
    mov 48(%rdi), %r14
    mov 56(%rdi), %r15
    mov 8(%rdi), %rsp
    mov %esi, %eax
    jmp *(%rdi)

    .section .note.GNU-stack, "", @progbits
