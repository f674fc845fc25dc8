/* SPDX-License-Identifier: MIT */
/*
 * Page types under random hypercalls of three domains, interrupted everywhere, with a recount after each; and the
 * rules one by one.
 * sources: hypervisor/pv/domctl_frames.c hypervisor/pv/pgt.c hypervisor/pv/pgt_entries.c hypervisor/pv/pgt_update.c hypervisor/pv/pgt_check.c hypervisor/pv/pgt_sweep.c hypervisor/pv/mmu_update.c hypervisor/pv/mmuext.c hypervisor/pv/descriptors.c hypervisor/common/page_refs.c hypervisor/common/frames.c hypervisor/common/memory_op.c hypervisor/common/memory_exchange.c
 */
#include "pgt_env.h"

#include <cmocka.h>

static uint64_t seed = 1;

unsigned env_rand(unsigned below)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return below ? (unsigned)(seed >> 33) % below : 0;
}

static unsigned valid_l4(void)
{
    unsigned n = 0;

    for (unsigned f = 1; f < E_FRAMES; f++)
        n += (frame_table[f].type & (PGT_TYPE_MASK | PGT_VALID)) == (PGT_L4 | PGT_VALID);
    return n;
}

static void random_ops(unsigned n)
{
    uint64_t l4s = 0, partial = 0;

    e_patient = false;
    env_setup();
    for (unsigned i = 0; i < n; i++) {
        env_step(env_rand(E_DOMS), env_rand(E_VCPUS), false);
        l4s += valid_l4();
        for (unsigned f = 1; f < E_FRAMES; f++)
            partial += !!(frame_table[f].type & PGT_PARTIAL) && frame_table[f].owner;
    }
    print_message("%lu valid L4s and %lu leftovers seen in %u states, %u flushes\n", l4s, partial, n, e_flushes);
    env_finish();
}

static void test_random(void **state)
{
    env_interleave = false;
    for (unsigned i = 0; i < 4; i++)
        random_ops(3000);
}

static void test_interleaved(void **state)
{
    env_interleave = true;
    for (unsigned i = 0; i < 4; i++)
        random_ops(3000);
}

/* --- one rule each --------------------------------------------------------------------------------- */

static uint64_t frame(unsigned d, unsigned k)
{
    return e_frames[d][k];
}
static struct page *pg_of(unsigned d, unsigned k)
{
    return page_of(mfn(frame(d, k)));
}
/* Write an entry by hypercall as domain d's vCPU 0; continuations are followed. */
static long put_entry(unsigned d, uint64_t table, unsigned i, uint64_t e)
{
    struct mmu_update u = {.ptr = table << FRAME_SHIFT | i * 8, .val = e};

    e_patient = true;
    return run(d, 0, true, __HYPERVISOR_mmu_update, (uintptr_t)&u, 1, 0, DOMID_SELF);
}
static long ext(unsigned d, unsigned cmd, uint64_t m)
{
    struct mmuext_op op = {.cmd = cmd, .arg1.mfn = m};

    e_patient = true;
    return run(d, 0, true, __HYPERVISOR_mmuext_op, (uintptr_t)&op, 1, 0, DOMID_SELF);
}
static uint64_t pte(uint64_t m, uint64_t flags)
{
    return m << FRAME_SHIFT | PTE_P | PTE_US | flags;
}

/* Frames 0, 1, 2, 3 of domain d: L4, L3, L2, L1, with data frame 20 at the bottom. */
static void tree(unsigned d)
{
    for (unsigned k = 0; k < 3; k++)
        assert_int_equal(put_entry(d, frame(d, k), k, pte(frame(d, k + 1), PTE_RW)), 0);
    assert_int_equal(put_entry(d, frame(d, 3), 7, pte(frame(d, 20), PTE_RW)), 0);
    assert_int_equal(ext(d, MMUEXT_PIN_L4_TABLE, frame(d, 0)), 0);
    env_check();
}

