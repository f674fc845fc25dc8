/* SPDX-License-Identifier: MIT */
/*
 * A configuration as JSON and as text that the reader takes again. Both come from one JSON object whose members are the keys
 * of xl.cfg, so that they cannot say different things.
 */
#include "config.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

static const char *const types[] = { [GUEST_PV] = "pv", [GUEST_PVH] = "pvh", [GUEST_HVM] = "hvm" };
static const char *const actions[] = {
    [ACTION_DESTROY] = "destroy", [ACTION_RESTART] = "restart", [ACTION_RENAME_RESTART] = "rename-restart",
    [ACTION_PRESERVE] = "preserve", [ACTION_COREDUMP_DESTROY] = "coredump-destroy", [ACTION_COREDUMP_RESTART] = "coredump-restart",
    [ACTION_SOFT_RESET] = "soft-reset",
};
static const char *const formats[] = { [DISK_RAW] = "raw", [DISK_QCOW2] = "qcow2", [DISK_QCOW] = "qcow", [DISK_VHD] = "vhd",
                                       [DISK_EMPTY] = "empty" };
static const char *const backends[] = { [DISK_AUTO] = NULL, [DISK_PHY] = "phy", [DISK_FILE] = "file", [DISK_QDISK] = "qdisk" };

static void put_str(struct json_object *o, const char *key, const char *s)
{
    if (s)
        json_object_object_add(o, key, json_object_new_string(s));
}

static void put_num(struct json_object *o, const char *key, int64_t n, bool always)
{
    if (n || always)
        json_object_object_add(o, key, json_object_new_int64(n));
}

/* Memory that is no whole number of MiB keeps its KiB. */
static void put_memory(struct json_object *o, const char *key, uint64_t kib)
{
    char text[40];

    if (kib % 1024 == 0) {
        put_num(o, key, (int64_t)(kib / 1024), false);
        return;
    }
    snprintf(text, sizeof(text), "%lluK", (unsigned long long)kib);
    put_str(o, key, text);
}

static void put_strings(struct json_object *o, const char *key, char *const *s, unsigned n)
{
    struct json_object *list = json_object_new_array();

    for (unsigned i = 0; i < n; i++)
        json_object_array_add(list, json_object_new_string(s[i]));
    json_object_object_add(o, key, list);
}

/* A growing text of comma-separated parts. */
struct parts { char *s; size_t n; FILE *f; };

static void part(struct parts *p, const char *key, const char *value)
{
    if (value)
        fprintf(p->f, "%s%s%s", ftell(p->f) > 0 ? "," : "", key, value);
}

static struct json_object *disk_text(const struct disk_config *d)
{
    struct parts p = { 0 };

    if (!(p.f = open_memstream(&p.s, &p.n)))
        return NULL;
    part(&p, "format=", formats[d->format]);
    part(&p, "vdev=", d->vdev);
    part(&p, "access=", d->readonly ? d->shared ? "r!" : "ro" : d->shared ? "w!" : "rw");
    part(&p, "devtype=", d->cdrom ? "cdrom" : NULL);
    part(&p, "backendtype=", backends[d->how]);
    part(&p, "backend=", d->backend);
    part(&p, "script=", d->script);
    part(&p, "direct-io-safe", d->direct_io_safe ? "" : NULL);
    part(&p, "no-discard", d->discard ? NULL : "");
    part(&p, "untrusted", d->trusted ? NULL : "");
    part(&p, "target=", d->target);
    fclose(p.f);
    struct json_object *o = json_object_new_string_len(p.s, (int)p.n);
    free(p.s);
    return o;
}

static struct json_object *nic_text(const struct nic_config *n)
{
    struct parts p = { 0 };
    char num[2][16];

    if (!(p.f = open_memstream(&p.s, &p.n)))
        return NULL;
    snprintf(num[0], sizeof(num[0]), "%u", n->mtu);
    snprintf(num[1], sizeof(num[1]), "%d", n->devid);
    part(&p, "mac=", n->mac);
    part(&p, "bridge=", n->bridge);
    part(&p, "ip=", n->ip);
    part(&p, "script=", n->script);
    part(&p, "backend=", n->backend);
    part(&p, "vifname=", n->vifname);
    part(&p, "model=", n->model);
    part(&p, "gatewaydev=", n->gatewaydev);
    part(&p, "rate=", n->rate);
    part(&p, "mtu=", n->mtu ? num[0] : NULL);
    part(&p, "devid=", n->devid >= 0 ? num[1] : NULL);
    part(&p, "type=", n->ioemu ? "ioemu" : NULL);
    part(&p, "untrusted", n->trusted ? NULL : "");
    fclose(p.f);
    struct json_object *o = json_object_new_string_len(p.s, (int)p.n);
    free(p.s);
    return o;
}

