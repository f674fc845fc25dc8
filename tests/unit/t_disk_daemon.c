/* SPDX-License-Identifier: MIT */
/*
 * Which image a storage daemon serves, read from its command line: ours, others', and spoilt ones; and which images it may serve at all.
 *
 * sources: toolstack/lib/disk_daemon.c toolstack/lib/program.c toolstack/lib/qmp.c toolstack/lib/fault.c
 * libs: -ljson-c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "disk_private.h"

void nbd_path(int number, const char *what, char *out, size_t size)
{
    snprintf(out, size, "/nowhere/nbd%d.%s", number, what);
}

static void test_word(void **state)
{
    struct nbd_server s = { .number = 3 };

    assert_true(nbd_daemon_word("{\"driver\":\"qcow2\",\"node-name\":\"disk\",\"read-only\":true,\"file\":{\"driver\":\"file\",\"filename\":\"/data/a, \\\"b\\\".qcow2\"}}", &s));
    assert_string_equal(s.path, "/data/a, \"b\".qcow2");
    assert_string_equal(s.format, "qcow2");
    assert_true(s.readonly);
    assert_int_equal(s.number, 3);
    assert_true(nbd_daemon_word("{\"driver\":\"qcow2\",\"file\":{\"filename\":\"/x\"}}", &s));
    assert_false(s.readonly);
}

static void test_other_words(void **state)
{
    static const char *const words[] = { "", "--blockdev", "{", "{}", "[1]", "{\"driver\":\"qcow2\"}", "{\"driver\":\"qcow2\",\"file\":\"node\"}",
        "{\"driver\":\"qcow2\",\"file\":{}}", "{\"file\":{\"filename\":\"/x\"}}", "{\"driver\":\"qcow2\",\"file\":[\"filename\"]}", "{\"driver\"" };
    struct nbd_server s = { .path = "before" };

    for (unsigned i = 0; i < sizeof(words) / sizeof(*words); i++)
        assert_false(nbd_daemon_word(words[i], &s));
    assert_string_equal(s.path, "before");
}

/* A path that is too long is cut, and then is no image's. */
static void test_long(void **state)
{
    static char word[3000] = "{\"driver\":\"a-driver-of-a-very-long-name\",\"file\":{\"filename\":\"";
    struct nbd_server s;

    memset(word + strlen(word), '/', 2000);
    strcat(word, "\"}}");
    assert_true(nbd_daemon_word(word, &s));
    assert_int_equal(strlen(s.path), sizeof(s.path) - 1);
    assert_int_equal(strlen(s.format), sizeof(s.format) - 1);
}

static void test_can(void **state)
{
    struct nbd_server s = { .format = "raw", .path = "/proc/self/exe" };

    assert_false(nbd_daemon_can(&s));
    snprintf(s.format, sizeof(s.format), "qcow2");
    snprintf(s.path, sizeof(s.path), "nbd:127.0.0.1:10809");
    assert_false(nbd_daemon_can(&s));
    snprintf(s.path, sizeof(s.path), "/dev/null");
    assert_false(nbd_daemon_can(&s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_word), cmocka_unit_test(test_other_words), cmocka_unit_test(test_long), cmocka_unit_test(test_can),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
