/* SPDX-License-Identifier: MIT */
/*
 * Plain configurations as people have them for xl: every kind of key, words of the command line, warnings, printing.
 * sources: toolstack/lib/config.c toolstack/lib/config_lex.c toolstack/lib/config_value.c toolstack/lib/config_expr.c
 * sources: toolstack/lib/config_ops.c toolstack/lib/config_builtin.c toolstack/lib/config_eval.c toolstack/lib/config_keys.c
 * sources: toolstack/lib/config_finish.c toolstack/lib/config_part.c toolstack/lib/config_disk.c toolstack/lib/config_vif.c
 * sources: toolstack/lib/config_print.c toolstack/lib/fault.c
 * libs: -ljson-c
 */
#include "config_env.h"

#include <errno.h>
#include <unistd.h>

static void test_pv(void **state)
{
    parse_ok("# a web server\n"
             "name = \"web1\"\n"
             "uuid = \"6a2f9a44-35d2-4fb0-9c7e-0d6dcd0b8d1c\"\n"
             "type = \"pv\"\n"
             "kernel = \"/boot/vmlinuz-6.1.0\"   # beside dom0's\n"
             "ramdisk = '/boot/initrd.img-6.1.0'\n"
             "root = \"/dev/xvda2 ro\"\n"
             "extra = \"console=hvc0 quiet\"\n"
             "memory = 512\n"
             "maxmem = 0x400\n"
             "vcpus = 2\n"
             "maxvcpus = 4\n"
             "cpus = \"0-3,^1\"\n"
             "cpus_soft = [ \"0\", \"2-3\" ]\n"
             "cpu_weight = 512\n"
             "cap = 150\n"
             "pool = \"Pool-0\"\n"
             "disk = [ '/dev/vg/web1-root,raw,xvda2,rw', '/dev/vg/web1-swap,,xvda1,w' ]\n"
             "vif = [ 'mac=00:16:3e:01:02:03,bridge=xenbr0' ]\n"
             "on_poweroff = \"preserve\"\n"
             "on_crash = \"coredump-restart\"\n"
             "max_grant_frames = 64\n"
             "nomigrate = 1\n"
             "rtc_timeoffset = -3600\n"
             "tsc_mode = \"native\"\n"
             "cpu_level = \"x86-64-v2\"\n"
             "pci = [ '01:00.0', '0000:02:00.1,permissive=1' ]\n");
    assert_string_equal(g.name, "web1");
    assert_string_equal(g.uuid, "6a2f9a44-35d2-4fb0-9c7e-0d6dcd0b8d1c");
    assert_int_equal(g.type, GUEST_PV);
    assert_string_equal(g.kernel, "/boot/vmlinuz-6.1.0");
    assert_string_equal(g.ramdisk, "/boot/initrd.img-6.1.0");
    assert_string_equal(g.cmdline, "root=/dev/xvda2 ro console=hvc0 quiet");
    assert_int_equal(g.memory, 512 * 1024);
    assert_int_equal(g.maxmem, 1024 * 1024);
    assert_int_equal(g.vcpus, 2);
    assert_int_equal(g.maxvcpus, 4);
    assert_string_equal(g.cpus, "0-3,^1");
    assert_null(g.cpus_soft);
    assert_int_equal(g.n_cpus_soft_each, 2);
    assert_string_equal(g.cpus_soft_each[1], "2-3");
    assert_int_equal(g.weight, 512);
    assert_int_equal(g.cap, 150);
    assert_string_equal(g.pool, "Pool-0");
    assert_int_equal(g.n_disks, 2);
    assert_string_equal(g.disks[1].target, "/dev/vg/web1-swap");
    assert_int_equal(g.n_nics, 1);
    assert_string_equal(g.nics[0].bridge, "xenbr0");
    assert_int_equal(g.on_poweroff, ACTION_PRESERVE);
    assert_int_equal(g.on_reboot, ACTION_RESTART);
    assert_int_equal(g.on_crash, ACTION_COREDUMP_RESTART);
    assert_int_equal(g.on_watchdog, ACTION_DESTROY);
    assert_int_equal(g.on_soft_reset, ACTION_SOFT_RESET);
    assert_int_equal(g.max_grant_frames, 64);
    assert_true(g.nomigrate && !g.localtime);
    assert_int_equal(g.rtc_timeoffset, -3600);
    assert_string_equal(g.tsc_mode, "native");
    assert_string_equal(g.cpu_level, "x86-64-v2");
    assert_int_equal(g.n_pci, 2);
    assert_string_equal(g.pci[1], "0000:02:00.1,permissive=1");
    assert_null(g.other_json);
}

