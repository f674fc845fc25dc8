/* SPDX-License-Identifier: MIT */
/*
 * Between the parts of PV emulation: pv/emul_*.c, debugreg.c, cpuid.c, msr.c. guest.h has what trap handlers
 * call, pv.h what emulation needs of the rest.
 */
#pragma once

#include "port.h"
#include "pv_insn.h"
#include "x86/guest.h"
#include "x86/pv.h"

/* --- Provided by pv/emul_priv.c, emul_util.c, emul_cr.c, emul_io.c --------------------------------- */

/* After an emulated instruction: rip advances, RF clears, a set TF makes a single-step exception. */
void pv_emul_step(struct vcpu *v);
static inline void pv_emul_done(struct vcpu *v, regs_t *regs, uint64_t next_rip)
{
    uint64_t flags = regs->rflags;

    regs->rip = next_rip;
    regs->rflags = flags & ~FLAG_RF; /* faults push it set */
    if (unlikely(flags & FLAG_TF))
        pv_emul_step(v);
}
/* Instruction bytes at rip: number read (0..15); stops at a page that cannot be read. buf has 16 bytes. */
unsigned pv_emul_fetch_split(const regs_t *regs, uint8_t *buf);
static inline unsigned pv_emul_fetch(const regs_t *regs, uint8_t *buf)
{
    if (unlikely((regs->rip & (FRAME_SIZE - 1)) > FRAME_SIZE - 16))
        return pv_emul_fetch_split(regs, buf);
    return copy_from_guest(buf, guest_ptr(regs->rip), 16) ? 0 : INSN_MAX;
}
/* Base that the instruction's segment override adds in 64-bit code; v is current. */
uint64_t pv_emul_seg_base(const struct pv_insn *in);

enum pv_emul { PV_EMUL_NO, /* not ours: the caller injects #GP */
               PV_EMUL_DONE, /* advance rip */
               PV_EMUL_STAY  /* rip stays: exception injected, or to be executed again */ };
enum pv_emul pv_emul_cr(struct vcpu *v, const struct pv_insn *in, regs_t *regs);
enum pv_emul pv_emul_dr(struct vcpu *v, const struct pv_insn *in, regs_t *regs);
enum pv_emul pv_emul_io(struct vcpu *v, const struct pv_insn *in, regs_t *regs, bool code64);
enum pv_emul pv_emul_0f01(struct vcpu *v, const struct pv_insn *in, regs_t *regs);
enum pv_emul pv_emul_clts(struct vcpu *v);

/* The guest's virtual TS bit, in xv->cr0 and, v being current, in the real CR0. */
void pv_set_ts(struct vcpu *v, bool on);
/* What the guest sees in CR0 and CR4. */
uint64_t pv_guest_cr0(const struct x86_vcpu *xv);
uint64_t pv_guest_cr4(const struct x86_vcpu *xv);
/* What v, which does not run, sees in CR4 from now on; bits it may not have are dropped. */
void pv_context_cr4(struct x86_vcpu *xv, uint64_t val);
/* Context switch, after the FPU is loaded: the bit of the real CR4 that a guest chooses (TSD), TS of CR0. */
void pv_control_load(const struct x86_vcpu *xv);
/* XSETBV by the current guest: check, note, load. -XEN_EINVAL: not acceptable. */
int pv_set_xcr0(struct vcpu *v, uint64_t val) __must_check;
bool pv_xcr0_valid(const struct domain *d, uint64_t val); /* on this machine, by d's policy */

/* --- pv/debugreg.c --------------------------------------------------------------------------------- */

/* reg 0..7 (4 and 5 are aliases of 6 and 7 while the virtual CR4.DE is clear). 0, -XEN_EINVAL, -XEN_ENODEV. */
int pv_set_dr(struct vcpu *v, unsigned reg, uint64_t val) __must_check;
int pv_get_dr(struct vcpu *v, unsigned reg, uint64_t *val) __must_check;
/* Context switch, interrupts off or on: nothing is done for a vCPU without active breakpoints. */
void dr_load(struct x86_vcpu *xv);
void dr_save(struct x86_vcpu *xv);
