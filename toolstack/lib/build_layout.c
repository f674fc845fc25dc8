/* SPDX-License-Identifier: MIT */
/* Where everything lies in a new PV guest. See build_layout.h. */
#include "build_layout.h"
#include "fault.h"

#include <errno.h>
#include <string.h>

#define PAGE_SHIFT 12
#define SPARE (512ULL << 10 >> PAGE_SHIFT)  /* pages that the ABI promises after the last element */
#define ALIGN_END (4ULL << 20 >> PAGE_SHIFT)
#define VIRT_MASK ((1ULL << 48) - 1)

static uint64_t to_pages(uint64_t bytes)
{
    return (bytes >> PAGE_SHIFT) + !!(bytes & 0xfff);
}

/* What one table of this level (1..4) covers, as a shift. */
static unsigned shift_of(unsigned level)
{
    return PAGE_SHIFT + 9 * level;
}

/* Tables of levels 1 to 3 for a range of virtual addresses; the level-4 table is one. */
static void ranges_of(struct table_range r[4], uint64_t from, uint64_t bytes)
{
    from &= VIRT_MASK;
    for (unsigned level = 1; level <= 4; level++) {
        r[level - 1].lo = from >> shift_of(level);
        r[level - 1].hi = (from + bytes - 1) >> shift_of(level);
    }
}

static uint64_t count(const struct table_range *r)
{
    return r->hi + 1 - r->lo; /* 0 when hi == lo - 1 */
}

/* Takes out of r what `other` has: both cover adjacent or distant addresses, so they share at most tables at one end. */
static void leave_out(struct table_range *r, const struct table_range *other)
{
    if (r->lo >= other->lo && r->lo <= other->hi)
        r->lo = other->hi + 1;
    else if (r->hi >= other->lo && r->hi <= other->hi)
        r->hi = other->lo - 1;
    if (r->lo > r->hi)
        r->hi = r->lo - 1;
}

/* Gives frames to the tables, highest level first; the number of frames. */
static uint64_t number_tables(struct table_range r[4], uint64_t pfn)
{
    uint64_t start = pfn;

    for (unsigned level = 4; level >= 1; level--) {
        r[level - 1].pfn = pfn;
        pfn += count(&r[level - 1]);
    }
    return pfn - start;
}

/* The packed part. Its size and that of the tables which map it depend on each other: more tables until it fits. */
static void place_region(struct pv_layout *l, const struct image *im)
{
    uint64_t pfn = l->kernel_pfn + l->kernel_pages;

    if (!l->initrd_by_pfn) {
        l->initrd_pfn = pfn;
        pfn += l->initrd_pages;
    }
    if (!l->p2m_apart) {
        l->p2m_pfn = pfn;
        l->p2m_virt = layout_virt(l, pfn);
        pfn += l->p2m_pages;
    }
    l->start_info_pfn = pfn++;
    l->store_pfn = pfn++;
    l->console_pfn = pfn++;
    l->table_pfn = pfn;
    for (uint64_t tables = 4;; tables = l->n_tables) {
        uint64_t end = pfn + tables + 1 + SPARE, virt_end = to_pages(layout_virt(l, end));

        l->region_pages = end + (ALIGN_END - virt_end % ALIGN_END) % ALIGN_END;
        ranges_of(l->region, l->virt_base, l->region_pages << PAGE_SHIFT);
        l->n_tables = number_tables(l->region, pfn);
        if (l->n_tables <= tables)
            break;
    }
    l->stack_pfn = pfn + l->n_tables;
    l->apart_pfn = l->stack_pfn + 1 + SPARE;
}

static void place_apart(struct pv_layout *l)
{
    uint64_t pfn = l->apart_pfn;

    for (unsigned i = 0; i < 4; i++)
        l->apart[i] = (struct table_range){ .lo = 1, .hi = 0 };
    if (l->p2m_apart) {
        l->p2m_pfn = pfn;
        pfn += l->p2m_pages;
        ranges_of(l->apart, l->p2m_virt, l->p2m_pages << PAGE_SHIFT);
        for (unsigned i = 0; i < 4; i++)
            leave_out(&l->apart[i], &l->region[i]);
        l->p2m_table_pfn = pfn;
        l->n_p2m_tables = number_tables(l->apart, pfn);
        pfn += l->n_p2m_tables;
    }
    if (l->initrd_by_pfn) {
        l->initrd_pfn = pfn;
        pfn += l->initrd_pages;
    }
    l->end_pfn = pfn;
}

/* Addresses that a guest may have: in one half, page-aligned, not the hypervisor's. They come from the kernel file. */
static bool usable(uint64_t from, uint64_t pages)
{
    uint64_t last = from + (pages << PAGE_SHIFT) - 1;

    return last > from && !(from & 0xfff) && from >> 47 == last >> 47 && (from >> 47 == 0 || from >> 47 == 0x1ffff) &&
           (last < 0xffff800000000000ULL || from >= 0xffff880000000000ULL);
}

static int check_addresses(const struct pv_layout *l)
{
    uint64_t region = l->virt_base, region_end = layout_virt(l, l->region_pages), p2m_end = l->p2m_virt + (l->p2m_pages << PAGE_SHIFT);

    if (!usable(region, l->region_pages))
        return fault(-ENOEXEC, "kernel: with all that goes with it, it does not fit at %#llx; take a smaller ramdisk or another kernel",
                     (unsigned long long)region);
    if (l->p2m_apart && (!usable(l->p2m_virt, l->p2m_pages) || (l->p2m_virt < region_end && p2m_end > region)))
        return fault(-ENOEXEC, "kernel: it wants the list of its pages at %#llx, which is not usable; take another kernel",
                     (unsigned long long)l->p2m_virt);
    return 0;
}

int layout_make(struct pv_layout *l, const struct image *im, uint64_t pages, uint64_t initrd_bytes)
{
    memset(l, 0, sizeof(*l));
    if (pages > 1ULL << 32 || initrd_bytes > 1ULL << 40)
        return fault(-E2BIG, "memory: %llu MiB and a ramdisk of %llu MiB are more than a guest can have", (unsigned long long)pages >> 8,
                     (unsigned long long)initrd_bytes >> 20);
    l->virt_base = im->virt_base;
    l->pages = pages;
    l->kernel_pfn = im->start >> PAGE_SHIFT;
    l->kernel_pages = (im->end - im->start) >> PAGE_SHIFT;
    l->initrd_pages = to_pages(initrd_bytes);
    l->initrd_by_pfn = im->initrd_by_pfn;
    l->p2m_pages = to_pages(pages * sizeof(xen_pfn_t));
    l->p2m_apart = im->has_init_p2m;
    l->p2m_virt = im->init_p2m;
    place_region(l, im);
    place_apart(l);
    int rc = check_addresses(l);

    if (!rc && l->end_pfn > pages)
        rc = fault(-ENOMEM, "memory: %llu MiB are too little for this kernel (%llu MiB) and ramdisk (%llu MiB): set 'memory =' to at least %llu",
                   (unsigned long long)pages >> 8, (unsigned long long)(l->kernel_pfn + l->kernel_pages + 255) >> 8,
                   (unsigned long long)(l->initrd_pages + 255) >> 8, (unsigned long long)(l->end_pfn + 255) >> 8);
    return rc;
}

bool layout_is_table(const struct pv_layout *l, uint64_t pfn)
{
    return pfn - l->table_pfn < l->n_tables || pfn - l->p2m_table_pfn < l->n_p2m_tables;
}
