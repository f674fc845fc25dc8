/* SPDX-License-Identifier: MIT */
/*
 * A guest is made: first everything is checked that can be, then it is made step by step; whatever fails, domain_destroy() takes
 * back what the steps before have made. Memory is claimed before it is given, so that two creations at once cannot
 * both find room where there is room for one.
 */
#include "build.h"
#include "cpuid.h"
#include "cpulist.h"
#include "device.h"
#include "domains.h"
#include "fault.h"
#include "store.h"
#include "trace.h"

#include <xenstore.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <uuid/uuid.h>

#define EXTRA_KIB 1024  /* above the limit in the configuration: what the reference's tools give */
#define OVERHEAD_PAGES 512 /* of the hypervisor, beside the guest's own memory */
#define MAX_VCPUS 128
#define DEFAULT_PORTS 1023

struct making {
    struct ctl *c;
    struct guest_config *cfg;
    const struct domain_options *options;
    struct build *build;
    struct xen_sysctl_physinfo host;
    uint8_t uuid[16];
    unsigned tsc_mode;
    enum cpuid_level cpu_level;
    struct cpuid_changes cpuid;
    uint32_t domid;
    struct build_rings rings;
    struct build_result built;
};

/* --- checks ----------------------------------------------------------------------------------------------------------------- */

static int check_place(const struct guest_config *cfg)
{
    if (cfg->n_pci)
        return fault(-EOPNOTSUPP, "pci '%s': passing devices through is not supported; remove 'pci ='", cfg->pci[0]);
    if (cfg->pool && strcmp(cfg->pool, "Pool-0") && strcmp(cfg->pool, "0"))
        return fault(-EINVAL, "pool '%s': there is one pool, Pool-0; remove 'pool ='", cfg->pool);
    return 0;
}

/* filled: by a stream, so that no kernel is read. */
static int check_kind(const struct guest_config *cfg, bool filled)
{
    if (cfg->type != GUEST_PV)
        return fault(-EOPNOTSUPP, "type '%s': only paravirtual guests (type = \"pv\") are supported yet", cfg->type == GUEST_PVH ? "pvh" : "hvm");
    if (filled)
        return check_place(cfg);
    if (cfg->bootloader && !cfg->kernel)
        return fault(-EOPNOTSUPP, "bootloader '%s': not supported; copy the kernel and ramdisk of the guest's disk to files of domain 0 and name them by 'kernel =' and 'ramdisk ='",
                     cfg->bootloader);
    if (cfg->bootloader)
        warn("bootloader '%s': not run, since 'kernel' is given", cfg->bootloader);
    return check_place(cfg);
}

/* The host may have less than the configuration asks for. */
static int check_cpuid(struct making *m)
{
    xen_cpuid_leaf_t *max;
    char host[HOST_NAME_MAX + 1] = "";
    int rc = m->cfg->cpuid ? cpuid_parse(m->cfg->cpuid, &m->cpuid) : 0, n;

    if (!rc && m->cfg->cpu_level)
        rc = cpuid_level_parse(m->cfg->cpu_level, &m->cpu_level);
    if (rc)
        return rc;
    gethostname(host, sizeof(host) - 1);
    n = ctl_cpuid_max(m->c, &max);
    rc = n < 0 ? n : cpuid_level_check(m->cpu_level, max, (unsigned)n, host);
    rc = rc ? rc : cpuid_check(&m->cpuid, max, (unsigned)n);
    free(max);
    return rc;
}

