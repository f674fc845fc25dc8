/* SPDX-License-Identifier: MIT */
/*
 * Memory at boot: from the loader's map to the running allocator.
 *
 *  1. free ranges = RAM - first MiB - image - modules
 *  2. final page tables: direct map, image with its rights; the image is moved to the top of the memory
 *     below 4 GiB, so that low memory is left for devices of domain 0
 *  3. on the new tables: frame table and machine-to-physical table for every 128 MiB section with RAM
 *  4. what is left goes to the frame allocator
 *
 * Runs once on the boot CPU, interrupts off.
 */
#include "boot.h"
#include "cmdline.h"
#include "lib.h"
#include "log.h"
#include "x86/cpu.h"
#include "x86/image.h"
#include "x86/mm.h"

#define SECTION_FRAMES 32768UL
#define GIB (1UL << 30)
#define LARGE_PAGE (2UL << 20)

struct range {
    paddr_t start, end;
};

static struct range free_range[BOOT_MAX_REGIONS + 2 * BOOT_MAX_MODULES];
static unsigned nr_free;
static bool all_mapped; /* the direct map covers everything (else: the first 4 GiB) */

paddr_t image_phys = IMAGE_PHYS;
uint64_t hyp_l4[512] __aligned_to(4096);
uint64_t idle_cr3;

/* Cut [start, end) out of the free ranges. */
static void range_remove(paddr_t start, paddr_t end)
{
    for (unsigned i = 0; i < nr_free; i++) {
        struct range *r = &free_range[i];

        if (start >= r->end || end <= r->start)
            continue;
        if (start > r->start && end < r->end) {
            BUG_ON(nr_free == ARRAY_SIZE(free_range));
            free_range[nr_free++] = (struct range){end, r->end};
            r->end = start;
        } else if (start > r->start) {
            r->end = start;
        } else if (end < r->end) {
            r->start = end;
        } else {
            *r = free_range[--nr_free];
            i--;
        }
    }
}

static void ranges_init(void)
{
    for (unsigned i = 0; i < boot.nr_map; i++) {
        struct boot_region *m = &boot.map[i];
        paddr_t start = ROUND_UP(m->start, FRAME_SIZE);
        paddr_t end = ROUND_DOWN(m->start + m->size, FRAME_SIZE);

        if (m->type != 1 || end <= start || start >= DIRECT_SIZE)
            continue;
        if (opt.mem_limit)
            end = MIN(end, opt.mem_limit);
        end = MIN(end, DIRECT_SIZE);
        if (end <= start)
            continue;
        free_range[nr_free++] = (struct range){start, end};
        frame_max = MAX(frame_max, end >> FRAME_SHIFT);
    }
    range_remove(0, 1UL << 20);
    range_remove(IMAGE_PHYS, IMAGE_PHYS + image_size());
    for (unsigned i = 0; i < boot.nr_modules; i++)
        range_remove(ROUND_DOWN(boot.module[i].start, FRAME_SIZE),
                     ROUND_UP(boot.module[i].start + boot.module[i].size, FRAME_SIZE));
}

/* The highest place for `bytes` (below 4 GiB until the direct map is whole). */
static paddr_t early_alloc(uint64_t bytes, uint64_t align)
{
    paddr_t limit = all_mapped ? ~0UL : 4 * GIB, best = 0;

    bytes = ROUND_UP(bytes, FRAME_SIZE);
    for (unsigned i = 0; i < nr_free; i++) {
        paddr_t end = MIN(free_range[i].end, limit), at;

        if (end < bytes)
            continue;
        at = ROUND_DOWN(end - bytes, align);
        if (at >= free_range[i].start && at > best)
            best = at;
    }
    if (!best)
        panic("no room for %lu KiB of tables at boot: give the machine more memory", bytes >> 10);
    range_remove(best, best + bytes);
    return best;
}

static uint64_t *early_table(void)
{
    uint64_t *t = direct_map(early_alloc(FRAME_SIZE, FRAME_SIZE));

    memset(t, 0, FRAME_SIZE);
    return t;
}

static uint64_t *next_table(uint64_t *entry)
{
    if (!(*entry & PTE_P))
        *entry = direct_paddr(early_table()) | PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D;
    return direct_map(*entry & PTE_ADDR_MASK);
}

/* Map with the largest pages that fit. Flags decide user access at the leaf. */
static void early_map(uint64_t va, paddr_t pa, uint64_t bytes, uint64_t flags)
{
    flags |= PTE_P | PTE_A | PTE_D | PTE_G;
    while (bytes) {
        uint64_t *l3 = next_table(&hyp_l4[L4_INDEX(va)]), *l2, step;

        if (cpu_features.page1g && !((va | pa) & (GIB - 1)) && bytes >= GIB) {
            l3[L3_INDEX(va)] = pa | flags | PTE_PSE;
            step = GIB;
        } else {
            l2 = next_table(&l3[L3_INDEX(va)]);
            if (!((va | pa) & (LARGE_PAGE - 1)) && bytes >= LARGE_PAGE) {
                l2[L2_INDEX(va)] = pa | flags | PTE_PSE;
                step = LARGE_PAGE;
            } else {
                next_table(&l2[L2_INDEX(va)])[L1_INDEX(va)] = pa | flags;
                step = FRAME_SIZE;
            }
        }
        va += step;
        pa += step;
        bytes -= step;
    }
}

static uint64_t nx(void)
{
    return cpu_features.nx ? PTE_NX : 0;
}

