/* SPDX-License-Identifier: MIT */
/*
 * The first page tables of a PV guest: the region at virt_base, and the p2m list where the kernel wants it. Tables are
 * mapped read-only for the guest, all else writable; small pages only, since the kernel takes these tables over.
 */
#include "build_layout.h"

#include <string.h>

#define ENTRIES 512U
#define PTE_PAGE 0x67ULL  /* present, writable, user, accessed, dirty: a PV kernel runs in ring 3 */
#define PTE_TABLE 0x67ULL /* an entry that points to a table */
#define PTE_READ 0x25ULL
#define VIRT_MASK ((1ULL << 48) - 1)

struct writer {
    const struct pv_layout *l;
    const xen_pfn_t *mfns;
    uint64_t *tables, *p2m_tables;
};

/* The frame of table number `index` of a level. It is one of the region's or of those apart. */
static uint64_t table_pfn(const struct pv_layout *l, unsigned level, uint64_t index)
{
    const struct table_range *r = &l->region[level - 1];

    if (index < r->lo || index > r->hi)
        r = &l->apart[level - 1];
    return r->pfn + (index - r->lo);
}

static uint64_t *table(const struct writer *w, unsigned level, uint64_t index)
{
    uint64_t pfn = table_pfn(w->l, level, index);

    if (pfn - w->l->table_pfn < w->l->n_tables)
        return w->tables + (pfn - w->l->table_pfn) * ENTRIES;
    return w->p2m_tables + (pfn - w->l->p2m_table_pfn) * ENTRIES;
}

/* Enters each table of levels 1 to 3 into the one above it. */
static void link_tables(const struct writer *w, const struct table_range r[4])
{
    for (unsigned level = 1; level <= 3; level++)
        for (uint64_t i = r[level - 1].lo; i <= r[level - 1].hi && r[level - 1].hi + 1 > r[level - 1].lo; i++)
            table(w, level + 1, i / ENTRIES)[i % ENTRIES] = (uint64_t)w->mfns[table_pfn(w->l, level, i)] << 12 | PTE_TABLE;
}

static void map_pages(const struct writer *w, uint64_t virt, uint64_t pfn, uint64_t pages)
{
    uint64_t page = (virt & VIRT_MASK) >> 12;
    uint64_t *l1 = NULL;

    for (uint64_t i = 0; i < pages; i++, page++) {
        if (!l1 || page % ENTRIES == 0)
            l1 = table(w, 1, page / ENTRIES);
        l1[page % ENTRIES] = (uint64_t)w->mfns[pfn + i] << 12 | (layout_is_table(w->l, pfn + i) ? PTE_READ : PTE_PAGE);
    }
}

void tables_write(const struct pv_layout *l, const xen_pfn_t *mfns, uint64_t *tables, uint64_t *p2m_tables)
{
    struct writer w = { l, mfns, tables, p2m_tables };

    memset(tables, 0, l->n_tables * ENTRIES * sizeof(uint64_t));
    if (l->n_p2m_tables)
        memset(p2m_tables, 0, l->n_p2m_tables * ENTRIES * sizeof(uint64_t));
    link_tables(&w, l->region);
    if (l->p2m_apart) {
        link_tables(&w, l->apart);
        map_pages(&w, l->p2m_virt, l->p2m_pfn, l->p2m_pages);
    }
    map_pages(&w, l->virt_base, 0, l->region_pages < l->pages ? l->region_pages : l->pages);
}
