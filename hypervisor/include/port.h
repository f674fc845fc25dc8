/* SPDX-License-Identifier: MIT */
/*
 * All that common code may ask of a machine. Target: hypervisor/x86. Host tests: tests/host.
 */
#pragma once

#include "types.h"

struct domain;
struct vcpu;

/* --- Frames ------------------------------------------------------------------------------- */

/* The hypervisor's view of a frame of RAM, readable and writable. Valid until unmap_frame(). Does
 * not fail; any context. The caller holds a reference to the frame. */
void *map_frame(mfn_t m);
void unmap_frame(const void *va);
/* The frame behind an address inside a page that map_frame() gave and that is still mapped. The frames of one
 * frames_alloc() are mapped one behind the other: map_frame() of the first serves for all (slab.c). */
mfn_t map_frame_mfn(const void *va);

/* Machine-to-physical table entry of a frame (what guests read at MACH2PHYS_VIRT_START). */
void m2p_set(mfn_t m, uint64_t pfn);
uint64_t m2p_get(mfn_t m);
#define M2P_INVALID (~0ULL)

/* --- Guest memory through the current address space ------------------------------------------ */

/* Copy between hypervisor memory and the current vCPU's virtual memory. 0, or -XEN_EFAULT if any
 * byte is not accessible to the guest (or lies in the hypervisor's range); then some of it may have
 * been copied. Each byte is read once. Not in interrupt context. */
int copy_from_guest(void *dst, guest_ptr_t src, size_t bytes) __must_check;
int copy_to_guest(guest_ptr_t dst, const void *src, size_t bytes) __must_check;
int clear_guest(guest_ptr_t dst, size_t bytes) __must_check;

/* Element forms: `to` or `from` a local variable of the right type. */
#define get_guest(var, ptr) copy_from_guest(&(var), ptr, sizeof(var))
#define put_guest(ptr, var) copy_to_guest(ptr, &(var), sizeof(var))

/* --- Processors and interrupts ----------------------------------------------------------------- */

unsigned cpu_self(void);            /* number of this CPU, dense from 0 */
unsigned cpu_count(void);           /* CPUs online: numbers 0..cpu_count()-1 */
uint64_t irq_save(void);            /* interrupts off; returns what irq_restore() wants */
void irq_restore(uint64_t flags);
#ifdef ZENDO_HOST
void cpu_relax(void); /* lets another thread run: there may be fewer processors than threads */
#else
static inline void cpu_relax(void)
{
    __builtin_ia32_pause();
}
#endif

/* --- Soft interrupts: work done on the way back to a guest or in the idle loop, interrupts on --- */

enum softirq {
    SOFTIRQ_TIMER,    /* expired timers */
    SOFTIRQ_SCHED,    /* choose the next vCPU; runs last, may not return */
    SOFTIRQ_PIRQ,     /* physical interrupts recorded for guests */
    SOFTIRQ_CONSOLE,  /* serial input */
    SOFTIRQ_TIME,     /* clock calibration */
    SOFTIRQ_KEYS,     /* debug key pressed */
    SOFTIRQ_QUIESCE,  /* somebody waits until every CPU has been here */
    SOFTIRQ_NR
};

/* Mark on a CPU; a remote one is told by an interprocessor interrupt. Any context. */
void softirq_raise(unsigned cpu, enum softirq nr);
void softirq_register(enum softirq nr, void (*fn)(void));

/* True when a long operation should stop and arrange to be continued: a softirq is pending. */
bool preempt_needed(void);

/* The CPU on which v runs (if it does) leaves the guest and looks at its pending events. */
void vcpu_kick(struct vcpu *v);

/* --- Time --------------------------------------------------------------------------------------- */

uint64_t now_ns(void);  /* system time since boot, monotonic on each CPU, in step across CPUs */
/* Arrange SOFTIRQ_TIMER on this CPU at `deadline` (ns of system time), 0 = never. At once if past. */
void port_timer_program(uint64_t deadline);

/* --- Translation caches --------------------------------------------------------------------------- */

/* A moment of the flush clock: see tlb_flush_stale(). */
uint32_t tlb_stamp_now(void);
/* Make sure that no CPU still holds a guest translation older than `stamp` (a value of
 * tlb_stamp_now() taken after the mapping was removed). CPUs that flushed since are left alone.
 * Interrupts on; holds no RANK_IRQ lock. */
void tlb_flush_stale(uint32_t stamp);
/* The same for a frame that was a page table: idle CPUs too. */
void tlb_flush_stale_tables(uint32_t stamp);

/* --- Hypercall plumbing ------------------------------------------------------------------------------ */

/* Ask that the current hypercall be issued again with these arguments (a continuation): works from
 * a direct call and from inside a multicall. Return its value from the handler at once. */
long hcall_again(struct vcpu *v, unsigned nr, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                 uint64_t a5);
