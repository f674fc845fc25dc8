/* SPDX-License-Identifier: MIT */
/*
 * What the configuration reader says of mistakes: file, line, column and word exactly, and the heart of the cause.
 * sources: toolstack/lib/config.c toolstack/lib/config_lex.c toolstack/lib/config_value.c toolstack/lib/config_expr.c
 * sources: toolstack/lib/config_ops.c toolstack/lib/config_builtin.c toolstack/lib/config_eval.c toolstack/lib/config_keys.c
 * sources: toolstack/lib/config_finish.c toolstack/lib/config_part.c toolstack/lib/config_disk.c toolstack/lib/config_vif.c
 * sources: toolstack/lib/config_print.c toolstack/lib/fault.c
 * libs: -ljson-c
 */
#include "config_env.h"

struct row { const char *text, *place, *why; };

static void check(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        parse_fails(rows[i].text, rows[i].place, rows[i].why);
}
#define CHECK(rows) check(rows, sizeof(rows) / sizeof(rows[0]))

static void test_writing(void **state)
{
    static const struct row rows[] = {
        { "vcpus = \n", "a.cfg:1:9: 'end of line': ", "value is missing" },
        { "vcpus\n", "a.cfg:1:1: 'vcpus': ", "expected '='" },
        { "vcpus 2\n", "a.cfg:1:7: '2': ", "expected '=' before it" },
        { "vcpus = 2 3\n", "a.cfg:1:11: '3': ", "end of the line" },
        { "\n\n   kernel = /boot/vmlinuz\n", "a.cfg:3:13: '/': ", "expected a value" },
        { "kernel = vmlinuz\n", "a.cfg:1:10: 'vmlinuz': ", "put it in quotes" },
        { "localtime = true\n", "a.cfg:1:13: 'true': ", "1 or True" },
        { "kernel = \"/boot/k\nvcpus = 1\n", "a.cfg:1:10: '\"/boot/k': ", "does not end; add \"" },
        { "kernel = '/boot/k\n", "a.cfg:1:10: ''/boot/k': ", "does not end; add '" },
        { "disk = [ '/a,,xvda'\nvcpus = 2\n", "a.cfg:1:8: '[': ", "not closed" },
        { "disk = [ '/a,,xvda', vcpus = 2 ]\n", "a.cfg:1:22: 'vcpus': ", "no variable" },
        { "disk = [ '/a,,xvda' vcpus ]\n", "a.cfg:1:21: 'vcpus': ", "expected ',' or ']', for the '[' of line 1" },
        { "disk = [ '/a,,xvda' )\n", "a.cfg:1:21: ')': ", "'(' before it" },
        { "vcpus = 2 ]\n", "a.cfg:1:11: ']': ", "no bracket is open" },
        { "vcpus = 12abc\n", "a.cfg:1:9: '12abc': ", "neither a number nor a name" },
        { "vcpus = 1.5\n", "a.cfg:1:9: '1.5': ", "no fraction" },
        { "vcpus = 09\n", "a.cfg:1:9: '09': ", "neither a number" },
        { "vcpus = 99999999999999999999\n", "a.cfg:1:9: '99999999999999999999': ", "too large" },
        { "vcpus ?= 1\n", "a.cfg:1:7: '?': ", "no meaning here" },
        { "= 1\n", "a.cfg:1:1: '=': ", "name is missing" },
        { "5 = 1\n", "a.cfg:1:1: '5': ", "cannot be assigned to" },
        { "vcpus == 1\n", "a.cfg:1:1: 'vcpus': ", "no variable" },
    };
    CHECK(rows);
}

