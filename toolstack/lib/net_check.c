/* SPDX-License-Identifier: MIT */
/*
 * What can be said about a network device before its guest exists, and what is left open filled in: the bridge (the default
 * network), the MAC (from the guest's uuid, so that it stays the same), the device number.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"
#include "net_conf.h"
#include "net_private.h"
#include "store.h"

/* --- bridges ---------------------------------------------------------------------------------------------------- */

struct bridge_names {
    char text[256];
};

static int bridge_collect(const struct link *l, void *arg)
{
    struct bridge_names *b = arg;
    size_t n = strlen(b->text);

    if (!strcmp(l->kind, "bridge") || !strcmp(l->kind, "openvswitch"))
        snprintf(b->text + n, sizeof(b->text) - n, "%s%s", n ? ", " : "", l->name);
    return 0;
}

static int bridge_missing(const char *name, const char *is)
{
    struct bridge_names b = { "" };

    link_each(bridge_collect, &b);
    return fault(-ENODEV, "network device: bridge '%s' %s; there is: %s; name one with bridge=, or add it to %s and run: xm network up",
                 name, is, b.text[0] ? b.text : "none", NET_CONF_FILE);
}

static int nic_check_bridge(struct nic_config *n)
{
    struct net_conf conf;
    struct link l;

    if (!n->bridge) {
        int rc = net_conf_load(&conf, NULL);
        if (rc)
            return rc;
        if (!*conf.fallback)
            return fault(-ENODEV, "network device: no bridge= is named and %s has no network", NET_CONF_FILE);
        n->bridge = strdup(conf.fallback);
        if (!n->bridge)
            return -ENOMEM;
    }
    int rc = link_find(&l, n->bridge);
    if (rc == -ENODEV)
        return bridge_missing(n->bridge, "is not there");
    if (!rc && strcmp(l.kind, "bridge") && strcmp(l.kind, "openvswitch"))
        return bridge_missing(n->bridge, "is an interface, not a bridge");
    return rc;
}

/* --- names and addresses that must be nobody else's -------------------------------------------------------------- */

struct nic_search {
    const struct nic_config *n;
    uint8_t mac[6];
};

static int nic_compare(const struct device *dev, void *arg)
{
    const struct nic_search *s = arg;
    char name[80], *mac = store_read("%s/mac", dev->record), *vif = store_read("%s/vifname", dev->record);
    int rc = 0;

    if (mac && !strcasecmp(mac, s->n->mac))
        rc = fault(-EEXIST, "network device: %s has MAC address %s; take another with mac=, or leave it out", device_domain_name(name,
                   dev->domid), mac);
    else if (vif && s->n->vifname && !strcmp(vif, s->n->vifname))
        rc = fault(-EEXIST, "network device: vifname '%s' is %s's; take another", vif, device_domain_name(name, dev->domid));
    free(mac);
    free(vif);
    return rc;
}

static int nic_check_others(const struct nic_config *n)
{
    struct nic_search s = { .n = n };
    unsigned count;
    int rc = net_parse_mac(n->mac, s.mac);

    if (!rc)
        rc = store_open();
    char **domains = rc ? NULL : store_list(&count, "/libxl");
    for (unsigned i = 0; domains && i < count && !rc; i++)
        rc = device_each((uint32_t)strtoul(domains[i], NULL, 10), "vif", nic_compare, &s);
    free(domains);
    return rc;
}

static int nic_check_vifname(const struct nic_config *n)
{
    struct link l;

    if (!n->vifname)
        return 0;
    if (!link_name_ok(n->vifname))
        return fault(-EINVAL, "network device: vifname '%.40s' cannot be an interface's name (1 to 15 letters or digits)", n->vifname);
    int rc = link_find(&l, n->vifname);
    if (rc == -ENODEV)
        return 0;
    return rc ? rc : fault(-EEXIST, "network device: vifname '%s': domain 0 has an interface of that name; take another", n->vifname);
}

