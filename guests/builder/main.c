/* SPDX-License-Identifier: MIT */
/*
 * builder: domain 0 makes other domains, talks to them, looks at them, and ends them; what they had comes back. The
 * guest that it makes is a copy of itself (kit/build.c): child() below.
 * run: --smp 2 --timeout 120
 */
#include "build.h"

#define HELLO 0x6f6c6c65U
#define CYCLES 40
#define MANY 200

enum { CMD_NONE, CMD_ECHO, CMD_SPIN, CMD_POWEROFF, CMD_CRASH, CMD_SUSPEND };

/* The page granted to domain 0. */
struct ring {
    volatile uint32_t hello, cmd, arg, reply, resumed;
    volatile long domctl_rc, sysctl_rc, evtchn_rc, foreign_rc, memory_rc, grant_rc;
};

/* --- what runs in the other domain -------------------------------------------------------------------- */

static void child_tries(struct ring *r)
{
    struct xen_domctl op = {0};
    struct xen_sysctl sop = {0};
    struct evtchn_alloc_unbound a = {.dom = 0, .remote_dom = DOMID_SELF};
    struct xen_mem_acquire_resource res = {.type = XENMEM_resource_grant_table, .nr_frames = 1};
    struct gnttab_query_size q = {.dom = 0};
    struct mmu_update u = {0};

    r->domctl_rc = domctl(XEN_DOMCTL_pausedomain, 0, &op);
    r->sysctl_rc = sysctl(XEN_SYSCTL_getdomaininfolist, &sop);
    r->evtchn_rc = evtchn_op(EVTCHNOP_alloc_unbound, &a);
    r->foreign_rc = HC4(mmu_update, &u, 1, NULL, 0);
    r->memory_rc = HC2(memory_op, XENMEM_acquire_resource, &res);
    HC3(grant_table_op, GNTTABOP_query_size, &q, 1);
    r->grant_rc = q.status;
}

static void child_end(unsigned int reason)
{
    struct sched_shutdown s = {.reason = reason};

    HC2(sched_op, SCHEDOP_shutdown, &s);
}

static void child_do(struct ring *r, uint32_t cmd)
{
    switch (cmd) {
    case CMD_ECHO:
        r->reply = r->arg + 1;
        break;
    case CMD_SPIN:
        r->reply = r->arg + 1;
        for (;;)
            ;
    case CMD_POWEROFF:
        child_end(SHUTDOWN_poweroff);
        break;
    case CMD_SUSPEND:
        child_end(SHUTDOWN_suspend);
        r->resumed++;
        break;
    case CMD_CRASH:
        asm volatile("ud2"); /* no handler can save it: the trap table is gone */
    }
}

static void child(void)
{
    struct ring *r = mfn_va(kit_si->console.domU.mfn);
    unsigned int port = kit_si->console.domU.evtchn;

    child_tries(r);
    r->hello = HELLO;
    evtchn_send(port);
    evtchn_mask(port, true);
    for (;;) {
        struct sched_poll p = {.nr_ports = 1};
        evtchn_port_t ports[1] = {port};
        uint32_t cmd;

        p.ports.p = ports;
        HC2(sched_op, SCHEDOP_poll, &p);
        evtchn_clear(port);
        cmd = r->cmd;
        r->cmd = CMD_NONE;
        if (cmd == CMD_CRASH)
            HC1(set_trap_table, NULL);
        child_do(r, cmd);
        evtchn_send(port);
    }
}

/* --- domain 0's side ------------------------------------------------------------------------------------ */

struct talk {
    struct child c;
    struct ring *ring;
    uint32_t handle;
    unsigned int port;
};

static struct talk t;

static void rest(unsigned int port)
{
    evtchn_port_t ports[1] = {port};
    struct sched_poll p = {.nr_ports = 1, .timeout = kit_now() + 2000000};

    p.ports.p = ports;
    HC2(sched_op, SCHEDOP_poll, &p);
    if (port)
        evtchn_clear(port);
}

#define WAIT(cond)                                                                                  \
    ({                                                                                             \
        for (int n_ = 0; n_ < 2000 && !(cond); n_++)                                               \
            rest(t.port);                                                                          \
        (cond);                                                                                    \
    })

