/* SPDX-License-Identifier: MIT */
/* Changing entries of live page tables (pv/pgt_update.c). */
#pragma once

#include "pgt.h"

struct vcpu;

/* Write entry `index` of pt, of which the caller holds a general and a typed reference. The frame it maps must be
 * pgd's. 0; or nothing changed: -XEN_EINVAL refused, -XEN_EBUSY others kept changing it, -XEN_ERESTART try
 * again. Also after 0 there may be a leftover of v's to finish before the next page-table operation. */
int pgt_update(struct vcpu *v, struct page *pt, unsigned index, uint64_t now, struct domain *pgd,
               bool preserve_ad) __must_check;
/* The same, if the entry still is *old; -XEN_EAGAIN: it is another, now in *old. The new one maps a frame of pt's own
 * domain, or nothing. */
int pgt_update_if(struct vcpu *v, struct page *pt, unsigned index, uint64_t *old, uint64_t now) __must_check;
/* Keep pg a page table of its present level; -XEN_EINVAL: it is none. */
int pgt_hold_table(struct page *pg) __must_check;
void pgt_release_table(struct vcpu *v, struct page *pg);
/* Finish what an earlier call of v left undone; -XEN_ERESTART: more to do. First thing in every page-table call. */
int pgt_finish_drain(struct vcpu *v) __must_check;
