/* SPDX-License-Identifier: MIT */
/*
 * Which variables of a configuration are keys, and what they become. One table; keys that need more than a conversion have
 * a function. Numbers may be quoted ('512', as xen-create-image writes them), a single text may stand for a list of one.
 */
#include "config_private.h"

#include <ctype.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"

enum key_type {
    K_STR, K_UINT, K_INT, K_MIB, K_BOOL, K_ACTION, K_LISTED,    /* LISTED: text or a list of texts, blanks between */
    K_CALL,         /* a function */
    K_LATER,        /* read by keys_finish() out of the variables: parts of the kernel's command line and the like */
    K_KEEP,         /* of other kinds of guests, or not used: into other_json */
    K_NICHE,        /* known, not available: said so */
};

struct key_run {
    struct cfg *c;
    struct guest_config *g;
    const struct cfg_var *var;
    struct json_object *other;
};

struct key {
    const char *name;
    enum key_type type;
    size_t offset;
    int64_t max;
    int (*call)(struct key_run *k, struct cfg_value *v);
};

static int call_type(struct key_run *k, struct cfg_value *v);
static int call_disk(struct key_run *k, struct cfg_value *v);
static int call_vif(struct key_run *k, struct cfg_value *v);
static int call_cpus(struct key_run *k, struct cfg_value *v);
static int call_pci(struct key_run *k, struct cfg_value *v);
static int call_restart(struct key_run *k, struct cfg_value *v);
static int call_name(struct key_run *k, struct cfg_value *v);
static int call_uuid(struct key_run *k, struct cfg_value *v);

