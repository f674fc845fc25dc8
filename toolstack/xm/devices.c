/* SPDX-License-Identifier: MIT */
/* What the lists of disks and of network devices share. */
#include "device.h"
#include "xm.h"

#include <stdlib.h>
#include <string.h>

char *xm_device_word(const struct device *dev, const char *key)
{
    char *v = store_read("%s/%s", dev->front, key);

    return v ? fault_printable(v) : strdup("-1"); /* the guest's words */
}

struct json_object *xm_device_json(const struct device *dev, const char *id, const char *const *keys, unsigned n)
{
    struct json_object *o = json_object_new_object();
    char *state = store_read("%s/state", dev->front);

    json_object_object_add(o, "domid", json_object_new_int64(dev->domid));
    json_object_object_add(o, id, json_object_new_int64(dev->id));
    json_object_object_add(o, "state", json_object_new_int(state ? atoi(state) : 0));
    free(state);
    for (unsigned i = 0; i < n; i++) {
        char *v = store_read("%s/%s", dev->record, keys[i]);

        if (v)
            json_object_object_add(o, keys[i], json_object_new_string(v));
        free(v);
    }
    return o;
}

int xm_device_list(struct args *a, const char *kind, const char *head, xm_device_fn *print, xm_device_fn *json)
{
    struct json_object *all = args_has(a, "json") ? json_object_new_array() : NULL;
    int first = store_open();

    if (!all)
        puts(head);
    for (unsigned i = 0; i < a->n; i++) {
        uint32_t domid;
        int rc = xm_domain(a->operands[i], &domid, NULL);

        rc = rc ? rc : device_each(domid, kind, all ? json : print, all);
        first = first ? first : rc;
    }
    if (all)
        xm_print_json(all);
    return first;
}
