/* SPDX-License-Identifier: MIT */
/* x86/context.c: vCPU state in the CPU and in memory. */
#pragma once

#include "types.h"

struct vcpu;

/* Make v's registers, segments and FPU state be in struct x86_vcpu. v does not run. Interrupts on. */
void vcpu_state_sync(struct vcpu *v);
void vcpu_state_sync_elsewhere(struct vcpu *v);
/* This CPU becomes idle for the first time; its idle vCPU exists. */
__noreturn void cpu_idle_run(void);
/* Something useful to do when there is nothing else (scrubbing), interrupts on: true if there may be more. */
bool idle_work(void);
void runstate_area_update(struct vcpu *v); /* common/vcpu_ops.c */