#define AT(field) offsetof(struct guest_config, field)
#define KEEP(name) { name, K_KEEP, 0, 0, NULL }
#define NICHE(name) { name, K_NICHE, 0, 0, NULL }
static const struct key keys[] = {
    { "name", K_CALL, 0, 0, call_name },
    { "uuid", K_CALL, 0, 0, call_uuid },
    { "type", K_CALL, 0, 0, call_type },
    { "builder", K_CALL, 0, 0, call_type },
    { "kernel", K_STR, AT(kernel), 0, NULL },
    { "ramdisk", K_STR, AT(ramdisk), 0, NULL },
    { "bootloader", K_STR, AT(bootloader), 0, NULL },
    { "bootloader_args", K_LISTED, AT(bootloader_args), 0, NULL },
    { "bootargs", K_LISTED, AT(bootloader_args), 0, NULL },
    { "memory", K_MIB, AT(memory), 0, NULL },
    { "maxmem", K_MIB, AT(maxmem), 0, NULL },
    { "vcpus", K_UINT, AT(vcpus), 32768, NULL },
    { "maxvcpus", K_UINT, AT(maxvcpus), 32768, NULL },
    { "cpus", K_CALL, 0, 0, call_cpus },
    { "cpu", K_CALL, 0, 0, call_cpus },
    { "cpus_soft", K_CALL, 0, 0, call_cpus },
    { "cpu_weight", K_UINT, AT(weight), 65535, NULL },
    { "cap", K_UINT, AT(cap), 65535, NULL },
    { "cpu_cap", K_UINT, AT(cap), 65535, NULL },
    { "pool", K_STR, AT(pool), 0, NULL },
    { "disk", K_CALL, 0, 0, call_disk },
    { "vif", K_CALL, 0, 0, call_vif },
    { "on_poweroff", K_ACTION, AT(on_poweroff), 0, NULL },
    { "on_reboot", K_ACTION, AT(on_reboot), 0, NULL },
    { "on_crash", K_ACTION, AT(on_crash), 0, NULL },
    { "on_watchdog", K_ACTION, AT(on_watchdog), 0, NULL },
    { "on_soft_reset", K_ACTION, AT(on_soft_reset), 0, NULL },
    { "restart", K_CALL, 0, 0, call_restart },
    { "max_grant_frames", K_UINT, AT(max_grant_frames), 1 << 20, NULL },
    { "max_maptrack_frames", K_UINT, AT(max_maptrack_frames), 1 << 20, NULL },
    { "max_event_channels", K_UINT, AT(max_event_channels), 1 << 20, NULL },
    { "tsc_mode", K_STR, AT(tsc_mode), 0, NULL },
    { "cpuid", K_LISTED, AT(cpuid), 0, NULL },
    { "cpu_level", K_STR, AT(cpu_level), 0, NULL },
    { "nomigrate", K_BOOL, AT(nomigrate), 0, NULL },
    { "localtime", K_BOOL, AT(localtime), 0, NULL },
    { "rtc_timeoffset", K_INT, AT(rtc_timeoffset), INT32_MAX, NULL },
    { "pci", K_CALL, 0, 0, call_pci },
    { "root", K_LATER, 0, 0, NULL }, { "extra", K_LATER, 0, 0, NULL }, { "cmdline", K_LATER, 0, 0, NULL },
    { "ip", K_LATER, 0, 0, NULL }, { "netmask", K_LATER, 0, 0, NULL }, { "gateway", K_LATER, 0, 0, NULL },
    { "hostname", K_LATER, 0, 0, NULL }, { "interface", K_LATER, 0, 0, NULL }, { "dhcp", K_LATER, 0, 0, NULL },
    { "nfs_server", K_LATER, 0, 0, NULL }, { "nfs_root", K_LATER, 0, 0, NULL }, { "nics", K_LATER, 0, 0, NULL },
    KEEP("vfb"), KEEP("vkb"), KEEP("vnc"), KEEP("vnclisten"), KEEP("vncdisplay"), KEEP("vncunused"), KEEP("vncpasswd"),
    KEEP("vncviewer"), KEEP("vncconsole"), KEEP("sdl"), KEEP("opengl"), KEEP("keymap"), KEEP("display"), KEEP("xauthority"),
    KEEP("nographic"), KEEP("stdvga"), KEEP("vga"), KEEP("videoram"), KEEP("serial"), KEEP("boot"), KEEP("firmware"), KEEP("bios"),
    KEEP("firmware_override"), KEEP("bios_path_override"), KEEP("hap"), KEEP("oos"), KEEP("shadow_memory"), KEEP("pae"), KEEP("acpi"),
    KEEP("acpi_s3"), KEEP("acpi_s4"), KEEP("apic"), KEEP("nx"), KEEP("hpet"), KEEP("vpt_align"), KEEP("timer_mode"), KEEP("viridian"),
    KEEP("nestedhvm"), KEEP("hdtype"), KEEP("mmio_hole"), KEEP("pci_permissive"), KEEP("pci_seize"), KEEP("pci_msitranslate"),
    KEEP("pci_power_mgmt"), KEEP("ioports"), KEEP("iomem"), KEEP("irqs"), KEEP("irq"), KEEP("max_grant_version"),
    KEEP("driver_domain"), KEEP("e820_host"), KEEP("vnuma"), KEEP("seclabel"), KEEP("init_seclabel"), KEEP("pvshim"),
    KEEP("pvshim_path"), KEEP("pvshim_cmdline"), KEEP("pvshim_extra"), KEEP("device_model_version"), KEEP("device_model_override"),
    KEEP("device_model_args"), KEEP("device_model_args_pv"), KEEP("device_model_args_hvm"), KEEP("device_model_user"),
    KEEP("device_model"), KEEP("dm_restrict"), KEEP("usb"), KEEP("usbdevice"), KEEP("usbversion"), KEEP("channel"),
    KEEP("xen_platform_pci"), KEEP("passthrough"), KEEP("xenstore_quota"), KEEP("virtio"), KEEP("bootloader_restrict"),
    KEEP("bootloader_user"), KEEP("vkb_device"), KEEP("vendor_device"), KEEP("suppress_spurious_page_faults"), KEEP("hvm"),
    KEEP("guest_os_type"), KEEP("features"), KEEP("isa"), KEEP("fda"), KEEP("fdb"), KEEP("blkif"), KEEP("netif"), KEEP("on_xend_start"),
    KEEP("on_xend_stop"), KEEP("access_control"), KEEP("xen_shell"), KEEP("bootentry"), KEEP("superpages"), KEEP("machine_address_size"),
    NICHE("tpmif"), NICHE("usbport"), NICHE("spice"), NICHE("spicehost"), NICHE("spiceport"), NICHE("spicetls_port"),
    NICHE("spicedisable_ticketing"), NICHE("spicepasswd"), NICHE("spiceagent_mouse"), NICHE("spicevdagent"),
    NICHE("spice_clipboard_sharing"), NICHE("spiceusbredirection"), NICHE("spice_image_compression"), NICHE("spice_streaming_video"),
    NICHE("p9"), NICHE("pvcalls"), NICHE("vdispl"), NICHE("vsnd"), NICHE("vtpm"), NICHE("rdm"), NICHE("rdm_mem_boundary"),
    NICHE("psr"), NICHE("dtdev"), NICHE("device_tree"), NICHE("tee"), NICHE("gic_version"), NICHE("vuart"), NICHE("sve"),
    NICHE("nr_spis"), NICHE("llc_colors"), NICHE("altp2m"), NICHE("altp2mhvm"), NICHE("ms_vm_genid"), NICHE("acpi_firmware"),
    NICHE("smbios_firmware"), NICHE("smbios"), NICHE("acpi_laptop_slate"), NICHE("gfx_passthru"), NICHE("mca_caps"),
    NICHE("msr_relaxed"), NICHE("vmtrace_buf_kb"), NICHE("vpmu"), NICHE("stubdomain_kernel"), NICHE("stubdomain_cmdline"),
    NICHE("stubdomain_ramdisk"), NICHE("stubdomain_memory"), NICHE("device_model_stubdomain_override"),
    NICHE("device_model_stubdomain_seclabel"), NICHE("soundhw"), NICHE("usbctrl"), NICHE("usbdev"), NICHE("sharing"),
    NICHE("xend_suspend_evtchn_compat"), NICHE("vscsi"), NICHE("ioemu"), NICHE("colo"),
};

