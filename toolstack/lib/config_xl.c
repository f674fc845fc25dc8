/* SPDX-License-Identifier: MIT */
/* xl's JSON form of a configuration. See config_xl.h. */
#include "config_xl.h"
#include "fault.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

static const char *const formats[] = { [DISK_RAW] = "raw", [DISK_QCOW2] = "qcow2", [DISK_QCOW] = "qcow", [DISK_VHD] = "vhd",
                                       [DISK_EMPTY] = "empty" };
static const char *const actions[] = {
    [ACTION_DESTROY] = "destroy", [ACTION_RESTART] = "restart", [ACTION_RENAME_RESTART] = "rename_restart",
    [ACTION_PRESERVE] = "preserve", [ACTION_COREDUMP_DESTROY] = "coredump_destroy", [ACTION_COREDUMP_RESTART] = "coredump_restart",
    [ACTION_SOFT_RESET] = "soft_reset",
};

/* --- making --------------------------------------------------------------------------------------------------------------- */

static void put(struct json_object *o, const char *key, const char *s)
{
    if (s)
        json_object_object_add(o, key, json_object_new_string(s));
}

static void put_num(struct json_object *o, const char *key, int64_t n)
{
    json_object_object_add(o, key, json_object_new_int64(n));
}

static struct json_object *make_cpus(const struct guest_config *c)
{
    struct json_object *list = json_object_new_array();

    for (unsigned i = 0; i < c->vcpus; i++)
        json_object_array_add(list, json_object_new_int((int)i));
    return list;
}

static struct json_object *make_build(const struct guest_config *c)
{
    struct json_object *b = json_object_new_object();

    put_num(b, "max_vcpus", c->maxvcpus);
    json_object_object_add(b, "avail_vcpus", make_cpus(c));
    put_num(b, "max_memkb", (int64_t)c->maxmem);
    put_num(b, "target_memkb", (int64_t)c->memory);
    put_num(b, "video_memkb", 0);
    put_num(b, "rtc_timeoffset", c->rtc_timeoffset);
    put(b, "localtime", c->localtime ? "True" : NULL);
    if (c->weight || c->cap) {
        struct json_object *s = json_object_new_object();

        if (c->weight)
            put_num(s, "weight", c->weight);
        put_num(s, "cap", c->cap);
        json_object_object_add(b, "sched_params", s);
    }
    put(b, "kernel", c->kernel);
    put(b, "cmdline", c->cmdline);
    put(b, "ramdisk", c->ramdisk);
    json_object_object_add(b, "type.pv", json_object_new_object());
    return b;
}

static struct json_object *make_disk(const struct disk_config *d)
{
    struct json_object *o = json_object_new_object();

    put(o, "pdev_path", d->target);
    put(o, "vdev", d->vdev);
    put(o, "format", formats[d->format]);
    put(o, "script", d->script);
    put_num(o, "readwrite", !d->readonly);
    if (d->cdrom) {
        put_num(o, "is_cdrom", 1);
        put_num(o, "removable", 1);
    }
    return o;
}

static struct json_object *make_nic(const struct nic_config *n, unsigned i)
{
    struct json_object *o = json_object_new_object();

    put_num(o, "devid", n->devid >= 0 ? n->devid : (int)i);
    put(o, "mac", n->mac);
    put(o, "bridge", n->bridge);
    put(o, "ip", n->ip);
    put(o, "script", n->script);
    put(o, "ifname", n->vifname);
    put(o, "gatewaydev", n->gatewaydev);
    put(o, "nictype", "vif");
    return o;
}

static void put_devices(struct json_object *o, const struct guest_config *c)
{
    struct json_object *disks = json_object_new_array(), *nics = json_object_new_array();

    for (unsigned i = 0; i < c->n_disks; i++)
        json_object_array_add(disks, make_disk(&c->disks[i]));
    for (unsigned i = 0; i < c->n_nics; i++)
        json_object_array_add(nics, make_nic(&c->nics[i], i));
    if (c->n_disks)
        json_object_object_add(o, "disks", disks);
    else
        json_object_put(disks);
    if (c->n_nics)
        json_object_object_add(o, "nics", nics);
    else
        json_object_put(nics);
}

