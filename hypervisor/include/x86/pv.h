/* SPDX-License-Identifier: MIT */
/* Paravirtual guests: what the pieces of pv/ offer each other and the entry code. */
#pragma once

#include "x86/guest.h"

extern const struct guest_kind pv_kind;

/* pv/traps.c */
void pv_trap(struct x86_vcpu *xv, regs_t *regs);
/* pv/bounce.c: enter the guest kernel at a callback or handler as if by an exception. */
void pv_syscall_from_user(struct x86_vcpu *xv, regs_t *regs);
void pv_syscall32_from_user(struct x86_vcpu *xv, regs_t *regs);
void pv_syscall_stack_fault(struct x86_vcpu *xv);
void pv_iret_slow_update(struct x86_vcpu *xv); /* nmi_masked, vm_assist or logging changed */
void pv_deliver_event(struct x86_vcpu *xv);
void pv_slow_return(struct x86_vcpu *xv);
void pv_failsafe(struct x86_vcpu *xv);
/* A software interrupt (int n, int3): no error code, no permission check. */
void pv_inject_software(struct vcpu *v, unsigned vector);

/* pv/callbacks.c: the current vCPU's virtual I/O privilege level; its kernel reaches ports directly from 1 on. */
bool pv_kernel_address(uint64_t va); /* may a guest's handler or segment be there? */
extern const uint64_t pv_vm_assist_known; /* bits of the VMASST_TYPE_* that exist */
void pv_set_iopl(struct x86_vcpu *xv, unsigned iopl);

/* pv/context.c: fill v, which does not run and whose state is in memory, from the ABI form; what it had is given up.
 * -XEN_EINVAL, -XEN_ERESTART (again). */
int pv_context_set(struct vcpu *v, const struct vcpu_guest_context *c) __must_check;

/* Drop all that v's processor state holds; v does not run. -XEN_ERESTART: again. */
int pv_vcpu_relinquish(struct x86_vcpu *xv) __must_check;

/* pv/descriptors.c */
int pv_gdt_set(struct x86_vcpu *xv, const uint64_t *frames, unsigned entries) __must_check;
void pv_gdt_drop(struct x86_vcpu *xv);
int pv_ldt_set(struct x86_vcpu *xv, uint64_t base, unsigned entries) __must_check;
void pv_ldt_drop(struct x86_vcpu *xv);
/* The frames that `root` maps at base as descriptor pages, with their references; none on failure. */
int pv_ldt_frames_get(struct vcpu *v, mfn_t root, uint64_t base, unsigned pages, mfn_t *frames) __must_check;
void pv_ldt_frames_drop(const mfn_t *frames, unsigned pages);
/* Load this CPU's GDT pages and LDT for xv, which is becoming current. */
void pv_descriptors_load(struct x86_vcpu *xv);
/* Make a descriptor harmless or refuse it: false = not allowed. Fixes DPL and the accessed bit in place. */
bool pv_descriptor_check(uint64_t *desc);

/* pv/walk.c: the guest's own mapping of va in the tables now loaded. The page of its last-level table's
 * target, with a reference, and the entry's value; NULL: not mapped by 4 KiB entries, or not RAM of v's domain. */
struct page *pv_lookup_va(struct vcpu *v, uint64_t va, uint64_t *pte);
/* The same in tables whose root the caller holds. */
struct page *pv_lookup_va_in(struct vcpu *v, mfn_t root, uint64_t va, uint64_t *pte);
/* Frame m, if it is a live level-1 table of v's domain, with a reference and a typed reference; else NULL. */
struct page *pv_hold_l1(struct vcpu *v, mfn_t m);
/* The level-1 table that maps va (with a reference and a typed reference) and the index in it. */
struct page *pv_lookup_l1(struct vcpu *v, uint64_t va, unsigned *index);

/* pv/pgt_update.c */
/* One entry of a live table, by a trapped write. cmpxchg: only if it is expect_old, else whatever it is. *old =
 * the value found. 0; -XEN_EAGAIN: it was or became another; -XEN_EINVAL; -XEN_ERESTART: execute it again. */
int pgt_emulated_write(struct vcpu *v, struct page *pg, unsigned index, uint64_t expect_old,
                       uint64_t new_val, bool cmpxchg, uint64_t *old);

/* pv/mirror_life.c: xv's domain is logged and its roots have changed; it is current, or does not run. */
void mirror_roots_set(struct x86_vcpu *xv);
/* pv/mirror_fault.c: a page fault in a logged guest, with its error code. true: the guest's own tables allow the access,
 * it can be tried again. Interrupts on. */
bool mirror_fault(struct x86_vcpu *xv, uint64_t va, uint32_t error);
/* The same for an access of ours to the current guest's memory, from the trap handler (interrupts off); rflags: of where
 * it happened. */
bool mirror_fault_here(struct vcpu *v, uint64_t va, uint32_t error, uint64_t rflags);

/* pv/mmuext.c */
int pv_set_cr3(struct vcpu *v, uint64_t mfn_val) __must_check;
void pv_cr3_update(struct x86_vcpu *xv); /* recompute cr3_kernel/cr3_user from root/root_user */

