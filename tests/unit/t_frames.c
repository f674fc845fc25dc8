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
#include "pgt.h"

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
static uint64_t free_before_scrub;

static void scrub_as_another(void)
{
    host_on_flush = NULL;
    second_scrubbers++;
    assert_false(frames_scrub_some()); /* neither waits nor takes a block */
    assert_int_equal(frames_free_count(), free_before_scrub); /* what is being scrubbed is free */
}

/* While one CPU scrubs, others leave the heap alone, although there is more to do. */
static void test_one_scrubber(void **state)
{
    mfn_t m = frames_alloc(6, FA_NOSCRUB);

    memset(map_frame(m), 0xee, 64 * FRAME_SIZE);
    frames_free(m, 6);
    free_before_scrub = frames_free_count();
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

/* Frames that leave a dying domain one by one come to the heap in pieces, whatever is held back between them. */
static void test_runs(void **state)
{
    struct domain d;
    uint64_t before = frames_free_count();
    struct page_run run = {0, 0};
    struct page *held[8], *pg;
    unsigned n_held = 0, n = 0;
    bool left;

    domain_make(&d, 3000);
    assert_non_null(domain_pages_alloc(&d, 11, FA_NOSCRUB, 64));
    assert_non_null(domain_pages_alloc(&d, 0, FA_NOSCRUB, 64));
    assert_non_null(domain_pages_alloc(&d, 3, FA_NOSCRUB, 64));
    while ((pg = domain_page_first(&d, &left))) {
        assert_true(left && !(pg->count & PGC_ALLOC));
        if (n++ % 333 == 7) { /* mapped by another */
            dup_page(pg);
            held[n_held++] = pg;
        }
        put_page_run(pg, &run);
        if (n % 700 == 0) {
            page_run_end(&run);
            assert_int_equal(frames_free_count(), before - 2048 - 1 - 8 + n - n_held);
            assert_int_equal(frames_check(), 0);
        }
    }
    page_run_end(&run);
    page_run_end(&run); /* nothing is left in it */
    assert_int_equal(n, 2048 + 1 + 8);
    assert_int_equal(frames_free_count(), before - n_held);
    assert_int_equal(d.tot_pages, 0);
    assert_int_equal(d.owned_pages, n_held);
    assert_int_equal(d.loose_pages, n_held);
    while (n_held)
        put_page(held[--n_held]);
    assert_int_equal(frames_free_count(), before);
    assert_int_equal(frames_check(), 0);

    pg = domain_pages_alloc(&d, 0, FA_NOSCRUB, 64);
    pg->type = PGT_L1 | PGT_PARTIAL; /* what needs undoing stays on the list */
    assert_ptr_equal(domain_page_first(&d, &left), pg);
    assert_false(left);
    assert_int_equal(pg->count, (PGC_ALLOC | 1) + 1);
    pg->type = 0;
    put_page(pg);
    assert_ptr_equal(domain_page_first(&d, &left), pg);
    assert_true(left);
    put_page(pg);
    assert_int_equal(frames_free_count(), before);
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

/* --- claims ----------------------------------------------------------------------------------------- */

#define CLAIMERS 4
#define CLAIM_MAX 12000 /* the limits of all of them together are more than there is */

struct claimer {
    struct domain d;
    struct page *got[CLAIM_MAX];
    uint64_t n, claim; /* what it has, and what the model says that it may still claim */
};
static struct claimer claimer[CLAIMERS];
static mfn_t claim_hyp[64]; /* blocks of order 5 that the hypervisor took */
static unsigned claim_nr_hyp;

static uint64_t claims_of_others(const struct claimer *c)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < CLAIMERS; i++)
        sum += &claimer[i] == c ? 0 : claimer[i].claim;
    return sum;
}

static uint64_t unclaimed_by_others(const struct claimer *c)
{
    return frames_free_count() - claims_of_others(c);
}

static void claimer_claim(struct claimer *c, uint64_t total)
{
    uint64_t want = total > c->n ? total - c->n : 0;
    int rc = !total ? 0 : total > CLAIM_MAX || c->claim ? -XEN_EINVAL : want > unclaimed_by_others(c) ? -XEN_ENOMEM : 0;

    assert_int_equal(domain_claim(&c->d, total), rc);
    if (!rc)
        c->claim = want;
}

/* Single frames, so that no want of contiguous memory hides in it. */
static void claimer_take(struct claimer *c, unsigned n)
{
    while (n--) {
        bool may = c->n < CLAIM_MAX && unclaimed_by_others(c);
        struct page *pg = domain_pages_alloc(&c->d, 0, FA_NOSCRUB, 64);

        assert_int_equal(pg != NULL, may);
        if (!pg)
            return;
        c->got[c->n++] = pg;
        c->claim -= c->claim ? 1 : 0;
    }
}

/* What goes back makes no claim. */
static void claimer_give(struct claimer *c, uint64_t n)
{
    for (n = MIN(n, c->n); n; n--) {
        struct page *pg = c->got[--c->n];

        assert_int_equal(domain_page_remove(&c->d, pg), 0);
        put_page(pg);
    }
}

