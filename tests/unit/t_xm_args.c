/* SPDX-License-Identifier: MIT */
/*
 * Words of xm's commands: options anywhere, joined letters and values, refusals; suggestions of names.
 * sources: toolstack/xm/args.c toolstack/xm/help.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "command.h"

static const struct option_row options[] = { { 'p', "paused", NULL, "p" }, { 'c', NULL, NULL, "c" }, { 'f', "file", "FILE", "f" },
    { 0, "json", NULL, "j" }, { 0 } };

static int run(struct args *a)
{
    return 0;
}

const struct command commands[] = { { "create", "new", "A", "FILE", 1, 3, "s", NULL, options, run }, { "list", NULL, "A", "", 0, 0, "s", NULL, NULL, run },
    { "sched-credit2", NULL, "B", "", 0, 0, "s", NULL, NULL, run } };
const unsigned n_commands = 3;
const char *program = "xm";

static int parse(struct args *a, const char *words)
{
    static char copy[256], *argv[20];
    int n = 0;

    snprintf(copy, sizeof(copy), "create %s", words);
    for (char *p = strtok(copy, " "); p; p = strtok(NULL, " "))
        argv[n++] = p;
    argv[n] = NULL;
    return args_parse(a, &commands[0], n, argv);
}

static void test_anywhere(void **state)
{
    struct args a;

    assert_int_equal(parse(&a, "x.cfg -pc vmid=1 --file=F"), 0);
    assert_int_equal(a.n, 2);
    assert_string_equal(a.operands[0], "x.cfg");
    assert_string_equal(a.operands[1], "vmid=1");
    assert_true(args_has(&a, "p") && args_has(&a, "paused") && args_has(&a, "c") && !args_has(&a, "json"));
    assert_string_equal(args_value(&a, "file"), "F");
    assert_int_equal(parse(&a, "-pfF x"), 0);
    assert_string_equal(args_value(&a, "f"), "F");
    assert_int_equal(parse(&a, "--file F x --json"), 0);
    assert_string_equal(args_value(&a, "f"), "F");
    assert_true(args_has(&a, "json"));
    assert_int_equal(parse(&a, "-- -p -x"), 0);
    assert_int_equal(a.n, 2);
    assert_false(args_has(&a, "p"));
    assert_int_equal(parse(&a, "- -1"), 0);
    assert_int_equal(a.n, 2);
}

static void test_refused(void **state)
{
    static const char *const bad[] = { "", "a b c d", "x -q", "x --nope", "x -f", "x --file", "x --json=1", "x --pause" };
    struct args a;

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(parse(&a, bad[i]), 2);
    assert_int_equal(parse(&a, "x --help"), 1);
}

static void test_names(void **state)
{
    assert_ptr_equal(command_find("new"), &commands[0]);
    assert_null(command_find("ne"));
    assert_string_equal(command_suggest("craete"), "create");
    assert_string_equal(command_suggest("lsit"), "list");
    assert_string_equal(command_suggest("sched-credit"), "sched-credit2");
    assert_null(command_suggest("frobnicate"));
    assert_null(command_suggest("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_anywhere), cmocka_unit_test(test_refused), cmocka_unit_test(test_names) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
