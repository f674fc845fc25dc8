/* SPDX-License-Identifier: MIT */
/* The host's networks, one after the other. */
#include <errno.h>
#include <string.h>

#include "fault.h"
#include "net_setup.h"
#include "zendod.h"

static int networks_one(const struct net_network *net)
{
    char address[64] = "no address";
    int rc = net_setup(net);

    if (!rc && net->kind == NET_NAT)
        rc = nat_set(net);
    if (net->address.family)
        address_text(address, &net->address);
    if (rc)
        log_fault("network %s is not up", net->name);
    else
        log_line("network %s: %s, %s%s%s", net->name, net_kind_name(net->kind), address, *net->port ? ", port " : "", net->port);
    return rc;
}

int networks_up(const char *file)
{
    struct net_conf conf;
    int rc = net_conf_load(&conf, file);

    if (rc) {
        log_fault("no network is set up");
        return rc;
    }
    for (unsigned i = 0; i < conf.n; i++) {
        int now = networks_one(&conf.network[i]);
        rc = rc ? rc : now;
    }
    return rc;
}