static void map_image(paddr_t to)
{
    uint64_t text = (uint64_t)text_start, ro = (uint64_t)text_end, rw = (uint64_t)rodata_end;
    uint64_t init = (uint64_t)init_start, bss = (uint64_t)init_end, end = (uint64_t)image_end;

    early_map(text, to + text - IMAGE_VIRT, ro - text, 0);
    early_map(ro, to + ro - IMAGE_VIRT, rw - ro, nx());
    early_map(rw, to + rw - IMAGE_VIRT, init - rw, PTE_RW | nx());
    early_map(init, to + init - IMAGE_VIRT, bss - init, 0);
    early_map(bss, to + bss - IMAGE_VIRT, end - bss, PTE_RW | nx());
}

static void map_direct(void)
{
    early_map(DIRECT_VIRT, 0, 1UL << 20, PTE_RW | nx());
    for (unsigned i = 0; i < boot.nr_map; i++) {
        struct boot_region *m = &boot.map[i];
        paddr_t start = MAX(ROUND_UP(m->start, FRAME_SIZE), 1UL << 20);
        paddr_t end = MIN(ROUND_DOWN(m->start + m->size, FRAME_SIZE), DIRECT_SIZE);

        if (m->type == 1 && end > start)
            early_map(DIRECT_VIRT + start, start, end - start, PTE_RW | nx());
    }
}

/* Copy the running image (with this stack) and go on in the copy: nothing may be written in between. */
static __attribute__((noinline)) void move_image(paddr_t to, uint64_t cr3)
{
    uint64_t size = image_size();
    void *dst = direct_map(to);
    const void *src = (const void *)IMAGE_VIRT;

    size >>= 3;
    __asm__ volatile("rep movsq; mov %3, %%cr3"
                     : "+D"(dst), "+S"(src), "+c"(size)
                     : "r"(cr3)
                     : "memory");
}

static void map_section(uint64_t section)
{
    uint64_t first = section * SECTION_FRAMES;
    uint64_t bytes = SECTION_FRAMES * sizeof(struct page);
    uint64_t m2p = ROUND_DOWN(first * 8, LARGE_PAGE);
    paddr_t pa = early_alloc(bytes, FRAME_SIZE);

    memset(direct_map(pa), 0, bytes);
    early_map(FRAME_TABLE_VIRT + first * sizeof(struct page), pa, bytes, PTE_RW | nx());

    /* 2 MiB of M2P serve eight sections */
    if (!hyp_mapped(M2P_RW_VIRT + m2p)) {
        pa = early_alloc(LARGE_PAGE, LARGE_PAGE);
        memset(direct_map(pa), 0xff, LARGE_PAGE);
        early_map(M2P_RW_VIRT + m2p, pa, LARGE_PAGE, PTE_RW | nx());
        early_map(M2P_RO_VIRT + m2p, pa, LARGE_PAGE, PTE_US | nx());
    }
}

static void map_frame_tables(void)
{
    uint64_t done = ~0UL;

    /* boot.map is sorted, so each section comes up in order */
    for (unsigned i = 0; i < boot.nr_map; i++) {
        struct boot_region *m = &boot.map[i];
        uint64_t s = (m->start >> FRAME_SHIFT) / SECTION_FRAMES;
        uint64_t end = MIN((m->start + m->size) >> FRAME_SHIFT, frame_max);

        if (m->type != 1)
            continue;
        for (; s * SECTION_FRAMES < end; s++)
            if (done == ~0UL || s > done) {
                map_section(s);
                done = s;
            }
    }
}

void mm_init_direct(void)
{
    paddr_t to;

    frame_table = (struct page *)FRAME_TABLE_VIRT;
    ranges_init();
    to = early_alloc(image_size(), LARGE_PAGE);
    map_direct();
    map_image(to);
    image_phys = to;
    idle_cr3 = image_paddr(hyp_l4);
    move_image(to, idle_cr3);
    write_cr4(read_cr4() | CR4_PGE);
    cpu_info()->guest_cr3 = idle_cr3;

    all_mapped = true;
    map_frame_tables();
    range_remove(0, 1UL << 20);
    /* the place the image was loaded to is ours again */
    BUG_ON(nr_free == ARRAY_SIZE(free_range));
    if (to != IMAGE_PHYS)
        free_range[nr_free++] = (struct range){IMAGE_PHYS, IMAGE_PHYS + ROUND_UP(image_size(), FRAME_SIZE)};
    for (unsigned i = 0; i < nr_free; i++)
        frames_add(mfn_of_paddr(free_range[i].start), mfn_of_paddr(free_range[i].end));
    log_info("memory: %lu MiB, %lu MiB free; image moved to %lx\n", frames_total() >> 8,
             frames_free_count() >> 8, to);
}

void mm_free_init(void)
{
    uint64_t start = (uint64_t)init_start, end = (uint64_t)init_end;

    for (uint64_t va = start; va < end; va += FRAME_SIZE)
        hyp_unmap(va);
    tlb_flush_all();
    frames_add(mfn_of_paddr(image_paddr((void *)start)), mfn_of_paddr(image_paddr((void *)end)));
    log_info("memory: %lu KiB of boot code given back\n", (end - start) >> 10);
}

void mm_free_boot_range(paddr_t start, paddr_t bytes)
{
    paddr_t end = ROUND_DOWN(start + bytes, FRAME_SIZE);

    start = ROUND_UP(start, FRAME_SIZE);
    if (end > start)
        frames_add(mfn_of_paddr(start), mfn_of_paddr(end));
}
