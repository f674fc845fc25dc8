/* SPDX-License-Identifier: MIT */
/*
 * Quotas and the account of nodes. A quota that is nearly used up is written to the log before it bites: once, and again
 * only after the use fell below three fifths.
 */
#include "owner.h"
#include "tree.h"
#include <stdlib.h>
#include <string.h>

#define PLACE_DEPTH 6    /* /local/domain/5/device/vif/0 */

const char *const quota_names[QUOTA_COUNT] = { "nodes", "watches", "transactions", "node-size", "permissions", "path-max",
                                               "transaction-nodes", "pending", "memory" };
const char *const quota_texts[QUOTA_COUNT] = {
    "nodes owned by a domain", "watches of a domain", "open transactions of a domain", "bytes of a node's value",
    "entries in a node's permissions", "bytes of a path", "nodes touched by a transaction", "bytes of events that wait for a domain",
    "bytes of transactions and watches of a domain",
};

void owners_init(struct owners *os)
{
    static const unsigned limit[QUOTA_COUNT] = { 1000, 128, 10, 2048, 5, 3072, 1024, 1u << 20, 2560u << 10 };

    memcpy(os->limit, limit, sizeof limit);
}

void owners_free(struct owners *os)
{
    size_t i;

    for (i = 0; i < FIRST_RESERVED; i++)
        if (os->of[i]) {
            strmap_clear(&os->of[i]->places);
            free(os->of[i]);
        }
}

struct owner *owner_of(struct owners *os, uint16_t domid)
{
    if (!os->of[domid]) {
        os->of[domid] = xalloc(sizeof *os->of[domid]);
        os->of[domid]->domid = domid;
    }
    return os->of[domid];
}

unsigned quota_limit(const struct owners *os, const struct owner *o, enum quota q)
{
    return o->own >> q & 1 ? o->limit[q] : os->limit[q];
}

int quota_by_name(const char *name)
{
    int i;

    for (i = 0; i < QUOTA_COUNT; i++)
        if (!strcmp(quota_names[i], name))
            return i;
    return -1;
}

static bool quota_is_size(enum quota q)
{
    return q == QUOTA_NODE_SIZE || q == QUOTA_PERMISSIONS || q == QUOTA_PATH_MAX || q == QUOTA_TRANSACTION_NODES;
}

bool quota_allows(struct owners *os, uint16_t domid, enum quota q, uint64_t value)
{
    struct owner *o = owner_of(os, domid);
    unsigned limit = quota_limit(os, o, q), bit = 1u << q;

    if (!domid || !limit)
        return true;
    if (value > limit) {
        o->refusals++;
        if (!(o->refused & bit) && os->log)
            os->log("domain %u: refused: %s (%s) would be %llu, the quota is %u; raise it with: xenstore-control quota set %u %s N",
                    domid, quota_names[q], quota_texts[q], (unsigned long long)value, limit, domid, quota_names[q]);
        o->refused |= bit;
        return false;
    }
    if (quota_is_size(q) && value > o->use[q])
        o->use[q] = (unsigned)value;
    if (value * 5 >= limit * 4ull && !(o->warned & bit) && limit > 4) {
        o->warned |= bit;
        if (os->log && q != QUOTA_NODE_SIZE && q != QUOTA_PERMISSIONS && q != QUOTA_PATH_MAX)
            os->log("domain %u: %s (%s) is at %llu of %u", domid, quota_names[q], quota_texts[q], (unsigned long long)value, limit);
    }
    return true;
}

void owner_use(struct owners *os, uint16_t domid, enum quota q, int delta)
{
    struct owner *o = owner_of(os, domid);

    o->use[q] += (unsigned)delta;
    if (o->use[q] * 5ull < quota_limit(os, o, q) * 3ull) {
        o->warned &= ~(1u << q);
        o->refused &= ~(1u << q);
    }
}

void owner_node(struct owners *os, uint16_t domid, const char *path, int delta)
{
    struct owner *o = owner_of(os, domid);
    struct strmap_entry *e;
    const char *at = path;
    size_t len;
    int i;

    owner_use(os, domid, QUOTA_NODES, delta);
    if (!domid)
        return;    /* does not end */
    for (i = 0; i < PLACE_DEPTH && (len = path_next(&at)); i++)
        at += len;
    e = strmap_put(&o->places, path, (size_t)(at - path), NULL);
    e->num += delta;
    if (!e->num)
        strmap_remove(&o->places, e);
}
