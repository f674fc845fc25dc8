/* SPDX-License-Identifier: MIT */
/*
 * The console ring beside a model guest: every byte once and in order, whatever the indexes began with; a guest that lies
 * about its indexes gets nothing out of it.
 * sources: toolstack/xenconsoled/ring.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ring.h"

static struct xencons_interface *page; /* of its own, so that the sanitizer sees its end */
static struct ring ring;

static void begin(uint32_t at)
{
    free(page);
    page = calloc(1, sizeof(*page));
    page->out_cons = page->out_prod = page->in_cons = page->in_prod = at;
    ring_begin(&ring, page);
}

/* As a guest's driver does. */
static size_t guest_print(const char *s, size_t n)
{
    size_t i = 0;

    for (; i < n && page->out_prod - page->out_cons < RING_OUT; i++)
        page->out[page->out_prod++ % RING_OUT] = s[i];
    return i;
}

static size_t guest_read(char *s)
{
    size_t i = 0;

    while (page->in_cons != page->in_prod)
        s[i++] = page->in[page->in_cons++ % RING_IN];
    return i;
}

static void test_output(void **state)
{
    char out[RING_OUT];
    unsigned seed = 1;
    uint8_t next = 0, want = 0;

    begin(0xfffffc00u); /* wraps soon */
    for (int round = 0; round < 2000; round++) {
        char text[3000];
        size_t n = (size_t)rand_r(&seed) % sizeof(text), done;

        for (size_t i = 0; i < n; i++)
            text[i] = (char)(next + i);
        done = guest_print(text, n);
        next = (uint8_t)(next + done);
        size_t got = ring_take(&ring, out);
        assert_int_equal(got, done);
        for (size_t i = 0; i < got; i++)
            assert_int_equal((uint8_t)out[i], want++);
    }
    assert_int_equal(ring_take(&ring, out), 0);
    assert_false(ring.bad);
}

static void test_input(void **state)
{
    char text[RING_IN], back[RING_IN];

    memset(text, 'x', sizeof(text));
    begin(0xffffff00u);
    assert_int_equal(ring_put(&ring, "abc", 3), 3);
    assert_int_equal(ring_put(&ring, text, sizeof(text)), sizeof(text) - 3);
    assert_int_equal(ring_put(&ring, "d", 1), 0);
    assert_int_equal(guest_read(back), sizeof(back));
    assert_memory_equal(back, "abcxxx", 6);
    assert_int_equal(ring_room(&ring), RING_IN);
    for (int i = 0; i < 3000; i++) {
        assert_int_equal(ring_put(&ring, "hello", 5), 5);
        assert_int_equal(guest_read(back), 5);
        assert_memory_equal(back, "hello", 5);
    }
}

static void test_lies(void **state)
{
    char out[RING_OUT];

    begin(5);
    page->out_prod = 5 + RING_OUT + 1;
    assert_int_equal(ring_take(&ring, out), 0);
    assert_true(ring.bad);
    /* Goes on from where the guest says it is. */
    page->out_cons = page->out_prod; /* which the guest's driver reads */
    assert_int_equal(guest_print("ok", 2), 2);
    assert_int_equal(ring_take(&ring, out), 2);
    assert_memory_equal(out, "ok", 2);
    page->out_cons = 77; /* ours: what the guest writes there is not used */
    assert_int_equal(ring_take(&ring, out), 0);
    begin(5);
    page->in_cons = 6; /* more read than was written */
    assert_int_equal(ring_put(&ring, "abc", 3), 0);
    assert_true(ring.bad);
    page->in_cons = 5;
    assert_int_equal(ring_put(&ring, "abc", 3), 3);
}

/* What a guest printed before we came, or before we came again, is still there. */
static void test_begin(void **state)
{
    char out[RING_OUT];

    begin(100);
    guest_print("early", 5);
    ring_begin(&ring, page);
    assert_int_equal(ring_take(&ring, out), 5);
    ring_begin(&ring, page);
    assert_int_equal(ring_take(&ring, out), 0);
    guest_print("x", 1);
    assert_int_equal(ring_take(&ring, out), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_output), cmocka_unit_test(test_input), cmocka_unit_test(test_lies),
                                        cmocka_unit_test(test_begin) };
    int failed = cmocka_run_group_tests_name("console_ring", tests, NULL, NULL);

    free(page);
    return failed;
}
