/* SPDX-License-Identifier: MIT */
/*
 * Building a domain as domain 0's tools do: create, give memory, fill it through foreign mappings, page tables, pin,
 * grant, event channel, start_info, the first vCPU's context. The image is our own, as it is in memory now.
 */
#include "build.h"

static const char zero[4096];

long domctl(unsigned int cmd, domid_t id, struct xen_domctl *op)
{
    op->cmd = cmd;
    op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    op->domain = id;
    return HC1(domctl, op);
}

long domctl_simple(unsigned int cmd, domid_t id)
{
    struct xen_domctl op = {0};

    return domctl(cmd, id, &op);
}

long sysctl(unsigned int cmd, struct xen_sysctl *op)
{
    op->cmd = cmd;
    op->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    return HC1(sysctl, op);
}

unsigned long free_pages(void)
{
    struct xen_sysctl op = {0};

    return sysctl(XEN_SYSCTL_physinfo, &op) ? 0 : op.u.physinfo.free_pages;
}

long child_create(unsigned int vcpus)
{
    struct xen_domctl op = {0};
    long rc;

    op.u.createdomain.max_vcpus = vcpus;
    op.u.createdomain.max_evtchn_port = 1023;
    op.u.createdomain.max_grant_frames = 4;
    op.u.createdomain.max_maptrack_frames = 4;
    op.u.createdomain.grant_opts = 1;
    rc = domctl(XEN_DOMCTL_createdomain, DOMID_INVALID, &op);
    return rc ? rc : op.domain;
}

int child_memory(struct child *c, unsigned long pages)
{
    struct xen_domctl op = {0};
    struct xen_memory_reservation r = {.domid = c->id, .nr_extents = pages};

    op.u.max_mem.max_memkb = pages * 4;
    if (domctl(XEN_DOMCTL_max_mem, c->id, &op))
        return -1;
    for (unsigned long i = 0; i < pages; i++)
        c->mfn[i] = i;
    r.extent_start.p = c->mfn;
    return HC2(memory_op, XENMEM_populate_physmap, &r) == (long)pages ? 0 : -1;
}

long foreign_map(void *va, unsigned long mfn, domid_t id, uint64_t flags)
{
    struct mmu_update u = {kit_pte_maddr(va, 1), mfn_pte(mfn, flags)};
    long rc = HC4(mmu_update, &u, 1, NULL, id);

    mmuext(MMUEXT_INVLPG_LOCAL, (uint64_t)va, 0);
    return rc;
}

/* Write one page of the child. */
static long put_page(struct child *c, unsigned long pfn, const void *from)
{
    static char *window;
    static uint64_t pte;
    struct mmu_update u;
    long rc;

    if (!window) {
        window = kit_page();
        pte = kit_pte_maddr(window, 1);
    }
    u = (struct mmu_update){pte, mfn_pte(c->mfn[pfn], PTE_KERN)};
    rc = HC4(mmu_update, &u, 1, NULL, c->id);
    if (rc)
        return rc;
    mmuext(MMUEXT_INVLPG_LOCAL, (uint64_t)window, 0);
    memcpy(window, from, PAGE);
    return foreign_map(window, va_mfn(window), DOMID_SELF, PTE_KERN);
}

/* Memory comes zeroed: only pages with something in them. */
static long put_image(struct child *c)
{
    for (char *p = kit_image; p < kit_end; p += PAGE) {
        long rc;

        if (!memcmp(p, zero, PAGE))
            continue;
        rc = put_page(c, va_pfn(p), p);
        if (rc)
            return rc;
    }
    return 0;
}

/* Pages behind the image, in this order. */
enum { AT_P2M = 0, AT_START = 2, AT_RING, AT_L4, AT_L3, AT_L2, AT_L1, AT_STACK = AT_L1 + 2 };

static unsigned long pfn_at(unsigned int what)
{
    return va_pfn(kit_end) + what;
}

static long put_tables(struct child *c)
{
    static uint64_t t[512] __attribute__((aligned(4096)));
    long rc = 0;

    c->l4 = c->mfn[pfn_at(AT_L4)];
    for (unsigned int k = 0; k < 2 && !rc; k++) {
        for (unsigned int i = 0; i < 512; i++) {
            unsigned long pfn = k * 512 + i;
            bool table = pfn >= pfn_at(AT_L4) && pfn < pfn_at(AT_STACK);

            t[i] = mfn_pte(c->mfn[pfn], table ? PTE_RO : PTE_KERN);
        }
        rc = put_page(c, pfn_at(AT_L1) + k, t);
    }
    memset(t, 0, PAGE);
    t[0] = mfn_pte(c->mfn[pfn_at(AT_L1)], TAB_FLAGS);
    t[1] = mfn_pte(c->mfn[pfn_at(AT_L1) + 1], TAB_FLAGS);
    rc = rc ? rc : put_page(c, pfn_at(AT_L2), t);
    memset(t, 0, PAGE);
    t[510] = mfn_pte(c->mfn[pfn_at(AT_L2)], TAB_FLAGS);
    rc = rc ? rc : put_page(c, pfn_at(AT_L3), t);
    memset(t, 0, PAGE);
    t[511] = mfn_pte(c->mfn[pfn_at(AT_L3)], TAB_FLAGS);
    return rc ? rc : put_page(c, pfn_at(AT_L4), t);
}

