/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's virtual memory: level-4 slots 256..271, the same in every address space (see
 * docs/MEMORY-MAP.md). Usable from C and assembly.
 */
#pragma once

#ifdef __ASSEMBLER__
#define VA(x) x
#else
#define VA(x) x##UL
#endif

#define HYP_L4_FIRST 256
#define HYP_L4_LAST 271
#define HYP_VIRT_START VA(0xffff800000000000)
#define HYP_VIRT_END VA(0xffff880000000000)

/* 256: machine-to-physical table, read-only for guests */
#define M2P_RO_VIRT VA(0xffff800000000000)
/* 257: device memory and other on-demand mappings (x86/mm/vmap.c) */
#define VMAP_VIRT VA(0xffff808000000000)
#define VMAP_SIZE VA(0x0000008000000000)
/* 259: per-CPU area, PERCPU_STRIDE each */
#define PERCPU_VIRT VA(0xffff818000000000)
#define PERCPU_STRIDE VA(0x40000)
#define PERCPU_GDT 0x0      /* 16 pages: guest 0..13, ours 14, 15 unused */
#define PERCPU_TSS 0x10000  /* page 0: entry scratch, TSS in its last 0x68 bytes; 1, 2: I/O bitmap; 3: its end */
#define PERCPU_STUB 0x14000 /* syscall entry stubs, executable */
#define PERCPU_LDT 0x20000  /* 16 pages */
/* 260: frame table, writable view of the M2P */
#define FRAME_TABLE_VIRT VA(0xffff820000000000)
#define M2P_RW_VIRT VA(0xffff826000000000)
/* 261: the image (1 GiB), linked here */
#define IMAGE_VIRT VA(0xffff828040000000)
/* 262..271: all RAM, 5 TiB */
#define DIRECT_VIRT VA(0xffff830000000000)
#define DIRECT_SIZE VA(0x0000050000000000)

#define STACK_ORDER 3
#define STACK_SIZE (4096 << STACK_ORDER) /* per CPU, aligned to its size; struct cpu_info at the top */
/* In it, from the bottom: one page each for #DF, NMI, #MC and #DB, then four pages of main stack. */
#define IST_DF 1
#define IST_NMI 2
#define IST_MC 3
#define IST_DB 4

/* TSS: placed so that the I/O bitmap begins on a page */
#define TSS_VIRT_OFFSET (PERCPU_TSS + 0x1000 - 0x68)
#define TSS_IOBASE_ON 0x68    /* bitmap in force: guest kernel of the hardware domain */
#define TSS_IOBASE_OFF 0xffff /* every port traps */

#define IMAGE_PHYS 0x200000 /* where the boot loader puts the image */
#define TRAP_SYSCALL 0x100  /* regs.entry_vector: may return by sysret */

/* Selectors: entries 7168.. of the GDT are the hypervisor's, in the ABI's places */
#define HYP_GDT_FIRST 7168
#define SEL_HYP_CS 0xe008
#define SEL_HYP_DS 0xe010
#define SEL_GUEST_CS32 0xe023
#define SEL_GUEST_DS 0xe02b
#define SEL_GUEST_CS64 0xe033
#define SEL_TSS 0xe040
#define SEL_LDT 0xe050
#define SEL_CPU 0xe063 /* a data segment whose limit is the CPU number (for guests' lsl) */
