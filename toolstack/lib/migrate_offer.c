/* SPDX-License-Identifier: MIT */
/*
 * Before a byte of memory moves: what the guest needs goes to the target, which looks at each item and answers for each. The text of
 * an item is the same refusal that `xm create` would give on that host.
 */
#include "cpuid.h"
#include "device.h"
#include "disk.h"
#include "domains.h"
#include "fault.h"
#include "migrate_guest.h"
#include "net.h"
#include "store.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#define OVERHEAD_PAGES 512U /* of the hypervisor, beside the guest's own memory */
#define WORDS_MAX 64
#define PAGES_MAX (1LL << 32)

/* --- the source's half ---------------------------------------------------------------------------------------------------------- */

static uint32_t value_of(const xen_cpuid_leaf_t *leaf, unsigned n, const struct cpuid_change *c)
{
    for (unsigned i = 0; i < n; i++)
        if (leaf[i].leaf == c->leaf && leaf[i].subleaf == c->sub)
            return (const uint32_t[]){ leaf[i].a, leaf[i].b, leaf[i].c, leaf[i].d }[c->reg];
    return 0;
}

/* A word for each register of features: those that the guest has been shown. What only the hypervisor makes up is on every host. */
static int offer_cpu(struct ctl *c, uint32_t domid, struct json_object *offer)
{
    xen_cpuid_leaf_t *own = NULL, *max = NULL;
    int n = ctl_cpuid_get(c, (domid_t)domid, &own), n_max = n < 0 ? n : ctl_cpuid_max(c, &max);
    struct json_object *list = json_object_new_array();
    struct cpuid_change reg;

    for (unsigned i = 0; n_max >= 0 && cpuid_feature_register(i, &reg); i++)
        json_object_array_add(list, json_object_new_int64(reg.leaf ? value_of(own, (unsigned)n, &reg) & value_of(max, (unsigned)n_max, &reg) : 0));
    json_object_object_add(offer, "cpu", list);
    free(own);
    free(max);
    return n_max < 0 ? n_max : 0;
}

int migrate_offer_make(struct ctl *c, uint32_t domid, const struct guest_config *cfg, struct json_object *offer)
{
    struct xen_domctl_getdomaininfo info;
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    int rc = f ? ctl_domain_info(c, (domid_t)domid, &info) : -ENOMEM;

    if (rc)
        return fault(rc, "domain %u: %s", domid, strerror(-rc));
    config_print_xl(cfg, f);
    fclose(f);
    json_object_object_add(offer, "config", json_object_new_string(text));
    json_object_object_add(offer, "pages", json_object_new_int64((int64_t)info.tot_pages));
    json_object_object_add(offer, "vcpus", json_object_new_int64(info.max_vcpu_id + 1));
    free(text);
    return offer_cpu(c, domid, offer);
}

/* --- the target's half ---------------------------------------------------------------------------------------------------------- */

/* What a check left in fault() becomes the item's text. */
static int item(struct json_object *answer, const char *what, int rc, const char *good)
{
    int missing = migrate_item(answer, what, !rc, rc ? fault_text() : good);

    fault_clear();
    return missing;
}

static int check_cpu(struct ctl *c, struct json_object *offer, char *names, size_t size)
{
    struct json_object *list = NULL;
    xen_cpuid_leaf_t *max = NULL;
    int n = ctl_cpuid_max(c, &max), missing = 0;
    struct cpuid_change reg;

    if (n < 0)
        return n;
    if (!json_object_object_get_ex(offer, "cpu", &list) || !json_object_is_type(list, json_type_array) || json_object_array_length(list) > WORDS_MAX) {
        free(max);
        return fault(-EPROTO, "the offer says nothing of the guest's CPU");
    }
    for (unsigned i = 0; i < json_object_array_length(list); i++) {
        uint32_t want = (uint32_t)json_object_get_int64(json_object_array_get_idx(list, i));
        bool known = cpuid_feature_register(i, &reg);
        uint32_t lacks = known ? want & ~value_of(max, (unsigned)n, &reg) : want;

        for (unsigned bit = 0; bit < 32; bit++)
            if (lacks >> bit & 1 && ++missing) {
                char name[32] = "unknown";
                size_t at = strlen(names);

                reg.host = 1U << bit;
                if (known)
                    cpuid_feature_name(&reg, name);
                snprintf(names + at, size - at, "%s%s", at ? " " : "", name);
            }
    }
    free(max);
    return missing ? fault(-EOPNOTSUPP, "the guest has been shown features that this host has not: %s; give it a level that both hosts reach "
                           "(cpu_level = \"x86-64-v2\", xm info --cpu-level) and start it anew", names) : 0;
}

