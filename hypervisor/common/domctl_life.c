/* SPDX-License-Identifier: MIT */
/* Control calls for a domain's life: pausing. */
#include "domain.h"
#include "domctl.h"
#include "lib.h"
#include "log.h"
#include "port.h"

#define CONTROL_PAUSES_MAX 255

/* The pauses of control calls are counted apart, so that no control call can undo a pause of ours. */
long domctl_pausedomain(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    uint32_t n = __atomic_load_n(&d->control_pauses, __ATOMIC_RELAXED);

    do {
        if (n >= CONTROL_PAUSES_MAX)
            return -XEN_EOVERFLOW;
    } while (!__atomic_compare_exchange_n(&d->control_pauses, &n, n + 1, false, __ATOMIC_SEQ_CST,
                                          __ATOMIC_RELAXED));
    domain_pause(d);
    return 0;
}

long domctl_unpausedomain(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    uint32_t n = __atomic_load_n(&d->control_pauses, __ATOMIC_RELAXED);

    do {
        if (!n)
            return -XEN_EINVAL;
    } while (!__atomic_compare_exchange_n(&d->control_pauses, &n, n - 1, false, __ATOMIC_SEQ_CST,
                                          __ATOMIC_RELAXED));
    domain_unpause(d);
    return 0;
}