static void test_python(void **state)
{
    static const struct row rows[] = {
        { "import os\nx = os.popen('id').read()\n", "a.cfg:2:8: 'popen': ", "os.popen is not available" },
        { "import os\n\nkernel = os.environ['K']\n", "a.cfg:3:13: 'environ': ", "os.environ is not available" },
        { "import subprocess as sp\nsp.call('x')\n", "a.cfg:2:4: 'call': ", "subprocess.call is not available" },
        { "from os import system\nsystem('x')\n", "a.cfg:2:1: 'system': ", "functions of the file are not run" },
        { "kernel = open('/etc/k').read()\n", "a.cfg:1:10: 'open': ", "Python's 'open' is not available" },
        { "f = lambda x: x\n", "a.cfg:1:5: 'lambda': ", "Python's 'lambda'" },
        { "try:\n  vcpus = 1\nexcept: pass\n", "a.cfg:1:1: 'try': ", "Python's 'try'" },
        { "class A: pass\n", "a.cfg:1:1: 'class': ", "Python's 'class'" },
        { "if 1:\nvcpus = 2\n", "a.cfg:2:1: 'vcpus': ", "indented" },
        { "if 1\n  vcpus = 2\n", "a.cfg:1:5: 'end of line': ", "expected ':'" },
        { "else:\n  vcpus = 2\n", "a.cfg:1:1: 'else': ", "no 'if' before it" },
        { "for x in 5: pass\n", "a.cfg:1:10: '5': ", "needs a list here, this is a number" },
        { "a, b = 1, 2, 3\n", "a.cfg:1:1: 'a': ", "more values (3) than names" },
        { "a, b = 1,\n", "a.cfg:1:1: 'a': ", "more names than values (1)" },
        { "vcpus = 'a' + 1\n", "a.cfg:1:13: '+': ", "between text and a number; make it text with str(...)" },
        { "vcpus = 4 / 0\n", "a.cfg:1:11: '/': ", "division by zero" },
        { "name = 'v%d' % 'x'\n", "a.cfg:1:14: '%': ", "needs a number" },
        { "name = 'v%d%d' % 1\n", "a.cfg:1:16: '%': ", "more than one %" },
        { "name = 'v' % 1\n", "a.cfg:1:12: '%': ", "more values" },
        { "name = 'v%q' % 1\n", "a.cfg:1:14: '%': ", "%q in the text is not known" },
        { "l = [1]\nvcpus = l[3]\n", "a.cfg:2:11: '3': ", "out of range" },
        { "vcpus = int('2x')\n", "a.cfg:1:14: '2x': ", "is no number" },
        { "vcpus = len()\n", "a.cfg:1:9: 'len': ", "len() takes 1" },
        { "vcpus = 5(1)\n", "a.cfg:1:9: '5': ", "cannot be called" },
        { "x = 'a'.encode('utf8')\n", "a.cfg:1:9: 'encode': ", "text has nothing of this name" },
        { "def f(): return 1\nvcpus = f()\n", "a.cfg:2:9: 'f': ", "functions of the file" },
        { "if 1:\n    raise ValueError, 'no'\n", "a.cfg:2:11: 'ValueError': ", "refuses to go on" },
        { "while 1: pass\n", "a.cfg:1:", "does a loop not end?" },
        { "break\n", "a.cfg:1:1: 'break': ", "no loop around it" },
        { "import re\nx = re.search('a.*', 'b')\n", "a.cfg:2:17: '.': ", "regular expressions" },
    };
    CHECK(rows);
}