static void test_tables(void **state)
{
    env_setup();
    tree(1);
    assert_int_equal(pg_of(1, 3)->type & (PGT_TYPE_MASK | PGT_VALID), PGT_L1 | PGT_VALID);
    assert_int_equal(ext(1, MMUEXT_PIN_L4_TABLE, frame(1, 0)), -XEN_EINVAL);
    /* a page table is not mapped writable; what is mapped writable is no page table */
    assert_int_equal(put_entry(1, frame(1, 3), 8, pte(frame(1, 2), PTE_RW)), -XEN_EINVAL);
    assert_int_equal(put_entry(1, frame(1, 3), 8, pte(frame(1, 2), 0)), 0);
    assert_int_equal(ext(1, MMUEXT_PIN_L1_TABLE, frame(1, 20)), -XEN_EINVAL);
    assert_int_equal(ext(1, MMUEXT_CLEAR_PAGE, frame(1, 3)), -XEN_EINVAL);
    /* our slots; other domains' frames; devices; bits */
    assert_int_equal(put_entry(1, frame(1, 0), 256, 0), -XEN_EINVAL);
    assert_int_equal(put_entry(1, frame(1, 0), 271, pte(frame(1, 1), 0)), -XEN_EINVAL);
    assert_int_equal(put_entry(1, frame(1, 3), 9, pte(frame(2, 30), 0)), -XEN_EINVAL);
    assert_int_equal(put_entry(1, frame(1, 3), 9, pte(E_HOLE, PTE_RW)), -XEN_EINVAL);
    assert_int_equal(put_entry(1, frame(1, 3), 9, pte(frame(1, 30), BIT(51))), -XEN_EINVAL);
    assert_int_equal(put_entry(1, frame(1, 3), 9, pte(frame(1, 30), PTE_PCD)), -XEN_EINVAL);
    assert_int_equal(put_entry(1, frame(1, 2), 9, pte(frame(1, 4), PTE_PSE)), -XEN_EINVAL);
    assert_int_equal(put_entry(1, frame(1, 3), 9, pte(frame(1, 30), BIT(58))), 0);
    /* itself: read-only */
    assert_int_equal(put_entry(1, frame(1, 0), 5, pte(frame(1, 0), PTE_RW)), -XEN_EINVAL);
    assert_int_equal(put_entry(1, frame(1, 0), 5, pte(frame(1, 0), 0)), 0);
    env_check();
    assert_int_equal(ext(1, MMUEXT_UNPIN_TABLE, frame(1, 0)), 0);
    assert_int_equal(ext(1, MMUEXT_UNPIN_TABLE, frame(1, 0)), -XEN_EINVAL);
    assert_int_equal(pg_of(1, 20)->type & PGT_COUNT_MASK, 0);
    env_finish();
}

/* The hypervisor writes to shared frames without asking: they never become tables. */
static void test_shared(void **state)
{
    struct page *pg;
    mfn_t m;

    env_setup();
    m = frames_alloc(0, 0);
    pg = page_of(m);
    share_page(pg, &e_dom[1].d);
    
    assert_int_equal(ext(1, MMUEXT_PIN_L1_TABLE, m.n), -XEN_EINVAL);
    assert_int_equal(do_set_gdt(e_vcpus[1][0], (uintptr_t)&m, 512, 0, 0, 0), -XEN_EINVAL);
    tree(1);
    assert_int_equal(put_entry(1, frame(1, 3), 9, pte(m.n, PTE_RW)), 0);
    assert_false(unshare_page(pg));
    assert_int_equal(put_entry(1, frame(1, 3), 9, 0), 0);
    assert_int_equal(ext(1, MMUEXT_PIN_L1_TABLE, m.n), -XEN_EINVAL);
    assert_true(unshare_page(pg));
    
    env_finish();
}

