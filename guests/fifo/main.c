/* SPDX-License-Identifier: MIT */
/*
 * fifo: the FIFO event ABI. Control block and event array, order within a priority and between
 * priorities, masks, ports beyond the array, more ports than the 2-level ABI has, and words that a
 * hostile guest has scribbled over.
 */
#include "kit.h"

#define BIT_PENDING (1U << EVTCHN_FIFO_PENDING)
#define BIT_MASKED (1U << EVTCHN_FIFO_MASKED)
#define BIT_LINKED (1U << EVTCHN_FIFO_LINKED)

static struct evtchn_fifo_control_block *ctl;
static uint32_t *array[8], head[EVTCHN_FIFO_MAX_QUEUES];
static unsigned int got[32], ngot;

static uint32_t *word(unsigned int port)
{
    return &array[port / 1024][port % 1024];
}

static void take(unsigned int q)
{
    for (unsigned int n = 0; n < 1000; n++) {
        unsigned int port = head[q] ? head[q] : ctl->head[q];
        uint32_t w, old;
        if (!port || port >= 8192 || !array[port / 1024])
            return;
        do {
            w = old = *word(port);
            w &= ~(BIT_LINKED | EVTCHN_FIFO_LINK_MASK);
        } while (!__atomic_compare_exchange_n(word(port), &old, w, false, __ATOMIC_SEQ_CST,
                                              __ATOMIC_SEQ_CST));
        head[q] = old & EVTCHN_FIFO_LINK_MASK;
        if ((old & BIT_PENDING) && !(old & BIT_MASKED)) {
            __atomic_fetch_and(word(port), ~BIT_PENDING, __ATOMIC_SEQ_CST);
            if (ngot < 32)
                got[ngot++] = port;
        }
        if (!head[q])
            return;
    }
}

static bool upcall(struct kit_frame *f)
{
    vinfo()->evtchn_upcall_pending = 0;
    uint32_t ready = __atomic_exchange_n(&ctl->ready, 0, __ATOMIC_SEQ_CST);
    for (; ready; ready &= ready - 1) {
        take((unsigned int)__builtin_ctz(ready));
        ready |= __atomic_exchange_n(&ctl->ready, 0, __ATOMIC_SEQ_CST) << 0;
    }
    f->cs &= 0xffff;
    return true;
}

static int loop(unsigned int *local)
{
    struct evtchn_bind_interdomain b = {.remote_dom = DOMID_SELF};
    int p = evtchn_alloc(DOMID_SELF);
    b.remote_port = (evtchn_port_t)p;
    long rc = p < 0 ? p : evtchn_op(EVTCHNOP_bind_interdomain, &b);
    *local = b.local_port;
    return rc ? (int)rc : p;
}

static long expand(void *page)
{
    struct evtchn_expand_array e = {.array_gfn = va_mfn(page)};
    return evtchn_op(EVTCHNOP_expand_array, &e);
}

static long priority(unsigned int port, unsigned int p)
{
    struct evtchn_set_priority s = {.port = port, .priority = p};
    return evtchn_op(EVTCHNOP_set_priority, &s);
}

static long init(uint64_t mfn, uint32_t offset, uint32_t vcpu, uint8_t *bits)
{
    struct evtchn_init_control c = {.control_gfn = mfn, .offset = offset, .vcpu = vcpu};
    long rc = evtchn_op(EVTCHNOP_init_control, &c);
    *bits = c.link_bits;
    return rc;
}

static void set_up(void)
{
    uint8_t bits;
    uint64_t mfn;

    ctl = kit_page();
    array[0] = kit_page();
    mfn = va_mfn(ctl);
    CHECK_FAILS("expand-before-init", expand(array[0]));
    CHECK_FAILS("init-bad-offset", init(mfn, 4, 0, &bits));
    CHECK_FAILS("init-offset-beyond", init(mfn, 4096 - 8, 0, &bits));
    CHECK_FAILS("init-bad-vcpu", init(mfn, 0, 99, &bits));
    CHECK_FAILS("init-foreign-frame", init(1, 0, 0, &bits));
    CHECK_FAILS("init-page-table-frame", init(kit_top(), 0, 0, &bits));
    CHECK_EQ("init", init(mfn, 0, 0, &bits), 0);
    CHECK_EQ("init-link-bits", bits, EVTCHN_FIFO_LINK_BITS);
    CHECK_FAILS("init-twice", init(mfn, 128, 0, &bits));
    CHECK_FAILS("expand-foreign-frame", ({
                    struct evtchn_expand_array e = {1};
                    evtchn_op(EVTCHNOP_expand_array, &e);
                }));
    CHECK_EQ("expand", expand(array[0]), 0);
}

static void unmask(unsigned int port)
{
    struct evtchn_unmask u = {.port = port};
    evtchn_op(EVTCHNOP_unmask, &u);
}

