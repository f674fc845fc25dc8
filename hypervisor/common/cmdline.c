/* SPDX-License-Identifier: MIT */
/*
 * The command line: one table of options with the reference's spellings. Words are separated by
 * blanks,
 * "--" ends ours (the rest is the kernel's). Numbers are decimal or 0x; sizes take B K M G T and
 * count KiB without a suffix; booleans are NAME, no-NAME, NAME=1|on|yes|true|enable and the
 * opposites. A word that is not known, or known but without effect here, gets a warning that names
 * it; so does a value that cannot be read, and then the default stays. docs/COMMAND-LINE.md lists
 * the options.
 */
#include "cmdline.h"

#include "lib.h"
#include "log.h"

#define CMDLINE_MAX 2048

enum option_kind { OPT_BOOL, OPT_NOT, OPT_U32, OPT_SIZE, OPT_STRING, OPT_FN };

struct option {
    const char *name;
    enum option_kind kind;
    uint16_t offset, bytes;        /* of the field in struct cmdline_options */
    uint32_t min, max;             /* OPT_U32 */
    bool (*fn)(const char *value); /* OPT_FN: value "" when there is none; false: cannot be read */
};

struct cmdline_options opt;

static const struct cmdline_options defaults = {
    .console = "vga",
    .com = {"115200,8n1", "115200,8n1"},
    .smp = true,
    .loglvl = LOG_INFO,
    .guest_loglvl = LOG_WARN,
    .reboot_delay = 5,
    .watchdog_timeout = 5,
    .x2apic = true,
    .smep = true,
    .smap = true,
    .xsave = true,
    .pcid = true,
    .umip = true,
    .fsgsbase = true,
    .acpi = true,
    .ioapic_ack_new = true,
    .bootscrub = true,
    .gnttab_max_frames = 64,
    .gnttab_max_maptrack_frames = 1024,
};

/* --- Values --- */

/* 1, 0, or -1 when it is neither. */
static int parse_bool(const char *s)
{
    static const char *const words[] = {"0",  "1",     "no",   "yes",     "off",
                                        "on", "false", "true", "disable", "enable"};
    unsigned i;

    for (i = 0; i < ARRAY_SIZE(words); i++)
        if (!strcmp(s, words[i]))
            return (int)(i & 1);
    return -1;
}

static bool parse_level(const char *s, size_t n, int *level)
{
    static const struct {
        const char *name;
        int level;
    } names[] = {{"none", -1},       {"error", LOG_ERR},   {"warning", LOG_WARN},
                 {"info", LOG_INFO}, {"debug", LOG_DEBUG}, {"all", LOG_DEBUG}};
    unsigned i;

    for (i = 0; i < ARRAY_SIZE(names); i++)
        if (strlen(names[i].name) == n && !strncmp(s, names[i].name, n)) {
            *level = names[i].level;
            return true;
        }
    return false;
}

/* LEVEL or LEVEL/RATE-LIMITED-LEVEL: messages up to the higher of the two are shown. */
static bool parse_levels(const char *s, int *out)
{
    const char *slash = strchr(s, '/');
    int a, b;

    if (!parse_level(s, slash ? (size_t)(slash - s) : strlen(s), &a))
        return false;
    b = a;
    if (slash && !parse_level(slash + 1, strlen(slash + 1), &b))
        return false;
    *out = MAX(a, b);
    return true;
}

static bool set_loglvl(const char *s)
{
    return parse_levels(s, &opt.loglvl);
}

static bool set_guest_loglvl(const char *s)
{
    return parse_levels(s, &opt.guest_loglvl);
}

/* One part of dom0_mem=: SIZE, -SIZE, min:SIZE, max:SIZE; n characters. */
static bool dom0_mem_part(const char *s, const char *stop)
{
    uint64_t *to = &opt.dom0_mem, v;
    bool negative;
    const char *end, *digits;

    if (!strncmp(s, "min:", 4) || !strncmp(s, "max:", 4)) {
        to = s[1] == 'i' ? &opt.dom0_mem_min : &opt.dom0_mem_max;
        s += 4;
    }
    negative = *s == '-';
    digits = s + negative;
    v = parse_size(digits, &end, 1024);
    if (end == digits || end != stop || v > INT64_MAX)
        return false;
    if (!negative)
        *to = v;
    else if (to == &opt.dom0_mem)
        opt.dom0_mem_off = (int64_t)v;
    else
        return false; /* "all but" is understood for the amount itself only */
    return true;
}

