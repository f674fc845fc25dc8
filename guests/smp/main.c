/* SPDX-License-Identifier: MIT */
/*
 * smp: a second vCPU. Bring-up with its own stacks and the same page tables, refusal of bad
 * contexts, events both ways, flushes that reach the other processor's TLB, and taking a vCPU down
 * and up again.
 *
 * run: --smp 2
 */
#include "kit.h"
#include "region.h"

static volatile unsigned int running, stop, hits[2], reading, go_down, traps_there;
static volatile char seen;
static int to[2];

static void on_ipi(unsigned int port)
{
    hits[cpu()->id]++;
}

static void second(void *arg)
{
    running = 1 + (cpu()->id == 1 && arg == (void *)0x1234);
    traps_there = (unsigned int)TRAPS(asm volatile("ud2"));
    kit_bind((unsigned int)to[1], on_ipi);
    kit_sti();
    while (!stop) {
        if (reading)
            seen = *region(0);
        if (go_down) {
            go_down = 0;
            HC3(vcpu_op, VCPUOP_down, 1, NULL);
            running++; /* and here it goes on after VCPUOP_up */
        }
        cpu_relax();
    }
    kit_cli();
    running = 0;
}

static void refusals(void)
{
    static struct vcpu_guest_context c;

    CHECK_EQ("is-up-of-none", HC3(vcpu_op, VCPUOP_is_up, 99, NULL), -XEN_ENOENT);
    CHECK_EQ("is-up-before", HC3(vcpu_op, VCPUOP_is_up, 1, NULL), 0);
    CHECK_EQ("up-before-initialise", HC3(vcpu_op, VCPUOP_up, 1, NULL), -XEN_EINVAL);
    c.flags = VGCF_in_kernel;
    c.user_regs.cs = KCS;
    c.user_regs.ss = KSS;
    c.ctrlreg[3] = 0xfffffffffUL << 12;
    CHECK_FAILS("initialise-bad-cr3", HC3(vcpu_op, VCPUOP_initialise, 1, &c));
    c.ctrlreg[3] = va_mfn(cpu()) << 12;
    CHECK_FAILS("initialise-cr3-of-data", HC3(vcpu_op, VCPUOP_initialise, 1, &c));
    CHECK_EQ("initialise-bad-pointer", HC3(vcpu_op, VCPUOP_initialise, 1, 8), -XEN_EFAULT);
    c.ctrlreg[3] = kit_top() << 12;
    c.event_callback_eip = 0x8000000000000000;
    CHECK_FAILS("initialise-noncanonical-callback", HC3(vcpu_op, VCPUOP_initialise, 1, &c));
    CHECK_EQ("is-up-after-refusals", HC3(vcpu_op, VCPUOP_is_up, 1, NULL), 0);
}

static void bring_up(void)
{
    static struct vcpu_guest_context c;

    CHECK_EQ("start", kit_cpu_start(1, second, (void *)0x1234), 0);
    CHECK("runs", WAIT_FOR(running == 2, 1000));
    CHECK_EQ("is-up", HC3(vcpu_op, VCPUOP_is_up, 1, NULL), 1);
    c.ctrlreg[3] = kit_top() << 12;
    CHECK_EQ("initialise-running", HC3(vcpu_op, VCPUOP_initialise, 1, &c), -XEN_EEXIST);
    CHECK_EQ("up-twice", HC3(vcpu_op, VCPUOP_up, 1, NULL), 0);
    CHECK("trap-on-second", WAIT_FOR(traps_there == VEC_UD, 1000));
}

