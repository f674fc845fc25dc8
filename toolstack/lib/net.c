/* SPDX-License-Identifier: MIT */
/*
 * A guest's network device: the kernel's backend (xen-netback) makes an interface vifN.M as soon as it sees the device; that joins
 * a bridge, or gets routes, and is switched on. Then `hotplug-status` lets the backend go on. Checksums: both ends leave them
 * to each other (the backend offers it, the frontend takes it), so between guests nobody computes any; where a packet leaves the
 * machine the sending driver or card does. Nothing needs to be switched off.
 */
#include "net.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"
#include "net_conf.h"
#include "net_private.h"
#include "store.h"

#define NIC_WAIT_MS 10000

int net_write_sysctl(const char *value, const char *format, ...)
{
    char path[128] = "/proc/sys/";
    va_list args;

    va_start(args, format);
    vsnprintf(path + 10, sizeof(path) - 10, format, args);
    va_end(args);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : write(fd, value, strlen(value));
    int rc = n < 0 ? -errno : 0;
    if (fd >= 0)
        close(fd);
    return rc ? fault(rc, "%s: cannot be set to %s: %s", path, value, strerror(-rc)) : 0;
}

struct nic_nodes {
    const struct device *dev;
    const struct nic_config *nic;
    const char *script;
};

static int nic_write_nodes(const void *arg)
{
    const struct nic_nodes *w = arg;
    const struct device *dev = w->dev;
    const struct nic_config *n = w->nic;
    uint64_t bytes;
    uint32_t interval;
    int rc = device_write_base(dev);

    rc = rc ? rc : device_put_back(dev, "script", "%s", w->script);
    rc = rc ? rc : device_put_back(dev, "mac", "%s", n->mac);
    if (n->bridge)
        rc = rc ? rc : device_put_back(dev, "bridge", "%s", n->bridge);
    if (n->vifname)
        rc = rc ? rc : device_put_back(dev, "vifname", "%s", n->vifname);
    if (n->ip)
        rc = rc ? rc : device_put_back(dev, "ip", "%s", n->ip);
    if (n->gatewaydev)
        rc = rc ? rc : device_put_back(dev, "gatewaydev", "%s", n->gatewaydev);
    if (n->rate && !rc && !(rc = net_parse_rate(n->rate, &bytes, &interval)))
        rc = device_put_back(dev, "rate", "%llu,%u", (unsigned long long)bytes, interval);
    rc = rc ? rc : device_put_back(dev, "handle", "%u", dev->id);
    rc = rc ? rc : device_put_back(dev, "type", "vif");
    rc = rc ? rc : device_put_back(dev, "hotplug-status", "%s", "");
    rc = rc ? rc : device_put_front(dev, "handle", "%u", dev->id);
    rc = rc ? rc : device_put_front(dev, "mac", "%s", n->mac);
    rc = rc ? rc : device_put_front(dev, "trusted", "%d", n->trusted);
    return rc;
}

static int nic_find_vif(const struct device *dev, struct link *vif)
{
    char name[16];
    uint64_t until = store_clock_ms() + NIC_WAIT_MS;
    int rc = device_wait_backend(dev, NIC_WAIT_MS);

    snprintf(name, sizeof(name), "vif%u.%u", dev->domid, dev->id);
    while (!rc && (rc = link_find(vif, name)) == -ENODEV) {
        if (store_clock_ms() >= until)
            return fault(-ENODEV, "network device %u: domain 0's backend made no interface %s within 10 s; see dmesg", dev->id, name);
        usleep(2000);
        rc = 0;
    }
    return rc;
}

static int nic_join_bridge(const struct device *dev, struct link *vif, const struct nic_config *n)
{
    struct link bridge;
    int rc = link_find(&bridge, n->bridge);

    if (rc)
        return fault(rc, "network device %u: bridge '%s' has gone meanwhile", dev->id, n->bridge);
    unsigned mtu = n->mtu ? n->mtu : bridge.mtu;
    /* IPv6 would give domain 0 an address on each guest's wire. */
    if (!access("/proc/sys/net/ipv6", F_OK) && net_write_sysctl("1", "net/ipv6/conf/%s/disable_ipv6", vif->name))
        fault_clear();
    if (mtu != vif->mtu)
        rc = link_set_mtu(vif, mtu);
    rc = rc ? rc : link_set_master(vif, &bridge);
    rc = rc ? rc : link_set_up(vif, true);
    if (!rc && !bridge.up)
        rc = link_set_up(&bridge, true);
    return rc ? rc : store_put(dev->front, "mtu", "%u", mtu);
}