char *config_xl_make(const struct guest_config *c)
{
    struct json_object *o = json_object_new_object(), *info = json_object_new_object();

    put(info, "type", "pv");
    put(info, "name", c->name);
    put(info, "uuid", c->uuid);
    json_object_object_add(o, "c_info", info);
    json_object_object_add(o, "b_info", make_build(c));
    put_devices(o, c);
    put(o, "on_poweroff", actions[c->on_poweroff]);
    put(o, "on_reboot", actions[c->on_reboot]);
    put(o, "on_crash", actions[c->on_crash]);
    put(o, "on_watchdog", actions[c->on_watchdog]);
    put(o, "on_soft_reset", actions[c->on_soft_reset]);
    char *text = strdup(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));

    json_object_put(o);
    return text;
}

/* --- reading -------------------------------------------------------------------------------------------------------------- */

static struct json_object *member(struct json_object *o, const char *key)
{
    struct json_object *m = NULL;

    return json_object_is_type(o, json_type_object) && json_object_object_get_ex(o, key, &m) ? m : NULL;
}

static char *text_of(struct json_object *o, const char *key)
{
    struct json_object *m = member(o, key);

    return m && json_object_is_type(m, json_type_string) ? strdup(json_object_get_string(m)) : NULL;
}

static int64_t number_of(struct json_object *o, const char *key, int64_t otherwise, int64_t max)
{
    struct json_object *m = member(o, key);
    int64_t v = m && json_object_is_type(m, json_type_int) ? json_object_get_int64(m) : otherwise;

    return v < 0 || v > max ? otherwise : v;
}

static bool truth_of(struct json_object *o, const char *key)
{
    struct json_object *m = member(o, key);

    return m && (json_object_is_type(m, json_type_string) ? !strcmp(json_object_get_string(m), "True") : json_object_get_boolean(m));
}

static int word_of(struct json_object *o, const char *key, const char *const *words, unsigned n, int otherwise)
{
    struct json_object *m = member(o, key);

    for (unsigned i = 0; m && json_object_is_type(m, json_type_string) && i < n; i++)
        if (words[i] && !strcmp(words[i], json_object_get_string(m)))
            return (int)i;
    return otherwise;
}
#define WORD_OF(o, key, list, otherwise) word_of(o, key, list, sizeof(list) / sizeof(*(list)), otherwise)

#define DEVICES_MAX 64U
#define MEMORY_MAX (1LL << 40) /* KiB */

static void take_build(struct guest_config *c, struct json_object *b)
{
    struct json_object *cpus = member(b, "avail_vcpus"), *sched = member(b, "sched_params");

    c->maxvcpus = (unsigned)number_of(b, "max_vcpus", 1, 4096);
    c->vcpus = cpus && json_object_is_type(cpus, json_type_array) ? (unsigned)json_object_array_length(cpus) : c->maxvcpus;
    c->vcpus = c->vcpus && c->vcpus <= c->maxvcpus ? c->vcpus : c->maxvcpus;
    c->maxmem = (uint64_t)number_of(b, "max_memkb", 0, MEMORY_MAX);
    c->memory = (uint64_t)number_of(b, "target_memkb", (int64_t)c->maxmem, MEMORY_MAX);
    c->maxmem = c->maxmem > c->memory ? c->maxmem : c->memory;
    c->weight = (unsigned)number_of(sched, "weight", 0, 65535);
    c->cap = (unsigned)number_of(sched, "cap", 0, 100 * 4096);
    c->rtc_timeoffset = (int)number_of(b, "rtc_timeoffset", 0, 1 << 30);
    c->localtime = truth_of(b, "localtime");
    c->kernel = text_of(b, "kernel");
    c->ramdisk = text_of(b, "ramdisk");
    c->cmdline = text_of(b, "cmdline");
}

