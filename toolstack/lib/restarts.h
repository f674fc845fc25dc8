/* SPDX-License-Identifier: MIT */
/* A guest that ends again and again as soon as it has started is not restarted for ever. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define RESTARTS_MAX 5
#define RESTARTS_MS 60000

/* Counts a restart of that name now; false when it is one too many within RESTARTS_MS. */
bool restarts_allow(const char *name, uint64_t now_ms);
