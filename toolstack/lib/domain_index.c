/* SPDX-License-Identifier: MIT */
/*
 * Which domain has a name, found in one step: /zendo/name/NAME holds its number, written and removed with the domain's other nodes.
 * It is a short way and no more: what it says is compared with the domain's own nodes, since other tools make and rename domains
 * too. /zendo/domain/N/name remembers what was entered, so that it goes even if the domain was renamed meanwhile.
 */
#include "domains.h"
#include "store.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Names may have characters that paths may not: those become @ and two digits. */
int domain_name_path(const char *folder, const char *name, char *out, size_t size)
{
    int n = snprintf(out, size, "%s/", folder);

    for (const unsigned char *p = (const unsigned char *)name; *p && n >= 0 && (size_t)n < size; p++) {
        bool plain = *p < 128 && (isalnum(*p) || *p == '-' || *p == '_');

        n += snprintf(out + n, size - (size_t)n, plain ? "%c" : "@%02x", *p);
    }
    return n < 0 || (size_t)n >= size || !*name ? -ENAMETOOLONG : 0;
}

void domain_name_unescape(char *node)
{
    char *out = node, hex[3] = "";

    for (; *node; node++) {
        if (*node == '@' && isxdigit((unsigned char)node[1]) && isxdigit((unsigned char)node[2])) {
            memcpy(hex, node + 1, 2);
            *out++ = (char)strtol(hex, NULL, 16);
            node += 2;
        } else {
            *out++ = *node;
        }
    }
    *out = 0;
}

int domain_index_put(uint32_t domid, const char *name)
{
    char path[DOMAIN_NAME_PATH];
    int rc = domain_name_path("/zendo/name", name, path, sizeof(path));

    rc = rc ? rc : store_write(path, "%u", domid);
    snprintf(path, sizeof(path), "/zendo/domain/%u", domid);
    return rc ? rc : store_put(path, "name", "%s", name);
}

int domain_index_drop(uint32_t domid)
{
    char path[DOMAIN_NAME_PATH], *name = store_read("/zendo/domain/%u/name", domid);
    int64_t who;
    int rc = 0;

    if (name && !domain_name_path("/zendo/name", name, path, sizeof(path)) && !store_read_number(&who, "%s", path) && who == domid)
        rc = store_remove("%s", path);
    free(name);
    return rc;
}

int domain_index_find(struct ctl *c, const char *name)
{
    char path[DOMAIN_NAME_PATH], *now;
    struct xen_domctl_getdomaininfo info;
    int64_t domid = 0;
    int rc = -ENOENT;

    if (strcmp(name, "Domain-0") && (domain_name_path("/zendo/name", name, path, sizeof(path)) || store_read_number(&domid, "%s", path)))
        return -ENOENT;
    if (domid < 0 || domid >= DOMID_FIRST_RESERVED)
        return -ENOENT;
    now = domain_name((uint32_t)domid);
    if (now && !strcmp(now, name) && !ctl_domain_info(c, (domid_t)domid, &info))
        rc = (int)domid;
    free(now);
    return rc;
}
