/* SPDX-License-Identifier: MIT */
/*
 * Disks and networks in all their spellings, from files and from the words of block-attach and network-attach.
 * sources: toolstack/lib/config.c toolstack/lib/config_lex.c toolstack/lib/config_value.c toolstack/lib/config_expr.c
 * sources: toolstack/lib/config_ops.c toolstack/lib/config_builtin.c toolstack/lib/config_eval.c toolstack/lib/config_keys.c
 * sources: toolstack/lib/config_finish.c toolstack/lib/config_part.c toolstack/lib/config_disk.c toolstack/lib/config_vif.c
 * sources: toolstack/lib/config_print.c toolstack/lib/fault.c
 * libs: -ljson-c
 */
#include "config_env.h"

#define RO 1
#define CD 2
#define SHARED 4

static void test_disks(void **state)
{
    static const struct {
        const char *spec, *target, *vdev, *script, *backend;
        enum disk_format format;
        enum disk_backend how;
        int flags;
    } rows[] = {
        /* Three spellings of one disk. */
        { "/dev/vg/guest-volume,,hda", "/dev/vg/guest-volume", "hda", NULL, NULL, DISK_RAW, DISK_AUTO, 0 },
        { "/dev/vg/guest-volume,raw,hda,rw", "/dev/vg/guest-volume", "hda", NULL, NULL, DISK_RAW, DISK_AUTO, 0 },
        { "format=raw, vdev=hda, access=rw, target=/dev/vg/guest-volume", "/dev/vg/guest-volume", "hda", NULL, NULL, DISK_RAW, DISK_AUTO, 0 },
        { "raw:/dev/vg/guest-volume,hda,w", "/dev/vg/guest-volume", "hda", NULL, NULL, DISK_RAW, DISK_AUTO, 0 },
        /* CDs. */
        { "/root/image.iso,,hdc,cdrom", "/root/image.iso", "hdc", NULL, NULL, DISK_RAW, DISK_AUTO, RO | CD },
        { "/root/image.iso,,hdc,,cdrom", "/root/image.iso", "hdc", NULL, NULL, DISK_RAW, DISK_AUTO, RO | CD },
        { "/root/image.iso,raw,hdc,devtype=cdrom", "/root/image.iso", "hdc", NULL, NULL, DISK_RAW, DISK_AUTO, RO | CD },
        { "raw:/root/image.iso,hdc:cdrom,ro", "/root/image.iso", "hdc", NULL, NULL, DISK_RAW, DISK_AUTO, RO | CD },
        { ",hdc:cdrom,r", NULL, "hdc", NULL, NULL, DISK_EMPTY, DISK_AUTO, RO | CD },
        { "vdev=hdc,cdrom", NULL, "hdc", NULL, NULL, DISK_EMPTY, DISK_AUTO, RO | CD },
        /* Old prefixes. */
        { "phy:/dev/vg/x,xvda1,w", "/dev/vg/x", "xvda1", NULL, NULL, DISK_RAW, DISK_AUTO, 0 },
        { "phy:vg/x,xvda1,w", "/dev/vg/x", "xvda1", NULL, NULL, DISK_RAW, DISK_AUTO, 0 },
        { "phy:sda7,sda1,r", "/dev/sda7", "sda1", NULL, NULL, DISK_RAW, DISK_AUTO, RO },
        { "file:/img/a.img,ioemu:hda,w", "/img/a.img", "hda", NULL, NULL, DISK_RAW, DISK_AUTO, 0 },
        { "tap:aio:/img/a.img,xvda,w", "/img/a.img", "xvda", NULL, NULL, DISK_RAW, DISK_AUTO, 0 },
        { "tap:qcow:/img/a.qcow,xvda,w", "/img/a.qcow", "xvda", NULL, NULL, DISK_QCOW, DISK_AUTO, 0 },
        { "tap2:qcow2:/img/a,xvda,w", "/img/a", "xvda", NULL, NULL, DISK_QCOW2, DISK_AUTO, 0 },
        { "vhd:/img/a.vhd,xvda,w", "/img/a.vhd", "xvda", NULL, NULL, DISK_VHD, DISK_AUTO, 0 },
        { "drbd:r0,xvda,w", "r0", "xvda", "block-drbd", NULL, DISK_RAW, DISK_AUTO, 0 },
        { "iscsi:iqn.x,xvda,w", "iqn.x", "xvda", "block-iscsi", NULL, DISK_RAW, DISK_AUTO, 0 },
        { "nbd:10.0.0.1:10809:exportname=a,xvda,w", "nbd:10.0.0.1:10809:exportname=a", "xvda", NULL, NULL, DISK_RAW, DISK_QDISK, 0 },
        { "phy:/dev/x,/dev/xvda,w!", "/dev/x", "xvda", NULL, NULL, DISK_RAW, DISK_AUTO, SHARED },
        { "phy:/dev/x,xvda,w,domD", "/dev/x", "xvda", NULL, "domD", DISK_RAW, DISK_AUTO, 0 },
        { "phy:/dev/x,0xca00,w", "/dev/x", "0xca00", NULL, NULL, DISK_RAW, DISK_AUTO, 0 },
        { "/x,raw,d5p2", "/x", "d5p2", NULL, NULL, DISK_RAW, DISK_AUTO, 0 },
        { "/x,xvdaa15,r", "/x", "xvdaa15", NULL, NULL, DISK_RAW, DISK_AUTO, RO },
        /* Options. */
        { "script=block-own,vdev=xvda,target=any,thing = else ", "any,thing = else ", "xvda", "block-own", NULL, DISK_RAW, DISK_AUTO, 0 },
        { "/a,qcow2,xvda,backend=domD,backendtype=qdisk", "/a", "xvda", NULL, "domD", DISK_QCOW2, DISK_QDISK, 0 },
        { "/a,,xvda,backendtype=phy,access=", "/a", "xvda", NULL, NULL, DISK_RAW, DISK_PHY, 0 },
        { "/dev/disk/by-id/x=y,,xvda", "/dev/disk/by-id/x=y", "xvda", NULL, NULL, DISK_RAW, DISK_AUTO, 0 },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *const words[] = { rows[i].spec };
        struct disk_config d;

        fault_clear();
        if (config_parse_disk(&d, words, 1))
            fail_msg("%s: %s", rows[i].spec, fault_text());
        int flags = (d.readonly ? RO : 0) | (d.cdrom ? CD : 0) | (d.shared ? SHARED : 0);
        const char *got[] = { d.target, d.vdev, d.script, d.backend };
        const char *want[] = { rows[i].target, rows[i].vdev, rows[i].script, rows[i].backend };
        for (int k = 0; k < 4; k++)
            if ((got[k] == NULL) != (want[k] == NULL) || (got[k] && strcmp(got[k], want[k]) != 0))
                fail_msg("%s: %d is %s, expected %s", rows[i].spec, k, got[k], want[k]);
        if (d.format != rows[i].format || d.how != rows[i].how || flags != rows[i].flags || !d.discard || !d.trusted)
            fail_msg("%s: format %d how %d flags %d", rows[i].spec, d.format, d.how, flags);
        config_dispose_disk(&d);
    }
}

