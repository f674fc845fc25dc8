/* SPDX-License-Identifier: MIT */
/* Between pgt.c (states) and pgt_entries.c (what an entry may be). */
#pragma once

#include "pgt.h"
#include "x86/mm.h"

#define PT_DRAIN 0x8000     /* in page.pt_done, see undo_entries() */
#define PT_DONE_MASK 0x3ff

static inline bool pgt_slot_is_ours(unsigned l4_slot)
{
    return l4_slot >= HYP_L4_FIRST && l4_slot <= HYP_L4_LAST;
}

/* May a table `pt` of type `type`, owned by ptd, hold *e, which maps a frame of pgd? Takes the references and
 * adjusts *e (user bit). 0, -XEN_EINVAL, -XEN_ERESTART. An entry that is not present needs nothing. */
int pgt_entry_get(struct page *pt, struct domain *ptd, struct domain *pgd, uint64_t type, uint64_t *e,
                  bool may_stop) __must_check;
/* The same entry, whose references the caller has got, maps another domain's frame for pt's domain: if it is writable, count
 * it as one of the frame's writers. */
void pgt_entry_foreign(const struct page *pt, uint64_t type, uint64_t e);
/* Drop the references of an entry that was there. -XEN_ERESTART: the lower table has a leftover, see
 * undo_entries(). */
int pgt_entry_put(struct page *pt, struct domain *ptd, uint64_t type, uint64_t e, bool may_stop);
/* Descriptor page: every descriptor harmless? Fixes them in place. */
int pgt_seg_validate(struct page *pg) __must_check;