static void order(void)
{
    unsigned int s[3];
    int p[3];

    for (int i = 0; i < 3; i++)
        p[i] = loop(&s[i]);
    CHECK("bind-three", p[0] > 0 && p[1] > 0 && p[2] > 0);
    for (int i = 0; i < 3; i++)
        unmask((unsigned int)p[i]);
    /* a new interdomain binding is pending once at the end that bound it */
    CHECK("bind-gives-event", ngot == 3 && got[0] == s[0] && got[2] == s[2]);
    ngot = 0;
    kit_cli();
    evtchn_send(s[2]);
    evtchn_send(s[0]);
    evtchn_send(s[1]);
    evtchn_send(s[2]);
    CHECK("pending-linked",
          *word((unsigned int)p[2]) & BIT_PENDING && *word((unsigned int)p[2]) & BIT_LINKED);
    CHECK("ready-bit", ctl->ready == 1 << EVTCHN_FIFO_PRIORITY_DEFAULT);
    kit_sti();
    kit_check(ngot == 3 && (int)got[0] == p[2] && (int)got[1] == p[0] && (int)got[2] == p[1],
              "in-order-of-sending", "%u events: %u %u %u %u of %d %d %d", ngot, got[0], got[1],
              got[2], got[3], p[2], p[0], p[1]);
    CHECK_EQ("priority-low", priority((unsigned int)p[0], EVTCHN_FIFO_PRIORITY_MIN), 0);
    CHECK_EQ("priority-high", priority((unsigned int)p[2], EVTCHN_FIFO_PRIORITY_MAX), 0);
    CHECK_EQ("priority-beyond", priority((unsigned int)p[1], EVTCHN_FIFO_PRIORITY_MIN + 1),
             -XEN_EINVAL);
    CHECK_EQ("priority-bad-port", priority(131071, 3), -XEN_EINVAL);
    ngot = 0;
    kit_cli();
    for (int i = 0; i < 3; i++)
        evtchn_send(s[i]);
    kit_sti();
    CHECK("in-order-of-priority",
          ngot == 3 && (int)got[0] == p[2] && (int)got[1] == p[1] && (int)got[2] == p[0]);
    ngot = 0;
    __atomic_fetch_or(word((unsigned int)p[1]), BIT_MASKED, __ATOMIC_SEQ_CST);
    evtchn_send(s[1]);
    CHECK("masked-is-pending-only",
          ngot == 0 && (*word((unsigned int)p[1]) & (BIT_PENDING | BIT_LINKED)) == BIT_PENDING);
    unmask((unsigned int)p[1]);
    CHECK("unmask-delivers",
          ngot == 1 && (int)got[0] == p[1] && !(*word((unsigned int)p[1]) & BIT_MASKED));
    for (int i = 0; i < 3; i++)
        CHECK("close", !evtchn_close((unsigned int)p[i]) && !evtchn_close(s[i]));
}

static void many_ports(void)
{
    int last = 0;
    unsigned int n = 0, s;

    while (last >= 0 && last < 4200 && n < 5000) {
        last = evtchn_alloc(DOMID_SELF);
        n++;
    }
    CHECK("more-ports-than-2-level", last >= 4200);
    struct evtchn_bind_interdomain b = {.remote_dom = DOMID_SELF,
                                        .remote_port = (evtchn_port_t)last};
    CHECK_EQ("bind-beyond-array", evtchn_op(EVTCHNOP_bind_interdomain, &b), 0);
    s = b.local_port;
    ngot = 0;
    CHECK_EQ("send-beyond-array", evtchn_send(s), 0);
    CHECK_EQ("send-beyond-array-is-dropped", ngot, 0);
    for (int i = 1; i < 5; i++) {
        array[i] = kit_page();
        CHECK_EQ("expand-more", expand(array[i]), 0);
    }
    unmask((unsigned int)last);
    ngot = 0;
    evtchn_send(s);
    CHECK("high-port-comes", ngot == 1 && (int)got[0] == last);
}

/* Nothing that the guest writes into its own words may do more than lose its own events. */
static void hostile(void)
{
    unsigned int s[4];
    int p[4];

    for (int i = 0; i < 4; i++) {
        p[i] = loop(&s[i]);
        unmask((unsigned int)p[i]);
    }
    kit_cli();
    for (uint32_t seed = 1; seed < 400; seed++) {
        uint32_t x = seed * 2654435761U;
        *word((unsigned int)p[seed % 4]) = x;
        ctl->ready = x >> 3;
        ctl->head[seed % 16] = x >> 5;
        evtchn_send(s[(seed >> 2) % 4]);
        if (!(seed % 7))
            unmask((unsigned int)p[seed % 3]);
        if (!(seed % 31))
            priority((unsigned int)p[1], seed % 16);
    }
    CHECK("alive-after-scribbling", true);
    memset(array[0], 0, PAGE);
    vinfo()->evtchn_upcall_pending = 0;
}

void guest_main(void)
{
    struct evtchn_reset r = {.dom = DOMID_SELF};

    kit_hooks[VEC_UPCALL] = upcall;
    set_up();
    kit_sti();
    order();
    many_ports();
    hostile();
    CHECK_EQ("reset-to-2-level", evtchn_op(EVTCHNOP_reset, &r), 0);
    kit_hooks[VEC_UPCALL] = NULL;
    int p = evtchn_alloc(DOMID_SELF);
    CHECK("alloc-after-reset", p > 0);
    CHECK_FAILS("expand-after-reset", expand(array[0]));
}