/* A frame that was given back but is still mapped counts; and it is not exchanged. */
static void test_loose(void **state)
{
    struct domain *d = &e_dom[1].d;
    xen_pfn_t f, got = 1;
    struct xen_memory_reservation r = {.nr_extents = 1, .domid = DOMID_SELF};
    struct xen_memory_exchange x;

    env_setup();
    tree(1);
    f = frame(1, 20);
    r.extent_start.p = &f;
    x = (struct xen_memory_exchange){.in = r, .out = r};
    x.out.extent_start.p = &got;
    assert_int_equal(do_memory_op(e_vcpus[1][0], XENMEM_exchange, (uintptr_t)&x, 0, 0, 0), -XEN_EINVAL);
    assert_int_equal(d->tot_pages, 64);
    assert_int_equal(do_memory_op(e_vcpus[1][0], XENMEM_decrease_reservation, (uintptr_t)&r, 0, 0, 0), 1);
    assert_int_equal(d->tot_pages, 63);
    assert_int_equal(d->loose_pages, 1);
    r.extent_start.p = &got;
    assert_int_equal(do_memory_op(e_vcpus[1][0], XENMEM_populate_physmap, (uintptr_t)&r, 0, 0, 0), 0);
    assert_int_equal(put_entry(1, frame(1, 3), 7, 0), 0);
    assert_int_equal(d->loose_pages, 0);
    assert_int_equal(do_memory_op(e_vcpus[1][0], XENMEM_populate_physmap, (uintptr_t)&r, 0, 0, 0), 1);
    env_check();
    env_finish();
}

static long claim(unsigned d, struct xen_memory_reservation r)
{
    return do_memory_op(e_vcpus[d][0], XENMEM_claim_pages, (uintptr_t)&r, 0, 0, 0);
}

/* XENMEM_claim_pages: who may and what is refused. The arithmetic is in t_frames. */
static void test_claim_call(void **state)
{
    struct domain *d = &e_dom[1].d;
    xen_pfn_t f = 1, got[2];
    struct xen_memory_reservation take = {.nr_extents = 2, .domid = 2};

    env_setup();
    assert_true(e_dom[0].d.privileged && !d->privileged);
    d->max_pages = e_dom[2].d.max_pages = 200;
    assert_int_equal(claim(1, (struct xen_memory_reservation){.nr_extents = 65, .domid = DOMID_SELF}), -XEN_EPERM);
    assert_int_equal(do_memory_op(e_vcpus[0][0], XENMEM_claim_pages, 0, 0, 0, 0), -XEN_EFAULT);
    assert_int_equal(claim(0, (struct xen_memory_reservation){.nr_extents = 65, .domid = 77}), -XEN_ESRCH);
    assert_int_equal(claim(0, (struct xen_memory_reservation){.nr_extents = 65, .domid = 1, .extent_order = 1}), -XEN_EINVAL);
    assert_int_equal(claim(0, (struct xen_memory_reservation){.nr_extents = 65, .domid = 1, .mem_flags = 1}), -XEN_EINVAL);
    assert_int_equal(claim(0, (struct xen_memory_reservation){.nr_extents = 65, .domid = 1, .extent_start.p = &f}), -XEN_EINVAL);
    assert_int_equal(claim(0, (struct xen_memory_reservation){.nr_extents = 201, .domid = 1}), -XEN_EINVAL);
    assert_int_equal(claim(0, (struct xen_memory_reservation){.nr_extents = 200, .domid = 1}), -XEN_ENOMEM);
    assert_int_equal(d->claim, 0);
    /* all but one frame: the other domain gets that one and no more */
    assert_int_equal(claim(0, (struct xen_memory_reservation){.nr_extents = 64 + frames_free_count() - 1, .domid = 1}), 0);
    take.extent_start.p = (got[0] = 0, got[1] = 1, got);
    assert_int_equal(do_memory_op(e_vcpus[0][0], XENMEM_populate_physmap, (uintptr_t)&take, 0, 0, 0), 1);
    assert_int_equal(d->claim, frames_free_count());
    assert_int_equal(claim(0, (struct xen_memory_reservation){.domid = 1}), 0);
    assert_int_equal(do_memory_op(e_vcpus[0][0], XENMEM_populate_physmap, (uintptr_t)&take, 0, 0, 0), 2);
    env_finish();
}

