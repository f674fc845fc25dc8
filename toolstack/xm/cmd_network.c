/* SPDX-License-Identifier: MIT */
/* xm network-attach, network-detach, network-list: a guest's network devices while it runs. The list's columns are xl's. */
#include "device.h"
#include "net.h"
#include "xm.h"

#include <stdlib.h>
#include <string.h>

int cmd_network_attach(struct args *a)
{
    struct nic_config n = { .devid = -1 };
    uint32_t domid;
    int rc = xm_guest(a->operands[0], &domid, NULL, "given network devices");

    xm_about(a->operands[0]);
    rc = rc ? rc : config_parse_nic(&n, (const char *const *)a->operands + 1, a->n - 1);
    rc = rc ? rc : args_has(a, "n") ? nic_check(&n, (int)domid, NULL, 0) : nic_attach(domid, &n);
    config_dispose_nic(&n);
    return rc;
}

int cmd_network_detach(struct args *a)
{
    uint32_t domid;
    int rc = xm_guest(a->operands[0], &domid, NULL, "relieved of network devices");

    xm_about(a->operands[0]);
    return rc ? rc : nic_detach(domid, a->operands[1], args_has(a, "f"));
}

static char *network_value(const struct device *dev, const char *key)
{
    char *v = store_read("%s/%s", dev->front, key);

    return v ? fault_printable(v) : strdup("-1"); /* the guest's words */
}

static int network_print(const struct device *dev, void *arg)
{
    char *mac = store_read("%s/mac", dev->record), *state = network_value(dev, "state"), *port = network_value(dev, "event-channel");
    char *tx = network_value(dev, "tx-ring-ref"), *rx = network_value(dev, "rx-ring-ref"), rings[40];

    (void)arg;
    snprintf(rings, sizeof(rings), "%.18s/%.18s", tx, rx);
    printf("%-3u %-2u %-17s %6u %5s %6s %9s         %s\n", dev->id, dev->backend, mac ? mac : "-", dev->id, state, port, rings, dev->back);
    free(mac);
    free(state);
    free(port);
    free(tx);
    free(rx);
    return 0;
}

static int network_json(const struct device *dev, void *arg)
{
    static const char *const keys[] = { "mac", "bridge", "vifname", "ip", "rate", "script" };
    struct json_object *o = json_object_new_object();
    char *state = store_read("%s/state", dev->front);

    json_object_object_add(o, "domid", json_object_new_int64(dev->domid));
    json_object_object_add(o, "devid", json_object_new_int64(dev->id));
    json_object_object_add(o, "state", json_object_new_int(state ? atoi(state) : 0));
    free(state);
    for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        char *v = store_read("%s/%s", dev->record, keys[i]);
        if (v)
            json_object_object_add(o, keys[i], json_object_new_string(v));
        free(v);
    }
    json_object_array_add(arg, o);
    return 0;
}

int cmd_network_list(struct args *a)
{
    struct json_object *all = args_has(a, "json") ? json_object_new_array() : NULL;
    int first = store_open();

    if (!all)
        printf("%-3s %-2s %-17s %-6s %-5s %-6s %5s/%-14s %s\n", "Idx", "BE", "Mac Addr.", "handle", "state", "evt-ch", "tx-", "rx-ring-ref",
               "BE-path");
    for (unsigned i = 0; i < a->n; i++) {
        uint32_t domid;
        int rc = xm_domain(a->operands[i], &domid, NULL);
        rc = rc ? rc : device_each(domid, "vif", all ? network_json : network_print, all);
        first = first ? first : rc;
    }
    if (all)
        xm_print_json(all);
    return first;
}
