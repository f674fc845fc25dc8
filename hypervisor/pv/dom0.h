/* SPDX-License-Identifier: MIT */
/* Domain 0's builder: what its three files share (dom0_build.c, dom0_memory.c, dom0_tables.c). */
#pragma once

#include "boot.h"
#include "elf.h"
#include "port.h"
#include "x86/guest.h"
#include "x86/mm.h"

#define DOM0_MAX_EXTENTS 1024
#define DOM0_ALIGN (4UL << 20)   /* the bootstrap region ends at such an address */
#define DOM0_SPARE (512UL << 10) /* with at least so much after the boot stack */

/* Contiguous frames that back contiguous pfns. */
struct dom0_extent {
    uint64_t pfn, mfn, nr;
};

/* Pfns: [0, region) the bootstrap region at v_start; the initrd, unless it is mapped there; the p2m
 * with its page tables, unless it is mapped there; the rest. */
struct dom0_build {
    struct domain *d;
    struct elf_kernel elf;
    struct unpacked kernel;

    uint64_t nr_pages; /* of the domain */
    uint64_t have;     /* pfns that have a frame so far */
    struct dom0_extent extent[DOM0_MAX_EXTENTS];
    unsigned nr_extents, hint; /* hint: extent of the last look-up */
    unsigned max_order;        /* larger ones have failed */

    uint64_t v_start, v_end; /* bootstrap region */
    uint64_t initrd_va;      /* if mapped, else 0 */
    uint64_t p2m_va;
    uint64_t start_info_va, pt_va, stack_va;
    uint64_t nr_pt; /* page-table frames of the region */
    uint64_t initrd_pfn, initrd_pages;
    uint64_t p2m_pfn, p2m_pages, p2m_tables;
    mfn_t l4;
};

/* Contents of boot modules; contiguous. */
static inline void *dom0_phys(paddr_t pa)
{
#ifdef ZENDO_HOST
    return (char *)map_frame(mfn_of_paddr(pa)) + (pa & ~FRAME_MASK);
#else
    return direct_map(pa);
#endif
}

static inline uint64_t dom0_va_pfn(const struct dom0_build *b, uint64_t va)
{
    return (va - b->v_start) >> FRAME_SHIFT;
}

/* dom0_memory.c */
uint64_t dom0_size(const struct dom0_build *b); /* pages, from the options and what is free */
int dom0_populate(struct dom0_build *b,
                  uint64_t pages) __must_check; /* frames for pfns up to `pages` */
int dom0_take_initrd(struct dom0_build *b)
    __must_check; /* the module's frames become dom0's next pfns */
mfn_t dom0_mfn(struct dom0_build *b, uint64_t pfn); /* pfn < have */
void dom0_write(struct dom0_build *b, uint64_t va, const void *src, uint64_t n);
void dom0_clear(struct dom0_build *b, uint64_t va, uint64_t n);
void dom0_write_p2m(struct dom0_build *b);          /* the list, and M2P of every frame */
void dom0_module_free(const struct boot_module *m); /* its frames to the allocator */

/* dom0_tables.c */
uint64_t dom0_tables_needed(uint64_t start, uint64_t end, bool with_l4);
int dom0_build_tables(struct dom0_build *b) __must_check;
int dom0_pin_tables(struct dom0_build *b) __must_check;
