/* SPDX-License-Identifier: MIT */
/*
 * Snapshots are made: in which order, what is left after a failure at each step, and names and descriptions that mean harm. With a guest that is
 * made of pretence (snapshot_env.h).
 *
 * sources: toolstack/lib/snapshot_create.c toolstack/lib/snapshot_revert.c toolstack/lib/snapshot_list.c toolstack/lib/snapshot_folder.c
 * sources: toolstack/lib/snapshot_meta.c toolstack/lib/snapshot_disks.c toolstack/lib/snapshot_file.c toolstack/lib/snapshot_lvm.c
 * sources: toolstack/lib/snapshot_qcow2.c toolstack/lib/snapshot_signals.c toolstack/lib/precopy.c toolstack/lib/program.c toolstack/lib/fault.c
 * libs: -ljson-c -lm
 */
#include "snapshot_env.h"

/* --- making ------------------------------------------------------------------------------------------------------------- */

static void test_create(void **state)
{
    struct snapshot_info *l;

    create("one");
    assert_string_equal(events, "config attached open round suspend finish resume close ");
    assert_false(suspended);
    assert_string_equal(get("disks/a.img@one"), "a at first");
    assert_string_equal(get("disks/b.img@one"), "b at first");
    assert_string_equal(get("state/snapshots/demo/one/memory"), "counter 41");
    assert_int_equal(snapshot_list("demo", &l), 1);
    assert_string_equal(l->guest, "demo");
    assert_string_equal(l->name, "one");
    assert_null(l->damage);
    assert_int_equal(l->n_disks, 3);
    assert_string_equal(l->disk[0].method, "reflink");
    assert_string_equal(l->disk[2].method, "unchanged");
    assert_int_equal(l->disk[0].bytes, 10);
    assert_int_equal(l->guest_memory, 65536);
    snapshot_list_free(l, 1);
    assert_int_equal(snapshot_create(NULL, number, "one", &options, &cost), -EEXIST);
    assert_string_equal(get("disks/a.img@one"), "a at first");
    create("two");
    assert_int_equal(count(), 2);
}

/* Whichever step fails: the guest goes on, nothing is left, and the text is the failure's. */
static void test_create_fails_at(void **state)
{
    for (int i = 1; i <= 7; i++) {
        setup(NULL);
        fail_at = i;
        int rc = snapshot_create(NULL, number, "one", &options, &cost);

        assert_false(logged);
        if (i == 7) { /* the guest does not go on: then the snapshot is all that there is of it */
            assert_int_equal(rc, -EIO);
            assert_non_null(strstr(fault_text(), "snapshot revert demo one"));
            assert_int_equal(count(), 1);
            continue;
        }
        assert_int_equal(rc, -EIO);
        assert_non_null(strstr(fault_text(), "fails"));
        assert_false(suspended);
        nothing_left();
    }
}

/* A guest that cannot be logged stands still while all is written. */
static void test_create_not_live(void **state)
{
    no_log = true;
    create("one");
    assert_string_equal(events, "config attached open suspend finish resume close ");
    assert_int_equal(cost.rounds, 0);
}

/* Stopped in a round: the guest is not touched, nothing is left, and the signal arrives when all is done. */
static void test_create_stopped(void **state)
{
    struct sigaction a = { .sa_handler = on_signal };

    sigaction(SIGTERM, &a, NULL);
    stop_in_round = SIGTERM;
    heard = 0;
    assert_int_equal(snapshot_create(NULL, number, "one", &options, &cost), -EINTR);
    assert_int_equal(heard, 1);
    assert_string_equal(events, "config attached open round close ");
    assert_false(logged);
    nothing_left();
}

/* The second disk cannot be set down in the pause: the first one's copy goes, the guest runs. */
static void test_create_disk_fails(void **state)
{
    static struct stat st;

    put("disks/b.img@one", "somebody's");
    assert_int_equal(snapshot_create(NULL, number, "one", &options, &cost), -EEXIST);
    assert_non_null(strstr(fault_text(), "disk xvdb: there is a file"));
    assert_string_equal(events, "config attached ");
    assert_string_equal(get("disks/b.img@one"), "somebody's");
    unlink("disks/b.img@one");
    nothing_left();
    assert_int_equal(stat("state/snapshots/demo", &st), -1);
}

static void test_create_no_room(void **state)
{
    clones = 0;
    snap_clone = clone_a_only;
    int rc = snapshot_create(NULL, number, "one", &options, &cost);

    clones = 0;
    assert_int_equal(rc, -ENOSPC);
    assert_non_null(strstr(fault_text(), "b.img@one"));
    assert_string_equal(events, "config attached open round suspend resume close ");
    nothing_left();
}

static void test_refused(void **state)
{
    can_share = false;
    assert_int_equal(snapshot_create(NULL, number, "one", &options, &cost), -EOPNOTSUPP);
    assert_non_null(strstr(fault_text(), "disk xvda: the file system of"));
    assert_non_null(strstr(fault_text(), "--copy"));
    nothing_left();
    options.copy = true;
    create("one");
    assert_string_equal(get("disks/b.img@one"), "b at first");
    disks[1].target = (char *)"nbd:1.2.3.4:10809";
    fault_clear();
    assert_int_equal(snapshot_create(NULL, number, "two", &options, &cost), -EOPNOTSUPP);
    assert_non_null(strstr(fault_text(), "served from elsewhere"));
    disks[1].script = (char *)"block-drbd";
    fault_clear();
    assert_int_equal(snapshot_create(NULL, number, "two", &options, &cost), -EOPNOTSUPP);
    assert_non_null(strstr(fault_text(), "by a script (block-drbd)"));
    assert_false(there("disks/a.img@two"));
}

