/* SPDX-License-Identifier: MIT */
/* The waiting vCPUs of one CPU by virtual time: a pairing heap whose links are in the vCPUs, so that
 * putting one in never needs memory. Under the run queue's lock. common/sched_heap.c. */
#pragma once

#include "domain.h"

/* Virtual times are compared by their difference: they wrap. */
static inline bool vt_before(uint64_t a, uint64_t b)
{
    return (int64_t)(a - b) < 0;
}

void sched_heap_add(struct vcpu **root, struct vcpu *v); /* O(1) */
void sched_heap_del(struct vcpu **root, struct vcpu *v); /* O(log n) amortised */
/* The least that `fits`, looking at not more than `most` of them; NULL: there is none among those. Who does not
 * fit hides nobody, who fits hides those below him, which are no better. */
struct vcpu *sched_heap_find(struct vcpu *root, unsigned most,
                             bool (*fits)(const struct vcpu *v, unsigned cpu), unsigned cpu);
/* For walks: start with the root; NULL at the end. */
struct vcpu *sched_heap_next(struct vcpu *v, bool into);
