/* SPDX-License-Identifier: MIT */
/*
 * The store: nodes, permissions, watches, quotas, transactions that conflict only where they touch, the end of a domain.
 * sources: toolstack/xenstored/strmap.c toolstack/xenstored/tree.c toolstack/xenstored/kids.c toolstack/xenstored/watch.c toolstack/xenstored/owner.c toolstack/xenstored/trans.c toolstack/xenstored/edit.c toolstack/xenstored/xstore.c toolstack/xenstored/forget.c toolstack/xenstored/conn.c toolstack/xenstored/proto.c toolstack/xenstored/proto_dom.c
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store_env.h"

static const struct who one = { .domid = 1, .target = NO_DOMAIN }, two = { .domid = 2, .target = NO_DOMAIN };
static struct conn c0, c1, c2;

static int set_up(void **state)
{
    static const struct perm home[2][2] = { { { 1, 0 }, { 2, PERM_READ } }, { { 2, 0 } } };

    env_start();
    env_conn(&c0, 0);
    env_conn(&c1, 1);
    env_conn(&c2, 2);
    store_mkdir(&store, &zero, NULL, "/local/domain/1");
    store_mkdir(&store, &zero, NULL, "/local/domain/2");
    store_set_perms(&store, &zero, NULL, "/local/domain/1", home[0], 2);
    store_set_perms(&store, &zero, NULL, "/local/domain/2", home[1], 1);
    return 0;
}

static int tear_down(void **state)
{
    conn_reset(&c0);
    conn_reset(&c1);
    conn_reset(&c2);
    assert_null(store_check(&store));
    store_free(&store);
    return 0;
}

static int put(const struct who *who, struct trans *t, const char *path, const char *value)
{
    return store_write(&store, who, t, path, value, strlen(value));
}

static const char *get(struct trans *t, const char *path)
{
    static char text[64];
    struct node *n;

    if (store_find(&store, &zero, t, path, TOUCH_NODE, &n))
        return "-";
    snprintf(text, sizeof text, "%.*s", n->value ? (int)n->value->len : 0, n->value ? n->value->bytes : "");
    return text;
}

static void test_nodes(void **state)
{
    assert_int_equal(put(&zero, NULL, "/a/b/c", "x"), 0);
    assert_string_equal(get(NULL, "/a/b/c"), "x");
    assert_string_equal(get(NULL, "/a/b"), "");
    assert_string_equal(get(NULL, "/a/x"), "-");
    assert_int_equal(store_mkdir(&store, &zero, NULL, "/a/b/c"), 0);
    assert_string_equal(get(NULL, "/a/b/c"), "x");
    assert_int_equal(store_rm(&store, &zero, NULL, "/a/none"), 0);
    assert_int_equal(store_rm(&store, &zero, NULL, "/a/none/below"), -ENOENT);
    assert_int_equal(store_rm(&store, &zero, NULL, "/none"), 0);
    assert_int_equal(store_rm(&store, &zero, NULL, "/"), -EINVAL);
    assert_int_equal(store_rm(&store, &zero, NULL, "/a"), 0);
    assert_string_equal(get(NULL, "/a/b/c"), "-");
}

static void test_paths(void **state)
{
    static const char *const good[] = { "/", "/a", "/a/b-c_D@9" }, *const bad[] = { "", "a", "//", "/a/", "/a//b", "/a b", "/a.b", "/\xff" };
    size_t i;

    for (i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(path_valid(good[i], strlen(good[i])));
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(path_valid(bad[i], strlen(bad[i])));
}

static void test_permissions(void **state)
{
    static const struct perm list[] = { { 1, 0 }, { 2, PERM_WRITE } }, steal[] = { { 2, 0 } };
    struct node *n;
    struct perms *p;

    /* What a guest makes is its own; the rest is inherited. */
    assert_int_equal(put(&one, NULL, "/local/domain/1/x", "v"), 0);
    assert_int_equal(store_get_perms(&store, &one, NULL, "/local/domain/1/x", &p), 0);
    assert_int_equal(p->count, 2);
    assert_int_equal(p->list[0].domid, 1);
    assert_int_equal(store_find(&store, &two, NULL, "/local/domain/1/x", 0, &n), 0);
    assert_int_equal(put(&two, NULL, "/local/domain/1/x", "w"), -EACCES);
    assert_int_equal(put(&two, NULL, "/local/domain/1/y", "w"), -EACCES);
    assert_int_equal(store_rm(&store, &two, NULL, "/local/domain/1/x"), -EACCES);
    assert_int_equal(put(&one, NULL, "/tool/x", "w"), -EACCES);
    /* What one may not read does not betray what exists. */
    assert_int_equal(store_find(&store, &one, NULL, "/local/domain/2/any", 0, &n), -EACCES);
    assert_int_equal(store_find(&store, &one, NULL, "/local/domain/1/any", 0, &n), -ENOENT);

    assert_int_equal(store_set_perms(&store, &one, NULL, "/local/domain/1/x", list, 2), 0);
    assert_int_equal(put(&two, NULL, "/local/domain/1/x", "w"), 0);
    assert_int_equal(store_find(&store, &two, NULL, "/local/domain/1/x", 0, &n), -EACCES);
    assert_int_equal(store_set_perms(&store, &two, NULL, "/local/domain/1/x", list, 2), -EACCES);
    assert_int_equal(store_set_perms(&store, &one, NULL, "/local/domain/1/x", steal, 1), -EPERM);
    assert_int_equal(store_set_perms(&store, &zero, NULL, "/local/domain/1/x", steal, 1), 0);
    assert_int_equal(store_set_perms(&store, &one, NULL, "/local/domain/1/x", list, 2), -EACCES);
}