static void test_disk_flags(void **state)
{
    const char *const words[] = { "/a", "xvda", "w", "no-discard", "untrusted", "direct-io-safe" };
    struct disk_config d;

    assert_int_equal(config_parse_disk(&d, words, 6), 0);
    assert_string_equal(d.target, "/a");
    assert_true(d.direct_io_safe && !d.discard && !d.trusted && !d.readonly);
    config_dispose_disk(&d);
    fault_clear();
    assert_int_not_equal(config_parse_disk(&d, words, 1), 0);
    assert_non_null(strstr(fault_text(), "command line:1:1: '/a': the guest's device is missing"));
    config_dispose_disk(&d);
    fault_clear();
    assert_int_not_equal(config_parse_disk(&d, NULL, 0), 0);
    config_dispose_disk(&d);
}

static void test_nics(void **state)
{
    const char *const words[] = { "mac=00:16:3E:01:02:03", "bridge=xenbr1", "ip=10.0.0.1 2001:db8::1/64", "vifname=web.0", "rate=1MB/s@20ms",
                                  "script=vif-route", "backend=domN", "model=e1000", "type=ioemu", "gatewaydev=eth0", "devid=3", "mtu=9000",
                                  "untrusted" };
    struct nic_config n;

    assert_int_equal(config_parse_nic(&n, words, sizeof(words) / sizeof(words[0])), 0);
    assert_string_equal(n.mac, "00:16:3E:01:02:03");
    assert_string_equal(n.bridge, "xenbr1");
    assert_string_equal(n.ip, "10.0.0.1 2001:db8::1/64");
    assert_string_equal(n.vifname, "web.0");
    assert_string_equal(n.rate, "1MB/s@20ms");
    assert_string_equal(n.script, "vif-route");
    assert_string_equal(n.backend, "domN");
    assert_string_equal(n.model, "e1000");
    assert_string_equal(n.gatewaydev, "eth0");
    assert_true(n.ioemu && !n.trusted);
    assert_int_equal(n.devid, 3);
    assert_int_equal(n.mtu, 9000);
    config_dispose_nic(&n);
    assert_int_equal(config_parse_nic(&n, NULL, 0), 0);
    assert_true(n.devid == -1 && n.trusted && !n.mac && !n.ioemu);
    config_dispose_nic(&n);
    const char *const one[] = { " mac = 00:16:3e:01:02:03 , bridge=, netdev=eth1,rate=10Mb/s, " };
    assert_int_equal(config_parse_nic(&n, one, 1), 0);
    assert_null(n.bridge);
    assert_string_equal(n.gatewaydev, "eth1");
    config_dispose_nic(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_disks), cmocka_unit_test(test_disk_flags), cmocka_unit_test(test_nics) };

    return cmocka_run_group_tests_name("config_devices", tests, NULL, NULL);
}
