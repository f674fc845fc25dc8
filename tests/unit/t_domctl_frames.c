/* SPDX-License-Identifier: MIT */
/*
 * Contents of another domain's frames read and written by control calls (zendo/control.h): only its own frames, no page table ever
 * written, types as getpageframeinfo3 says them, calls that are interrupted, wrong addresses, the log of dirty pages.
 * sources: hypervisor/pv/domctl_frames.c hypervisor/common/domctl.c hypervisor/pv/pgt.c hypervisor/pv/pgt_entries.c hypervisor/pv/pgt_update.c hypervisor/pv/pgt_check.c hypervisor/pv/pgt_sweep.c hypervisor/pv/mmu_update.c hypervisor/pv/mmuext.c hypervisor/pv/descriptors.c hypervisor/common/page_refs.c hypervisor/common/frames.c hypervisor/common/memory_op.c hypervisor/common/memory_exchange.c
 */
#include "pgt_env.h"

#include "domctl.h"

#include <cmocka.h>
#include <zendo/control.h>

#define N 40U /* more than are done between two looks whether others wait */
#define ROLE 20U /* from here on the guest's frames are plain memory */

static uint64_t seed = 1;
static uint64_t list[N];
static uint8_t data[N][FRAME_SIZE];
static unsigned marks;

unsigned env_rand(unsigned below)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return below ? (unsigned)(seed >> 33) % below : 0;
}

void logdirty_mark(struct domain *d, mfn_t m) { marks++; }

/* --- around ------------------------------------------------------------------------------------------------ */

static struct xen_domctl op;

static void ask(uint32_t cmd, uint64_t num, const void *l, const void *p)
{
    const struct zendo_domctl_frames a = {.num = num, .list = (uintptr_t)l, .data = (uintptr_t)p};

    op = (struct xen_domctl){.cmd = cmd, .domain = 1, .interface_version = XEN_DOMCTL_INTERFACE_VERSION};
    memcpy(&op.u, &a, sizeof(a));
}

/* As domain 0, again and again while it is told to. */
static long go(void)
{
    long rc;

    do {
        e_again.set = false;
        rc = do_domctl(e_vcpus[0][0], (uintptr_t)&op, 0, 0, 0, 0);
    } while (e_again.set);
    return rc;
}

static long both(uint32_t cmd, uint64_t num)
{
    ask(cmd, num, list, data);
    return go();
}

static uint64_t left(void)
{
    struct zendo_domctl_frames a;

    memcpy(&a, &op.u, sizeof(a));
    return a.num;
}

static uint8_t *frame_at(uint64_t n)
{
    return map_frame(mfn(n));
}

/* Every third frame is empty; of the others some have their only byte at the end. */
static void start(void)
{
    env_setup();
    e_dom[0].d.privileged = true;
    e_patient = true;
    marks = 0;
    for (unsigned i = 0; i < N; i++) {
        list[i] = e_frames[1][ROLE + i];
        memset(data[i], 0xdd, FRAME_SIZE);
        memset(frame_at(list[i]), i % 3 ? (int)i : 0, FRAME_SIZE);
    }
    memset(frame_at(list[4]), 0, FRAME_SIZE);
    frame_at(list[4])[FRAME_SIZE - 1] = 1;
    host_guest_clear();
}

static void finish(void)
{
    e_preempt_every = 0;
    env_check();
    env_finish();
}

/* --- reading ----------------------------------------------------------------------------------------------- */

static void test_read(void **state)
{
    static const uint8_t nothing[FRAME_SIZE];

    for (unsigned every = 0; every < 2; every++) {
        start();
        uint64_t frames[N];

        memcpy(frames, list, sizeof(frames));
        e_preempt_every = every;
        assert_int_equal(both(ZENDO_DOMCTL_read_frames, N), 0);
        assert_int_equal(left(), 0);
        for (unsigned i = 0; i < N; i++) {
            bool zero = !memcmp(frame_at(frames[i]), nothing, FRAME_SIZE);

            assert_int_equal(list[i], zero ? ZENDO_FRAME_ZERO : 0);
            if (zero)
                assert_int_equal(data[i][0], 0xdd); /* left alone */
            else
                assert_memory_equal(data[i], frame_at(frames[i]), FRAME_SIZE);
        }
        assert_int_equal(list[4], 0); /* one byte is enough */
        assert_int_equal(marks, 0);
        finish();
    }
}

