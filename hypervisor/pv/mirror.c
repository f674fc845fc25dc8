/* SPDX-License-Identifier: MIT */
/*
 * Mirrors of a logged guest's page tables: what the processor walks in place of them. docs/LOG-DIRTY.md has the
 * reasons; what must hold (mirror_check.c looks):
 *
 *  1. A mirror's entry is empty, or the guest's entry is present with its accessed bit set, maps the same, and the mirror
 *     allows no more. Upper entries lead to the mirror of the table that the guest's entry leads to.
 *  2. A writable level-1 entry: the guest's entry is writable and has its dirty bit, and what it maps is marked in the live
 *     bitmap (unless nobody logs it: another domain's frame, a device).
 *
 * So the processor never has a bit to set in a mirror, the guest's own entries always say what they would say without
 * logging, and a mirror is only a cache: an entry, a table, or all of them can be emptied at any time.
 *
 * Who changes an entry of the guest's exchanges it, then comes here (mirror_entry_changed), then drops the old references.
 * Who fills a mirror reads the guest's entry and writes the mirror's under the lock. Whichever comes first, the mirror
 * does not keep the old entry, and what a mirror maps is always held by an entry of the guest's.
 */
#include "mirror.h"

#include "lib.h"
#include "log.h"
#include "port.h"

/* --- look-up ------------------------------------------------------------------------------------------- */

/* By the frame alone: the mirrors of one table at its several levels are in one bucket. */
static struct mirror **bucket_of(const struct mirrors *ms, mfn_t table)
{
    return &ms->bucket[(table.n * 0x9e3779b97f4a7c15ULL) >> (64 - ms->bits)];
}

struct mirror *mirror_find(struct mirrors *ms, mfn_t table, unsigned level)
{
    uint64_t key = mirror_key(table, level);

    for (struct mirror *m = *bucket_of(ms, table); m; m = m->next)
        if (m->key == key)
            return m;
    return NULL;
}

static void bucket_insert(struct mirrors *ms, struct mirror *m)
{
    struct mirror **b = bucket_of(ms, mirror_table(m));

    m->next = *b;
    *b = m;
}

/* --- free ones ------------------------------------------------------------------------------------------ */

/* m is in no bucket, and no entry leads to it; processors may still remember that one did. */
static void free_add(struct mirrors *ms, struct mirror *m, uint32_t stamp)
{
    m->key = m->rw = 0;
    m->next = NULL;
    m->stamp = stamp;
    if (ms->free_first)
        ms->free_last->next = m;
    else
        ms->free_first = m;
    ms->free_last = m;
    ms->nr_free++;
}

static struct mirror *free_take(struct mirrors *ms)
{
    struct mirror *m = ms->free_first;

    BUG_ON(!m);
    ms->free_first = m->next;
    ms->nr_free--;
    return m;
}

static void clear_guest_slots(uint64_t *table)
{
    for (unsigned i = 0; i < 512; i++)
        if (!pgt_slot_is_ours(i))
            WRITE_ONCE(table[i], 0);
}

static void mirror_empty(struct mirror *m)
{
    uint64_t *t = map_frame(m->frame);

    clear_guest_slots(t);
    unmap_frame(t);
}

/* None left: all go at once, which is simple and as cheap in the long run as picking some. Roots in use stay, empty; they
 * are emptied first, and only then is the stamp taken: a processor that flushes and walks them meanwhile remembers
 * tables that are about to be free, and has to flush again before those are used. */
static void mirrors_reset(struct mirrors *ms)
{
    uint32_t stamp;

    for (uint32_t i = 0; i < ms->n; i++)
        if (ms->m[i].users)
            mirror_empty(&ms->m[i]);
    stamp = tlb_stamp_after();
    memset(ms->bucket, 0, sizeof(ms->bucket[0]) << ms->bits);
    for (uint32_t i = 0; i < ms->n; i++) {
        struct mirror *m = &ms->m[i];

        if (m->key && m->users)
            bucket_insert(ms, m);
        else if (m->key)
            free_add(ms, m, stamp);
    }
    ms->resets++;
}

void mirrors_reserve(struct logdirty *ld, unsigned n)
{
    if (unlikely(ld->mirrors->nr_free < n))
        mirrors_reset(ld->mirrors);
}

struct mirror *mirror_make(struct logdirty *ld, mfn_t table, unsigned level)
{
    struct mirror *m = free_take(ld->mirrors);
    uint64_t *t = map_frame(m->frame);

