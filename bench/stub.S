/* SPDX-License-Identifier: MIT */
/*
 * stub: two tiny programs that say when they were reached, for "entry to domain 0's first
 * instruction" in bench/run.py. With MULTIBOOT: a multiboot kernel in the place of a hypervisor
 * image, as large as it (SIZE bytes); prints the time stamp counter at its first instruction on COM1, as
 * "BENCH stub-entry" and 16 hexadecimal digits, and waits. Without: code that run.py writes over the
 * first instructions of Linux's PV entry point; does the same through console_io, and shuts down.
 */
#ifdef MULTIBOOT
    .code32
    .globl _start
    .section .image, "awx", @progbits
    .balign 4
    .long 0x1badb002, 0, -0x1badb002
_start:
    rdtsc
    mov $text + 17, %edi
    mov %eax, %ebx
    call hex
    mov %ebx, %edx
    call hex
    mov $text, %esi
    mov $0x3f8, %edx
1:  lodsb
    test %al, %al
    jz 2f
    out %al, %dx
    jmp 1b
2:  hlt
    jmp 2b

/* edx as 8 digits to edi */
hex:
    mov $8, %ecx
1:  rol $4, %edx
    mov %dl, %al
    and $15, %al
    cmp $10, %al
    sbb $0x69, %al
    das
    stosb
    loop 1b
    ret
text:
    .asciz "BENCH stub-entry 0000000000000000\n"
    .space SIZE
#else
    .globl _start
    .text
_start:
    rdtsc
    nopl 0x5a4e4402(%rax)           /* bench/profile.c's mark of an end */
    lea 17 + text(%rip), %rdi
    shl $32, %rdx
    or %rax, %rdx
    mov $16, %ecx
    cld
1:  rol $4, %rdx
    mov %dl, %al
    and $15, %al
    cmp $10, %al
    jb 2f
    add $39, %al
2:  add $48, %al
    stosb
    loop 1b
    xor %edi, %edi                  /* console_io(write, length, text) */
    mov $length, %esi
    lea text(%rip), %rdx
    mov $18, %eax
    syscall
    push $0                         /* sched_op(shutdown, {poweroff}) */
    mov $2, %edi
    mov %rsp, %rsi
    mov $29, %eax
    syscall
3:  jmp 3b
text:
    .ascii "BENCH stub-entry 0000000000000000\n"
    .set length, . - text
#endif
    .section .note.GNU-stack, "", @progbits
