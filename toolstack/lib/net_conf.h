/* SPDX-License-Identifier: MIT */
/*
 * /etc/zendo/network.conf: the networks of this host, a line each:
 *
 *   nat     zbr0    address=10.77.0.1/24 out=eth0    guests behind domain 0's address; out= default: wherever the default route goes
 *   bridge  xenbr0  port=eth0                        guests beside domain 0 on the wire; eth0's addresses move to the bridge
 *   routed  zrt0    address=10.78.0.1                guests' addresses (vif ip=) are routed to them, domain 0 answers ARP for them
 *   private zint0   [address=10.79.0.1/24]           guests among themselves
 *   default zbr0                                     for a vif that names no bridge; without: the first network
 *   mtu=9000 may stand on each
 *
 * '#' starts a comment. Without the file there is one network: nat zbr0 address=10.77.0.1/24.
 */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

#include "netlink.h"

#define NET_CONF_FILE "/etc/zendo/network.conf"
#define NET_CONF_MAX 64

enum net_kind { NET_NAT, NET_BRIDGE, NET_ROUTED, NET_PRIVATE };

struct net_network {
    enum net_kind kind;
    char name[16], port[16], out[16];
    struct address address;      /* family 0: none */
    unsigned mtu;                /* 0: the kernel's */
};

struct net_conf {
    unsigned n;
    struct net_network network[NET_CONF_MAX];
    char fallback[16];           /* the default network; "" = none */
};

/* From a file (NULL: the usual one, or what holds without it). Faults name file and line. */
int net_conf_load(struct net_conf *c, const char *file);
int net_conf_parse(struct net_conf *c, const char *file, const char *text);
const struct net_network *net_conf_find(const struct net_conf *c, const char *name);
const char *net_kind_name(enum net_kind kind);
