/* SPDX-License-Identifier: MIT */
/*
 * Log-dirty: a guest, other domains and somebody who copies by the bitmaps, at random (logdirty_env.h): nothing that
 * changed may be missing from the copy, and the mirrors must be what the guest's tables allow after every step. Then the
 * control call's rules one by one.
 * sources: hypervisor/common/logdirty.c hypervisor/common/logdirty_held.c hypervisor/common/quiesce.c hypervisor/common/domctl_shadow.c hypervisor/pv/mirror.c hypervisor/pv/mirror_fault.c hypervisor/pv/mirror_life.c hypervisor/pv/mirror_check.c hypervisor/pv/pgt.c hypervisor/pv/pgt_entries.c hypervisor/pv/pgt_update.c hypervisor/pv/pgt_check.c hypervisor/pv/pgt_sweep.c hypervisor/pv/mmu_update.c hypervisor/pv/mmuext.c hypervisor/pv/descriptors.c hypervisor/common/page_refs.c hypervisor/common/frames.c hypervisor/common/memory_op.c hypervisor/common/memory_exchange.c
 */
#include "logdirty_env.h"

#include <cmocka.h>

static uint64_t seed = 1;

unsigned env_rand(unsigned below)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return below ? (unsigned)(seed >> 33) % below : 0;
}

static void random_ops(unsigned rounds, bool few)
{
    uint32_t resets = 0;

    l_start();
    for (unsigned i = 0; i < 200; i++)
        l_step(false);
    l_on(few);
    for (unsigned i = 0; i < rounds; i++) {
        for (unsigned k = env_rand(60); k-- > 0;)
            l_step(false);
        l_round(env_rand(2));
        if (env_rand(40) == 0) { /* off and on again */
            l_round(false);
            resets += l_d->logdirty->mirrors->resets;
            l_off(true);
            for (unsigned k = env_rand(60); k-- > 0;)
                l_step(false);
            l_on(few);
        }
    }
    l_round(false);
    resets += l_d->logdirty->mirrors->resets;
    print_message("%u rounds, %u pages sent, %u accesses (%u writes), %u faults on mirrors, %u the guest's own; %u foreign "
                  "writes, %u by old translations; %u times out of mirrors\n",
                  l_rounds, l_dirty, l_accesses, l_writes, l_faults, l_guest_faults, l_foreign, l_stale, resets);
    l_finish();
}

static void test_random(void **state)
{
    for (unsigned i = 0; i < 6; i++)
        random_ops(200, false);
}

static void test_few_mirrors(void **state)
{
    for (unsigned i = 0; i < 6; i++)
        random_ops(200, true);
}

/* --- the control call's rules ----------------------------------------------------------------------------------- */

static long op(uint32_t what, uint32_t mode, uint64_t pages, void *bitmap, struct xen_domctl_shadow_op *out)
{
    struct xen_domctl c = {.u.shadow_op = {.op = what, .mode = mode, .pages = pages, .mb = 9}};
    long rc;

    c.u.shadow_op.dirty_bitmap.p = bitmap;
    rc = l_domctl(&c, false);
    if (out)
        *out = c.u.shadow_op;
    return rc;
}

static void test_rules(void **state)
{
    struct xen_domctl_shadow_op s;
    uint64_t map[4] = {0}, free_before;

    l_start_bare();
    free_before = frames_free_count();
    assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, L_PAGES, map, NULL), -XEN_EINVAL);
    assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_PEEK, 0, L_PAGES, map, NULL), -XEN_EINVAL);
    assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_OFF, 0, 0, NULL, NULL), 0);
    assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_ENABLE, 0, 0, NULL, NULL), -XEN_EINVAL);
    assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_ENABLE, XEN_DOMCTL_SHADOW_ENABLE_TRANSLATE, 0, NULL, NULL), -XEN_EINVAL);
    assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_ENABLE_TEST, 0, 0, NULL, NULL), -XEN_EINVAL);
    assert_int_equal(op(99, 0, 0, NULL, NULL), -XEN_EINVAL);
    assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_ENABLE, XEN_DOMCTL_SHADOW_ENABLE_LOG_DIRTY, 0, NULL, NULL), 0);
    assert_true(domain_logged(l_d));
    assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0, 0, NULL, NULL), -XEN_EINVAL);
    assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_SET_ALLOCATION, 0, 0, NULL, NULL), -XEN_EBUSY);
    assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_GET_ALLOCATION, 0, 0, NULL, &s), 0);
    assert_int_equal(s.mb, 1);
    assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_OFF, 0, 0, NULL, NULL), 0);
    assert_false(domain_logged(l_d));
    assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_OFF, 0, 0, NULL, NULL), 0);
    assert_int_equal(frames_free_count(), free_before);
    l_finish();
}

