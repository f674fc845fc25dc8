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

static int network_print(const struct device *dev, void *arg)
{
    char *mac = store_read("%s/mac", dev->record), *state = xm_device_word(dev, "state"), *port = xm_device_word(dev, "event-channel");
    char *tx = xm_device_word(dev, "tx-ring-ref"), *rx = xm_device_word(dev, "rx-ring-ref"), rings[40];

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

    json_object_array_add(arg, xm_device_json(dev, "devid", keys, sizeof(keys) / sizeof(keys[0])));
    return 0;
}

int cmd_network_list(struct args *a)
{
    return xm_device_list(a, "vif", "Idx BE Mac Addr.         handle state evt-ch   tx-/rx-ring-ref    BE-path", network_print, network_json);
}
