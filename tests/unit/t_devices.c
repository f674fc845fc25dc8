/* SPDX-License-Identifier: MIT */
/*
 * Names, numbers and addresses of guests' devices; network.conf; netlink messages; the limit of restarts.
 * sources: toolstack/lib/disk_vdev.c toolstack/lib/net_mac.c toolstack/lib/net_conf.c toolstack/lib/netlink.c toolstack/lib/netlink_link.c toolstack/lib/netlink_addr.c toolstack/lib/restarts.c toolstack/lib/fault.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <linux/rtnetlink.h>

#include "disk.h"
#include "fault.h"
#include "net.h"
#include "net_conf.h"
#include "netlink.h"
#include "restarts.h"

static void test_vdev(void **state)
{
    static const struct { const char *name; unsigned id; } good[] = {
        { "xvda", 51712 }, { "xvda1", 51713 }, { "xvdb", 51728 }, { "xvdp15", 51967 }, { "xvdq", 268439552 }, { "xvda16", 268435472 },
        { "xvdaa", 1 << 28 | 26 << 8 }, { "sda", 2048 }, { "sdb3", 2067 }, { "hda", 768 }, { "hdb1", 833 }, { "hdc", 5632 },
    };
    char name[16];
    unsigned id;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(disk_parse_vdev(good[i].name, &id), 0);
        assert_int_equal(id, good[i].id);
        disk_name_vdev(id, name);
        assert_string_equal(name, good[i].name);
    }
    assert_int_equal(disk_parse_vdev("/dev/xvdb", &id), 0);
    assert_int_equal(id, 51728);
    assert_int_equal(disk_parse_vdev("51712", &id), 0);
    assert_int_equal(id, 51712);
}

static void test_vdev_bad(void **state)
{
    static const char *const bad[] = { "", "xvd", "xvda0", "xvda01", "xvda256", "xvda-1", "xvdA", "xvdaaaaaaaaaaaaaaaaaaaa", "sdz", "hde", "hda64",
                                       "vda", "xvda 1", "123x", "99999999999999999999", "0x7fffffff" };
    unsigned id;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        fault_clear();
        assert_true(disk_parse_vdev(bad[i], &id) < 0);
        assert_true(*fault_text());
    }
}

/* Each number of the extended range has a name that gives it again. */
static void test_vdev_round(void **state)
{
    for (unsigned disk = 16; disk < 1 << 20; disk += 997) {
        char name[16];
        unsigned id, again;
        id = 1u << 28 | disk << 8 | disk % 256;
        disk_name_vdev(id, name);
        assert_int_equal(disk_parse_vdev(name, &again), 0);
        assert_int_equal(again, id);
    }
}

static void test_mac(void **state)
{
    static const char *const bad[] = { "", "00:16:3e:00:00", "00:16:3e:00:00:0", "00:16:3e:00:00:001", "00-16-3e-00-00-01", "01:16:3e:00:00:01",
                                       "00:00:00:00:00:00", "0g:16:3e:00:00:01", "00:16:3e:00:00:01 " };
    uint8_t mac[6];
    char a[18], b[18];

    assert_int_equal(net_parse_mac("00:16:3E:0a:Bc:ff", mac), 0);
    assert_memory_equal(mac, "\x00\x16\x3e\x0a\xbc\xff", 6);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(net_parse_mac(bad[i], mac), -22);
    assert_int_equal(net_make_mac(a, "c65b59f2-dd8c-40f1-9c43-0223efa5a121", 0), 0);
    assert_int_equal(net_make_mac(b, "c65b59f2-dd8c-40f1-9c43-0223efa5a121", 0), 0);
    assert_string_equal(a, b);
    net_make_mac(b, "c65b59f2-dd8c-40f1-9c43-0223efa5a121", 1);
    assert_string_not_equal(a, b);
    assert_int_equal(net_parse_mac(b, mac), 0);
    assert_memory_equal(mac, "\x00\x16\x3e", 3);
    assert_int_equal(net_make_mac(a, NULL, 0), 0);
    assert_int_equal(net_parse_mac(a, mac), 0);
}