static const struct key *key_find(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (strlen(keys[i].name) == len && memcmp(keys[i].name, name, len) == 0)
            return &keys[i];
    return NULL;
}

bool cfg_key_known(const char *name, size_t len)
{
    return key_find(name, len) != NULL;
}

bool cfg_key_is_list(const char *name, size_t len)
{
    const struct key *key = key_find(name, len);

    return key && (key->call == call_disk || key->call == call_vif || key->call == call_pci);
}

/* Conversions. */

static int out_of_memory(struct cfg *c)
{
    return c->rc = c->rc ? c->rc : fault(-ENOMEM, "reading the configuration: out of memory");
}

static int want_fail(struct key_run *k, struct cfg_value *v, const char *what)
{
    return cfg_fail(k->c, v->at, "'%.*s' wants %s", (int)k->var->len, k->var->name, what);
}

static int to_string(struct key_run *k, struct cfg_value *v, char **to)
{
    if (v->kind != V_STR && v->kind != V_INT && v->kind != V_BOOL)
        return want_fail(k, v, "text");
    struct cfg_value *s = val_to_str(k->c, v->at, v, false);
    if (!s)
        return k->c->rc;
    free(*to);
    return (*to = strdup(s->str)) ? 0 : out_of_memory(k->c);
}

/* ... where '' means that it is not given. */
static int to_string_given(struct key_run *k, struct cfg_value *v, char **to)
{
    if (to_string(k, v, to))
        return k->c->rc;
    if (!**to) {
        free(*to);
        *to = NULL;
    }
    return 0;
}

static bool value_num(const struct cfg_value *v, int64_t *num)
{
    if (v->kind == V_INT || v->kind == V_BOOL)
        return *num = v->num, true;
    return v->kind == V_STR && text_to_int(v->str, v->len, num);
}