/* Types, and frames that are somebody else's, nobody's, or no frames. */
static void test_types(void **state)
{
    struct mmuext_op pin = {.cmd = MMUEXT_PIN_L4_TABLE};

    start();
    pin.arg1.mfn = e_frames[1][0];
    assert_int_equal(run(1, 0, true, __HYPERVISOR_mmuext_op, (uintptr_t)&pin, 1, 0, DOMID_SELF), 0);
    list[0] = e_frames[1][0];
    list[2] = e_frames[2][ROLE];
    list[3] = ~0ULL;
    list[5] = E_HOLE;
    list[6] = e_frames[1][ROLE] | 1ULL << 40;
    memset(frame_at(e_frames[2][ROLE]), 0x77, FRAME_SIZE);
    assert_int_equal(both(ZENDO_DOMCTL_read_frames, 8), 0);
    assert_int_equal(list[0] & ~(uint64_t)ZENDO_FRAME_ZERO, XEN_DOMCTL_PFINFO_L4TAB | XEN_DOMCTL_PFINFO_LPINTAB);
    if (!(list[0] & ZENDO_FRAME_ZERO))
        assert_memory_equal(data[0], frame_at(e_frames[1][0]), FRAME_SIZE);
    for (unsigned i = 2; i < 7; i += i == 3 ? 2 : 1) {
        assert_int_equal(list[i], XEN_DOMCTL_PFINFO_XTAB);
        assert_int_equal(data[i][0], 0xdd);
    }
    assert_int_equal(list[7], 0);
    finish();
}

static void test_types_only(void **state)
{
    struct mmuext_op pin = {.cmd = MMUEXT_PIN_L4_TABLE};

    start();
    pin.arg1.mfn = e_frames[1][0];
    assert_int_equal(run(1, 0, true, __HYPERVISOR_mmuext_op, (uintptr_t)&pin, 1, 0, DOMID_SELF), 0);
    list[0] = e_frames[1][0];
    list[2] = e_frames[2][0];
    list[3] = ~0ULL;
    ask(XEN_DOMCTL_getpageframeinfo3, 0, NULL, NULL);
    op.u.getpageframeinfo3.num = 4;
    op.u.getpageframeinfo3.array.p = list;
    assert_int_equal(go(), 0);
    assert_int_equal(list[0], XEN_DOMCTL_PFINFO_L4TAB | XEN_DOMCTL_PFINFO_LPINTAB);
    assert_int_equal(list[1], XEN_DOMCTL_PFINFO_NOTAB);
    assert_int_equal(list[2], XEN_DOMCTL_PFINFO_XTAB);
    assert_int_equal(list[3], XEN_DOMCTL_PFINFO_XTAB);
    op.u.getpageframeinfo3.num = 2000;
    assert_int_equal(go(), -XEN_E2BIG);
    finish();
}

/* --- writing ----------------------------------------------------------------------------------------------- */

static void test_write(void **state)
{
    for (unsigned every = 0; every < 2; every++) {
        start();
        e_preempt_every = every;
        for (unsigned i = 0; i < N; i++)
            memset(data[i], (int)(0x40 + i), FRAME_SIZE);
        e_dom[1].d.logdirty = (void *)&e_dom; /* only asked whether it is there */
        assert_int_equal(both(ZENDO_DOMCTL_write_frames, N), 0);
        e_dom[1].d.logdirty = NULL;
        assert_int_equal(marks, N);
        for (unsigned i = 0; i < N; i++)
            assert_memory_equal(data[i], frame_at(list[i]), FRAME_SIZE);
        finish();
    }
}

/* Refused at frame 3: those before are written, that one and those after it are not, and it says which. */
static void refused(uint64_t frame)
{
    uint8_t before[FRAME_SIZE];

    if (frame < E_FRAMES)
        memcpy(before, frame_at(frame), FRAME_SIZE);
    list[3] = frame;
    frame_at(list[2])[0] = frame_at(list[5])[0] = 5;
    assert_int_equal(both(ZENDO_DOMCTL_write_frames, 8), -XEN_EINVAL);
    assert_int_equal(left(), 5);
    assert_int_equal(frame_at(list[2])[0], 0xdd);
    assert_int_equal(frame_at(list[5])[0], 5);
    if (frame < E_FRAMES)
        assert_memory_equal(before, frame_at(frame), FRAME_SIZE);
}

static void test_write_refused(void **state)
{
    struct mmuext_op pin = {.cmd = MMUEXT_PIN_L4_TABLE};

    start();
    pin.arg1.mfn = e_frames[1][0];
    assert_int_equal(run(1, 0, true, __HYPERVISOR_mmuext_op, (uintptr_t)&pin, 1, 0, DOMID_SELF), 0);
    refused(e_frames[1][0]);
    refused(e_frames[2][ROLE]);
    refused(E_HOLE);
    refused(~0ULL);
    finish();
}

