/* SPDX-License-Identifier: MIT */
/*
 * What devices are in the store, and who is found to use an image, over a store in a table (fake_xs.h).
 * sources: toolstack/lib/device.c toolstack/lib/device_hurry.c toolstack/lib/device_script.c toolstack/lib/disk_check.c toolstack/lib/disk_users.c toolstack/lib/disk_loop.c toolstack/lib/disk_nbd.c toolstack/lib/disk_daemon.c toolstack/lib/qmp.c toolstack/lib/disk_nbd_link.c toolstack/lib/netlink.c toolstack/lib/program.c toolstack/lib/disk_vdev.c toolstack/lib/store.c toolstack/lib/store_wait.c toolstack/lib/fault.c
 * libs: -ljson-c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "device.h"
#include "disk.h"
#include "fake_xs.h"
#include "fault.h"
#include "store.h"

static char image[64], other[64], socket_path[64];

static int start(void **state)
{
    n_fake = 0;
    fault_clear();
    return 0;
}

static void is(const char *path, const char *value)
{
    struct fake_node *n = fake_find(path);

    if (!n)
        fail_msg("%s is missing", path);
    assert_string_equal(n->value, value);
}

static void test_base(void **state)
{
    struct device dev;

    device_init(&dev, 3, "vbd", 51712);
    assert_false(device_exists(&dev));
    assert_int_equal(device_write_base(&dev), 0);
    assert_int_equal(device_put_back(&dev, "mode", "w"), 0);
    is("/local/domain/3/device/vbd/51712/backend", "/local/domain/0/backend/vbd/3/51712");
    is("/local/domain/3/device/vbd/51712/state", "1");
    is("/local/domain/0/backend/vbd/3/51712/frontend", "/local/domain/3/device/vbd/51712");
    is("/local/domain/0/backend/vbd/3/51712/frontend-id", "3");
    is("/local/domain/0/backend/vbd/3/51712/online", "1");
    is("/libxl/3/device/vbd/51712/backend", "/local/domain/0/backend/vbd/3/51712");
    is("/libxl/3/device/vbd/51712/mode", "w");
    /* The guest owns its end, reads ours, and neither sees nor writes the record. */
    assert_string_equal(fake_find("/local/domain/3/device/vbd/51712")->owner, "n3,r0");
    assert_string_equal(fake_find("/local/domain/0/backend/vbd/3/51712")->owner, "n0,r3");
    assert_string_equal(fake_find("/libxl/3/device/vbd/51712")->owner, "n0");
    assert_true(device_exists(&dev));
    assert_int_equal(device_close(&dev, true, 10), 0);
    assert_int_equal(device_forget(&dev), 0);
    assert_int_equal(n_fake, 0);
}

/* A guest that takes its device late: it must not be told to close before. */
static unsigned turns;

static void guest_turn(void)
{
    struct fake_node *back = fake_find("/local/domain/0/backend/vbd/3/51712/state");

    if (++turns == 3)
        strcpy(back->value, "4");
    if (*back->value == '5') {
        assert_true(turns > 3);
        strcpy(back->value, "6");
    }
}

static void test_close_waits(void **state)
{
    struct device dev;

    device_init(&dev, 3, "vbd", 51712);
    assert_int_equal(device_write_base(&dev), 0);
    turns = 0;
    fake_on_wait = guest_turn;
    int rc = device_close(&dev, false, 1000);
    fake_on_wait = NULL;
    assert_int_equal(rc, 0);
    assert_int_equal(turns, 4);
    is("/local/domain/0/backend/vbd/3/51712/online", "0");
}

/* The backend said "closed" at the moment when it was asked again: its word is lost, the frontend's stands. */
static void word_is_lost(void)
{
    struct fake_node *back = fake_find("/local/domain/0/backend/vbd/3/51712/state");

    if (*back->value == '5')
        strcpy(fake_find("/local/domain/3/device/vbd/51712/state")->value, "6");
    else
        strcpy(back->value, "4");
}

static void test_close_word_lost(void **state)
{
    struct device dev;

    device_init(&dev, 3, "vbd", 51712);
    assert_int_equal(device_write_base(&dev), 0);
    fake_on_wait = word_is_lost;
    int rc = device_close(&dev, false, 3000);
    fake_on_wait = NULL;
    assert_int_equal(rc, 0);
}

