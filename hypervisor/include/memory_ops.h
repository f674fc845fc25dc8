/* SPDX-License-Identifier: MIT */
/* Parts of memory_op in files of their own. */
#pragma once

#include "types.h"

struct vcpu;

/* XENMEM_exchange (common/memory_exchange.c). */
long memory_exchange(struct vcpu *v, uint64_t arg);
/* Sub-operations that are the machine's: memory maps and the like (x86/memory_map.c). -XEN_ENOSYS: unknown. */
long arch_memory_op(struct vcpu *v, unsigned op, uint64_t arg);
