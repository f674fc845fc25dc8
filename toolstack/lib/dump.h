/* SPDX-License-Identifier: MIT */
/* A guest's memory and registers as a file in Xen's dump-core format (an ELF file with sections only; misc/dump-core-format.txt). */
#pragma once

#include "ctl.h"

/* The guest should be paused. The file is written beside `path` and gets its name when it is complete. */
int dump_core(struct ctl *c, domid_t domid, const char *path);
