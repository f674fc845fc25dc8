/* SPDX-License-Identifier: MIT */
/*
 * hostile: a small fuzzer inside the guest. Some 20,000 random calls of the memory, event, grant,
 * descriptor and timer hypercalls, with arguments that are often nearly right, on tables and pages
 * set aside for it. Nothing is expected of single answers; the hypervisor must live, and after
 * every few calls no table that is in use may be reachable for writing. The first argument of the
 * guest is the seed ("seed=N"), so that a failure can be had again.
 */
#include "kit.h"
#include "region.h"

enum { PAGES = 24, CALLS = 20000 };
static char *page[PAGES];
static uint64_t *args; /* the last 128 bytes before a read-only page: long counts end there */
static uint64_t first_mfn = ~0UL, last_mfn;
static uint64_t state = 88172645463325252;

static uint64_t rnd(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static uint64_t pick(const uint64_t *set, unsigned int n)
{
    return set[rnd() % n];
}

/* A random frame of the machine, but none of the guest's own image: it would only hurt itself. */
static uint64_t random_mfn(void)
{
    uint64_t mfn = rnd() % 0x20000;
    return mfn >= first_mfn && mfn <= last_mfn ? first_mfn - 1 : mfn;
}

static uint64_t any_mfn(void)
{
    static const uint64_t odd[] = {0,       1,           0xb8,         0xfee00, 0xfec00,
                                   0xfffff, 0xfffffffff, 0xffffffffff, ~0UL};

    switch (rnd() % 8) {
    case 0:
        return pick(odd, sizeof(odd) / sizeof(odd[0]));
    case 1:
        return random_mfn();
    case 2:
        return va_mfn(region_l1);
    case 3:
        return va_mfn(region_l2);
    case 4:
        return rnd() % 16 ? va_mfn(region_l3) : kit_top();
    default:
        return va_mfn(page[rnd() % PAGES]);
    }
}

static uint64_t any_entry(void)
{
    static const uint64_t flags[] = {
        PTE_KERN,           PTE_RO,         PTE_P, PTE_KERN | PTE_NX,
        PTE_KERN | PTE_PSE, PTE_RO | PTE_G, 0,     PTE_KERN | 1UL << 51,
        PTE_KERN | 0x18,    PTE_RW};
    return (any_mfn() * PAGE) | (rnd() % 40 ? pick(flags, 10) : rnd() & 0xfff);
}

static uint64_t any_addr(void)
{
    static const uint64_t odd[] = {0,   8, HV_START, 0xffff830000000000, 1UL << 63, 0x7fffffffffff,
                                   ~0UL};

    switch (rnd() % 4) {
    case 0:
        return pick(odd, 7);
    case 1:
        return (uint64_t)region((unsigned int)(rnd() % 16));
    default:
        return (uint64_t)page[rnd() % PAGES] + (rnd() % 4 ? 0 : rnd() % 4096);
    }
}

static domid_t any_dom(void)
{
    return rnd() % 6 ? (rnd() % 2 ? DOMID_SELF : 0) : (domid_t)rnd();
}

/* Only entries of the region's own tables and of its spare pages are written: the guest wants to
 * live. */
static void do_mmu_update(void)
{
    uint64_t *table[3] = {region_l1, region_l2, region_l3};
    struct mmu_update u[3];
    unsigned int done;

    for (int i = 0; i < 3; i++) {
        unsigned int t = (unsigned int)(rnd() % 5);
        uint64_t base = t < 3 ? va_maddr(table[t]) : va_maddr(page[rnd() % PAGES]);
        /* the first L2 and L3 entries keep the region together */
        u[i].ptr = (base + (t == 1 || t == 2 ? 8 + rnd() % 16 * 8 : rnd() % 16 * 8)) |
                   (rnd() % 4 ? 0 : rnd() % 4);
        if ((u[i].ptr & 3) == MMU_MACHPHYS_UPDATE)
            u[i].ptr &= ~3UL;
        u[i].val = any_entry();
    }
    HC4(mmu_update, u, 1 + rnd() % 3, rnd() % 2 ? &done : NULL, any_dom());
}

static void do_mmuext(void)
{
    static const uint8_t cmd[] = {MMUEXT_PIN_L1_TABLE,
                                  MMUEXT_PIN_L2_TABLE,
                                  MMUEXT_PIN_L3_TABLE,
                                  MMUEXT_PIN_L4_TABLE,
                                  MMUEXT_UNPIN_TABLE,
                                  MMUEXT_TLB_FLUSH_LOCAL,
                                  MMUEXT_INVLPG_LOCAL,
                                  MMUEXT_TLB_FLUSH_MULTI,
                                  MMUEXT_INVLPG_MULTI,
                                  MMUEXT_TLB_FLUSH_ALL,
                                  MMUEXT_INVLPG_ALL,
                                  MMUEXT_CLEAR_PAGE,
                                  MMUEXT_COPY_PAGE,
                                  MMUEXT_MARK_SUPER,
                                  MMUEXT_UNMARK_SUPER,
                                  14,
                                  99};
    struct mmuext_op op = {.cmd = cmd[rnd() % sizeof(cmd)]};

    op.arg1.mfn = op.cmd == MMUEXT_UNPIN_TABLE ? va_mfn(page[rnd() % PAGES]) : any_mfn();
    *(uint64_t *)&op.arg2 = rnd() % 2 ? any_mfn() : any_addr();
    memset(args, 0xff, 128);
    *(struct mmuext_op *)(args + 13) = op;
    HC4(mmuext_op, args + 13, rnd() % 8 ? 1 : rnd(), NULL, any_dom());
}

static void do_va(void)
{
    uint64_t va =
        rnd() % 2 ? (uint64_t)region((unsigned int)(rnd() % 16)) : (uint64_t)page[rnd() % PAGES];

    update_va((void *)va, any_entry(), rnd() % 4 ? rnd() % 8 : any_addr());
}

static void do_memory(void)
{
    static xen_pfn_t list[4];
    struct xen_memory_reservation r = {.nr_extents = rnd() % 16 ? rnd() % 4 : rnd(),
                                       .domid = any_dom()};
    struct xen_memory_exchange x = {0};

    for (int i = 0; i < 4; i++)
        list[i] = any_mfn();
    if (list[0] == kit_top() || list[1] == kit_top() || list[2] == kit_top())
        return;
    r.extent_order = rnd() % 4 ? 0 : (unsigned int)(rnd() % 64);
    r.mem_flags = rnd() % 4 ? 0 : (unsigned int)rnd();
    set_xen_guest_handle(r.extent_start, rnd() % 8 ? list : (xen_pfn_t *)any_addr());
    x.in = x.out = r;
    x.nr_exchanged = rnd() % 4 ? 0 : rnd();
    if (rnd() % 4)
        HC2(memory_op,
            (rnd() % 2 ? XENMEM_decrease_reservation : XENMEM_populate_physmap) |
                (rnd() % 8 ? 0 : rnd() % 8 << 6),
            &r);
    else
        HC2(memory_op, XENMEM_exchange, &x);
}

static void do_event(void)
{
    uint64_t arg[4] = {rnd() % 8 ? rnd() % 40 : rnd(), rnd() % 40, rnd() % 4, rnd() % 2};

    if (rnd() % 3 == 0)
        arg[0] = (uint64_t)any_dom() | (uint64_t)any_dom() << 16 | arg[1] << 32;
    HC2(event_channel_op, rnd() % 15, rnd() % 8 ? (uint64_t)arg : any_addr());
}

static void do_grant(void)
{
    for (int i = 0; i < 16; i++)
        args[i] = rnd() % 3 ? rnd() % 16 : rnd() % 2 ? any_mfn() : any_addr();
    HC3(grant_table_op, rnd() % 13, rnd() % 8 ? (uint64_t)args : any_addr(),
        rnd() % 8 ? 1 + rnd() % 2 : rnd());
}

static void do_descriptor(void)
{
    unsigned long frames[16];

    for (int i = 0; i < 16; i++)
        frames[i] = any_mfn();
    switch (rnd() % 3) {
    case 0:
        HC2(update_descriptor, any_mfn() * PAGE + rnd() % 512 * 8, rnd());
        break;
    case 1:
        HC2(set_gdt, frames, rnd() % 3 ? 512 : rnd());
        break;
    default:
        mmuext(MMUEXT_SET_LDT, any_addr() & ~0xfffUL, rnd() % 9000);
        break;
    }
}

static void do_other(void)
{
    uint64_t arg[6] = {rnd(), rnd() % 4, any_addr(), kit_now() + rnd() % 1000000,
                       rnd(), any_addr()};
    static const uint8_t vop[] = {4, 5, 6, 7, 8, 9, 12, 13, 14, 99};

    switch (rnd() % 5) {
    case 0:
        HC3(vcpu_op, vop[rnd() % sizeof(vop)], rnd() % 4 ? 0 : rnd(),
            rnd() % 4 ? (uint64_t)arg : any_addr());
        break;
    case 1:
        HC1(set_timer_op, rnd() % 2 ? rnd() : arg[3]);
        break;
    case 2:
        HC2(xen_version, rnd() % 12, any_addr());
        break;
    case 3:
        HC2(set_segment_base, rnd() % 5, any_addr());
        break;
    default:
        HC2(set_debugreg, rnd() % 6, any_addr());
        break;
    }
}

/* No frame that the region uses as a table is mapped writable: by its own address, or by the
 * region's L1. */
static bool tables_safe(void)
{
    const void *table[3] = {region_l1, region_l2, region_l3};

    for (int t = 0; t < 3; t++) {
        uint64_t mine = *kit_pte(table[t], 1);
        if ((mine & PTE_P) && (mine & PTE_RW) && (mine & PTE_ADDR) / PAGE == va_mfn(table[t]))
            return false;
        for (unsigned int i = 0; i < 512; i++)
            if ((region_l1[i] & (PTE_P | PTE_RW)) == (PTE_P | PTE_RW) &&
                (region_l1[i] & PTE_ADDR) / PAGE == va_mfn(table[t]))
                return false;
    }
    return true;
}

void guest_main(void)
{
    static void (*const todo[])(void) = {do_mmu_update, do_mmu_update, do_mmuext, do_mmuext,
                                         do_va,         do_memory,     do_event,  do_grant,
                                         do_descriptor, do_other};
    const char *seed = strstr((char *)kit_si->cmd_line, "seed=");
    bool safe = true;

    if (seed)
        for (seed += 5; *seed >= '0' && *seed <= '9'; seed++)
            state = state * 31 + (uint64_t)*seed;
    for (unsigned int i = 0; i < PAGES; i++)
        page[i] = kit_page();
    for (unsigned long pfn = 0; pfn < 2048; pfn++) {
        first_mfn = kit_p2m[pfn] < first_mfn ? kit_p2m[pfn] : first_mfn;
        last_mfn = kit_p2m[pfn] > last_mfn ? kit_p2m[pfn] : last_mfn;
    }
    args = (uint64_t *)kit_page() + 512 - 16;
    CHECK("region", region_make());
    for (unsigned int i = 0; i < CALLS && safe; i++) {
        todo[rnd() % (sizeof(todo) / sizeof(todo[0]))]();
        if (i % 64 == 0)
            safe = tables_safe();
        if (i % 4000 == 0)
            kit_printf("%u calls\n", i);
    }
    CHECK("no-table-writable", safe && tables_safe());
    CHECK_EQ("alive", HC2(xen_version, XENVER_version, NULL), 4 << 16 | 17);
}
