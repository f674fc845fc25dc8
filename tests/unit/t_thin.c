/* SPDX-License-Identifier: MIT */
/*
 * Thin volumes by the device mapper's calls, over a device mapper that writes down what it is told: which device, in which order, and what is
 * done when it says no.
 *
 * sources: toolstack/lib/thin.c toolstack/lib/fault.c
 */
#include <errno.h>
#include <linux/dm-ioctl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include <cmocka.h>

#include "fault.h"
#include "thin.h"

static char told[256];          /* "what@device ..." */
static const char *table, *kind, *no;   /* no: the beginning of what it refuses */
static unsigned targets;

static int take(const char *what, uint64_t device)
{
    if (no && !strncmp(what, no, strlen(no)))
        return -EINVAL;
    snprintf(told + strlen(told), sizeof(told) - strlen(told), "%s@%llx ", what, (unsigned long long)device);
    return 0;
}

static int mapper(unsigned long request, struct dm_ioctl *d)
{
    char *data = (char *)d + d->data_start;

    assert_int_equal(d->version[0], 4);
    assert_true(d->data_start + 100 < d->data_size);
    assert_true(!*d->name && !*d->uuid);
    if (request == DM_DEV_SUSPEND)
        return take(d->flags & DM_SUSPEND_FLAG ? "suspend" : "resume", d->dev);
    if (request == DM_TARGET_MSG)
        return take(((struct dm_target_msg *)(void *)data)->message, d->dev);
    assert_int_equal(request, DM_TABLE_STATUS);
    assert_true(d->flags & DM_STATUS_TABLE_FLAG);
    struct dm_target_spec *spec = (void *)data;

    snprintf(spec->target_type, sizeof(spec->target_type), "%s", kind);
    snprintf(data + sizeof(*spec), 200, "%s", table);
    d->target_count = targets;
    return take("table", d->dev);
}

static int setup(void **state)
{
    thin_call = mapper;
    *told = 0;
    table = "254:258 17";
    kind = "thin";
    targets = 1;
    no = NULL;
    fault_clear();
    return 0;
}

static void test_snapshot(void **state)
{
    struct thin t;

    assert_int_equal(thin_look("/dev/vg/x", makedev(254, 300), &t), 0);
    assert_int_equal(t.id, 17);
    assert_int_equal(thin_suspend(&t, true), 0);
    assert_int_equal(thin_set(&t, 21), 0);
    assert_int_equal(thin_suspend(&t, false), 0);
    assert_string_equal(told, "table@10fe2c suspend@10fe2c delete 21@10fe02 create_snap 21 17@10fe02 resume@10fe2c ");
}

static void test_other_devices(void **state)
{
    static const struct { const char *kind, *table; unsigned targets; } no_thin[] = {
        { "linear", "254:2 17", 1 }, { "thin", "254:2 17", 2 }, { "thin", "254:2 17", 0 }, { "thin", "", 1 }, { "thin", "/dev/x 1", 1 },
        { "thin-pool", "254:1 254:2 128 0", 1 },
    };
    struct thin t;

    for (unsigned i = 0; i < sizeof(no_thin) / sizeof(*no_thin); i++) {
        kind = no_thin[i].kind;
        table = no_thin[i].table;
        targets = no_thin[i].targets;
        fault_clear();
        assert_int_equal(thin_look("/dev/vg/x", makedev(254, 1), &t), -EOPNOTSUPP);
        assert_non_null(strstr(fault_text(), "/dev/vg/x: is not served as a thin volume"));
    }
    fault_clear();
    assert_int_equal(thin_find("/dev/null", &t), -ENOTBLK);
    no = "table";
    assert_int_equal(thin_look("/dev/vg/x", makedev(254, 1), &t), -EINVAL);
}

static void test_refused(void **state)
{
    struct thin t = { .device = 0xfe01, .pool = 0xfe02, .id = 17 };

    no = "delete";
    assert_int_equal(thin_set(&t, 21), -EINVAL);
    assert_string_equal(told, "");
    no = "create_snap";
    assert_int_equal(thin_set(&t, 21), -EINVAL);
    assert_string_equal(told, "delete 21@fe02 ");
    no = "suspend";
    assert_int_equal(thin_suspend(&t, true), -EINVAL);
    no = "resume";
    assert_int_equal(thin_suspend(&t, false), -EINVAL);
    assert_non_null(strstr(fault_text(), "dmsetup resume"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_snapshot, setup), cmocka_unit_test_setup(test_other_devices, setup), cmocka_unit_test_setup(test_refused, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