static int check_memory(struct ctl *c, struct json_object *offer, char *good, size_t size)
{
    struct xen_sysctl_physinfo host;
    int64_t pages = 0;
    uint64_t left;
    int rc = wire_number(offer, "pages", 1, PAGES_MAX, &pages);

    rc = rc ? rc : ctl_physinfo(c, &host);
    if (rc)
        return rc;
    left = host.free_pages < host.outstanding_pages ? 0 : host.free_pages - host.outstanding_pages;
    snprintf(good, size, "%llu MiB of %llu free", (unsigned long long)pages >> 8, (unsigned long long)left >> 8);
    if ((uint64_t)pages + OVERHEAD_PAGES <= left)
        return 0;
    return fault(-ENOMEM, "the guest has %llu MiB, free are %llu MiB; end or shrink a guest there, or domain 0 (`xm mem-set 0 MEGABYTES`)",
                 (unsigned long long)pages >> 8, (unsigned long long)left >> 8);
}

static int check_name(struct ctl *c, const char *name, const char *uuid)
{
    char incoming[160], text[37];
    uint8_t raw[16];
    int rc = domain_check_name_free(c, name, -1);

    snprintf(incoming, sizeof(incoming), "%.120s--incoming", name);
    rc = rc ? rc : domain_check_name_free(c, incoming, -1);
    rc = rc ? rc : domain_parse_uuid(uuid, raw);
    if (rc)
        return rc;
    domain_format_uuid(raw, text); /* as paths have it */
    if (store_exists("/vm/%s", text))
        rc = fault(-EEXIST, "uuid %s: a guest here has it already", uuid);
    return rc;
}

static int check_devices(struct guest_config *cfg, struct json_object *answer)
{
    char what[64];
    int missing = 0;

    for (unsigned i = 0; i < cfg->n_disks; i++) {
        snprintf(what, sizeof(what), "disk %.40s", cfg->disks[i].vdev ? cfg->disks[i].vdev : "?");
        missing += item(answer, what, disk_check(&cfg->disks[i], -1), cfg->disks[i].target ? cfg->disks[i].target : "empty");
    }
    for (unsigned i = 0; i < cfg->n_nics; i++) {
        snprintf(what, sizeof(what), "network %u", i);
        missing += item(answer, what, nic_check(&cfg->nics[i], -1, cfg->uuid, i), cfg->nics[i].bridge ? cfg->nics[i].bridge : "");
    }
    return missing;
}

static int check_kind(const struct guest_config *cfg)
{
    if (cfg->type != GUEST_PV)
        return fault(-EOPNOTSUPP, "only paravirtual guests move");
    if (cfg->n_pci)
        return fault(-EOPNOTSUPP, "it has a PCI device (%s), which cannot move", cfg->pci[0]);
    if (cfg->nomigrate)
        return fault(-EPERM, "its configuration says nomigrate");
    return 0;
}

static int check_all(struct ctl *c, struct json_object *offer, const char *name, const char *uuid, struct guest_config *cfg, struct json_object *answer)
{
    char names[600] = "", memory[80] = "";
    int missing = item(answer, "kind", check_kind(cfg), "paravirtual");

    missing += item(answer, "name", check_name(c, name, uuid), name);
    missing += item(answer, "cpu", check_cpu(c, offer, names, sizeof(names)), "all features that the guest has seen");
    missing += item(answer, "memory", check_memory(c, offer, memory, sizeof(memory)), memory);
    return missing + check_devices(cfg, answer);
}

int migrate_offer_check(struct ctl *c, struct json_object *offer, struct json_object *answer)
{
    struct guest_config cfg = { 0 };
    const char *text, *name, *uuid;
    int rc = wire_text(offer, "config", WIRE_TEXT_MAX, &text), missing = 0;

    rc = rc ? rc : wire_text(offer, "name", 127, &name);
    rc = rc ? rc : wire_text(offer, "uuid", 36, &uuid);
    rc = rc ? rc : store_open();
    if (rc)
        return rc;
    rc = config_parse(&cfg, "the guest's configuration", text, strlen(text), NULL, 0);
    if (rc)
        missing = item(answer, "config", rc, "");
    else
        missing = check_all(c, offer, name, uuid, &cfg, answer);
    config_dispose(&cfg);
    return missing;
}
