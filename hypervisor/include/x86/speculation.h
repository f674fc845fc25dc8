/* SPDX-License-Identifier: MIT */
/*
 * What processors leak by speculation, and what is done about it between domains: x86/cpu/speculation.c.
 * docs/THREAT-MODEL.md says what is promised.
 */
#pragma once

#include "types.h"

struct x86_vcpu;

/* Boot CPU, when policies are made: decides, and logs what is on. */
void speculation_init(void);
/* Registers that differ between domains, and fences: xv's domain comes to this CPU. Interrupts off. */
void speculation_enter(const struct x86_vcpu *xv);
/* TSC_AUX of the vCPU that runs here. */
void tsc_aux_write(uint32_t val);
