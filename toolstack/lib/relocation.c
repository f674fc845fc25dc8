/* SPDX-License-Identifier: MIT */
/* The configuration of the relocation daemon, see relocation.h. */
#include "relocation.h"
#include "fault.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct word {
    const char *key;
    char *at;
    size_t size;
};

static int take_listen(struct relocation *r, const char *value)
{
    const char *colon = strrchr(value, ':');
    size_t n = colon ? (size_t)(colon - value) : 0;

    if (!colon || n >= sizeof(r->address) || strlen(colon + 1) >= sizeof(r->port) || !colon[1])
        return -EINVAL;
    if (n > 2 && value[0] == '[' && value[n - 1] == ']')
        snprintf(r->address, sizeof(r->address), "%.*s", (int)n - 2, value + 1);
    else
        snprintf(r->address, sizeof(r->address), "%.*s", (int)n, value);
    snprintf(r->port, sizeof(r->port), "%s", colon + 1);
    return 0;
}

static int take(struct relocation *r, const char *key, const char *value)
{
    const struct word words[] = { { "certificate", r->certificate, sizeof(r->certificate) }, { "key", r->key, sizeof(r->key) },
                                  { "authority", r->authority, sizeof(r->authority) } };

    if (!strcmp(key, "preferred") && !*value)
        return r->preferred = true, 0;
    if (!*value)
        return -EINVAL;
    if (!strcmp(key, "listen"))
        return take_listen(r, value);
    if (!strcmp(key, "allow"))
        return r->n_allow == RELOCATION_ALLOW_MAX || strlen(value) >= sizeof(r->allow[0]) ? -EINVAL : (strcpy(r->allow[r->n_allow++], value), 0);
    for (unsigned i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (!strcmp(key, words[i].key))
            return strlen(value) >= words[i].size ? -EINVAL : (strcpy(words[i].at, value), 0);
    return -EINVAL;
}

int relocation_load(struct relocation *r, const char *file)
{
    const char *name = file ? file : RELOCATION_CONF;
    char line[512], key[32], value[256];
    unsigned n = 0;
    int rc = 0;

    *r = (struct relocation){ .address = "::", .port = "8002" };
    FILE *f = fopen(name, "re");

    if (!f)
        return fault(-errno, "%s: %s; without it there is no relocation daemon", name, strerror(errno));
    while (!rc && fgets(line, sizeof(line), f)) {
        n++;
        line[strcspn(line, "#\r\n")] = 0;
        *key = *value = 0;
        if (sscanf(line, "%31s %255s", key, value) >= 1)
            rc = take(r, key, value);
    }
    fclose(f);
    return rc ? fault(rc, "%s:%u: '%s': is no listen, certificate, key, authority, allow or preferred as it should be", name, n, line) : 0;
}

bool relocation_allows(const struct relocation *r, const char *name)
{
    for (unsigned i = 0; i < r->n_allow; i++)
        if (!strcmp(r->allow[i], "*") || !strcasecmp(r->allow[i], name))
            return true;
    return false;
}