static void test_rate(void **state)
{
    static const char *const bad[] = { "", "10", "10Mb", "Mb/s", "10Mb/s@", "10Mb/s@0ms", "10Mb/s@50", "10Mb/s@50ms ", "-1Mb/s", "1b/s",
                                       "99999999999999Gb/s", "10Mb/s@99999999999s", "0Mb/s" };
    uint64_t bytes;
    uint32_t us;

    assert_int_equal(net_parse_rate("10Mb/s", &bytes, &us), 0);
    assert_int_equal(bytes, 62500);
    assert_int_equal(us, 50000);
    assert_int_equal(net_parse_rate("250KB/s@20ms", &bytes, &us), 0);
    assert_int_equal(bytes, 5000);
    assert_int_equal(us, 20000);
    assert_int_equal(net_parse_rate("1GB/s@1s", &bytes, &us), 0);
    assert_int_equal(bytes, 1000000000);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(net_parse_rate(bad[i], &bytes, &us), -22);
}

static void test_conf(void **state)
{
    struct net_conf c;

    assert_int_equal(net_conf_parse(&c, "f", "# nothing\n\n nat zbr0 address=10.1.0.1/24 out=eth0 # here\nbridge\txenbr0 port=eth0 mtu=9000\r\n"
                                             "routed r address=fd00::1\nprivate p\ndefault xenbr0"), 0);
    assert_int_equal(c.n, 4);
    assert_string_equal(c.fallback, "xenbr0");
    assert_int_equal(c.network[0].address.prefix, 24);
    assert_string_equal(c.network[0].out, "eth0");
    assert_int_equal(net_conf_find(&c, "xenbr0")->mtu, 9000);
    assert_int_equal(net_conf_find(&c, "r")->address.prefix, 128);
    assert_null(net_conf_find(&c, "xenbr"));
    assert_int_equal(net_conf_parse(&c, "f", "private a"), 0);
    assert_string_equal(c.fallback, "a");
}

static void test_conf_bad(void **state)
{
    static const struct { const char *text, *says; } bad[] = {
        { "private a\nnut zbr0", "f:2: 'nut'" }, { "nat zbr0", "needs an IPv4 address" }, { "nat zbr0 address=10.0.0.1/31", "prefix up to 30" },
        { "nat zbr0 address=10.0.0.300/24", "is none" }, { "bridge x/y", "cannot be an interface's name" },
        { "bridge abcdefghijklmnop", "cannot be" }, { "private a\nprivate a", "is there already" }, { "private a port=eth0", "goes with 'bridge'" },
        { "private a mtu=12", "is none (68" }, { "default", "needs a network's name" }, { "routed r", "needs address=" },
        { "bridge b ports=eth0", "unknown; address=" },
    };
    struct net_conf c;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        fault_clear();
        assert_true(net_conf_parse(&c, "f", bad[i].text) < 0);
        if (!strstr(fault_text(), bad[i].says))
            fail_msg("'%s' says: %s", bad[i].text, fault_text());
    }
}

static void test_address(void **state)
{
    static const char *const bad[] = { "", "10.0.0.1/", "10.0.0.1/33", "10.0.0.1/-1", "10.0.0.1/ 8", "10.0.0", "fd00::1/129", "10.0.0.1/24x" };
    struct address a;
    char text[64];

    assert_int_equal(address_parse(&a, "10.0.0.1"), 0);
    assert_string_equal(address_text(text, &a), "10.0.0.1/32");
    assert_int_equal(address_parse(&a, "fd00::1/64"), 0);
    assert_string_equal(address_text(text, &a), "fd00::1/64");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(address_parse(&a, bad[i]), -22);
}

