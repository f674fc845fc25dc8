/* SPDX-License-Identifier: MIT */
/*
 * The store's nodes of a domain, laid out as libxl does, so that guests' kernels, xenconsoled and stock xl find what they look
 * for. All of a new domain's nodes appear in one transaction.
 */
#include "domains.h"
#include "fault.h"
#include "store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* What the guest itself may write. */
static const char *const guest_nodes[] = { "device/suspend/event-channel", "control/shutdown", "control/feature-poweroff",
    "control/feature-reboot", "control/feature-suspend", "control/sysrq", "data", "drivers", "feature", "attr", "error" };

struct pair {
    const char *key, *value;
};

static int put_all(const char *path, const struct pair *p, size_t n)
{
    int rc = 0;

    for (size_t i = 0; i < n && !rc; i++)
        if (p[i].value)
            rc = store_put(path, p[i].key, "%s", p[i].value);
    return rc;
}
#define PUT_ALL(path, list) put_all(path, list, sizeof(list) / sizeof(*(list)))

static int write_vm(const struct domain_nodes *n, const char *uuid)
{
    char path[64], now[32];
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    snprintf(now, sizeof(now), "%lld.%02ld", (long long)t.tv_sec, t.tv_nsec / 10000000);
    snprintf(path, sizeof(path), "/vm/%s", uuid);
    const struct pair pairs[] = { { "name", n->cfg->name }, { "uuid", uuid }, { "start_time", now }, { "image/ostype", "linux" },
        { "image/kernel", n->cfg->kernel }, { "image/ramdisk", n->cfg->ramdisk }, { "image/cmdline", n->cfg->cmdline } };
    int rc = store_mkdir_for(0, (int)n->domid, "%s", path);

    return rc ? rc : PUT_ALL(path, pairs);
}

static int write_cpus(const struct domain_nodes *n, const char *home)
{
    unsigned online = n->cfg->vcpus, all = n->cfg->maxvcpus;
    int rc = 0;

    for (unsigned i = 0; i < all && !rc; i++) {
        char key[40];

        snprintf(key, sizeof(key), "cpu/%u/availability", i);
        rc = store_put(home, key, "%s", i < online ? "online" : "offline");
    }
    return rc;
}

static int write_numbers(const struct domain_nodes *n, const char *home)
{
    int rc = store_put(home, "memory/static-max", "%llu", (unsigned long long)n->cfg->maxmem);

    rc = rc ? rc : store_put(home, "memory/target", "%llu", (unsigned long long)n->cfg->memory);
    rc = rc ? rc : store_put(home, "memory/videoram", "0");
    rc = rc ? rc : store_put(home, "domid", "%u", n->domid);
    rc = rc ? rc : store_put(home, "store/port", "%u", n->store_port);
    rc = rc ? rc : store_put(home, "store/ring-ref", "%llu", (unsigned long long)n->store_mfn);
    rc = rc ? rc : store_put(home, "console/port", "%u", n->console_port);
    return rc ? rc : store_put(home, "console/ring-ref", "%llu", (unsigned long long)n->console_mfn);
}

/* The console as a device: the guest's side, xenconsoled's, and libxl's note of it. */
static int write_console(const struct domain_nodes *n, const char *home)
{
    char back[64], front[64], record[64], id[16];
    int rc;

    snprintf(id, sizeof(id), "%u", n->domid);
    snprintf(front, sizeof(front), "%s/console", home);
    snprintf(back, sizeof(back), "/local/domain/0/backend/console/%u/0", n->domid);
    snprintf(record, sizeof(record), "/libxl/%u/device/console/0", n->domid);
    const struct pair guest[] = { { "console/backend", back }, { "console/backend-id", "0" }, { "console/limit", "1048576" },
        { "console/type", "xenconsoled" }, { "console/output", "pty" }, { "console/tty", "" } };
    const struct pair ours[] = { { "frontend", front }, { "frontend-id", id }, { "online", "1" }, { "state", "1" }, { "protocol", "vt100" } };
    const struct pair noted[] = { { "frontend", front }, { "backend", back }, { "frontend-id", id }, { "online", "1" }, { "state", "1" },
        { "protocol", "vt100" } };

    rc = PUT_ALL(home, guest);
    rc = rc ? rc : store_mkdir_for(0, (int)n->domid, "%s", back);
    rc = rc ? rc : PUT_ALL(back, ours);
    return rc ? rc : PUT_ALL(record, noted);
}