/* One page written; what the bitmap says, and to whom it goes. */
static void test_bitmap(void **state)
{
    struct xen_domctl_shadow_op s;
    uint64_t map[4];
    struct page *pg;

    l_start_bare();
    assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0, 0, NULL, NULL), 0);
    pg = page_of(mfn(e_frames[1][40]));
    page_dirtied(pg);
    assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_PEEK, 0, L_PAGES, map, &s), 0);
    assert_int_equal(map[0], BIT(40));
    assert_int_equal(s.stats.dirty_count, 1);
    assert_int_equal(s.pages, L_PAGES);
    /* cannot be delivered: not lost */
    assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, L_PAGES, (void *)8, NULL), -XEN_EFAULT);
    /* somebody who does not ask for it does not lose it either, and what is beyond his end is not written */
    map[0] = map[1] = ~0ULL;
    assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, 13, map, NULL), 0);
    assert_int_equal(map[0], ~0ULL << 16);
    assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, L_PAGES, map, NULL), 0);
    assert_int_equal(map[0], BIT(40));
    assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, L_PAGES, map, &s), 0);
    assert_int_equal(map[0], 0);
    assert_int_equal(s.stats.dirty_count, 0);
    /* numbers that nobody logs are always dirty */
    assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, 130, map, NULL), 0);
    assert_int_equal(map[0], 0);
    assert_int_equal(map[1], ~0ULL);
    assert_int_equal(map[2] & 0xff, 3);
    /* no bitmap wanted: just cleaned */
    page_dirtied(pg);
    assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, 0, NULL, NULL), 0);
    assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_PEEK, 0, L_PAGES, map, NULL), 0);
    assert_int_equal(map[0], 0);
    l_finish();
}

/* A frame that others can write to is dirty each time; one that no longer is, once more. */
static void test_writers(void **state)
{
    struct page *before, *after;
    uint64_t map[4];

    l_start_bare();
    before = page_of(mfn(e_frames[1][41]));
    after = page_of(mfn(e_frames[1][42]));
    assert_int_equal(pgt_get_page(before, l_d, PGT_WRITABLE, false), 0);
    assert_int_equal(pgt_get_page(after, l_d, PGT_WRITABLE, false), 0);
    page_writer_add(before);
    assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0, 0, NULL, NULL), 0);
    page_writer_add(after);
    page_writer_add(after);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, L_PAGES, map, NULL), 0);
        assert_int_equal(map[0], BIT(41) | BIT(42));
    }
    page_writer_drop(after);
    assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, L_PAGES, map, NULL), 0);
    assert_int_equal(map[0], BIT(41) | BIT(42));
    page_writer_drop(after);
    page_writer_drop(before);
    assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, L_PAGES, map, NULL), 0);
    assert_int_equal(map[0], BIT(41) | BIT(42));
    assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, L_PAGES, map, NULL), 0);
    assert_int_equal(map[0], 0);
    pgt_put_page(before, false);
    pgt_put_page(after, false);
    l_finish();
}

/* More mappings than are counted: dirty for as long as the frame is a writable one. */
static void test_writers_full(void **state)
{
    uint64_t map[4];
    struct page *pg;

    l_start_bare();
    pg = page_of(mfn(e_frames[1][41]));
    assert_int_equal(pgt_get_page(pg, l_d, PGT_WRITABLE, false), 0);
    for (unsigned i = 0; i < 70000; i++)
        page_writer_add(pg);
    for (unsigned i = 0; i < 70000; i++)
        page_writer_drop(pg);
    assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0, 0, NULL, NULL), 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, L_PAGES, map, NULL), 0);
    assert_int_equal(map[0], BIT(41));
    pgt_put_page(pg, false);
    assert_int_equal(pg->writers, 0);
    op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, L_PAGES, map, NULL);
    assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, L_PAGES, map, NULL), 0);
    assert_int_equal(map[0], 0);
    l_finish();
}