/* Structures of a domain that has gone are freed a moment after its number; a busy host makes moments long. */
static unsigned long settled(void)
{
    unsigned long now = free_pages(), was;

    do {
        was = now;
        for (int i = 0; i < 50; i++)
            rest(t.port);
        now = free_pages();
    } while (now != was);
    return now;
}

static void check_back(const char *name, unsigned long before)
{
    CHECK_EQ(name, (WAIT(free_pages() == before), free_pages()), before);
}

static long talk_open(void)
{
    struct evtchn_bind_interdomain b = {.remote_dom = t.c.id, .remote_port = t.c.remote_port};
    static void *page;
    struct gnttab_map_grant_ref m;
    long rc = evtchn_op(EVTCHNOP_bind_interdomain, &b);

    if (rc)
        return rc;
    t.port = b.local_port;
    evtchn_mask(t.port, true);
    if (!page)
        page = kit_page();
    m = (struct gnttab_map_grant_ref){
        .host_addr = (uint64_t)page, .flags = GNTMAP_host_map, .ref = CHILD_RING_REF, .dom = t.c.id};
    rc = HC3(grant_table_op, GNTTABOP_map_grant_ref, &m, 1);
    t.handle = m.handle;
    t.ring = page;
    return rc ? rc : m.status;
}

static long talk_unmap(void)
{
    struct gnttab_unmap_grant_ref u = {.host_addr = (uint64_t)t.ring, .handle = t.handle};

    HC3(grant_table_op, GNTTABOP_unmap_grant_ref, &u, 1);
    update_va(t.ring, mfn_pte(va_mfn(t.ring), PTE_KERN), UVMF_INVLPG);
    return u.status;
}

static void say(uint32_t cmd, uint32_t arg)
{
    t.ring->arg = arg;
    t.ring->cmd = cmd;
    evtchn_send(t.port);
}

static bool echo(uint32_t n)
{
    say(CMD_ECHO, n);
    return WAIT(t.ring->reply == n + 1);
}

static uint32_t flags_of(domid_t id)
{
    uint32_t flags;

    child_exists(id, &flags);
    return flags;
}

static bool start(void)
{
    long rc;
    int step = child_build(&t.c, &rc);

    if (step) {
        kit_check(false, "build", "step %d gave %ld", step, rc);
        return false;
    }
    rc = talk_open();
    if (rc) {
        kit_check(false, "talk-open", "%ld", rc);
        return false;
    }
    domctl_simple(XEN_DOMCTL_unpausedomain, t.c.id);
    return WAIT(t.ring->hello == HELLO);
}

static bool stop(void)
{
    long a = talk_unmap(), b = child_destroy(t.c.id), c = evtchn_close(t.port);

    if (a || b || c)
        kit_printf("stop: unmap %ld destroy %ld close %ld\n", a, b, c);
    return !a && !b && !c;
}

/* --- checks: what is refused ------------------------------------------------------------------------------ */

static long create_with(unsigned int flags, unsigned int vcpus, unsigned int grant_opts)
{
    struct xen_domctl op = {0};
    long rc;

    op.u.createdomain.flags = flags;
    op.u.createdomain.max_vcpus = vcpus;
    op.u.createdomain.max_evtchn_port = 1023;
    op.u.createdomain.max_grant_frames = op.u.createdomain.max_maptrack_frames = 1;
    op.u.createdomain.grant_opts = grant_opts;
    rc = domctl(XEN_DOMCTL_createdomain, DOMID_INVALID, &op);
    if (!rc)
        child_destroy(op.domain);
    return rc;
}

