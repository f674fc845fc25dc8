/* SPDX-License-Identifier: MIT */
/* xm info, dmesg, uptime, debug-keys: the host. The keys of `info` are xl's; programs read them. */
#include "xm.h"

#include "cpuid.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#define MAX_CPUS 1024U
#define MAX_NODES 64U

/* --- info ------------------------------------------------------------------------------------------------------------------ */

struct info {
    struct json_object *json; /* NULL: print lines */
};

static void line(struct info *i, const char *key, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void line(struct info *i, const char *key, const char *format, ...)
{
    char text[1200], *end;
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    if (!i->json) {
        printf("%-23s: %s\n", key, text);
        return;
    }
    long long v = strtoll(text, &end, 10);

    json_object_object_add(i->json, key, *text && !*end ? json_object_new_int64(v) : json_object_new_string(text));
}

static void info_system(struct info *i)
{
    struct utsname u;

    uname(&u);
    line(i, "host", "%s", u.nodename);
    line(i, "release", "%s", u.release);
    line(i, "version", "%s", u.version);
    line(i, "machine", "%s", u.machine);
}

static void caps_text(uint32_t caps, char *out, size_t size)
{
    static const struct {
        uint32_t bit;
        const char *name;
    } names[] = { { XEN_SYSCTL_PHYSCAP_pv, "pv" }, { XEN_SYSCTL_PHYSCAP_hvm, "hvm" }, { XEN_SYSCTL_PHYSCAP_directio, "hvm_directio pv_directio" },
        { XEN_SYSCTL_PHYSCAP_hap, "hap" }, { XEN_SYSCTL_PHYSCAP_shadow, "shadow" }, { XEN_SYSCTL_PHYSCAP_iommu_hap_pt_share, "iommu_hap_pt_share" },
        { XEN_SYSCTL_PHYSCAP_vmtrace, "vmtrace" }, { XEN_SYSCTL_PHYSCAP_vpmu, "vpmu" }, { XEN_SYSCTL_PHYSCAP_gnttab_v1, "gnttab-v1" },
        { XEN_SYSCTL_PHYSCAP_gnttab_v2, "gnttab-v2" } };

    *out = 0;
    for (size_t n = 0; n < sizeof(names) / sizeof(*names); n++)
        if (caps & names[n].bit)
            snprintf(out + strlen(out), size - strlen(out), "%s%s", *out ? " " : "", names[n].name);
}

static int info_physical(struct info *i)
{
    struct xen_sysctl_physinfo p;
    char caps[160];
    int rc = ctl_physinfo(xm_ctl(), &p);

    if (rc)
        return rc;
    caps_text(p.capabilities, caps, sizeof(caps));
    line(i, "nr_cpus", "%u", p.nr_cpus);
    line(i, "max_cpu_id", "%u", p.max_cpu_id);
    line(i, "nr_nodes", "%u", p.nr_nodes);
    line(i, "cores_per_socket", "%u", p.cores_per_socket);
    line(i, "threads_per_core", "%u", p.threads_per_core);
    line(i, "cpu_mhz", "%u.%03u", p.cpu_khz / 1000, p.cpu_khz % 1000);
    line(i, "hw_caps", "%08x:%08x:%08x:%08x:%08x:%08x:%08x:%08x", p.hw_cap[0], p.hw_cap[1], p.hw_cap[2], p.hw_cap[3], p.hw_cap[4], p.hw_cap[5],
         p.hw_cap[6], p.hw_cap[7]);
    line(i, "virt_caps", "%s", caps);
    line(i, "total_memory", "%llu", (unsigned long long)p.total_pages >> 8);
    line(i, "free_memory", "%llu", (unsigned long long)(p.free_pages - (p.outstanding_pages < p.free_pages ? p.outstanding_pages : p.free_pages)) >> 8);
    line(i, "sharing_freed_memory", "0");
    line(i, "sharing_used_memory", "0");
    line(i, "outstanding_claims", "%llu", (unsigned long long)p.outstanding_pages >> 8);
    return 0;
}

/* CPUs in no pool: what is not in the pools, of which there is usually one. */
static void info_free_cpus(struct info *i)
{
    struct xen_sysctl_physinfo p;
    struct xen_sysctl_cpupool_op pool;
    uint8_t map[MAX_CPUS / 8];
    unsigned in_pools = 0;

    for (uint32_t id = 0; !ctl_cpupool_info(xm_ctl(), id, &pool, map, sizeof(map)); id = pool.cpupool_id + 1) {
        for (unsigned b = 0; b < sizeof(map); b++)
            in_pools += (unsigned)__builtin_popcount(map[b]);
        memset(map, 0, sizeof(map));
    }
    if (!ctl_physinfo(xm_ctl(), &p))
        line(i, "free_cpus", "%u", p.nr_cpus > in_pools ? p.nr_cpus - in_pools : 0);
}

static void version_line(struct info *i, const char *key, unsigned cmd, size_t size)
{
    char text[1100] = "";

    if (ctl_version(xm_ctl(), cmd, text, size) >= 0)
        line(i, key, "%s", text);
}

static void info_build(struct info *i)
{
    struct {
        struct xen_build_id id;
        uint8_t bytes[64];
    } b = { .id.len = 64 };
    char hex[130] = "";
    int n = ctl_version(xm_ctl(), XENVER_build_id, &b, sizeof(b));

    for (int k = 0; k < n && k < 64; k++)
        snprintf(hex + 2 * k, 3, "%02x", b.id.buf[k]);
    if (n > 0)
        line(i, "build_id", "%s", hex);
}

static int info_version(struct info *i)
{
    struct xen_compile_info compile = { 0 };
    struct xen_platform_parameters pp = { 0 };
    char extra[XEN_EXTRAVERSION_LEN + 1] = "";
    unsigned sched;
    int v = ctl_version(xm_ctl(), XENVER_version, NULL, 0);

    if (v < 0)
        return fault(v, "the hypervisor's version: %s", strerror(-v));
    ctl_version(xm_ctl(), XENVER_extraversion, extra, XEN_EXTRAVERSION_LEN);
    line(i, "xen_major", "%d", v >> 16);
    line(i, "xen_minor", "%d", v & 0xffff);
    line(i, "xen_extra", "%s", extra);
    line(i, "xen_version", "%d.%d%s", v >> 16, v & 0xffff, extra);
    version_line(i, "xen_caps", XENVER_capabilities, XEN_CAPABILITIES_INFO_LEN);
    line(i, "xen_scheduler", "%s", ctl_sched_id(xm_ctl(), &sched) ? "unknown" : ctl_sched_name(sched));
    line(i, "xen_pagesize", "%d", ctl_version(xm_ctl(), XENVER_pagesize, NULL, 0));
    if (!ctl_version(xm_ctl(), XENVER_platform_parameters, &pp, sizeof(pp)))
        line(i, "platform_params", "virt_start=0x%llx", (unsigned long long)pp.virt_start);
    version_line(i, "xen_changeset", XENVER_changeset, XEN_CHANGESET_INFO_LEN);
    version_line(i, "xen_commandline", XENVER_commandline, sizeof(xen_commandline_t));
    if (!ctl_version(xm_ctl(), XENVER_compile_info, &compile, sizeof(compile))) {
        line(i, "cc_compiler", "%.64s", compile.compiler);
        line(i, "cc_compile_by", "%.16s", compile.compile_by);
        line(i, "cc_compile_domain", "%.32s", compile.compile_domain);
        line(i, "cc_compile_date", "%.32s", compile.compile_date);
    }
    info_build(i);
    line(i, "xend_config_format", "4");
    return 0;
}

static int info_topology(void)
{
    struct xen_sysctl_cputopo *t = calloc(MAX_CPUS, sizeof(*t));
    struct xen_sysctl_meminfo nodes[MAX_NODES];
    uint32_t *distance = calloc(MAX_NODES * MAX_NODES, sizeof(*distance));
    int n = t && distance ? ctl_cpu_topology(xm_ctl(), t, MAX_CPUS) : -ENOMEM;

    printf("cpu_topology           :\ncpu:    core    socket     node\n");
    for (int i = 0; i < n; i++)
        if (t[i].core != XEN_INVALID_CORE_ID)
            printf("%3d:    %4u     %4u     %4u\n", i, t[i].core, t[i].socket, t[i].node);
    int m = n < 0 ? n : ctl_numa_info(xm_ctl(), nodes, MAX_NODES, distance);

    printf("numa_info              :\nnode:    memsize    memfree    distances\n");
    for (int i = 0; i < m; i++) {
        printf("%4d:    %6llu     %6llu      %u", i, (unsigned long long)nodes[i].memsize >> 20, (unsigned long long)nodes[i].memfree >> 20,
               distance[i * m]);
        for (int j = 1; j < m; j++)
            printf(",%u", distance[i * m + j]);
        putchar('\n');
    }
    free(t);
    free(distance);
    return n < 0 ? n : m < 0 ? m : 0;
}

/* Blank-separated words. */
static struct json_object *json_words(const char *text)
{
    struct json_object *list = json_object_new_array();

    for (size_t len; (len = strcspn(text, " ")); text += len + (text[len] == ' '))
        json_object_array_add(list, json_object_new_string_len(text, (int)len));
    return list;
}

/* The highest feature level that guests can have here, and what the next one would take. */
static int info_cpu_level(struct info *i)
{
    xen_cpuid_leaf_t *max;
    char missing[256];
    int n = ctl_cpuid_max(xm_ctl(), &max), level = n < 0 ? 0 : cpuid_level_highest(max, (unsigned)n);

    if (n < 0)
        return n;
    line(i, "cpu_level", "%s", level ? cpuid_level_name((enum cpuid_level)level) : "none");
    if (level < CPUID_LEVEL_V4) {
        cpuid_level_missing((enum cpuid_level)(level + 1), max, (unsigned)n, missing, sizeof(missing));
        line(i, "cpu_level_next", "%s", cpuid_level_name((enum cpuid_level)(level + 1)));
        if (i->json)
            json_object_object_add(i->json, "cpu_level_missing", json_words(missing));
        else
            line(i, "cpu_level_missing", "%s", missing);
    }
    free(max);
    return 0;
}

static int info_all(struct info *i, bool topology)
{
    int rc;

    info_system(i);
    rc = info_physical(i);
    if (!rc)
        info_free_cpus(i);
    if (!rc && topology && !i->json)
        rc = info_topology();
    return rc ? rc : info_version(i);
}

int cmd_info(struct args *a)
{
    struct info i = { .json = args_has(a, "json") ? json_object_new_object() : NULL };

    int rc = args_has(a, "cpu-level") ? info_cpu_level(&i) : info_all(&i, args_has(a, "n"));

    if (i.json && !rc)
        xm_print_json(i.json);
    else if (i.json)
        json_object_put(i.json);
    return rc;
}

/* --- dmesg, debug-keys ------------------------------------------------------------------------------------------------------- */

int cmd_dmesg(struct args *a)
{
    static char buf[32768];
    uint32_t index = 0;
    int n;

    while ((n = ctl_console_read(xm_ctl(), buf, sizeof(buf), false, &index)) > 0)
        fwrite(buf, 1, (size_t)n, stdout);
    if (!n && args_has(a, "c"))
        n = ctl_console_read(xm_ctl(), buf, sizeof(buf), true, NULL);
    return n < 0 ? n : 0;
}

int cmd_debug_keys(struct args *a)
{
    return ctl_debug_keys(xm_ctl(), a->operands[0]);
}

/* --- uptime ---------------------------------------------------------------------------------------------------------------------- */

static long long uptime_of(unsigned domid)
{
    double up = 0;
    long long start = 0;

    if (!domid) {
        FILE *f = fopen("/proc/uptime", "r");

        if (f && fscanf(f, "%lf", &up) != 1)
            up = 0;
        if (f)
            fclose(f);
        return (long long)up;
    }
    char *vm = store_read("/local/domain/%u/vm", domid);
    char *text = vm ? store_read("%s/start_time", vm) : NULL;

    if (text)
        start = atoll(text);
    free(vm);
    free(text);
    return start && start <= time(NULL) ? time(NULL) - start : 0;
}

enum how { LONG, SHORT, AS_JSON };

static struct json_object *uptime_json(const struct xen_domctl_getdomaininfo *d, const char *name)
{
    struct json_object *o = json_object_new_object();

    json_object_object_add(o, "name", xm_json_string(name));
    json_object_object_add(o, "domid", json_object_new_int(d->domain));
    json_object_object_add(o, "uptime_s", json_object_new_int64(uptime_of(d->domain)));
    return o;
}

static void print_short(const char *name, unsigned domid, const char *days, long long s)
{
    time_t now = time(NULL);
    struct tm tm;

    localtime_r(&now, &tm);
    printf(" %02d:%02d:%02d up %s%2lld:%02lld, %s (%u)\n", tm.tm_hour, tm.tm_min, tm.tm_sec, days, s / 3600 % 24, s / 60 % 60, name, domid);
}

static void print_uptime(const struct xen_domctl_getdomaininfo *d, enum how how, struct json_object *json)
{
    long long s = uptime_of(d->domain);
    char *stored = domain_name(d->domain), days[32] = "";
    const char *name = stored ? stored : "(null)";

    if (s >= 86400)
        snprintf(days, sizeof(days), "%lld day%s, ", s / 86400, s >= 2 * 86400 ? "s" : "");
    if (how == AS_JSON)
        json_object_array_add(json, uptime_json(d, stored));
    else if (how == SHORT)
        print_short(name, d->domain, days, s);
    else
        printf("%-32s %5d %s%2lld:%02lld:%02lld\n", name, d->domain, days, s / 3600 % 24, s / 60 % 60, s % 60);
    free(stored);
}

int cmd_uptime(struct args *a)
{
    struct xen_domctl_getdomaininfo *list = NULL, one;
    enum how how = args_has(a, "json") ? AS_JSON : args_has(a, "s") ? SHORT : LONG;
    struct json_object *json = json_object_new_array();
    uint32_t domid;
    int rc = store_open(), n = 0;

    if (!rc && how == LONG)
        printf("%-33s %4s %s\n", "Name", "ID", "Uptime");
    for (unsigned i = 0; i < a->n && !rc; i++) {
        rc = xm_domain(a->operands[i], &domid, &one);
        if (!rc)
            print_uptime(&one, how, json);
    }
    if (!rc && !a->n)
        n = ctl_domain_list(xm_ctl(), &list);
    for (int i = 0; i < n; i++)
        print_uptime(&list[i], how, json);
    free(list);
    if (how == AS_JSON && !rc && n >= 0)
        xm_print_json(json);
    else
        json_object_put(json);
    return rc ? rc : n < 0 ? n : 0;
}
