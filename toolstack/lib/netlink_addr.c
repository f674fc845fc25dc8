/* SPDX-License-Identifier: MIT */
/* Addresses and routes by netlink. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "fault.h"
#include "netlink.h"

static unsigned address_bytes(int family)
{
    return family == AF_INET ? 4 : 16;
}

int address_parse(struct address *a, const char *text)
{
    char copy[64], *end = NULL, *slash;

    memset(a, 0, sizeof(*a));
    if ((size_t)snprintf(copy, sizeof(copy), "%s", text) >= sizeof(copy))
        return fault(-EINVAL, "address '%.40s...': too long", text);
    slash = strchr(copy, '/');
    if (slash)
        *slash++ = 0;
    a->family = strchr(copy, ':') ? AF_INET6 : AF_INET;
    if (inet_pton(a->family, copy, a->bytes) != 1)
        return fault(-EINVAL, "address '%s': is none; write it like 10.0.0.1/24 or fd00::1/64", text);
    unsigned long prefix = slash ? strtoul(slash, &end, 10) : 8 * address_bytes(a->family);
    if (slash && (end == slash || *end || *slash < '0' || *slash > '9' || prefix > 8 * address_bytes(a->family)))
        return fault(-EINVAL, "address '%s': '/%s' is no prefix length", text, slash);
    a->prefix = (unsigned)prefix;
    return 0;
}

const char *address_text(char *out, const struct address *a)
{
    char text[INET6_ADDRSTRLEN] = "?";

    inet_ntop(a->family, a->bytes, text, sizeof(text));
    snprintf(out, 64, "%s/%u", text, a->prefix);
    return out;
}

static void address_message(struct nl_message *m, uint16_t type, uint16_t flags, const struct link *l, const struct address *a)
{
    struct ifaddrmsg body = { .ifa_family = (uint8_t)a->family, .ifa_prefixlen = (uint8_t)a->prefix, .ifa_index = (uint32_t)l->index };

    nl_begin(m, type, flags, &body, sizeof(body));
    nl_put(m, IFA_LOCAL, a->bytes, address_bytes(a->family));
    nl_put(m, IFA_ADDRESS, a->bytes, address_bytes(a->family));
    if (a->family == AF_INET && a->prefix < 31) {
        uint8_t all[4];
        memcpy(all, a->bytes, 4);
        for (unsigned bit = a->prefix; bit < 32; bit++)
            all[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
        nl_put(m, IFA_BROADCAST, all, sizeof(all));
    }
}

/* Is it there already? That is no failure, but by then a fault would have been left. */
static int address_is(const struct address *a, void *arg)
{
    const struct address *wanted = arg;

    return a->prefix == wanted->prefix && !memcmp(a->bytes, wanted->bytes, address_bytes(a->family)) ? -EEXIST : 0;
}

int address_add(const struct link *l, const struct address *a)
{
    struct address wanted = *a;
    struct nl_message m;
    char text[64];

    if (address_each(l, a->family, address_is, &wanted) == -EEXIST)
        return 0;
    address_message(&m, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, l, a);
    return nl_request(&m, "interface %s: cannot have address %s", l->name, address_text(text, a));
}

int address_delete(const struct link *l, const struct address *a)
{
    struct nl_message m;
    char text[64];

    address_message(&m, RTM_DELADDR, 0, l, a);
    return nl_request(&m, "interface %s: cannot lose address %s", l->name, address_text(text, a));
}

struct address_walk {
    int index;
    int (*address)(const struct address *a, void *arg);
    int (*route)(const struct route *r, void *arg);
    void *arg;
};

static bool address_copy(struct address *a, int family, unsigned prefix, struct rtattr *from)
{
    if (!from || RTA_PAYLOAD(from) < address_bytes(family))
        return false;
    a->family = family;
    a->prefix = prefix;
    memcpy(a->bytes, RTA_DATA(from), address_bytes(family));
    return true;
}

static int address_walk_one(struct nlmsghdr *h, void *arg)
{
    struct address_walk *w = arg;
    struct ifaddrmsg *body = NLMSG_DATA(h);
    struct rtattr *a[IFA_MAX + 1];
    struct address found = { 0 };

    if (h->nlmsg_type != RTM_NEWADDR || h->nlmsg_len < NLMSG_LENGTH(sizeof(*body)) || (int)body->ifa_index != w->index)
        return 0;
    nl_parse(a, IFA_MAX, IFA_RTA(body), IFA_PAYLOAD(h));
    if (!address_copy(&found, body->ifa_family, body->ifa_prefixlen, a[IFA_LOCAL] ? a[IFA_LOCAL] : a[IFA_ADDRESS]))
        return 0;
    return w->address(&found, w->arg);
}

