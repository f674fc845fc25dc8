/* SPDX-License-Identifier: MIT */
/* x86/physdev*.c and x86/platform_op.c. The hypercalls themselves: x86/hypercalls.h. */
#pragma once

#include "types.h"

struct vcpu;

/* physdev_pci.c: the sub-operations about PCI devices; -XEN_ENOSYS: not one of them. */
long physdev_pci_op(struct vcpu *v, uint64_t cmd, guest_ptr_t arg);

/* Boot, while page 0 still is as the firmware left it: keep what XENPF_firmware_info asks for. */
void platform_init(void);
