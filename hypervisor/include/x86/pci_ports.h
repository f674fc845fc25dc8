/* SPDX-License-Identifier: MIT */
/* PCI configuration by ports 0xcf8-0xcff on behalf of guests (drivers/pci*.c). */
#pragma once

#include "types.h"

struct vcpu;

/* true: the port was theirs and *val is the answer; false: treat as any other port. */
bool pci_port_read(struct vcpu *v, unsigned port, unsigned bytes, uint32_t *val);
bool pci_port_write(struct vcpu *v, unsigned port, unsigned bytes, uint32_t val);