static void put_devices(struct json_object *o, const struct guest_config *c)
{
    struct json_object *list = json_object_new_array();

    for (unsigned i = 0; i < c->n_disks; i++)
        json_object_array_add(list, disk_text(&c->disks[i]));
    json_object_object_add(o, "disk", list);
    list = json_object_new_array();
    for (unsigned i = 0; i < c->n_nics; i++)
        json_object_array_add(list, nic_text(&c->nics[i]));
    json_object_object_add(o, "vif", list);
    if (c->n_pci)
        put_strings(o, "pci", c->pci, c->n_pci);
}

static void put_cpus(struct json_object *o, const struct guest_config *c)
{
    put_num(o, "vcpus", c->vcpus, false);
    put_num(o, "maxvcpus", c->maxvcpus, false);
    put_str(o, "cpus", c->cpus);
    put_str(o, "cpus_soft", c->cpus_soft);
    if (c->n_cpus_each)
        put_strings(o, "cpus", c->cpus_each, c->n_cpus_each);
    if (c->n_cpus_soft_each)
        put_strings(o, "cpus_soft", c->cpus_soft_each, c->n_cpus_soft_each);
    put_num(o, "cpu_weight", c->weight, false);
    put_num(o, "cap", c->cap, false);
    put_str(o, "pool", c->pool);
}

static void put_other(struct json_object *o, const struct guest_config *c)
{
    struct json_object *other = c->other_json ? json_tokener_parse(c->other_json) : NULL;

    if (json_object_is_type(other, json_type_object)) {
        json_object_object_foreach(other, key, value)
            json_object_object_add(o, key, json_object_get(value));
    }
    json_object_put(other);
}

static struct json_object *config_json(const struct guest_config *c)
{
    struct json_object *o = json_object_new_object();

    put_str(o, "name", c->name);
    put_str(o, "uuid", c->uuid);
    put_str(o, "type", types[c->type]);
    put_str(o, "kernel", c->kernel);
    put_str(o, "ramdisk", c->ramdisk);
    put_str(o, "cmdline", c->cmdline);
    put_str(o, "bootloader", c->bootloader);
    put_str(o, "bootloader_args", c->bootloader_args);
    put_memory(o, "memory", c->memory);
    put_memory(o, "maxmem", c->maxmem);
    put_cpus(o, c);
    put_devices(o, c);
    put_str(o, "on_poweroff", actions[c->on_poweroff]);
    put_str(o, "on_reboot", actions[c->on_reboot]);
    put_str(o, "on_crash", actions[c->on_crash]);
    put_str(o, "on_watchdog", actions[c->on_watchdog]);
    put_str(o, "on_soft_reset", actions[c->on_soft_reset]);
    put_num(o, "max_grant_frames", c->max_grant_frames, false);
    put_num(o, "max_maptrack_frames", c->max_maptrack_frames, false);
    put_num(o, "max_event_channels", c->max_event_channels, false);
    put_str(o, "tsc_mode", c->tsc_mode);
    put_str(o, "cpuid", c->cpuid);
    put_str(o, "cpu_level", c->cpu_level);
    put_num(o, "nomigrate", c->nomigrate, false);
    put_num(o, "localtime", c->localtime, false);
    put_num(o, "rtc_timeoffset", c->rtc_timeoffset, false);
    put_other(o, c);
    return o;
}

void config_print_json(const struct guest_config *c, FILE *out)
{
    struct json_object *o = config_json(c);

    fprintf(out, "%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(o);
}

static void print_quoted(const char *s, FILE *out)
{
    fputc('"', out);
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            fputc('\\', out);
        if (*s == '\n')
            fputs("\\n", out);
        else
            fputc(*s, out);
    }
    fputc('"', out);
}

static void print_value(struct json_object *v, FILE *out)
{
    switch (json_object_get_type(v)) {
    case json_type_string: print_quoted(json_object_get_string(v), out); break;
    case json_type_boolean: fputs(json_object_get_boolean(v) ? "1" : "0", out); break;
    case json_type_array:
        fputs("[ ", out);
        for (size_t i = 0; i < json_object_array_length(v); i++) {
            fputs(i ? ", " : "", out);
            print_value(json_object_array_get_idx(v, i), out);
        }
        fputs(" ]", out);
        break;
    default: fputs(v ? json_object_to_json_string(v) : "\"\"", out);
    }
}

void config_print_xl(const struct guest_config *c, FILE *out)
{
    struct json_object *o = config_json(c);

    json_object_object_foreach(o, key, value) {
        fprintf(out, "%s = ", key);
        print_value(value, out);
        fputc('\n', out);
    }
    json_object_put(o);
}