static unsigned long shared_info_of(domid_t id)
{
    struct xen_domctl op = {0};

    return domctl(XEN_DOMCTL_getdomaininfo, id, &op) ? 0 : op.u.getdomaininfo.shared_info_frame;
}

static long put_start_info(struct child *c)
{
    static union {
        struct start_info si;
        char page[4096];
    } u __attribute__((aligned(4096)));

    memset(&u, 0, PAGE);
    memcpy(u.si.magic, "xen-3.0-x86_64", 15);
    u.si.nr_pages = CHILD_PAGES;
    u.si.shared_info = shared_info_of(c->id) * PAGE;
    u.si.pt_base = VIRT_BASE + pfn_at(AT_L4) * PAGE;
    u.si.nr_pt_frames = AT_STACK - AT_L4;
    u.si.mfn_list = VIRT_BASE + pfn_at(AT_P2M) * PAGE;
    u.si.console.domU.mfn = c->mfn[pfn_at(AT_RING)];
    u.si.console.domU.evtchn = c->remote_port;
    c->start_info = VIRT_BASE + pfn_at(AT_START) * PAGE;
    return put_page(c, pfn_at(AT_START), &u);
}

static long make_port(struct child *c)
{
    struct evtchn_alloc_unbound a = {.dom = c->id, .remote_dom = 0};
    long rc = evtchn_op(EVTCHNOP_alloc_unbound, &a);

    c->remote_port = a.port;
    return rc;
}

/* The child grants us its ring before it runs, as the tools do for console and store. */
static long make_grant(struct child *c)
{
    static struct grant_entry_v1 *table;
    xen_pfn_t frame = 0;
    struct xen_mem_acquire_resource r = {
        .domid = c->id, .type = XENMEM_resource_grant_table, .nr_frames = 1};
    long rc;

    if (!table)
        table = kit_page();
    r.frame_list.p = &frame;
    rc = HC2(memory_op, XENMEM_acquire_resource, &r);
    if (!rc)
        rc = foreign_map(table, frame, c->id, PTE_KERN);
    if (rc)
        return rc;
    table[CHILD_RING_REF].domid = 0;
    table[CHILD_RING_REF].frame = (uint32_t)c->mfn[pfn_at(AT_RING)];
    table[CHILD_RING_REF].flags = GTF_permit_access;
    return foreign_map(table, va_mfn(table), DOMID_SELF, PTE_KERN);
}

static long pin(struct child *c)
{
    struct mmuext_op op = {.cmd = MMUEXT_PIN_L4_TABLE};

    op.arg1.mfn = c->l4;
    return HC4(mmuext_op, &op, 1, NULL, c->id);
}

static long set_context(struct child *c)
{
    static struct vcpu_guest_context x;
    struct xen_domctl op = {0};
    extern char _start[];

    memset(&x, 0, sizeof(x));
    x.flags = VGCF_in_kernel | VGCF_online;
    x.user_regs.rip = (uint64_t)_start;
    x.user_regs.rsp = VIRT_BASE + (pfn_at(AT_STACK) + 1) * PAGE;
    x.user_regs.rsi = c->start_info;
    x.user_regs.rflags = 1 << 9;
    x.user_regs.cs = KCS;
    x.user_regs.ss = x.user_regs.ds = x.user_regs.es = KSS;
    x.kernel_ss = KSS;
    x.kernel_sp = x.user_regs.rsp;
    x.ctrlreg[3] = xen_pfn_to_cr3(c->l4);
    op.u.vcpucontext.ctxt.p = &x;
    return domctl(XEN_DOMCTL_setvcpucontext, c->id, &op);
}

static long put_p2m(struct child *c)
{
    long rc = put_page(c, pfn_at(AT_P2M), c->mfn);

    return rc ? rc : put_page(c, pfn_at(AT_P2M) + 1, c->mfn + 512);
}

int child_build(struct child *c, long *rc)
{
    static long (*const steps[])(struct child *) = {put_image, put_p2m,    put_tables, make_port,
                                                    put_start_info, make_grant, pin,        set_context};
    struct xen_domctl op = {.u.max_vcpus.max = 1};

    *rc = child_create(1);
    if (*rc < 0)
        return 1;
    c->id = (domid_t)*rc;
    *rc = domctl(XEN_DOMCTL_max_vcpus, c->id, &op);
    if (*rc)
        return 2;
    *rc = child_memory(c, CHILD_PAGES);
    if (*rc)
        return 3;
    for (unsigned int i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        *rc = steps[i](c);
        if (*rc)
            return 4 + (int)i;
    }
    return 0;
}

bool child_exists(domid_t id, uint32_t *flags)
{
    struct xen_domctl op = {0};
    long rc = domctl(XEN_DOMCTL_getdomaininfo, id, &op);

    if (flags)
        *flags = rc ? 0 : op.u.getdomaininfo.flags;
    return !rc && op.domain == id;
}

long child_destroy(domid_t id)
{
    long rc = domctl_simple(XEN_DOMCTL_destroydomain, id);

    /* freed a moment later, where no lock is held */
    for (int i = 0; !rc && i < 1000 && child_exists(id, NULL); i++)
        HC2(sched_op, SCHEDOP_yield, NULL);
    return rc ? rc : child_exists(id, NULL);
}
