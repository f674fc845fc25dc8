/* SPDX-License-Identifier: MIT */
/*
 * Domain 0's memory: how much, which frames, and writing into it before it runs.
 *
 * Frames are taken in the largest blocks there are, from the top of memory down (the allocator's
 * rule), so what stays free is the low memory that drivers ask for later (memory_op exchange). All
 * loops over the whole domain touch each frame once with a handful of instructions: a machine has
 * millions of them and the user is waiting.
 */
#include "cmdline.h"
#include "dom0.h"
#include "lib.h"
#include "log.h"
#include "page.h"

#define MIB_PAGES (1UL << (20 - FRAME_SHIFT))
#define DEFAULT_RESERVE (128 * MIB_PAGES) /* at most; at least 1/16 of what there is, if less */
#define HYP_MINIMUM (8 * MIB_PAGES)       /* the hypervisor cannot do with less */

static uint64_t pages_of(uint64_t bytes)
{
    return bytes >> FRAME_SHIFT;
}

static uint64_t module_pages(const struct boot_module *m)
{
    return DIV_UP((m->start & ~FRAME_MASK) + m->size, FRAME_SIZE);
}

/* Everything that dom0 could get: free frames, and what the build itself will free or hand over. */
static uint64_t pages_available(const struct dom0_build *b)
{
    uint64_t n = frames_free_count();

    for (unsigned i = 0; i < MIN(boot.nr_modules, 2u); i++)
        n += module_pages(&boot.module[i]);
    if (!mfn_eq(b->kernel.frames, INVALID_MFN))
        n += 1UL << b->kernel.order;
    return n;
}

uint64_t dom0_size(const struct dom0_build *b)
{
    uint64_t avail = pages_available(b), most = avail - MIN(avail, HYP_MINIMUM), n;
    uint64_t off =
        pages_of((uint64_t)(opt.dom0_mem_off < 0 ? -opt.dom0_mem_off : opt.dom0_mem_off));

    if (opt.dom0_mem)
        n = pages_of(opt.dom0_mem);
    else if (off)
        n = avail - MIN(avail, off);
    else
        n = avail - MIN(avail / 16, DEFAULT_RESERVE);
    if (opt.dom0_mem_max && n > pages_of(opt.dom0_mem_max))
        n = pages_of(opt.dom0_mem_max);
    if (n < pages_of(opt.dom0_mem_min))
        n = pages_of(opt.dom0_mem_min);
    if (n > most) {
        log_warn("dom0: %lu MiB asked for, %lu MiB is all there is\n", n / MIB_PAGES,
                 most / MIB_PAGES);
        n = most;
    }
    return n;
}

static bool extent_add(struct dom0_build *b, mfn_t m, uint64_t nr)
{
    struct dom0_extent *last = b->nr_extents ? &b->extent[b->nr_extents - 1] : NULL;

    if (last && last->mfn + last->nr == m.n) {
        last->nr += nr;
    } else {
        if (b->nr_extents == DOM0_MAX_EXTENTS)
            return false;
        b->extent[b->nr_extents++] = (struct dom0_extent){b->have, m.n, nr};
    }
    b->have += nr;
    return true;
}

int dom0_populate(struct dom0_build *b, uint64_t pages)
{
    while (b->have < pages) {
        unsigned order = MIN(bit_last(pages - b->have), b->max_order);
        struct page *pg = domain_pages_alloc(b->d, order, FA_NOSCRUB, 64);

        if (pg && extent_add(b, mfn_of(pg), 1UL << order))
            continue;
        if (pg || !order) /* too many pieces, or no memory */
            return -XEN_ENOMEM;
        b->max_order = order - 1;
    }
    return 0;
}

/* Without a copy if the module begins at a page border; its pages belong to nobody yet. */
static bool module_can_move(const struct boot_module *m)
{
    paddr_t end = ROUND_UP(m->start + m->size, FRAME_SIZE);

    if (m->start & ~FRAME_MASK)
        return false;
    for (unsigned i = 0; i < boot.nr_modules; i++)
        if (&boot.module[i] != m && boot.module[i].start < end &&
            boot.module[i].start + boot.module[i].size > m->start)
            return false;
    for (paddr_t pa = m->start; pa < end; pa += FRAME_SIZE)
        if (!mfn_valid(mfn_of_paddr(pa)) || page_of(mfn_of_paddr(pa))->count)
            return false;
    return true;
}

