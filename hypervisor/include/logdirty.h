/* SPDX-License-Identifier: MIT */
/*
 * Log-dirty: which frames of a domain have changed since somebody last asked. docs/LOG-DIRTY.md has the design and
 * what must hold. This is what everybody else sees; while a domain is not logged, each of these is a test of a pointer.
 *
 * The rule for the hypervisor's own writes to a frame that a domain can call by number: first write, then
 * page_dirtied(), without leaving the hypervisor in between. Who writes at any time without saying so (a mapping of
 * another domain, a page of events) is counted instead: page_writer_add().
 */
#pragma once

#include "domain.h"
#include "page.h"
#include "port.h"

/* --- common/logdirty.c --- */
void logdirty_mark(struct domain *d, mfn_t m); /* d is logged; any context but interrupts, no lock */
void logdirty_m2p_set(struct domain *d, mfn_t m, uint64_t pfn);

static inline bool domain_logged(const struct domain *d)
{
    return unlikely(READ_ONCE(d->logdirty) != NULL);
}

/* pg, to which the caller holds a reference, has been written. */
static inline void page_dirtied(const struct page *pg)
{
    struct domain *d = pg->owner;

    if (domain_logged(d))
        logdirty_mark(d, mfn_of(pg));
}

/* d's frame m has another number from now on: what d calls by the old one and by the new one has changed. */
static inline void domain_m2p_set(struct domain *d, mfn_t m, uint64_t pfn)
{
    if (domain_logged(d))
        logdirty_m2p_set(d, m, pfn);
    else
        m2p_set(m, pfn);
}

/* --- common/page_refs.c --- */
/* Somebody can write to pg from now on without its owner's tables, with a typed reference (WRITABLE) that is the
 * caller's: counted in pg->writers until page_writer_drop(), which comes before that reference goes. */
void page_writer_add(struct page *pg);
void page_writer_drop(struct page *pg);

/* --- pv/mirror.c: changes of live page tables of a logged domain --- */
/* Entry `index` of pt has become another; before the old one's references go. */
void mirror_entry_changed(struct page *pt, unsigned index);
/* pt is no page table any more: nothing uses it, its entries still hold their references. */
void mirror_table_gone(struct page *pt);
