/* SPDX-License-Identifier: MIT */
/* Other programs that the tools use: LVM's, QEMU's. No shell in between. */
#pragma once

#include <stddef.h>

#define PROGRAM_SECONDS 120

/*
 * Runs argv[0], found by PATH, and waits. What it says on both its outputs goes to out (size bytes at most, NUL-terminated, without the last
 * newline; may be NULL). 0 or its exit status; -ENOENT: there is no such program; -ETIMEDOUT after PROGRAM_SECONDS (it was ended). Silent.
 */
int program_run(const char *const argv[], char *out, size_t size);
/* The same; a failure becomes a fault() "WHAT: argv[0] says: ...". `package`: where to get the program. */
int program_need(const char *what, const char *package, const char *const argv[], char *out, size_t size);
