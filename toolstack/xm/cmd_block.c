/* SPDX-License-Identifier: MIT */
/* xm block-attach, block-detach, block-list: a guest's disks while it runs. The list's columns are xl's. */
#include "device.h"
#include "disk.h"
#include "xm.h"

#include <stdlib.h>
#include <string.h>

int cmd_block_attach(struct args *a)
{
    struct disk_config d = { .target = NULL };
    uint32_t domid;
    int rc = xm_guest(a->operands[0], &domid, NULL, "given disks");

    xm_about(a->operands[0]);
    rc = rc ? rc : config_parse_disk(&d, (const char *const *)a->operands + 1, a->n - 1);
    rc = rc ? rc : args_has(a, "n") ? disk_check(&d, (int)domid) : disk_attach(domid, &d);
    config_dispose_disk(&d);
    return rc;
}

int cmd_block_detach(struct args *a)
{
    uint32_t domid;
    int rc = xm_guest(a->operands[0], &domid, NULL, "relieved of disks");

    xm_about(a->operands[0]);
    return rc ? rc : disk_detach(domid, a->operands[1], args_has(a, "f"));
}

static int block_print(const struct device *dev, void *arg)
{
    char *state = xm_device_word(dev, "state"), *port = xm_device_word(dev, "event-channel"), *ring = xm_device_word(dev, "ring-ref");

    (void)arg;
    printf("%-5u %-3u %-6u %-5s %-6s %-8s %s\n", dev->id, dev->backend, dev->domid, state, port, ring, dev->back);
    free(state);
    free(port);
    free(ring);
    return 0;
}

static int block_json(const struct device *dev, void *arg)
{
    static const char *const keys[] = { "params", "mode", "node", "type" };
    struct json_object *o = xm_device_json(dev, "id", keys, sizeof(keys) / sizeof(keys[0]));
    char vdev[16];

    disk_name_vdev(dev->id, vdev);
    json_object_object_add(o, "vdev", json_object_new_string(vdev));
    json_object_array_add(arg, o);
    return 0;
}

int cmd_block_list(struct args *a)
{
    return xm_device_list(a, "vbd", "Vdev  BE  handle state evt-ch ring-ref BE-path", block_print, block_json);
}
