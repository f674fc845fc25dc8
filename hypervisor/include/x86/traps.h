/* SPDX-License-Identifier: MIT */
/* Called from entry.S. */
#pragma once

#include "x86/cpu.h"

void trap_guest(regs_t *regs);             /* from a guest, interrupts on, frame = cpu_info.regs */
void trap_hypervisor(regs_t *regs);        /* in the hypervisor: fix up and return, or panic */
void trap_debug_hypervisor(regs_t *regs);
void trap_nmi_mc(regs_t *regs);            /* on their own stacks */

__noreturn void ret_to_guest_fresh(void);  /* run the guest in cpu_info.regs; drops the stack */
__noreturn void run_on_fresh_stack(void (*fn)(void));