/* Zero the rest of a module's last page. */
static void module_trim(const struct boot_module *m)
{
    paddr_t end = m->start + m->size;

    if (end & ~FRAME_MASK)
        memset(dom0_phys(end), 0, FRAME_SIZE - (end & ~FRAME_MASK));
}

static int initrd_copy(struct dom0_build *b, const struct boot_module *m)
{
    uint64_t pfn = b->have;
    int rc = dom0_populate(b, b->have + b->initrd_pages);

    if (rc)
        return rc;
    for (uint64_t at = 0; at < m->size; at += FRAME_SIZE, pfn++) {
        size_t n = MIN(m->size - at, FRAME_SIZE);
        char *to = map_frame(dom0_mfn(b, pfn));

        memcpy(to, dom0_phys(m->start + at), n);
        memset(to + n, 0, FRAME_SIZE - n);
        unmap_frame(to);
    }
    dom0_module_free(m);
    return 0;
}

int dom0_take_initrd(struct dom0_build *b)
{
    const struct boot_module *m = &boot.module[1];

    b->initrd_pfn = b->have;
    if (!module_can_move(m))
        return initrd_copy(b, m);
    module_trim(m);
    for (uint64_t i = 0; i < b->initrd_pages; i++) {
        int rc = domain_page_assign(b->d, page_of(mfn_add(mfn_of_paddr(m->start), i)));

        if (rc)
            return rc;
    }
    return extent_add(b, mfn_of_paddr(m->start), b->initrd_pages) ? 0 : -XEN_ENOMEM;
}

void dom0_module_free(const struct boot_module *m)
{
    paddr_t start = ROUND_UP(m->start, FRAME_SIZE),
            end = ROUND_DOWN(m->start + m->size, FRAME_SIZE);

    /* Whole pages that are this module's alone: a page shared with another one stays unused. */
    if (start < end)
        frames_add(mfn_of_paddr(start), mfn_of_paddr(end));
}

mfn_t dom0_mfn(struct dom0_build *b, uint64_t pfn)
{
    const struct dom0_extent *e = &b->extent[b->hint];

    BUG_ON(pfn >= b->have);
    if (pfn - e->pfn >= e->nr) { /* unsigned: below it too */
        for (b->hint = 0;; b->hint++) {
            e = &b->extent[b->hint];
            if (pfn - e->pfn < e->nr)
                break;
        }
    }
    return mfn(e->mfn + (pfn - e->pfn));
}

/* src NULL: zeros. */
static void region_fill(struct dom0_build *b, uint64_t va, const void *src, uint64_t n)
{
    const char *from = src;

    while (n) {
        uint64_t off = va & ~FRAME_MASK, k = MIN(n, FRAME_SIZE - off);
        char *to = map_frame(dom0_mfn(b, dom0_va_pfn(b, va)));

        if (from)
            memcpy(to + off, from, k);
        else
            memset(to + off, 0, k);
        unmap_frame(to);
        from = from ? from + k : NULL;
        va += k;
        n -= k;
    }
}

void dom0_write(struct dom0_build *b, uint64_t va, const void *src, uint64_t n)
{
    region_fill(b, va, src, n);
}

void dom0_clear(struct dom0_build *b, uint64_t va, uint64_t n)
{
    region_fill(b, va, NULL, n);
}

void dom0_write_p2m(struct dom0_build *b)
{
    uint64_t pfn = 0, *list = NULL;

    for (unsigned i = 0; i < b->nr_extents; i++) {
        uint64_t m = b->extent[i].mfn, end = pfn + b->extent[i].nr;

        for (; pfn < end; pfn++, m++) {
            if (!(pfn % 512))
                list = map_frame(dom0_mfn(b, b->p2m_pfn + pfn / 512));
            list[pfn % 512] = m;
            m2p_set(mfn(m), pfn);
        }
    }
    if (pfn % 512) /* the last frame is whole */
        memset(list + pfn % 512, 0xff, (512 - pfn % 512) * sizeof(*list));
}
