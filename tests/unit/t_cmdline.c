/* SPDX-License-Identifier: MIT */
/*
 * Command line: each kind of value, refusals, warnings.
 * sources: hypervisor/common/cmdline.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cmdline.h"
#include "lib.h"
#include "port_host.h"

static void parse(const char *line)
{
    host_last_log[0] = 0;
    cmdline_parse(line);
}

static void test_defaults(void **state)
{
    parse("placeholder");
    assert_string_equal(opt.console, "vga");
    assert_true(opt.smp && opt.x2apic && opt.smep && opt.acpi);
    assert_int_equal(opt.gnttab_max_frames, 64);
    assert_int_equal(opt.loglvl, LOG_INFO);
    assert_string_equal(host_last_log, "");
}

static void test_values(void **state)
{
    parse("  console=com1,vga com1=115200,8n1\tdom0_mem=2G,max:4G,min:512M loglvl=all "
          "guest_loglvl=error/warning maxcpus=4 mem=0x10G conring_size=64K sched=rr reboot_delay=9 "
          "watchdog_timeout=20 gnttab_max_frames=128 vga=text-80x25,keep clocksource=hpet");
    assert_string_equal(opt.console, "com1,vga");
    assert_string_equal(opt.com[0], "115200,8n1");
    assert_int_equal(opt.dom0_mem, 2ULL << 30);
    assert_int_equal(opt.dom0_mem_max, 4ULL << 30);
    assert_int_equal(opt.dom0_mem_min, 512ULL << 20);
    assert_int_equal(opt.loglvl, LOG_DEBUG);
    assert_int_equal(opt.guest_loglvl, LOG_WARN);
    assert_int_equal(opt.maxcpus, 4);
    assert_int_equal(opt.mem_limit, 16ULL << 30);
    assert_int_equal(opt.conring_size, 65536);
    assert_true(opt.watchdog && opt.watchdog_timeout == 20);
    assert_int_equal(opt.gnttab_max_frames, 128);
    assert_string_equal(opt.vga, "text-80x25,keep");
    assert_string_equal(opt.clocksource, "hpet");
    assert_string_equal(host_last_log, "");
    parse("dom0_mem=-256M,max:262144");
    assert_int_equal(opt.dom0_mem_off, 256 << 20);
    assert_int_equal(opt.dom0_mem_max, 256 << 20);
    assert_int_equal(opt.dom0_mem, 0);
}

static void test_bools(void **state)
{
    static const char *const off[] = {"no-x2apic", "x2apic=0",     "x2apic=off",
                                      "x2apic=no", "x2apic=false", "x2apic=disable"};
    static const char *const on[] = {"x2apic",     "x2apic=1",    "x2apic=on",
                                     "x2apic=yes", "x2apic=true", "no-x2apic x2apic=enable"};
    unsigned i;

    for (i = 0; i < ARRAY_SIZE(off); i++) {
        parse(off[i]);
        assert_false(opt.x2apic);
    }
    for (i = 0; i < ARRAY_SIZE(on); i++) {
        parse(on[i]);
        assert_true(opt.x2apic);
    }
    parse("nosmp noreboot acpi=off watchdog no-bootscrub dom0_vcpus_pin sync_console");
    assert_false(opt.smp || opt.acpi || opt.bootscrub);
    assert_true(opt.noreboot && opt.watchdog && opt.dom0_vcpus_pin && opt.sync_console);
    parse("smap=maybe");
    assert_true(opt.smap);
    assert_non_null(strstr(host_last_log, "smap"));
}

static void test_vcpus(void **state)
{
    static const struct {
        const char *s;
        uint32_t lo, hi;
        bool ok;
    } c[] = {{"dom0_max_vcpus=4", 4, 4, true},    {"dom0_max_vcpus=2-4", 2, 4, true},
             {"dom0_max_vcpus=2-", 2, 0, true},   {"dom0_max_vcpus=-4", 0, 4, true},
             {"dom0_max_vcpus=4-2", 0, 0, false}, {"dom0_max_vcpus=-", 0, 0, false},
             {"dom0_max_vcpus", 0, 0, false},     {"dom0_max_vcpus=999", 0, 0, false},
             {"dom0_max_vcpus=2x", 0, 0, false}};
    unsigned i;

    for (i = 0; i < ARRAY_SIZE(c); i++) {
        parse(c[i].s);
        assert_int_equal(opt.dom0_max_vcpus_min, c[i].lo);
        assert_int_equal(opt.dom0_max_vcpus_max, c[i].hi);
        assert_int_equal(!host_last_log[0], c[i].ok);
    }
}

static void test_warnings(void **state)
{
    parse("frobnicate=7");
    assert_non_null(strstr(host_last_log, "unknown option \"frobnicate=7\""));
    parse("spec-ctrl=no");
    assert_non_null(strstr(host_last_log, "spec-ctrl has no effect"));
    parse("crashkernel=256M");
    assert_non_null(strstr(host_last_log, "crashkernel"));
    parse("iommu=on");
    assert_non_null(strstr(host_last_log, "IOMMU"));
    parse("dom0_mem=lots");
    assert_non_null(strstr(host_last_log, "dom0_mem"));
    parse("-- nonsense of=the kernel");
    assert_string_equal(host_last_log, "");
    parse("maxcpus=100000");
    assert_int_equal(opt.maxcpus, 0);
    assert_non_null(strstr(host_last_log, "maxcpus"));
}

static void test_long(void **state)
{
    char *line = malloc(5000);

    memset(line, 'a', 4999);
    line[4999] = 0;
    cmdline_parse(line);
    memset(line, ' ', 4999);
    cmdline_parse(line);
    free(line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_values),
        cmocka_unit_test(test_bools),    cmocka_unit_test(test_vcpus),
        cmocka_unit_test(test_warnings), cmocka_unit_test(test_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