static int write_ours(const struct domain_nodes *n)
{
    char path[64], record[64], config[256];

    domain_config_path(n->uuid, config, sizeof(config));
    snprintf(path, sizeof(path), "/zendo/domain/%u", n->domid);
    snprintf(record, sizeof(record), "/libxl/%u", n->domid);
    const struct pair pairs[] = { { "config", config }, { "created-by", "xm" } };
    const struct pair noted[] = { { "type", "pv" }, { "dm-version", "qemu_xen" } };
    int rc = PUT_ALL(path, pairs);

    rc = rc ? rc : domain_index_put(n->domid, n->cfg->name);

    return rc ? rc : PUT_ALL(record, noted);
}

static int write_all(const void *arg)
{
    const struct domain_nodes *n = arg;
    char home[48], vm[64], uuid[37];
    int rc;

    domain_format_uuid(n->uuid, uuid);
    snprintf(vm, sizeof(vm), "/vm/%s", uuid);
    snprintf(home, sizeof(home), "/local/domain/%u", n->domid);
    store_remove("%s", home); /* of an earlier domain of this number that nobody cleared away */
    const struct pair pairs[] = { { "vm", vm }, { "name", n->cfg->name }, { "control/platform-feature-multiprocessor-suspend", "1" },
        { "control/platform-feature-xs_reset_watches", "1" } };

    rc = store_mkdir_for(0, (int)n->domid, "%s", home);
    rc = rc ? rc : PUT_ALL(home, pairs);
    for (size_t i = 0; i < sizeof(guest_nodes) / sizeof(*guest_nodes) && !rc; i++)
        rc = store_mkdir_for(n->domid, -1, "%s/%s", home, guest_nodes[i]);
    rc = rc ? rc : write_vm(n, uuid);
    rc = rc ? rc : write_cpus(n, home);
    rc = rc ? rc : write_numbers(n, home);
    rc = rc ? rc : write_console(n, home);
    return rc ? rc : write_ours(n);
}

int domain_write_nodes(const struct domain_nodes *n)
{
    return store_transact(write_all, n);
}

int domain_write_rings(uint32_t domid, xen_pfn_t store_mfn, xen_pfn_t console_mfn)
{
    char home[48];

    snprintf(home, sizeof(home), "/local/domain/%u", domid);
    int rc = store_put(home, "store/ring-ref", "%llu", (unsigned long long)store_mfn);

    return rc ? rc : store_put(home, "console/ring-ref", "%llu", (unsigned long long)console_mfn);
}

/* A guest's directory names its vm, but the guest may not write that node: it is domain 0's. */
static int remove_all(const void *arg)
{
    uint32_t domid = *(const uint32_t *)arg;
    char path[64], *vm = store_read("/local/domain/%u/vm", domid);
    int rc = 0;

    if (vm && !strncmp(vm, "/vm/", 4) && strlen(vm) == 40)
        rc = store_remove("%s", vm);
    free(vm);
    snprintf(path, sizeof(path), "/local/domain/0/backend/console/%u", domid);
    rc = rc ? rc : store_remove_empty(path, "/local/domain/0");
    rc = rc ? rc : store_remove("/local/domain/%u", domid);
    rc = rc ? rc : store_remove("/libxl/%u", domid);
    rc = rc ? rc : domain_index_drop(domid);
    return rc ? rc : store_remove("/zendo/domain/%u", domid);
}

/* The configuration that was kept for a restart goes too, if the domain was destroyed by another's tools. */
static void remove_config(uint32_t domid)
{
    char *path = store_read("/zendo/domain/%u/config", domid);
    size_t n = strlen(domain_state_folder);

    if (path && !strncmp(path, domain_state_folder, n) && path[n] == '/' && !strstr(path, "/../"))
        unlink(path);
    free(path);
}

int domain_remove_nodes(uint32_t domid)
{
    remove_config(domid);
    return store_transact(remove_all, &domid);
}
