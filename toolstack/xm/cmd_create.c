/* SPDX-License-Identifier: MIT */
/* xm create, config-update. */
#include "config.h"
#include "migrate_journal.h"
#include "xm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* As given, or in /etc/xen, with .cfg added there if need be. */
static const char *find_file(const char *word, char *buf, size_t size)
{
    static const char *const forms[] = { "/etc/xen/%s", "/etc/xen/%s.cfg", "/etc/xen/%s.sxp" };

    if (!strcmp(word, "-") || !access(word, F_OK) || strchr(word, '/'))
        return word;
    for (unsigned i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(buf, size, forms[i], word);
#pragma GCC diagnostic pop
        if (!access(buf, F_OK))
            return buf;
    }
    return word;
}

/* The first operand without '=' is the file; -f names it as well. The rest are words for the configuration. */
static const char *take_file(struct args *a, char *buf, size_t size)
{
    const char *file = args_value(a, "defconfig");

    for (unsigned i = 0; i < a->n && !file; i++)
        if (!strchr(a->operands[i], '=')) {
            file = a->operands[i];
            memmove(a->operands + i, a->operands + i + 1, (--a->n - i) * sizeof(*a->operands));
        }
    return file ? find_file(file, buf, size) : NULL;
}

static int attach_console(uint32_t domid, void *arg)
{
    (void)arg;
    return xm_console_begin(domid);
}

static int create(struct args *a, struct guest_config *cfg)
{
    struct domain_options o = { .paused = args_has(a, "p"), .ready = args_has(a, "c") ? attach_console : NULL };
    uint32_t domid;
    int rc = journal_check_create(cfg->name, cfg->uuid);

    rc = rc ? rc : domain_create(xm_ctl(), cfg, &o, &domid);
    if (rc)
        return rc;
    if (!args_has(a, "q") && !args_has(a, "c"))
        printf("domain %u: %s%s\n", domid, cfg->name, o.paused ? ", paused" : "");
    fflush(stdout);
    return args_has(a, "c") ? xm_console_run() : 0;
}

int cmd_create(struct args *a)
{
    struct guest_config cfg = { 0 };
    char buf[512];
    const char *file = take_file(a, buf, sizeof(buf));

    if (!file && !a->n)
        return usage_error(a, "which guest? name its configuration file");
    int rc = config_load(&cfg, file ? file : "/dev/null", a->operands, a->n);

    xm_about(cfg.name ? cfg.name : NULL);
    if (!rc && args_has(a, "n"))
        config_print_json(&cfg, stdout);
    else if (!rc)
        rc = create(a, &cfg);
    config_dispose(&cfg);
    return rc;
}

/* What the guest is made from when it restarts; who it is stays. */
static int store_config(struct guest_config *cfg, const struct xen_domctl_getdomaininfo *d, const char *name)
{
    char path[256], uuid[37];

    domain_format_uuid(d->handle, uuid);
    free(cfg->uuid);
    free(cfg->name);
    cfg->uuid = strdup(uuid);
    cfg->name = strdup(name);
    domain_config_path(d->handle, path, sizeof(path));
    FILE *f = cfg->uuid && cfg->name ? fopen(path, "w") : NULL;

    if (!f)
        return fault(-errno, "%s: cannot be written: %s", path, strerror(errno));
    config_print_xl(cfg, f);
    return fclose(f) ? fault(-errno, "%s: cannot be written: %s", path, strerror(errno)) : 0;
}

int cmd_config_update(struct args *a)
{
    struct xen_domctl_getdomaininfo d;
    struct guest_config cfg = { 0 };
    char buf[512];
    uint32_t domid;
    int rc = xm_guest(a->operands[0], &domid, &d, "given a configuration");
    char *name = rc ? NULL : domain_name(domid);

    if (!rc && a->n < 2 && !args_has(a, "defconfig"))
        rc = usage_error(a, "which configuration? name the file");
    if (!rc)
        rc = config_load(&cfg, find_file(a->n > 1 ? a->operands[1] : args_value(a, "defconfig"), buf, sizeof(buf)),
                         a->operands + 2, a->n > 2 ? a->n - 2 : 0);
    if (!rc)
        rc = store_config(&cfg, &d, name ? name : a->operands[0]);
    if (!rc)
        printf("domain %u: the configuration counts from its next restart\n", domid);
    config_dispose(&cfg);
    free(name);
    return rc;
}