/* Somebody has written before the call and says so only while it is under way. */
static void test_in_flight(void **state)
{
    struct xen_domctl c = {.u.shadow_op = {.op = XEN_DOMCTL_SHADOW_OP_CLEAN, .pages = L_PAGES}};
    long rc = -XEN_ERESTART;

    l_start_bare();
    assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0, 0, NULL, NULL), 0);
    c.u.shadow_op.dirty_bitmap.p = (uint8_t *)l_bitmap;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(domctl_shadow_op(e_vcpus[0][0], l_d, &c), -XEN_ERESTART);
    page_dirtied(page_of(mfn(e_frames[1][33]))); /* CPU 2 is still at it */
    for (unsigned cpu = 0; cpu < host_cpus; cpu++) {
        assert_int_equal(rc, -XEN_ERESTART);
        host_cpu = cpu;
        host_softirqs_run();
        host_cpu = 0;
        rc = domctl_shadow_op(e_vcpus[0][0], l_d, &c);
    }
    assert_int_equal(rc, 0);
    assert_int_equal(l_bitmap[0], BIT(33));
    l_finish();
}

/* In the middle of a call of several turns: others wait, OFF does not. */
static void test_turns(void **state)
{
    struct xen_domctl c = {.u.shadow_op = {.op = XEN_DOMCTL_SHADOW_OP_CLEAN, .pages = L_PAGES}}, other;

    l_start_bare();
    assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0, 0, NULL, NULL), 0);
    c.u.shadow_op.dirty_bitmap.p = (uint8_t *)l_bitmap;
    assert_int_equal(domctl_shadow_op(e_vcpus[0][0], l_d, &c), -XEN_ERESTART); /* no CPU has passed yet */
    assert_int_equal(domctl_shadow_op(e_vcpus[0][0], l_d, &c), -XEN_ERESTART);
    other = c;
    other.u.shadow_op.dirty_bitmap.p = (uint8_t *)l_copy;
    assert_int_equal(domctl_shadow_op(e_vcpus[0][0], l_d, &other), -XEN_EBUSY);
    other = c;
    other.u.shadow_op.op = XEN_DOMCTL_SHADOW_OP_PEEK;
    assert_int_equal(domctl_shadow_op(e_vcpus[0][0], l_d, &other), -XEN_EBUSY);
    assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_OFF, 0, 0, NULL, NULL), 0);
    assert_int_equal(domctl_shadow_op(e_vcpus[0][0], l_d, &c), -XEN_EINVAL);
    l_finish();
}

/* No memory at any step: refused, and nothing is kept. */
static void test_no_memory(void **state)
{
    uint64_t free_before, hoard[E_FRAMES];
    unsigned n = 0;
    mfn_t m;

    l_start_bare();
    while (frames_free_count() > 60) {
        m = frames_alloc(0, 0);
        assert_false(mfn_eq(m, INVALID_MFN));
        hoard[n++] = m.n;
    }
    free_before = frames_free_count();
    assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0, 0, NULL, NULL), -XEN_ENOMEM);
    assert_false(domain_logged(l_d));
    assert_int_equal(frames_free_count(), free_before);
    while (n)
        frames_free(mfn(hoard[--n]), 0);
    assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0, 0, NULL, NULL), 0);
    l_finish();
}

