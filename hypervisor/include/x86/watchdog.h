/* SPDX-License-Identifier: MIT */
/* NMIs that the hypervisor sends to itself: x86/smp/watchdog.c. */
#pragma once

#include "x86/cpu.h"

/* From the NMI entry: true when the NMI was ours. Does not return on a CPU that is to stop
 * (smp_stop_others()), and panics on one that the watchdog found stuck. */
bool watchdog_nmi(regs_t *regs);
