/* SPDX-License-Identifier: MIT */
/* Changing entries of live page tables (pv/pgt_update.c). */
#pragma once

#include "pgt.h"

struct vcpu;

/* Write entry `index` of pt, of which the caller holds a general and a typed reference. The frame it maps must be
 * pgd's. 0; -XEN_EINVAL refused, nothing changed; -XEN_EBUSY others kept changing it; -XEN_ERESTART: try
 * again (when the entry has been written already the second time is a no-op), v's leftover is remembered. */
int pgt_update(struct vcpu *v, struct page *pt, unsigned index, uint64_t now, struct domain *pgd,
               bool preserve_ad) __must_check;
/* Keep pg a page table of its present level; -XEN_EINVAL: it is none. */
int pgt_hold_table(struct page *pg) __must_check;
void pgt_release_table(struct vcpu *v, struct page *pg);
/* Finish what an earlier call of v left undone; -XEN_ERESTART: more to do. First thing in every page-table call. */
int pgt_finish_drain(struct vcpu *v) __must_check;