static void test_target(void **state)
{
    struct who stub = { .domid = 3, .target = 1 };

    assert_int_equal(put(&stub, NULL, "/local/domain/1/x", "v"), 0);
    stub.target = NO_DOMAIN;
    assert_int_equal(put(&stub, NULL, "/local/domain/1/y", "v"), -EACCES);
}

/* A number that comes back is another domain: what its predecessor was granted is void. */
static void test_number_again(void **state)
{
    static const struct perm to_two[] = { { 0, 0 }, { 2, PERM_READ } };
    struct node *n;

    put(&zero, NULL, "/secret", "s");
    store_set_perms(&store, &zero, NULL, "/secret", to_two, 2);
    assert_int_equal(store_find(&store, &two, NULL, "/secret", 0, &n), 0);
    store_forget_domain(&store, 2, true);
    assert_int_equal(store_find(&store, &two, NULL, "/secret", 0, &n), -EACCES);
    store_set_perms(&store, &zero, NULL, "/secret", to_two, 2);
    assert_int_equal(store_find(&store, &two, NULL, "/secret", 0, &n), 0);
}

static void test_end_of_domain(void **state)
{
    static const struct perm ones[] = { { 1, 0 } };

    put(&one, NULL, "/local/domain/1/a/b/c/d/e/f/g", "v");
    put(&one, NULL, "/local/domain/1/device/vif/0/state", "1");
    put(&zero, NULL, "/backend/x/y/z", "v");
    store_set_perms(&store, &zero, NULL, "/backend/x/y", ones, 1);
    put(&two, NULL, "/local/domain/2/keep", "v");
    assert_true(store.owners.of[1]->use[QUOTA_NODES] > 10);
    store_forget_domain(&store, 1, true);
    assert_int_equal(store.owners.of[1]->use[QUOTA_NODES], 0);
    assert_string_equal(get(NULL, "/local/domain/1"), "-");
    assert_string_equal(get(NULL, "/backend/x/y"), "-");
    assert_string_equal(get(NULL, "/backend/x"), "");
    assert_string_equal(get(NULL, "/local/domain/2/keep"), "v");
    assert_null(store_check(&store));
}

