/* SPDX-License-Identifier: MIT */
/*
 * Domain control calls: a privileged domain makes, configures, looks at and ends others. common/domctl.c
 * fetches the argument once, checks version, privilege and domain, and calls the handler of the row in
 * domctl.def. Source: ABI header domctl.h.
 *
 * A handler: long domctl_NAME(v, d, op). v is the caller; d the domain named, with a reference that the
 * dispatcher drops; op the fetched argument, which the handler may change (DC_BACK). It returns 0 or more, or
 * -XEN_E*; -XEN_ERESTART: the call is issued again with the argument as it is then (so with DC_BACK, progress can
 * be kept in it). Handlers read what handles in op point to themselves, each thing once.
 */
#pragma once

#include "abi.h"
#include "types.h"

#include <xen/domctl.h>

struct domain;
struct vcpu;

#define DC_BACK 0x01     /* op goes back to the caller when the handler returns 0 or more, or ERESTART */
#define DC_BACK_ERR 0x02 /* ... also with an error */
#define DC_LOCK 0x04     /* called with d->domctl_lock held (it is tried; who fails is issued again) */
#define DC_OTHER 0x08    /* not on the caller's own domain: -XEN_EINVAL */
#define DC_DYING 0x10    /* also on a domain that is being destroyed; else -XEN_ESRCH */
#define DC_NODOM 0x20    /* op->domain need not exist: d may be NULL, then the handler decides */

#define DOMCTL(name, flags)                                                                        \
    long domctl_##name(struct vcpu *v, struct domain *d, struct xen_domctl *op);
#define DOMCTL_OWN DOMCTL
#include "domctl.def"
#undef DOMCTL_OWN
#undef DOMCTL

/* What the ABI tells about a domain (common/domctl_info.c). d is held. */
void domain_info_fill(struct domain *d, struct xen_domctl_getdomaininfo *info);

/* Hypercall (hypercalls.def). */
long do_domctl(struct vcpu *v, uint64_t arg, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5);
