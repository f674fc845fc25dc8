/* SPDX-License-Identifier: MIT */
/*
 * The store's protocol over a domain's ring: a guest's side is played by hand, also a hostile one.
 * sources: toolstack/xenstored/strmap.c toolstack/xenstored/tree.c toolstack/xenstored/kids.c toolstack/xenstored/watch.c toolstack/xenstored/owner.c toolstack/xenstored/trans.c toolstack/xenstored/edit.c toolstack/xenstored/xstore.c toolstack/xenstored/forget.c toolstack/xenstored/conn.c toolstack/xenstored/proto.c toolstack/xenstored/proto_dom.c toolstack/xenstored/ring.c
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store_env.h"

static struct xenstore_domain_interface page;
static struct ring ring;
static struct conn c;
static bool notified;

static int set_up(void **state)
{
    static const struct perm home = { 1, 0 };

    env_start();
    env_conn(&c, 1);
    memset(&page, 0, sizeof page);
    ring = (struct ring){ .page = &page };
    ring_start(&ring);
    store_mkdir(&store, &zero, NULL, "/local/domain/1");
    store_set_perms(&store, &zero, NULL, "/local/domain/1", &home, 1);
    return 0;
}

static int tear_down(void **state)
{
    conn_reset(&c);
    assert_null(store_check(&store));
    store_free(&store);
    return 0;
}

static void run(void)
{
    int i;

    for (i = 0; i < 1000 && ring_step(&ring, &c, &notified); i++)
        ;
    assert_true(i < 1000);
}

/* The guest's side: bytes into the ring as they fit, and what comes back. */
static size_t guest_write(const void *data, size_t len)
{
    size_t i;

    for (i = 0; i < len && page.req_prod - page.req_cons < XENSTORE_RING_SIZE; i++)
        page.req[MASK_XENSTORE_IDX(page.req_prod++)] = ((const char *)data)[i];
    return i;
}

static char got[16384];
static size_t got_len;

static void guest_read(void)
{
    while (page.rsp_cons != page.rsp_prod && got_len < sizeof got)
        got[got_len++] = page.rsp[MASK_XENSTORE_IDX(page.rsp_cons++)];
}

/* Sends a request however large, then takes one whole message from what came: its type, its payload in `data`. */
static int guest_ask(uint32_t type, const void *payload, size_t len, char *data, size_t *data_len)
{
    struct xsd_sockmsg head = { .type = type, .req_id = 3, .len = (uint32_t)len };
    char bytes[sizeof head + XENSTORE_PAYLOAD_MAX];
    size_t sent = 0;

    memcpy(bytes, &head, sizeof head);
    memcpy(bytes + sizeof head, payload, len);
    do {
        sent += guest_write(bytes + sent, sizeof head + len - sent);
        run();
        guest_read();
    } while (sent < sizeof head + len);
    do {
        run();
        guest_read();
    } while (page.rsp_cons != page.rsp_prod || conn_pending(&c, (const char **)&payload));
    if (got_len < sizeof head)
        return -1;
    memcpy(&head, got, sizeof head);
    assert_true(got_len >= sizeof head + head.len);
    memcpy(data, got + sizeof head, head.len);
    *data_len = head.len;
    memmove(got, got + sizeof head + head.len, got_len - sizeof head - head.len);
    got_len -= sizeof head + head.len;
    return (int)head.type;
}

static void test_requests(void **state)
{
    char data[XENSTORE_PAYLOAD_MAX], value[2100] = "x";
    size_t len, i;
    int round;

    /* From any position in the ring, round and round. */
    page.req_cons = page.req_prod = 0xfffffe00;
    page.rsp_cons = page.rsp_prod = 1000;
    for (round = 0; round < 40; round++) {
        for (i = 0; i < 2000; i++)
            value[2 + i] = (char)(i * 7 + (size_t)round);
        assert_int_equal(guest_ask(XS_WRITE, value, 2002, data, &len), XS_WRITE);
        assert_string_equal(data, "OK");
        assert_int_equal(guest_ask(XS_READ, "x", 2, data, &len), XS_READ);
        assert_int_equal(len, 2000);
        assert_memory_equal(data, value + 2, 2000);
    }
    assert_true(notified);
}

static void test_errors(void **state)
{
    static const struct { uint32_t type; const char *data; size_t len; const char *error; } t[] = {
        { XS_READ, "nix", 4, "ENOENT" }, { XS_READ, "x", 1, "EINVAL" }, { XS_READ, "a//b", 5, "EINVAL" }, { XS_READ, "", 1, "EINVAL" },
        { XS_READ, "/local/domain/2", 16, "EACCES" }, { 99, "", 0, "ENOSYS" }, { XS_ERROR, "", 0, "ENOSYS" },
        { XS_WATCH_EVENT, "a", 2, "ENOSYS" }, { XS_CONTROL, "check", 6, "EACCES" }, { XS_INTRODUCE, "2\0001\0002", 6, "EACCES" },
        { XS_TRANSACTION_END, "T", 2, "ENOENT" }, { XS_TRANSACTION_END, "X", 2, "EINVAL" }, { XS_WATCH, "a", 2, "EINVAL" },
        { XS_SET_PERMS, "x\0q7", 5, "EINVAL" }, { XS_SET_PERMS, "x\0r99999", 9, "EINVAL" }, { XS_DIRECTORY_PART, "a", 2, "EINVAL" },
        { XS_MKDIR, "/tool/mine", 11, "EACCES" }, { XS_GET_DOMAIN_PATH, "x", 2, "EINVAL" },
    };
    char data[XENSTORE_PAYLOAD_MAX];
    size_t len, i;

    for (i = 0; i < sizeof t / sizeof t[0]; i++) {
        assert_int_equal(guest_ask(t[i].type, t[i].data, t[i].len, data, &len), XS_ERROR);
        assert_string_equal(data, t[i].error);
    }
}

