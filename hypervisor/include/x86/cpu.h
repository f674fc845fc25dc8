/* SPDX-License-Identifier: MIT */
/*
 * A physical processor: what sits at the top of its stack, its registers, and the few privileged
 * instructions. The register frame is the ABI's cpu_user_regs, so that contexts copy as they are.
 */
#pragma once

#include "abi.h"
#include "types.h"
#include "x86/layout.h"

struct vcpu;

typedef struct cpu_user_regs regs_t;

/* At the top of every CPU's stack. rsp0 of the TSS points just above regs.ss, so that an exception from a
 * guest pushes straight into regs; found by masking the stack pointer. Offsets: entry/offsets.c. */
struct cpu_info {
    regs_t regs; /* the guest's registers while in the hypervisor (es..gs: selectors, saved on switch) */
    struct vcpu *current;
    uint32_t cpu;
    uint32_t softirq_pending; /* [a] bits of enum softirq */
    uint64_t guest_cr3;   /* cr3 that is loaded */
    uint16_t *tss_iobase; /* in this CPU's TSS */
    struct vcpu *loaded;  /* whose registers, segments and FPU state are in this CPU; NULL: nobody's */
    uint64_t pad;
};
/* The processor aligns the stack to 16 before it pushes: rsp0 = &regs.es must be so aligned. */
_Static_assert((sizeof(struct cpu_info) - offsetof(regs_t, es)) % 16 == 0, "rsp0 alignment");

static inline struct cpu_info *cpu_info(void)
{
    uint64_t rsp;

    __asm__("mov %%rsp, %0" : "=r"(rsp));
    return (struct cpu_info *)((rsp | (STACK_SIZE - 1)) + 1) - 1;
}
static inline regs_t *guest_regs(void)
{
    return &cpu_info()->regs;
}

