/* SPDX-License-Identifier: MIT */
/*
 * What a running guest is now, to travel with it: the configuration that was kept when it was made, brought up to date from the
 * hypervisor (vCPUs) and the store (name, memory, and the disks and networks that have come and gone since).
 */
#include "config_xl.h"
#include "device.h"
#include "disk.h"
#include "domains.h"
#include "fault.h"
#include "save.h"
#include "store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JSON_MAX (1U << 20)

/* --- the kept one --------------------------------------------------------------------------------------------------------- */

static int load_json(struct guest_config *cfg, const char *path)
{
    char *text = calloc(1, JSON_MAX + 1);
    FILE *f = text ? fopen(path, "r") : NULL;
    int rc = f ? 0 : fault(-errno, "%s: %s", path, strerror(errno));

    if (f && !fread(text, 1, JSON_MAX, f))
        rc = fault(-EIO, "%s: cannot be read", path);
    rc = rc ? rc : config_xl_parse(cfg, path, text);
    if (f)
        fclose(f);
    free(text);
    return rc;
}

/* Ours, or what xl keeps of a guest that it made. */
static int load_kept(const struct xen_domctl_getdomaininfo *d, struct guest_config *cfg)
{
    char ours[256], theirs[128], uuid[37];

    domain_config_path(d->handle, ours, sizeof(ours));
    domain_format_uuid(d->handle, uuid);
    snprintf(theirs, sizeof(theirs), "/var/lib/xen/userdata-d.%u.%s.libxl-json", d->domain, uuid);
    if (!access(ours, F_OK))
        return config_load(cfg, ours, NULL, 0);
    if (!access(theirs, F_OK))
        return load_json(cfg, theirs);
    return fault(-ENOENT, "domain %u: its configuration is not kept (neither %s nor %s is there); name a configuration file behind the saved file's name",
                 d->domain, ours, theirs);
}

/* --- devices ---------------------------------------------------------------------------------------------------------------- */

struct follow {
    struct guest_config *cfg;
    int rc;
};

static void *grow(void *list, unsigned n, size_t size, struct follow *f)
{
    char *more = realloc(list, (n + 1) * size);

    if (!more) {
        f->rc = fault(-ENOMEM, "no memory");
        return NULL;
    }
    memset(more + n * size, 0, size);
    return more;
}

static bool is_script(const struct device *dev)
{
    char *kind = store_read("%s/zendo", dev->record);
    bool script = kind && !strcmp(kind, "script");

    free(kind);
    return script;
}

static bool reads_as(const struct device *dev, const char *key, const char *value)
{
    char *v = store_read("%s/%s", dev->record, key);
    bool same = v && !strcmp(v, value);

    free(v);
    return same;
}

static void disk_from_record(struct disk_config *d, const struct device *dev)
{
    d->target = store_read("%s/params", dev->record);
    d->vdev = store_read("%s/dev", dev->record);
    d->script = is_script(dev) ? store_read("%s/script", dev->record) : NULL;
    d->format = reads_as(dev, "zendo-format", "qcow2") ? DISK_QCOW2 : DISK_RAW;
    d->readonly = reads_as(dev, "mode", "r");
    d->cdrom = reads_as(dev, "device-type", "cdrom");
    d->discard = reads_as(dev, "discard-enable", "1");
    d->trusted = true;
}

static int follow_disk(const struct device *dev, void *arg)
{
    struct follow *f = arg;
    struct guest_config *cfg = f->cfg;
    unsigned id;

    for (unsigned i = 0; i < cfg->n_disks; i++)
        if (!disk_parse_vdev(cfg->disks[i].vdev, &id) && id == dev->id)
            return 0;
    struct disk_config *more = grow(cfg->disks, cfg->n_disks, sizeof(*more), f);

    if (!more)
        return f->rc;
    cfg->disks = more;
    disk_from_record(&cfg->disks[cfg->n_disks++], dev);
    return 0;
}

