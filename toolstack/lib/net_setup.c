/* SPDX-License-Identifier: MIT */
/*
 * One network of network.conf becomes a bridge with its address. A card that is a bridge's port hands its addresses and
 * routes over: they are noted, the card joins, the bridge gets them; a step that fails leaves the rest for a second run.
 */
#include "net_setup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "net.h"
#include "net_private.h"

#define MOVE_MAX 64

struct net_moved {
    struct address address[MOVE_MAX];
    struct route route[MOVE_MAX];
    unsigned n_addresses, n_routes;
    bool more;
};

static int moved_address(const struct address *a, void *arg)
{
    struct net_moved *m = arg;

    if (a->family == AF_INET6 && a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80)
        return 0;                       /* link-local: the bridge makes its own */
    if (m->n_addresses == MOVE_MAX)
        m->more = true;
    else
        m->address[m->n_addresses++] = *a;
    return 0;
}

static int moved_route(const struct route *r, void *arg)
{
    struct net_moved *m = arg;

    if (m->n_routes == MOVE_MAX)
        m->more = true;
    else
        m->route[m->n_routes++] = *r;
    return 0;
}

static int net_note(const struct link *port, struct net_moved *m)
{
    static const int families[] = { AF_INET, AF_INET6 };
    int rc = 0;

    memset(m, 0, sizeof(*m));
    for (unsigned i = 0; i < 2 && !rc; i++) {
        rc = address_each(port, families[i], moved_address, m);
        rc = rc ? rc : route_each(port, families[i], moved_route, m);
    }
    if (!rc && m->more)
        rc = fault(-E2BIG, "interface %s: has more than %d addresses or routes; join it to the bridge by hand", port->name, MOVE_MAX);
    return rc;
}

/* Routes by a gateway need the direct ones first. */
static int net_hand_over(const struct link *port, const struct link *bridge, const struct net_moved *m)
{
    int rc = 0;

    for (unsigned i = 0; i < m->n_addresses && !rc; i++) {
        rc = address_delete(port, &m->address[i]);
        rc = rc ? rc : address_add(bridge, &m->address[i]);
    }
    for (unsigned pass = 0; pass < 2; pass++) {
        for (unsigned i = 0; i < m->n_routes && !rc; i++) {
            if ((m->route[i].via.family != 0) == (pass == 1))
                rc = route_add(bridge, &m->route[i]);
        }
    }
    return rc;
}

static int net_join_port(const struct net_network *net, struct link *bridge, struct link *port)
{
    struct net_moved m;

    if (port->master == bridge->index)
        return link_set_up(port, true);
    if (port->master)
        return fault(-EBUSY, "bridge %s: interface %s belongs to another bridge; mend port= in %s", net->name, port->name, NET_CONF_FILE);
    int rc = net_note(port, &m);
    rc = rc ? rc : link_set_master(port, bridge);
    rc = rc ? rc : link_set_up(port, true);
    return rc ? rc : net_hand_over(port, bridge, &m);
}

static int net_make_bridge(const struct net_network *net, struct link *bridge, const struct link *port)
{
    uint8_t mac[6];
    char text[18];
    int rc = link_find(bridge, net->name);

    if (!rc && strcmp(bridge->kind, "bridge"))
        return fault(-EEXIST, "network %s: there is an interface of that name that is no bridge; take another name in %s", net->name,
                     NET_CONF_FILE);
    if (rc != -ENODEV)
        return rc;
    /* An address of its own: else it would change whenever a guest's interface comes or goes. */
    rc = net_make_mac(text, net->name, 0);
    rc = rc ? rc : net_parse_mac(text, mac);
    rc = rc ? rc : link_add_bridge(net->name, port ? port->mac : mac);
    return rc ? rc : link_find(bridge, net->name);
}

int net_setup(const struct net_network *net)
{
    struct link bridge, port;
    int rc = *net->port ? link_find(&port, net->port) : 0;

    if (net->kind == NET_ROUTED) {      /* no bridge: each interface gets its routes when it appears */
        rc = net_write_sysctl("1", "net/ipv4/ip_forward");
        return rc;
    }
    bool missing = rc == -ENODEV;       /* the bridge is made all the same: guests meet there */
    rc = missing ? 0 : rc;
    rc = rc ? rc : net_make_bridge(net, &bridge, *net->port && !missing ? &port : NULL);
    if (!rc && net->mtu && net->mtu != bridge.mtu)
        rc = link_set_mtu(&bridge, net->mtu);
    rc = rc ? rc : link_set_up(&bridge, true);
    if (!rc && net->address.family)
        rc = address_add(&bridge, &net->address);
    if (!rc && missing)
        rc = fault(-ENODEV, "bridge %s: there is no interface %s; mend port= in %s", net->name, net->port, NET_CONF_FILE);
    if (!rc && *net->port)
        rc = net_join_port(net, &bridge, &port);
    if (!rc && net->kind == NET_NAT)
        rc = net_write_sysctl("1", "net/ipv4/ip_forward");
    return rc;
}
