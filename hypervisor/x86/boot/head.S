/* SPDX-License-Identifier: MIT */
/*
 * Where a multiboot (1 or 2) loader enters: 32-bit protected mode, paging off, at physical addresses. Makes
 * early page tables (the first 4 GiB one to one and in the direct map, the image at IMAGE_VIRT), enters long
 * mode and calls boot_main(magic, info) on CPU 0's stack. No interrupts, no other CPU.
 */
#include "x86/layout.h"
#include "offsets.h"

#define PHYS(sym) ((sym) - IMAGE_VIRT + IMAGE_PHYS)

    .section .multiboot, "ax"
    .globl start, boot_entry64

    .balign 8
mb1: /* multiboot 1: page-aligned modules, memory map */
    .long 0x1BADB002, 0x00000003, -(0x1BADB002 + 0x00000003)

    .balign 8
mb2:
    .long 0xE85250D6, 0, mb2_end - mb2, -(0xE85250D6 + (mb2_end - mb2))
    .balign 8 /* information request: basic memory, map, framebuffer, both RSDPs, command line, modules */
    .word 1, 1
    .long 8 + 4 * 7
    .long 1, 3, 4, 6, 8, 14, 15
    .balign 8 /* align modules */
    .word 6, 1
    .long 8
    .balign 8 /* console flags: text is supported, none required */
    .word 4, 1
    .long 12, 2
    .balign 8
    .word 0, 0
    .long 8
mb2_end:

    .code32
/* in: eax magic, ebx info (physical) */
start:
    cli
    cld
    mov %eax, %ebp
    lgdtl PHYS(boot_gdtr)
    ljmp $8, $PHYS(1f)
1:  mov $16, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $PHYS(cpu0_stack) + STACK_SIZE - CPU_INFO_SIZE, %esp
    push %ebx
    mov $0x80000000, %eax
    cpuid
    cmp $0x80000001, %eax
    jb no_long_mode
    mov $0x80000001, %eax
    cpuid
    pop %ebx
    test $(1 << 29), %edx
    jz no_long_mode
    mov %edx, %esi /* bit 20: NX */

    /* L2 tables of the first 4 GiB: 2048 entries of 2 MiB, writable */
    mov $PHYS(early_l2), %edi
    mov $0x83, %eax
    mov $2048, %ecx
2:  mov %eax, (%edi)
    movl $0, 4(%edi)
    add $0x200000, %eax
    add $8, %edi
    loop 2b
    /* L2 of the image */
    mov $PHYS(early_l2_image), %edi
    mov $(IMAGE_PHYS + 0x83), %eax
    mov $512, %ecx
3:  mov %eax, (%edi)
    movl $0, 4(%edi)
    add $0x200000, %eax
    add $8, %edi
    loop 3b
    mov $PHYS(early_l2) + 3, %eax
    mov %eax, PHYS(early_l3)
    add $0x1000, %eax
    mov %eax, PHYS(early_l3) + 8
    add $0x1000, %eax
    mov %eax, PHYS(early_l3) + 16
    add $0x1000, %eax
    mov %eax, PHYS(early_l3) + 24
    movl $(PHYS(early_l2_image) + 3), PHYS(early_l3_image) + 8 * ((IMAGE_VIRT >> 30) & 511)
    movl $(PHYS(early_l3) + 3), PHYS(early_l4)
    movl $(PHYS(early_l3) + 3), PHYS(early_l4) + 8 * ((DIRECT_VIRT >> 39) & 511)
    movl $(PHYS(early_l3_image) + 3), PHYS(early_l4) + 8 * ((IMAGE_VIRT >> 39) & 511)

    mov $0x20, %eax /* PAE */
    mov %eax, %cr4
    mov $PHYS(early_l4), %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx
    rdmsr
    or $0x101, %eax /* LME, SCE */
    test $(1 << 20), %esi
    jz 4f
    or $0x800, %eax /* NXE */
4:  wrmsr
    mov $0x80010033, %eax /* PG WP NE ET MP PE */
    mov %eax, %cr0
    ljmp $24, $PHYS(5f)
    .code64
5:  movabs $6f, %rax
    jmp *%rax
6:  movabs $cpu0_stack + STACK_SIZE - CPU_INFO_SIZE, %rsp
    mov %ebp, %edi
    mov %ebx, %esi
    xor %ebp, %ebp
    and $-16, %rsp
    call boot_main
    ud2

    .code32
no_long_mode:
    mov $PHYS(no_long_mode_text), %esi
    mov $0x3f8, %edx
7:  lodsb
    test %al, %al
    jz 8f
    out %al, %dx
    jmp 7b
8:  hlt
    jmp 8b
no_long_mode_text:
    .asciz "Zendo: this processor has no 64-bit mode\r\n"

    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00cf9b000000ffff /* 8: 32-bit code */
    .quad 0x00cf93000000ffff /* 16: data */
    .quad 0x00af9b000000ffff /* 24: 64-bit code */
boot_gdtr:
    .word 31
    .long PHYS(boot_gdt)
    .code64

    .section .bss.stacks, "aw", @nobits
    .globl cpu0_stack
    .balign STACK_SIZE
cpu0_stack:
    .skip STACK_SIZE
    .globl early_l4
    .balign 4096
early_l4: .skip 4096
early_l3: .skip 4096
early_l3_image: .skip 4096
early_l2_image: .skip 4096
early_l2: .skip 4 * 4096