/* The guest sees its accessed and dirty bits as without logging. */
static void test_bits(void **state)
{
    uint64_t table, *e;

    l_start();
    for (unsigned on = 0; on < 2; on++) {
        struct mmu_update u;

        if (on)
            assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0, 0, NULL, NULL), 0);
        table = mfn_of_paddr(*l_entry(e_vcpu[1][0].root.n, 0, 4) & PTE_ADDR_MASK).n;
        for (unsigned k = 0; k < 400 && !l_guest_allows(&e_vcpu[1][0], 8, true); k++)
            l_update(0, false);
        if (!l_guest_allows(&e_vcpu[1][0], 8, true))
            continue;
        table = e_vcpu[1][0].root.n;
        for (unsigned level = 4; level >= 2; level--)
            table = mfn_of_paddr(*l_entry(table, 8, level) & PTE_ADDR_MASK).n;
        e = l_entry(table, 8, 1);
        for (unsigned turn = 0; turn < 2; turn++) {
            u = (struct mmu_update){.ptr = table << FRAME_SHIFT, .val = *e & ~(PTE_A | PTE_D)};
            run(1, 0, true, __HYPERVISOR_mmu_update, (uintptr_t)&u, 1, 0, DOMID_SELF);
            for (unsigned cpu = 0; cpu < E_CPUS; cpu++)
                e_cpu_flush(cpu);
            assert_int_equal(*e & (PTE_A | PTE_D), 0);
            l_ext(0, true, MMUEXT_NEW_USER_BASEPTR, 0);
            l_access(0, 8, false);
            assert_int_equal(*e & (PTE_A | PTE_D), PTE_A);
            l_access(0, 8, true);
            assert_int_equal(*e & (PTE_A | PTE_D), PTE_A | PTE_D);
            l_check();
        }
    }
    l_finish();
}

/* --- what a processor may still walk -------------------------------------------------------------------------- */

static struct mirror *mirror_in(uint64_t frame)
{
    struct mirrors *ms = l_d->logdirty->mirrors;

    for (uint32_t i = 0; i < ms->n; i++)
        if (ms->m[i].frame.n == frame)
            return &ms->m[i];
    return NULL;
}

static unsigned stamps_checked;

/* Nothing that is free can be reached from m: who flushes from now on will not be asked to again. */
static void none_free_below(const struct mirror *m)
{
    const uint64_t *t = map_frame(m->frame);

    stamps_checked++;
    for (unsigned i = 0; mirror_level(m) > 1 && i < 512; i++) {
        const struct mirror *child;

        if (!(t[i] & PTE_P) || (mirror_level(m) == 4 && pgt_slot_is_ours(i)))
            continue;
        child = mirror_in(entry_target(t[i]).n);
        if (child) {
            E_CHECK(child->key);
            none_free_below(child);
        }
    }
}

static void on_stamp(void)
{
    if (!l_d->logdirty)
        return;
    for (unsigned vi = 0; vi < E_VCPUS; vi++) {
        const struct mirror *roots[] = {e_vcpu[1][vi].mirror, e_vcpu[1][vi].mirror_user};

        for (unsigned k = 0; k < 2; k++)
            if (roots[k] && roots[k]->key && roots[k]->users)
                none_free_below(roots[k]);
    }
}

/* A mirror's stamp is taken when no table leads to it any more, not before. */
static void test_stamps(void **state)
{
    l_also_on_stamp = on_stamp;
    stamps_checked = 0;
    for (unsigned i = 0; i < 6; i++)
        random_ops(40, true);
    l_also_on_stamp = NULL;
    assert_true(stamps_checked > 1000);
}

static struct mirror *left;
static unsigned loads;

static void on_cr3(void)
{
    loads++;
    assert_true(left->users > 0);
}

/* The CPU leaves a root before others may take it for something else. */
static void test_root_left(void **state)
{
    unsigned n = 0;

    l_start();
    l_on(false);
    for (unsigned i = 0; i < 400 && n < 20; i++) {
        struct x86_vcpu *xv = &e_vcpu[1][0];

        if (mfn_eq(xv->root, INVALID_MFN)) {
            l_roots(0, true);
            continue;
        }
        left = xv->mirror;
        loads = 0;
        host_current = &xv->v;
        xv->kernel_mode = 1;
        e_on_cr3 = on_cr3;
        l_ext(0, true, MMUEXT_NEW_BASEPTR, l_frame_of(0));
        e_on_cr3 = NULL;
        host_current = NULL;
        if (xv->mirror == left)
            continue;
        assert_int_equal(loads, 1);
        n++;
    }
    assert_true(n > 2);
    l_finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_few_mirrors),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_bitmap),
        cmocka_unit_test(test_writers),
        cmocka_unit_test(test_writers_full),
        cmocka_unit_test(test_in_flight),
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_stamps),
        cmocka_unit_test(test_root_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
