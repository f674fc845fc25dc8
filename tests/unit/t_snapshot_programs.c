/* SPDX-License-Identifier: MIT */
/*
 * Disks that are volumes and images: LVM's and QEMU's programs are little scripts here, the kernel's device mapper and the storage daemon pretend.
 *
 * sources: toolstack/lib/snapshot_create.c toolstack/lib/snapshot_revert.c toolstack/lib/snapshot_list.c toolstack/lib/snapshot_folder.c
 * sources: toolstack/lib/snapshot_meta.c toolstack/lib/snapshot_disks.c toolstack/lib/snapshot_file.c toolstack/lib/snapshot_lvm.c
 * sources: toolstack/lib/snapshot_qcow2.c toolstack/lib/snapshot_signals.c toolstack/lib/precopy.c toolstack/lib/program.c toolstack/lib/fault.c
 * libs: -ljson-c -lm
 */
#include "snapshot_env.h"

/* --- programs ---------------------------------------------------------------------------------------------------------------- */

static void script(const char *name, const char *text)
{
    char path[64];

    snprintf(path, sizeof(path), "bin/%s", name);
    put(path, text);
    chmod(path, 0755);
}

/* Volumes are files in disks/vg; the last word of a call is what it is about. */
static void make_lvm(void)
{
    script("lvs", "#!/bin/sh\nif [ \"$3\" = thin_id ]; then echo '  2'; exit; fi\nfor last; do :; done\nv=${last#/dev/}\n[ -e disks/$v ] || exit 5\n"
                  "echo '  WARNING: this is said too'\necho \"  ${v%%/*} ${v#*/} $(cat disks/kind)\"\n");
    script("lvcreate", "#!/bin/sh\necho \"lvcreate $*\" >> disks/log\n[ ! -e disks/refuse ] || { echo 'pool is full'; exit 5; }\nfor last; do :; done\n"
                       "while [ \"$1\" != -n ]; do shift; done\ncp disks/$last disks/vg/$2\n");
    script("lvremove", "#!/bin/sh\necho \"lvremove $*\" >> disks/log\nfor last; do :; done\nrm disks/$last\n");
    script("lvrename", "#!/bin/sh\necho \"lvrename $*\" >> disks/log\nmv disks/$1 disks/$2\n");
    script("lvchange", "#!/bin/sh\nexit 0\n");
    assert_int_equal(mkdir("disks/vg", 0755), 0);
    put("disks/vg/root", "root at first");
    put("disks/kind", "thin");
    disks[0] = (struct disk_config){ .target = (char *)"/dev/vg/root", .vdev = "xvda" };
    n_disks = 1;
}

static void test_lvm(void **state)
{
    make_lvm();
    create("one");
    assert_string_equal(events, "config attached thin open round suspend hold set release finish resume close ");
    assert_string_equal(get("disks/vg/root.one"), "root at first");
    assert_string_equal(get("disks/log"), "lvcreate -q -s -ky -n root.one vg/root\n");
    put("disks/vg/root", "root later");
    assert_int_equal(revert("one"), 0);
    assert_string_equal(get("disks/vg/root"), "root at first");
    assert_string_equal(get("disks/vg/root.one"), "root at first");
    assert_int_equal(sh("test \"$(ls disks/vg | tr '\\n' ' ')\" = 'root root.one '"), 0);
    assert_int_equal(snapshot_delete(NULL, "demo", "one"), 0);
    assert_int_equal(sh("test \"$(ls disks/vg)\" = root"), 0);
    put("disks/refuse", "");
    assert_int_equal(snapshot_create(NULL, number, "two", &options, &cost), -EIO);
    assert_non_null(strstr(fault_text(), "lvcreate -q fails: pool is full"));
    assert_false(suspended);
    put("disks/kind", "linear");
    fault_clear();
    assert_int_equal(snapshot_create(NULL, number, "two", &options, &cost), -EOPNOTSUPP);
    assert_non_null(strstr(fault_text(), "kind 'linear'"));
    assert_int_equal(sh("rm disks/vg/root"), 0);
    fault_clear();
    assert_int_equal(snapshot_create(NULL, number, "two", &options, &cost), -EOPNOTSUPP);
    assert_non_null(strstr(fault_text(), "plain block device"));
    assert_int_equal(count(), 0);
}

/* LVM made it while the guest ran; what counts is what the volume is in the pause. Whatever fails, the volume is released and the copy goes. */
static void test_lvm_fails_at(void **state)
{
    for (int i = 3; i <= 9; i++) {
        setup(NULL);
        make_lvm();
        fail_at = i;
        assert_int_equal(snapshot_create(NULL, number, "one", &options, &cost), -EIO);
        assert_false(suspended);
        assert_int_equal(strstr(events, "hold set") != NULL, strstr(events, "release") != NULL);
        assert_int_equal(sh("test \"$(ls disks/vg)\" = root"), 0);
        assert_int_equal(count(), 0);
        assert_int_equal(sh("test -z \"$(find state -type f)\""), 0);
    }
}

