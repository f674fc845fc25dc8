/* SPDX-License-Identifier: MIT */
/*
 * The x86 part of domains and vCPUs. struct x86_vcpu begins with struct vcpu, so to_x86() is free.
 * Fields marked [asm] have their offset used by entry code (entry/offsets.c).
 */
#pragma once

#include "domain.h"
#include "page.h"
#include "x86/cpu.h"
#include "x86/guest_tsc.h"

/* A guest's entry point for something other than a trap: event, failsafe, syscall, ... */
struct pv_callback {
    uint64_t rip;      /* 0: not registered */
    bool mask_events;  /* CALLBACKF_mask_events */
};

struct mirror;

struct x86_vcpu {
    struct vcpu v;

    /* --- what the entry code reads --- */
    uint64_t kernel_mode;        /* [asm] 1 while the guest runs its kernel */
    uint64_t cr3_kernel;         /* [asm] as loaded: frame address | bits */
    uint64_t cr3_user;           /* [asm] 0: none given yet */
    uint64_t kernel_sp;          /* [asm] stack_switch */
    uint64_t kernel_ss;
    uint64_t syscall_rip;        /* [asm] callback syscall; 0: none */
    uint64_t syscall_mask;       /* [asm] 1: it masks events */
    uint64_t iobase_kernel;      /* TSS_IOBASE_ON for the hardware domain, else OFF */
    uint64_t iret_slow;          /* [asm] iret goes the long way: NMI in progress, architectural IOPL, log-dirty */
    uint64_t fault_addr;         /* [asm] cr2 of the page fault being handled */
    uint64_t slow_flags;         /* [asm] anything that needs the C path on return to the guest: XVF_* */

    /* --- registers while another vCPU (or none) runs --- */
    regs_t regs;
    uint64_t fs_base, gs_base_kernel, gs_base_user;
    uint16_t loaded_on;          /* [a] CPU + 1 whose registers hold its state, 0: all in memory */
    void *fpu;                   /* XSAVE or FXSAVE area, 64-byte aligned */
    uint64_t xcr0;               /* XCR0_AT_START with XSAVE, then what the guest chose */

    /* --- virtual machine state a PV kernel sets --- */
    struct pv_callback event, failsafe, syscall32, sysenter, nmi;
    struct trap_info trap[256];
    uint64_t cr0, cr2, cr4;      /* virtual: cr0 of which only TS and the fixed bits matter */
    mfn_t root, root_user;       /* typed references held: L4 */
    struct mirror *mirror, *mirror_user; /* while the domain is logged: what cr3_* point to (pv/mirror_life.c) */
    uint64_t gdt_frames[14];
    uint32_t gdt_entries;
    uint64_t ldt_base;
    uint32_t ldt_entries;
    mfn_t ldt_frames[16];        /* typed references held */
    uint64_t dr[8];
    uint8_t iopl;
    guest_ptr_t iobmp;
    uint32_t iobmp_bits;
    bool nmi_pending, nmi_masked;
    struct page *drain;          /* a page table whose undoing was interrupted: pgt.h */

    /* --- multicall in progress: how hcall_again() finds the entry --- */
    struct multicall_entry *mc;
    bool mc_again;
    bool hcall_restart;          /* the call asked to be issued again: rax is not a result */

    uint32_t tsc_aux;
};

#define XCR0_AT_START 3ULL /* x87 and SSE */
#define XVF_NMI BIT(0)

struct cpu_policy;

struct x86_domain {
    struct domain d;
    uint32_t serial;                    /* [I] never used again, unlike the id */
    struct io_caps *caps;               /* ports, memory, interrupts it may use (x86/iocaps.c) */
    uint8_t *iobitmap;                  /* 8 KiB: 1 = trap; NULL: everything traps */
    uint64_t sweep;                     /* pgt_domain_sweep() */
    struct guest_tsc tsc;
    struct cpu_policy *policy;          /* [I] once it has run: its own; NULL: the default (policy_of()) */
    uint64_t p2m_nr;                    /* initial pages, for start_info */
    struct e820entry *e820;
    unsigned nr_e820;
    uint32_t pci_cf8;                   /* its latch of port 0xcf8 (pv/pci_ports.c) */
};

static inline struct x86_vcpu *to_x86(const struct vcpu *v)
{
    return (struct x86_vcpu *)(uintptr_t)v;
}
static inline struct x86_domain *to_x86d(const struct domain *d)
{
    return (struct x86_domain *)(uintptr_t)d;
}

/* --- pv/traps.c: what the guest is made to see ------------------------------------------------- */

/* Deliver exception `vector` to the current guest through its trap table when it next runs. error is used
 * by the vectors that have one. A guest without a handler crashes. */
void pv_inject_exception(struct vcpu *v, unsigned vector, uint32_t error);
/* A page fault, with its address. */
void pv_inject_page_fault(struct vcpu *v, uint64_t addr, uint32_t error);

/* --- pv/emul*.c --------------------------------------------------------------------------------- */

/* A #GP with error code 0 (or #UD for the forced CPUID) at the guest's rip: emulate the privileged
 * instruction if it is one that PV promises; true: done, rip advanced (or an exception injected). */
bool pv_emulate_privileged(struct vcpu *v, regs_t *regs);
bool pv_emulate_forced_cpuid(struct vcpu *v, regs_t *regs);
/* A write fault at `addr` in kernel mode that may be a write to one of its live page tables: decode the
 * instruction, validate and do it. true: done. */
bool pv_emulate_pt_write(struct vcpu *v, regs_t *regs, uint64_t addr);
/* Both take care of RF and TF: pv_emul_done(). */

/* Segment facts of the current guest, for decoding. */
bool pv_guest_cs_is_64bit(const regs_t *regs);

/* Switch the current vCPU between its kernel and user address space and GS. */
void pv_toggle_mode(struct x86_vcpu *xv);

/* Policies: pv/cpuid.c, pv/msr.c. forced: the kernel asked by its prefix, the instruction did not trap. read/write: 0 or
 * -XEN_EINVAL (guest gets #GP). */
void guest_cpuid(struct vcpu *v, uint32_t leaf, uint32_t sub, bool forced, uint32_t r[4]);
int guest_msr_read(struct vcpu *v, uint32_t msr, uint64_t *val) __must_check;
int guest_msr_write(struct vcpu *v, uint32_t msr, uint64_t val) __must_check;

/* x86/iocaps.c: may d use it? */
bool ioport_allowed(const struct domain *d, unsigned port, unsigned bytes);
bool iomem_allowed(const struct domain *d, uint64_t first_mfn, uint64_t last_mfn);
bool irq_allowed(const struct domain *d, unsigned gsi);
/* Give a domain that is not the hardware domain rights, or take them; it is paused. -XEN_ENOMEM, -XEN_E2BIG: too many
 * ranges. */
int iocaps_set_ports(struct domain *d, unsigned first, unsigned last, bool allow) __must_check;
int iocaps_set_mem(struct domain *d, uint64_t first, uint64_t last, bool allow) __must_check;
int iocaps_set_irq(struct domain *d, unsigned gsi, bool allow) __must_check;
void iocaps_free(struct domain *d);
/* Boot: dom0's share of the machine. */
int iocaps_init_hardware(struct domain *d);
/* Port I/O on behalf of a guest after checks: dom0's real device, or all ones. pv/ioport.c */
uint32_t guest_ioport_read(struct vcpu *v, unsigned port, unsigned bytes);
void guest_ioport_write(struct vcpu *v, unsigned port, unsigned bytes, uint32_t val);