static void test_refusals(void)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_pausedomain, .interface_version = 1};

    CHECK_EQ("domctl-version", HC1(domctl, &op), -XEN_EACCES);
    CHECK_EQ("domctl-pointer", HC1(domctl, 16), -XEN_EFAULT);
    CHECK_EQ("domctl-unknown", domctl_simple(999, 0), -XEN_ENOSYS);
    CHECK_EQ("domctl-nobody", domctl_simple(XEN_DOMCTL_pausedomain, 77), -XEN_ESRCH);
    CHECK_EQ("pause-self", domctl_simple(XEN_DOMCTL_pausedomain, 0), -XEN_EINVAL);
    CHECK_EQ("destroy-self", domctl_simple(XEN_DOMCTL_destroydomain, 0), -XEN_EINVAL);
    CHECK_EQ("create-hvm", create_with(XEN_DOMCTL_CDF_hvm, 1, 1), -XEN_EOPNOTSUPP);
    CHECK_EQ("create-hap-pv", create_with(XEN_DOMCTL_CDF_hap, 1, 1), -XEN_EINVAL);
    CHECK_EQ("create-no-vcpus", create_with(0, 0, 1), -XEN_EINVAL);
    CHECK_EQ("create-vcpus", create_with(0, 100000, 1), -XEN_EINVAL);
    CHECK_EQ("create-grant-version", create_with(0, 1, 7), -XEN_EINVAL);
    CHECK_EQ("create-plain", create_with(0, 1, 1), 0);
}

/* --- one domain's life --------------------------------------------------------------------------------------- */

static void test_unprivileged(void)
{
    CHECK_EQ("child-domctl", t.ring->domctl_rc, -XEN_EPERM);
    CHECK_EQ("child-sysctl", t.ring->sysctl_rc, -XEN_EPERM);
    CHECK_EQ("child-alloc-unbound", t.ring->evtchn_rc, -XEN_EPERM);
    CHECK("child-foreign", t.ring->foreign_rc < 0);
    CHECK_EQ("child-resource", t.ring->memory_rc, -XEN_EPERM);
    CHECK_EQ("child-grants-of-dom0", t.ring->grant_rc, GNTST_permission_denied);
}

static uint64_t info_of(unsigned long mfn)
{
    struct xen_domctl op = {.u.getpageframeinfo3.num = 1};
    uint64_t frame = mfn;

    op.u.getpageframeinfo3.array.p = &frame;
    if (domctl(XEN_DOMCTL_getpageframeinfo3, t.c.id, &op))
        return ~0UL;
    return frame;
}

static void test_frames(void)
{
    CHECK_EQ("frame-l4", info_of(t.c.l4), XEN_DOMCTL_PFINFO_L4TAB | XEN_DOMCTL_PFINFO_LPINTAB);
    CHECK_EQ("frame-data", info_of(t.c.mfn[0]), XEN_DOMCTL_PFINFO_NOTAB);
    CHECK_EQ("frame-of-dom0", info_of(va_mfn(kit_image)), XEN_DOMCTL_PFINFO_XTAB);
    CHECK_EQ("frame-nowhere", info_of(1UL << 40), XEN_DOMCTL_PFINFO_XTAB);
    CHECK_FAILS("map-table-writable", foreign_map(kit_page(), t.c.l4, t.c.id, PTE_KERN));
    CHECK_FAILS("map-not-its", foreign_map(kit_page(), va_mfn(kit_image), t.c.id, PTE_KERN));
}

static struct vcpu_guest_context ctx;

static long get_context(void)
{
    struct xen_domctl op = {0};

    op.u.vcpucontext.ctxt.p = &ctx;
    return domctl(XEN_DOMCTL_getvcpucontext, t.c.id, &op);
}

static long set_context(const struct vcpu_guest_context *c)
{
    struct xen_domctl op = {0};

    op.u.vcpucontext.ctxt.p = (void *)(uintptr_t)c;
    return domctl(XEN_DOMCTL_setvcpucontext, t.c.id, &op);
}

static void test_context(void)
{
    static struct vcpu_guest_context bad;

    domctl_simple(XEN_DOMCTL_pausedomain, t.c.id);
    CHECK("paused", flags_of(t.c.id) & XEN_DOMINF_paused);
    CHECK_EQ("get-context", get_context(), 0);
    CHECK_EQ("context-cr3", ctx.ctrlreg[3], xen_pfn_to_cr3(t.c.l4));
    CHECK("context-kernel", (ctx.flags & VGCF_in_kernel) && (ctx.flags & VGCF_online));
    bad = ctx;
    bad.ctrlreg[3] = xen_pfn_to_cr3(va_mfn((void *)kit_si->pt_base));
    CHECK_EQ("context-cr3-of-dom0", set_context(&bad), -XEN_EINVAL);
    bad = ctx;
    bad.user_regs.rip = 1UL << 50;
    CHECK_EQ("context-noncanonical", set_context(&bad), -XEN_EINVAL);
    bad = ctx;
    bad.gdt_ents = 512;
    bad.gdt_frames[0] = va_mfn(kit_image);
    CHECK_EQ("context-gdt-of-dom0", set_context(&bad), -XEN_EINVAL);
    bad = ctx;
    bad.ldt_ents = 9000;
    CHECK_EQ("context-ldt-too-long", set_context(&bad), -XEN_EINVAL);
    CHECK_EQ("set-context", set_context(&ctx), 0);
    domctl_simple(XEN_DOMCTL_unpausedomain, t.c.id);
    CHECK("echo-after-context", echo(77));
}