static void events(void)
{
    struct evtchn_bind_vcpu bv = {.vcpu = 0};
    int a, b;

    CHECK("ipi-to-second", evtchn_send((unsigned int)to[1]) == 0 && WAIT_FOR(hits[1] == 1, 1000));
    for (int i = 0; i < 20; i++) {
        evtchn_send((unsigned int)to[1]);
        WAIT_FOR(hits[1] == 2 + (unsigned int)i, 1000);
    }
    CHECK_EQ("ipi-each-comes", hits[1], 21);
    CHECK_EQ("ipi-not-here", hits[0], 0);
    a = evtchn_alloc(DOMID_SELF);
    struct evtchn_bind_interdomain bi = {.remote_dom = DOMID_SELF, .remote_port = (evtchn_port_t)a};
    evtchn_op(EVTCHNOP_bind_interdomain, &bi);
    b = (int)bi.local_port;
    bv.port = (evtchn_port_t)a;
    bv.vcpu = 1;
    CHECK_EQ("bind-vcpu-1", evtchn_op(EVTCHNOP_bind_vcpu, &bv), 0);
    kit_bind((unsigned int)a, on_ipi);
    evtchn_send((unsigned int)b);
    CHECK("event-moved-to-second", WAIT_FOR(hits[1] == 22, 1000) && hits[0] == 0);
    bv.vcpu = 0;
    evtchn_op(EVTCHNOP_bind_vcpu, &bv);
    kit_sti();
    evtchn_send((unsigned int)b);
    CHECK("event-moved-back", WAIT_FOR(hits[0] == 1, 1000) && hits[1] == 22);
    bv.port = (evtchn_port_t)to[1];
    CHECK_EQ("ipi-port-stays", evtchn_op(EVTCHNOP_bind_vcpu, &bv), -XEN_EINVAL);
}

/* The second vCPU reads region(0) all the time; after a flush that covers it, it must see the new
 * page. */
static void flushes(void)
{
    static uint64_t both = 3;
    char *page[2] = {kit_page(), kit_page()};
    unsigned long kind[4] = {UVMF_INVLPG | UVMF_ALL, UVMF_TLB_FLUSH | UVMF_ALL,
                             UVMF_INVLPG | (uint64_t)&both, UVMF_TLB_FLUSH | (uint64_t)&both};
    static const unsigned int ext[4] = {MMUEXT_TLB_FLUSH_ALL, MMUEXT_INVLPG_ALL,
                                        MMUEXT_TLB_FLUSH_MULTI, MMUEXT_INVLPG_MULTI};

    page[0][0] = 'a';
    page[1][0] = 'b';
    update_va((void *)region(0), mfn_pte(va_mfn(page[1]), PTE_KERN), UVMF_INVLPG | UVMF_ALL);
    reading = 1;
    for (unsigned int i = 0; i < 8; i++) {
        char *p = page[i & 1];
        struct mmuext_op op = {.cmd = ext[i & 3]};
        long rc =
            update_va((void *)region(0), mfn_pte(va_mfn(p), PTE_KERN), i < 4 ? kind[i] : UVMF_NONE);
        op.arg1.linear_addr = (unsigned long)region(0);
        set_xen_guest_handle(op.arg2.vcpumask, &both);
        if (i >= 4)
            rc |= HC4(mmuext_op, &op, 1, NULL, DOMID_SELF);
        kit_check(!rc && WAIT_FOR(seen == *p, 500), "flush-reaches-second",
                  "kind %u rc %ld sees %c not %c", i, rc, seen, *p);
    }
    reading = 0;
}

static void down_and_up(void)
{
    unsigned int was = running;

    go_down = 1;
    CHECK("down-by-itself", WAIT_FOR(HC3(vcpu_op, VCPUOP_is_up, 1, NULL) == 0, 1000));
    CHECK_EQ("stays-down", (WAIT_FOR(running != was, 50), running), was);
    evtchn_send((unsigned int)to[1]);
    CHECK("event-does-not-wake-a-down-one", !WAIT_FOR(hits[1] > 22, 50));
    CHECK_EQ("up-again", HC3(vcpu_op, VCPUOP_up, 1, NULL), 0);
    CHECK("goes-on", WAIT_FOR(running == was + 1, 1000));
    CHECK("event-while-down-comes-now", WAIT_FOR(hits[1] == 23, 1000));
    CHECK_EQ("down-by-other", HC3(vcpu_op, VCPUOP_down, 1, NULL), 0);
    CHECK("is-down", WAIT_FOR(HC3(vcpu_op, VCPUOP_is_up, 1, NULL) == 0, 1000));
    CHECK_EQ("up-a-third-time", HC3(vcpu_op, VCPUOP_up, 1, NULL), 0);
    stop = 1;
    CHECK("ends", WAIT_FOR(running == 0, 1000));
}

void guest_main(void)
{
    CHECK("region", region_make());
    refusals();
    to[1] = evtchn_ipi(1);
    bring_up();
    events();
    flushes();
    down_and_up();
}