static void test_keys(void **state)
{
    static const struct row rows[] = {
        { "vcpus = 'two'\n", "a.cfg:1:10: 'two': ", "'vcpus' wants a whole number" },
        { "vcpus = -1\n", "a.cfg:1:9: '-': ", "from 0 to 32768" },
        { "vcpus = [ 1 ]\n", "a.cfg:1:9: '[': ", "'vcpus' wants a whole number" },
        { "maxmem = 'lots'\n", "a.cfg:1:11: 'lots': ", "a number of MiB, like 512" },
        { "maxmem = 0\n", "a.cfg:1:10: '0': ", "more than 0" },
        { "maxmem = 32\n", "a.cfg:1:10: '32': ", "less than memory (64 MiB)" },
        { "vcpus=4; maxvcpus=2\n", "a.cfg:1:19: '2': ", "less than vcpus (4)" },
        { "kernel = [ 'a' ]\n", "a.cfg:1:10: '[': ", "'kernel' wants text" },
        { "type = 'xen'\n", "a.cfg:1:9: 'xen': ", "'type' wants pv, pvh or hvm" },
        { "builder = 'x'\n", "a.cfg:1:12: 'x': ", "generic, linux or hvm" },
        { "on_crash = 'explode'\n", "a.cfg:1:13: 'explode': ", "'on_crash' wants one of destroy, restart" },
        { "uuid = '123'\n", "a.cfg:1:9: '123': ", "no uuid" },
        { "nomigrate = 'maybe'\n", "a.cfg:1:14: 'maybe': ", "wants 0 or 1" },
        { "cpus = '0-3;5'\n", "a.cfg:1:12: ';': ", "'cpus' wants processors like" },
        { "cpus = [ 1, [2] ]\n", "a.cfg:1:13: '[': ", "processors" },
        { "cpu_weight = 0\n", "a.cfg:1:14: '0': ", "from 1 to 65535" },
        { "restart = 'often'\n", "a.cfg:1:12: 'often': ", "always, onreboot or never" },
        { "extra = [ 'a' ]\n", "a.cfg:1:9: '[': ", "'extra' wants text" },
        { "nics = 'many'\n", "a.cfg:1:9: 'many': ", "from 0 to 64" },
        { "disk = 5\n", "a.cfg:1:8: '5': ", "wants a list like" },
        { "disk = [ 5 ]\n", "a.cfg:1:10: '5': ", "a disk is text like" },
        { "vif = [ 5 ]\n", "a.cfg:1:9: '5': ", "a network interface is text like" },
        { "disk = [ '/a,,xvda', '/b,,xvda' ]\n", "a.cfg:1:23: '/b,,xvda': ", "two disks are 'xvda'" },
    };
    CHECK(rows);
}

static void test_devices(void **state)
{
    static const struct row rows[] = {
        { "disk = [ 'phy:/dev/a,xvda,q' ]\n", "a.cfg:1:27: 'q': ", "no way of access" },
        { "disk = [\n  'phy:/dev/a,xvda,w',\n  'phy:/dev/b,zz,w',\n]\n", "a.cfg:3:15: 'zz': ", "neither a format" },
        { "disk = [ '/a,raw,foo,w' ]\n", "a.cfg:1:18: 'foo': ", "no name of a guest's disk" },
        { "disk = [ '/a, qcow3, xvda' ]\n", "a.cfg:1:15: 'qcow3': ", "neither a format" },
        { "disk = [ 'format=qcow3,vdev=xvda,target=/a' ]\n", "a.cfg:1:18: 'qcow3': ", "no format of disk images" },
        { "disk = [ '/a' ]\n", "a.cfg:1:11: '/a': ", "the guest's device is missing" },
        { "disk = [ ',,xvda' ]\n", "a.cfg:1:11: ',,xvda': ", "target" },
        { "disk = [ '/a,,xvda,w,dom1,more' ]\n", "a.cfg:1:27: 'more': ", "one part too many" },
        { "disk = [ '/a,,xvda,colour=red' ]\n", "a.cfg:1:20: 'colour': ", "no option of a disk" },
        { "disk = [ '/a,,xvda,backendtype=zfs' ]\n", "a.cfg:1:32: 'zfs': ", "no backend of disks" },
        { "disk = [ '/a,qcow2,xvda,backendtype=phy' ]\n", "a.cfg:1:11: '/a,qcow2,xvda,backendtype=phy': ", "raw images only" },
        { "disk = [ '/a,,xvda,specification=virtio' ]\n", "a.cfg:1:34: 'virtio': ", "Xen's protocol" },
        { "disk = [ '/a,,xvda,vdev=xvdb' ]\n", "a.cfg:1:20: 'vdev': ", "given twice" },
        { "vif = [ 'mac=00:16:3e:1:2:3' ]\n", "a.cfg:1:14: '00:16:3e:1:2:3': ", "no MAC address" },
        { "vif = [ 'mac=01:16:3e:01:02:03' ]\n", "a.cfg:1:14: '01:16:3e:01:02:03': ", "multicast" },
        { "vif = [ 'bridge=a-very-long-bridge' ]\n", "a.cfg:1:17: 'a-very-long-bridge': ", "at most 15" },
        { "vif = [ 'ip=10.0.0.1 10.0.0.256' ]\n", "a.cfg:1:22: '10.0.0.256': ", "no IP address" },
        { "vif = [ 'rate=fast' ]\n", "a.cfg:1:15: 'fast': ", "no rate" },
        { "vif = [ 'bride=br0' ]\n", "a.cfg:1:10: 'bride': ", "no option of a network interface" },
        { "vif = [ 'mtu=99999' ]\n", "a.cfg:1:14: '99999': ", "no number that fits" },
        { "vif = [ 'type=e1000' ]\n", "a.cfg:1:15: 'e1000': ", "known are vif and ioemu" },
        { "vif = [ '', 'mac=%s' % 'q' ]\n", "a.cfg:1:13: 'q': ", "no MAC address" },
    };
    CHECK(rows);
}

