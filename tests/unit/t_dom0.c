/* SPDX-License-Identifier: MIT */
/*
 * Domain 0's builder on simulated RAM: start_info, the page tables (walked), the p2m, the initrd
 * and the kernel's contents. The allocator, domains and page types are stubs with a scattered heap.
 *
 * sources: hypervisor/pv/dom0_build.c hypervisor/pv/dom0_memory.c
 * sources: hypervisor/pv/dom0_tables.c hypervisor/common/elf.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "../../hypervisor/pv/dom0.h"
#include "../host/port_host.h"
#include "cmdline.h"
#include "elf_make.h"
#include "pgt.h"

#define FRAMES 0x20000 /* 512 MiB */
#define HEAP_FIRST 0x4000
#define KERNEL_PA 0x1000000
#define INITRD_PA 0x1100000
#define INITRD_SIZE 70001

struct cmdline_options opt;
struct boot_info boot;
static struct x86_domain xd;
static struct x86_vcpu xvcpu[4];
static struct vcpu *vcpus[4];
static struct vcpu_info infos[4];
static uint64_t heap_top, freed, pins;
static struct elf_maker e;

uint64_t frames_free_count(void)
{
    return heap_top - HEAP_FIRST;
}
uint64_t frames_total(void)
{
    return FRAMES;
}
bool mfn_valid(mfn_t m)
{
    return m.n < FRAMES;
}
void frames_free(mfn_t m, unsigned order)
{
    freed += 1UL << order;
}
void frames_add(mfn_t start, mfn_t end)
{
    freed += end.n - start.n;
}
/* From the top down, blocks of at most 2 MiB. */
struct page *domain_pages_alloc(struct domain *d, unsigned order, unsigned flags, unsigned bits)
{
    uint64_t n = 1UL << order, at = ROUND_DOWN(heap_top - n, n);

    if (order > 9 || at < HEAP_FIRST || heap_top < n || d->tot_pages + n > d->max_pages)
        return NULL;
    heap_top = at;
    d->tot_pages += n;
    for (uint64_t i = 0; i < n; i++) {
        page_of(mfn(at + i))->owner = d;
        page_of(mfn(at + i))->count = PGC_ALLOC | 1;
    }
    memset(map_frame(mfn(at)), 0xa5, 4096);
    return page_of(mfn(at));
}
int domain_page_assign(struct domain *d, struct page *pg)
{
    d->tot_pages++;
    pg->owner = d;
    pg->count = PGC_ALLOC | 1;
    return 0;
}
struct domain *domain_create(uint16_t id, bool privileged, unsigned max_vcpus, int *rc)
{
    memset(&xd, 0, sizeof(xd));
    xd.d.max_vcpus = (uint16_t)max_vcpus;
    xd.d.vcpu = vcpus;
    xd.d.shared_mfn = mfn(0x77);
    return &xd.d;
}
struct vcpu *vcpu_create(struct domain *d, unsigned id)
{
    memset(&xvcpu[id], 0, sizeof(xvcpu[id]));
    xvcpu[id].v.info = &infos[id];
    return vcpus[id] = &xvcpu[id].v;
}
void hyp_l4_install(uint64_t *l4)
{
    for (unsigned i = HYP_L4_FIRST; i <= HYP_L4_LAST; i++)
        l4[i] = 0xabc003;
}
int pgt_get_page(struct page *pg, const struct domain *d, uint64_t type, bool may_stop)
{
    pins++;
    assert_false(may_stop); /* nobody runs what an interrupted call would wait for */
    assert_int_equal(type, PGT_L4);
    pg->type = (type | PGT_VALID | (pg->type & PGT_COUNT_MASK)) + 1;
    pg->count++;
    return 0;
}
int kernel_unpack(const void *image, size_t size, struct unpacked *out)
{
    *out = (struct unpacked){(void *)(uintptr_t)image, size, INVALID_MFN, 0};
    return 0;
}

