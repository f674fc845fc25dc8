/* SPDX-License-Identifier: MIT */
/* x86/softirq.c: the machine's half of port.h's soft interrupts. */
#pragma once

/* On each CPU before its first softirq. */
void softirq_cpu_init(void);
/* Run what is pending; interrupts on; may not return (a vCPU switch). */
void softirq_run(void);