static int check_cpus(struct making *m)
{
    struct guest_config *cfg = m->cfg;
    uint8_t map[CPULIST_BYTES];
    int rc = 0;

    if (!cfg->vcpus)
        cfg->vcpus = cfg->maxvcpus ? cfg->maxvcpus : 1;
    if (cfg->maxvcpus < cfg->vcpus)
        cfg->maxvcpus = cfg->vcpus;
    if (cfg->maxvcpus > MAX_VCPUS)
        return fault(-EINVAL, "vcpus = %u: a guest can have up to %u", cfg->maxvcpus, MAX_VCPUS);
    if (cfg->weight > 65535 || cfg->cap > 100 * cfg->maxvcpus)
        return fault(-EINVAL, "cpu_weight = %u, cap = %u: a weight is 1-65535, a cap 0-%u (100 for each virtual CPU)", cfg->weight, cfg->cap,
                     100 * cfg->maxvcpus);
    if (cfg->cpus)
        rc = cpulist_parse(cfg->cpus, m->host.max_cpu_id + 1, map);
    if (!rc && cfg->cpus_soft)
        rc = cpulist_parse(cfg->cpus_soft, m->host.max_cpu_id + 1, map);
    for (unsigned i = 0; i < cfg->n_cpus_each && !rc; i++)
        rc = cpulist_parse(cfg->cpus_each[i], m->host.max_cpu_id + 1, map);
    return rc;
}

static int check_tsc(struct making *m)
{
    static const char *const modes[] = { "default", "always_emulate", "native" };
    const char *mode = m->cfg->tsc_mode;

    for (unsigned i = 0; mode && i < sizeof(modes) / sizeof(*modes); i++)
        if (!strcasecmp(mode, modes[i]) || (mode[0] == (char)('0' + i) && !mode[1])) {
            m->tsc_mode = i;
            return 0;
        }
    return mode ? fault(-EINVAL, "tsc_mode '%s': it is default, always_emulate or native", mode) : 0;
}

/* Pages that are free and not claimed for guests that are being built. */
static uint64_t free_pages(const struct making *m)
{
    return m->host.free_pages < m->host.outstanding_pages ? 0 : m->host.free_pages - m->host.outstanding_pages;
}

/* What is missing, and where it can come from: the text for who reads it is the number to type. */
static int no_room(struct making *m)
{
    struct xen_domctl_getdomaininfo dom0;
    unsigned long long needs = (m->cfg->memory / 4 + OVERHEAD_PAGES + 255) >> 8, are_free, claimed, missing;
    char mend[96] = "make domain 0 smaller (`xm mem-set 0 MEGABYTES`)";

    are_free = free_pages(m) >> 8;
    claimed = m->host.outstanding_pages >> 8;
    missing = needs > are_free ? needs - are_free : 1;
    if (!ctl_domain_info(m->c, 0, &dom0) && dom0.tot_pages >> 8 > missing)
        snprintf(mend, sizeof(mend), "make domain 0 smaller by %llu MiB (`xm mem-set 0 %llu`)", missing, (dom0.tot_pages >> 8) - missing);
    return fault(-ENOMEM, "memory: the guest needs %llu MiB, of the host's %llu MiB are free%s; %s, lower 'memory =', or end or shrink another guest (`xm list`, `xm claims`)",
                 needs, are_free, claimed ? " (beside what other guests have claimed)" : "", mend);
}

static int check_memory(struct making *m)
{
    struct guest_config *cfg = m->cfg;

    if (!cfg->memory)
        return fault(-EINVAL, "no memory is given; add 'memory = MEGABYTES'");
    if (!cfg->maxmem)
        cfg->maxmem = cfg->memory;
    if (cfg->maxmem < cfg->memory)
        return fault(-EINVAL, "maxmem (%llu MiB) is less than memory (%llu MiB)", (unsigned long long)cfg->maxmem >> 10,
                     (unsigned long long)cfg->memory >> 10);
    if (cfg->memory / 4 + OVERHEAD_PAGES > free_pages(m))
        return no_room(m);
    return 0;
}

