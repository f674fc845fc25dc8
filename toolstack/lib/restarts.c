/* SPDX-License-Identifier: MIT */
/* The last few restarts of each guest. The table is small: the name that was quiet for longest makes room. */
#include "restarts.h"

#include <stdio.h>
#include <string.h>

#define RESTARTS_NAMES 256

static struct restarts_entry {
    char name[128];
    uint64_t at[RESTARTS_MAX];      /* at[0] is the oldest */
    unsigned n;
} table[RESTARTS_NAMES];

static uint64_t restarts_last(const struct restarts_entry *e)
{
    return e->n ? e->at[e->n - 1] : 0;
}

static struct restarts_entry *restarts_find(const char *name)
{
    struct restarts_entry *quiet = &table[0];

    for (unsigned i = 0; i < RESTARTS_NAMES; i++) {
        if (table[i].n && !strcmp(table[i].name, name))
            return &table[i];
        if (restarts_last(&table[i]) < restarts_last(quiet))
            quiet = &table[i];
    }
    memset(quiet, 0, sizeof(*quiet));
    snprintf(quiet->name, sizeof(quiet->name), "%s", name);
    return quiet;
}

bool restarts_allow(const char *name, uint64_t now)
{
    struct restarts_entry *e = restarts_find(name);

    if (e->n == RESTARTS_MAX && now - e->at[0] < RESTARTS_MS) {
        e->n = 0;                       /* whoever creates it anew gets all of them again */
        return false;
    }
    if (e->n == RESTARTS_MAX)
        memmove(e->at, e->at + 1, --e->n * sizeof(e->at[0]));
    e->at[e->n++] = now;
    return true;
}