static int to_number(struct key_run *k, struct cfg_value *v, int64_t min, int64_t max, int64_t *num)
{
    if (!value_num(v, num))
        return want_fail(k, v, "a whole number");
    if (*num < min || *num > max)
        return cfg_fail(k->c, v->at, "'%.*s' is a number from %lld to %lld", (int)k->var->len, k->var->name, (long long)min,
                        (long long)max);
    return 0;
}

/* MiB, or text with a unit: '2G', '512M', '65536K'. */
static int to_kib(struct key_run *k, struct cfg_value *v, uint64_t *kib)
{
    const int64_t max = (int64_t)1 << 34; /* 16 PiB */
    int64_t num, unit = 1024;
    size_t len = v->kind == V_STR ? v->len : 0;

    if (len > 1 && (v->str[len - 1] | 32) == 'b')
        len--;
    if (len > 1 && strchr("kKmMgG", v->str[len - 1])) {
        unit = (v->str[len - 1] | 32) == 'k' ? 1 : (v->str[len - 1] | 32) == 'm' ? 1024 : 1024 * 1024;
        len--;
    } else
        len = v->len;
    if (!(v->kind == V_STR ? text_to_int(v->str, len, &num) : value_num(v, &num)))
        return want_fail(k, v, "a number of MiB, like 512");
    if (num <= 0 || num > max / unit)
        return cfg_fail(k->c, v->at, "'%.*s' must be more than 0 and less than 16 PiB; it is in MiB", (int)k->var->len, k->var->name);
    *kib = (uint64_t)(num * unit);
    return 0;
}

static int to_bool(struct key_run *k, struct cfg_value *v, bool *to)
{
    static const char *const words[] = { "no", "yes", "false", "true", "off", "on" };
    int64_t num;

    for (size_t i = 0; v->kind == V_STR && i < 6; i++)
        if (strcasecmp(v->str, words[i]) == 0)
            return *to = i % 2, 0;
    if (!value_num(v, &num))
        return want_fail(k, v, "0 or 1");
    *to = num != 0;
    return 0;
}

static const char *const action_names[] = {
    [ACTION_DESTROY] = "destroy", [ACTION_RESTART] = "restart", [ACTION_RENAME_RESTART] = "rename-restart",
    [ACTION_PRESERVE] = "preserve", [ACTION_COREDUMP_DESTROY] = "coredump-destroy", [ACTION_COREDUMP_RESTART] = "coredump-restart",
    [ACTION_SOFT_RESET] = "soft-reset",
};

static int to_action(struct key_run *k, struct cfg_value *v, enum guest_action *to)
{
    for (unsigned i = 0; v->kind == V_STR && i < sizeof(action_names) / sizeof(action_names[0]); i++)
        if (strcmp(v->str, action_names[i]) == 0)
            return *to = (enum guest_action)i, 0;
    return want_fail(k, v, "one of destroy, restart, rename-restart, preserve, coredump-destroy, coredump-restart, soft-reset");
}

static bool is_list(const struct cfg_value *v)
{
    return v->kind == V_LIST || v->kind == V_TUPLE;
}

static int to_joined(struct key_run *k, struct cfg_value *v, char **to)
{
    struct cfg_token blank = { .src = v->at->src, .text = "+", .len = 1, .line = v->at->line, .col = v->at->col, .kind = TOK_OP };
    struct cfg_value *sum, *space = val_str(k->c, v->at, " ", 1), *one;

    if (!is_list(v))
        return to_string(k, v, to);
    if (!(sum = val_str(k->c, v->at, "", 0)) || !space)
        return k->c->rc;
    for (unsigned i = 0; i < v->n; i++) {
        if (v->item[i]->kind != V_STR && v->item[i]->kind != V_INT)
            return want_fail(k, v->item[i], "text in its list");
        if (!(one = val_to_str(k->c, v->item[i]->at, v->item[i], false)) || (i && !(sum = cfg_binary(k->c, &blank, sum, space))) ||
            !(sum = cfg_binary(k->c, &blank, sum, one)))
            return k->c->rc;
    }
    return to_string(k, sum, to);
}