static int check_identity(struct making *m)
{
    int rc = domain_check_name(m->cfg->name);

    rc = rc ? rc : domain_check_name_free(m->c, m->cfg->name, -1);
    if (rc)
        return rc;
    bool given = m->cfg->uuid;

    if (given)
        rc = domain_parse_uuid(m->cfg->uuid, m->uuid);
    else
        uuid_generate(m->uuid);
    char *text = rc ? NULL : malloc(37); /* as paths have it, in small letters */

    if (!text)
        return rc ? rc : fault(-ENOMEM, "no memory");
    domain_format_uuid(m->uuid, text);
    if (given && !strcmp(m->cfg->uuid, text)) {
        free(text);
    } else {
        free(m->cfg->uuid);
        m->cfg->uuid = text;
    }
    if (given && store_exists("/vm/%s", m->cfg->uuid))
        return fault(-EEXIST, "uuid %s: another guest has it; remove 'uuid =' or take another", m->cfg->uuid);
    return 0;
}

static int check(struct making *m)
{
    bool filled = m->options && m->options->fill;
    int rc = check_kind(m->cfg, filled);

    rc = rc ? rc : store_open();
    rc = rc ? rc : ctl_physinfo(m->c, &m->host);
    rc = rc ? rc : check_identity(m);
    rc = rc ? rc : check_cpus(m);
    rc = rc ? rc : check_tsc(m);
    if (!rc && (m->cfg->cpuid || m->cfg->cpu_level))
        rc = check_cpuid(m);
    rc = rc ? rc : check_memory(m);
    if (!rc && filled)
        return m->options->no_devices ? 0 : devices_check(m->cfg);
    if (rc)
        return rc;
    char cache[256];
    uint32_t features;

    rc = ctl_features(m->c, &features);
    if (rc)
        return rc;
    snprintf(cache, sizeof(cache), "%s/kernel-cache", domain_run_folder);
    struct build_request want = { .kernel = m->cfg->kernel, .ramdisk = m->cfg->ramdisk, .cmdline = m->cfg->cmdline, .pages = m->cfg->memory / 4,
        .max_pages = m->cfg->maxmem / 4, .features = features, .cache = cache };

    rc = build_prepare(&m->build, &want);
    return rc ? rc : devices_check(m->cfg);
}

/* --- steps ------------------------------------------------------------------------------------------------------------------ */

static int make_domain(struct making *m)
{
    const struct guest_config *cfg = m->cfg;
    struct xen_domctl_createdomain what = {
        .max_vcpus = cfg->maxvcpus,
        .max_evtchn_port = cfg->max_event_channels ? cfg->max_event_channels : DEFAULT_PORTS,
        .max_grant_frames = cfg->max_grant_frames ? (int32_t)cfg->max_grant_frames : -1,
        .max_maptrack_frames = cfg->max_maptrack_frames ? (int32_t)cfg->max_maptrack_frames : -1,
        .grant_opts = XEN_DOMCTL_GRANT_version(m->host.capabilities & XEN_SYSCTL_PHYSCAP_gnttab_v2 ? 2U : 1U),
    };
    domid_t domid;

    memcpy(what.handle, m->uuid, sizeof(m->uuid));
    int rc = ctl_domain_create(m->c, &what, &domid);

    m->domid = rc ? 0 : domid;
    return rc;
}

static int pin_vcpu(struct making *m, unsigned vcpu)
{
    const struct guest_config *cfg = m->cfg;
    const char *hard = cfg->n_cpus_each ? cfg->cpus_each[vcpu < cfg->n_cpus_each ? vcpu : cfg->n_cpus_each - 1] : cfg->cpus;
    uint8_t hard_map[CPULIST_BYTES], soft_map[CPULIST_BYTES];
    int rc = hard ? cpulist_parse(hard, m->host.max_cpu_id + 1, hard_map) : 0;

    if (!rc && cfg->cpus_soft)
        rc = cpulist_parse(cfg->cpus_soft, m->host.max_cpu_id + 1, soft_map);
    if (rc || (!hard && !cfg->cpus_soft))
        return rc;
    return ctl_vcpu_set_affinity(m->c, (domid_t)m->domid, vcpu, hard ? hard_map : NULL, cfg->cpus_soft ? soft_map : NULL,
                                 (m->host.max_cpu_id + 8) / 8, false);
}

