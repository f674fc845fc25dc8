/* SPDX-License-Identifier: MIT */
/*
 * Small objects: zalloc() and zfree().
 *
 * A slab is one frame cut into objects of one size class. Its state lives in the frame's struct
 * page, which belongs to the hypervisor while the frame is ours: next/prev link the slabs of a
 * class that have room, tlb_stamp counts the objects in use, pt_done is the first free object
 * (number + 1), and each free object begins with the number of the next. So allocating and freeing
 * look at one slab, never at all of them. Sizes above the largest class are whole frames, `order`
 * remembers how many.
 *
 * Objects of 64 bytes and more are 64-byte aligned, whole frames page-aligned. An empty slab is kept
 * only while no other of its class has room, in whatever order objects are freed: so what is in use
 * after a domain does not depend on how fast it went. Freed objects are poisoned in debug builds.
 */
#include "lib.h"
#include "lock.h"
#include "log.h"
#include "page.h"
#include "port.h"

#define PGF_SLAB 0x10
#define PGF_BIG 0x20
#define POISON 0x5a

struct slab_class {
    uint16_t size, per_slab;
    uint32_t partial; /* first slab with a free object, 0 = none */
    struct spinlock lock;
};

#define CLASS(n)                                                                                   \
    {                                                                                              \
        .size = (n), .per_slab = FRAME_SIZE / (n), .lock = SPINLOCK_INIT("slab", RANK_SLAB)        \
    }
static struct slab_class classes[] = {
    CLASS(32),  CLASS(64),  CLASS(128), CLASS(192), CLASS(256),  CLASS(320),
    CLASS(448), CLASS(576), CLASS(768), CLASS(960), CLASS(1344), CLASS(2048),
};

/* NULL: too big for a slab. */
static struct slab_class *class_of_size(size_t bytes)
{
    unsigned i;

    for (i = 0; i < ARRAY_SIZE(classes); i++)
        if (bytes <= classes[i].size)
            return &classes[i];
    return NULL;
}

/* --- Lists of slabs with room (lock of the class held) --- */

static void partial_link(struct slab_class *c, struct page *pg)
{
    pg->prev = 0;
    pg->next = c->partial;
    if (pg->next)
        frame_table[pg->next].prev = (uint32_t)mfn_of(pg).n;
    c->partial = (uint32_t)mfn_of(pg).n;
}

static void partial_unlink(struct slab_class *c, struct page *pg)
{
    if (pg->next)
        frame_table[pg->next].prev = pg->prev;
    if (pg->prev)
        frame_table[pg->prev].next = pg->next;
    else
        c->partial = pg->next;
    pg->next = pg->prev = 0;
}

/* A frame as a slab of c, all objects free, on no list. NULL: no memory. */
static struct page *slab_create(const struct slab_class *c)
{
    mfn_t m = frames_alloc(0, FA_NOSCRUB);
    struct page *pg;
    uint8_t *va;
    unsigned i;

    if (mfn_eq(m, INVALID_MFN))
        return NULL;
    pg = page_of(m);
    va = map_frame(m);
    for (i = 0; i < c->per_slab; i++)
        *(uint16_t *)(va + i * c->size) = i + 1 < c->per_slab ? (uint16_t)(i + 2) : 0;
    pg->flags = PGF_SLAB;
    pg->order = (uint8_t)(c - classes);
    pg->pt_done = 1;
    pg->tlb_stamp = 0;
    return pg;
}

static void slab_destroy(struct page *pg)
{
    mfn_t m = mfn_of(pg);

    pg->flags = 0;
    pg->pt_done = 0;
    pg->order = 0;
    unmap_frame(map_frame(m));
    frames_free(m, 0);
}

static void *object_take(struct slab_class *c, struct page *pg)
{
    uint8_t *obj = (uint8_t *)map_frame(mfn_of(pg)) + (pg->pt_done - 1) * c->size;

    pg->pt_done = *(uint16_t *)obj;
    BUG_ON(pg->pt_done > c->per_slab);
    pg->tlb_stamp++;
    if (!pg->pt_done)
        partial_unlink(c, pg);
    return obj;
}

static void *big_alloc(size_t bytes)
{
    unsigned order = order_of_bytes(bytes);
    mfn_t m = order > MAX_ORDER ? INVALID_MFN : frames_alloc(order, 0);

    if (mfn_eq(m, INVALID_MFN))
        return NULL;
    page_of(m)->flags = PGF_BIG;
    page_of(m)->order = (uint8_t)order;
    return map_frame(m);
}

void *zalloc(size_t bytes)
{
    struct slab_class *c = class_of_size(bytes);
    struct page *fresh = NULL;
    void *obj;

    if (!c)
        return big_alloc(bytes);
    spin_lock(&c->lock);
    if (!c->partial) { /* the heap may have to flush: not under the lock */
        spin_unlock(&c->lock);
        fresh = slab_create(c);
        if (!fresh)
            return NULL;
        spin_lock(&c->lock);
        partial_link(c, fresh);
    }
    obj = object_take(c, &frame_table[c->partial]);
    spin_unlock(&c->lock);
    return memset(obj, 0, c->size);
}

static void big_free(struct page *pg, const void *p)
{
    unsigned order = pg->order;

    BUG_ON((uintptr_t)p & (FRAME_SIZE - 1));
    pg->flags = 0;
    pg->order = 0;
    unmap_frame(p);
    frames_free(mfn_of(pg), order);
}

/* The empty slab that is kept, if there is one: then it is the only one on the list. */
static struct page *spare_slab(const struct slab_class *c)
{
    struct page *pg = c->partial ? &frame_table[c->partial] : NULL;

    return pg && !pg->tlb_stamp ? pg : NULL;
}

static void object_give(struct slab_class *c, struct page *pg, void *p)
{
    unsigned off = (unsigned)((uintptr_t)p & (FRAME_SIZE - 1));
    struct page *drop = NULL;

    BUG_ON(off % c->size || off / c->size >= c->per_slab);
#ifdef ZENDO_DEBUG
    memset(p, POISON, c->size);
#endif
    spin_lock(&c->lock);
    BUG_ON(!pg->tlb_stamp || pg->pt_done == off / c->size + 1);
    if (!pg->pt_done) {
        drop = spare_slab(c); /* not the only one with room any more */
        partial_link(c, pg);
    }
    *(uint16_t *)p = pg->pt_done;
    pg->pt_done = (uint16_t)(off / c->size + 1);
    pg->tlb_stamp--;
    if (!pg->tlb_stamp && !drop && (pg->next || pg->prev))
        drop = pg;
    if (drop)
        partial_unlink(c, drop);
    spin_unlock(&c->lock);
    if (drop)
        slab_destroy(drop);
}

void zfree(void *p)
{
    struct page *pg;

    if (!p)
        return;
    pg = page_of(map_frame_mfn(p));
    if (pg->flags & PGF_BIG) {
        big_free(pg, p);
        return;
    }
    BUG_ON(!(pg->flags & PGF_SLAB) || pg->order >= ARRAY_SIZE(classes));
    object_give(&classes[pg->order], pg, p);
}