/* A list of texts into an array that the configuration owns. */
static int to_strings(struct key_run *k, struct cfg_value *v, char ***to, unsigned *n)
{
    unsigned count = is_list(v) ? v->n : 1;

    while (*n)
        free((*to)[--*n]);
    free(*to);
    *to = calloc(count ? count : 1, sizeof(**to));
    if (!*to)
        return out_of_memory(k->c);
    for (unsigned i = 0; i < count; i++) {
        if (to_string(k, is_list(v) ? v->item[i] : v, &(*to)[i]))
            return k->c->rc;
        *n = i + 1;
    }
    return 0;
}

/* Keys with a function. */

static int call_name(struct key_run *k, struct cfg_value *v)
{
    if (to_string(k, v, &k->g->name))
        return k->c->rc;
    const char *name = k->g->name;
    bool good = *name && strlen(name) < 256 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
    for (const char *p = name; *p; p++)
        good &= *p != '/' && (unsigned char)*p > ' ' && *p != 0x7f;
    if (!good)
        return cfg_fail(k->c, v->at, "no name for a guest; it has 1 to 255 characters, no blank and no '/'");
    return 0;
}

static int call_uuid(struct key_run *k, struct cfg_value *v)
{
    static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

    if (to_string(k, v, &k->g->uuid))
        return k->c->rc;
    bool good = strlen(k->g->uuid) == sizeof(shape) - 1;
    for (size_t i = 0; good && shape[i]; i++)
        good = shape[i] == '-' ? k->g->uuid[i] == '-' : isxdigit((unsigned char)k->g->uuid[i]) != 0;
    return good ? 0 : cfg_fail(k->c, v->at, "no uuid; write as 6a2f9a44-35d2-4fb0-9c7e-0d6dcd0b8d1c, or leave it out");
}

static int call_type(struct key_run *k, struct cfg_value *v)
{
    static const struct { const char *name; enum guest_type type; } types[] = {
        { "pv", GUEST_PV }, { "pvh", GUEST_PVH }, { "hvm", GUEST_HVM }, { "generic", GUEST_PV }, { "linux", GUEST_PV }, { "netbsd", GUEST_PV },
    };

    if (k->var->len == 7 && cfg_var_find(k->c, "type", 4)) /* "type" wins over the older "builder" */
        return 0;
    for (size_t i = 0; v->kind == V_STR && i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(v->str, types[i].name) == 0)
            return k->g->type = types[i].type, 0;
    return want_fail(k, v, k->var->len == 4 ? "pv, pvh or hvm" : "generic, linux or hvm");
}

static int call_disk(struct key_run *k, struct cfg_value *v)
{
    unsigned n = is_list(v) ? v->n : 1;

    if (!is_list(v) && v->kind != V_STR)
        return want_fail(k, v, "a list like [ 'phy:/dev/vg/guest,xvda,w' ]");
    if (!(k->g->disks = calloc(n ? n : 1, sizeof(*k->g->disks))))
        return out_of_memory(k->c);
    for (unsigned i = 0; i < n; i++) {
        const struct cfg_value *spec = is_list(v) ? v->item[i] : v;

        k->g->n_disks = i + 1;
        if (cfg_disk_parse(k->c, &k->g->disks[i], spec))
            return k->c->rc;
        for (unsigned j = 0; j < i; j++)
            if (strcmp(k->g->disks[j].vdev, k->g->disks[i].vdev) == 0)
                return cfg_fail(k->c, spec->at, "two disks are '%s' in the guest; name one differently", k->g->disks[i].vdev);
    }
    return 0;
}

