/* SPDX-License-Identifier: MIT */
/*
 * The set of ports of a domain: growing storage, and finding a free number in constant time.
 *
 * Ports live in buckets of 64, buckets in groups of 64. A bit per port says "free", a bit per bucket "has
 * a free one"; so a search looks at one word per group (32 groups at most). Storage grows by a bucket when
 * nothing is free and never shrinks: a sender may look at a port without any lock of the domain.
 * A FIFO guest may still have a closed port on a queue; such a port is passed over (boundedly).
 */
#include "evtchn_private.h"

#define BUSY_BUDGET 128 /* linked ports that one allocation looks at before it grows instead */

uint32_t evtchn_port_limit(const struct evtchn_domain *ed)
{
    uint32_t abi = READ_ONCE(ed->fifo) ? EVTCHN_FIFO_NR_CHANNELS : EVTCHN_2L_NR_CHANNELS;

    return ed->max_port < abi ? ed->max_port + 1 : abi;
}

static struct evtchn *port_at(const struct evtchn_domain *ed, uint32_t port)
{
    struct evtchn_group *g = READ_ONCE(ed->group[port / PORTS_PER_GROUP]);
    struct evtchn *bucket;

    bucket = READ_ONCE(g->bucket[port / PORTS_PER_BUCKET % BUCKETS_PER_GROUP]);
    return &bucket[port % PORTS_PER_BUCKET];
}

struct evtchn *evtchn_find(const struct domain *d, uint32_t port)
{
    const struct evtchn_domain *ed = d->evtchn;
    /* Partner: release in evtchn_grow_locked(). */
    uint32_t nr = __atomic_load_n(&ed->nr_ports, __ATOMIC_ACQUIRE);

    if (port >= nr)
        return NULL;
    return port_at(ed, (uint32_t)index_nospec(port, nr));
}

static void free_bit_set(struct evtchn_domain *ed, uint32_t port)
{
    struct evtchn_group *g = ed->group[port / PORTS_PER_GROUP];
    unsigned b = port / PORTS_PER_BUCKET % BUCKETS_PER_GROUP;

    g->free[b] |= BIT(port % PORTS_PER_BUCKET);
    g->any_free |= BIT(b);
}

static void free_bit_clear(struct evtchn_domain *ed, uint32_t port)
{
    struct evtchn_group *g = ed->group[port / PORTS_PER_GROUP];
    unsigned b = port / PORTS_PER_BUCKET % BUCKETS_PER_GROUP;

    g->free[b] &= ~BIT(port % PORTS_PER_BUCKET);
    if (!g->free[b])
        g->any_free &= ~BIT(b);
}

bool evtchn_is_free_bit(const struct evtchn_domain *ed, uint32_t port)
{
    const struct evtchn_group *g = ed->group[port / PORTS_PER_GROUP];

    return g->free[port / PORTS_PER_BUCKET % BUCKETS_PER_GROUP] >> (port % PORTS_PER_BUCKET) & 1;
}

/* One bucket more. */
static int evtchn_grow_locked(struct evtchn_domain *ed)
{
    uint32_t first = ed->nr_ports;
    struct evtchn_group *g;
    struct evtchn *bucket;

    if (first >= evtchn_port_limit(ed))
        return -XEN_ENOSPC;
    g = ed->group[first / PORTS_PER_GROUP];
    if (!g) {
        g = zalloc(sizeof(*g));
        if (!g)
            return -XEN_ENOMEM;
        ed->group[first / PORTS_PER_GROUP] = g; /* of use to nobody before nr_ports grows */
    }
    bucket = zalloc(sizeof(*bucket) * PORTS_PER_BUCKET);
    if (!bucket)
        return -XEN_ENOMEM;
    for (unsigned i = 0; i < PORTS_PER_BUCKET; i++) {
        spin_init(&bucket[i].lock, "evtchn port", RANK_EVTCHN_PORT);
        bucket[i].port = first + i;
    }
    g->bucket[first / PORTS_PER_BUCKET % BUCKETS_PER_GROUP] = bucket;
    for (unsigned i = 0; i < PORTS_PER_BUCKET; i++)
        if (first + i)
            free_bit_set(ed, first + i);
        else
            bucket[i].state = ECS_RESERVED; /* port 0 is never valid */
    /* Partner: acquire in evtchn_find(). */
    __atomic_store_n(&ed->nr_ports, first + PORTS_PER_BUCKET, __ATOMIC_RELEASE);
    return 0;
}

/* A free port of this bucket that no guest queue holds, or 0. */
static uint32_t bucket_search(const struct evtchn_domain *ed, uint32_t first, uint64_t free,
                              unsigned *budget)
{
    for (; free && *budget; free &= free - 1) {
        uint32_t port = first + (unsigned)__builtin_ctzll(free);

        if (!ed->fifo || !evtchn_fifo_is_linked(ed->fifo, port))
            return port;
        --*budget;
    }
    return 0;
}

static uint32_t evtchn_search_locked(const struct evtchn_domain *ed)
{
    uint32_t groups = DIV_UP(MIN(ed->nr_ports, evtchn_port_limit(ed)), PORTS_PER_GROUP);
    unsigned budget = BUSY_BUDGET;

    for (uint32_t i = 0; i < groups && budget; i++) {
        const struct evtchn_group *g = ed->group[i];

        for (uint64_t any = g->any_free; any && budget; any &= any - 1) {
            unsigned b = (unsigned)__builtin_ctzll(any);
            uint32_t first = i * PORTS_PER_GROUP + b * PORTS_PER_BUCKET;
            uint32_t port = bucket_search(ed, first, g->free[b], &budget);

            if (port)
                return port;
        }
    }
    return 0;
}

static void evtchn_reset_fields(struct evtchn *ch, enum evtchn_state state)
{
    spin_lock(&ch->lock);
    ch->remote = NULL;
    ch->peer = 0;
    ch->remote_id = DOMID_INVALID;
    WRITE_ONCE(ch->vcpu, 0);
    WRITE_ONCE(ch->priority, EVTCHN_FIFO_PRIORITY_DEFAULT);
    WRITE_ONCE(ch->early, 0);
    ch->state = (uint8_t)state;
    spin_unlock(&ch->lock);
}

struct evtchn *evtchn_alloc_locked(struct domain *d, int *rc)
{
    struct evtchn_domain *ed = d->evtchn;
    uint32_t port;
    struct evtchn *ch;

    *rc = -XEN_EINVAL;
    if (ed->dying)
        return NULL;
    port = evtchn_search_locked(ed);
    if (!port) {
        *rc = evtchn_grow_locked(ed);
        if (*rc)
            return NULL;
        port = evtchn_search_locked(ed);
    }
    if (!port) {
        *rc = -XEN_ENOSPC; /* a guest that says everything is on a queue */
        return NULL;
    }
    free_bit_clear(ed, port);
    ed->active++;
    ch = port_at(ed, port);
    evtchn_reset_fields(ch, ECS_RESERVED);
    *rc = 0;
    return ch;
}

void evtchn_release_locked(struct domain *d, struct evtchn *ch)
{
    struct evtchn_domain *ed = d->evtchn;

    evtchn_reset_fields(ch, ECS_FREE);
    free_bit_set(ed, ch->port);
    ed->active--;
}

void evtchn_ports_free(struct evtchn_domain *ed)
{
    for (unsigned i = 0; i < GROUPS_MAX; i++) {
        if (!ed->group[i])
            continue;
        for (unsigned b = 0; b < BUCKETS_PER_GROUP; b++)
            zfree(ed->group[i]->bucket[b]);
        zfree(ed->group[i]);
        ed->group[i] = NULL;
    }
}
