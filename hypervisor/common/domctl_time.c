/* SPDX-License-Identifier: MIT */
/* Control call: how far a domain's wall clock is from the machine's. */
#include "domain.h"
#include "domctl.h"
#include "vtime.h"

long domctl_settimeoffset(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    d->time_offset_s = op->u.settimeoffset.time_offset_seconds;
    vtime_update_wallclock(d);
    return 0;
}