/* The hypervisor's own pages that a guest may map: told from the others, and not for these calls. */
static void test_shared(void **state)
{
    mfn_t m;

    start();
    m = frames_alloc(0, 0);
    memset(frame_at(m.n), 0x66, FRAME_SIZE);
    share_page(page_of(m), &e_dom[1].d);
    list[1] = m.n;
    assert_int_equal(both(ZENDO_DOMCTL_read_frames, 2), 0);
    assert_int_equal(list[1], XEN_DOMCTL_PFINFO_XTAB);
    assert_int_equal(data[1][0], 0xdd);
    list[0] = e_frames[1][ROLE];
    list[1] = m.n;
    assert_int_equal(both(ZENDO_DOMCTL_write_frames, 2), -XEN_EINVAL);
    assert_int_equal(left(), 1);
    assert_int_equal(frame_at(m.n)[0], 0x66);
    assert_true(unshare_page(page_of(m)));
    finish();
}

/* The buffer ends in the middle: what was done is told, and it can go on from there. */
static void test_half(void **state)
{
    for (unsigned every = 0; every < 2; every++) {
        start();
        e_preempt_every = every;
        for (unsigned i = 0; i < N; i++)
            frame_at(list[i])[7] = 1;
        host_guest_allow(&op, sizeof(op));
        host_guest_allow(list, sizeof(list));
        host_guest_allow(data, 20 * FRAME_SIZE);
        assert_int_equal(both(ZENDO_DOMCTL_read_frames, N), -XEN_EFAULT);
        assert_int_equal(left(), N - 20);
        assert_int_equal(list[19], 0);
        assert_int_equal(list[20], e_frames[1][ROLE + 20]);
        host_guest_allow(data, sizeof(data));
        assert_int_equal(go(), 0);
        assert_int_equal(left(), 0);
        for (unsigned i = 0; i < N; i++)
            assert_memory_equal(data[i], frame_at(e_frames[1][ROLE + i]), FRAME_SIZE);
        host_guest_clear();
        finish();
    }
}

/* A frame that a domain gave back and gets again has lost what was in it. */
static void test_fresh(void **state)
{
    struct page *pg;

    start();
    pg = page_of(mfn(list[1]));
    memset(frame_at(list[1]), 0x77, FRAME_SIZE);
    assert_int_equal(domain_page_remove(&e_dom[1].d, pg), 0);
    put_page(pg);
    pg = domain_pages_alloc(&e_dom[1].d, 0, 0, 64);
    assert_non_null(pg);
    list[1] = e_frames[1][ROLE + 1] = mfn_of(pg).n;
    assert_int_equal(both(ZENDO_DOMCTL_read_frames, 2), 0);
    assert_int_equal(list[1], ZENDO_FRAME_ZERO);
    finish();
}

/* --- who, where, how many ----------------------------------------------------------------------------------- */

static void test_arguments(void **state)
{
    for (uint32_t cmd = ZENDO_DOMCTL_read_frames; cmd <= ZENDO_DOMCTL_write_frames; cmd++) {
        start();
        assert_int_equal(both(cmd, 0), 0);
        assert_int_equal(both(cmd, ZENDO_FRAMES_MAX + 1), -XEN_E2BIG);
        assert_int_equal(both(cmd, ~0ULL), -XEN_E2BIG);
        ask(cmd, 1, list, data);
        op.domain = 0; /* oneself */
        assert_int_equal(go(), -XEN_EINVAL);
        ask(cmd, 1, list, data);
        op.domain = 999;
        assert_int_equal(go(), -XEN_ESRCH);
        e_dom[0].d.privileged = false;
        assert_int_equal(both(cmd, 1), -XEN_EPERM);
        e_dom[0].d.privileged = true;
        e_dom[1].d.dying = true;
        assert_int_equal(both(cmd, 1), -XEN_ESRCH);
        e_dom[1].d.dying = false;
        host_guest_allow(&op, sizeof(op));
        assert_int_equal(both(cmd, 2), -XEN_EFAULT);
        host_guest_allow(list, sizeof(list));
        list[1] = e_frames[1][ROLE + 1]; /* not empty */
        assert_int_equal(both(cmd, 2), -XEN_EFAULT);
        host_guest_allow(data, FRAME_SIZE * 2 - 1); /* the last byte is missing */
        assert_int_equal(both(cmd, 2), -XEN_EFAULT);
        host_guest_clear();
        finish();
    }
    start();
    assert_int_equal(both(ZENDO_DOMCTL_FIRST + ZENDO_DOMCTL_COUNT, 1), -XEN_ENOSYS);
    assert_int_equal(both(ZENDO_DOMCTL_FIRST - 1, 1), -XEN_ENOSYS);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_read), cmocka_unit_test(test_types), cmocka_unit_test(test_types_only), cmocka_unit_test(test_write),
        cmocka_unit_test(test_write_refused), cmocka_unit_test(test_shared), cmocka_unit_test(test_half), cmocka_unit_test(test_fresh), cmocka_unit_test(test_arguments) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
