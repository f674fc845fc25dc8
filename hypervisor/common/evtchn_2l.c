/* SPDX-License-Identifier: MIT */
/*
 * The two-level ABI: a pending and a mask bit per port in shared_info, and in each vCPU's vcpu_info a bit
 * per word of 64 ports ("look there"). All of it is guest-writable, so nothing here is believed: the
 * worst a guest can do is to lose its own events.
 */
#include "evtchn_private.h"

static bool bit_test(const xen_ulong_t *map, uint32_t bit)
{
    return READ_ONCE(map[bit / 64]) >> (bit % 64) & 1;
}
static bool bit_test_and_set(xen_ulong_t *map, uint32_t bit)
{
    return __atomic_fetch_or(&map[bit / 64], BIT(bit % 64), __ATOMIC_SEQ_CST) >> (bit % 64) & 1;
}
static bool bit_test_and_clear(xen_ulong_t *map, uint32_t bit)
{
    return __atomic_fetch_and(&map[bit / 64], ~BIT(bit % 64), __ATOMIC_SEQ_CST) >> (bit % 64) & 1;
}

/* The port is pending and open: set the vCPU's selector, and notify if that is news. */
static void evtchn_2l_select(struct domain *d, const struct evtchn *ch)
{
    struct vcpu *v = domain_vcpu(d, READ_ONCE(ch->vcpu));
    struct vcpu_info *info;

    if (!v)
        return;
    info = READ_ONCE(v->info);
    if (!bit_test_and_set(&info->evtchn_pending_sel, ch->port / 64))
        evtchn_mark_vcpu(v);
}

void evtchn_2l_set_pending(struct domain *d, struct evtchn *ch)
{
    if (ch->port >= EVTCHN_2L_NR_CHANNELS || bit_test_and_set(d->shared->evtchn_pending, ch->port))
        return;
    if (!bit_test(d->shared->evtchn_mask, ch->port))
        evtchn_2l_select(d, ch);
    vcpu_poll_wake(d, ch->port);
}

void evtchn_2l_clear_pending(struct domain *d, const struct evtchn *ch)
{
    if (ch->port < EVTCHN_2L_NR_CHANNELS)
        bit_test_and_clear(d->shared->evtchn_pending, ch->port);
}

void evtchn_2l_unmask(struct domain *d, const struct evtchn *ch)
{
    if (ch->port < EVTCHN_2L_NR_CHANNELS && bit_test_and_clear(d->shared->evtchn_mask, ch->port) &&
        bit_test(d->shared->evtchn_pending, ch->port))
        evtchn_2l_select(d, ch);
}

bool evtchn_2l_is_pending(const struct domain *d, uint32_t port)
{
    return port < EVTCHN_2L_NR_CHANNELS && bit_test(d->shared->evtchn_pending, port);
}

bool evtchn_2l_is_masked(const struct domain *d, uint32_t port)
{
    return port >= EVTCHN_2L_NR_CHANNELS || bit_test(d->shared->evtchn_mask, port);
}