static int call_vif(struct key_run *k, struct cfg_value *v)
{
    unsigned n = is_list(v) ? v->n : 1;

    if (!is_list(v) && v->kind != V_STR)
        return want_fail(k, v, "a list like [ 'bridge=xenbr0' ]");
    if (!(k->g->nics = calloc(n ? n : 1, sizeof(*k->g->nics))))
        return out_of_memory(k->c);
    for (unsigned i = 0; i < n; i++) {
        k->g->n_nics = i + 1;
        if (cfg_nic_parse(k->c, &k->g->nics[i], is_list(v) ? v->item[i] : v))
            return k->c->rc;
    }
    return 0;
}

/* "0-3,^1", "all", "node:1,^7"; the numbers are checked where the host's processors are known. */
static int check_cpus(struct key_run *k, const struct cfg_value *v)
{
    if (v->kind == V_INT)
        return v->num >= 0 ? 0 : want_fail(k, (struct cfg_value *)v, "processors like 0-3,^1");
    if (v->kind != V_STR)
        return want_fail(k, (struct cfg_value *)v, "processors like 0-3,^1, or a list of those, one per vCPU");
    for (size_t i = 0; i < v->len; i++)
        if (!isalnum((unsigned char)v->str[i]) && !strchr(",-^: ", v->str[i]))
            return cfg_fail_word(k->c, v, i, 1, "'%.*s' wants processors like 0-3,^1", (int)k->var->len, k->var->name);
    return 0;
}

static int call_cpus(struct key_run *k, struct cfg_value *v)
{
    bool soft = k->var->len == 9;
    int64_t num;

    if (k->var->len <= 4 && value_num(v, &num) && num == -1) /* old xm: anywhere */
        return 0;
    if (k->var->len == 3 && k->g->cpus) /* "cpus" wins over the older "cpu" */
        return 0;
    if (!is_list(v))
        return check_cpus(k, v) ? k->c->rc : to_string(k, v, soft ? &k->g->cpus_soft : &k->g->cpus);
    for (unsigned i = 0; i < v->n; i++)
        if (check_cpus(k, v->item[i]))
            return k->c->rc;
    return soft ? to_strings(k, v, &k->g->cpus_soft_each, &k->g->n_cpus_soft_each)
                : to_strings(k, v, &k->g->cpus_each, &k->g->n_cpus_each);
}

static int call_pci(struct key_run *k, struct cfg_value *v)
{
    return to_strings(k, v, &k->g->pci, &k->g->n_pci);
}

/* Old xm's one word for three actions. */
static int call_restart(struct key_run *k, struct cfg_value *v)
{
    static const struct { const char *word; enum guest_action off, reboot, crash; } words[] = {
        { "always", ACTION_RESTART, ACTION_RESTART, ACTION_RESTART },
        { "onreboot", ACTION_DESTROY, ACTION_RESTART, ACTION_DESTROY },
        { "never", ACTION_DESTROY, ACTION_DESTROY, ACTION_DESTROY },
    };

    for (size_t i = 0; v->kind == V_STR && i < 3; i++) {
        if (strcmp(v->str, words[i].word) != 0)
            continue;
        if (!cfg_var_find(k->c, "on_poweroff", 11))
            k->g->on_poweroff = words[i].off;
        if (!cfg_var_find(k->c, "on_reboot", 9))
            k->g->on_reboot = words[i].reboot;
        if (!cfg_var_find(k->c, "on_crash", 8))
            k->g->on_crash = words[i].crash;
        return 0;
    }
    return want_fail(k, v, "always, onreboot or never");
}

/* Keys that are kept: as JSON of the same shape. */
static struct json_object *to_json(struct cfg *c, const struct cfg_value *v, int depth)
{
    struct json_object *o;

    if (cfg_step(c) || depth > CFG_MAX_DEPTH)
        return NULL;
    switch (v->kind) {
    case V_BOOL: return json_object_new_boolean(v->num != 0);
    case V_INT: return json_object_new_int64(v->num);
    case V_STR: return json_object_new_string_len(v->str, (int)v->len);
    case V_LIST:
    case V_TUPLE:
        o = json_object_new_array();
        for (unsigned i = 0; i < v->n; i++)
            json_object_array_add(o, to_json(c, v->item[i], depth + 1));
        return o;
    default: return NULL;
    }
}