/* A fresh machine with the kernel and an initrd as modules. */
static int setup(void **s)
{
    host_ram_init(FRAMES);
    host_cpus = 2;
    heap_top = FRAMES - 5;
    freed = pins = 0;
    memset(&opt, 0, sizeof(opt));
    memset(&boot, 0, sizeof(boot));
    elf_make(&e);
    memcpy(dom0_phys(KERNEL_PA), e.f, e.n);
    boot.nr_modules = 2;
    boot.module[0] = (struct boot_module){KERNEL_PA, e.n, "root=/dev/vda quiet"};
    boot.module[1] = (struct boot_module){INITRD_PA, INITRD_SIZE, ""};
    for (unsigned i = 0; i < ROUND_UP(INITRD_SIZE + 1, 4096); i++)
        ((uint8_t *)dom0_phys(INITRD_PA))[i] = (uint8_t)(i * 3 + 1);
    boot.video.present = true;
    boot.video.rows = 25, boot.video.cols = 80;
    return 0;
}

static uint64_t *table(uint64_t e_)
{
    return map_frame(mfn((e_ & PTE_ADDR_MASK) >> 12));
}
/* The leaf entry for va, 0 if there is none. */
static uint64_t walk(uint64_t va)
{
    uint64_t x = xvcpu[0].cr3_kernel | 1;

    for (int shift = 39; shift >= 12 && (x & 1); shift -= 9)
        x = table(x)[(va >> shift) & 511];
    return x & 1 ? x : 0;
}
static uint8_t *at(uint64_t va)
{
    uint64_t x = walk(va);

    assert_true(x);
    return (uint8_t *)table(x) + (va & 4095);
}

/* What must hold however the kernel wants things: tables, p2m and M2P agree, table frames
 * read-only. */
static void check_common(const struct start_info *si)
{
    uint64_t base = 0xffffffff80000000,
             end = ROUND_UP(si->pt_base + (si->nr_pt_frames + 1) * 4096 + (512 << 10), 4UL << 20);
    uint64_t ro = (si->pt_base - base) / 4096;

    assert_int_equal(si->nr_pages, xd.d.tot_pages);
    for (uint64_t pfn = 0; pfn < si->nr_pages; pfn++) {
        uint64_t m = *(uint64_t *)at(si->mfn_list + pfn * 8);

        assert_int_equal(m2p_get(mfn(m)), pfn);
        assert_ptr_equal(page_of(mfn(m))->owner, &xd.d);
        if (base + pfn * 4096 >= end)
            continue;
        assert_int_equal(walk(base + pfn * 4096),
                         m << 12 | (pfn >= ro && pfn < ro + si->nr_pt_frames ? 0x25 : 0x67));
    }
    assert_int_equal(walk(end), 0);
    assert_int_equal(walk(base - 4096), 0);
    assert_int_equal(table(xvcpu[0].cr3_kernel)[HYP_L4_LAST], 0xabc003);
    assert_memory_equal(at(base + 0x1000000), e.f + 4096, 4096);
    assert_memory_equal(at(base + 0x1001000), e.f + 8192, 4096);
    assert_memory_equal(at(base + 0x1002000), e.f + 12288, 100);
    for (unsigned i = 100; i < 10000; i += 99)
        assert_int_equal(*at(base + 0x1002000 + i), 0);
    assert_int_equal(page_of(mfn(xvcpu[0].root.n))->type, PGT_L4 | PGT_VALID | PGT_PINNED | 2);
    assert_int_equal(xvcpu[0].cr3_kernel, walk(si->pt_base) & PTE_ADDR_MASK);
}

static void check_initrd(uint64_t pfn, const struct start_info *si)
{
    for (unsigned i = 0; i < ROUND_UP(INITRD_SIZE, 4096); i += 7) {
        uint64_t m = *(uint64_t *)at(si->mfn_list + (pfn + i / 4096) * 8);

        assert_int_equal(((uint8_t *)map_frame(mfn(m)))[i % 4096],
                         i < INITRD_SIZE ? (uint8_t)(i * 3 + 1) : 0);
    }
}

