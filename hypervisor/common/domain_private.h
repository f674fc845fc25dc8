/* SPDX-License-Identifier: MIT */
/* Between domain.c and domain_stop.c only. */
#pragma once

#include "domain.h"

void domain_shutdown_check(void *domain); /* timer callback: have all its vCPUs stopped? */
void domain_watchdog_fired(void *domain); /* timer callback */
