/* SPDX-License-Identifier: MIT */
/* The machine's share of panic() and of the debug keys that stop or restart it. */
#pragma once

#include "types.h"

/* Stop the other CPUs and print what is known of each: registers, backtrace. Console output is
 * polled and lock-free by now. Must not fail or take locks; interrupts are off. */
void arch_panic_dump(void);
/* Restart by the methods of opt.reboot, or else all of them in turn; halts when none works. */
__noreturn void machine_reboot(void);
/* Interrupts off, all CPUs stopped, for ever. */
__noreturn void machine_halt(void);
/* First address above the stack that rsp lies in, so that everything from rsp up to there can be
 * read. common/symbols.c has a weak one that knows only the page. */
uint64_t arch_stack_end(uint64_t rsp);
/* This CPU's stack pointer, for a backtrace from here. */
static inline uint64_t stack_pointer_now(void)
{
    return (uint64_t)(uintptr_t)__builtin_frame_address(0);
}

/* Registers debug keys 'h', 'R', 'm'; before console_init_irq(). */
void keys_init(void);
