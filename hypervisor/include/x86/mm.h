/* SPDX-License-Identifier: MIT */
/* The hypervisor's own address space (x86/mm/): direct map, on-demand mappings, flushes. */
#pragma once

#include "page.h"
#include "types.h"
#include "x86/layout.h"

#define PTE_P BIT(0)
#define PTE_RW BIT(1)
#define PTE_US BIT(2)
#define PTE_PWT BIT(3)
#define PTE_PCD BIT(4)
#define PTE_A BIT(5)
#define PTE_D BIT(6)
#define PTE_PSE BIT(7)
#define PTE_PAT BIT(7)
#define PTE_G BIT(8)
#define PTE_NX BIT(63)
#define PTE_ADDR_MASK 0x000ffffffffff000ULL

#define L4_INDEX(va) (((va) >> 39) & 511)
#define L3_INDEX(va) (((va) >> 30) & 511)
#define L2_INDEX(va) (((va) >> 21) & 511)
#define L1_INDEX(va) (((va) >> 12) & 511)

static inline void *direct_map(paddr_t pa)
{
    return (void *)(DIRECT_VIRT + pa);
}
static inline paddr_t direct_paddr(const void *va)
{
    return (uint64_t)va - DIRECT_VIRT;
}

/* The PAT we program: 0 WB, 1 WT, 2 UC-, 3 UC, 4 WC, 5 WP (as the ABI promises guests). */
#define MAP_WB 0
#define MAP_WC PTE_PAT
#define MAP_UC (PTE_PCD | PTE_PWT)

/* Map physical memory outside the direct map: device registers, ACPI tables. Never fails softly at boot:
 * NULL when the region is exhausted. cache: MAP_*. Any size; keeps the offset within the page. */
void *ioremap(paddr_t pa, size_t bytes, uint64_t cache);
void iounmap(void *va, size_t bytes);
/* ACPI tables and the like may lie in RAM (then the direct map serves) or in reserved memory. */
void *map_physical(paddr_t pa, size_t bytes);
void unmap_physical(void *va, size_t bytes);

/* One PTE of the hypervisor's own tables, making intermediate tables as needed. false: no memory. */
bool hyp_map(uint64_t va, mfn_t m, uint64_t flags);
bool hyp_mapped(uint64_t va);
uint64_t hyp_frame_of(uint64_t va); /* number of the frame behind a mapped address */
/* The level-1 table that serves va, made if need be; NULL: no memory. */
uint64_t *hyp_l1_of(uint64_t va);
void hyp_unmap(uint64_t va); /* local invlpg only; see tlb_flush_all() */

extern uint64_t idle_cr3;             /* the hypervisor alone */
extern uint64_t hyp_l4[512];          /* its level-4 table: slots 256..271 are copied to every guest's */
/* Copy slots HYP_L4_FIRST..LAST into a level-4 table. */
void hyp_l4_install(uint64_t *l4);

/* --- Flushes --- */
void tlb_flush_local(void);                 /* this CPU: all, global too; ticks the flush clock */
void tlb_flush_cpus(const uint64_t mask[MAX_CPUS / 64]); /* those CPUs and wait */
void tlb_flush_page_cpus(const uint64_t mask[MAX_CPUS / 64], uint64_t va);
void tlb_flush_all(void);                   /* all CPUs, global pages too */
void tlb_flush_guest_local(void);           /* this CPU, guest translations */
void tlb_init(void);                        /* installs the interrupt vector */
void tlb_lazy_enter(void);                  /* this CPU becomes idle, keeping a guest's tables */
void tlb_lazy_leave(void);                  /* ... and goes back to the guest */
void write_guest_cr3(uint64_t cr3);         /* load it, tick the clock, note it in cpu_info */

/* --- Boot order --- */
void hyp_slots_init(void);      /* after mm_init_direct, before any guest table */
void m2p_share(void);           /* after domains_init(): its frames become DOMID_XEN's, to read */
void mm_free_init(void);        /* give back the image's .init */
void mm_free_boot_range(paddr_t start, paddr_t bytes); /* a module that has been used */
void mm_init_direct(void);      /* direct map of all RAM in the memory map, frame table, M2P; gives RAM to frames */