static bool set_dom0_mem(const char *s)
{
    for (;;) {
        const char *comma = strchr(s, ',');
        const char *stop = comma ? comma : s + strlen(s);

        if (!dom0_mem_part(s, stop))
            return false;
        if (!comma)
            return true;
        s = comma + 1;
    }
}

/* N, MIN-MAX, MIN-, -MAX */
static bool set_dom0_max_vcpus(const char *s)
{
    const char *end;
    uint64_t lo = parse_u64(s, &end), hi = lo;

    if (*end == '-') {
        const char *rest = end + 1;

        hi = parse_u64(rest, &end);
        if (rest == end && rest - 1 == s)
            return false;
    } else if (end == s) {
        return false;
    }
    if (*end || lo > MAX_VCPUS || hi > MAX_VCPUS || (hi && lo > hi))
        return false;
    opt.dom0_max_vcpus_min = (uint32_t)lo;
    opt.dom0_max_vcpus_max = (uint32_t)hi;
    return true;
}

/* reboot=[w|c][,]METHOD: the reference also takes warm and cold, which make no difference here. */
static bool set_reboot(const char *s)
{
    strlcpy(opt.reboot, s, sizeof(opt.reboot));
    return *s != 0;
}

static bool set_acpi(const char *s)
{
    opt.acpi = strcmp(s, "off") && parse_bool(s) != 0;
    return true;
}

static bool set_watchdog(const char *s)
{
    int b = !*s || !strcmp(s, "force") ? 1 : parse_bool(s);

    if (b >= 0)
        opt.watchdog = b;
    return b >= 0;
}

static bool set_watchdog_timeout(const char *s)
{
    const char *end;
    uint64_t v = parse_u64(s, &end);

    if (end == s || *end || v > 3600)
        return false;
    opt.watchdog_timeout = (uint32_t)v;
    opt.watchdog = v != 0;
    return true;
}

static bool set_ioapic_ack(const char *s)
{
    opt.ioapic_ack_new = strcmp(s, "old") != 0;
    return !strcmp(s, "old") || !strcmp(s, "new");
}

static bool set_apic_verbosity(const char *s)
{
    opt.apic_verbose = !strcmp(s, "verbose") || !strcmp(s, "debug");
    return opt.apic_verbose || !strcmp(s, "quiet");
}

static bool set_bootscrub(const char *s)
{
    int b = !*s || !strcmp(s, "idle") ? 1 : parse_bool(s);

    if (b >= 0)
        opt.bootscrub = b;
    return b >= 0;
}

static bool set_conring_size(const char *s)
{
    const char *end;
    uint64_t v = parse_size(s, &end, 1024);

    if (end == s || *end || v < 4096 || v > (64u << 20))
        return false;
    opt.conring_size = (uint32_t)v;
    opt.conring_big = true;
    return true;
}

static bool set_iommu(const char *s)
{
    log_info("command line: iommu=%s accepted, but there is no IOMMU support yet\n", s);
    return true;
}

static bool set_crashkernel(const char *s)
{
    log_warn("command line: crashkernel=%s: crash kernels are not supported, nothing is reserved\n",
             s);
    return true;
}

static bool set_nothing(const char *s)
{
    return true;
}

/* --- Table --- */

#define FIELD(f) offsetof(struct cmdline_options, f), sizeof(((struct cmdline_options *)0)->f)
#define BOOL(name, f)                                                                              \
    {                                                                                              \
        name, OPT_BOOL, FIELD(f), 0, 0, NULL                                                       \
    }
#define NOT(name, f)                                                                               \
    {                                                                                              \
        name, OPT_NOT, FIELD(f), 0, 0, NULL                                                        \
    }
#define U32(name, f, min, max)                                                                     \
    {                                                                                              \
        name, OPT_U32, FIELD(f), min, max, NULL                                                    \
    }
#define SIZE(name, f)                                                                              \
    {                                                                                              \
        name, OPT_SIZE, FIELD(f), 0, 0, NULL                                                       \
    }
#define STRING(name, f)                                                                            \
    {                                                                                              \
        name, OPT_STRING, FIELD(f), 0, 0, NULL                                                     \
    }
#define FN(name, f)                                                                                \
    {                                                                                              \
        name, OPT_FN, 0, 0, 0, 0, f                                                                \
    }

