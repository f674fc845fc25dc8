/* SPDX-License-Identifier: MIT */
/* Lists of CPUs as people write them: "0-3,5", "all", "all,^0", "0-7,^2-3". */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define CPULIST_BYTES 128U /* CPUs 0..1023 */

/* n_cpus: CPUs 0..n_cpus-1 exist; one beyond is refused, and so is an empty list. -EINVAL with fault(). */
int cpulist_parse(const char *text, unsigned n_cpus, uint8_t map[CPULIST_BYTES]);
/* "all" if every CPU of the host is in it, "none", or ranges. */
void cpulist_format(const uint8_t map[CPULIST_BYTES], unsigned n_cpus, char *out, size_t size);
