/* SPDX-License-Identifier: MIT */
/*
 * System control calls: a privileged domain looks at the machine and configures the hypervisor. common/sysctl.c
 * fetches the argument once, checks version and privilege, and calls the handler of the row in sysctl.def.
 * Source: ABI header sysctl.h.
 *
 * A handler: long sysctl_NAME(v, op). It returns 0 or more, or -XEN_E*; -XEN_ERESTART: the call is issued again
 * with the argument as it is then (with SC_BACK). Handlers read what handles in op point to themselves, each
 * thing once.
 */
#pragma once

#include "abi.h"
#include "types.h"

#include <xen/sysctl.h>

struct vcpu;

#define SC_BACK 0x01     /* op goes back to the caller when the handler returns 0 or more, or ERESTART */
#define SC_BACK_ERR 0x02 /* ... also with an error */

#define SYSCTL(name, flags) long sysctl_##name(struct vcpu *v, struct xen_sysctl *op);
#include "sysctl.def"
#undef SYSCTL

/* From the machine: its part of physinfo; which core and package a CPU is. */
void arch_physinfo(struct xen_sysctl_physinfo *pi);
void arch_cpu_topology(unsigned cpu, uint32_t *core, uint32_t *socket);

/* Hypercall (hypercalls.def). */
long do_sysctl(struct vcpu *v, uint64_t arg, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5);