static void take_disk(struct disk_config *d, struct json_object *o)
{
    d->target = text_of(o, "pdev_path");
    d->vdev = text_of(o, "vdev");
    d->script = text_of(o, "script");
    d->format = (enum disk_format)WORD_OF(o, "format", formats, DISK_RAW);
    d->readonly = !number_of(o, "readwrite", 0, 1);
    d->cdrom = number_of(o, "is_cdrom", 0, 1);
    d->discard = true;
    d->trusted = true;
}

static void take_nic(struct nic_config *n, struct json_object *o, unsigned i)
{
    n->devid = (int)number_of(o, "devid", i, 1 << 20);
    n->mac = text_of(o, "mac");
    n->bridge = text_of(o, "bridge");
    n->ip = text_of(o, "ip");
    n->script = text_of(o, "script");
    n->vifname = text_of(o, "ifname");
    n->gatewaydev = text_of(o, "gatewaydev");
    n->trusted = true;
}

static unsigned list_length(struct json_object *list)
{
    size_t n = list && json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;

    return n > DEVICES_MAX ? DEVICES_MAX + 1 : (unsigned)n;
}

static int take_devices(struct guest_config *c, struct json_object *o)
{
    struct json_object *disks = member(o, "disks"), *nics = member(o, "nics");
    unsigned n_disks = list_length(disks), n_nics = list_length(nics);

    if (n_disks > DEVICES_MAX || n_nics > DEVICES_MAX)
        return fault(-E2BIG, "more than %u disks or networks", DEVICES_MAX);
    c->disks = calloc(n_disks + 1, sizeof(*c->disks));
    c->nics = calloc(n_nics + 1, sizeof(*c->nics));
    if (!c->disks || !c->nics)
        return fault(-ENOMEM, "no memory");
    for (; c->n_disks < n_disks; c->n_disks++)
        take_disk(&c->disks[c->n_disks], json_object_array_get_idx(disks, c->n_disks));
    for (; c->n_nics < n_nics; c->n_nics++)
        take_nic(&c->nics[c->n_nics], json_object_array_get_idx(nics, c->n_nics), c->n_nics);
    for (unsigned i = 0; i < n_disks; i++)
        if (!c->disks[i].vdev || (!c->disks[i].target && c->disks[i].format != DISK_EMPTY))
            return fault(-EINVAL, "disk %u has no vdev or no pdev_path", i);
    return 0;
}

static int take(struct guest_config *c, struct json_object *o)
{
    static const char *const types[] = { [GUEST_PV] = "pv", [GUEST_PVH] = "pvh", [GUEST_HVM] = "hvm" };
    struct json_object *info = member(o, "c_info"), *build = member(o, "b_info");

    if (!info || !build)
        return fault(-EINVAL, "c_info or b_info is missing");
    c->type = (enum guest_type)WORD_OF(info, "type", types, GUEST_PV);
    c->name = text_of(info, "name");
    c->uuid = text_of(info, "uuid");
    take_build(c, build);
    c->on_poweroff = (enum guest_action)WORD_OF(o, "on_poweroff", actions, ACTION_DESTROY);
    c->on_reboot = (enum guest_action)WORD_OF(o, "on_reboot", actions, ACTION_RESTART);
    c->on_crash = (enum guest_action)WORD_OF(o, "on_crash", actions, ACTION_DESTROY);
    c->on_watchdog = (enum guest_action)WORD_OF(o, "on_watchdog", actions, ACTION_DESTROY);
    c->on_soft_reset = (enum guest_action)WORD_OF(o, "on_soft_reset", actions, ACTION_SOFT_RESET);
    if (!c->name || !c->maxmem)
        return fault(-EINVAL, "the name or the memory is missing");
    return take_devices(c, o);
}

int config_xl_parse(struct guest_config *c, const char *name, const char *json)
{
    enum json_tokener_error e = json_tokener_success;
    struct json_object *o = json_tokener_parse_verbose(json, &e);

    *c = (struct guest_config){ .type = GUEST_PV };
    int rc = o ? take(c, o) : fault(-EINVAL, "%s", json_tokener_error_desc(e));

    json_object_put(o);
    return rc ? fault(rc, "%s: the configuration in xl's form", name) : 0;
}
