/* SPDX-License-Identifier: MIT */
/*
 * The kernel's network interfaces, addresses and routes by rtnetlink: what setting up bridges and joining interfaces to them
 * needs, no more. Each call is one request with its answer; the kernel's own words go into the fault().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- a message being put together: bounded, errors stick --- */

struct nl_message {
    _Alignas(8) uint8_t data[1024];
    size_t used;
    bool overflow;
    int protocol;                 /* NETLINK_ROUTE unless set after nl_begin() */
};

void nl_begin(struct nl_message *m, uint16_t type, uint16_t flags, const void *body, size_t bytes);
void nl_put(struct nl_message *m, uint16_t type, const void *value, size_t bytes);
void nl_put_u32(struct nl_message *m, uint16_t type, uint32_t value);
void nl_put_text(struct nl_message *m, uint16_t type, const char *value);
/* An attribute that holds attributes: what nl_nest() gave goes to nl_nest_end(). */
size_t nl_nest(struct nl_message *m, uint16_t type);
void nl_nest_end(struct nl_message *m, size_t start);
/* Finishes the header; -EMSGSIZE if something did not fit. */
int nl_finish(struct nl_message *m, uint32_t sequence);
/* Attributes of `type` 0..max of a received message into table[]; what does not fit ends the list. */
struct rtattr;
void nl_parse(struct rtattr *table[], unsigned max, struct rtattr *first, size_t bytes);

struct nlmsghdr;
/* Sends and waits for the acknowledgement. `what` for the fault: "bridge zbr0: cannot be made". */
int nl_request(struct nl_message *m, const char *what, ...) __attribute__((format(printf, 2, 3)));
/* The same for a request that is answered before it is acknowledged: fn gets the answer. */
int nl_ask(struct nl_message *m, int (*fn)(struct nlmsghdr *h, void *arg), void *arg, const char *what);
/* Sends a request for a list; fn for each message until it says other than 0. */
int nl_list(struct nl_message *m, int (*fn)(struct nlmsghdr *h, void *arg), void *arg);

/* --- links --- */

struct link {
    int index, master;            /* master 0: none */
    char name[16], kind[16];      /* kind "bridge", "tun", ...; "" for hardware and vifs */
    unsigned mtu;
    bool up, carrier, loopback;
    uint8_t mac[6];
};

/* 0, or -ENODEV without a fault. */
int link_find(struct link *l, const char *name);
int link_each(int (*fn)(const struct link *l, void *arg), void *arg);
int link_add_bridge(const char *name, const uint8_t mac[6]);
int link_delete(const struct link *l);
int link_set_up(const struct link *l, bool up);
/* master NULL: out of its bridge. */
int link_set_master(const struct link *l, const struct link *master);
int link_set_mtu(const struct link *l, unsigned mtu);
int link_set_name(const struct link *l, const char *name);
/* A name that an interface can have. */
bool link_name_ok(const char *name);

/* --- addresses and routes, IPv4 and IPv6 --- */

struct address {
    int family;                   /* AF_INET, AF_INET6 */
    uint8_t bytes[16];
    unsigned prefix;
};

/* "10.0.0.1/24", "fd00::1"; without a prefix the whole address. -EINVAL with a fault. */
int address_parse(struct address *a, const char *text);
/* `out` of 64 bytes. */
const char *address_text(char *out, const struct address *a);
/* 0 also when it is there already. */
int address_add(const struct link *l, const struct address *a);
int address_delete(const struct link *l, const struct address *a);
int address_each(const struct link *l, int family, int (*fn)(const struct address *a, void *arg), void *arg);

struct route {
    struct address to;            /* prefix 0: default */
    struct address via;           /* family 0: directly */
    uint32_t metric;              /* 0: the kernel's choice */
};

int route_add(const struct link *l, const struct route *r);
int route_delete(const struct link *l, const struct route *r);
/* Routes of the main table over a link, without those that the kernel makes for its addresses. */
int route_each(const struct link *l, int family, int (*fn)(const struct route *r, void *arg), void *arg);
