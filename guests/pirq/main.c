/* SPDX-License-Identifier: MIT */
/*
 * pirq: a device interrupt of the machine as an event. Domain 0 sets up the clock chip's interrupt
 * line (GSI 8), binds it, lets the chip tick and counts; masking stops it, closing frees it, and
 * bad lines, kinds and pirqs are refused.
 */
#include "kit.h"

static volatile unsigned int ticks;

static void cmos_write(uint8_t reg, uint8_t val)
{
    asm volatile("outb %0, $0x70" : : "a"(reg));
    asm volatile("outb %0, $0x71" : : "a"(val));
}

static uint8_t cmos_read(uint8_t reg)
{
    uint8_t val;
    asm volatile("outb %1, $0x70; inb $0x71, %0" : "=a"(val) : "0"(reg));
    return val;
}

static long pdev(int op, void *arg)
{
    return HC2(physdev_op, op, arg);
}

static void on_tick(unsigned int port)
{
    struct physdev_eoi e = {.irq = 8};

    ticks++;
    cmos_read(0x0c); /* the chip waits for this */
    pdev(PHYSDEVOP_eoi, &e);
}

static int bind(unsigned int pirq)
{
    struct evtchn_bind_pirq b = {.pirq = pirq};
    long rc = evtchn_op(EVTCHNOP_bind_pirq, &b);
    return rc ? (int)rc : (int)b.port;
}

static void refusals(void)
{
    struct physdev_map_pirq m = {
        .domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_GSI, .index = 5000, .pirq = -1};
    struct physdev_unmap_pirq u = {.domid = DOMID_SELF, .pirq = 5000};
    struct physdev_setup_gsi g = {.gsi = 5000};
    struct physdev_irq_status_query q = {.irq = 5000};

    CHECK_FAILS("map-gsi-beyond", pdev(PHYSDEVOP_map_pirq, &m));
    m.index = 8;
    m.type = 77;
    CHECK_FAILS("map-bad-kind", pdev(PHYSDEVOP_map_pirq, &m));
    m.type = MAP_PIRQ_TYPE_GSI;
    m.pirq = 0x7fffffff;
    CHECK_FAILS("map-pirq-beyond", pdev(PHYSDEVOP_map_pirq, &m));
    m.domid = 999;
    CHECK_FAILS("map-no-domain", pdev(PHYSDEVOP_map_pirq, &m));
    CHECK_FAILS("unmap-beyond", pdev(PHYSDEVOP_unmap_pirq, &u));
    CHECK_FAILS("setup-gsi-beyond", pdev(PHYSDEVOP_setup_gsi, &g));
    CHECK_FAILS("status-beyond", pdev(PHYSDEVOP_irq_status_query, &q));
    CHECK_FAILS("bind-beyond", bind(5000));
    CHECK_FAILS("bind-huge", bind(0xffffffff));
    CHECK_EQ("bad-op", pdev(99, &q), -XEN_ENOSYS);
}

static void set_up_line(void)
{
    struct physdev_setup_gsi g = {.gsi = 8, .triggering = 0, .polarity = 0};
    struct physdev_map_pirq m = {
        .domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_GSI, .index = 8, .pirq = 8};
    struct physdev_irq_status_query q = {.irq = 8};
    long rc;

    CHECK_EQ("map", pdev(PHYSDEVOP_map_pirq, &m), 0);
    CHECK_EQ("map-pirq", m.pirq, 8);
    CHECK_EQ("map-again-same", pdev(PHYSDEVOP_map_pirq, &m), 0);
    rc = pdev(PHYSDEVOP_setup_gsi, &g);
    kit_check(rc == 0 || rc == -XEN_EEXIST, "setup-gsi", "rc %ld", rc);
    CHECK_EQ("status", pdev(PHYSDEVOP_irq_status_query, &q), 0);
}

void guest_main(void)
{
    struct physdev_set_iopl iopl = {.iopl = 1};
    struct evtchn_status s = {.dom = DOMID_SELF};
    struct physdev_unmap_pirq u = {.domid = DOMID_SELF, .pirq = 8};
    unsigned int seen;
    uint8_t b;
    int port;

    pdev(PHYSDEVOP_set_iopl, &iopl);
    refusals();
    set_up_line();
    port = bind(8);
    CHECK("bind", port > 0);
    CHECK_FAILS("bind-twice", bind(8));
    s.port = (evtchn_port_t)port;
    CHECK("status-pirq",
          !evtchn_op(EVTCHNOP_status, &s) && s.status == EVTCHNSTAT_pirq && s.u.pirq == 8);
    CHECK_EQ("send-refused", evtchn_send((unsigned int)port), -XEN_EINVAL);
    kit_bind((unsigned int)port, on_tick);
    kit_sti();
    b = cmos_read(0x0b);
    cmos_write(0x0a, 0x29); /* 128 a second */
    cmos_write(0x0b, b | 0x40);
    cmos_read(0x0c);
    CHECK("ticks-come", WAIT_FOR(ticks >= 5, 2000));
    evtchn_mask((unsigned int)port, true);
    seen = ticks;
    WAIT_FOR(false, 100);
    CHECK_EQ("masked-no-tick", ticks, seen);
    kit_bind((unsigned int)port, on_tick);
    cmos_read(0x0c);
    CHECK("unmasked-ticks-again", WAIT_FOR(ticks >= seen + 3, 2000));
    CHECK_EQ("close", evtchn_close((unsigned int)port), 0);
    seen = ticks;
    WAIT_FOR(false, 50);
    CHECK_EQ("closed-no-tick", ticks, seen);
    cmos_read(0x0c);
    port = bind(8);
    CHECK("bind-again", port > 0);
    kit_bind((unsigned int)port, on_tick);
    cmos_read(0x0c);
    CHECK("ticks-after-rebind", WAIT_FOR(ticks >= seen + 2, 2000));
    cmos_write(0x0b, b & ~0x40);
    CHECK_EQ("close-again", evtchn_close((unsigned int)port), 0);
    CHECK_EQ("unmap", pdev(PHYSDEVOP_unmap_pirq, &u), 0);
}