static const struct option options[] = {
    FN("acpi", set_acpi),
    FN("apic_verbosity", set_apic_verbosity),
    FN("bootscrub", set_bootscrub),
    STRING("clocksource", clocksource),
    STRING("com1", com[0]),
    STRING("com2", com[1]),
    FN("conring_size", set_conring_size),
    STRING("console", console),
    BOOL("console_timestamps", console_timestamps),
    FN("crashkernel", set_crashkernel),
    FN("dom0_max_vcpus", set_dom0_max_vcpus),
    FN("dom0_mem", set_dom0_mem),
    BOOL("dom0_vcpus_pin", dom0_vcpus_pin),
    BOOL("fsgsbase", fsgsbase),
    U32("gnttab_max_frames", gnttab_max_frames, 1, 4096),
    U32("gnttab_max_maptrack_frames", gnttab_max_maptrack_frames, 1, 65536),
    FN("guest_loglvl", set_guest_loglvl),
    FN("ioapic_ack", set_ioapic_ack),
    FN("iommu", set_iommu),
    FN("loglvl", set_loglvl),
    U32("maxcpus", maxcpus, 0, MAX_CPUS),
    SIZE("mem", mem_limit),
    BOOL("noreboot", noreboot),
    NOT("nosmp", smp),
    BOOL("pcid", pcid),
    FN("placeholder", set_nothing), /* boot loaders put it in front */
    BOOL("ptwr_trace", ptwr_trace),
    BOOL("pv_unsafe", pv_unsafe),
    FN("reboot", set_reboot),
    U32("reboot_delay", reboot_delay, 0, 3600),
    STRING("sched", sched),
    BOOL("smap", smap),
    BOOL("smep", smep),
    BOOL("smp", smp),
    BOOL("sync_console", sync_console),
    U32("tickle_ns", tickle_ns, 0, 1000000000),
    BOOL("umip", umip),
    STRING("vga", vga),
    FN("watchdog", set_watchdog),
    FN("watchdog_timeout", set_watchdog_timeout),
    BOOL("x2apic", x2apic),
    BOOL("xsave", xsave),
};

/* Words of the reference that have no effect here. */
static const char *const no_effect[] = {
    "acpi_skip_timer_override",
    "allow_unsafe",
    "altp2m",
    "apicv",
    "argo",
    "asid",
    "async-show-all",
    "ats",
    "availmem",
    "badpage",
    "bti",
    "cet",
    "clear_tls",
    "cmci-threshold",
    "cmos-rtc-probe",
    "com1_irq",
    "conswitch",
    "console_to_ring",
    "core_parking",
    "cpufreq",
    "cpu_type",
    "cpuid",
    "cpuid_mask_cpu",
    "cpuid_mask_ecx",
    "cpuid_mask_edx",
    "cpuidle_unified_max_residency",
    "credit2_balance_over",
    "credit2_balance_under",
    "credit2_load_precision_shift",
    "credit2_load_window_shift",
    "credit2_runqueue",
    "dbgp",
    "debug_stack_lines",
    "debugtrace",
    "dit",
    "dma_bits",
    "dom0",
    "dom0-cpuid",
    "dom0-iommu",
    "dom0_ioports_disable",
    "dom0_max_nodes",
    "dom0_nodes",
    "dom0_shadow",
    "dtuart",
    "e820-mtrr-clip",
    "e820-verbose",
    "edd",
    "edid",
    "efi",
    "ehci-dbgp",
    "ept",
    "extra_guest_irqs",
    "flask",
    "flask_enforcing",
    "font",
    "force-ept",
    "gdb",
    "global-pages",
    "gnttab",
    "hap",
    "hap_1gb",
    "hap_2mb",
    "hardware_dom",
    "hest_disable",
    "highmem-start",
    "hmp-unsafe",
    "hpet",
    "hpet_broadcast",
    "hvm_debug",
    "hvm_fep",
    "hvm_port80",
    "hwdom_initial",
    "idle_latency_factor",
    "invpcid",
    "iommu_dev_iotlb_timeout",
    "iommu_inclusive_mapping",
    "irq-max-guests",
    "irq_ratelimit",
    "irq_vector_map",
    "irqbalance",
    "ivrs_hpet",
    "ivrs_ioapic",
    "kexec",
    "l1tf",
    "lapic",
    "lapic_timer_c2_ok",
    "ler",
    "livepatch",
    "low_crashinfo",
    "low_mem_virq_limit",
    "max_cstate",
    "max_gsi_irqs",
    "max_lpi_bits",
    "max_phys_cpus",
    "max_ple",
    "maxcpus_smt",
    "mce",
    "mce_fb",
    "mce_verbosity",
    "memop-max-order",
    "mmcfg",
    "mmio-relax",
    "msi",
    "mtrr.show",
    "mwait-idle",
    "nmi",
    "noapic",
    "noirqbalance",
    "nolapic",
    "nolapic_timer",
    "no-real-mode",
    "nr_irqs",
    "numa",
    "pci",
    "pci-phantom",
    "pcie_no_pcie_aer",
    "ple_gap",
    "ple_window",
    "probe-port-aliases",
    "psr",
    "pv",
    "pv-l1tf",
    "pv-linear-pt",
    "pv-shim",
    "rcu-idle-timer-period-ms",
    "rmrr",
    "ro-hpet",
    "sched-gran",
    "sched_credit_tslice_ms",
    "sched_ratelimit_us",
    "sched_smt_power_savings",
    "scrub-domheap",
    "serial_tx_buffer",
    "serrors",
    "shim_mem",
    "show-all",
    "skip_acpi_s3_resume",
    "smt",
    "snb_igd_quirk",
    "spec-ctrl",
    "tboot",
    "tbuf_size",
    "tdp",
    "tevt_mask",
    "timer_slop",
    "tmem",
    "tsc",
    "tsx",
    "ucode",
    "unrestricted_guest",
    "vcpu_migration_delay",
    "viridian-spinlock-retry-count",
    "viridian-version",
    "vmtrace",
    "vpid",
    "vpmu",
    "vti_vhpt_size",
    "vwfi",
    "x2apic_phys",
    "xpti",
    "xenheap_megabytes",
    "xsm",
};