static int nic_check_devid(struct nic_config *n, int domid)
{
    struct device dev;
    unsigned id = n->devid >= 0 ? (unsigned)n->devid : 0;

    if (domid < 0)
        return 0;
    for (;; id++) {
        device_init(&dev, (uint32_t)domid, "vif", id);
        if (!device_exists(&dev)) {
            n->devid = (int)id;
            return 0;
        }
        if (n->devid >= 0)
            return fault(-EEXIST, "network device %u: is there already; leave devid= out", id);
    }
}

static int nic_check_words(const struct nic_config *n)
{
    struct address a;
    uint64_t bytes;
    uint32_t interval;
    char *copy = n->ip ? strdup(n->ip) : NULL, *save, *word;
    int rc = n->rate ? net_parse_rate(n->rate, &bytes, &interval) : 0;

    for (word = copy ? strtok_r(copy, " ,", &save) : NULL; word && !rc; word = strtok_r(NULL, " ,", &save))
        rc = address_parse(&a, word);
    free(copy);
    if (!rc && n->mtu && (n->mtu < 68 || n->mtu > 65535))
        rc = fault(-EINVAL, "network device: an MTU of %u cannot be (68 to 65535)", n->mtu);
    return rc;
}

static int nic_fill_mac(struct nic_config *n, const char *seed, unsigned index)
{
    char mac[18];

    if (n->mac && *n->mac)
        return 0;
    int rc = net_make_mac(mac, seed, index);
    if (rc)
        return rc;
    free(n->mac);
    n->mac = strdup(mac);
    return n->mac ? 0 : -ENOMEM;
}

/* The stock scripts' names mean what is built in, unless such a script is installed. */
enum nic_way nic_way(const struct nic_config *n)
{
    char script[256];
    struct net_conf conf;

    if (n->script && access(nic_script_path(n->script, script), X_OK) == 0)
        return NIC_SCRIPT;
    if (n->script && !strcmp(n->script, "vif-route"))
        return NIC_ROUTE;
    if (n->script && strcmp(n->script, "vif-bridge") && strcmp(n->script, "vif-nat"))
        return NIC_SCRIPT;
    if (!n->bridge)
        return NIC_BRIDGE;
    if (net_conf_load(&conf, NULL)) {
        fault_clear();                  /* a bridge that is named needs no network.conf */
        return NIC_BRIDGE;
    }
    const struct net_network *net = net_conf_find(&conf, n->bridge);
    return net && net->kind == NET_ROUTED ? NIC_ROUTE : NIC_BRIDGE;
}

const char *nic_script_path(const char *script, char *out)
{
    snprintf(out, 256, "%s%s", *script == '/' ? "" : "/etc/xen/scripts/", script);
    return out;
}

int nic_check(struct nic_config *n, int domid, const char *seed, unsigned index)
{
    char script[256];
    enum nic_way way = nic_way(n);
    int rc = nic_fill_mac(n, seed, index);

    if (!rc && n->backend && strcmp(n->backend, "0") && strcasecmp(n->backend, "Domain-0"))
        rc = fault(-EOPNOTSUPP, "network device: backend '%s': networks are served by domain 0 only; take 'backend=' out", n->backend);
    if (!rc && n->ioemu && !n->model)
        warn("network device: 'type=ioemu' is for fully virtual guests and is ignored");
    if (!rc)
        rc = nic_check_words(n);
    if (!rc && way == NIC_SCRIPT)
        rc = device_check_script(n->script, script);
    if (!rc && way == NIC_BRIDGE)
        rc = nic_check_bridge(n);
    if (!rc && way == NIC_ROUTE && !n->ip)
        rc = fault(-EINVAL, "network device: a routed one needs the guest's addresses: ip=10.78.0.2");
    if (!rc)
        rc = nic_check_vifname(n);
    if (!rc)
        rc = nic_check_others(n);
    if (!rc)
        rc = nic_check_devid(n, domid);
    return rc;
}
