/* SPDX-License-Identifier: MIT */
/*
 * A stream to a guest: what it is to be is read first and checked like a configuration file; then the domain is made as `xm create`
 * makes one, with the stream in place of the builder. See restore.h.
 */
#include "config_xl.h"
#include "device.h"
#include "domains.h"
#include "fault.h"
#include "restore_private.h"
#include "store.h"
#include "trace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SLACK_PAGES 256U               /* above maxmem, as at creation */
#define PFNS_BEYOND (1ULL << 20)       /* pages may be numbered so far beyond maxmem: holes, ballooned areas */
#define PFNS_MAX (1ULL << 26)

/* --- what it is to be ------------------------------------------------------------------------------------------------------- */

static int choose_config(struct guest_config *cfg, const struct restore_options *o, const char *ours, const struct stream_file *file)
{
    if (o->config) {
        *cfg = *o->config;
        *o->config = (struct guest_config){ 0 };
        return 0;
    }
    if (ours)
        return config_parse(cfg, "the saved configuration", ours, strlen(ours), NULL, 0);
    if (file->config && file->json)
        return config_xl_parse(cfg, "the saved file", file->config);
    if (file->config)
        return config_parse(cfg, "the saved configuration", file->config, strlen(file->config), NULL, 0);
    return fault(-EINVAL, "the stream has no configuration; give one: `xm restore FILE CONFIG`");
}

static int set_name(struct guest_config *cfg, const char *name)
{
    char *copy = name ? strdup(name) : NULL;

    if (!name)
        return 0;
    if (!copy)
        return fault(-ENOMEM, "restoring: no memory");
    free(cfg->name);
    cfg->name = copy;
    return 0;
}

static int read_head(struct stream_in *in, const struct restore_options *o, struct xc_reader *x, struct guest_config *cfg)
{
    struct stream_file file = { 0 };
    char *ours = NULL;
    int rc = o->no_file_header ? 0 : stream_file_read(in, &file);

    rc = rc ? rc : stream_xl_start(in);
    rc = rc ? rc : xc_start(x, in);
    rc = rc ? rc : xc_config(x, &ours);
    rc = rc ? rc : choose_config(cfg, o, ours, &file);
    free(ours);
    free(file.config);
    return rc ? rc : set_name(cfg, o->name);
}

/* --- filling it --------------------------------------------------------------------------------------------------------------- */

struct filling {
    struct ctl *c;
    struct stream_in *in;
    const struct restore_options *o;
    struct xc_reader x;
    const struct guest_config *cfg;
    struct restored *out;
};

/* Memory that both processes see, and that costs nothing where nothing is written. */
static int share(struct restore *r)
{
    size_t head = 4096, pages = r->st.max_pages;

    r->shared_bytes = head + pages * (sizeof(*r->mfn) + 2);
    r->shared = mmap(NULL, r->shared_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (r->shared == MAP_FAILED) {
        r->shared = NULL;
        return fault(-ENOMEM, "restoring: no memory for the list of the guest's pages");
    }
    r->mfn = (xen_pfn_t *)(void *)((uint8_t *)r->shared + head);
    r->type = (uint8_t *)(r->mfn + pages);
    r->early = r->type + pages;
    return 0;
}

static int fill(struct restore *r, struct build_result *result)
{
    int rc = share(r);

    rc = rc ? rc : ctl_set_memory_map(r->c, r->domid, r->cfg->maxmem * 1024);
    rc = rc ? rc : restore_memory(r);
    rc = rc ? rc : stream_xl_end(r->in);
    trace_note("  memory unmapped");
    rc = rc ? rc : restore_policy(r);
    trace_note("  policy set");
    rc = rc ? rc : restore_pins(r);
    trace_note("  tables pinned");
    rc = rc ? rc : restore_vcpus(r);
    rc = rc ? rc : restore_tsc(r);
    trace_note("  vcpus set");
    if (rc)
        return rc;
    *result = (struct build_result){ .store_mfn = r->shared->store_mfn, .console_mfn = r->shared->console_mfn };
    rc = ctl_seed_grants(r->c, r->domid, result->console_mfn, r->rings->console_domid, result->store_mfn, r->rings->store_domid);
    trace_note("  grants seeded");
    return rc;
}

static int fill_domain(void *arg, uint32_t domid, const struct build_rings *rings, struct build_result *result)
{
    struct filling *f = arg;
    struct restore *r = calloc(1, sizeof(*r));
    uint64_t pages = f->cfg->maxmem / 4;

    if (!r)
        return fault(-ENOMEM, "restoring: no memory");
    *r = (struct restore){ .c = f->c, .domid = (domid_t)domid, .in = f->in, .o = f->o, .x = f->x, .cfg = f->cfg, .rings = rings,
        .limit = pages + SLACK_PAGES };
    r->st.max_pages = pages + PFNS_BEYOND < PFNS_MAX ? pages + PFNS_BEYOND : PFNS_MAX;
    r->st.max_vcpus = f->cfg->maxvcpus;
    int rc = fill(r, result);

    if (r->shared) {
        f->out->pages = r->shared->data;
        f->out->zero = r->shared->zero;
        munmap(r->shared, r->shared_bytes);
    }
    xc_state_dispose(&r->st);
    free(r);
    return rc;
}

/* A kernel says once, when it starts, what requests it takes; one that has suspended when it was asked takes them. */
static int note_features(uint32_t domid)
{
    static const char *const features[] = { "feature-suspend", "feature-poweroff", "feature-reboot" };
    char path[48];
    int rc = 0;

    snprintf(path, sizeof(path), "/local/domain/%u/control", domid);
    for (unsigned i = 0; i < sizeof(features) / sizeof(*features) && !rc; i++)
        rc = store_put(path, features[i], "1");
    return rc;
}

static int ready(uint32_t domid, void *arg)
{
    return note_features(domid);
}

/* A caller that wants to hear of it early wants little to be left for the end. */
static int made(void *arg, uint32_t domid, const struct guest_config *cfg)
{
    const struct filling *f = arg;
    int rc = note_features(domid);

    return rc ? rc : f->o->made(f->o->arg, domid, cfg);
}

int restore_domain(struct ctl *c, struct stream_in *from, const struct restore_options *o, struct restored *out)
{
    *out = (struct restored){ 0 };
    struct filling f = { .c = c, .in = from, .o = o, .cfg = &out->config, .out = out };
    const struct domain_options options = { .paused = true, .fill = fill_domain, .fill_arg = &f, .no_devices = o->no_devices,
        .made = o->made ? made : NULL, .made_arg = &f, .ready = o->made ? NULL : ready };
    struct sigaction old[RESTORE_SIGNALS];
    int rc = read_head(from, o, &f.x, &out->config);

    if (!rc && o->check)
        rc = o->check(&out->config);
    if (rc)
        return rc;
    restore_signals_catch(old);
    rc = domain_create(c, &out->config, &options, &out->domid);
    restore_signals_back(old);
    return rc;
}

int restore_devices(uint32_t domid, const struct guest_config *cfg)
{
    return devices_attach_all(domid, cfg);
}
