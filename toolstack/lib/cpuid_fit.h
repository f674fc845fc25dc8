/* SPDX-License-Identifier: MIT */
/*
 * A CPU policy that was made elsewhere, on this host: what only limits (the last leaf of a range) or only advises (that a fault of processors
 * is absent) and is not here is taken out of it. All else stays, and the hypervisor refuses what it cannot give.
 */
#pragma once

#include "ctl.h"

/* In place; the number of leaves that are left. *changed: something was taken out. */
unsigned cpuid_fit(xen_cpuid_leaf_t *leaf, unsigned n, const xen_cpuid_leaf_t *max, unsigned n_max, bool *changed);