/* A host route for each address, and domain 0 answers for it to the others. */
static int nic_add_routes(struct link *vif, const struct nic_config *n)
{
    char *copy = strdup(n->ip), *save, *word;
    struct net_conf conf;
    const struct net_network *net = n->bridge && !net_conf_load(&conf, NULL) ? net_conf_find(&conf, n->bridge) : NULL;
    int rc = copy ? link_set_up(vif, true) : -ENOMEM;

    if (!rc && net && net->address.family) {
        struct address gateway = net->address;
        gateway.prefix = gateway.family == AF_INET ? 32 : 128;
        rc = address_add(vif, &gateway);
    }
    rc = rc ? rc : net_write_sysctl("1", "net/ipv4/conf/%s/proxy_arp", vif->name);
    rc = rc ? rc : net_write_sysctl("1", "net/ipv4/ip_forward");
    for (word = copy ? strtok_r(copy, " ,", &save) : NULL; word && !rc; word = strtok_r(NULL, " ,", &save)) {
        struct route r = { .metric = 0 };
        rc = address_parse(&r.to, word);
        r.to.prefix = r.to.family == AF_INET ? 32 : 128;
        rc = rc ? rc : route_add(vif, &r);
    }
    free(copy);
    return rc;
}

static int nic_connect(const struct device *dev, const struct nic_config *n, enum nic_way way, const char *script)
{
    struct link vif;
    int rc = nic_find_vif(dev, &vif);

    if (!rc && n->vifname && way != NIC_SCRIPT) {
        rc = link_set_name(&vif, n->vifname);
        snprintf(vif.name, sizeof(vif.name), "%s", n->vifname);
    }
    if (!rc && way == NIC_BRIDGE)
        rc = nic_join_bridge(dev, &vif, n);
    if (!rc && way == NIC_ROUTE)
        rc = nic_add_routes(&vif, n);
    if (!rc && way == NIC_SCRIPT)
        return device_run_script(dev, script, "online", "type_if=vif", vif.name);
    return rc ? rc : store_put(dev->back, "hotplug-status", "connected");
}

int nic_attach(uint32_t domid, const struct nic_config *given)
{
    struct nic_config n = *given;
    enum nic_way way = nic_way(&n);
    char script[256] = "/etc/xen/scripts/vif-bridge";
    struct device dev;
    int rc = device_lock();

    if (rc)
        return rc;
    /* The caller's structure stays as it is: what is filled in here is ours. */
    n.mac = given->mac ? strdup(given->mac) : NULL;
    n.bridge = given->bridge ? strdup(given->bridge) : NULL;
    rc = nic_check(&n, (int)domid, NULL, 0);
    if (!rc) {
        device_init(&dev, domid, "vif", (unsigned)n.devid);
        if (way != NIC_BRIDGE)
            nic_script_path(way == NIC_ROUTE ? "vif-route" : n.script, script);
        rc = store_transact(nic_write_nodes, &(struct nic_nodes){ &dev, &n, script });
        rc = rc ? rc : store_put(dev.record, "zendo", way == NIC_SCRIPT ? "script" : "builtin");
        rc = rc ? rc : nic_connect(&dev, &n, way, script);
        if (rc) {
            device_close(&dev, true, NIC_WAIT_MS);
            device_forget(&dev);
        }
    }
    free(n.mac);
    free(n.bridge);
    device_unlock();
    return rc;
}

/* The interface goes with the device, and takes bridge, routes and addresses along. */
void nic_release(const struct device *dev)
{
    char *kind = store_read("%s/zendo", dev->record), *script = store_read("%s/script", dev->record), name[16];

    snprintf(name, sizeof(name), "vif%u.%u", dev->domid, dev->id);
    if (kind && !strcmp(kind, "script") && script && device_run_script(dev, script, "offline", "type_if=vif", name)) {
        warn("%s", fault_text());
        fault_clear();
    }
    free(kind);
    free(script);
}

/* --- detach ----------------------------------------------------------------------------------------------------- */

struct nic_pick {
    const char *which;
    struct device dev;
    bool got;
};

static int nic_match(const struct device *dev, void *arg)
{
    struct nic_pick *p = arg;
    char *mac = store_read("%s/mac", dev->record), *end;
    unsigned long id = strtoul(p->which, &end, 10);
    bool same = (*p->which && !*end && id == dev->id) || (mac && !strcasecmp(mac, p->which));

    free(mac);
    if (same) {
        p->dev = *dev;
        p->got = true;
    }
    return same;
}

int nic_detach(uint32_t domid, const char *which, bool force)
{
    struct nic_pick p = { .which = which };
    char name[80];
    int rc = device_each(domid, "vif", nic_match, &p);

    if (rc < 0)
        return rc;
    if (!p.got)
        return fault(-ENOENT, "network device '%.40s': %s has none with that number or MAC; xm network-list %u shows them", which,
                     device_domain_name(name, domid), domid);
    rc = device_close(&p.dev, force, NIC_WAIT_MS);
    if (rc)
        return rc;
    nic_release(&p.dev);
    return device_forget(&p.dev);
}