static void test_forms(void **state)
{
    parse_ok("name='a';memory=64;vcpus=010\n");
    assert_int_equal(g.vcpus, 8);
    parse_ok("\xef\xbb\xbfname='a'\r\nmemory='64'\r\n\tvcpus = 2\r\n\r\n  # end");
    assert_string_equal(g.name, "a");
    assert_int_equal(g.vcpus, 2);
    parse_rest("disk = [\n  'phy:/dev/a,xvda,w',  # first\n\n  'phy:/dev/b,xvdb,w',\n\n  ]\nvif=[]");
    assert_int_equal(g.n_disks, 2);
    assert_int_equal(g.n_nics, 0);
    parse_rest("vif = [ '', ]");
    assert_int_equal(g.n_nics, 1);
    assert_null(g.nics[0].mac);
    assert_int_equal(g.nics[0].devid, -1);
    parse_rest("disk = 'phy:/dev/a,xvda,w'");
    assert_int_equal(g.n_disks, 1);
    parse_rest("extra = \"a\" ' b'\nkernel = '/boot/' + 'k'\n");
    assert_string_equal(g.cmdline, "a b");
    assert_string_equal(g.kernel, "/boot/k");
    parse_rest("extra = 'a \\'b\\' c\\\\d \\q'");
    assert_string_equal(g.cmdline, "a 'b' c\\d \\q");
    parse_rest("extra = \"a\"\nextra += \" b\"\ndisk += [ '/a,,xvda' ]\ndisk += '/b,,xvdb'\n");
    assert_string_equal(g.cmdline, "a b");
    assert_int_equal(g.n_disks, 2);
    parse_rest("kernel = ''\nbootloader = \"pygrub\"\nbootloader_args = [ \"--kernel=/vm\", \"-q\" ]");
    assert_null(g.kernel);
    assert_string_equal(g.bootloader_args, "--kernel=/vm -q");
}

static void test_memory(void **state)
{
    static const struct { const char *text; uint64_t kib; } good[] = {
        { "memory=64", 65536 }, { "memory=\"64\"", 65536 }, { "memory=' 64 '", 65536 }, { "memory='2G'", 2 << 20 },
        { "memory='128M'", 131072 }, { "memory='128MB'", 131072 }, { "memory='4096k'", 4096 }, { "memory=0x40", 65536 },
        { "memory=64*2", 131072 }, { "maxmem=256", 262144 },
    };

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        char text[100];

        snprintf(text, sizeof(text), "name='x'\n%s", good[i].text);
        parse_ok(text);
        assert_int_equal(g.memory, good[i].kib);
    }
}

static void test_types(void **state)
{
    static const struct { const char *text; enum guest_type type; } rows[] = {
        { "", GUEST_PV }, { "type='pvh'", GUEST_PVH }, { "type=\"hvm\"", GUEST_HVM }, { "builder='hvm'", GUEST_HVM },
        { "builder='linux'", GUEST_PV }, { "builder=\"generic\"", GUEST_PV }, { "type='pvh'\nbuilder='hvm'", GUEST_PVH },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        parse_rest(rows[i].text);
        assert_int_equal(g.type, rows[i].type);
    }
}

