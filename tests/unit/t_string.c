/* SPDX-License-Identifier: MIT */
/*
 * The target's memory and string functions (built under other names) against the C library's.
 * It includes hypervisor/lib/string.c, so it lists no other file under test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib.h"

#define memcpy z_memcpy
#define memmove z_memmove
#define memset z_memset
#define memcmp z_memcmp
#define strlen z_strlen
#define strnlen z_strnlen
#define strcmp z_strcmp
#define strncmp z_strncmp
#define strchr z_strchr
#define strrchr z_strrchr
#define strstr z_strstr
#include "../../hypervisor/lib/string.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strchr
#undef strrchr
#undef strstr

#define N 120

static void fill(uint8_t *p)
{
    unsigned i;

    for (i = 0; i < N; i++)
        p[i] = (uint8_t)rand();
}

static int sign(int x)
{
    return (x > 0) - (x < 0);
}

static void test_memory(void **state)
{
    uint8_t a[N], b[N], c[N];
    unsigned n, from, to;

    for (n = 0; n < 50; n++)
        for (from = 0; from < 60; from += 3)
            for (to = 0; to < 60; to += 3) {
                fill(a);
                memcpy(b, a, N);
                memcpy(c, a, N);
                memmove(b + to, b + from, n);
                assert_ptr_equal(z_memmove(c + to, c + from, n), c + to);
                assert_memory_equal(b, c, N);
                memcpy(b + to, a + from, n);
                z_memcpy(c + to, a + from, n);
                assert_memory_equal(b, c, N);
                memset(b + to, (int)n, n);
                z_memset(c + to, (int)n, n);
                assert_memory_equal(b, c, N);
                assert_int_equal(sign(z_memcmp(a + from, b + to, n)),
                                 sign(memcmp(a + from, b + to, n)));
                assert_int_equal(z_memcmp(b, c, N), 0);
            }
}

static void test_strings(void **state)
{
    static const char *const s[] = {"",    "a",      "b",        "abc", "abcd",
                                    "abd", "ab\xff", "xabcabcd", "aab"};
    unsigned i, j;

    for (i = 0; i < ARRAY_SIZE(s); i++) {
        assert_int_equal(z_strlen(s[i]), strlen(s[i]));
        assert_int_equal(z_strnlen(s[i], 2), strnlen(s[i], 2));
        assert_ptr_equal(z_strchr(s[i], 'b'), strchr(s[i], 'b'));
        assert_ptr_equal(z_strchr(s[i], 0), strchr(s[i], 0));
        assert_ptr_equal(z_strrchr(s[i], 'b'), strrchr(s[i], 'b'));
        for (j = 0; j < ARRAY_SIZE(s); j++) {
            assert_int_equal(sign(z_strcmp(s[i], s[j])), sign(strcmp(s[i], s[j])));
            assert_int_equal(sign(z_strncmp(s[i], s[j], 2)), sign(strncmp(s[i], s[j], 2)));
            assert_ptr_equal(z_strstr(s[i], s[j]), strstr(s[i], s[j]));
        }
    }
}

static void test_strlcpy(void **state)
{
    char buf[4];

    assert_int_equal(strlcpy(buf, "abcdef", sizeof(buf)), 6);
    assert_string_equal(buf, "abc");
    assert_int_equal(strlcpy(buf, "x", sizeof(buf)), 1);
    assert_string_equal(buf, "x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_strlcpy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