static void test_quotas(void **state)
{
    static const struct perm many[6] = { { 1, 0 }, { 2, 1 }, { 3, 1 }, { 4, 1 }, { 5, 1 }, { 6, 1 } };
    char path[64], big[4000];
    struct trans *t[12];
    int i;

    memset(big, 'x', sizeof big);
    assert_int_equal(store_write(&store, &one, NULL, "/local/domain/1/v", big, 2048), 0);
    assert_int_equal(store_write(&store, &one, NULL, "/local/domain/1/v", big, 2049), -ENOSPC);
    assert_int_equal(store_write(&store, &zero, NULL, "/local/domain/1/v", big, 2049), 0);
    assert_int_equal(store_set_perms(&store, &one, NULL, "/local/domain/1/v", many, 5), 0);
    assert_int_equal(store_set_perms(&store, &one, NULL, "/local/domain/1/v", many, 6), -ENOSPC);
    for (i = 0; i < 10; i++)
        assert_int_equal(trans_start(&store, &one, &t[i]), 0);
    assert_int_equal(trans_start(&store, &one, &t[i]), -ENOSPC);
    for (i = 0; i < 10; i++)
        assert_int_equal(trans_end(&store, t[i], false), 0);
    log_lines = 0;
    for (i = 0; i < 998; i++) {
        snprintf(path, sizeof path, "/local/domain/1/n%d", i);
        if (put(&one, NULL, path, "v"))
            break;
        if (i == 700)
            assert_int_equal(log_lines, 0);
        if (i == 900) {
            assert_int_equal(log_lines, 1);    /* warned once, before it bites */
            assert_non_null(strstr(last_log, "nodes"));
        }
    }
    assert_int_equal(i, 998);
    assert_int_equal(put(&one, NULL, "/local/domain/1/more", "v"), -ENOSPC);
    assert_int_equal(put(&one, NULL, "/local/domain/1/more2", "v"), -ENOSPC);
    assert_int_equal(log_lines, 2);
    assert_non_null(strstr(last_log, "refused"));
    /* A domain's own quota. */
    store.owners.of[1]->limit[QUOTA_NODES] = 1001;
    store.owners.of[1]->own |= 1u << QUOTA_NODES;
    assert_int_equal(put(&one, NULL, "/local/domain/1/more", "v"), 0);
    assert_int_equal(put(&one, NULL, "/local/domain/1/more2", "v"), -ENOSPC);
    assert_int_equal(put(&two, NULL, "/local/domain/2/unharmed", "v"), 0);
}

/* Two transactions, each within the quota, cannot get a domain beyond it. */
static void test_quota_transactions(void **state)
{
    struct trans *a, *b;
    char path[64];
    int i;

    store.owners.limit[QUOTA_NODES] = 20;
    assert_int_equal(trans_start(&store, &one, &a), 0);
    assert_int_equal(trans_start(&store, &one, &b), 0);
    for (i = 0; i < 15; i++) {
        snprintf(path, sizeof path, "/local/domain/1/a%d", i);
        assert_int_equal(put(&one, a, path, "v"), 0);
        path[16] = 'b';
        assert_int_equal(put(&one, b, path, "v"), 0);
    }
    assert_int_equal(trans_end(&store, a, true), 0);
    assert_int_equal(trans_end(&store, b, true), -ENOSPC);
    assert_int_equal(store.owners.of[1]->use[QUOTA_NODES], 16);
}

static void test_transactions(void **state)
{
    struct trans *a, *b;

    put(&zero, NULL, "/x", "1");
    put(&zero, NULL, "/y", "1");
    trans_start(&store, &zero, &a);
    trans_start(&store, &zero, &b);
    assert_int_equal(put(&zero, a, "/x", "a"), 0);
    assert_string_equal(get(a, "/x"), "a");
    assert_string_equal(get(NULL, "/x"), "1");
    assert_string_equal(get(b, "/x"), "1");
    assert_int_equal(put(&zero, b, "/y", "b"), 0);
    assert_int_equal(trans_end(&store, a, true), 0);
    assert_string_equal(get(NULL, "/x"), "a");
    assert_int_equal(trans_end(&store, b, true), -EAGAIN);    /* it has read /x */

    trans_start(&store, &zero, &a);
    trans_start(&store, &zero, &b);
    put(&zero, a, "/dir/one", "a");
    put(&zero, NULL, "/elsewhere", "1");
    assert_int_equal(trans_end(&store, a, true), 0);
    put(&zero, b, "/dir/two", "b");    /* both make /dir */
    assert_int_equal(trans_end(&store, b, true), -EAGAIN);

    trans_start(&store, &zero, &a);
    trans_start(&store, &zero, &b);
    put(&zero, a, "/dir/three", "a");
    put(&zero, b, "/dir/four", "b");    /* neighbours in a directory do not conflict */
    assert_int_equal(trans_end(&store, a, true), 0);
    assert_int_equal(trans_end(&store, b, true), 0);
    assert_string_equal(get(NULL, "/dir/three"), "a");
    assert_string_equal(get(NULL, "/dir/four"), "b");

    trans_start(&store, &zero, &a);
    store_rm(&store, &zero, a, "/dir");
    put(&zero, NULL, "/dir/three", "c");    /* below what it removes */
    assert_int_equal(trans_end(&store, a, true), -EAGAIN);
    assert_string_equal(get(NULL, "/dir/three"), "c");

    trans_start(&store, &zero, &a);
    put(&zero, a, "/gone", "x");
    assert_int_equal(trans_end(&store, a, false), 0);
    assert_string_equal(get(NULL, "/gone"), "-");
}