/* Somebody else takes the device away while it is asked to close: asking does not make it again. */
static void taken_away(void)
{
    store_remove("/local/domain/0/backend");
}

static void test_close_gone(void **state)
{
    struct device dev;

    for (unsigned force = 0; force < 2; force++) {
        start(state);
        device_init(&dev, 3, "vbd", 51712);
        assert_int_equal(device_write_base(&dev), 0);
        fake_meanwhile = taken_away;
        assert_int_equal(device_close_begin(&dev, force), 0);
        assert_null(fake_meanwhile);
        assert_null(fake_find("/local/domain/0/backend/vbd/3/51712/online"));
        assert_null(fake_find("/local/domain/0/backend/vbd/3/51712/state"));
        assert_int_equal(device_close(&dev, true, 10), 0);
        assert_int_equal(device_forget(&dev), 0);
        assert_int_equal(n_fake, 0);
    }
}

/* The kernel's complaints go with the device, and nothing of where they were stays. */
static void test_forget_error(void **state)
{
    struct device a, b;

    device_init(&a, 3, "vbd", 51712);
    device_init(&b, 4, "vif", 0);
    static const char *const parents[] = { "", "/backend", "/backend/vbd", "/backend/vbd/3", "/backend/vbd/3/51712", "/backend/vif", "/backend/vif/4", "/backend/vif/4/0" };

    for (unsigned i = 0; i < 8; i++) { /* a store makes them by itself */
        char path[100];

        snprintf(path, sizeof(path), "/local/domain/0/error%s", parents[i]);
        store_write(path, "%s", "");
    }
    store_write("/local/domain/0/error/backend/vbd/3/51712/error", "2 reading something");
    store_write("/local/domain/0/error/backend/vif/4/0/error", "2 reading another");
    assert_int_equal(device_forget(&a), 0);
    is("/local/domain/0/error/backend/vif/4/0/error", "2 reading another");
    assert_int_equal(device_forget(&b), 0);
    assert_int_equal(n_fake, 0);
}

/* Another guest's first disk comes while the last one's folder is found to be empty. */
static void another_comes(void)
{
    store_write("/local/domain/0/backend/vbd/4/51712/state", "1");
}

static void test_forget_meanwhile(void **state)
{
    struct device dev;

    device_init(&dev, 3, "vbd", 51712);
    store_write("/local/domain/0/backend/vbd/3/51712/state", "6");
    fake_meanwhile = another_comes;
    assert_int_equal(store_remove_empty(dev.back, "/local/domain/0"), 0);
    assert_null(fake_meanwhile);
    is("/local/domain/0/backend/vbd/4/51712/state", "1");
    assert_null(fake_find("/local/domain/0/backend/vbd/3/51712/state"));
}

/* Who changes the same nodes all the time makes it fail, not go on for ever. */
static unsigned changes;

static void changed_again(void)
{
    fake_meanwhile = ++changes < 100000 ? changed_again : NULL;
}

static int body(const void *arg)
{
    return store_write("/a", "b");
}

static void test_transact_bound(void **state)
{
    changes = 0;
    fake_meanwhile = changed_again;
    assert_int_equal(store_transact(body, NULL), -EBUSY);
    assert_non_null(strstr(fault_text(), "all the time"));
    assert_true(changes < 100000);
    assert_int_equal(n_fake, 0);
    fake_meanwhile = NULL;
    assert_int_equal(store_transact(body, NULL), 0);
    is("/a", "b");
}

static int collect(const struct device *dev, void *arg)
{
    char *text = arg;

    snprintf(text + strlen(text), 32, "%u ", dev->id);
    return 0;
}

static void test_each(void **state)
{
    static const unsigned ids[] = { 51728, 768, 268439552, 51712 };
    char text[128] = "";

    for (unsigned i = 0; i < 4; i++) {
        struct device dev;
        device_init(&dev, 1, "vbd", ids[i]);
        device_write_base(&dev);
    }
    assert_int_equal(device_each(1, "vbd", collect, text), 0);
    assert_string_equal(text, "768 51712 51728 268439552 ");
    assert_int_equal(device_each(2, "vbd", collect, text), 0);
}

