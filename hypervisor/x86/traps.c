/* SPDX-License-Identifier: MIT */
/*
 * Exceptions, first stop: sort those of a guest (pv/traps.c decides) from those of the hypervisor, which
 * are either at an address with a fix-up (guest memory accesses, MSRs, segment loads, the final iret) or the
 * end of the machine.
 */
#include "lib.h"
#include "log.h"
#include "port.h"
#include "x86/cpu.h"
#include "x86/crash.h"
#include "x86/guest.h"
#include "x86/pv.h"
#include "x86/smp.h"
#include "x86/traps.h"
#include "x86/watchdog.h"

struct ex_entry {
    int32_t at, fixup; /* relative to their own places */
};
extern struct ex_entry ex_table_start[], ex_table_end[];
extern char iret_to_guest[];
__noreturn void iret_fault_resume(void);

static const char *const trap_names[32] = {
    "divide error", "debug", "NMI", "breakpoint", "overflow", "bounds", "invalid opcode",
    "no coprocessor", "double fault", "coprocessor overrun", "invalid TSS", "segment not present",
    "stack fault", "general protection", "page fault", "15", "x87 error", "alignment check",
    "machine check", "SIMD error", "virtualization", "control protection"};

static uint64_t fixup_find(uint64_t rip)
{
    for (struct ex_entry *e = ex_table_start; e < ex_table_end; e++)
        if ((uint64_t)&e->at + (uint64_t)(int64_t)e->at == rip)
            return (uint64_t)&e->fixup + (uint64_t)(int64_t)e->fixup;
    return 0;
}

/* The iret into the guest was refused: the interrupted frame has the guest's general registers, the words
 * above it (still in cpu_info.regs) its rip..ss. */
__noreturn static void iret_fault(const regs_t *regs)
{
    regs_t *g = guest_regs();
    regs_t copy = *regs;

    memcpy(g, &copy, offsetof(regs_t, error_code));
    g->error_code = 0;
    g->entry_vector = 0;
    iret_fault_resume();
}

void trap_hypervisor(regs_t *regs)
{
    uint64_t fixup, addr = regs->entry_vector == 14 ? read_cr2() : 0;

    if (regs->rip == (uint64_t)iret_to_guest)
        iret_fault(regs);
    fixup = fixup_find(regs->rip);
    if (fixup && regs->entry_vector == 14 &&
        mirror_fault_here(cpu_info()->current, addr, regs->error_code, regs->rflags))
        return;
    if (fixup) {
        regs->rip = fixup;
        return;
    }
    if (regs->entry_vector == 14)
        log_err("fault address %lx\n", addr);
    panic_regs(regs, "%s in the hypervisor, error code %x", trap_names[regs->entry_vector & 31],
               regs->error_code);
}

void trap_debug_hypervisor(regs_t *regs)
{
    /* A guest's data breakpoint may fire while we copy its memory, or at the syscall entry: not ours. */
    __asm__ volatile("mov %0, %%dr6" ::"r"(0xffff0ff0UL));
    if (regs->rflags & FLAG_TF)
        regs->rflags &= ~FLAG_TF;
}

void trap_nmi_mc(regs_t *regs)
{
    if (regs->entry_vector == 18)
        panic_regs(regs, "machine check: the processor reports a hardware fault");
    panic_stop_self(regs);
    if (watchdog_nmi(regs))
        return;
    log_warn("NMI on cpu %u at %lx with no known source\n", cpu_self(), regs->rip);
}

void trap_guest(regs_t *regs)
{
    struct vcpu *v = current_vcpu();

    v->stat_exceptions++;
    pv_trap(to_x86(v), regs);
}