static void test_expiry(void **state)
{
    char text[32];

    snprintf(text, sizeof text, "%.20s", ASK(&c1, XS_TRANSACTION_START, 0, "\0"));
    assert_string_equal(ASK(&c1, XS_WRITE, (uint32_t)atoi(text), "x\0v"), "OK");
    clock_now += TRANS_EXPIRES + 1;
    conn_expire_trans(&c1, clock_now);
    assert_string_equal(ASK(&c1, XS_READ, (uint32_t)atoi(text), "x\0"), "EAGAIN");
    assert_string_equal(ASK(&c1, XS_TRANSACTION_END, (uint32_t)atoi(text), "T\0"), "EAGAIN");
    assert_string_equal(ASK(&c1, XS_READ, 0, "x\0"), "ENOENT");
}

static void test_watches(void **state)
{
    assert_string_equal(ASK(&c1, XS_WATCH, 0, "x\0tok\0"), "OK");
    assert_string_equal(env_event(&c1), "x tok");    /* at once, relative as it was asked */
    assert_string_equal(ASK(&c1, XS_WATCH, 0, "x\0tok\0"), "EEXIST");
    put(&zero, NULL, "/local/domain/1/x/y", "v");
    put(&zero, NULL, "/local/domain/1/x/y", "w");    /* still waits: told once */
    assert_string_equal(env_event(&c1), "x/y tok");
    assert_string_equal(env_event(&c1), "none");
    put(&zero, NULL, "/local/domain/1/other", "v");
    assert_string_equal(env_event(&c1), "none");
    store_rm(&store, &zero, NULL, "/local/domain/1");    /* above it */
    assert_string_equal(env_event(&c1), "x tok");
    assert_string_equal(env_event(&c1), "none");
    assert_string_equal(ASK(&c1, XS_UNWATCH, 0, "x\0tok\0"), "OK");
    assert_string_equal(ASK(&c1, XS_UNWATCH, 0, "x\0tok\0"), "ENOENT");
    put(&zero, NULL, "/local/domain/1/x", "v");
    assert_string_equal(env_event(&c1), "none");
    assert_int_equal(store.watches.count, 0);
}

static void test_watch_secrets(void **state)
{
    assert_string_equal(ASK(&c1, XS_WATCH, 0, "/local/domain/2\0t\0"), "OK");
    assert_string_equal(env_event(&c1), "/local/domain/2 t");
    put(&two, NULL, "/local/domain/2/x", "v");
    assert_string_equal(env_event(&c1), "none");
    assert_string_equal(ASK(&c2, XS_WATCH, 0, "/local/domain/1\0t\0"), "OK");
    env_event(&c2);
    put(&one, NULL, "/local/domain/1/x", "v");    /* 2 may read there */
    assert_string_equal(env_event(&c2), "/local/domain/1/x t");
}

static void test_watch_depth(void **state)
{
    assert_string_equal(ASK(&c0, XS_WATCH, 0, "/d\0t\0001\0"), "OK");
    assert_string_equal(env_event(&c0), "/d t");
    put(&zero, NULL, "/d/a/b/c", "v");    /* /d/a came into being */
    assert_string_equal(env_event(&c0), "/d/a t");
    put(&zero, NULL, "/d/a/b/c", "w");
    assert_string_equal(env_event(&c0), "none");
    put(&zero, NULL, "/d/a", "w");
    assert_string_equal(env_event(&c0), "/d/a t");
}

