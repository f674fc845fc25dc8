/* SPDX-License-Identifier: MIT */
/*
 * Entries that map granted frames (pv/grant_map.c): each unmap takes one away, whatever two vCPUs do at once, and none
 * is copied. Else a guest would keep the page of another that believes to have it back.
 * sources: hypervisor/pv/grant_map.c hypervisor/pv/pgt.c hypervisor/pv/pgt_entries.c hypervisor/pv/pgt_update.c hypervisor/pv/pgt_check.c hypervisor/pv/pgt_sweep.c hypervisor/pv/mmu_update.c hypervisor/pv/mmuext.c hypervisor/pv/descriptors.c hypervisor/common/page_refs.c hypervisor/common/frames.c hypervisor/common/memory_op.c hypervisor/common/memory_exchange.c
 */
#include "pgt_env.h"

#include <cmocka.h>

#include "grant.h"

#include <xen/grant_table.h>

#define FLAGS (GNTMAP_host_map | GNTMAP_contains_pte)

static __thread uint64_t seed = 1;

unsigned env_rand(unsigned below)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return below ? (unsigned)(seed >> 33) % below : 0;
}

/* Domain 1's level-1 table is its frame 3; domain 2 grants its frame 20. */
static uint64_t slot(unsigned i)
{
    return e_frames[1][3] << FRAME_SHIFT | i * 8;
}
static mfn_t granted(void)
{
    return mfn(e_frames[2][20]);
}
static uint64_t entry(unsigned i)
{
    const uint64_t *t = map_frame(mfn(e_frames[1][3]));
    uint64_t e = READ_ONCE(t[i]);

    unmap_frame(t);
    return e;
}
static void put_entry(unsigned i, uint64_t e)
{
    struct mmu_update u = {.ptr = slot(i), .val = e};

    assert_int_equal(do_mmu_update(e_vcpus[1][0], (uintptr_t)&u, 1, 0, DOMID_SELF, 0), 0);
}
static int map(unsigned i)
{
    return arch_grant_map(e_vcpus[1][0], slot(i), granted(), &e_dom[2].d, FLAGS);
}
static int unmap(unsigned vcpu, unsigned i, uint64_t new_addr)
{
    return arch_grant_unmap(e_vcpus[1][vcpu], slot(i), granted(), FLAGS, new_addr);
}

static void start(void)
{
    struct mmuext_op op = {.cmd = MMUEXT_PIN_L1_TABLE};

    env_setup();
    e_l1 = op.arg1.mfn = e_frames[1][3];
    assert_int_equal(do_mmuext_op(e_vcpus[1][0], (uintptr_t)&op, 1, 0, DOMID_SELF, 0), 0);
}

/* --- two vCPUs take the same entry ------------------------------------------------------------------ */

static unsigned countdown; /* the other vCPU acts after so many looks at a frame */
static int other;

void unmap_frame(const void *p)
{
    if (countdown && !--countdown)
        other = unmap(1, 5, 0);
}

/* Two handles, two entries; both vCPUs name the same entry. Wherever one comes in the other's way, one of them fails,
 * and the second entry still has its handle. */
static void test_once(void **state)
{
    unsigned met = 0;

    for (unsigned at = 1; at < 8; at++) {
        int mine;

        start();
        assert_int_equal(map(5), GNTST_okay);
        assert_int_equal(map(6), GNTST_okay);
        other = -1;
        countdown = at;
        mine = unmap(0, 5, 0);
        met += !countdown;
        if (countdown) /* it was done before */
            other = GNTST_general_error;
        countdown = 0;
        assert_int_not_equal(!mine, !other);
        assert_int_equal(page_of(granted())->type & PGT_COUNT_MASK, 1);
        assert_int_equal(unmap(0, 6, 0), GNTST_okay);
        assert_int_equal(unmap(0, 6, 0), GNTST_general_error);
        assert_int_equal(page_of(granted())->type & PGT_COUNT_MASK, 0);
        env_check();
        env_finish();
    }
    assert_true(met);
}

/* --- unmap_and_replace -------------------------------------------------------------------------------- */

static void test_replace(void **state)
{
    uint64_t own;

    start();
    own = e_frames[1][30];
    assert_int_equal(map(5), GNTST_okay);
    assert_int_equal(map(6), GNTST_okay);
    /* another mapping of the granted frame is no replacement, nor is the entry itself */
    assert_int_equal(unmap(0, 5, 6UL << FRAME_SHIFT), GNTST_general_error);
    assert_int_equal(unmap(0, 5, 5UL << FRAME_SHIFT), GNTST_general_error);
    assert_int_equal(page_of(granted())->type & PGT_COUNT_MASK, 2);
    put_entry(7, own << FRAME_SHIFT | PTE_P | PTE_US);
    assert_int_equal(unmap(0, 5, 7UL << FRAME_SHIFT), GNTST_okay);
    assert_int_equal(entry(5) >> FRAME_SHIFT, own);
    assert_int_equal(entry(7), 0);
    assert_int_equal(unmap(0, 5, 0), GNTST_general_error); /* it maps something else now */
    assert_int_equal(unmap(0, 6, 0), GNTST_okay);
    assert_int_equal(page_of(granted())->type & PGT_COUNT_MASK, 0);
    env_check();
    env_finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_once),
        cmocka_unit_test(test_replace),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