/* An image that holds its snapshots in a folder beside it. */
static void make_qcow2(void)
{
    script("qemu-img", "#!/bin/sh\nfor last; do :; done\ns=$last.d\nmkdir -p $s\n"
                       "if [ $1 = info ]; then echo \"{\\\"virtual-size\\\": 777, \\\"snapshots\\\": [$(cd $s; for f in *; do [ ! -e \"$f\" ] || printf '%s{\"name\":\"%s\"}' \"$c\" $f; c=,; done)]}\"; exit; fi\n"
                       "[ ! -e disks/locked ] || { rm disks/locked; echo 'Failed to get \"write\" lock'; exit 1; }\n"
                       "case $3 in -c) cp $last $s/$4 ;; -a) cp $s/$4 $last ;; -d) rm $s/$4 ;; esac\n");
    can_share = false;
    disks[0].format = DISK_QCOW2;
    n_disks = 1;
}

/* The file system shares blocks of the second disk only. */
static int only_second(int to, int from)
{
    char first = 0;

    return pread(from, &first, 1, 0) == 1 && first == 'b' ? pretend_clone(to, from) : -EOPNOTSUPP;
}

static void test_qcow2(void **state)
{
    struct snapshot_info *l;

    make_qcow2();
    served = true;
    create("one");
    assert_string_equal(events, "config attached open round suspend let-go take-up finish resume close ");
    assert_int_equal(snapshot_list("demo", &l), 1);
    assert_string_equal(l->disk[0].method, "qcow2");
    assert_int_equal(l->disk[0].bytes, 777);
    snapshot_list_free(l, 1);
    create("two");
    put(disk_a, "a later");
    put("disks/locked", "");
    served = false;
    assert_int_equal(revert("one"), 0);
    assert_string_equal(get(disk_a), "a at first");
    fault_clear();
    assert_int_equal(sh("mkdir -p disks/a.img.d && touch disks/a.img.d/three"), 0);
    assert_int_equal(snapshot_create(NULL, number, "three", &options, &cost), -EEXIST);
    assert_int_equal(snapshot_delete(NULL, "demo", "one"), 0);
    assert_int_equal(sh("test \"$(ls disks/a.img.d | tr '\\n' ' ')\" = 'three two '"), 0);
    assert_int_equal(sh("rm disks/a.img.d/two"), 0);
    assert_int_equal(revert("two"), -ENOENT);
    assert_non_null(strstr(fault_text(), "has no snapshot 'two' any more"));
}

/* A server that takes orders: it has been spoken to before the pause, and nobody takes the image from him. */
static void test_qcow2_by_order(void **state)
{
    make_qcow2();
    served = daemon_serves = true;
    create("one");
    assert_string_equal(events, "config attached connect open round suspend order finish done resume close ");
    refuses = true;
    assert_int_equal(snapshot_create(NULL, number, "two", &options, &cost), -EREMOTEIO);
    assert_non_null(strstr(fault_text(), "disk xvda: snapshot 'two' in the image"));
    assert_false(suspended);
    refuses = false;
    *events = 0;
    assert_int_equal(snapshot_delete(NULL, "demo", "one"), 0);
    assert_string_equal(events, "connect order-delete done ");
    assert_int_equal(connections, 0);
    assert_int_equal(sh("test -z \"$(ls disks/a.img.d)\""), 0);
}

/* An order that has been given is awaited, whatever fails meanwhile, and what it made is taken away. */
static void test_qcow2_fails_at(void **state)
{
    for (int i = 3; i <= 9; i++) {
        setup(NULL);
        make_qcow2();
        served = daemon_serves = true;
        n_disks = 2;
        disks[1].format = DISK_RAW;
        can_share = true;
        snap_clone = only_second;
        fail_at = i;
        assert_int_equal(snapshot_create(NULL, number, "one", &options, &cost), -EIO);
        assert_non_null(strstr(fault_text(), "fails"));
        assert_false(suspended);
        assert_int_equal(connections, 0);
        assert_int_equal(sh("test -z \"$(ls disks/a.img.d disks | grep one)\""), 0);
        assert_int_equal(count(), 0);
    }
}

static void test_no_program(void **state)
{
    char path[] = "PATH=/nowhere", *old = strdup(getenv("PATH"));

    make_qcow2();
    setenv("PATH", path + 5, 1);
    assert_int_equal(snapshot_create(NULL, number, "one", &options, &cost), -ENOENT);
    setenv("PATH", old, 1);
    free(old);
    assert_non_null(strstr(fault_text(), "qemu-img is not there; apt-get install qemu-utils"));
    nothing_left();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_lvm, setup), cmocka_unit_test_setup(test_lvm_fails_at, setup), cmocka_unit_test_setup(test_qcow2, setup),
        cmocka_unit_test_setup(test_qcow2_by_order, setup), cmocka_unit_test_setup(test_qcow2_fails_at, setup), cmocka_unit_test_setup(test_no_program, setup),
    };

    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
