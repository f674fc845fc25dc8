/* SPDX-License-Identifier: MIT */
/*
 * Ticket locks: exclusion between threads as CPUs, the rank check; page references under
 * contention. sources: hypervisor/common/frames.c hypervisor/common/page_refs.c
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "domain.h"
#include "lock.h"
#include "page.h"
#include "port_host.h"

#define THREADS 3
#define ROUNDS 5000

static struct spinlock low = SPINLOCK_INIT("low", RANK_DOMCTL);
static struct spinlock high = SPINLOCK_INIT("high", RANK_HEAP);
static uint64_t counter;

static void *count_up(void *arg)
{
    unsigned i;

    host_cpu = (unsigned)(uintptr_t)arg;
    for (i = 0; i < ROUNDS; i++) {
        if (i % 8 == 0 && try_spin_lock(&low)) {
            counter++;
            spin_unlock(&low);
            continue;
        }
        spin_lock(&low);
        assert_true(spin_is_mine(&low));
        counter++;
        spin_unlock(&low);
    }
    return NULL;
}

static void run_threads(void *(*fn)(void *))
{
    pthread_t t[THREADS];
    uintptr_t i;

    for (i = 0; i < THREADS; i++)
        pthread_create(&t[i], NULL, fn, (void *)(i + 1));
    for (i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
}

static void test_exclusion(void **state)
{
    run_threads(count_up);
    assert_int_equal(counter, THREADS * ROUNDS);
    assert_false(spin_is_mine(&low));
}

static void test_ranks(void **state)
{
    uint64_t flags;

    spin_lock(&low);
    spin_lock(&high);
    assert_true(HOST_PANICS(spin_lock(&low)));
    spin_unlock(&low); /* any order of release */
    assert_true(HOST_PANICS(spin_lock(&low)));
    assert_true(HOST_PANICS(spin_unlock(&low)));
    assert_false(try_spin_lock(&high));
    spin_unlock(&high);
    flags = spin_lock_irqsave(&low);
    spin_unlock_irqrestore(&low, flags);
}

static struct domain dom;
static struct page *pg;

static void *take_and_drop(void *arg)
{
    unsigned i;
    uint64_t got = 0;

    host_cpu = (unsigned)(uintptr_t)arg;
    for (i = 0; i < ROUNDS; i++)
        if (get_page(pg, &dom)) {
            got++;
            dup_page(pg);
            put_page(pg);
            put_page(pg);
        }
    if (host_cpu == 1) { /* one of them gives it up while the others go on */
        assert_int_equal(domain_page_remove(&dom, pg), 0);
        put_page(pg);
    }
    __atomic_fetch_add(&counter, got, __ATOMIC_RELAXED);
    return NULL;
}

static void test_refs(void **state)
{
    host_ram_init(64);
    frame_max = 0;
    frames_add(mfn(0), mfn(64));
    spin_init(&dom.page_lock, "pages", RANK_PAGE_LIST);
    dom.max_pages = 1;
    pg = domain_pages_alloc(&dom, 0, 0, 64);
    counter = 0;
    run_threads(take_and_drop);
    assert_true(counter >= ROUNDS);
    assert_int_equal(pg->count, 0);
    assert_int_equal(dom.owned_pages, 0);
    assert_int_equal(frames_free_count(), frames_total());
    assert_int_equal(frames_check(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exclusion),
        cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_refs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
