/* SPDX-License-Identifier: MIT */
/*
 * The frame allocator and references against a map of who owns what, under random operations.
 * sources: hypervisor/common/frames.c hypervisor/common/page_refs.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "domain.h"
#include "frames_model.h"

/* The heap is static, so one pool serves all tests; each gives back what it took. */
#define POOL 40000 /* crosses 128 MiB and the 16, 32, 64 and 128 MiB zones */

static int setup(void **state)
{
    host_ram_init(POOL);
    frame_max = 0;
    frames_add(mfn(0), mfn(100));
    frames_add(mfn(161), mfn(POOL));
    assert_int_equal(frames_total(), 99 + POOL - 161);
    assert_int_equal(frames_check(), 0);
    return 0;
}

static void test_valid(void **state)
{
    assert_true(mfn_valid(mfn(5)));
    assert_true(mfn_valid(mfn(120))); /* a hole in a section with RAM */
    assert_false(mfn_valid(mfn(POOL)));
    assert_false(mfn_valid(INVALID_MFN));
    assert_null(get_page_of_mfn(mfn(120), (struct domain *)&frame_max));
    assert_null(get_page_of_mfn(mfn(5), NULL));
}

static void test_random(void **state)
{
    unsigned i;

    srand(1);
    model_init();
    for (i = 0; i < 20000; i++)
        model_step((unsigned)rand(), (unsigned)rand());
    model_finish();
    assert_int_equal(frames_free_count(), frames_total());
}

static void test_exhaust(void **state)
{
    uint64_t n = 0, total = frames_free_count();
    uint32_t *got = calloc(total, sizeof(*got));
    mfn_t m;

    while (!mfn_eq(m = frames_alloc(0, FA_NOSCRUB), INVALID_MFN)) {
        assert_true(m.n != 0 && n < total);
        got[n++] = (uint32_t)m.n;
    }
    assert_int_equal(n, total);
    assert_int_equal(frames_free_count(), 0);
    while (n--)
        frames_free(mfn(got[n]), 0);
    assert_int_equal(frames_check(), 0);
    m = frames_alloc(13, 0); /* all merged again: 32 MiB in one piece */
    assert_false(mfn_eq(m, INVALID_MFN));
    frames_free(m, 13);
    assert_true(mfn_eq(frames_alloc(MAX_ORDER + 1, 0), INVALID_MFN));
    free(got);
}

static void test_below(void **state)
{
    mfn_t m = frames_alloc(0, 0), low = frames_alloc_below(3, 0, 25);

    assert_true(m.n >= 1u << (27 - 12)); /* high addresses first */
    assert_true(low.n + 8 <= 1u << (25 - 12));
    assert_true(mfn_eq(frames_alloc_below(0, 0, 20), INVALID_MFN));
    frames_free(m, 0);
    frames_free(low, 3);
}

static void test_scrub(void **state)
{
    mfn_t m = frames_alloc(4, FA_NOSCRUB);
    unsigned i, steps = 0;
    uint8_t *va = map_frame(m);

    memset(va, 0xee, 16 * FRAME_SIZE);
    frames_free(m, 4);
    while (frames_scrub_some())
        assert_true(++steps < POOL);
    assert_int_equal(frames_check(), 0);
    for (i = 0; i < 16 * FRAME_SIZE; i++)
        assert_int_equal(va[i], 0);
    assert_false(frames_scrub_some());
    m = frames_alloc(2, FA_NOSCRUB);
    va = map_frame(m);
    memset(va, 0xee, 4 * FRAME_SIZE);
    frames_free(m, 2);
    m = frames_alloc(13, 0);
    va = map_frame(m);
    for (i = 0; i < FRAME_SIZE << 13; i += 512)
        assert_int_equal(va[i], 0);
    frames_free(m, 13);
    assert_int_equal(frames_check(), 0);
}

static unsigned second_scrubbers;

static void scrub_as_another(void)
{
    host_on_flush = NULL;
    second_scrubbers++;
    assert_false(frames_scrub_some()); /* neither waits nor takes a block */
}

/* While one CPU scrubs, others leave the heap alone, although there is more to do. */
static void test_one_scrubber(void **state)
{
    mfn_t m = frames_alloc(6, FA_NOSCRUB);

    memset(map_frame(m), 0xee, 64 * FRAME_SIZE);
    frames_free(m, 6);
    host_on_flush = scrub_as_another;
    assert_true(frames_scrub_some());
    assert_int_equal(second_scrubbers, 1);
    while (frames_scrub_some())
        ;
    assert_int_equal(frames_check(), 0);
}