static void linux_like(void **s)
{
    struct start_info *si;

    opt.dom0_mem = 300UL << 20;
    assert_ptr_equal(dom0_create(), &xd.d);
    si = (struct start_info *)at(xvcpu[0].regs.rsi);
    assert_string_equal(si->magic, "xen-3.0-x86_64p");
    assert_int_equal(si->nr_pages, 300 * 256);
    assert_int_equal(si->shared_info, 0x77000);
    assert_int_equal(si->flags, 0x30b);
    assert_int_equal(si->mfn_list, 0x8000000000);
    assert_int_equal(si->nr_p2m_frames, 150 + 3);
    assert_int_equal(si->pt_base, xvcpu[0].regs.rsi + 4096);
    assert_int_equal(si->console.dom0.info_off, 1168);
    assert_int_equal(si->console.dom0.info_size, 40);
    assert_string_equal((char *)si->cmd_line, "root=/dev/vda quiet");
    assert_int_equal(si->mod_len, INITRD_SIZE);
    check_initrd(si->mod_start, si);
    assert_int_equal(*(uint64_t *)at(si->mfn_list + si->mod_start * 8), INITRD_PA >> 12);
    check_common(si);
    assert_int_equal(xvcpu[0].regs.rip, 0xffffffff81000123);
    assert_int_equal(xvcpu[0].regs.cs, 0xe033);
    assert_int_equal(xd.d.max_vcpus, 2);
    assert_int_equal(infos[0].evtchn_upcall_mask, 1);
    assert_true(vcpus[0]->initialised && !vcpus[1]->initialised);
}

static void old_kernel(void **s) /* p2m and initrd inside the region; initrd not on a page border */
{
    struct start_info *si;

    elf_note_u64(&e, 15, ELF_UNSET);
    elf_note(&e, 16, "\0\0\0", 4);
    memcpy(dom0_phys(KERNEL_PA), e.f, e.n);
    boot.module[1].start += 1;
    boot.module[1].size = 4096;
    opt.dom0_mem = 100UL << 20;
    assert_non_null(dom0_create());
    si = (struct start_info *)at(xvcpu[0].regs.rsi);
    assert_int_equal(si->flags, 0x303);
    assert_int_equal(si->nr_p2m_frames, 0);
    assert_int_equal(*at(si->mod_start), 4);
    assert_true(si->mfn_list > si->mod_start);
    check_common(si);
}

static void sizes(void **s)
{
    assert_non_null(dom0_create()); /* all but 1/16 */
    assert_in_range(xd.d.tot_pages, (FRAMES - HEAP_FIRST) / 16 * 15 - 1024, FRAMES - HEAP_FIRST);
    setup(s);
    opt.dom0_mem_off = -(64L << 20);
    opt.dom0_mem_max = 200UL << 20;
    opt.dom0_max_vcpus_min = 3;
    assert_non_null(dom0_create());
    assert_int_equal(xd.d.tot_pages, 200 * 256);
    assert_int_equal(xd.d.max_pages, 200 * 256);
    assert_int_equal(xd.d.max_vcpus, 3);
    setup(s);
    opt.dom0_mem = 8UL << 20;
    assert_null(dom0_create());
    assert_non_null(strstr(host_last_log, "too little"));
    setup(s);
    boot.nr_modules = 0;
    assert_null(dom0_create());
    setup(s);
    boot.nr_modules = 1;
    opt.dom0_mem = 64UL << 30; /* cut to what there is */
    assert_non_null(dom0_create());
    setup(s);
    elf_note_u64(&e, 3, HYP_VIRT_START);
    elf_note_u64(&e, 1, HYP_VIRT_START + 0x1000000);
    memcpy(dom0_phys(KERNEL_PA), e.f, e.n);
    assert_null(dom0_create());
    assert_non_null(strstr(host_last_log, "not a guest's"));
}

#define T(f) cmocka_unit_test_setup(f, setup)
int main(void)
{
    const struct CMUnitTest tests[] = {T(linux_like), T(old_kernel), T(sizes)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
