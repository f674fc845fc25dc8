/* SPDX-License-Identifier: MIT */
/*
 * pair: two unprivileged domains that throw an event to and fro, each asleep until it comes; bench/ runs them.
 *   "peer=N"         offers domain N an event channel, says its number and answers each event with one
 *   "peer=N port=P"  takes that channel, measures ROUNDS round trips, and says how long one takes by the guest's clock
 *   neither          sleeps
 * What it says goes to the console's ring: the calls of the hypervisor's own console are not for everybody.
 * run: none
 */
#include "kit.h"

#include <xen/io/console.h>

#define WARM 50
#define ROUNDS 2000

static volatile unsigned long events;

static void say(const char *s)
{
    struct xencons_interface *ring = mfn_va(kit_si->console.domU.mfn);
    uint32_t at;

    if (!ring)
        return;
    at = ring->out_prod;
    for (; *s; s++)
        ring->out[MASK_XENCONS_IDX(at++, ring->out)] = *s;
    barrier();
    ring->out_prod = at;
    evtchn_send(kit_si->console.domU.evtchn);
}

static void say_number(const char *what, unsigned long n)
{
    char digits[24], *p = digits + sizeof(digits) - 1;

    *p = 0;
    do {
        *--p = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    say(what);
    say(p);
    say("\r\n");
}

static bool word(const char *name, unsigned int *value)
{
    const char *s = strstr((const char *)kit_si->cmd_line, name);

    if (!s)
        return false;
    *value = 0;
    for (s += strlen(name); *s >= '0' && *s <= '9'; s++)
        *value = *value * 10 + (unsigned int)(*s - '0');
    return true;
}

static void sleep_until(unsigned long seen)
{
    kit_cli();
    while (events == seen) {
        sched_op(SCHEDOP_block, NULL); /* with upcalls on, at once */
        kit_cli();
    }
    kit_sti();
}

static void came(unsigned int port)
{
    (void)port;
    events++;
}

static void answer(unsigned int peer)
{
    int port = evtchn_alloc((domid_t)peer);

    if (port < 0)
        return say("pair: no channel\r\n");
    kit_bind((unsigned int)port, came);
    say_number("pair: port ", (unsigned long)port);
    for (unsigned long n = events;; n++) {
        sleep_until(n);
        evtchn_send((unsigned int)port);
    }
}

static void rounds(unsigned int port, unsigned int n)
{
    while (n--) {
        unsigned long seen = events;

        evtchn_send(port);
        sleep_until(seen);
    }
}

static void ask(unsigned int peer, unsigned int remote)
{
    struct evtchn_bind_interdomain b = {.remote_dom = (domid_t)peer, .remote_port = remote};
    uint64_t from;

    kit_cli(); /* binding a channel makes it pending once: that must find the handler */
    if (evtchn_op(EVTCHNOP_bind_interdomain, &b))
        return say("pair: refused\r\n");
    kit_bind(b.local_port, came);
    sleep_until(0);
    rounds(b.local_port, WARM);
    from = kit_now();
    rounds(b.local_port, ROUNDS);
    say_number("pair: round-trip-ns ", (kit_now() - from) / ROUNDS);
}

void guest_main(void)
{
    unsigned int peer, port;

    kit_sti();
    if (word("peer=", &peer)) {
        if (word("port=", &port))
            ask(peer, port);
        else
            answer(peer);
    }
    kit_cli();
    for (;;)
        sched_op(SCHEDOP_block, NULL);
}