static void test_device_order(void **state)
{
    static const char networks_first[] = "vif\0suspend\0vbd", by_name[] = "suspend\0vbd\0vif";
    static const char *const kinds[] = { "vbd", "vif", "suspend" };
    char data[XENSTORE_PAYLOAD_MAX], path[64];
    size_t len, i;

    for (i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "/local/domain/1/device/%s", kinds[i]);
        store_mkdir(&store, &zero, NULL, path);
        snprintf(path, sizeof path, "/local/domain/1/data/%s", kinds[i]);
        store_mkdir(&store, &zero, NULL, path);
    }
    assert_int_equal(guest_ask(XS_DIRECTORY, "device", 7, data, &len), XS_DIRECTORY);
    assert_int_equal(len, sizeof networks_first);
    assert_memory_equal(data, networks_first, len);
    assert_int_equal(guest_ask(XS_DIRECTORY, "/local/domain/1/device", 23, data, &len), XS_DIRECTORY);
    assert_memory_equal(data, networks_first, len);
    assert_int_equal(guest_ask(XS_DIRECTORY, "data", 5, data, &len), XS_DIRECTORY);
    assert_int_equal(len, sizeof by_name);
    assert_memory_equal(data, by_name, len);
}

static void test_big_directory(void **state)
{
    char data[XENSTORE_PAYLOAD_MAX], path[64], request[32], *at;
    size_t len, offset = 0, names = 0, n;
    int i;

    for (i = 0; i < 1500; i++) {
        snprintf(path, sizeof path, "/local/domain/1/dir/entry-%04d", i);
        store_mkdir(&store, &zero, NULL, path);
    }
    assert_int_equal(guest_ask(XS_DIRECTORY, "dir", 4, data, &len), XS_ERROR);
    assert_string_equal(data, "E2BIG");
    for (;;) {
        n = (size_t)snprintf(request, sizeof request, "dir%c%zu", 0, offset) + 1;
        assert_int_equal(guest_ask(XS_DIRECTORY_PART, request, n, data, &len), XS_DIRECTORY_PART);
        for (at = data + strlen(data) + 1; at < data + len && *at; at += strlen(at) + 1) {
            snprintf(path, sizeof path, "entry-%04zu", names++);
            assert_string_equal(at, path);
            offset += strlen(at) + 1;
        }
        if (at < data + len)
            break;    /* the empty name */
    }
    assert_int_equal(names, 1500);
}

static void test_bad_indexes(void **state)
{
    char data[XENSTORE_PAYLOAD_MAX];
    size_t len;

    assert_int_equal(guest_ask(XS_WATCH, "x\0t", 4, data, &len), XS_WATCH);
    page.req_prod = page.req_cons + XENSTORE_RING_SIZE + 1;
    run();
    assert_int_equal(page.error, XENSTORE_ERROR_RINGIDX);
    assert_true(ring.stopped);
    assert_int_equal(store.watches.count, 0);
    /* And back again. */
    got_len = 0;
    page.connection = XENSTORE_RECONNECT;
    run();
    assert_int_equal(page.connection, XENSTORE_CONNECTED);
    assert_int_equal(page.error, XENSTORE_ERROR_NONE);
    assert_int_equal(guest_ask(XS_GET_DOMAIN_PATH, "1", 2, data, &len), XS_GET_DOMAIN_PATH);
    assert_string_equal(data, "/local/domain/1");
    page.rsp_prod = page.rsp_cons + 5000;
    guest_write("01234567", 8);
    run();
    assert_int_equal(page.error, XENSTORE_ERROR_RINGIDX);
}

static void test_too_long(void **state)
{
    struct xsd_sockmsg head = { .type = XS_WRITE, .len = XENSTORE_PAYLOAD_MAX + 1 };

    guest_write(&head, sizeof head);
    run();
    assert_int_equal(page.error, XENSTORE_ERROR_PROTO);
    assert_true(ring.stopped);
    page.req_prod += 8;
    run();
    assert_int_equal(page.req_prod - page.req_cons, 8);    /* nothing more is taken */
}

static void test_reconnect(void **state)
{
    char data[XENSTORE_PAYLOAD_MAX];
    size_t len;

    assert_int_equal(page.server_features, 7);
    assert_int_equal(guest_ask(XS_WATCH, "x\0t", 4, data, &len), XS_WATCH);
    assert_int_equal(guest_ask(XS_TRANSACTION_START, "", 1, data, &len), XS_WATCH_EVENT);
    guest_write("\1\0\0\0half a request", 15);
    run();
    page.connection = XENSTORE_RECONNECT;
    run();
    assert_int_equal(page.req_prod, page.req_cons);
    assert_int_equal(page.rsp_prod, page.rsp_cons);
    assert_int_equal(store.watches.count, 0);
    assert_int_equal(store.owners.of[1]->use[QUOTA_TRANSACTIONS], 0);
    got_len = 0;
    assert_int_equal(guest_ask(XS_GET_DOMAIN_PATH, "1", 2, data, &len), XS_GET_DOMAIN_PATH);
}

/* Answers that are not taken stop the requests, not the daemon. */
static void test_stall(void **state)
{
    struct xsd_sockmsg head = { .type = XS_GET_DOMAIN_PATH, .len = 2 };
    int i;

    for (i = 0; i < 20000; i++) {
        guest_write(&head, sizeof head);
        guest_write("1", 2);
        run();
    }
    assert_true(c.out_bytes <= CONN_OUT_STALL + 4096);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_requests), T(test_errors), T(test_device_order), T(test_big_directory), T(test_bad_indexes), T(test_too_long), T(test_reconnect), T(test_stall),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
