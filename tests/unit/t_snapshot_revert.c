/* SPDX-License-Identifier: MIT */
/*
 * A guest becomes what it was; snapshots are deleted; what killed commands have left. Whatever fails, at each step.
 *
 * sources: toolstack/lib/snapshot_create.c toolstack/lib/snapshot_revert.c toolstack/lib/snapshot_list.c toolstack/lib/snapshot_folder.c
 * sources: toolstack/lib/snapshot_meta.c toolstack/lib/snapshot_disks.c toolstack/lib/snapshot_file.c toolstack/lib/snapshot_lvm.c
 * sources: toolstack/lib/snapshot_qcow2.c toolstack/lib/snapshot_signals.c toolstack/lib/precopy.c toolstack/lib/program.c toolstack/lib/fault.c
 * libs: -ljson-c -lm
 */
#include "snapshot_env.h"

/* --- reverting ---------------------------------------------------------------------------------------------------------- */

static void change(void)
{
    put(disk_a, "a later on, and longer");
    put(disk_b, "b later");
    memory = "counter 99";
}

static void test_revert(void **state)
{
    struct stat st;

    create("one");
    change();
    create("two");
    assert_int_equal(revert("one"), 0);
    assert_string_equal(events, "users destroy restore unpause ");
    assert_string_equal(restored, "counter 41");
    assert_string_equal(get(disk_a), "a at first");
    assert_string_equal(get(disk_b), "b at first");
    assert_int_equal(stat(disk_a, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_string_equal(get("disks/a.img@one"), "a at first");
    assert_false(there("disks/a.img@one.new"));
    put(disk_a, "once more");
    assert_string_equal(get("disks/a.img@one"), "a at first");
    assert_int_equal(revert("two"), 0);
    assert_string_equal(restored, "counter 99");
    assert_string_equal(get(disk_a), "a later on, and longer");
    running = false; /* of a guest that is gone */
    options.paused = true;
    assert_int_equal(revert("one"), 0);
    assert_string_equal(events, "users restore ");
    assert_int_equal(count(), 2);
}

static void test_revert_fails_at(void **state)
{
    static const char *const says[] = { "users fails", "disks have not been touched", "could not be brought back", "could not be brought back" };

    for (int i = 1; i <= 4; i++) {
        setup(NULL);
        create("one");
        change();
        fail_at = i;
        assert_int_equal(revert("one"), -EIO);
        if (!strstr(fault_text(), says[i - 1]))
            fail_msg("%d: %s", i, fault_text());
        assert_string_equal(get(disk_a), i < 3 ? "a later on, and longer" : "a at first");
        assert_string_equal(get(disk_b), i < 3 ? "b later" : "b at first");
        assert_false(there("disks/a.img@one.new"));
        assert_int_equal(running, i < 3);
        fail_at = 0;
        assert_int_equal(revert("one"), 0);
        assert_string_equal(restored, "counter 41");
        assert_string_equal(get(disk_b), "b at first");
    }
}

/* Whatever is missing is found while the guest still runs. */
static void test_revert_damaged(void **state)
{
    struct snapshot_info *l;

    create("one");
    change();
    assert_int_equal(rename("disks/b.img@one", "disks/away"), 0);
    assert_int_equal(revert("one"), -ENOENT);
    assert_non_null(strstr(fault_text(), "disk xvdb: its copy"));
    assert_string_equal(events, "");
    assert_int_equal(snapshot_list("demo", &l), 1);
    assert_non_null(strstr(l->damage, "xvdb"));
    snapshot_list_free(l, 1);
    put("disks/b.img@one", "short");
    assert_int_equal(revert("one"), -EIO);
    assert_int_equal(rename("disks/away", "disks/b.img@one"), 0);
    put("state/snapshots/demo/one/memory", "");
    assert_int_equal(revert("one"), -ENODATA);
    unlink("state/snapshots/demo/one/memory");
    assert_int_equal(revert("one"), -ENOENT);
    assert_string_equal(events, "");
    assert_int_equal(revert("nope"), -ENOENT);
    assert_string_equal(get(disk_a), "a later on, and longer");
}

/* Stopped before the guest has been ended: it runs on, as if nothing had been. */
static int revert_signal;
static int clone_and_signal(int to, int from)
{
    raise(revert_signal);
    return pretend_clone(to, from);
}

static void test_revert_stopped(void **state)
{
    struct sigaction a = { .sa_handler = on_signal };

    create("one");
    change();
    revert_signal = SIGTERM;
    sigaction(SIGTERM, &a, NULL);
    heard = 0;
    snap_clone = clone_and_signal;
    assert_int_equal(revert("one"), -EINTR);
    assert_int_equal(heard, 1);
    assert_string_equal(events, "users ");
    assert_false(there("disks/a.img@one.new"));
    assert_string_equal(get(disk_a), "a later on, and longer");
}

static void test_revert_no_room(void **state)
{
    create("one");
    change();
    clones = 2;
    snap_clone = clone_a_only; /* one more, then none */
    assert_int_equal(revert("one"), -ENOSPC);
    assert_string_equal(events, "users ");
    assert_false(there("disks/a.img@one.new"));
    assert_string_equal(get(disk_a), "a later on, and longer");
}

/* --- deleting, and what was left ---------------------------------------------------------------------------------------- */

static void test_delete(void **state)
{
    create("one");
    create("two");
    unlink("disks/b.img@two");
    assert_int_equal(snapshot_delete(NULL, "demo", "two"), 0); /* what is gone already is fine */
    assert_int_equal(count(), 1);
    assert_string_equal(get("disks/a.img@one"), "a at first");
    assert_int_equal(snapshot_delete(NULL, "demo", "two"), -ENOENT);
    assert_int_equal(snapshot_delete(NULL, "demo", "one"), 0);
    nothing_left();
    assert_false(there("state/snapshots/demo"));
}

static void test_delete_fails(void **state)
{
    create("one");
    assert_int_equal(sh("rm disks/a.img@one; mkdir disks/a.img@one"), 0);
    assert_int_not_equal(snapshot_delete(NULL, "demo", "one"), 0);
    assert_non_null(strstr(fault_text(), "delete it again"));
    assert_int_equal(count(), 1);
    assert_int_equal(sh("rmdir disks/a.img@one"), 0);
    assert_int_equal(snapshot_delete(NULL, "demo", "one"), 0);
    nothing_left();
}

/* A command was killed: while it made one, while it deleted one. */
static void test_killed(void **state)
{
    create("one");
    create("two");
    assert_int_equal(rename("state/snapshots/demo/one", "state/snapshots/demo/.one.new"), 0);
    assert_int_equal(rename("state/snapshots/demo/two", "state/snapshots/demo/.two.gone"), 0);
    assert_int_equal(mkdir("state/snapshots/demo/.three.new", 0700), 0);
    assert_int_equal(count(), 0);
    create("four");
    assert_int_equal(count(), 1);
    assert_int_equal(sh("test \"$(ls -A state/snapshots/demo | tr '\\n' ' ')\" = '.lock four '"), 0);
    assert_int_equal(sh("test \"$(ls disks | tr '\\n' ' ')\" = 'a.img a.img@four b.img b.img@four '"), 0);
}

static void test_locked(void **state)
{
    create("one");
    int fd = open("state/snapshots/demo/.lock", O_RDWR);

    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(snapshot_create(NULL, number, "two", &options, &cost), -EBUSY);
    assert_int_equal(snapshot_delete(NULL, "demo", "one"), -EBUSY);
    close(fd);
    assert_int_equal(snapshot_delete(NULL, "demo", "one"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_revert, setup), cmocka_unit_test_setup(test_revert_fails_at, setup),
        cmocka_unit_test_setup(test_revert_damaged, setup), cmocka_unit_test_setup(test_revert_stopped, setup),
        cmocka_unit_test_setup(test_revert_no_room, setup), cmocka_unit_test_setup(test_delete, setup),
        cmocka_unit_test_setup(test_delete_fails, setup), cmocka_unit_test_setup(test_killed, setup),
        cmocka_unit_test_setup(test_locked, setup),
    };

    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