static int set_cpuid(struct making *m)
{
    xen_cpuid_leaf_t *max = NULL, *own = NULL;
    int n_max = ctl_cpuid_max(m->c, &max), n = n_max < 0 ? n_max : ctl_cpuid_get(m->c, (domid_t)m->domid, &own);
    int rc = n < 0 ? n : 0;

    if (!rc) {
        cpuid_level_apply(m->cpu_level, own, (unsigned)n);
        rc = cpuid_apply(&m->cpuid, max, (unsigned)n_max, own, (unsigned)n);
    }
    rc = rc ? rc : ctl_cpuid_set(m->c, (domid_t)m->domid, own, (unsigned)n);
    free(own);
    free(max);
    return rc;
}

/* Both together, as xl does it: local time as it is now, that is the summer time of now. */
static int set_clock(struct making *m)
{
    int64_t offset = m->cfg->rtc_timeoffset;
    time_t now = time(NULL);
    struct tm tm;

    if (m->cfg->localtime && localtime_r(&now, &tm))
        offset += tm.tm_gmtoff;
    return offset ? ctl_domain_set_time_offset(m->c, (domid_t)m->domid, offset) : 0;
}

static int set_limits(struct making *m)
{
    const struct guest_config *cfg = m->cfg;
    domid_t domid = (domid_t)m->domid;
    unsigned sched;
    int rc = ctl_domain_max_vcpus(m->c, domid, cfg->maxvcpus);

    for (unsigned i = 0; i < cfg->maxvcpus && !rc; i++)
        rc = pin_vcpu(m, i);
    rc = rc ? rc : ctl_domain_max_mem(m->c, domid, cfg->maxmem + EXTRA_KIB);
    rc = rc ? rc : ctl_domain_set_tsc(m->c, domid, m->tsc_mode);
    rc = rc ? rc : set_clock(m);
    if (!rc && (m->cpuid.n || m->cpu_level))
        rc = set_cpuid(m);
    if (rc || (!cfg->weight && !cfg->cap))
        return rc;
    rc = ctl_sched_id(m->c, &sched);
    return rc ? rc : ctl_sched_set(m->c, domid, sched, cfg->weight ? (int)cfg->weight : -1, (int)cfg->cap);
}

/* A hypervisor without claims is no hindrance. */
static int claim(struct making *m)
{
    int rc = ctl_claim(m->c, (domid_t)m->domid, m->cfg->memory / 4);

    if (rc == -ENOMEM && ctl_physinfo(m->c, &m->host)) /* somebody was quicker: how much is there now? */
        return rc;
    return rc == -ENOMEM ? no_room(m) : rc == -ENOSYS || rc >= 0 ? 0 : fault(rc, "memory: claiming: %s", strerror(-rc));
}

static int make_rings(struct making *m)
{
    int store = ctl_evtchn_alloc_unbound(m->c, (domid_t)m->domid, 0);
    int console = store < 0 ? store : ctl_evtchn_alloc_unbound(m->c, (domid_t)m->domid, 0);

    m->rings = (struct build_rings){ .store_port = (unsigned)store, .console_port = (unsigned)console };
    return console < 0 ? console : 0;
}

static int build(struct making *m)
{
    int rc = m->options->fill ? m->options->fill(m->options->fill_arg, m->domid, &m->rings, &m->built)
                              : build_domain(m->build, m->c, (domid_t)m->domid, &m->rings, &m->built);

    ctl_claim(m->c, (domid_t)m->domid, 0);
    return rc;
}

static int write_nodes(struct making *m)
{
    struct domain_nodes n = { .domid = m->domid, .uuid = m->uuid, .cfg = m->cfg, .store_port = m->rings.store_port,
        .console_port = m->rings.console_port, .store_mfn = m->built.store_mfn, .console_mfn = m->built.console_mfn };

    return domain_write_nodes(&n);
}

