/* SPDX-License-Identifier: MIT */
/*
 * Layout and first page tables of a PV guest, checked by walking the tables as a processor would: every element is mapped where
 * start_info will say, tables read-only, nothing else writable twice; sizes that do not fit are refused.
 * sources: toolstack/lib/build_layout.c toolstack/lib/build_tables.c toolstack/lib/fault.c
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "build_layout.h"
#include "fault.h"

#define MIB(n) ((uint64_t)(n) << 8) /* in pages */
#define LINUX_BASE 0xffffffff80000000ULL

struct machine {
    struct pv_layout l;
    xen_pfn_t *mfns;        /* shuffled, so that a forgotten translation shows */
    uint64_t *frames;       /* table frames by pfn, 512 words each */
    uint64_t *tables, *p2m_tables;
};

static struct image linux_image(void)
{
    return (struct image){ .start = 0x1000000, .end = 0x4a00000, .virt_base = LINUX_BASE, .init_p2m = 0x8000000000, .has_init_p2m = true,
        .initrd_by_pfn = true };
}

/* A kernel that says nothing of p2m and initrd: both lie in the region. */
static struct image plain_image(void)
{
    return (struct image){ .start = 0, .end = 0x200000, .virt_base = 0 };
}

static void build(struct machine *m, const struct image *im, uint64_t pages, uint64_t initrd)
{
    fault_clear();
    assert_int_equal(layout_make(&m->l, im, pages, initrd), 0);
    m->mfns = malloc(pages * sizeof(*m->mfns));
    for (uint64_t i = 0; i < pages; i++)
        m->mfns[i] = 0x100000 + (i ^ 5);
    m->tables = malloc(m->l.n_tables * 4096);
    memset(m->tables, 0xff, m->l.n_tables * 4096);
    m->p2m_tables = malloc(m->l.n_p2m_tables * 4096 + 1);
    memset(m->p2m_tables, 0xff, m->l.n_p2m_tables * 4096);
    tables_write(&m->l, m->mfns, m->tables, m->p2m_tables);
}

static void drop(struct machine *m)
{
    free(m->mfns);
    free(m->tables);
    free(m->p2m_tables);
}

static uint64_t *table_of_mfn(struct machine *m, uint64_t mfn)
{
    uint64_t pfn = (mfn - 0x100000) ^ 5;

    if (pfn - m->l.table_pfn < m->l.n_tables)
        return m->tables + (pfn - m->l.table_pfn) * 512;
    if (pfn - m->l.p2m_table_pfn < m->l.n_p2m_tables)
        return m->p2m_tables + (pfn - m->l.p2m_table_pfn) * 512;
    fail_msg("entry names frame %#llx, which is no table", (unsigned long long)pfn);
    return NULL;
}

/* The last entry of a walk, 0 if the address is not mapped. */
static uint64_t walk(struct machine *m, uint64_t virt)
{
    uint64_t mfn = m->mfns[m->l.table_pfn], entry = 0;

    for (int shift = 39; shift >= 12; shift -= 9) {
        entry = table_of_mfn(m, mfn)[virt >> shift & 511];
        if (!(entry & 1))
            return 0;
        assert_true(entry & 4); /* a PV kernel runs in ring 3 */
        mfn = entry >> 12 & 0xffffffffff;
    }
    return entry;
}

static void check_mapped(struct machine *m, uint64_t virt, uint64_t pfn, uint64_t pages)
{
    for (uint64_t i = 0; i < pages; i++) {
        uint64_t e = walk(m, virt + i * 4096);

        assert_int_equal(e >> 12, m->mfns[pfn + i]);
        assert_int_equal(!!(e & 2), !layout_is_table(&m->l, pfn + i));
    }
}

static void check_all(struct machine *m, uint64_t initrd_pages)
{
    const struct pv_layout *l = &m->l;
    uint64_t in_region = l->region_pages < l->pages ? l->region_pages : l->pages;

    check_mapped(m, l->virt_base, 0, in_region);
    check_mapped(m, l->p2m_virt, l->p2m_pfn, l->p2m_pages);
    uint64_t after = layout_virt(l, in_region);

    if (after - l->p2m_virt >= l->p2m_pages * 4096) /* the list may follow at once */
        assert_int_equal(walk(m, after), 0);
    /* order, no overlap, the promise of 512 KiB and 4 MiB */
    assert_true(l->kernel_pfn + l->kernel_pages <= l->start_info_pfn);
    assert_int_equal(l->store_pfn, l->start_info_pfn + 1);
    assert_int_equal(l->table_pfn, l->start_info_pfn + 3);
    assert_int_equal(l->stack_pfn, l->table_pfn + l->n_tables);
    assert_true(l->apart_pfn >= l->stack_pfn + 1 + 128);
    assert_true(l->region_pages >= l->stack_pfn + 1 + 128);
    assert_int_equal(layout_virt(l, l->region_pages) % (4 << 20), 0);
    assert_true(l->end_pfn <= l->pages);
    assert_int_equal(l->initrd_pages, initrd_pages);
    if (l->initrd_by_pfn && initrd_pages)
        assert_true(l->initrd_pfn >= l->apart_pfn + l->n_p2m_tables + l->p2m_pages);
    else if (initrd_pages)
        assert_int_equal(l->initrd_pfn, l->kernel_pfn + l->kernel_pages);
}