    /* Until now a processor could have walked it as the table it was before. */
    tlb_flush_stale_tables(m->stamp);
    memset(t, 0, FRAME_SIZE);
    m->key = mirror_key(table, level);
    if (level == 4) {
        hyp_l4_install(t);
    } else if (PGT_LEVEL(page_of(table)->type) == 4) { /* a level-4 table that maps itself: our slots as they are there */
        const uint64_t *g = map_frame(table);

        memcpy(&t[HYP_L4_FIRST], &g[HYP_L4_FIRST], (HYP_L4_LAST - HYP_L4_FIRST + 1) * sizeof(*t));
        unmap_frame(g);
    }
    unmap_frame(t);
    bucket_insert(ld->mirrors, m);
    return m;
}

void mirror_user_drop(struct mirrors *ms, struct mirror *m)
{
    BUG_ON(!m->users);
    if (!--m->users && !m->key)
        free_add(ms, m, tlb_stamp_after());
}

/* --- entries ---------------------------------------------------------------------------------------------- */

uint64_t mirror_pfn(const struct logdirty *ld, mfn_t m)
{
    if (!mfn_valid(m) || READ_ONCE(page_of(m)->owner) != ld->d || !(READ_ONCE(page_of(m)->count) & PGC_COUNT_MASK))
        return LOGDIRTY_NO_PFN;
    return logdirty_pfn(ld, m);
}

/* May it be written without our seeing it? */
static bool leaf_writable(const struct logdirty *ld, const struct page *pt, uint64_t e)
{
    uint64_t pfn;

    if ((e & (PTE_RW | PTE_D)) != (PTE_RW | PTE_D) || PGT_LEVEL(pt->type) != 1)
        return false;
    pfn = mirror_pfn(ld, entry_target(e));
    return pfn == LOGDIRTY_NO_PFN || logdirty_is_dirty(ld, pfn);
}

uint64_t mirror_leaf(const struct logdirty *ld, const struct page *pt, uint64_t e)
{
    if ((e & (PTE_P | PTE_A)) != (PTE_P | PTE_A))
        return 0;
    return leaf_writable(ld, pt, e) ? e : e & ~PTE_RW;
}

bool mirror_leaf_set(struct mirror *m, unsigned index, uint64_t leaf)
{
    uint64_t *t = map_frame(m->frame);
    bool another = READ_ONCE(t[index]) != leaf;

    WRITE_ONCE(t[index], leaf);
    if (leaf & PTE_RW)
        m->rw |= BIT(index / 8);
    unmap_frame(t);
    return another;
}

/* A level-1 entry is renewed at once: after a fork most of a table's entries change, and each would fault. */
static void entry_renew(struct logdirty *ld, struct mirror *m, struct page *pt, unsigned index)
{
    uint64_t *t;

    if (mirror_level(m) == 1) {
        const uint64_t *g = map_frame(mfn_of(pt));

        mirror_leaf_set(m, index, mirror_leaf(ld, pt, READ_ONCE(g[index])));
        unmap_frame(g);
        return;
    }
    t = map_frame(m->frame);
    WRITE_ONCE(t[index], 0);
    unmap_frame(t);
}

void mirror_entry_changed(struct page *pt, unsigned index)
{
    struct logdirty *ld = __atomic_load_n(&pt->owner->logdirty, __ATOMIC_ACQUIRE);

    if (!ld)
        return;
    spin_lock(&ld->lock);
    for (struct mirror *m = *bucket_of(ld->mirrors, mfn_of(pt)); m; m = m->next)
        if (mirror_table(m).n == mfn_of(pt).n)
            entry_renew(ld, m, pt, index);
    spin_unlock(&ld->lock);
    logdirty_mark_pfn(ld, m2p_get(mfn_of(pt)));
}

/* No entry of the guest's leads to pt any more (but its own to itself), so no entry of a mirror does. */
void mirror_table_gone(struct page *pt)
{
    struct logdirty *ld = __atomic_load_n(&pt->owner->logdirty, __ATOMIC_ACQUIRE);
    struct mirror **at, *m;

    if (!ld)
        return;
    spin_lock(&ld->lock);
    at = bucket_of(ld->mirrors, mfn_of(pt));
    while ((m = *at)) {
        if (mirror_table(m).n != mfn_of(pt).n) {
            at = &m->next;
            continue;
        }
        *at = m->next;
        m->key = 0;
        if (!m->users)
            free_add(ld->mirrors, m, tlb_stamp_after());
    }
    spin_unlock(&ld->lock);
}
