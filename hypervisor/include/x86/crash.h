/* SPDX-License-Identifier: MIT */
/* Register dumps, of ours and of guests (x86/panic.c). */
#pragma once

#include "x86/cpu.h"

/* panic() with the registers of the exception that led to it. */
__noreturn __cold_code void panic_regs(regs_t *regs, const char *fmt, ...) __printf_like(2, 3);
/* From the NMI path: another CPU is in panic(); dump ourselves and stop. Returns when it is not so. */
void panic_stop_self(regs_t *regs);
void regs_print(const regs_t *regs);
