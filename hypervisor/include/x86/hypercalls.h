/* SPDX-License-Identifier: MIT */
/* Prototypes of all hypercall handlers, from the table. */
#pragma once

#include "types.h"

struct vcpu;

#define HCALL(nr, name)                                                                            \
    long do_##name(struct vcpu *v, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5);
#include "hypercalls.def"
#undef HCALL