static inline uint64_t rdmsr(uint32_t msr)
{
    uint32_t lo, hi;

    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return ((uint64_t)hi << 32) | lo;
}
static inline void wrmsr(uint32_t msr, uint64_t v)
{
    __asm__ volatile("wrmsr" ::"c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}
/* 0, or -XEN_EFAULT when the processor refuses. */
int rdmsr_safe(uint32_t msr, uint64_t *v) __must_check;
int wrmsr_safe(uint32_t msr, uint64_t v) __must_check;

static inline uint64_t rdtsc(void)
{
    uint32_t lo, hi;

    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return ((uint64_t)hi << 32) | lo;
}
static inline void cpuid(uint32_t leaf, uint32_t sub, uint32_t r[4])
{
    __asm__ volatile("cpuid"
                     : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
                     : "a"(leaf), "c"(sub));
}
static inline uint8_t inb(uint16_t p)
{
    uint8_t v;

    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(p));
    return v;
}
static inline uint16_t inw(uint16_t p)
{
    uint16_t v;

    __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(p));
    return v;
}
static inline uint32_t inl(uint16_t p)
{
    uint32_t v;

    __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(p));
    return v;
}
static inline void outb(uint16_t p, uint8_t v)
{
    __asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(p));
}
static inline void outw(uint16_t p, uint16_t v)
{
    __asm__ volatile("outw %0, %1" ::"a"(v), "Nd"(p));
}
static inline void outl(uint16_t p, uint32_t v)
{
    __asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(p));
}
#define DEFINE_CR(n)                                                                               \
    static inline uint64_t read_cr##n(void)                                                        \
    {                                                                                              \
        uint64_t v;                                                                                \
        __asm__ volatile("mov %%cr" #n ", %0" : "=r"(v));                                          \
        return v;                                                                                  \
    }                                                                                              \
    static inline void write_cr##n(uint64_t v)                                                     \
    {                                                                                              \
        __asm__ volatile("mov %0, %%cr" #n ::"r"(v) : "memory");                                   \
    }
DEFINE_CR(0)
DEFINE_CR(2)
DEFINE_CR(3)
DEFINE_CR(4)
#undef DEFINE_CR
static inline void wbinvd(void)
{
#ifndef ZENDO_HOST
    __asm__ volatile("wbinvd" ::: "memory");
#endif
}
static inline void invlpg(uint64_t va)
{
    __asm__ volatile("invlpg (%0)" ::"r"(va) : "memory");
}
static inline void irq_enable(void)
{
    __asm__ volatile("sti" ::: "memory");
}
static inline void irq_disable(void)
{
    __asm__ volatile("cli" ::: "memory");
}
static inline bool irqs_on(void)
{
    uint64_t f;

    __asm__ volatile("pushfq; pop %0" : "=r"(f));
    return f & 0x200;
}

#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_AM BIT(18)
#define CR0_PG BIT(31)
#define CR4_VME BIT(0)
#define CR4_TSD BIT(2)
#define CR4_DE BIT(3)
#define CR4_PSE BIT(4)
#define CR4_PAE BIT(5)
#define CR4_MCE BIT(6)
#define CR4_PGE BIT(7)
#define CR4_PCE BIT(8)
#define CR4_OSFXSR BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_UMIP BIT(11)
#define CR4_LA57 BIT(12)
#define CR4_FSGSBASE BIT(16)
#define CR4_PCIDE BIT(17)
#define CR4_OSXSAVE BIT(18)
#define CR4_SMEP BIT(20)
#define CR4_SMAP BIT(21)
#define EFER_SCE BIT(0)
#define EFER_LME BIT(8)
#define EFER_LMA BIT(10)
#define EFER_NXE BIT(11)
#define FLAG_CF BIT(0)
#define FLAG_TF BIT(8)
#define FLAG_IF BIT(9)
#define FLAG_DF BIT(10)
#define FLAG_IOPL (3UL << 12)
#define FLAG_NT BIT(14)
#define FLAG_RF BIT(16)
#define FLAG_VM BIT(17)
#define FLAG_AC BIT(18)
#define FLAG_VIF BIT(19)
#define FLAG_VIP BIT(20)
#define FLAG_ID BIT(21)

#define MSR_TSC 0x10
#define MSR_APIC_BASE 0x1b
#define MSR_PLATFORM_INFO 0xce
#define MSR_ARCH_CAPS 0x10a
#define MSR_MISC_FEATURES 0x140
#define MSR_MISC_ENABLE 0x1a0
#define MSR_PAT 0x277
#define MSR_SYSENTER_CS 0x174
#define MSR_SYSENTER_ESP 0x175
#define MSR_SYSENTER_EIP 0x176
#define MSR_TSC_DEADLINE 0x6e0
#define MSR_EFER 0xc0000080
#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_CSTAR 0xc0000083
#define MSR_FMASK 0xc0000084
#define MSR_FS_BASE 0xc0000100
#define MSR_GS_BASE 0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102
#define MSR_TSC_AUX 0xc0000103
#define MSR_AMD_HWCR 0xc0010015

/* What the processors have, found once on the boot CPU (x86/cpu/features.c) and only narrowed by others. */
struct cpu_features {
    char vendor[13];
    bool amd, intel;
    uint32_t family, model, stepping;
    uint32_t max_leaf, max_ext;
    uint32_t leaf1_c, leaf1_d, leaf7_b, leaf7_c, leaf7_d, ext1_c, ext1_d, leafd1_a;
    uint64_t xcr0;        /* XSAVE components we enable; 0: no XSAVE, FXSAVE is used */
    uint32_t xsave_size;  /* bytes for all of xcr0 */
    bool nx, pge, pcid, invpcid, smep, smap, umip, fsgsbase, xsave, xsaveopt, x2apic, page1g, rdtscp,
        tsc_deadline, tsc_invariant, cpuid_faulting, sysenter, hypervisor;
    bool x87_pointers_stay; /* XRSTOR leaves the x87's last instruction and operand as they are (x86/context.c) */
    uint8_t phys_bits;
    uint64_t arch_caps;   /* IA32_ARCH_CAPABILITIES, 0 without */
};
extern struct cpu_features cpu_features;
void cpu_features_find(void);
void cpu_features_find_msrs(void); /* what registers say: when the IDT is there */

/* Per CPU: descriptor tables, MSRs, control registers. Boot CPU and each AP on its own stack. */
void cpu_setup(unsigned cpu);
/* Before cpu_setup: stack, GDT pages and TSS of a CPU that is to start; returns the top of its stack
 * (where rsp should be: below struct cpu_info), 0 without memory. */
uint64_t cpu_prepare(unsigned cpu);