/* A list of new frames that cannot be read: the guest loses what it gave, and nobody else loses anything. */
static void test_exchange_unreadable(void **state)
{
    struct domain *d = &e_dom[1].d;
    struct xen_memory_exchange x = {0};
    uint64_t before;
    xen_pfn_t f;

    env_setup();
    before = frames_free_count();
    f = frame(1, 40);
    x.in = x.out = (struct xen_memory_reservation){.nr_extents = 1, .domid = DOMID_SELF};
    x.in.extent_start.p = &f;
    x.out.extent_start.p = (xen_pfn_t *)8; /* page 0 faults */
    assert_int_equal(do_memory_op(e_vcpus[1][0], XENMEM_exchange, (uintptr_t)&x, 0, 0, 0), -XEN_EFAULT);
    assert_int_equal(d->tot_pages, 63);
    assert_int_equal(frames_free_count(), before + 1);
    env_check();
    env_finish();
}

/* Leftovers: who may not stop does not undo them; the next user does; stale marks do not recurse. */
static void test_leftover(void **state)
{
    struct page *l4, *l3, *other;
    uint64_t *t;

    env_setup();
    tree(1);
    l4 = pg_of(1, 0);
    e_preempt_every = 1;
    assert_int_equal(do_mmuext_op(e_vcpus[1][0], (uintptr_t)&(struct mmuext_op){.cmd = MMUEXT_UNPIN_TABLE,
                     .arg1.mfn = frame(1, 0)}, 1, 0, DOMID_SELF, 0), E_AGAIN);
    assert_true(l4->type & PGT_PARTIAL);
    env_check();
    assert_int_equal(pgt_get(l4, PGT_WRITABLE, false), -XEN_EINVAL);
    e_preempt_every = 0;
    assert_int_equal(pgt_get(l4, PGT_WRITABLE, true), 0);
    pgt_put(l4, false);
    env_check();

    /* L4 whose entry 0 points to what was an L3 with a leftover and is an L4 with a leftover now */
    other = pg_of(1, 40);
    l3 = pg_of(1, 41);
    t = map_frame(mfn_of(l4));
    t[0] = pte(frame(1, 40), 0);
    t = map_frame(mfn_of(other));
    t[0] = pte(frame(1, 41), 0);
    l4->type = other->type = PGT_L4 | PGT_PARTIAL;
    l4->pt_done = other->pt_done = 1 | 0x8000;
    dup_page(l4);
    dup_page(other);
    assert_int_equal(pgt_drain(l4, false), 0);
    assert_int_equal(l4->type, PGT_L4);
    assert_true(other->type & PGT_PARTIAL);
    assert_int_equal(l3->count, PGC_ALLOC | 1);
    env_check();
    env_finish();
}

/* The entry that was written counts as done although its old tree has yet to be undone. */
static void test_update_once(void **state)
{
    struct mmu_update u;
    uint64_t *l4;

    env_setup();
    tree(1);
    /* a second entry in the tree's L3: with one, it would be undone before anybody asks whether to stop */
    assert_int_equal(put_entry(1, frame(1, 1), 0, pte(frame(1, 2), PTE_RW)), 0);
    l4 = map_frame(mfn(frame(1, 0)));
    u = (struct mmu_update){.ptr = frame(1, 0) << FRAME_SHIFT, .val = 0};
    e_preempt_every = 1;
    assert_int_equal(do_mmu_update(e_vcpus[1][0], (uintptr_t)&u, 1, 0, DOMID_SELF, 0), E_AGAIN);
    assert_int_equal(l4[0], 0);
    assert_int_equal(e_again.a[1] & 0x7fffffff, 0);
    while (do_mmu_update(e_vcpus[1][0], e_again.a[0], e_again.a[1], 0, DOMID_SELF, 0) == E_AGAIN)
        env_check();
    assert_null(to_x86(e_vcpus[1][0])->drain);
    e_preempt_every = 0;
    env_check();
    env_finish();
}

