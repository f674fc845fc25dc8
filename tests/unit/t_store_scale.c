/* SPDX-License-Identifier: MIT */
/*
 * Costs that must not grow: to start a transaction on a big store, a write among many domains with watches, the end of one
 * domain among many. Prints the figures; the bounds are wide, since the machine may be busy.
 * sources: toolstack/xenstored/strmap.c toolstack/xenstored/tree.c toolstack/xenstored/kids.c toolstack/xenstored/watch.c toolstack/xenstored/owner.c toolstack/xenstored/trans.c toolstack/xenstored/edit.c toolstack/xenstored/xstore.c toolstack/xenstored/forget.c toolstack/xenstored/conn.c toolstack/xenstored/proto.c toolstack/xenstored/proto_dom.c
 */
#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "store_env.h"

#define DOMAINS 200
#define ROUNDS 2000

static struct conn guest[DOMAINS + 1];

static double now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static double time_transactions(bool write)
{
    struct trans *t;
    double start = now_ns();
    int i;

    for (i = 0; i < ROUNDS; i++) {
        trans_start(&store, &zero, &t);
        if (write)
            store_write(&store, &zero, t, "/local/domain/7/x", "v", 1);
        if (trans_end(&store, t, write))
            abort();
    }
    return (now_ns() - start) / ROUNDS;
}

static void fill(int from, int to)
{
    char path[64];
    int i;

    for (i = from; i < to; i++) {
        snprintf(path, sizeof path, "/fill/%d/%d", i / 100, i % 100);
        store_write(&store, &zero, NULL, path, "value", 5);
    }
}

static void test_big_store(void **state)
{
    double empty[2], small[2], big[2];
    size_t before;

    env_start();
    store_mkdir(&store, &zero, NULL, "/local/domain/7");
    time_transactions(true);
    empty[0] = time_transactions(false);
    empty[1] = time_transactions(true);
    fill(0, 1000);
    small[0] = time_transactions(false);
    small[1] = time_transactions(true);
    before = mallinfo2().uordblks;
    fill(1000, 100000);
    big[0] = time_transactions(false);
    big[1] = time_transactions(true);
    print_message("transaction, empty: %.0f ns with 10 nodes, %.0f ns with 1,000, %.0f ns with 100,000\n", empty[0], small[0], big[0]);
    print_message("transaction, one write: %.0f ns, %.0f ns, %.0f ns\n", empty[1], small[1], big[1]);
    if (before)    /* the sanitizers' allocator does not say */
        print_message("memory: %.0f bytes a node\n", (double)(mallinfo2().uordblks - before) / 99000);
    assert_true(big[0] < small[0] * 4 + 2000);
    assert_true(big[1] < small[1] * 4 + 20000);
    store_free(&store);
}

/* A guest with the usual nodes and watches. */
static void add_domain(int i)
{
    static const char *const watch[] = { "control/shutdown", "memory/target", "device/vif/0/state", "device/vbd/768/state", "cpu" };
    struct perm home = { (uint16_t)i, 0 };
    char path[96];
    struct watch *w;
    size_t k;

    env_conn(&guest[i], (uint16_t)i);
    for (k = 0; k < 5; k++) {
        snprintf(path, sizeof path, "/local/domain/%d/%s", i, watch[k]);
        store_write(&store, &zero, NULL, path, "1", 1);
        store_set_perms(&store, &zero, NULL, path, &home, 1);
        conn_watch(&guest[i], path, "t", -1, 0, &w);
    }
}

static double time_writes(int i)
{
    char path[64];
    double start = now_ns();
    const char *bytes;
    size_t n;
    int k;

    snprintf(path, sizeof path, "/local/domain/%d/memory/target", i);
    for (k = 0; k < ROUNDS; k++) {
        store_write(&store, &zero, NULL, path, "2", 1);
        while ((n = conn_pending(&guest[i], &bytes)))
            conn_sent(&guest[i], n);
    }
    return (now_ns() - start) / ROUNDS;
}

static double time_end(int i)
{
    double start = now_ns();

    conn_reset(&guest[i]);
    store_forget_domain(&store, (uint16_t)i, true);
    return now_ns() - start;
}

static void test_many_domains(void **state)
{
    double one, many, end_many, end_one;
    int i;

    env_start();
    add_domain(1);
    time_writes(1);
    one = time_writes(1);
    for (i = 2; i <= DOMAINS; i++)
        add_domain(i);
    many = time_writes(100);
    end_many = time_end(100);
    assert_int_equal(store.owners.of[100]->use[QUOTA_NODES], 0);
    for (i = DOMAINS; i > 1; i--)
        if (i != 100)
            time_end(i);
    end_one = time_end(1);
    print_message("write that fires a watch: %.0f ns with 1 domain, %.0f ns with %d\n", one, many, DOMAINS);
    print_message("end of a domain: %.0f ns with %d domains, %.0f ns with 1\n", end_many, DOMAINS, end_one);
    assert_true(many < one * 4 + 20000);
    assert_true(end_many < end_one * 10 + 1000000);
    assert_null(store_check(&store));
    store_free(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_big_store), cmocka_unit_test(test_many_domains) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
