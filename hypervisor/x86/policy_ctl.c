/* SPDX-License-Identifier: MIT */
/* Control calls about processor policies, and which policy a domain has. */
#include "x86/policy.h"

#include "domain.h"
#include "page.h"
#include "x86/cpu.h"
#include "x86/guest.h"

const struct cpu_policy *policy_of(const struct domain *d)
{
    const struct cpu_policy *own = to_x86d(d)->policy;

    if (own)
        return own;
    return d->hardware ? &policy_pv_hardware : &policy_pv_default;
}

void policy_domain_free(struct domain *d)
{
    zfree(to_x86d(d)->policy);
    to_x86d(d)->policy = NULL;
}