static void test_suspend(void)
{
    say(CMD_SUSPEND, 0);
    CHECK("suspends", WAIT(flags_of(t.c.id) & XEN_DOMINF_shutdown));
    CHECK_EQ("suspend-code", flags_of(t.c.id) >> XEN_DOMINF_shutdownshift & 255, SHUTDOWN_suspend);
    CHECK_EQ("resume", domctl_simple(XEN_DOMCTL_resumedomain, t.c.id), 0);
    CHECK("resumed", WAIT(t.ring->resumed == 1));
    CHECK("echo-after-resume", echo(5));
}

static void test_life(void)
{
    unsigned long before = settled();
    int virq = evtchn_virq(VIRQ_DOM_EXC, 0);

    CHECK("free-pages", before > 0);
    evtchn_mask((unsigned int)virq, true);
    if (!CHECK("child-says-hello", start()))
        return;
    CHECK("echo", echo(1));
    test_unprivileged();
    test_frames();
    test_context();
    test_suspend();
    evtchn_clear((unsigned int)virq);
    say(CMD_POWEROFF, 0);
    CHECK("powers-off", WAIT(flags_of(t.c.id) & XEN_DOMINF_shutdown));
    CHECK("virq-dom-exc", evtchn_pending((unsigned int)virq));
    /* the ring is still mapped: it stays, dying, until we let go */
    CHECK_EQ("destroy", domctl_simple(XEN_DOMCTL_destroydomain, t.c.id), 0);
    CHECK("stays-while-mapped", WAIT(flags_of(t.c.id) & XEN_DOMINF_dying));
    CHECK_EQ("still-readable", t.ring->hello, HELLO);
    CHECK("no-pause-of-nobody", domctl_simple(XEN_DOMCTL_max_vcpus, t.c.id) < 0);
    CHECK_EQ("unmap", talk_unmap(), 0);
    CHECK("gone", WAIT(!child_exists(t.c.id, NULL)));
    CHECK_EQ("close", evtchn_close(t.port), 0);
    evtchn_close((unsigned int)virq);
    check_back("all-frames-back", before);
}

/* --- ends in other states -------------------------------------------------------------------------------------- */

/* A frame of a dying domain, and its shared_info, mapped by page tables alone. */
static void test_foreign_zombie(void)
{
    unsigned long before = settled();
    char *a = kit_page(), *b = kit_page();
    struct xen_domctl op = {0};

    if (!start())
        return;
    domctl(XEN_DOMCTL_getdomaininfo, t.c.id, &op);
    CHECK_EQ("map-frame", foreign_map(a, t.c.mfn[0], t.c.id, PTE_KERN), 0);
    CHECK_EQ("map-shared-info", foreign_map(b, op.u.getdomaininfo.shared_info_frame, t.c.id, PTE_KERN), 0);
    talk_unmap();
    evtchn_close(t.port);
    CHECK_EQ("destroy-mapped", domctl_simple(XEN_DOMCTL_destroydomain, t.c.id), 0);
    CHECK("zombie", WAIT(flags_of(t.c.id) & XEN_DOMINF_dying));
    a[0] = 1;
    CHECK_EQ("zombie-unmap", foreign_map(a, va_mfn(a), DOMID_SELF, PTE_KERN), 0);
    CHECK("zombie-gone", WAIT(!child_exists(t.c.id, NULL)));
    b[0] = 2;
    check_back("orphan-lives", before - 1);
    CHECK_EQ("orphan-unmap", foreign_map(b, va_mfn(b), DOMID_SELF, PTE_KERN), 0);
    check_back("orphan-back", before);
}

