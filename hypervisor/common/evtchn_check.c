/* SPDX-License-Identifier: MIT */
/*
 * Event channels for people: print a domain's ports, and check what must always hold. Used by debug keys,
 * unit tests and the fuzzer.
 */
#include "evtchn_private.h"
#include "log.h"

static const char *const state_name[] = {"free", "reserved", "unbound", "interdomain",
                                         "pirq", "virq",     "ipi"};

void evtchn_dump(struct domain *d)
{
    struct evtchn_domain *ed = d->evtchn;

    if (!ed)
        return;
    log_info("event channels of d%u: %u open, %s\n", d->id, ed->active,
             ed->fifo ? "FIFO" : "two-level");
    for (uint32_t port = 1; port < ed->nr_ports; port++) {
        const struct evtchn *ch = evtchn_find(d, port);

        if (ch->state == ECS_FREE)
            continue;
        log_info("  %5u %c%c v%u %s", port, evtchn_is_pending(d, port) ? 'P' : '-',
                 evtchn_is_masked(d, port) ? 'M' : '-', ch->vcpu, state_name[ch->state]);
        if (ch->state == ECS_INTERDOMAIN)
            log_info(" d%u:%u\n", ch->remote->id, ch->peer);
        else
            log_info(" %u\n", ch->state == ECS_UNBOUND ? ch->remote_id : ch->peer);
    }
}

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            log_err("evtchn: d%u: %s\n", d->id, #cond);                                            \
            faults++;                                                                              \
        }                                                                                          \
    } while (0)

/* One port against its peer or its table. */
static unsigned evtchn_check_port(struct domain *d, const struct evtchn *ch)
{
    unsigned faults = 0;
    const struct evtchn *rch;
    const uint32_t *cell;

    CHECK(ch->state <= ECS_IPI);
    CHECK(ch->vcpu < d->max_vcpus || !ch->vcpu);
    CHECK(ch->priority <= EVTCHN_FIFO_PRIORITY_MIN);
    CHECK((ch->fifo_last >> 8) < d->max_vcpus || !ch->fifo_last);
    CHECK((ch->remote != NULL) == (ch->state == ECS_INTERDOMAIN));
    switch (ch->state) {
    case ECS_INTERDOMAIN:
        rch = evtchn_find(ch->remote, ch->peer);
        CHECK(rch && rch->state == ECS_INTERDOMAIN && rch->remote == d && rch->peer == ch->port);
        break;
    case ECS_VIRQ:
        cell = d->evtchn->virq_port;
        if (!virq_is_global(ch->peer))
            cell = d->vcpu[ch->vcpu]->evtchn->virq_port;
        CHECK(cell[ch->peer] == ch->port);
        break;
    case ECS_PIRQ:
        cell = evtchn_pirq_cell(d, ch->peer, false);
        CHECK(cell && *cell == ch->port);
        break;
    }
    return faults;
}

/* A cell of a virq table, if set, leads to a port that says the same. */
static unsigned evtchn_check_virqs(struct domain *d, const uint32_t *table)
{
    unsigned faults = 0;

    for (uint32_t virq = 0; virq < NR_VIRQS; virq++) {
        const struct evtchn *ch = table[virq] ? evtchn_find(d, table[virq]) : NULL;

        CHECK(!table[virq] || (ch && ch->state == ECS_VIRQ && ch->peer == virq));
    }
    return faults;
}

unsigned evtchn_check(struct domain *d)
{
    struct evtchn_domain *ed = d->evtchn;
    unsigned faults = 0;
    uint32_t open = 0;

    spin_lock(&ed->lock);
    spin_lock(&evtchn_link_lock);
    for (uint32_t port = 1; port < ed->nr_ports; port++) {
        const struct evtchn *ch = evtchn_find(d, port);

        CHECK(ch->port == port);
        CHECK((ch->state == ECS_FREE) == evtchn_is_free_bit(ed, port));
        open += ch->state != ECS_FREE;
        faults += evtchn_check_port(d, ch);
    }
    CHECK(open == ed->active);
    faults += evtchn_check_virqs(d, ed->virq_port);
    for (struct evtchn_vcpu *ev = ed->vcpus; ev; ev = ev->next) {
        faults += evtchn_check_virqs(d, ev->virq_port);
        CHECK(!ev->control || ed->fifo);
        for (unsigned q = 0; q < EVTCHN_FIFO_MAX_QUEUES; q++)
            CHECK(ev->tail[q] < ed->nr_ports || !ev->tail[q]);
    }
    spin_unlock(&evtchn_link_lock);
    spin_unlock(&ed->lock);
    return faults;
}