static void test_whole(void **state)
{
    assert_int_not_equal(parse_words("memory = 5\n", NULL), 0);
    assert_string_equal(fault_text(), "a.cfg:1:1: 'name': not given; add name = \"...\"");
    assert_int_not_equal(parse_words("name = 'x'\n", NULL), 0);
    assert_string_equal(fault_text(), "a.cfg:1:1: 'memory': not given; add memory = 512 (MiB)");
    assert_int_not_equal(parse_words("name = 'a/b'\nmemory=5\n", NULL), 0);
    assert_string_equal(fault_text(), "a.cfg:1:9: 'a/b': no name for a guest; it has 1 to 255 characters, no blank and no '/'");
}

static void test_sxp(void **state)
{
    assert_int_not_equal(parse_words("\n(vm (name a) (uuid 12-34))\n", NULL), 0);
    assert_string_equal(fault_text(), "a.cfg:1:1: '(': this is xend's SXP form, which is not read; write KEY = VALUE lines");
}

static void word_fails(const char *word, const char *place, const char *why)
{
    char *const words[] = { (char *)"vcpus=1", (char *)word, NULL };

    assert_int_not_equal(parse_words("name='x'\nmemory=1\n", words), 0);
    if (strncmp(fault_text(), place, strlen(place)) != 0 || !strstr(fault_text(), why))
        fail_msg("%s: %s", word, fault_text());
}

static void test_words(void **state)
{
    word_fails("single", "command line:2:1: 'single': ", "expected key=value");
    word_fails("=5", "command line:2:1: '=5': ", "expected key=value");
    word_fails("a-b=5", "command line:2:1: 'a-b=5': ", "expected key=value");
    word_fails("memory=much", "command line:2:8: 'much': ", "a number of MiB");
    word_fails("name=\"x", "command line:2:6: '\"x': ", "does not end");
    word_fails("disk=phy:/dev/a,xvda,q", "command line:2:22: 'q': ", "no way of access");
    word_fails("vif=['mac=1']", "command line:2:11: '1': ", "no MAC address");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writing), cmocka_unit_test(test_python), cmocka_unit_test(test_keys), cmocka_unit_test(test_devices),
        cmocka_unit_test(test_whole), cmocka_unit_test(test_words), cmocka_unit_test(test_sxp),
    };
    int failed = cmocka_run_group_tests_name("config_errors", tests, NULL, NULL);

    config_dispose(&g);
    return failed;
}
