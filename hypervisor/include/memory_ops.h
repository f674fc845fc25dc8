/* SPDX-License-Identifier: MIT */
/* Parts of memory_op in files of their own. */
#pragma once

#include "types.h"

struct domain;
struct vcpu;

/* XENMEM_exchange (common/memory_exchange.c). */
long memory_exchange(struct vcpu *v, uint64_t arg);
/* XENMEM_acquire_resource (common/memory_resource.c). */
long memory_acquire_resource(struct vcpu *v, uint64_t cmd, uint64_t arg);
/* Whom a call is for, with a reference: the caller or, for a privileged one, anybody; NULL and *rc. */
struct domain *memory_subject(struct vcpu *v, uint16_t id, int *rc);
/* Sub-operations that are the machine's: memory maps and the like (x86/memory_map.c). -XEN_ENOSYS: unknown. */
long arch_memory_op(struct vcpu *v, unsigned op, uint64_t arg);
