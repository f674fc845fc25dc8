/* SPDX-License-Identifier: MIT */
/*
 * idle: as an unprivileged guest the smallest that is of use, for tests with hundreds: it says on
 * its console that it is up, then blocks for ever, and answers each key with what it has cost so
 * far. With the word "busy" on its command line it computes without end instead; with "late" it
 * wants to be woken every 10 ms, and says how late it was. As domain 0 it tests what it lives by:
 * that nothing wakes a blocked vCPU but an event.
 */
#include "kit.h"
#include <xen/io/console.h>

static struct xencons_interface *ring;
static volatile unsigned int wakes, keys, ticks;

static void ring_put(const char *s)
{
    for (; *s && ring->out_prod - ring->out_cons < sizeof(ring->out); s++) {
        ring->out[MASK_XENCONS_IDX(ring->out_prod, ring->out)] = *s;
        barrier();
        ring->out_prod++;
    }
    evtchn_send(kit_si->console.domU.evtchn);
}

static void ring_put_number(unsigned long v)
{
    char text[24], *o = text + sizeof(text) - 1;

    *o = 0;
    do
        *--o = (char)('0' + v % 10);
    while (v /= 10);
    ring_put(o);
}

/* The daemon rings for what it has taken, too: only input is answered. */
static void on_console(unsigned int port)
{
    (void)port;
    keys += ring->in_prod - ring->in_cons;
    ring->in_cons = ring->in_prod;
}

static void answer(void)
{
    struct vcpu_runstate_info r;

    keys = 0;
    HC3(vcpu_op, VCPUOP_get_runstate_info, 0, &r);
    ring_put("idle: woken ");
    ring_put_number(wakes);
    ring_put(" times, ran ");
    ring_put_number(r.time[RUNSTATE_running] / 1000);
    ring_put(" us\r\n");
}

/* Median, 9 of 10, and worst of what 300 timers of 10 ms were late, in microseconds. */
static void measure_late(void)
{
    static unsigned long late[300];
    const unsigned int n = sizeof(late) / sizeof(late[0]);

    for (unsigned int i = 0; i < n; i++) {
        uint64_t want = kit_now() + 10000000UL, now;
        unsigned int k = i;

        HC1(set_timer_op, want);
        while ((now = kit_now()) < want)
            sched_op(SCHEDOP_block, NULL);
        for (; k && late[k - 1] > (now - want) / 1000; k--)
            late[k] = late[k - 1];
        late[k] = (now - want) / 1000;
    }
    ring_put("idle: late, us: median ");
    ring_put_number(late[n / 2]);
    ring_put(", 9 of 10 ");
    ring_put_number(late[n * 9 / 10]);
    ring_put(", worst ");
    ring_put_number(late[n - 1]);
    ring_put("\r\n");
}

static void on_timer(unsigned int port)
{
    (void)port;
    ticks++;
}

static void live(void)
{
    ring = mfn_va(kit_si->console.domU.mfn);
    if (!ring)
        kit_fatal("the console's page is not mapped");
    kit_shared->arch.max_pfn = kit_si->nr_pages; /* for who copies us */
    ring_put("guest: idle is up\r\n");
    while (strstr((char *)kit_si->cmd_line, "busy"))
        cpu_relax();
    kit_bind(kit_si->console.domU.evtchn, on_console);
    kit_bind((unsigned int)evtchn_virq(VIRQ_TIMER, 0), on_timer);
    kit_sti();
    while (strstr((char *)kit_si->cmd_line, "late"))
        measure_late();
    for (;;) {
        kit_sti();
        if (keys)
            answer();
        sched_op(SCHEDOP_block, NULL);
        wakes++;
    }
}

void guest_main(void)
{
    struct vcpu_runstate_info before, after;
    uint64_t start;

    if (!(kit_si->flags & SIF_INITDOMAIN))
        live();
    kit_bind((unsigned int)evtchn_virq(VIRQ_TIMER, 0), on_timer);
    kit_sti();
    HC3(vcpu_op, VCPUOP_get_runstate_info, 0, &before);
    start = kit_now();
    HC1(set_timer_op, start + 300000000UL);
    while (!ticks && kit_now() - start < 2000000000UL) {
        sched_op(SCHEDOP_block, NULL);
        wakes++;
    }
    HC3(vcpu_op, VCPUOP_get_runstate_info, 0, &after);
    CHECK_EQ("one-tick", ticks, 1);
    CHECK_EQ("one-wake", wakes, 1);
    CHECK("slept-until-then", kit_now() - start >= 300000000UL);
    CHECK("blocked-is-accounted",
          after.time[RUNSTATE_blocked] - before.time[RUNSTATE_blocked] >= 250000000UL);
    CHECK("blocked-costs-nothing",
          after.time[RUNSTATE_running] - before.time[RUNSTATE_running] < 50000000UL);
}