static void test_names(void **state)
{
    static const char *const bad[] = { "", ".", "..", "../x", "a/b", "-x", ".x", "_x", "a b", "a\n", "@", "1", "20261124", "a234567890123456789012345678901234567890123456789012345678901234" };
    static const char *const good[] = { "a", "before-upgrade", "2026-11-24_12.30", "1a", "a23456789012345678901234567890123456789012345678901234567890123" };
    uint32_t domid;

    for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_int_equal(snapshot_create(NULL, number, bad[i], &options, &cost), -EINVAL);
        assert_int_equal(snapshot_revert(NULL, "demo", bad[i], &options, &domid), -EINVAL);
        assert_int_equal(snapshot_delete(NULL, "demo", bad[i]), -EINVAL);
    }
    for (unsigned i = 0; i < sizeof(good) / sizeof(*good); i++)
        assert_int_equal(snapshot_check_name(good[i]), 0);
    fault_clear();
    assert_int_equal(snapshot_delete(NULL, "../..", "x"), -EINVAL);
    assert_int_equal(snapshot_delete(NULL, "..", "x"), -EINVAL);
    assert_int_equal(snapshot_delete(NULL, "nobody", "x"), -ENOENT);
    assert_int_equal(snapshot_create(NULL, 99, "x", &options, &cost), -ENOENT);
    assert_string_equal(events, "");
}

/* --- descriptions that mean harm ------------------------------------------------------------------------------------------ */

static void test_meta(void **state)
{
    static const char *const bad[] = { "", "[]", "{}", "{\"version\":2}", "{\"version\":1,\"guest\":1}",
        "{\"version\":1,\"guest\":\"demo\",\"snapshot\":\"one\",\"time\":1,\"guest_memory_kib\":1,\"pause_us\":1}",
        "{\"version\":1,\"guest\":\"demo\",\"snapshot\":\"one\",\"time\":-1,\"guest_memory_kib\":1,\"pause_us\":1,\"disks\":[]}",
        "{\"version\":1,\"guest\":\"demo\",\"snapshot\":\"one\",\"time\":1,\"guest_memory_kib\":1,\"pause_us\":1,\"disks\":[1]}",
        "{\"version\":1,\"guest\":\"de\\nmo\",\"snapshot\":\"one\",\"time\":1,\"guest_memory_kib\":1,\"pause_us\":1,\"disks\":[]}",
        "{\"version\":1,\"guest\":\"demo\",\"snapshot\":\"other\",\"time\":1,\"guest_memory_kib\":1,\"pause_us\":1,\"disks\":[]}",
        "{\"version\":1,\"guest\":\"demo\",\"snapshot\":\"one\",\"time\":1,\"guest_memory_kib\":1,\"pause_us\":1,\"disks\":[{\"vdev\":\"xvda\",\"target\":\"/x\",\"format\":\"raw\",\"method\":\"magic\",\"copy\":\"/y\",\"bytes\":0}]}",
        "{\"version\":1,\"guest\":\"demo\",\"snapshot\":\"one\",\"time\":1,\"guest_memory_kib\":1,\"pause_us\":1,\"disks\":[{\"vdev\":\"xvda\",\"target\":\"/x\",\"format\":\"raw\",\"method\":\"lvm-thin\",\"copy\":\"-f\",\"bytes\":0}]}",
        "{\"version\":1,\"guest\":\"demo\",\"snapshot\":\"one\",\"time\":1,\"guest_memory_kib\":1,\"pause_us\":1,\"disks\":[{\"vdev\":\"xvda\",\"target\":\"/x\",\"format\":\"raw\",\"method\":\"copy\",\"bytes\":0}]}" };

    create("one");
    for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        put("state/snapshots/demo/one/meta.json", bad[i]);
        assert_int_equal(revert("one"), -EBADMSG);
        assert_non_null(strstr(fault_text(), "state/snapshots/demo/one"));
        assert_string_equal(events, "");
    }
}

static void test_meta_cut(void **state)
{
    struct snap_meta m;
    char whole[4096];
    int fd;

    create("one");
    fd = open("state/snapshots/demo/one/meta.json", O_RDONLY);
    ssize_t n = read(fd, whole, sizeof(whole) - 1);

    close(fd);
    assert_true(n > 100);
    for (ssize_t i = 0; i < n - 2; i++) {
        whole[n] = 0;
        char *cut = strndup(whole, (size_t)i);

        put("state/snapshots/demo/one/meta.json", cut);
        free(cut);
        fault_clear();
        assert_int_equal(snap_meta_read(&m, "state/snapshots/demo/one"), -EBADMSG);
        snap_meta_dispose(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_create, setup), cmocka_unit_test_setup(test_create_fails_at, setup),
        cmocka_unit_test_setup(test_create_not_live, setup), cmocka_unit_test_setup(test_create_stopped, setup),
        cmocka_unit_test_setup(test_create_disk_fails, setup), cmocka_unit_test_setup(test_create_no_room, setup),
        cmocka_unit_test_setup(test_refused, setup), cmocka_unit_test_setup(test_names, setup),
        cmocka_unit_test_setup(test_meta, setup), cmocka_unit_test_setup(test_meta_cut, setup),
    };

    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
