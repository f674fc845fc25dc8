/* SPDX-License-Identifier: MIT */
/* What several keys say together: the kernel's command line, the number of networks, and what must fit each other. */
#include "config_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"

static int out_of_memory(struct cfg *c)
{
    return c->rc = fault(-ENOMEM, "reading the configuration: out of memory");
}

static const struct cfg_var *given(struct cfg *c, const char *key)
{
    struct cfg_var *var = cfg_var_find(c, key, strlen(key));

    return var && var->value->kind != V_NONE ? var : NULL;
}

/* A key's text; "" when it is not given, NULL after a fault. */
static const char *text_of(struct cfg *c, const char *key)
{
    const struct cfg_var *var = given(c, key);

    if (!var)
        return "";
    if (var->value->kind != V_STR && var->value->kind != V_INT && var->value->kind != V_BOOL) {
        cfg_fail(c, var->value->at, "'%s' wants text", key);
        return NULL;
    }
    struct cfg_value *s = val_to_str(c, var->at, var->value, false);
    return s ? s->str : NULL;
}

enum { IP, NFS_SERVER, GATEWAY, NETMASK, HOSTNAME, INTERFACE, DHCP, NFS_ROOT, ROOT, EXTRA, CMDLINE, N_TEXTS };

/* Old xm's keys for a kernel that sets up its own network. */
static char *boot_network(const char *const t[N_TEXTS])
{
    const char *dhcp = strcmp(t[DHCP], "0") == 0 || strcmp(t[DHCP], "no") == 0 || strcmp(t[DHCP], "False") == 0 ? "off" :
                       strcmp(t[DHCP], "1") == 0 || strcmp(t[DHCP], "yes") == 0 || strcmp(t[DHCP], "True") == 0 ? "dhcp" : t[DHCP];
    bool ip = *t[IP] || (*dhcp && strcmp(dhcp, "off") != 0);
    char *s = NULL, *nfs = NULL;

    if (asprintf(&nfs, "%s%s%s%s", *t[NFS_ROOT] ? "nfsroot=" : "", *t[NFS_ROOT] ? t[NFS_SERVER] : "",
                 *t[NFS_ROOT] && *t[NFS_SERVER] ? ":" : "", t[NFS_ROOT]) < 0)
        return NULL;
    if (!ip)
        return nfs;
    if (asprintf(&s, "ip=%s:%s:%s:%s:%s:%s:%s%s%s", t[IP], t[NFS_SERVER], t[GATEWAY], t[NETMASK], t[HOSTNAME],
                 *t[INTERFACE] ? t[INTERFACE] : "eth0", *dhcp ? dhcp : "off", *nfs ? " " : "", nfs) < 0)
        s = NULL;
    free(nfs);
    return s;
}

/* "cmdline", or network, root= and extra in old xm's order. */
static int set_cmdline(struct cfg *c, struct guest_config *g)
{
    static const char *const keys[N_TEXTS] = { "ip", "nfs_server", "gateway", "netmask", "hostname", "interface", "dhcp", "nfs_root",
                                               "root", "extra", "cmdline" };
    const char *t[N_TEXTS];
    char *net;

    for (int i = 0; i < N_TEXTS; i++)
        if (!(t[i] = text_of(c, keys[i])))
            return c->rc;
    if (given(c, "cmdline")) {
        for (int i = ROOT; i <= EXTRA; i++)
            if (given(c, keys[i]))
                cfg_warn(given(c, keys[i])->at, "ignored, since 'cmdline' is given");
        return (g->cmdline = strdup(t[CMDLINE])) ? 0 : out_of_memory(c);
    }
    if (!(net = boot_network(t)))
        return out_of_memory(c);
    const char *root = *t[ROOT] ? "root=" : "";
    if (strncmp(t[ROOT], "root=", 5) == 0)
        root = "";
    int n = asprintf(&g->cmdline, "%s%s%s%s%s%s", net, *net && *t[ROOT] ? " " : "", root, t[ROOT],
                     (*net || *t[ROOT]) && *t[EXTRA] ? " " : "", t[EXTRA]);
    free(net);
    if (n < 0) {
        g->cmdline = NULL;
        return out_of_memory(c);
    }
    if (!n) {
        free(g->cmdline);
        g->cmdline = NULL;
    }
    return 0;
}

/* nics = N: at least so many networks, the rest with all defaults. */
static int set_nics(struct cfg *c, struct guest_config *g)
{
    const struct cfg_var *var = given(c, "nics");
    int64_t want = 0;

    if (!var)
        return 0;
    if (!(var->value->kind == V_STR ? text_to_int(var->value->str, var->value->len, &want)
                                    : var->value->kind == V_INT && (want = var->value->num, true)) || want < 0 || want > 64)
        return cfg_fail(c, var->value->at, "'nics' wants a number from 0 to 64");
    if (want <= g->n_nics)
        return 0;
    struct nic_config *more = realloc(g->nics, (size_t)want * sizeof(*more));
    if (!more)
        return out_of_memory(c);
    g->nics = more;
    while (g->n_nics < want)
        g->nics[g->n_nics++] = (struct nic_config){ .devid = -1, .trusted = true };
    return 0;
}

/* A failure of the file as a whole stands at its first line. */
static int whole_fail(struct cfg *c, const char *file, const char *word, const char *why)
{
    return c->rc = fault(-EINVAL, "%s:1:1: '%s': %s", file, word, why);
}

static int check(struct cfg *c, struct guest_config *g)
{
    const struct cfg_var *var;

    if (!g->name)
        return whole_fail(c, g->file, "name", "not given; add name = \"...\"");
    if (!g->memory && !(g->memory = g->maxmem))
        return whole_fail(c, g->file, "memory", "not given; add memory = 512 (MiB)");
    if (g->maxmem && g->maxmem < g->memory && (var = given(c, "maxmem")))
        return cfg_fail(c, var->value->at, "maxmem is less than memory (%llu MiB); raise it or leave it out",
                        (unsigned long long)(g->memory >> 10));
    if (g->maxvcpus && g->vcpus > g->maxvcpus && (var = given(c, "maxvcpus")))
        return cfg_fail(c, var->value->at, "maxvcpus is less than vcpus (%u); raise it or leave it out", g->vcpus);
    if (!g->vcpus && (var = given(c, "vcpus")))
        return cfg_fail(c, var->value->at, "'vcpus' is 0; a guest has at least one");
    if (g->weight == 0 && (var = given(c, "cpu_weight")))
        return cfg_fail(c, var->value->at, "'cpu_weight' is a number from 1 to 65535");
    return 0;
}

int cfg_keys_finish(struct cfg *c, struct guest_config *g)
{
    if (set_cmdline(c, g) || set_nics(c, g))
        return c->rc;
    return check(c, g);
}
