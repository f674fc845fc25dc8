/* SPDX-License-Identifier: MIT */
/* Network interfaces by netlink: find, list, bridges, masters, names. */
#include <ctype.h>
#include <errno.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "fault.h"
#include "netlink.h"

bool link_name_ok(const char *name)
{
    size_t n = strlen(name);

    if (!n || n >= IFNAMSIZ || !strcmp(name, ".") || !strcmp(name, ".."))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!isgraph((unsigned char)name[i]) || strchr("/:%'\"\\", name[i]))
            return false;
    }
    return true;
}

static void link_copy_text(char *out, size_t size, struct rtattr *a)
{
    if (a)
        snprintf(out, size, "%.*s", (int)strnlen(RTA_DATA(a), RTA_PAYLOAD(a)), (char *)RTA_DATA(a));
}

static int link_copy_number(struct rtattr *a)
{
    uint32_t n = 0;

    if (a && RTA_PAYLOAD(a) >= sizeof(n))
        memcpy(&n, RTA_DATA(a), sizeof(n));
    return (int)n;
}

static bool link_decode(struct link *l, struct nlmsghdr *h)
{
    struct rtattr *a[IFLA_MAX + 1], *info[IFLA_INFO_MAX + 1];
    struct ifinfomsg *body = NLMSG_DATA(h);

    memset(l, 0, sizeof(*l));
    if (h->nlmsg_type != RTM_NEWLINK || h->nlmsg_len < NLMSG_LENGTH(sizeof(*body)))
        return false;
    nl_parse(a, IFLA_MAX, IFLA_RTA(body), IFLA_PAYLOAD(h));
    l->index = body->ifi_index;
    l->up = body->ifi_flags & IFF_UP;
    l->carrier = body->ifi_flags & IFF_LOWER_UP;
    l->loopback = body->ifi_flags & IFF_LOOPBACK;
    link_copy_text(l->name, sizeof(l->name), a[IFLA_IFNAME]);
    l->master = link_copy_number(a[IFLA_MASTER]);
    l->mtu = (unsigned)link_copy_number(a[IFLA_MTU]);
    if (a[IFLA_ADDRESS] && RTA_PAYLOAD(a[IFLA_ADDRESS]) == sizeof(l->mac))
        memcpy(l->mac, RTA_DATA(a[IFLA_ADDRESS]), sizeof(l->mac));
    if (a[IFLA_LINKINFO]) {
        nl_parse(info, IFLA_INFO_MAX, RTA_DATA(a[IFLA_LINKINFO]), RTA_PAYLOAD(a[IFLA_LINKINFO]));
        link_copy_text(l->kind, sizeof(l->kind), info[IFLA_INFO_KIND]);
    }
    return true;
}

struct link_walk {
    int (*fn)(const struct link *l, void *arg);
    void *arg;
};

static int link_walk_one(struct nlmsghdr *h, void *arg)
{
    struct link_walk *w = arg;
    struct link l;

    return link_decode(&l, h) ? w->fn(&l, w->arg) : 0;
}

int link_each(int (*fn)(const struct link *l, void *arg), void *arg)
{
    struct ifinfomsg body = { .ifi_family = AF_UNSPEC };
    struct link_walk w = { fn, arg };
    struct nl_message m;

    nl_begin(&m, RTM_GETLINK, 0, &body, sizeof(body));
    return nl_list(&m, link_walk_one, &w);
}

struct link_search {
    const char *name;
    struct link *found;
    bool got;
};

static int link_match(const struct link *l, void *arg)
{
    struct link_search *s = arg;

    if (!strcmp(l->name, s->name)) {
        *s->found = *l;
        s->got = true;
    }
    return 0;
}

int link_find(struct link *l, const char *name)
{
    struct link_search s = { name, l, false };
    int rc = link_each(link_match, &s);

    return rc ? rc : s.got ? 0 : -ENODEV;
}

int link_add_bridge(const char *name, const uint8_t mac[6])
{
    struct ifinfomsg body = { .ifi_family = AF_UNSPEC };
    struct nl_message m;

    nl_begin(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &body, sizeof(body));
    nl_put_text(&m, IFLA_IFNAME, name);
    if (mac)
        nl_put(&m, IFLA_ADDRESS, mac, 6);
    size_t info = nl_nest(&m, IFLA_LINKINFO);
    nl_put_text(&m, IFLA_INFO_KIND, "bridge");
    nl_nest_end(&m, info);
    return nl_request(&m, "bridge %s: cannot be made", name);
}

static void link_begin(struct nl_message *m, uint16_t type, const struct link *l, unsigned flags, unsigned change)
{
    struct ifinfomsg body = { .ifi_family = AF_UNSPEC, .ifi_index = l->index, .ifi_flags = flags, .ifi_change = change };

    nl_begin(m, type, 0, &body, sizeof(body));
}

int link_delete(const struct link *l)
{
    struct nl_message m;

    link_begin(&m, RTM_DELLINK, l, 0, 0);
    return nl_request(&m, "interface %s: cannot be removed", l->name);
}

int link_set_up(const struct link *l, bool up)
{
    struct nl_message m;

    link_begin(&m, RTM_NEWLINK, l, up ? IFF_UP : 0, IFF_UP);
    return nl_request(&m, "interface %s: cannot be switched %s", l->name, up ? "on" : "off");
}

int link_set_master(const struct link *l, const struct link *master)
{
    struct nl_message m;

    link_begin(&m, RTM_NEWLINK, l, 0, 0);
    nl_put_u32(&m, IFLA_MASTER, master ? (uint32_t)master->index : 0);
    return nl_request(&m, "interface %s: cannot join bridge %s", l->name, master ? master->name : "none");
}

int link_set_mtu(const struct link *l, unsigned mtu)
{
    struct nl_message m;

    link_begin(&m, RTM_NEWLINK, l, 0, 0);
    nl_put_u32(&m, IFLA_MTU, mtu);
    return nl_request(&m, "interface %s: cannot take an MTU of %u", l->name, mtu);
}

int link_set_name(const struct link *l, const char *name)
{
    struct nl_message m;

    link_begin(&m, RTM_NEWLINK, l, 0, 0);
    nl_put_text(&m, IFLA_IFNAME, name);
    return nl_request(&m, "interface %s: cannot be named %s", l->name, name);
}
