/* SPDX-License-Identifier: MIT */
/*
 * zalloc() and zfree(): contents, overlap, return of memory, wrong frees.
 * sources: hypervisor/common/slab.c hypervisor/common/frames.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib.h"
#include "port_host.h"

#define POOL 4096

static int setup(void **state)
{
    host_ram_init(POOL);
    frame_max = 0;
    frames_add(mfn(0), mfn(POOL));
    return 0;
}

static void test_random(void **state)
{
    static struct {
        uint8_t *p, fill;
        size_t n;
    } obj[500];
    unsigned i, k;
    size_t j;

    srand(7);
    for (i = 0; i < 50000; i++) {
        k = (unsigned)rand() % ARRAY_SIZE(obj);
        if (obj[k].p) {
            for (j = 0; j < obj[k].n; j++)
                assert_int_equal(obj[k].p[j], obj[k].fill);
            zfree(obj[k].p);
            obj[k].p = NULL;
            continue;
        }
        obj[k].n = (size_t)rand() % (i % 50 ? 2300 : 20000);
        obj[k].fill = (uint8_t)rand();
        obj[k].p = zalloc(obj[k].n);
        assert_non_null(obj[k].p);
        assert_int_equal((uintptr_t)obj[k].p % (obj[k].n > 2048 ? 4096
                                                : obj[k].n > 32 ? 64
                                                                : 32),
                         0);
        for (j = 0; j < obj[k].n; j++) {
            assert_int_equal(obj[k].p[j], 0);
            obj[k].p[j] = obj[k].fill;
        }
    }
    for (k = 0; k < ARRAY_SIZE(obj); k++)
        zfree(obj[k].p);
    zfree(NULL);
    assert_true(frames_free_count() >= frames_total() - 12); /* one slab per class is kept */
    assert_int_equal(frames_check(), 0);
}

static void test_exhaust(void **state)
{
    void **list = NULL, **p;

    while ((p = zalloc(1000))) {
        *p = list;
        list = p;
    }
    assert_int_equal(frames_free_count(), 0);
    assert_null(zalloc(5000));
    while (list) {
        p = *list;
        zfree(list);
        list = p;
    }
    assert_true(frames_free_count() >= frames_total() - 12);
    assert_null(zalloc(1ULL << 40));
}

/* What is in use depends on the objects that are left, not on the order in which the others went. */
static void test_order(void **state)
{
    enum { SIZE = 2048, KEPT = 3, GONE = 7 };
    void *kept[KEPT], *gone[GONE];
    unsigned order[GONE];
    uint64_t first = 0;

    for (unsigned k = 0; k < KEPT; k++)
        kept[k] = zalloc(SIZE);
    for (unsigned round = 0; round < 500; round++) {
        for (unsigned k = 0; k < GONE; k++) {
            gone[k] = zalloc(SIZE);
            order[k] = k;
        }
        for (unsigned k = 0; k < GONE; k++) {
            unsigned other = (unsigned)rand() % GONE, was = order[k];

            order[k] = order[other];
            order[other] = was;
        }
        for (unsigned k = 0; k < GONE; k++)
            zfree(gone[order[k]]);
        if (!round)
            first = frames_free_count();
        assert_int_equal(frames_free_count(), first);
    }
    for (unsigned k = 0; k < KEPT; k++)
        zfree(kept[k]);
}

static void test_wrong(void **state)
{
    uint8_t *p = zalloc(200);

    assert_true(HOST_PANICS(zfree(p + 8)));
    zfree(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_exhaust),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_wrong),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