static void test_stale(void **state)
{
    mfn_t m = frames_alloc(0, 0);
    unsigned flushes;

    frames_free(m, 0);
    flushes = host_tlb_flushes;
    m = frames_alloc(0, 0); /* a stale translation to it may be anywhere */
    assert_int_equal(host_tlb_flushes, flushes + 1);
    frames_free(m, 0);
}

static void test_wrong_free(void **state)
{
    mfn_t m = frames_alloc(1, 0);

    assert_true(HOST_PANICS(frames_free(mfn_add(m, 1), 1)));
    frames_free(m, 1);
    assert_true(HOST_PANICS(frames_free(m, 1)));
    assert_true(HOST_PANICS(frames_free(mfn(0), 0)));
}

static void domain_make(struct domain *d, uint64_t max)
{
    memset(d, 0, sizeof(*d));
    spin_init(&d->page_lock, "pages", RANK_PAGE_LIST);
    d->max_pages = max;
}

static void test_domain(void **state)
{
    struct domain d, e;
    struct page *pg, *other;
    uint64_t before = frames_free_count();

    domain_make(&d, 5);
    domain_make(&e, 1);
    pg = domain_pages_alloc(&d, 2, 0, 64);
    assert_non_null(pg);
    assert_null(domain_pages_alloc(&d, 1, 0, 64));
    assert_int_equal(d.tot_pages, 4);
    assert_true(get_page(pg, &d));
    assert_false(get_page(pg, &e));
    assert_ptr_equal(get_page_of_mfn(mfn_of(pg), &d), pg);
    dup_page(pg);
    assert_int_equal(pg->count, PGC_ALLOC | 4);
    assert_int_equal(domain_page_remove(&e, pg), -XEN_EINVAL);
    assert_int_equal(domain_page_remove(&d, pg), 0);
    assert_int_equal(domain_page_remove(&d, pg), -XEN_EINVAL);
    put_page(pg);
    put_page(pg);
    put_page(pg);
    assert_int_equal(d.owned_pages, 4);
    put_page(pg);
    assert_int_equal(d.owned_pages, 3);
    assert_false(get_page(pg, &d));
    assert_true(HOST_PANICS(put_page(pg)));
    pg->count = 0;

    other = pg + 1; /* to another domain */
    assert_int_equal(domain_page_remove(&d, other), 0);
    assert_int_equal(domain_page_assign(&e, other), 0);
    assert_int_equal(domain_page_remove(&d, pg + 2), 0);
    assert_int_equal(domain_page_assign(&e, pg + 2), -XEN_E2BIG);
    put_page(pg + 2);
    assert_true(get_page(other, &e));
    put_page(other);
    assert_true(HOST_PANICS(put_page(other))); /* PGC_ALLOC's own */
    other->count++;
    assert_int_equal(domain_page_remove(&e, other), 0);
    put_page(other);
    assert_int_equal(domain_page_remove(&d, pg + 3), 0);
    put_page(pg + 3);
    assert_int_equal(d.tot_pages + e.tot_pages + d.owned_pages + e.owned_pages, 0);
    assert_int_equal(d.pages_head + e.pages_head, 0);
    d.dying = true;
    assert_null(domain_pages_alloc(&d, 0, 0, 64));
    assert_int_equal(frames_free_count(), before);
    assert_int_equal(frames_check(), 0);
}

static void test_share(void **state)
{
    struct domain d;
    mfn_t m = frames_alloc(0, 0);
    struct page *pg = page_of(m);

    domain_make(&d, 1);
    assert_false(get_page(pg, &d));
    share_page(pg, &d);
    assert_true(get_page(pg, &d));
    assert_false(unshare_page(pg));
    put_page(pg);
    assert_true(unshare_page(pg));
    assert_int_equal(d.owned_pages, 0);
    m = frames_alloc(0, 0);
    assert_int_equal(domain_page_assign(&d, page_of(m)), 0);
    assert_int_equal(domain_page_remove(&d, page_of(m)), 0);
    put_page(page_of(m));
    assert_int_equal(frames_free_count(), frames_total());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),      cmocka_unit_test(test_random),
        cmocka_unit_test(test_exhaust),    cmocka_unit_test(test_below),
        cmocka_unit_test(test_scrub),      cmocka_unit_test(test_stale),
        cmocka_unit_test(test_wrong_free), cmocka_unit_test(test_domain),
        cmocka_unit_test(test_share),      cmocka_unit_test(test_one_scrubber),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
