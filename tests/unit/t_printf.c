/* SPDX-License-Identifier: MIT */
/*
 * Formatted printing against the C library's, and the bit and number helpers of lib.h.
 * sources: hypervisor/lib/printf.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib.h"

int lib_vsnprintf(char *buf, size_t size, const char *fmt, va_list ap);
int lib_snprintf(char *buf, size_t size, const char *fmt, ...);

#pragma GCC diagnostic ignored "-Wformat"
#pragma GCC diagnostic ignored "-Wformat-truncation"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
#pragma GCC diagnostic ignored "-Wformat-security"

#define SAME(...)                                                                                  \
    do {                                                                                           \
        char a_[128], b_[128];                                                                     \
        int n_ = lib_snprintf(a_, sizeof(a_), __VA_ARGS__);                                        \
        int m_ = snprintf(b_, sizeof(b_), __VA_ARGS__);                                            \
        assert_string_equal(a_, b_);                                                               \
        assert_int_equal(n_, m_);                                                                  \
    } while (0)

static void test_numbers(void **state)
{
    static const char *const formats[] = {
        "%d",  "%5d",  "%-5d|",  "%05d", "%+d", "% d", "%.3d", "%8.3d", "%-8.3d|", "%x",
        "%#x", "%08x", "%#010x", "%X",   "%u",  "%hd", "%hhu", "%.0d",  "%i",      "%%%d"};
    static const int values[] = {0, 1, -1, 42, -12345, 2147483647, -2147483647 - 1, 255, 65536};
    unsigned i, j;

    for (i = 0; i < ARRAY_SIZE(formats); i++)
        for (j = 0; j < ARRAY_SIZE(values); j++)
            SAME(formats[i], values[j]);
    SAME("%lx %llx %lu %zu %ld", ~0UL, 1ULL << 63, ~0UL, (size_t)77, (long)(1ULL << 63));
    SAME("%016lx|%-20lx|%*d|%-*d|%.*d", 0xabcUL, 0x12UL, 7, 5, 7, 5, 4, 9);
    SAME("%p", (void *)0x1234);
    SAME("%*d", -6, 3);
}

static void test_strings(void **state)
{
    static const char no_end[3] = {'a', 'b', 'c'};

    SAME("%s|%10s|%-10s|%.2s|%10.3s", "hello", "right", "left", "cut", "both");
    SAME("%.3s", no_end);
    SAME("%.*s|%c|%5c|%-5c|", 2, "xyz", 'q', 'r', 's');
    SAME("%s", (char *)NULL);
    SAME("plain text, 100%%");
}

static void test_limits(void **state)
{
    char buf[8] = "zzzzzzz";

    assert_int_equal(lib_snprintf(buf, 4, "%s", "abcdef"), 6);
    assert_string_equal(buf, "abc");
    assert_int_equal(buf[4], 'z');
    assert_int_equal(lib_snprintf(NULL, 0, "%d", 12345), 5);
    assert_int_equal(lib_snprintf(buf, 1, "%d", 5), 1);
    assert_int_equal(buf[0], 0);
    lib_snprintf(buf, sizeof(buf), "a%");
    assert_string_equal(buf, "a%");
    lib_snprintf(buf, sizeof(buf), "%qz", 1);
    assert_string_equal(buf, "%qz");
}

static void test_bits(void **state)
{
    uint64_t map[4] = {0};
    unsigned i;

    assert_int_equal(find_first_bit(map, 200), 200);
    bit_set(map, 130);
    assert_true(bit_test(map, 130));
    assert_int_equal(find_first_bit(map, 200), 130);
    assert_int_equal(find_first_bit(map, 130), 130);
    assert_int_equal(find_next_bit(map, 200, 131), 200);
    assert_true(bit_test_and_set(map, 130));
    assert_false(bit_test_and_set(map, 131));
    assert_int_equal(bits_count(map, 256), 2);
    assert_int_equal(bits_count(map, 131), 1);
    assert_true(bit_test_and_clear(map, 130));
    bit_clear(map, 131);
    for (i = 0; i < 70; i++)
        bit_set_plain(map, i);
    assert_int_equal(find_first_zero_bit(map, 256), 70);
    assert_int_equal(find_next_zero_bit(map, 70, 3), 70);
    assert_int_equal(popcount64(~0ULL), 64);
    assert_int_equal(bit_last(0x90), 7);
    assert_int_equal(bit_first(0x90), 4);
    assert_int_equal(order_of_bytes(0), 0);
    assert_int_equal(order_of_bytes(4096), 0);
    assert_int_equal(order_of_bytes(4097), 1);
    assert_int_equal(order_of_bytes(5 * 4096), 3);
}

static void test_parse(void **state)
{
    const char *end;

    assert_int_equal(parse_u64("123x", &end), 123);
    assert_string_equal(end, "x");
    assert_int_equal(parse_u64("0x1fG", &end), 0x1f);
    assert_string_equal(end, "G");
    assert_int_equal(parse_u64("0x", &end), 0);
    assert_string_equal(end, "x");
    assert_true(parse_u64("99999999999999999999999", &end) == UINT64_MAX);
    assert_int_equal(*end, 0);
    assert_int_equal(parse_size("2G,", &end, 1024), 2ULL << 30);
    assert_string_equal(end, ",");
    assert_int_equal(parse_size("512", &end, 1024), 512 << 10);
    assert_int_equal(parse_size("512b", &end, 1024), 512);
    assert_true(parse_size("0xfffffffffffffffT", &end, 1) == UINT64_MAX);
    assert_int_equal(parse_size("G", &end, 1), 0);
    assert_string_equal(end, "G");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_strings),
        cmocka_unit_test(test_limits),  cmocka_unit_test(test_bits),
        cmocka_unit_test(test_parse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
