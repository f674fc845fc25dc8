/* SPDX-License-Identifier: MIT */
/* Inside x86/smp/, and what the start of a CPU needs from outside of it. */
#pragma once

#include "types.h"

__noreturn void ap_main(unsigned cpu);        /* from ap.S, on the CPU's own stack */
__noreturn void cpu_idle_enter(unsigned cpu); /* the idle loop of an AP that is online (x86/idle) */
void smp_call_init(void);                     /* handlers of VECTOR_CALL and VECTOR_EVENT_CHECK */
bool smp_nmi(void);     /* NMI: true (never returns) when smp_stop_others() wants this CPU to stop */
