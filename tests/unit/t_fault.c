/* SPDX-License-Identifier: MIT */
/*
 * The toolstack's failure text: kept, chained to its cause, bounded, cleared.
 * sources: toolstack/lib/fault.c
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fault.h"

static void test_chain(void **state)
{
    fault_clear();
    assert_string_equal(fault_text(), "");
    assert_int_equal(fault(-ENOENT, "/x: no such file"), -ENOENT);
    assert_int_equal(fault(-EINVAL, "disk %d: cannot be opened", 1), -EINVAL);
    assert_string_equal(fault_text(), "disk 1: cannot be opened: /x: no such file");
    fault_clear();
    assert_string_equal(fault_text(), "");
}

static void test_long(void **state)
{
    char word[5000];

    memset(word, 'a', sizeof(word) - 1);
    word[sizeof(word) - 1] = 0;
    fault_clear();
    for (int i = 0; i < 10; i++)
        fault(-1, "%s", word);
    assert_in_range(strlen(fault_text()), 100, 4999);
    fault_clear();
}

/* What a guest wrote must not move the cursor, retitle the window or answer for the keyboard. */
static void test_printable(void **state)
{
    char word[] = "a\033]0;x\007b\x7f\xc2\x9b" "1m \xc3\xbc\n\tc\xc2";

    fault_clear();
    fault(-EINVAL, "node: '%s' is no number", "1\033[2J");
    assert_string_equal(fault_text(), "node: '1?[2J' is no number");
    fault_clear();
    assert_string_equal(fault_printable(word), "a?]0;x?b???1m \xc3\xbc\n\tc\xc2");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_chain), cmocka_unit_test(test_long), cmocka_unit_test(test_printable) };

    return cmocka_run_group_tests_name("fault", tests, NULL, NULL);
}
