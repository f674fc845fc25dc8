/* SPDX-License-Identifier: MIT */
/*
 * The list of a guest's pages, read out of frames that the guest wrote: sound ones of several sizes; roots that are not set, counts
 * beyond all bounds, frames that cannot be mapped.
 * sources: toolstack/lib/guest_p2m.c toolstack/lib/fault.c
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fault.h"
#include "guest_p2m.h"

#define SHARED 1U
#define ROOT 2U
#define MIDDLE 100U
#define LEAF 1000U
#define VALUE(pfn) (0x500000 + (pfn) * 3)

static struct shared_info shared;
static xen_pfn_t bad_frame;
static uint64_t max_pages = 16384;
static unsigned mapped; /* pieces that are mapped now */

int ctl_domain_info(struct ctl *c, domid_t domid, struct xen_domctl_getdomaininfo *info)
{
    *info = (struct xen_domctl_getdomaininfo){ .domain = domid, .shared_info_frame = SHARED, .tot_pages = 100, .max_pages = max_pages };
    return domid == 5 ? 0 : -ESRCH;
}

static void fill(xen_pfn_t mfn, xen_pfn_t *page)
{
    if (mfn == SHARED)
        memcpy(page, &shared, sizeof(shared) < 4096 ? sizeof(shared) : 4096);
    for (unsigned i = 0; i < 512 && mfn != SHARED; i++)
        page[i] = mfn == ROOT ? MIDDLE + i : mfn < LEAF ? LEAF + (mfn - MIDDLE) * 512 + i : VALUE((mfn - LEAF) * 512 + i);
}

void *ctl_map(struct ctl *c, domid_t domid, const xen_pfn_t *mfns, size_t count, bool writable)
{
    assert_false(writable);
    for (size_t i = 0; i < count; i++)
        if (mfns[i] == bad_frame) {
            fault(-EINVAL, "no such frame");
            return NULL;
        }
    xen_pfn_t *p = malloc(count * 4096);

    for (size_t i = 0; i < count; i++)
        fill(mfns[i], p + i * 512);
    mapped++;
    return p;
}

void ctl_unmap(struct ctl *c, void *at, size_t count)
{
    mapped -= at != NULL;
    free(at);
}

static int run(uint64_t max_pfn, xen_pfn_t root, uint64_t wanted)
{
    xen_pfn_t *mfns;
    uint64_t pages;

    shared.arch.max_pfn = max_pfn;
    shared.arch.pfn_to_mfn_frame_list_list = root;
    fault_clear();
    int rc = guest_p2m_read(NULL, 5, &mfns, &pages);

    assert_int_equal(mapped, 0);
    assert_int_equal(!rc, !*fault_text());
    assert_int_equal(!rc, mfns != NULL);
    for (uint64_t i = 0; i < wanted && !rc; i++)
        assert_int_equal(mfns[i], VALUE(i));
    if (!rc)
        assert_int_equal(pages, wanted);
    free(mfns);
    return rc;
}

static void test_sound(void **state)
{
    static const uint64_t sizes[] = { 1, 511, 512, 513, 24576, 262144, 262145, 600000 };

    bad_frame = 0;
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
        assert_int_equal(run(sizes[i], ROOT, sizes[i]), 0);
}

static void test_refused(void **state)
{
    bad_frame = 0;
    assert_int_equal(run(0, ROOT, 0), -EAGAIN);
    assert_int_equal(run(100, 0, 0), -EAGAIN);
    assert_int_equal(run(100, ~0UL, 0), -EAGAIN);
    assert_int_equal(run(P2M_MAX_PAGES + 1, ROOT, 0), -E2BIG);
    assert_int_equal(run(~0UL, ROOT, 0), -E2BIG);
    /* A small guest may not have domain 0 make a list for a large one. */
    assert_int_equal(run(max_pages + P2M_SPARE_PAGES, ROOT, max_pages + P2M_SPARE_PAGES), 0);
    assert_int_equal(run(max_pages + P2M_SPARE_PAGES + 1, ROOT, 0), -E2BIG);
    max_pages = ~0ULL; /* no limit */
    assert_int_equal(run(P2M_MAX_PAGES + 1, ROOT, 0), -E2BIG);
    max_pages = 16384;
    for (unsigned i = 0; i < 4; i++) {
        bad_frame = (const xen_pfn_t[]){ SHARED, ROOT, MIDDLE + 1, LEAF + 600 }[i];
        assert_int_equal(run(600000, ROOT, 0), -EFAULT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_sound), cmocka_unit_test(test_refused) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