int address_each(const struct link *l, int family, int (*fn)(const struct address *a, void *arg), void *arg)
{
    struct ifaddrmsg body = { .ifa_family = (uint8_t)family };
    struct address_walk w = { .index = l->index, .address = fn, .arg = arg };
    struct nl_message m;

    nl_begin(&m, RTM_GETADDR, 0, &body, sizeof(body));
    return nl_list(&m, address_walk_one, &w);
}

/* --- routes ---------------------------------------------------------------------------------------------------- */

static void route_message(struct nl_message *m, uint16_t type, uint16_t flags, const struct link *l, const struct route *r)
{
    struct rtmsg body = { .rtm_family = (uint8_t)r->to.family, .rtm_dst_len = (uint8_t)r->to.prefix, .rtm_table = RT_TABLE_MAIN,
                          .rtm_protocol = RTPROT_STATIC, .rtm_type = RTN_UNICAST,
                          .rtm_scope = r->via.family ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK };

    if (type == RTM_DELROUTE) {
        body.rtm_protocol = RTPROT_UNSPEC;
        body.rtm_scope = RT_SCOPE_NOWHERE;
    }
    nl_begin(m, type, flags, &body, sizeof(body));
    if (r->to.prefix)
        nl_put(m, RTA_DST, r->to.bytes, address_bytes(r->to.family));
    if (r->via.family)
        nl_put(m, RTA_GATEWAY, r->via.bytes, address_bytes(r->via.family));
    nl_put_u32(m, RTA_OIF, (uint32_t)l->index);
    if (r->metric)
        nl_put_u32(m, RTA_PRIORITY, r->metric);
}

int route_add(const struct link *l, const struct route *r)
{
    struct nl_message m;
    char text[64];

    route_message(&m, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, l, r);
    return nl_request(&m, "interface %s: cannot have a route to %s", l->name, address_text(text, &r->to));
}

int route_delete(const struct link *l, const struct route *r)
{
    struct nl_message m;
    char text[64];

    route_message(&m, RTM_DELROUTE, 0, l, r);
    return nl_request(&m, "interface %s: cannot lose the route to %s", l->name, address_text(text, &r->to));
}

static int route_walk_one(struct nlmsghdr *h, void *arg)
{
    struct address_walk *w = arg;
    struct rtmsg *body = NLMSG_DATA(h);
    struct rtattr *a[RTA_MAX + 1];
    struct route r = { .to.family = 0 };
    uint32_t oif = 0;

    if (h->nlmsg_type != RTM_NEWROUTE || h->nlmsg_len < NLMSG_LENGTH(sizeof(*body)) || body->rtm_table != RT_TABLE_MAIN ||
        body->rtm_type != RTN_UNICAST || body->rtm_protocol == RTPROT_KERNEL)
        return 0;
    nl_parse(a, RTA_MAX, RTM_RTA(body), RTM_PAYLOAD(h));
    if (a[RTA_OIF] && RTA_PAYLOAD(a[RTA_OIF]) >= sizeof(oif))
        memcpy(&oif, RTA_DATA(a[RTA_OIF]), sizeof(oif));
    if ((int)oif != w->index)
        return 0;
    r.to.family = body->rtm_family;
    if (body->rtm_dst_len && !address_copy(&r.to, body->rtm_family, body->rtm_dst_len, a[RTA_DST]))
        return 0;
    address_copy(&r.via, body->rtm_family, 8 * address_bytes(body->rtm_family), a[RTA_GATEWAY]);
    if (a[RTA_PRIORITY] && RTA_PAYLOAD(a[RTA_PRIORITY]) >= sizeof(r.metric))
        memcpy(&r.metric, RTA_DATA(a[RTA_PRIORITY]), sizeof(r.metric));
    return w->route(&r, w->arg);
}

int route_each(const struct link *l, int family, int (*fn)(const struct route *r, void *arg), void *arg)
{
    struct rtmsg body = { .rtm_family = (uint8_t)family };
    struct address_walk w = { .index = l->index, .route = fn, .arg = arg };
    struct nl_message m;

    nl_begin(&m, RTM_GETROUTE, 0, &body, sizeof(body));
    return nl_list(&m, route_walk_one, &w);
}