static void test_special(void **state)
{
    static const struct perm list[] = { { 0, 0 }, { 1, PERM_READ } };

    assert_string_equal(ASK(&c1, XS_WATCH, 0, "@releaseDomain\0t\0"), "EACCES");
    assert_string_equal(ASK(&c0, XS_WATCH, 0, "@nonsense\0t\0"), "EINVAL");
    assert_int_equal(store_set_perms(&store, &zero, NULL, "@releaseDomain", list, 2), 0);
    assert_string_equal(ASK(&c1, XS_WATCH, 0, "@releaseDomain\0t\0"), "OK");
    assert_string_equal(ASK(&c0, XS_WATCH, 0, "@releaseDomain\0d\0001\0"), "OK");
    assert_string_equal(ASK(&c0, XS_WATCH, 0, "@releaseDomain/5\0five\0"), "OK");
    while (strcmp(env_event(&c0), "none") || strcmp(env_event(&c1), "none"))
        ;
    store_fire_special(&store, SPECIAL_RELEASE, 4);
    assert_string_equal(env_event(&c1), "@releaseDomain t");
    assert_string_equal(env_event(&c0), "@releaseDomain/4 d");
    assert_string_equal(env_event(&c0), "none");
    store_fire_special(&store, SPECIAL_RELEASE, 5);
    assert_string_equal(env_event(&c0), "@releaseDomain/5 d");
    assert_string_equal(env_event(&c0), "@releaseDomain/5 five");
    store_fire_special(&store, SPECIAL_INTRODUCE, 5);
    assert_string_equal(env_event(&c0), "none");
    assert_string_equal(ASK(&c1, XS_GET_PERMS, 0, "@releaseDomain\0"), "n0|r1");
}

static void test_watch_quota(void **state)
{
    char data[64];
    int i, n;

    for (i = 0; i < 128; i++) {
        n = snprintf(data, sizeof data, "w%d", i) + 1;
        n += snprintf(data + n, sizeof data - (size_t)n, "t") + 1;
        assert_string_equal(env_ask(&c1, XS_WATCH, 0, data, (size_t)n), "OK");
    }
    assert_string_equal(ASK(&c1, XS_WATCH, 0, "one-more\0t\0"), "E2BIG");
    assert_string_equal(ASK(&c1, XS_RESET_WATCHES, 0, "\0"), "OK");
    assert_string_equal(ASK(&c1, XS_WATCH, 0, "one-more\0t\0"), "OK");
    assert_int_equal(store.watches.count, 1);
}

/* A transaction that goes on for ever holds a bounded amount. */
static void test_endless_transaction(void **state)
{
    static char value[1000];
    struct trans *t;
    int i;

    assert_int_equal(trans_start(&store, &one, &t), 0);
    for (i = 0; i < 100000; i++)
        if (store_write(&store, &one, t, "/local/domain/1/same", value, sizeof value))
            break;
    assert_in_range(i, 100, 5000);
    assert_int_equal(store_write(&store, &two, NULL, "/local/domain/2/x", value, sizeof value), 0);
    assert_int_equal(trans_end(&store, t, false), 0);
    assert_int_equal(store.owners.of[1]->use[QUOTA_MEMORY], 0);
    assert_int_equal(trans_start(&store, &one, &t), 0);
    assert_int_equal(store_write(&store, &one, t, "/local/domain/1/same", value, sizeof value), 0);
    assert_int_equal(trans_end(&store, t, true), 0);
}

/* A guest that does not read its events costs a bounded amount, and nobody else anything. */
static void test_deaf_guest(void **state)
{
    char path[64];
    int i;

    store.owners.limit[QUOTA_PENDING] = 10000;
    assert_string_equal(ASK(&c1, XS_WATCH, 0, "/local/domain/1\0t\0"), "OK");
    for (i = 0; i < 1000; i++) {
        snprintf(path, sizeof path, "/local/domain/1/n%d", i);
        assert_int_equal(put(&zero, NULL, path, "v"), 0);
    }
    assert_true(c1.out_bytes < 12000);
    assert_true(c1.dropped > 500);
    assert_false(c1.broken);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_nodes), T(test_paths), T(test_permissions), T(test_target), T(test_number_again), T(test_end_of_domain),
        T(test_quotas), T(test_quota_transactions), T(test_transactions), T(test_expiry), T(test_endless_transaction), T(test_watches), T(test_watch_secrets),
        T(test_watch_depth), T(test_special), T(test_watch_quota), T(test_deaf_guest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
