/* SPDX-License-Identifier: MIT */
/* Shared by the net_*.c files alone. */
#pragma once

#include "net.h"

enum nic_way { NIC_BRIDGE, NIC_ROUTE, NIC_SCRIPT };

enum nic_way nic_way(const struct nic_config *n);
/* Where a script of that name is looked for; `out` of 256 bytes. */
const char *nic_script_path(const char *script, char *out);
/* "1" to a file below /proc/sys; faults name the file. */
int net_write_sysctl(const char *value, const char *path, ...) __attribute__((format(printf, 2, 3)));
