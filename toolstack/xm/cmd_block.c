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

static char *block_value(const char *dir, const char *key)
{
    char *v = store_read("%s/%s", dir, key);

    return v ? fault_printable(v) : strdup("-1"); /* the guest's words */
}

static int block_print(const struct device *dev, void *arg)
{
    char *state = block_value(dev->front, "state"), *port = block_value(dev->front, "event-channel");
    char *ring = block_value(dev->front, "ring-ref");

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
    struct json_object *o = json_object_new_object();
    char vdev[16], *state = store_read("%s/state", dev->front);

    disk_name_vdev(dev->id, vdev);
    json_object_object_add(o, "domid", json_object_new_int64(dev->domid));
    json_object_object_add(o, "vdev", json_object_new_string(vdev));
    json_object_object_add(o, "id", json_object_new_int64(dev->id));
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

int cmd_block_list(struct args *a)
{
    struct json_object *all = args_has(a, "json") ? json_object_new_array() : NULL;
    int first = store_open();

    if (!all)
        printf("%-5s %-3s %-6s %-5s %-6s %-8s %s\n", "Vdev", "BE", "handle", "state", "evt-ch", "ring-ref", "BE-path");
    for (unsigned i = 0; i < a->n; i++) {
        uint32_t domid;
        int rc = xm_domain(a->operands[i], &domid, NULL);
        rc = rc ? rc : device_each(domid, "vbd", all ? block_json : block_print, all);
        first = first ? first : rc;
    }
    if (all)
        xm_print_json(all);
    return first;
}