static void test_running(void)
{
    unsigned long before = settled();

    if (!start())
        return;
    say(CMD_SPIN, 9);
    CHECK("spins", WAIT(t.ring->reply == 10));
    CHECK("stop-running", stop());
    check_back("running-back", before);
}

static void test_crash(void)
{
    if (!start())
        return;
    say(CMD_CRASH, 0);
    CHECK("crashes", WAIT(flags_of(t.c.id) & XEN_DOMINF_shutdown));
    CHECK_EQ("crash-code", flags_of(t.c.id) >> XEN_DOMINF_shutdownshift & 255, SHUTDOWN_crash);
    CHECK("stop-crashed", stop());
}

/* Ring 0 selectors in the context: they become ring 3's, and whatever comes of it is the child's own end. */
static void test_hostile_context(void)
{
    static const uint16_t cs[] = {0x8, 0x10, 0xe008, 0xe010, 0xe000, 0, 0xfff8};

    for (unsigned int i = 0; i < sizeof(cs) / sizeof(cs[0]); i++) {
        if (!start())
            return;
        domctl_simple(XEN_DOMCTL_pausedomain, t.c.id);
        get_context();
        ctx.user_regs.cs = ctx.user_regs.ss = ctx.user_regs.ds = ctx.user_regs.fs = cs[i];
        ctx.user_regs.rflags = ~0UL;
        ctx.user_regs.rsp = 1UL << 62;
        set_context(&ctx);
        domctl_simple(XEN_DOMCTL_unpausedomain, t.c.id);
        say(CMD_ECHO, 0); /* out of its poll */
        rest(t.port);
        rest(t.port);
        stop();
    }
    CHECK("hostile-context", start() && echo(3) && stop());
}

static void test_cycles(void)
{
    unsigned long before = settled();
    uint64_t from = kit_now();
    unsigned int good = 0;

    for (unsigned int i = 0; i < CYCLES; i++)
        good += start() && echo(i) && stop();
    CHECK_EQ("cycles", good, CYCLES);
    kit_printf("builder: %u us a cycle\n", (unsigned int)((kit_now() - from) / 1000 / CYCLES));
    check_back("cycles-back", before);
}

/* --- many ------------------------------------------------------------------------------------------------------- */

static uint64_t make_one(domid_t *id)
{
    static struct child c;
    struct xen_domctl op = {.u.max_vcpus.max = 1};
    uint64_t from = kit_now();
    long rc = child_create(1);

    *id = 0;
    if (rc < 0)
        return 0;
    c.id = *id = (domid_t)rc;
    if (domctl(XEN_DOMCTL_max_vcpus, c.id, &op) || child_memory(&c, 64))
        return 0;
    return kit_now() - from;
}

static uint64_t least(const uint64_t *ns, unsigned int n)
{
    uint64_t best = ns[0];

    for (unsigned int i = 1; i < n; i++)
        best = ns[i] < best ? ns[i] : best;
    return best;
}

static void test_many(void)
{
    static domid_t id[MANY];
    static uint64_t ns[MANY];
    unsigned long before = settled();
    unsigned int good = 0, ended = 0;
    uint64_t first, last;

    for (unsigned int i = 0; i < MANY; i++) {
        ns[i] = make_one(&id[i]);
        good += !!ns[i];
    }
    CHECK_EQ("many", good, MANY);
    first = least(ns + 1, 20);
    last = least(ns + MANY - 20, 20);
    kit_printf("builder: creation takes %u us at first, %u us with %u domains; %u frames each\n",
               (unsigned int)(first / 1000), (unsigned int)(last / 1000), MANY,
               (unsigned int)((before - free_pages()) / MANY));
    kit_check(last < 3 * first, "many-cost", "%lu ns, then %lu ns", first, last);
    for (unsigned int i = 0; i < MANY; i++)
        ended += id[i] && !child_destroy(id[i]);
    CHECK_EQ("many-end", ended, MANY);
    check_back("many-back", before);
}

void guest_main(void)
{
    if (!(kit_si->flags & SIF_INITDOMAIN))
        child();
    test_refusals();
    CHECK("first", start() && stop()); /* what the hypervisor's small objects keep for the next is there from now on */
    test_life();
    test_foreign_zombie();
    test_running();
    test_crash();
    test_hostile_context();
    test_cycles();
    test_many();
}
