/* SPDX-License-Identifier: MIT */
/*
 * Old xm's Python-like files: what of the language works, with what result, and that nothing can run away.
 * sources: toolstack/lib/config.c toolstack/lib/config_lex.c toolstack/lib/config_value.c toolstack/lib/config_expr.c
 * sources: toolstack/lib/config_ops.c toolstack/lib/config_builtin.c toolstack/lib/config_eval.c toolstack/lib/config_keys.c
 * sources: toolstack/lib/config_finish.c toolstack/lib/config_part.c toolstack/lib/config_disk.c toolstack/lib/config_vif.c
 * sources: toolstack/lib/config_print.c toolstack/lib/fault.c
 * libs: -ljson-c
 */
#include "config_env.h"

#include <time.h>

/* An old example with a variable of the command line. */
static const char vmid_file[] =
    "# needs vmid=N\n"
    "def vmid_check(var, val):\n"
    "    val = int(val)\n"
    "    if val <= 0:\n"
    "        raise ValueError\n"
    "    return val\n"
    "\n"
    "xm_vars.var('vmid',\n"
    "            use=\"Number of the machine, above zero.\",\n"
    "            check=vmid_check)\n"
    "xm_vars.check()\n"
    "\n"
    "kernel = \"/boot/vmlinuz-2.6-xenU\"\n"
    "memory = 64\n"
    "name = \"VM%d\" % vmid\n"
    "cpu = -1   # anywhere\n"
    "if vmid > 3 and not vmid == 9:\n"
    "    vcpus = 2\n"
    "elif vmid == 2:\n"
    "    vcpus = 4\n"
    "else:\n"
    "    vcpus = 1\n"
    "vif = [ '' ]\n"
    "disk = [ 'phy:sda%d,sda1,w' % (7+vmid),\n"
    "         'phy:sda6,sda6,r' ]\n"
    "ip = \"10.0.0.%d\" % (10 * vmid)\n"
    "root = \"/dev/sda1 ro\"\n"
    "extra = \"4 VMID=%d usr=/dev/sda6\" % vmid\n"
    "restart = 'onreboot'\n";

static void test_vmid(void **state)
{
    char *const four[] = { (char *)"vmid=4", NULL }, *const two[] = { (char *)"vmid=2", NULL };

    assert_int_equal(parse_words(vmid_file, four), 0);
    assert_string_equal(g.name, "VM4");
    assert_int_equal(g.vcpus, 2);
    assert_string_equal(g.disks[0].target, "/dev/sda11");
    assert_string_equal(g.disks[1].target, "/dev/sda6");
    assert_true(g.disks[1].readonly);
    assert_string_equal(g.cmdline, "ip=10.0.0.40:::::eth0:off root=/dev/sda1 ro 4 VMID=4 usr=/dev/sda6");
    assert_int_equal(parse_words(vmid_file, two), 0);
    assert_int_equal(g.vcpus, 4);
    assert_int_not_equal(parse_words(vmid_file, NULL), 0);
    assert_non_null(strstr(fault_text(), "a.cfg:11:1: 'xm_vars': the variable 'vmid' has no value (Number of the machine, above zero.); "
                                         "add vmid=VALUE to the command line"));
}

/* The value of `expression` as text, through the kernel's command line. */
static void is(const char *expression, const char *value)
{
    char text[512];

    snprintf(text, sizeof(text), "a = 7\nl = [ 1, 'b', (2, 3) ]\nd = { 'k': 5, 2: 'two' }\ncmdline = str(%s) + '.'\nfor used in [a, l, d]: pass\n", expression);
    parse_rest(text);
    if (strlen(g.cmdline) != strlen(value) + 1 || strncmp(g.cmdline, value, strlen(value)) != 0)
        fail_msg("%s is %s, expected %s", expression, g.cmdline, value);
}