static void test_netlink_message(void **state)
{
    struct ifinfomsg body = { .ifi_index = 7 };
    struct nl_message m;

    nl_begin(&m, RTM_NEWLINK, NLM_F_CREATE, &body, sizeof(body));
    nl_put_text(&m, IFLA_IFNAME, "zbr0");
    size_t nest = nl_nest(&m, IFLA_LINKINFO);
    nl_put_text(&m, IFLA_INFO_KIND, "bridge");
    nl_nest_end(&m, nest);
    assert_int_equal(nl_finish(&m, 5), 0);

    struct nlmsghdr *h = (void *)m.data;
    assert_int_equal(h->nlmsg_len, 16 + 16 + 12 + 4 + 12);
    assert_int_equal(h->nlmsg_seq, 5);
    assert_int_equal(h->nlmsg_flags, NLM_F_REQUEST | NLM_F_CREATE);
    struct rtattr *a[IFLA_MAX + 1], *info[IFLA_INFO_MAX + 1];
    nl_parse(a, IFLA_MAX, IFLA_RTA(NLMSG_DATA(h)), IFLA_PAYLOAD(h));
    assert_string_equal(RTA_DATA(a[IFLA_IFNAME]), "zbr0");
    assert_null(a[IFLA_MTU]);
    nl_parse(info, IFLA_INFO_MAX, RTA_DATA(a[IFLA_LINKINFO]), RTA_PAYLOAD(a[IFLA_LINKINFO]));
    assert_string_equal(RTA_DATA(info[IFLA_INFO_KIND]), "bridge");
}

static void test_netlink_overflow(void **state)
{
    uint8_t large[600] = { 0 };
    struct nl_message m;

    nl_begin(&m, RTM_NEWLINK, 0, NULL, 0);
    for (unsigned i = 0; i < 400; i++)
        nl_put_u32(&m, IFLA_MTU, i);
    assert_int_equal(nl_finish(&m, 1), -90);
    nl_begin(&m, RTM_NEWLINK, 0, NULL, 0);
    nl_put(&m, IFLA_ADDRESS, large, sizeof(large));
    assert_int_equal(nl_finish(&m, 1), -90);
}

/* Attributes with lengths that lie: nothing is read beyond the end (the sanitizer looks). */
static void test_netlink_lies(void **state)
{
    struct rtattr *table[IFLA_MAX + 1];

    srand(1);
    for (unsigned round = 0; round < 20000; round++) {
        size_t n = (size_t)(rand() % 40);
        uint8_t *bytes = malloc(n + !n);
        for (size_t i = 0; i < n; i++)
            bytes[i] = (uint8_t)(rand() % 24);
        nl_parse(table, IFLA_MAX, (void *)bytes, n);
        for (unsigned i = 0; i <= IFLA_MAX; i++) {
            if (table[i])
                assert_true((uint8_t *)table[i] + table[i]->rta_len <= bytes + n);
        }
        free(bytes);
    }
}

static void test_restarts(void **state)
{
    char name[16];

    for (unsigned i = 0; i < RESTARTS_MAX; i++)
        assert_true(restarts_allow("loops", 1000 + i));
    assert_true(restarts_allow("other", 1010));
    assert_false(restarts_allow("loops", 1010));
    assert_true(restarts_allow("loops", 1011));                 /* created anew */
    for (unsigned i = 0; i < 100; i++)
        assert_true(restarts_allow("slow", 1000 + i * (RESTARTS_MS / RESTARTS_MAX + 1)));
    for (unsigned i = 0; i < 1000; i++) {                       /* more names than the table has */
        snprintf(name, sizeof(name), "n%u", i);
        assert_true(restarts_allow(name, 100000000 + i));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vdev), cmocka_unit_test(test_vdev_bad), cmocka_unit_test(test_vdev_round), cmocka_unit_test(test_mac),
        cmocka_unit_test(test_rate), cmocka_unit_test(test_conf), cmocka_unit_test(test_conf_bad), cmocka_unit_test(test_address),
        cmocka_unit_test(test_netlink_message), cmocka_unit_test(test_netlink_overflow), cmocka_unit_test(test_netlink_lies),
        cmocka_unit_test(test_restarts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
