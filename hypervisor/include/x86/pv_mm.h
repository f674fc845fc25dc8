/* SPDX-License-Identifier: MIT */
/* Helpers that the page-table hypercalls share (pv/mmuext.c). */
#pragma once

#include "types.h"

struct vcpu;
struct domain;

/* A domain whose frames v may map: itself, dom_io (device memory), dom_xen (the M2P, read-only), or any if v's
 * domain is privileged. With a reference; NULL. */
struct domain *pv_domain_get(struct vcpu *v, uint16_t id) __must_check;

/* CPUs on which d's vCPUs (all; those of a guest's bitmap) may have translations now. */
void pv_cpus_of_all(struct domain *d, uint64_t *mask);
int pv_cpus_of_bitmap(struct domain *d, guest_ptr_t bitmap, uint64_t *mask) __must_check;
/* invlpg of a guest address on this CPU; addresses of ours are ignored. */
void pv_invlpg(uint64_t va);