static void claim_hyp_step(bool take)
{
    bool may = unclaimed_by_others(NULL) >= 32;
    mfn_t m;

    if (!take && claim_nr_hyp)
        frames_free(claim_hyp[--claim_nr_hyp], 5);
    if (!take || claim_nr_hyp == ARRAY_SIZE(claim_hyp))
        return;
    m = frames_alloc(5, FA_NOSCRUB);
    if (!may && !mfn_eq(m, INVALID_MFN))
        fail_msg("the hypervisor took what others had claimed");
    if (!mfn_eq(m, INVALID_MFN))
        claim_hyp[claim_nr_hyp++] = m;
}

static void claim_step(void)
{
    struct claimer *c = &claimer[rand() % CLAIMERS];
    unsigned n = (unsigned)rand() % 2000;

    switch (rand() % 8) {
    case 0:
        return claimer_claim(c, c->n + n * 4);
    case 1:
        return claimer_claim(c, rand() % 4 ? 0 : (unsigned)rand() % (CLAIM_MAX + 3));
    case 2:
    case 3:
    case 4:
        return claimer_take(c, n);
    case 5:
        return claimer_give(c, n);
    case 6:
        return claim_hyp_step(rand() % 3);
    default:
        frames_scrub_some();
    }
}

static void claims_compare(void)
{
    for (unsigned i = 0; i < CLAIMERS; i++) {
        assert_int_equal(claimer[i].d.claim, claimer[i].claim);
        assert_int_equal(claimer[i].d.tot_pages, claimer[i].n);
        assert_int_equal(claimer[i].d.coming_pages, 0);
    }
    assert_int_equal(frames_claimed(), claims_of_others(NULL));
    assert_true(frames_claimed() <= frames_free_count());
}

static void test_claims(void **state)
{
    unsigned short_of = 0;

    srand(7);
    for (unsigned i = 0; i < CLAIMERS; i++)
        domain_make(&claimer[i].d, CLAIM_MAX);
    for (unsigned i = 0; i < 4000; i++) {
        claim_step();
        claims_compare();
        short_of += unclaimed_by_others(NULL) < 32;
        if (i % 200 == 0)
            assert_int_equal(frames_check(), 0);
    }
    assert_true(short_of > 100); /* else nothing was refused to anybody */
    for (unsigned i = 0; i < CLAIMERS; i++) {
        claimer[i].d.dying = true; /* a claim ends with its domain, and there is no new one */
        assert_int_equal(domain_claim(&claimer[i].d, 1), -XEN_EINVAL);
        assert_int_equal(domain_claim(&claimer[i].d, 0), 0);
        claimer[i].claim = 0;
        claims_compare();
        claimer_give(&claimer[i], CLAIM_MAX);
    }
    while (claim_nr_hyp)
        claim_hyp_step(false);
    assert_int_equal(frames_free_count(), frames_total());
}

/* The documented sequence: a claim of 10 by who has 3 keeps 7. It holds while a scrubber has the frames. */
static bool claim_in_scrub;
static struct domain *claim_scrub_by;
static void claim_while_scrubbed(void)
{
    host_on_flush = NULL;
    claim_in_scrub = true;
    assert_int_equal(frames_free_count(), frames_total() - claim_scrub_by->tot_pages);
    assert_int_equal(domain_claim(claim_scrub_by, frames_total()), 0);
}

static void test_claim_counts(void **state)
{
    struct claimer *c = &claimer[0];
    mfn_t m;

    while (frames_scrub_some())
        ;
    domain_make(&c->d, POOL);
    c->n = 0;
    claimer_take(c, 3);
    assert_int_equal(domain_claim(&c->d, 10), 0);
    assert_int_equal(c->d.claim, 7);
    assert_int_equal(domain_claim(&c->d, 12), -XEN_EINVAL);
    assert_int_equal(domain_claim(&c->d, 0), 0);
    assert_int_equal(domain_claim(&c->d, 2), 0); /* it has them */
    assert_int_equal(c->d.claim, 0);
    m = frames_alloc(6, FA_NOSCRUB);
    frames_free(m, 6);
    claim_scrub_by = &c->d;
    host_on_flush = claim_while_scrubbed;
    assert_true(frames_scrub_some());
    assert_true(claim_in_scrub);
    assert_int_equal(frames_claimed(), frames_free_count());
    assert_true(mfn_eq(frames_alloc(0, 0), INVALID_MFN));
    assert_int_equal(frames_check(), 0);
    assert_int_equal(domain_claim(&c->d, 0), 0);
    claimer_give(c, 3);
    while (frames_scrub_some())
        ;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),      cmocka_unit_test(test_random),
        cmocka_unit_test(test_exhaust),    cmocka_unit_test(test_below),
        cmocka_unit_test(test_scrub),      cmocka_unit_test(test_stale),
        cmocka_unit_test(test_wrong_free), cmocka_unit_test(test_domain),
        cmocka_unit_test(test_runs),
        cmocka_unit_test(test_share),      cmocka_unit_test(test_one_scrubber),
        cmocka_unit_test(test_claims),     cmocka_unit_test(test_claim_counts),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