static void test_expressions(void **state)
{
    static const struct { const char *e, *v; } rows[] = {
        { "1 + 2 * 3", "7" }, { "(1 + 2) * 3", "9" }, { "7 / 2", "3" }, { "-7 / 2", "-4" }, { "-7 // 2", "-4" }, { "-7 % 3", "2" },
        { "2 ** 10", "1024" }, { "-2 ** 2", "-4" }, { "1 << 4 | 1", "17" }, { "0xff & 0x0f", "15" }, { "6 ^ 3", "5" }, { "017", "15" },
        { "0o17", "15" }, { "10L", "10" }, { "10 - 4 - 3", "3" }, { "a", "7" }, { "-a", "-7" }, { "--a", "7" },
        { "1 == 1", "True" }, { "1 <> 2", "True" }, { "1 < a < 10", "True" }, { "1 < a < 5", "False" }, { "'a' < 'b'", "True" },
        { "'b' in 'abc'", "True" }, { "'x' not in l", "True" }, { "'b' in l", "True" }, { "2 in d", "True" }, { "l == [1, 'b', (2, 3)]", "True" },
        { "not a == 7", "False" }, { "a is not None", "True" }, { "None is None", "True" }, { "True and 5", "5" }, { "0 or 'x'", "x" },
        { "0 and undefined", "0" }, { "1 or undefined", "1" }, { "'yes' if a > 3 else 'no'", "yes" }, { "undefined if a < 3 else 'no'", "no" },
        { "1 if 0 else 2 if 0 else 3", "3" }, { "l[1]", "b" }, { "l[-1][0]", "2" }, { "l[0:2]", "[1, 'b']" }, { "'hello'[1:3]", "el" },
        { "'hello'[-1]", "o" }, { "'hello'[2:]", "llo" }, { "d['k']", "5" }, { "d.get('zz', 4)", "4" }, { "d.has_key(2)", "True" },
        { "'a' * 3", "aaa" }, { "[0] * 2", "[0, 0]" }, { "[1] + [2]", "[1, 2]" }, { "(1,)", "(1,)" }, { "()", "()" },
        { "len('abc') + len(l)", "6" }, { "range(3)", "[0, 1, 2]" }, { "range(1, 8, 3)", "[1, 4, 7]" }, { "range(3, 0, -1)", "[3, 2, 1]" },
        { "[ x * 2 for x in range(4) if x != 1 ]", "[0, 4, 6]" }, { "[ k for k in ['%s%d' % (p, n) for p, n in [('a', 1)]] ]", "['a1']" },
        { "int('12') + int(' 3 ') + int('ff', 16)", "270" }, { "str(5) + 'x'", "5x" }, { "bool([])", "False" }, { "max(1, 5, 2)", "5" },
        { "min([4, 2])", "2" }, { "sum([1, 2])", "3" }, { "abs(-3)", "3" }, { "hex(255)", "0xff" }, { "list('ab')", "['a', 'b']" },
        { "' a '.strip() + 'b,c'.split(',')[1]", "ac" }, { "','.join(['a', 'b'])", "a,b" }, { "'a-b'.replace('-', '+')", "a+b" },
        { "'Ab'.lower() + 'Ab'.upper()", "abAB" }, { "'abc'.startswith('ab')", "True" }, { "'abc'.endswith('bc')", "True" },
        { "'%s is %d' % ('x', 5)", "x is 5" }, { "'%05d|%-4s|%4s|%x|%X|%o|%%' % (42, 'a', 'b', 255, 255, 8)", "00042|a   |   b|ff|FF|10|%" },
        { "'%(k)d-%(k)s' % d", "5-5" }, { "'%.2s' % 'abc'", "ab" }, { "'%r' % 'q'", "'q'" }, { "'%s' % [1, 2]", "[1, 2]" },
        { "'00:16:3e:00:00:%02x' % a", "00:16:3e:00:00:07" }, { "\"\"\"x\"\"\"", "x" }, { "r'\\n'", "\\n" }, { "u'x' b'y'", "xy" },
        { "sum(x for x in range(4))", "6" }, { "enumerate(['p', 'q'])[1]", "(1, 'q')" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        is(rows[i].e, rows[i].v);
}

static void test_statements(void **state)
{
    parse_rest("import os, sys\nfrom string import *\n"
               "disk = []\n"
               "for letter in 'abc'.upper().lower() and ['a', 'b', 'c']:\n"
               "    if letter == 'b':\n"
               "        continue\n"
               "    for n in range(1, 3):\n"
               "        disk.append('phy:/dev/vg/%s%d,xvd%s%d,w' % (letter, n, letter, n))\n"
               "    if len(disk) > 100: break\n"
               "i = 0\n"
               "while True:\n"
               "    i += 1\n"
               "    if i == 5: break\n"
               "vcpus = i\n");
    assert_int_equal(g.n_disks, 4);
    assert_string_equal(g.disks[3].target, "/dev/vg/c2");
    assert_int_equal(g.vcpus, 5);
    parse_rest("a = b = 3\nc, d = a, 4\nvcpus = c + d\nl = [0, 0]\nl[1] = 2\ncap = l[1]\nm = {}\nm['x'] = 9\ncpu_weight = m['x'] + b - b");
    assert_int_equal(g.vcpus, 7);
    assert_int_equal(g.cap, 2);
    assert_int_equal(g.weight, 9);
    parse_rest("if 0:\n  vcpus = 1\n  import os; os.system('x')\n  lambda: 0\nelse:\n  if 1:\n      vcpus = 2\n\n  # in between\n  cap = 3\nif 1: pass\n");
    assert_int_equal(g.vcpus, 2);
    assert_int_equal(g.cap, 3);
    parse_rest("vcpus = 1\n    # indented for no reason\n    cap = 2\n  cpu_weight = 4\n");
    assert_int_equal(g.cap, 2);
    assert_int_equal(g.weight, 4);
    parse_rest("vcpus = 1 + \\\n  2\n");
    assert_int_equal(g.vcpus, 3);
}

/* The part of old HVM examples that looks for the host's architecture. */
static void test_uname(void **state)
{
    parse_rest("import os, re\narch = os.uname()[4]\nif re.search('64', arch):\n    arch_libdir = 'lib64'\nelse:\n    arch_libdir = 'lib'\n"
               "device_model = '/usr/' + arch_libdir + '/xen/bin/qemu-dm'\n");
    assert_string_equal(g.other_json, "{\"device_model\":\"\\/usr\\/lib64\\/xen\\/bin\\/qemu-dm\"}");
}

static void test_print(void **state)
{
    assert_string_equal(said(parse_rest, "print 'a', 5\nprint('b')\nprint\n"), "a 5\nb\n\n");
}

/* Each must end in a failure, soon. */
static void test_limits(void **state)
{
    static const char *const rows[] = {
        "while 1: pass", "x = 'a' * 1000000000", "x = 'aaaa'\nwhile 1: x += x", "l = [0]\nwhile 1: l += l", "l = []\nwhile 1: l.append(l)",
        "x = 9223372036854775807 + 1", "x = 2 ** 64", "x = 99999999999999999999", "x = range(100000000)", "x = '%2000000000d' % 1\ny = 5 / 0",
        "x = -(-9223372036854775807 - 1)", "x = (-9223372036854775807 - 1) / -1", "l = []\nl.append(l)\nl.append(l)\nm = []\nm.append(m)\n"
        "m.append(m)\nx = l == m\ny = str(l)\nz = 1 / 0", "x = 5 % 0", "x = 1 << 200", "x = [0] * 99999999999999",
    };
    char deep[400], many[40000] = "";

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        clock_t start = clock();

        parse_fails(rows[i], "", "");
        assert_true(clock() - start < 20 * CLOCKS_PER_SEC);
    }
    memset(deep, '[', sizeof(deep) - 1);
    deep[sizeof(deep) - 1] = 0;
    parse_fails(deep, "a.cfg:1:49: '['", "brackets");
    memcpy(deep, "x = ", 4);
    memset(deep + 4, '-', sizeof(deep) - 5);
    parse_fails(deep, "a.cfg:1:", "nested");
    for (int i = 0; i < 100; i++)
        sprintf(deep + 3 * i, "%.*sif", 0, ""), memcpy(deep + 3 * i, "if ", 3);
    parse_fails(deep, "a.cfg:1:", "");
    for (int i = 0; i < 1500; i++)
        sprintf(many + strlen(many), "v%d=%d\n", i, i);
    parse_fails(many, "a.cfg:", "variables");
    for (int i = 0; i < 60; i++)
        sprintf(many + (i ? strlen(many) : 0), "%*sif 1:\n", i, "");
    parse_fails(many, "a.cfg:48:", "nested");
}

static void test_bytes(void **state)
{
    char *big = calloc(1, 300000);

    config_dispose(&g);
    fault_clear();
    assert_int_not_equal(config_parse(&g, "n", "name='a\0b'", 10, NULL, 0), 0);
    assert_string_equal(fault_text(), "n:1:8: '\\x00': a NUL byte; is this a text file?");
    config_dispose(&g);
    fault_clear();
    assert_int_not_equal(config_parse(&g, "n", "a=1\n\0", 5, NULL, 0), 0);
    assert_string_equal(fault_text(), "n:2:1: '\\x00': a NUL byte; is this a text file?");
    config_dispose(&g);
    fault_clear();
    assert_int_not_equal(config_parse(&g, "n", big, 300000, NULL, 0), 0);
    assert_non_null(strstr(fault_text(), "larger than"));
    config_dispose(&g);
    free(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vmid), cmocka_unit_test(test_expressions), cmocka_unit_test(test_statements), cmocka_unit_test(test_uname),
        cmocka_unit_test(test_print), cmocka_unit_test(test_limits), cmocka_unit_test(test_bytes),
    };
    int failed = cmocka_run_group_tests_name("config_python", tests, NULL, NULL);

    config_dispose(&g);
    return failed;
}
