/* SPDX-License-Identifier: MIT */
/*
 * Where an application processor wakes up: real mode, at the start of a page below 1 MiB into which
 * smp.c has copied this code and filled in the parameters (struct ap_params). It goes straight from real to
 * long mode on temporary page tables that map the page one to one and the hypervisor at its place, takes the
 * stack made for it and calls ap_main(cpu). One AP at a time uses it. It is never executed where it is linked.
 */
    .section .rodata, "a"
    .globl ap_trampoline, ap_trampoline_params, ap_trampoline_long, ap_trampoline_end

    .balign 16
    .code16
/* in: cs = page >> 4, ip = 0; nothing else is known. Interrupts off from here on. */
ap_trampoline:
    cli
    cld
    mov %cs, %ax
    mov %ax, %ds
    lgdtl gdtr - ap_trampoline
    mov $0x20, %eax /* PAE */
    mov %eax, %cr4
    mov cr3 - ap_trampoline, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx /* EFER */
    mov efer - ap_trampoline, %eax
    xor %edx, %edx
    wrmsr
    mov $0x80010033, %eax /* PG WP NE ET MP PE; caches on */
    mov %eax, %cr0
    ljmpl *(far - ap_trampoline)

    .code64
ap_trampoline_long:
    mov $16, %eax
    mov %eax, %ss
    mov %eax, %ds
    mov %eax, %es
    mov stack(%rip), %rsp
    mov cpu(%rip), %edi
    xor %ebp, %ebp
    call *entry(%rip) /* does not return */
    ud2

/* struct ap_params of smp.c */
    .balign 16
ap_trampoline_params:
cr3:    .long 0
efer:   .long 0
far:    .long 0   /* ap_trampoline_long in the copy */
        .word 8
gdtr:   .word 23
        .long 0   /* gdt in the copy */
cpu:    .long 0
stack:  .quad 0
entry:  .quad 0
gdt:    .quad 0
        .quad 0x00af9b000000ffff
        .quad 0x00cf93000000ffff
ap_trampoline_end:

    .section .note.GNU-stack, "", @progbits
