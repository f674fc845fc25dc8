/* SPDX-License-Identifier: MIT */
/* What `xm list` asks hypervisor and store about a domain. */
#include "cpulist.h"
#include "list.h"
#include "xm.h"

#include <stdlib.h>
#include <string.h>

#include <xen/sched.h>

char *list_name(unsigned domid)
{
    char *name = store_handle() ? domain_name(domid) : NULL;

    return name ? name : strdup(domid ? "(null)" : "Domain-0");
}

void list_affinity(struct ctl *c, const struct xen_domctl_getdomaininfo *d, char *out, size_t size)
{
    struct xen_sysctl_physinfo host;
    uint8_t all[CPULIST_BYTES] = { 0 }, one[CPULIST_BYTES] = { 0 };

    snprintf(out, size, "any");
    if (ctl_physinfo(c, &host))
        return;
    size_t bytes = (host.max_cpu_id + 8) / 8;

    for (unsigned i = 0; i <= d->max_vcpu_id && d->max_vcpu_id != XEN_INVALID_MAX_VCPU_ID && bytes <= sizeof(all); i++) {
        if (ctl_vcpu_get_affinity(c, d->domain, i, one, NULL, bytes))
            return;
        for (size_t b = 0; b < bytes; b++)
            all[b] |= one[b];
    }
    cpulist_format(all, host.max_cpu_id + 1, out, size);
}

static void add_store(struct json_object *o, unsigned domid, const char *key, const char *path)
{
    char *value = store_handle() ? store_read("/local/domain/%u/%s", domid, path) : NULL;
    char *end;

    if (value) {
        long long v = strtoll(value, &end, 10);

        json_object_object_add(o, key, *value && !*end ? json_object_new_int64(v) : json_object_new_string(value));
    }
    free(value);
}

static void add_image(struct json_object *o, const char *uuid)
{
    static const char *const keys[] = { "kernel", "ramdisk", "cmdline" };

    for (unsigned i = 0; i < 3 && store_handle(); i++) {
        char *v = store_read("/vm/%s/image/%s", uuid, keys[i]);

        if (v)
            json_object_object_add(o, keys[i], json_object_new_string(v));
        free(v);
    }
}

struct json_object *list_json(const struct xen_domctl_getdomaininfo *d, bool details)
{
    struct json_object *o = json_object_new_object();
    char state[8], uuid[37], *name = list_name(d->domain);
    unsigned why = d->flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask;

    list_state(d, state);
    domain_format_uuid(d->handle, uuid);
    json_object_object_add(o, "name", json_object_new_string(name));
    json_object_object_add(o, "domid", json_object_new_int(d->domain));
    json_object_object_add(o, "uuid", json_object_new_string(uuid));
    json_object_object_add(o, "type", json_object_new_string(d->flags & XEN_DOMINF_hvm_guest ? "hvm" : "pv"));
    json_object_object_add(o, "state", json_object_new_string(state));
    json_object_object_add(o, "shutdown_reason", xm_json_string(d->flags & XEN_DOMINF_shutdown ? domain_reason(why) : NULL));
    json_object_object_add(o, "memory_kib", json_object_new_int64((int64_t)d->tot_pages * 4));
    json_object_object_add(o, "max_memory_kib", json_object_new_int64((int64_t)(d->max_pages > INT64_MAX / 4 ? INT64_MAX / 4 : d->max_pages) * 4));
    json_object_object_add(o, "claimed_kib", json_object_new_int64((int64_t)d->outstanding_pages * 4));
    json_object_object_add(o, "vcpus", json_object_new_int((int)d->nr_online_vcpus));
    json_object_object_add(o, "max_vcpus", json_object_new_int64((int64_t)d->max_vcpu_id + 1));
    json_object_object_add(o, "cpu_time_ns", json_object_new_int64((int64_t)d->cpu_time));
    if (details) {
        add_store(o, d->domain, "target_kib", "memory/target");
        add_store(o, d->domain, "static_max_kib", "memory/static-max");
        add_store(o, d->domain, "console", "console/tty");
        add_image(o, uuid);
    }
    free(name);
    return o;
}
