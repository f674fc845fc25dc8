/* SPDX-License-Identifier: MIT */
/* The parts of hypervisor/lib that libc does not have (lib.h): linked into every host test. */
#include "../../hypervisor/lib/bits.c"