/* What zendod restarts it from. */
static int keep_config(struct making *m)
{
    char path[256];

    mkdir(domain_state_folder, 0755);
    snprintf(path, sizeof(path), "%s/guests", domain_state_folder);
    mkdir(path, 0700);
    domain_config_path(m->uuid, path, sizeof(path));
    FILE *f = fopen(path, "w");

    if (!f)
        return fault(-errno, "%s: cannot be written: %s", path, strerror(errno));
    config_print_xl(m->cfg, f);
    return fclose(f) ? fault(-errno, "%s: cannot be written: %s", path, strerror(errno)) : 0;
}

static int tell_made(struct making *m)
{
    int rc = m->options->made ? write_nodes(m) : 0;

    if (rc || !m->options->made)
        return rc;
    rc = keep_config(m);
    return rc ? rc : m->options->made(m->options->made_arg, m->domid, m->cfg);
}

static int tell_store(struct making *m)
{
    /* Written before, when the domain was made: then only the rings are new, and its devices stay. */
    int rc = m->options->made ? domain_write_rings(m->domid, m->built.store_mfn, m->built.console_mfn) : write_nodes(m);

    if (rc)
        return rc;
    if (!xs_introduce_domain(store_handle(), m->domid, m->built.store_mfn, m->rings.store_port))
        return fault(-errno, "domain %u: xenstored does not take it: %s", m->domid, strerror(errno));
    return 0;
}

static int make(struct making *m)
{
    const struct domain_options *options = m->options;
    int rc = set_limits(m);

    rc = rc ? rc : claim(m);
    rc = rc ? rc : make_rings(m);
    rc = rc ? rc : tell_made(m);
    rc = rc ? rc : build(m);
    rc = rc ? rc : tell_store(m);
    trace_note("  introduced");
    if (!rc && !options->made)
        rc = keep_config(m);
    if (!rc && !options->no_devices)
        rc = devices_attach_all(m->domid, m->cfg);
    if (!rc && options->ready)
        rc = options->ready(m->domid, options->arg);
    if (!rc && !options->paused)
        rc = ctl_domain_unpause(m->c, (domid_t)m->domid);
    return rc;
}

/* The text of the first failure is the one that counts. */
static void undo(struct making *m)
{
    char *text = strdup(fault_text());

    fault_clear();
    if (domain_destroy(m->c, m->domid))
        warn("domain %u, half made, could not be removed: %s", m->domid, fault_text());
    fault_clear();
    fault(0, "%s", text ? text : "no memory");
    free(text);
}

/* One creation at a time: names, disks and MACs that are free when they are checked must be so when they are taken. */
static int lock_creation(void)
{
    char path[256];

    mkdir(domain_run_folder, 0755);
    snprintf(path, sizeof(path), "%s/create.lock", domain_run_folder);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd >= 0 && !flock(fd, LOCK_EX))
        return fd;
    int rc = fault(-errno, "%s: %s", path, strerror(errno));

    if (fd >= 0)
        close(fd);
    return rc;
}

int domain_create(struct ctl *c, struct guest_config *cfg, const struct domain_options *options, uint32_t *domid)
{
    struct making m = { .c = c, .cfg = cfg, .options = options };
    int lock = lock_creation();
    int rc = lock < 0 ? lock : check(&m);

    rc = rc ? rc : make_domain(&m);
    if (!rc) {
        rc = make(&m);
        if (rc)
            undo(&m);
    }
    build_dispose(m.build);
    if (lock >= 0)
        close(lock);
    *domid = m.domid;
    return rc;
}

int domain_check(struct ctl *c, struct guest_config *cfg)
{
    struct making m = { .c = c, .cfg = cfg };
    int rc = check(&m);

    build_dispose(m.build);
    return rc;
}