static int follow_nic(const struct device *dev, void *arg)
{
    struct follow *f = arg;
    struct guest_config *cfg = f->cfg;

    for (unsigned i = 0; i < cfg->n_nics; i++)
        if (cfg->nics[i].devid == (int)dev->id || (cfg->nics[i].mac && reads_as(dev, "mac", cfg->nics[i].mac)))
            return 0;
    struct nic_config *more = grow(cfg->nics, cfg->n_nics, sizeof(*more), f);

    if (!more)
        return f->rc;
    cfg->nics = more;
    cfg->nics[cfg->n_nics++] = (struct nic_config){ .devid = (int)dev->id, .trusted = true, .mac = store_read("%s/mac", dev->record),
        .bridge = store_read("%s/bridge", dev->record), .ip = store_read("%s/ip", dev->record), .vifname = store_read("%s/vifname", dev->record),
        .gatewaydev = store_read("%s/gatewaydev", dev->record), .rate = store_read("%s/rate", dev->record),
        .script = is_script(dev) ? store_read("%s/script", dev->record) : NULL };
    return 0;
}

/* Those that were taken away since. */
static void drop_gone(uint32_t domid, struct guest_config *cfg)
{
    struct device dev;
    unsigned id, n = 0;

    for (unsigned i = 0; i < cfg->n_disks; i++) {
        bool there = !disk_parse_vdev(cfg->disks[i].vdev, &id);

        device_init(&dev, domid, "vbd", there ? id : 0);
        if (there && device_exists(&dev))
            cfg->disks[n++] = cfg->disks[i];
        else
            config_dispose_disk(&cfg->disks[i]);
    }
    cfg->n_disks = n;
    n = 0;
    for (unsigned i = 0; i < cfg->n_nics; i++) {
        device_init(&dev, domid, "vif", cfg->nics[i].devid >= 0 ? (unsigned)cfg->nics[i].devid : i);
        if (cfg->nics[i].devid < 0)
            cfg->nics[i].devid = (int)i;
        if (device_exists(&dev))
            cfg->nics[n++] = cfg->nics[i];
        else
            config_dispose_nic(&cfg->nics[i]);
    }
    cfg->n_nics = n;
}

static int follow_devices(uint32_t domid, struct guest_config *cfg)
{
    struct follow f = { .cfg = cfg };

    drop_gone(domid, cfg);
    device_each(domid, "vbd", follow_disk, &f);
    device_each(domid, "vif", follow_nic, &f);
    return f.rc;
}

/* --- the rest --------------------------------------------------------------------------------------------------------------- */

static int set_text(char **to, char *text)
{
    if (!text)
        return fault(-ENOMEM, "no memory");
    free(*to);
    *to = text;
    return 0;
}

static int follow_numbers(const struct xen_domctl_getdomaininfo *d, struct guest_config *cfg)
{
    int64_t kib;

    cfg->memory = d->tot_pages * 4;
    if (!store_read_number(&kib, "/local/domain/%u/memory/target", d->domain) && kib > 0)
        cfg->memory = (uint64_t)kib;
    if (!store_read_number(&kib, "/local/domain/%u/memory/static-max", d->domain) && kib > 0)
        cfg->maxmem = (uint64_t)kib;
    cfg->maxmem = cfg->maxmem > cfg->memory ? cfg->maxmem : cfg->memory;
    if (d->tot_pages * 4 > cfg->maxmem)
        cfg->maxmem = d->tot_pages * 4;
    cfg->maxvcpus = d->max_vcpu_id + 1;
    cfg->vcpus = d->nr_online_vcpus ? d->nr_online_vcpus : 1;
    return 0;
}

static int follow_identity(const struct xen_domctl_getdomaininfo *d, struct guest_config *cfg)
{
    char *name = domain_name(d->domain), *uuid = malloc(37);
    int rc = uuid ? 0 : fault(-ENOMEM, "no memory");

    if (!rc)
        domain_format_uuid(d->handle, uuid);
    rc = rc ? rc : set_text(&cfg->uuid, uuid);
    if (!rc && name)
        rc = set_text(&cfg->name, name);
    return rc;
}

int save_config(struct ctl *c, uint32_t domid, struct guest_config *cfg)
{
    struct xen_domctl_getdomaininfo d;
    int rc = ctl_domain_info(c, (domid_t)domid, &d);

    *cfg = (struct guest_config){ 0 };
    if (rc)
        return fault(rc, "domain %u: %s", domid, rc == -ESRCH ? "there is no such domain" : strerror(-rc));
    rc = store_open();
    rc = rc ? rc : load_kept(&d, cfg);
    rc = rc ? rc : follow_identity(&d, cfg);
    rc = rc ? rc : follow_numbers(&d, cfg);
    return rc ? rc : follow_devices(domid, cfg);
}
