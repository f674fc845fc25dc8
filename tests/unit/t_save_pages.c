/* SPDX-License-Identifier: MIT */
/*
 * Rounds of a save, with a guest whose list of pages changes while it is read: what one round could not send whole comes with a later
 * one, although the log does not name it again; and a list that is made to be slow to look up is not.
 * sources: toolstack/lib/save_p2m.c toolstack/lib/save_pages.c toolstack/lib/stream.c toolstack/lib/stream_xc.c toolstack/lib/fault.c
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "fault.h"
#include "guest_p2m.h"
#include "save_private.h"

#define PAGES 600U
#define TABLE 7U
#define FRAME(pfn) (0x1000 + (pfn))
#define FREE_FRAME 0x5000

static xen_pfn_t list[PAGES], not_its[4];
static uint8_t frames[0x6000][4096];
static unsigned sent_of[PAGES];
static uint64_t sent_entry; /* the first of the table that was sent last */
static unsigned holds[0x6000]; /* of our maps, for each frame */
static xen_pfn_t last_map[1024];
static size_t last_count;
static xen_pfn_t *big;
static uint64_t big_pages;

int guest_p2m_read_frames(struct ctl *c, domid_t domid, xen_pfn_t **mfns, uint64_t *pages, xen_pfn_t **leaves)
{
    *pages = big ? big_pages : PAGES;
    *mfns = malloc(*pages * sizeof(**mfns));
    *leaves = malloc(sizeof(**leaves));
    memcpy(*mfns, big ? big : list, *pages * sizeof(**mfns));
    return 0;
}

static bool is_its(xen_pfn_t m)
{
    for (unsigned i = 0; i < 4; i++)
        if (not_its[i] == m)
            return false;
    return m >= FRAME(0) && m < 0x6000;
}

void *ctl_map_some(struct ctl *c, domid_t domid, const xen_pfn_t *mfns, size_t count, int *errors)
{
    uint8_t *p = malloc(count * 4096);

    for (size_t i = 0; i < count; i++) {
        errors[i] = is_its(mfns[i]) ? 0 : -EINVAL;
        last_map[i] = errors[i] ? 0 : mfns[i];
        holds[last_map[i]]++;
        if (!errors[i])
            memcpy(p + i * 4096, frames[mfns[i]], 4096);
    }
    last_count = count;
    return p;
}

/* There is one map at a time: the guest is smaller than a chunk. */
void ctl_unmap(struct ctl *c, void *at, size_t count)
{
    assert_int_equal(count, last_count);
    for (size_t i = 0; i < count; i++)
        holds[last_map[i]]--;
    free(at);
}

int ctl_page_types(struct ctl *c, domid_t domid, xen_pfn_t *l, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        l[i] = !is_its(l[i]) ? XC_XTAB : l[i] == FRAME(TABLE) ? XC_L1 : XC_NOTAB;
    return 0;
}

static bool own_calls;

void *ctl_frames_open(struct ctl *c, domid_t domid)
{
    return own_calls ? malloc((size_t)CTL_FRAMES_MAX * 4096) : NULL;
}

void ctl_frames_close(struct ctl *c, void *data)
{
    free(data);
}

int ctl_frames_read(struct ctl *c, domid_t domid, xen_pfn_t *l, unsigned n, void *data, bool *zero)
{
    static const uint8_t nothing[4096];

    memset(data, 0xdc, (size_t)n * 4096); /* junk where nothing is filled in */
    for (unsigned i = 0; i < n; i++) {
        zero[i] = is_its(l[i]) && !memcmp(frames[l[i]], nothing, 4096);
        if (is_its(l[i]) && !zero[i])
            memcpy((uint8_t *)data + (size_t)i * 4096, frames[l[i]], 4096);
    }
    return ctl_page_types(c, domid, l, n);
}

void *ctl_buffer(struct ctl *c, size_t bytes)
{
    return calloc(1, bytes);
}

void ctl_buffer_free(struct ctl *c, void *p)
{
    free(p);
}

/* --- a save, and what came of it ----------------------------------------------------------------------------------------------- */

static struct stream_out out;
static struct stream_memory memory;

static void open_save(struct save *s)
{
    memset(s, 0, sizeof(*s));
    memset(sent_of, 0, sizeof(sent_of));
    memset(not_its, 0, sizeof(not_its));
    stream_out_memory(&out, &memory);
    s->to = &out;
    for (unsigned i = 0; i < PAGES; i++) {
        list[i] = FRAME(i);
        memset(frames[FRAME(i)], 1, 4096);
    }
    memset(frames[FRAME(TABLE)], 0, 4096);
    *(uint64_t *)(void *)frames[FRAME(TABLE)] = FRAME(3) << 12 | 1;
}

static void close_save(struct save *s)
{
    save_pages_close(s);
    free(s->p2m);
    free(s->sent);
    free(s->stale);
    free(s->slot);
    free(memory.data);
}