static void test_linux(void **state)
{
    struct image im = linux_image();
    struct machine m;

    build(&m, &im, MIB(256), 5000000);
    assert_int_equal(m.l.n_tables, 41);     /* what the reference gives this kernel */
    assert_int_equal(m.l.p2m_pages, 128);
    assert_int_equal(m.l.n_p2m_tables, 3);
    check_all(&m, 1221);
    drop(&m);
}

static void test_sizes(void **state)
{
    static const uint64_t mib[] = { 80, 81, 96, 97, 255, 1024, 2047, 4096 };
    struct image im = linux_image();
    struct machine m;

    for (size_t i = 0; i < sizeof(mib) / sizeof(*mib); i++) {
        build(&m, &im, MIB(mib[i]), 1);
        check_all(&m, 1);
        drop(&m);
        build(&m, &im, MIB(mib[i]) + 3, 0);
        check_all(&m, 0);
        drop(&m);
    }
}

static void test_plain(void **state)
{
    struct image im = plain_image();
    struct machine m;

    for (uint64_t pages = 1000; pages < 2500; pages += 97) {
        build(&m, &im, pages, 4097);
        check_all(&m, 2);
        assert_int_equal(m.l.n_p2m_tables, 0);
        drop(&m);
    }
}

/* The p2m list just behind the region shares tables with it, and just before too. */
static void test_shared_tables(void **state)
{
    static const uint64_t at[] = { 0x400000, 0x800000, 0x1000000, 0x40000000, 0x3ffff000, 0x7fffff0000, 0x8000000000, 0x7ffff0000000 };
    struct image im = plain_image();
    struct machine m;

    for (size_t i = 0; i < sizeof(at) / sizeof(*at); i++) {
        im.has_init_p2m = true;
        im.init_p2m = at[i];
        build(&m, &im, MIB(64), 10);
        check_all(&m, 1);
        drop(&m);
    }
    im.virt_base = 0xffffffff80000000;
    im.init_p2m = im.virt_base - 0x20000;
    build(&m, &im, MIB(64), 10);
    check_all(&m, 1);
    drop(&m);
}

static void refused(const struct image *im, uint64_t pages, uint64_t initrd, int error)
{
    struct pv_layout l;

    fault_clear();
    assert_int_equal(layout_make(&l, im, pages, initrd), error);
    assert_string_not_equal(fault_text(), "");
}

static void test_refused(void **state)
{
    struct image im = linux_image();

    refused(&im, MIB(74), 0, -ENOMEM);
    refused(&im, MIB(96), 40 << 20, -ENOMEM);
    refused(&im, (1ULL << 32) + 1, 0, -E2BIG);
    refused(&im, MIB(96), 1ULL << 60, -E2BIG);
    im.init_p2m = LINUX_BASE + 0x2000000;      /* in the kernel */
    refused(&im, MIB(256), 0, -ENOEXEC);
    im.init_p2m = 0xffff800000000000;          /* the hypervisor's */
    refused(&im, MIB(256), 0, -ENOEXEC);
    im.init_p2m = 0x7ffffffff000;              /* across the hole */
    refused(&im, MIB(256), 0, -ENOEXEC);
    im.init_p2m = 0x8000000001;
    refused(&im, MIB(256), 0, -ENOEXEC);
    im.init_p2m = 0x1000000000000000;          /* not canonical */
    refused(&im, MIB(256), 0, -ENOEXEC);
    im = linux_image();
    im.initrd_by_pfn = false;                  /* mapped, it passes the end of the address space */
    refused(&im, MIB(8192), 2ULL << 30, -ENOEXEC);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_linux), cmocka_unit_test(test_sizes), cmocka_unit_test(test_plain),
        cmocka_unit_test(test_shared_tables), cmocka_unit_test(test_refused) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
