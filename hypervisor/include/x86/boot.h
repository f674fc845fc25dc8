/* SPDX-License-Identifier: MIT */
/* From head.S. */
#pragma once

#include "types.h"

/* Long mode, early tables, interrupts off, boot CPU's stack; does not return. */
void boot_main(uint32_t magic, uint32_t info);