static void test_stamp_busy(void **state)
{
    struct page *pg;

    env_setup();
    pg = pg_of(1, 30);
    assert_int_equal(pgt_get(pg, PGT_WRITABLE, false), 0);
    e_stamp_watch = pg;
    e_stamps = 0;
    pgt_put(pg, false);
    e_stamp_watch = NULL;
    assert_int_equal(e_stamps, 1);
    env_finish();
}

static void test_machphys(void **state)
{
    struct mmu_update u = {.val = 5};

    env_setup();
    u.ptr = frame(1, 5) << FRAME_SHIFT | MMU_MACHPHYS_UPDATE;
    assert_int_equal(do_mmu_update(e_vcpus[0][0], (uintptr_t)&u, 1, 0, DOMID_SELF, 0), -XEN_EINVAL);
    assert_int_equal(do_mmu_update(e_vcpus[0][0], (uintptr_t)&u, 1, 0, 1, 0), 0);
    assert_int_equal(do_mmu_update(e_vcpus[1][0], (uintptr_t)&u, 1, 0, DOMID_SELF, 0), 0);
    assert_int_equal(do_mmu_update(e_vcpus[2][0], (uintptr_t)&u, 1, 0, 1, 0), -XEN_ESRCH);
    assert_int_equal(do_mmu_update(e_vcpus[2][0], (uintptr_t)&u, 1, 0, DOMID_IO, 0), -XEN_EINVAL);
    assert_int_equal(do_mmu_update(e_vcpus[2][0], (uintptr_t)&u, 1, 0, DOMID_XEN, 0), -XEN_ESRCH);
    env_finish();
}

static void test_descriptors(void **state)
{
    static const struct {
        uint64_t d;
        bool fine;
    } c[] = {
        {0, true},
        {0x00cf9a000000ffff, true},  /* code, DPL 0: becomes 3 */
        {0x00affa000000ffff, true},  /* 64-bit code */
        {0x00effa000000ffff, false}, /* L and D */
        {0x00cf9e000000ffff, false}, /* conforming */
        {0x00cf96000000ffff, true},  /* data that expands down */
        {0x0000ec0000e01000, false}, /* call gate */
        {0x0000e90000000067, false}, /* TSS */
        {0x0000e20000000fff, false}, /* LDT */
        {0x0000650000000000, true},  /* task gate, not present */
    };

    for (unsigned i = 0; i < ARRAY_SIZE(c); i++) {
        uint64_t d = c[i].d;

        assert_int_equal(pv_descriptor_check(&d), c[i].fine);
        if (c[i].fine && d & BIT(47))
            assert_int_equal(d & (3UL << 45 | BIT(40)), 3UL << 45 | BIT(40));
    }
    env_setup();
    assert_int_equal(do_set_gdt(e_vcpus[1][0], (uintptr_t)(uint64_t[]){frame(1, 30)}, 512, 0, 0, 0), 0);
    assert_int_equal(do_update_descriptor(e_vcpus[1][0], frame(1, 30) << 12 | 16, 0x0000ec0000e01000, 0, 0, 0),
                     -XEN_EINVAL);
    assert_int_equal(do_update_descriptor(e_vcpus[1][0], frame(1, 30) << 12 | 17, 0, 0, 0, 0), -XEN_EINVAL);
    assert_int_equal(do_update_descriptor(e_vcpus[1][0], frame(1, 30) << 12 | 16, 0x00cf9a000000ffff, 0, 0, 0), 0);
    assert_int_equal(do_update_descriptor(e_vcpus[2][0], frame(1, 30) << 12 | 16, 0, 0, 0, 0), -XEN_EINVAL);
    assert_int_equal(ext(1, MMUEXT_CLEAR_PAGE, frame(1, 30)), -XEN_EINVAL);
    env_check();
    env_finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_shared),
        cmocka_unit_test(test_loose),
        cmocka_unit_test(test_claim_call),
        cmocka_unit_test(test_exchange_unreadable),
        cmocka_unit_test(test_leftover),
        cmocka_unit_test(test_update_once),
        cmocka_unit_test(test_stamp_busy),
        cmocka_unit_test(test_machphys),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_interleaved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
