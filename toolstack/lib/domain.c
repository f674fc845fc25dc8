/* SPDX-License-Identifier: MIT */
/* Domains: numbers, names, uuids. */
#include "domains.h"
#include "fault.h"
#include "store.h"
#include "store_many.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uuid/uuid.h>

#define RESTART_MS 30000
#define NO_DOMAIN (-99999) /* no error number */

const char *domain_run_folder = "/run/zendo", *domain_state_folder = "/var/lib/zendo";

char *domain_name(uint32_t domid)
{
    return store_read("/local/domain/%u/name", domid);
}

int domain_names(const struct xen_domctl_getdomaininfo *list, unsigned n, char **names)
{
    char (*text)[40] = calloc(n + 1, sizeof(*text));
    const char **paths = calloc(n + 1, sizeof(*paths));
    int rc = text && paths ? 0 : fault(-ENOMEM, "names of domains: no memory");

    for (unsigned i = 0; i < n && !rc; i++) {
        snprintf(text[i], sizeof(text[i]), "/local/domain/%u/name", list[i].domain);
        paths[i] = text[i];
    }
    memset(names, 0, n * sizeof(*names));
    rc = rc ? rc : store_read_many(paths, n, names);
    free(text);
    free(paths);
    return rc;
}

/* The number of the domain with that name, NO_DOMAIN, or a worse error. Only domains that exist count. */
static int find_name(struct ctl *c, const char *name)
{
    struct xen_domctl_getdomaininfo *list;
    int n = ctl_domain_list(c, &list), found = NO_DOMAIN;
    char **names = n < 0 ? NULL : calloc((size_t)n + 1, sizeof(*names));
    int rc = n < 0 ? n : names ? domain_names(list, (unsigned)n, names) : -ENOMEM;

    for (int i = 0; i < n && names; i++) {
        if (found == NO_DOMAIN && !strcmp(names[i] ? names[i] : list[i].domain ? "" : "Domain-0", name))
            found = list[i].domain;
        free(names[i]);
    }
    free(names);
    free(list);
    return rc ? rc : found;
}

/* A guest that zendod restarts is away for a moment between its two domains; that is waited for, so that nobody takes it for gone. */
static int restart_is_over(const char *path, void *arg)
{
    return !store_exists("%s", path);
}

static int find_name_or_wait(struct ctl *c, const char *name)
{
    char path[DOMAIN_NAME_PATH];
    int found = domain_index_find(c, name);

    if (found >= 0)
        return found;
    found = find_name(c, name);
    if (found != NO_DOMAIN || domain_name_path("/zendo/restarting", name, path, sizeof(path)) || !store_exists("%s", path))
        return found;
    store_wait(path, RESTART_MS, restart_is_over, NULL);
    return find_name(c, name);
}

static bool is_number(const char *word)
{
    return *word && strlen(word) <= 5 && !word[strspn(word, "0123456789")];
}

int domain_find(struct ctl *c, const char *word, uint32_t *domid)
{
    struct xen_domctl_getdomaininfo info;
    int rc;

    if (is_number(word)) {
        *domid = (uint32_t)atoi(word);
        rc = *domid < DOMID_FIRST_RESERVED ? ctl_domain_info(c, (domid_t)*domid, &info) : -ESRCH;
        return rc == -ESRCH ? fault(-ENOENT, "there is no domain %s (see `xm list`)", word) : rc;
    }
    rc = store_open();
    if (rc)
        return rc;
    rc = find_name_or_wait(c, word);
    if (rc == NO_DOMAIN)
        return fault(-ENOENT, "there is no domain '%s' (see `xm list`)", word);
    *domid = (uint32_t)rc;
    return rc < 0 ? rc : 0;
}

int domain_check_name(const char *name)
{
    if (!name || !*name)
        return fault(-EINVAL, "the guest has no name; add 'name = \"...\"'");
    if (strlen(name) > 127)
        return fault(-EINVAL, "name '%.20s...': longer than 127 characters; shorten it", name);
    for (const char *p = name; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("-_.+:@", *p))
            return fault(-EINVAL, "name '%s': letters, digits and -_.+:@ may be in it, '%c' may not", name, *p);
    if (is_number(name))
        return fault(-EINVAL, "name '%s': it would be taken for a domain's number; put a letter in", name);
    return 0;
}

int domain_check_name_free(struct ctl *c, const char *name, int except)
{
    int rc = store_open();
    int taken = rc ? rc : find_name(c, name);

    if (taken == NO_DOMAIN || (taken >= 0 && taken == except))
        return 0;
    if (taken < 0)
        return taken;
    if (!taken)
        return fault(-EEXIST, "name '%s': domain 0 has it; choose another", name);
    return fault(-EEXIST, "name '%s': domain %d has it; choose another, or `xm destroy %d` first", name, taken, taken);
}

struct renaming {
    uint32_t domid;
    const char *name;
};

static int write_name(const void *arg)
{
    const struct renaming *r = arg;
    char *vm = store_read("/local/domain/%u/vm", r->domid);
    char path[64];

    snprintf(path, sizeof(path), "/local/domain/%u/name", r->domid);
    int rc = store_write(path, "%s", r->name);
    rc = rc ? rc : domain_index_drop(r->domid);
    if (!rc && store_exists("/zendo/domain/%u", r->domid))
        rc = domain_index_put(r->domid, r->name);
    if (!rc && vm && !strncmp(vm, "/vm/", 4)) /* the path is a guest's to read only, but check it */
        rc = store_put(vm, "name", "%s", r->name);
    free(vm);
    return rc;
}

int domain_rename(struct ctl *c, uint32_t domid, const char *name)
{
    int rc = domain_check_name(name);

    rc = rc ? rc : domain_check_name_free(c, name, (int)domid);
    return rc ? rc : store_transact(write_name, &(struct renaming){ domid, name });
}

int domain_parse_uuid(const char *text, uint8_t uuid[16])
{
    return uuid_parse(text, uuid) ? fault(-EINVAL, "uuid '%s': it is like 01234567-89ab-cdef-0123-456789abcdef", text) : 0;
}

void domain_format_uuid(const uint8_t uuid[16], char *text)
{
    uuid_unparse_lower(uuid, text);
}

void domain_config_path(const uint8_t uuid[16], char *out, size_t size)
{
    char text[37];

    domain_format_uuid(uuid, text);
    snprintf(out, size, "%s/guests/%s.cfg", domain_state_folder, text);
}
