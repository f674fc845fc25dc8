/* SPDX-License-Identifier: MIT */
/* Between domain.c and domain_stop.c only. */
#pragma once

#include "domain.h"

void domain_free(struct domain *d);      /* the last reference has gone */
void domain_unpublish(struct domain *d); /* not found any more */
void domain_shutdown_check(void *domain); /* timer callback: have all its vCPUs stopped? */
void domain_watchdog_fired(void *domain); /* timer callback */