static void test_cmdline(void **state)
{
    static const struct { const char *text, *line; } rows[] = {
        { "", NULL },
        { "extra='4'", "4" },
        { "root='/dev/sda1 ro'", "root=/dev/sda1 ro" },
        { "root='root=/dev/sda1'", "root=/dev/sda1" },
        { "cmdline='only this'", "only this" },
        { "root='/dev/sda1'\nip='10.0.0.5'\nnetmask='255.0.0.0'\ngateway='10.0.0.1'\nhostname='h%d' % 5",
          "ip=10.0.0.5::10.0.0.1:255.0.0.0:h5:eth0:off root=/dev/sda1" },
        { "dhcp='dhcp'\nroot='/dev/xvda2 ro'\nextra='elevator=noop'", "ip=:::::eth0:dhcp root=/dev/xvda2 ro elevator=noop" },
        { "dhcp='off'\nextra='1'", "1" },
        { "root='/dev/nfs'\nnfs_server='10.0.0.9'\nnfs_root='/srv/a'\ndhcp='dhcp'\ninterface='eth1'",
          "ip=:10.0.0.9::::eth1:dhcp nfsroot=10.0.0.9:/srv/a root=/dev/nfs" },
        { "root='/dev/nfs'\nnfs_root='/srv/a'", "nfsroot=/srv/a root=/dev/nfs" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        parse_rest(rows[i].text);
        if (rows[i].line)
            assert_string_equal(g.cmdline, rows[i].line);
        else
            assert_null(g.cmdline);
    }
}

static void test_old_keys(void **state)
{
    parse_rest("restart = 'always'\non_crash = 'preserve'\nnics = 2\nvif = [ 'bridge=br1' ]\ncpu = 3\nfeatures='x'\n");
    assert_int_equal(g.on_poweroff, ACTION_RESTART);
    assert_int_equal(g.on_crash, ACTION_PRESERVE);
    assert_int_equal(g.n_nics, 2);
    assert_string_equal(g.nics[0].bridge, "br1");
    assert_null(g.nics[1].bridge);
    assert_string_equal(g.cpus, "3");
    assert_string_equal(g.other_json, "{\"features\":\"x\"}");
    parse_rest("restart = 'onreboot'\ncpu = -1");
    assert_int_equal(g.on_poweroff, ACTION_DESTROY);
    assert_int_equal(g.on_reboot, ACTION_RESTART);
    assert_null(g.cpus);
}

/* What xen-create-image 4.9 writes for a guest on LVM with fixed addresses, and for one with files and DHCP. */
static void test_xen_create_image(void **state)
{
    parse_ok("#\n# Configuration file for the Xen instance web.example.org, created\n# by xen-tools 4.9.2 on Mon Jan  1 10:00:00 2024.\n#\n\n"
             "#\n#  Kernel + memory size\n#\nkernel      = '/boot/vmlinuz-6.1.0-18-amd64'\nextra       = 'elevator=noop'\n"
             "ramdisk     = '/boot/initrd.img-6.1.0-18-amd64'\n\n\nvcpus       = '1'\nmemory      = '512'\nmaxmem      = '1024'\n\n\n"
             "#\n#  Disk device(s).\n#\nroot        = '/dev/xvda2 ro'\ndisk        = [\n"
             "                  'phy:/dev/vg0/web.example.org-disk,xvda2,w',\n"
             "                  'phy:/dev/vg0/web.example.org-swap,xvda1,w',\n              ]\n\n\n"
             "#\n#  Physical volumes\n#\n\n\n#\n#  Hostname\n#\nname        = 'web.example.org'\n\n#\n#  Networking\n#\n"
             "vif         = [ 'ip=192.0.2.10 192.0.2.11,mac=00:16:3E:9A:10:4C,vifname=web,bridge=xenbr0' ]\n\n"
             "#\n#  Behaviour\n#\non_poweroff = 'destroy'\non_reboot   = 'restart'\non_crash    = 'restart'\n\n\n\n");
    assert_string_equal(g.cmdline, "root=/dev/xvda2 ro elevator=noop");
    assert_int_equal(g.memory, 512 * 1024);
    assert_int_equal(g.n_disks, 2);
    assert_string_equal(g.disks[0].vdev, "xvda2");
    assert_string_equal(g.nics[0].ip, "192.0.2.10 192.0.2.11");
    assert_string_equal(g.nics[0].vifname, "web");
    assert_int_equal(g.on_crash, ACTION_RESTART);
    assert_null(g.other_json);
    parse_ok("bootloader = 'pygrub'\n\nvcpus       = '2'\nmemory      = '256'\n\nroot        = '/dev/xvda2 ro'\ndisk        = [\n"
             "                  'file:/home/xen/domains/db/disk.img,xvda2,w',\n"
             "                  'file:/home/xen/domains/db/swap.img,xvda1,w',\n              ]\n\nname        = 'db'\n"
             "dhcp        = 'dhcp'\nvif         = [ 'mac=00:16:3E:00:00:01' ]\non_crash    = 'restart'\nxen_shell = 'admins'\n");
    assert_string_equal(g.bootloader, "pygrub");
    assert_string_equal(g.disks[0].target, "/home/xen/domains/db/disk.img");
    assert_int_equal(g.disks[0].how, DISK_AUTO);
}

static void words(const char *text, const char *w0, const char *w1, const char *w2)
{
    char *const list[] = { (char *)w0, (char *)w1, (char *)w2, NULL };

    if (parse_words(text, list))
        fail_msg("refused: %s", fault_text());
}

static void test_words(void **state)
{
    static const char text[] = "name = 'a'\nmemory = 64\ndisk = [ '/a,,xvda' ]\nextra = 'x'\n";

    words(text, "name=\"b\"", "memory=128", "vcpus='3'");
    assert_string_equal(g.name, "b");
    assert_int_equal(g.memory, 131072);
    assert_int_equal(g.vcpus, 3);
    words(text, "name=b-1", "extra=console=hvc0 3", "disk=/b,,xvdb,r");
    assert_string_equal(g.name, "b-1");
    assert_string_equal(g.cmdline, "console=hvc0 3");
    assert_int_equal(g.n_disks, 1);
    assert_string_equal(g.disks[0].vdev, "xvdb");
    words(text, "disk=/b,,xvdb,r", "disk=/c,,xvdc,w", "vif=[ '', 'bridge=b2' ]");
    assert_int_equal(g.n_disks, 2);
    assert_string_equal(g.disks[1].target, "/c");
    assert_int_equal(g.n_nics, 2);
    words(text, "extra+=' y'", "disk += ['/b,,xvdb']", "name=\"c\"; memory=32");
    assert_string_equal(g.cmdline, "x y");
    assert_int_equal(g.n_disks, 2);
    assert_int_equal(g.memory, 32768);
    words("name = 'vm%d' % vmid\nmemory = 64 + int(vmid)", "vmid=7", NULL, NULL);
}

static void test_words_vmid(void **state)
{
    words("xm_vars.var('vmid', use='number')\nxm_vars.check()\nname = 'vm%d' % vmid\nmemory = 64 + vmid", "vmid=7", NULL, NULL);
    assert_string_equal(g.name, "vm7");
    assert_int_equal(g.memory, 71 * 1024);
}

static void test_warnings(void **state)
{
    assert_string_equal(said(parse_rest, "kernl = 'x'"), "xm: warning: a.cfg:1:1: 'kernl': unknown key, ignored; is 'kernel' meant?\n");
    assert_string_equal(said(parse_rest, "\n  zzz=1"), "xm: warning: a.cfg:2:3: 'zzz': unknown key, ignored\n");
    assert_string_equal(said(parse_rest, "spice = 1"), "xm: warning: a.cfg:1:1: 'spice': not available in Zendo; ignored\n");
    assert_string_equal(said(parse_rest, "cmdline='a'\nroot='b'"), "xm: warning: a.cfg:2:1: 'root': ignored, since 'cmdline' is given\n");
    assert_string_equal(said(parse_rest, "vg = '/dev/vg/'\nkernel = vg + 'k'\nvnc = 1\nhap=1\nfor i in range(2): pass"), "");
}

static char *print_xl(void)
{
    char *s = NULL;
    size_t n;
    FILE *f = open_memstream(&s, &n);

    config_print_xl(&g, f);
    fclose(f);
    return s;
}

static void test_print(void **state)
{
    static const char text[] =
        "name='a'\nmemory='100001k'\nmaxmem=200\nvcpus=2\ncpus=['1','2']\nextra='say \"hi\\\\\" \\'x\\''\nroot='/dev/a'\nvnc=1\nvfb=['vnc=1']\n"
        "disk=['/a b,qcow2,xvda,r','phy:/dev/x,xvdb,w!',',hdc:cdrom,r','target=/dev/with,comma']\n";
    static const char good[] =
        "name='a'\nmemory='100001k'\nmaxmem=200\nvcpus=2\ncpus=['1','2']\nextra='say \"hi\\\\\" \\'x\\''\nroot='/dev/a'\nvnc=1\nvfb=['vnc=1']\n"
        "disk=['/a b,qcow2,xvda,r','phy:/dev/x,xvdb,w!',',hdc:cdrom,r','vdev=xvdd,target=/dev/with,comma']\n"
        "vif=['','mac=00:16:3e:00:00:01,ip=10.0.0.1 10.0.0.2,rate=1MB/s,devid=4,untrusted']\npci=['1:0.0']\non_reboot='destroy'\ncpu_level='x86-64-v3'\n";

    assert_int_not_equal(parse_words(text, NULL), 0);
    parse_ok(good);
    char *first = print_xl();
    parse_ok(first);
    char *second = print_xl();
    assert_string_equal(first, second);
    assert_string_equal(g.cmdline, "root=/dev/a say \"hi\\\" 'x'");
    assert_int_equal(g.memory, 100001);
    assert_string_equal(g.cpu_level, "x86-64-v3");
    assert_string_equal(g.disks[3].target, "/dev/with,comma");
    assert_true(g.disks[1].shared && g.disks[2].format == DISK_EMPTY && g.disks[2].cdrom);
    assert_false(g.nics[1].trusted);
    assert_int_equal(g.nics[1].devid, 4);
    assert_non_null(strstr(g.other_json, "vnc=1"));
    free(first);
    free(second);
}

static void test_file(void **state)
{
    char path[] = "/tmp/t_config_XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0 && write(fd, "name='f'\nmemory=1", 17) == 17);
    close(fd);
    config_dispose(&g);
    assert_int_equal(config_load(&g, path, NULL, 0), 0);
    assert_string_equal(g.file, path);
    config_dispose(&g);
    unlink(path);
    fault_clear();
    assert_int_equal(config_load(&g, path, NULL, 0), -ENOENT);
    assert_non_null(strstr(fault_text(), path));
    config_dispose(&g);
    fault_clear();
    assert_int_equal(config_load(&g, "/", NULL, 0), -EISDIR);
    config_dispose(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pv), cmocka_unit_test(test_forms), cmocka_unit_test(test_memory), cmocka_unit_test(test_types),
        cmocka_unit_test(test_cmdline), cmocka_unit_test(test_old_keys), cmocka_unit_test(test_xen_create_image),
        cmocka_unit_test(test_words), cmocka_unit_test(test_words_vmid), cmocka_unit_test(test_warnings), cmocka_unit_test(test_print),
        cmocka_unit_test(test_file),
    };
    int failed = cmocka_run_group_tests_name("config", tests, NULL, NULL);

    config_dispose(&g);
    return failed;
}