static const struct option *option_find(const char *name)
{
    unsigned i;

    for (i = 0; i < ARRAY_SIZE(options); i++)
        if (!strcmp(options[i].name, name))
            return &options[i];
    return NULL;
}

static bool option_no_effect(const char *name)
{
    unsigned i;

    for (i = 0; i < ARRAY_SIZE(no_effect); i++)
        if (!strcmp(no_effect[i], name))
            return true;
    return false;
}

static bool option_set_number(const struct option *o, void *field, const char *value)
{
    const char *end;
    uint64_t v = o->kind == OPT_U32 ? parse_u64(value, &end) : parse_size(value, &end, 1024);

    if (end == value || *end)
        return false;
    if (o->kind == OPT_SIZE) {
        *(uint64_t *)field = v;
        return true;
    }
    if (v < o->min || v > o->max)
        return false;
    *(uint32_t *)field = (uint32_t)v;
    return true;
}

/* value: NULL when the word has no '='. */
static bool option_set(const struct option *o, const char *value)
{
    char *field = (char *)&opt + o->offset;
    int b;

    switch (o->kind) {
    case OPT_BOOL:
    case OPT_NOT:
        b = value ? parse_bool(value) : 1;
        if (b >= 0)
            *(bool *)field = b ^ (o->kind == OPT_NOT);
        return b >= 0;
    case OPT_U32:
    case OPT_SIZE:
        return value && option_set_number(o, field, value);
    case OPT_STRING:
        return value && strlcpy(field, value, o->bytes) < o->bytes;
    case OPT_FN:
        return o->fn(value ? value : "");
    }
    return false;
}

static void word_parse(char *word)
{
    char *value = strchr(word, '=');
    const struct option *o;

    if (value)
        *value++ = 0;
    o = option_find(word);
    if (!o && !value && !strncmp(word, "no-", 3)) {
        o = option_find(word + 3);
        if (o)
            value = (char *)(uintptr_t) "off";
    }
    if (o) {
        if (!option_set(o, value))
            log_warn("command line: %s: cannot read the value \"%s\", the default stays\n", word,
                     value ? value : "");
    } else if (option_no_effect(word) || (!strncmp(word, "no-", 3) && option_no_effect(word + 3))) {
        log_warn("command line: %s has no effect here\n", word);
    } else {
        log_warn("command line: unknown option \"%s%s%s\" ignored\n", word, value ? "=" : "",
                 value ? value : "");
    }
}

void cmdline_parse(const char *line)
{
    static char copy[CMDLINE_MAX]; /* boot CPU, before anything else runs */
    char *p = copy;

    opt = defaults;
    if (strlcpy(copy, line, sizeof(copy)) >= sizeof(copy))
        log_warn("command line: longer than %u characters, the rest is ignored\n", CMDLINE_MAX - 1);
    while (*p) {
        char *word;

        while (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')
            p++;
        word = p;
        while (*p && *p != ' ' && *p != '\t' && *p != '\n' && *p != '\r')
            p++;
        if (*p)
            *p++ = 0;
        if (!strcmp(word, "--"))
            return;
        if (*word)
            word_parse(word);
    }
}