/* Guest 5 has the image as xvdb with `mode`. */
static void someone_has(const char *file, const char *mode)
{
    struct device dev;

    device_init(&dev, 5, "vbd", 51728);
    device_write_base(&dev);
    device_put_back(&dev, "params", "%s", file);
    device_put_back(&dev, "mode", "%s", mode);
    store_write("/local/domain/5/name", "web");
}

static void test_users(void **state)
{
    struct disk_config d = { .target = image, .vdev = (char *)"xvda" };

    assert_int_equal(disk_check(&d, -1), 0);
    someone_has(image, "w");
    assert_int_equal(disk_check(&d, -1), -EBUSY);
    assert_non_null(strstr(fault_text(), "guest 'web' (domain 5) has it as xvdb for writing"));
    assert_non_null(strstr(fault_text(), "'w!'"));
    fault_clear();
    d.readonly = true;
    assert_int_equal(disk_check(&d, -1), -EBUSY);
    d.shared = true;
    assert_int_equal(disk_check(&d, -1), 0);
    d.shared = false;
    start(state);
    someone_has(image, "r");                    /* two readers may */
    assert_int_equal(disk_check(&d, -1), 0);
    d.readonly = false;                         /* a reader and a writer may not */
    assert_int_equal(disk_check(&d, -1), -EBUSY);
    start(state);
    someone_has(other, "w");
    assert_int_equal(disk_check(&d, -1), 0);
}

/* A hard link is the same image. */
static void test_users_link(void **state)
{
    struct disk_config d = { .target = image, .vdev = (char *)"xvda" };
    char link_name[80];

    snprintf(link_name, sizeof(link_name), "%s.link", image);
    assert_int_equal(link(image, link_name), 0);
    someone_has(link_name, "w");
    assert_int_equal(disk_check(&d, -1), -EBUSY);
    unlink(link_name);
}

static void refused(struct disk_config d, int domid, const char *says)
{
    fault_clear();
    assert_true(disk_check(&d, domid) < 0);
    if (!strstr(fault_text(), says))
        fail_msg("says: %s", fault_text());
}

static void test_refusals(void **state)
{
    struct disk_config d = { .target = image, .vdev = (char *)"xvda" }, x;

    x = d, x.vdev = (char *)"foo";
    refused(x, -1, "disk name 'foo'");
    x = d, x.target = (char *)"/nonexistent/x";
    refused(x, -1, "No such file");
    x = d, x.how = DISK_PHY;
    refused(x, -1, "is a file, not a block device");
    x = d, x.target = (char *)"/dev/null";
    refused(x, -1, "neither a file nor a block device");
    x = d, x.format = DISK_QCOW2;
    refused(x, -1, "is no qcow2 image");
    x = d, x.script = (char *)"nonexistent-script";
    refused(x, -1, "put it there");
    x = d, x.backend = (char *)"driver";
    refused(x, -1, "domain 0 only");
    x = d, x.target = NULL;
    refused(x, -1, "without a medium");
    someone_has(other, "r");
    x = d, x.vdev = (char *)"xvdb";
    refused(x, 5, "has a disk of that name");
    assert_int_equal(truncate(other, 100), 0);
    x = d, x.target = other;
    refused(x, -1, "holds 100 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_base, start), cmocka_unit_test_setup(test_close_waits, start),
        cmocka_unit_test_setup(test_close_word_lost, start), cmocka_unit_test_setup(test_close_gone, start),
        cmocka_unit_test_setup(test_forget_error, start), cmocka_unit_test_setup(test_forget_meanwhile, start), cmocka_unit_test_setup(test_transact_bound, start),
        cmocka_unit_test_setup(test_each, start), cmocka_unit_test_setup(test_users, start),
        cmocka_unit_test_setup(test_users_link, start), cmocka_unit_test_setup(test_refusals, start),
    };

    snprintf(image, sizeof(image), "/tmp/zendo-disk.%d", getpid());
    snprintf(other, sizeof(other), "/tmp/zendo-other.%d", getpid());
    for (int i = 0; i < 2; i++) {
        FILE *f = fopen(i ? other : image, "w");
        if (!f || ftruncate(fileno(f), 65536))
            return 1;
        fclose(f);
    }
    snprintf(socket_path, sizeof(socket_path), "/tmp/zendo-store.%d", getpid());
    if (fake_begin(socket_path))
        return 1;
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(image);
    unlink(other);
    fake_end(socket_path);
    return rc;
}