static int apply_number(struct key_run *k, const struct key *key, struct cfg_value *v, void *to)
{
    int64_t num = 0;

    if (to_number(k, v, key->type == K_INT ? -key->max : 0, key->max, &num))
        return k->c->rc;
    if (key->type == K_INT)
        *(int *)to = (int)num;
    else
        *(unsigned *)to = (unsigned)num;
    return 0;
}

static int apply(struct key_run *k, const struct key *key, struct cfg_value *v)
{
    void *to = (char *)k->g + key->offset;

    switch (key->type) {
    case K_STR: return to_string_given(k, v, to);
    case K_LISTED: return to_joined(k, v, to);
    case K_UINT:
    case K_INT: return apply_number(k, key, v, to);
    case K_MIB: return to_kib(k, v, to);
    case K_BOOL: return to_bool(k, v, to);
    case K_ACTION: return to_action(k, v, to);
    case K_CALL: return key->call(k, v);
    case K_KEEP: return json_object_object_add(k->other, key->name, to_json(k->c, v, 0)), k->c->rc;
    case K_NICHE: return cfg_warn(k->var->at, "not available in Zendo; ignored"), 0;
    default: return 0;
    }
}

/* Letters to change, add or drop to come from a to b; both short. */
static unsigned distance(const char *a, size_t na, const char *b, size_t nb)
{
    unsigned row[40];

    for (size_t j = 0; j <= nb; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= na; i++) {
        unsigned corner = row[0];

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= nb; j++) {
            unsigned change = corner + (a[i - 1] != b[j - 1]), least = row[j] < row[j - 1] ? row[j] : row[j - 1];

            corner = row[j];
            row[j] = change < least + 1 ? change : least + 1;
        }
    }
    return row[nb];
}

static void warn_unknown(const struct cfg_var *var)
{
    const char *near = NULL;
    unsigned best = 3;

    for (size_t i = 0; var->len < 39 && i < sizeof(keys) / sizeof(keys[0]); i++) {
        size_t len = strlen(keys[i].name);
        unsigned d = len < 39 ? distance(var->name, var->len, keys[i].name, len) : 99;

        if (d < best && d < var->len / 3 + 1) {
            best = d;
            near = keys[i].name;
        }
    }
    if (near)
        cfg_warn(var->at, "unknown key, ignored; is '%s' meant?", near);
    else
        cfg_warn(var->at, "unknown key, ignored");
}

static int apply_all(struct key_run *k)
{
    for (unsigned i = 0; i < k->c->n_vars; i++) {
        const struct cfg_var *var = &k->c->vars[i];
        const struct key *key = key_find(var->name, var->len);

        k->var = var;
        if (!key && !var->read && var->value->kind < V_MODULE)
            warn_unknown(var);
        if (key && var->value->kind != V_NONE && var->value->kind < V_MODULE && apply(k, key, var->value))
            return k->c->rc;
    }
    return 0;
}

int cfg_keys_apply(struct cfg *c, struct guest_config *g)
{
    struct key_run k = { .c = c, .g = g, .other = json_object_new_object() };

    g->type = GUEST_PV;
    g->on_poweroff = g->on_crash = g->on_watchdog = ACTION_DESTROY;
    g->on_reboot = ACTION_RESTART;
    g->on_soft_reset = ACTION_SOFT_RESET;
    if (!k.other)
        return out_of_memory(c);
    if (!apply_all(&k) && json_object_object_length(k.other)) {
        g->other_json = strdup(json_object_to_json_string_ext(k.other, JSON_C_TO_STRING_PLAIN));
        if (!g->other_json)
            out_of_memory(c);
    }
    json_object_put(k.other);
    return c->rc ? c->rc : cfg_keys_finish(c, g);
}
