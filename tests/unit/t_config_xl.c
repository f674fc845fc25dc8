/* SPDX-License-Identifier: MIT */
/*
 * Configurations in xl's JSON form: one as stock xl wrote it; ours and back; nonsense.
 * sources: toolstack/lib/config_xl.c toolstack/lib/config.c toolstack/lib/config_lex.c toolstack/lib/config_value.c toolstack/lib/config_expr.c
 * sources: toolstack/lib/config_ops.c toolstack/lib/config_builtin.c toolstack/lib/config_eval.c toolstack/lib/config_keys.c
 * sources: toolstack/lib/config_finish.c toolstack/lib/config_part.c toolstack/lib/config_disk.c toolstack/lib/config_vif.c
 * sources: toolstack/lib/config_print.c toolstack/lib/fault.c
 * libs: -ljson-c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config_xl.h"
#include "fault.h"

static const char stock[] = "{ \"c_info\": { \"type\": \"pv\", \"name\": \"g\", \"uuid\": \"10d81110-70c9-4368-8552-7a64ac66d111\","
    "\"run_hotplug_scripts\": \"True\" }, \"b_info\": { \"max_vcpus\": 2, \"avail_vcpus\": [ 0 ], \"max_memkb\": 196608, \"target_memkb\": 131072,"
    "\"video_memkb\": 0, \"sched_params\": { \"sched\": \"credit2\", \"weight\": 300, \"cap\": 0 }, \"claim_mode\": \"True\", \"kernel\": \"/data/vmlinuz\","
    "\"cmdline\": \"console=hvc0 quiet\", \"ramdisk\": \"/data/guest.gz\", \"type.pv\": { }, \"arch_arm\": { }, \"arch_x86\": { \"msr_relaxed\": \"False\" } },"
    "\"disks\": [ { \"pdev_path\": \"/dev/loop0\", \"vdev\": \"xvda\", \"format\": \"raw\", \"script\": \"/scripts/block-plain\", \"readwrite\": 1,"
    "\"colo_restore_enable\": \"False\" } ], \"nics\": [ { \"devid\": 0, \"mac\": \"00:16:3e:60:a2:be\", \"bridge\": \"xenbr0\", \"nictype\": \"vif\" } ],"
    "\"on_reboot\": \"restart\", \"on_crash\": \"preserve\", \"on_soft_reset\": \"soft_reset\" }";

static void check(const struct guest_config *c)
{
    assert_string_equal(c->name, "g");
    assert_string_equal(c->uuid, "10d81110-70c9-4368-8552-7a64ac66d111");
    assert_int_equal(c->type, GUEST_PV);
    assert_int_equal(c->memory, 131072);
    assert_int_equal(c->maxmem, 196608);
    assert_int_equal(c->vcpus, 1);
    assert_int_equal(c->maxvcpus, 2);
    assert_int_equal(c->weight, 300);
    assert_string_equal(c->kernel, "/data/vmlinuz");
    assert_string_equal(c->cmdline, "console=hvc0 quiet");
    assert_int_equal(c->n_disks, 1);
    assert_string_equal(c->disks[0].target, "/dev/loop0");
    assert_string_equal(c->disks[0].vdev, "xvda");
    assert_string_equal(c->disks[0].script, "/scripts/block-plain");
    assert_false(c->disks[0].readonly);
    assert_int_equal(c->n_nics, 1);
    assert_string_equal(c->nics[0].mac, "00:16:3e:60:a2:be");
    assert_string_equal(c->nics[0].bridge, "xenbr0");
    assert_int_equal(c->nics[0].devid, 0);
    assert_int_equal(c->on_poweroff, ACTION_DESTROY);
    assert_int_equal(c->on_reboot, ACTION_RESTART);
    assert_int_equal(c->on_crash, ACTION_PRESERVE);
}

static void test_stock(void **state)
{
    struct guest_config c, again;

    assert_int_equal(config_xl_parse(&c, "a file", stock), 0);
    check(&c);
    char *json = config_xl_make(&c);

    assert_non_null(json);
    assert_int_equal(config_xl_parse(&again, "again", json), 0);
    check(&again);
    free(json);
    config_dispose(&c);
    config_dispose(&again);
}

static void test_nonsense(void **state)
{
    static const char *const bad[] = { "", "{", "[]", "7", "\"x\"", "{}", "{\"c_info\":{},\"b_info\":{}}", "{\"c_info\":7,\"b_info\":[]}",
        "{\"c_info\":{\"name\":\"g\"},\"b_info\":{\"max_memkb\":-5}}", "{\"c_info\":{\"name\":[\"g\"]},\"b_info\":{\"max_memkb\":4096}}",
        "{\"c_info\":{\"name\":\"g\"},\"b_info\":{\"max_memkb\":4096},\"disks\":[{}]}",
        "{\"c_info\":{\"name\":\"g\"},\"b_info\":{\"max_memkb\":4096},\"disks\":[7]}" };

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct guest_config c;

        fault_clear();
        assert_int_not_equal(config_xl_parse(&c, "a file", bad[i]), 0);
        assert_non_null(strstr(fault_text(), "a file: "));
        config_dispose(&c);
    }
}

/* Every prefix of a sound one. */
static void test_cut(void **state)
{
    char copy[sizeof(stock)];

    for (size_t n = 0; n + 1 < sizeof(stock); n++) {
        struct guest_config c;

        memcpy(copy, stock, n);
        copy[n] = 0;
        fault_clear();
        assert_int_not_equal(config_xl_parse(&c, "a file", copy), 0);
        config_dispose(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_stock), cmocka_unit_test(test_nonsense), cmocka_unit_test(test_cut) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