/* The records since `from`: which pages came. */
static void take_records(size_t from)
{
    struct stream_in in;
    struct xc_reader x = { .in = &in };
    uint64_t entry[XC_PAGES_MAX], page[512];

    stream_in_memory(&in, &memory);
    memory.at = from;
    while (memory.at < memory.bytes) {
        assert_int_equal(xc_next(&x), 0);
        assert_int_equal(xc_pages(&x, entry, PAGES), 0);
        for (unsigned i = 0; i < x.r.n_pages; i++) {
            uint64_t pfn = entry[i] & XC_PFN_MASK;

            if (!xc_has_data((unsigned)(entry[i] >> XC_TYPE_SHIFT))) {
                sent_of[pfn] = 0;
                continue;
            }
            sent_of[pfn]++;
            assert_int_equal(stream_read(&in, page, sizeof(page)), 0);
            if (pfn == TABLE)
                sent_entry = page[0];
        }
        assert_int_equal(xc_done(&x), 0);
    }
}

static void round_of(struct save *s, const uint64_t *set, bool last)
{
    struct save_count count = { 0 };
    size_t from = memory.bytes;

    fault_clear();
    assert_int_equal(save_p2m_read(s, last, NULL), 0);
    if (!s->types)
        assert_int_equal(save_pages_open(s), 0);
    assert_int_equal(save_pages_send(s, set, &count), 0);
    take_records(from);
}

static const uint64_t none[PAGES / 64 + 1];

/* The guest has an entry for a page that it has not listed yet. */
static void test_entry_before_list(void **state)
{
    struct save s;

    open_save(&s);
    list[3] = ~0ULL;
    round_of(&s, NULL, false);
    assert_int_equal(sent_of[TABLE], 1);
    assert_int_equal(sent_entry, 0);
    list[3] = FRAME(3);
    round_of(&s, none, true);
    assert_int_equal(sent_of[TABLE], 2);
    assert_int_equal(sent_entry, 3 << 12 | 1);
    assert_int_equal(sent_of[3], 1);
    round_of(&s, none, true);
    assert_int_equal(sent_of[TABLE], 2);
    close_save(&s);
}

/* A page was given back and taken anew; the list has the old frame still when its mark is seen. */
static void test_gone_and_back(void **state)
{
    uint64_t set[PAGES / 64 + 1] = { 0 };
    struct save s;

    open_save(&s);
    round_of(&s, NULL, false);
    assert_int_equal(sent_of[20], 1);
    not_its[0] = FRAME(20);
    set[0] = 1U << 20;
    round_of(&s, set, false);
    assert_int_equal(sent_of[20], 0);
    list[20] = FREE_FRAME;
    memset(frames[FREE_FRAME], 2, 4096);
    round_of(&s, none, true);
    assert_int_equal(sent_of[20], 1);
    close_save(&s);
}

/* A frame that the guest gives back is not kept by a map from an earlier round. */
static void test_frame_let_go(void **state)
{
    struct save s;

    open_save(&s);
    round_of(&s, NULL, false);
    assert_int_equal(holds[FRAME(20)], 1);
    round_of(&s, none, false);
    assert_int_equal(holds[FRAME(20)], 1); /* no reason to map anew */
    not_its[0] = FRAME(20);
    list[20] = ~0ULL;
    round_of(&s, none, false);
    assert_int_equal(holds[FRAME(20)], 0);
    assert_int_equal(sent_of[20], 0);
    close_save(&s);
    assert_int_equal(holds[FRAME(21)], 0);
}

/* While the guest runs a frame may be met at two numbers; at the end that is an error. */
static void test_twice(void **state)
{
    struct save s;

    open_save(&s);
    list[30] = list[10];
    round_of(&s, NULL, false);
    assert_int_equal(sent_of[10], 1);
    assert_int_equal(sent_of[30], 0);
    list[30] = FRAME(30);
    list[10] = ~0ULL;
    round_of(&s, none, false);
    assert_int_equal(sent_of[10], 0);
    assert_int_equal(sent_of[30], 1);
    list[10] = list[30];
    assert_int_equal(save_p2m_read(&s, true, NULL), -EINVAL);
    close_save(&s);
}

/* Numbers whose product with a known constant has the same bits where a hash of 60000 pages would look. */
static void craft(void)
{
    const uint64_t factor = 0x9e3779b97f4a7c15ULL;
    uint64_t inverse = factor, n = 0;

    for (unsigned i = 0; i < 5; i++)
        inverse *= 2 - factor * inverse;
    big_pages = 60000;
    big = malloc(big_pages * sizeof(*big));
    for (uint64_t k = 1; n < big_pages; k++) {
        uint64_t m = (k >> 20 << 37 | (k & 0xfffff)) * inverse;

        if (save_p2m_valid(m))
            big[n++] = m;
    }
}

static void test_crafted_list(void **state)
{
    struct save s;
    clock_t start;

    open_save(&s);
    craft();
    start = clock();
    assert_int_equal(save_p2m_read(&s, true, NULL), 0);
    assert_true(clock() - start < 2 * CLOCKS_PER_SEC);
    free(big);
    big = NULL;
    close_save(&s);
}

static int copies(void **state)
{
    own_calls = true;
    return 0;
}

static int maps(void **state)
{
    own_calls = false;
    return 0;
}

/* Once with the hypervisor's copies, once with maps. */
#define BOTH(test) cmocka_unit_test_setup(test, copies), { #test "_mapped", test, maps, NULL, NULL }

int main(void)
{
    const struct CMUnitTest tests[] = { BOTH(test_entry_before_list), BOTH(test_gone_and_back), BOTH(test_twice),
        cmocka_unit_test_setup(test_frame_let_go, maps), cmocka_unit_test_setup(test_crafted_list, copies) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
