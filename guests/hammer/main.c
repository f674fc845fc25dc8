/* SPDX-License-Identifier: MIT */
/*
 * hammer: changes its page tables by every way there is, as fast as it can, on all its vCPUs, and checks what it sees:
 * each address leads to the page that its entry names (or faults), and accessed and dirty bits are what the processor's rules
 * say. As domain 0 it does so for a while, as a guest of somebody for ever, telling its console how far it is: logged or
 * moved, it must not notice. It changes only tables of its own, one set for each vCPU.
 *
 * run: --smp 2 --timeout 90
 */
#include "kit.h"
#include <xen/io/console.h>

enum { VAS = 16, DATA = 24, HAMMERS = 2, STEPS = 1000, SLOT = 32, LINEAR = 40 };

struct hammer {
    unsigned int id;
    uint64_t seed;
    uint64_t *l1[2], *l2, *l3;
    unsigned int live; /* which l1 the l2 names; 2: none */
    uint64_t entry[2][VAS]; /* what the tables should say, but for accessed and dirty */
    char *data[DATA];       /* each begins with its own address */
    char *spare;
    volatile unsigned long steps;
    const char *volatile wrong;
    volatile uint64_t seen, wanted;
    volatile bool done;
};
static struct hammer hammer[HAMMERS];
static uint64_t *other_top;
static bool for_ever;
static struct xencons_interface *ring;

static uint64_t rnd(struct hammer *h, uint64_t below)
{
    h->seed ^= h->seed << 13;
    h->seed ^= h->seed >> 7;
    h->seed ^= h->seed << 17;
    return (h->seed >> 11) % below;
}

static volatile uint64_t *va(struct hammer *h, unsigned int i)
{
    return (volatile uint64_t *)(((uint64_t)(SLOT + h->id) << 39) + i * PAGE);
}

static void wrong(struct hammer *h, const char *what, uint64_t seen, uint64_t wanted)
{
    if (h->wrong)
        return;
    h->seen = seen;
    h->wanted = wanted;
    barrier();
    h->wrong = what;
}

static void expect(struct hammer *h, bool good, const char *what, uint64_t seen, uint64_t wanted)
{
    if (!good)
        wrong(h, what, seen, wanted);
}

/* --- ways to change an entry -------------------------------------------------------------------------------- */

static void by_store(uint64_t *e, uint64_t val)
{
    *(volatile uint64_t *)e = val;
}
static void by_xchg(uint64_t *e, uint64_t val)
{
    asm volatile("xchg %0, %1" : "+r"(val), "+m"(*e)::"memory");
}
static void by_cmpxchg(uint64_t *e, uint64_t val)
{
    uint64_t old = *(volatile uint64_t *)e;

    while (!__atomic_compare_exchange_n(e, &old, val, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        ;
}
/* In two halves, not present in between. */
static void by_halves(uint64_t *e, uint64_t val)
{
    volatile uint32_t *half = (volatile uint32_t *)e;

    half[0] = 0;
    half[1] = (uint32_t)(val >> 32);
    half[0] = (uint32_t)val;
}

static long change(struct hammer *h, uint64_t *e, uint64_t val)
{
    switch (rnd(h, 7)) {
    case 0:
        return mmu_update1(va_maddr(e), val);
    case 1:
        return mmu_update1(va_maddr(e) | MMU_PT_UPDATE_PRESERVE_AD, val);
    case 2:
        by_store(e, val);
        return 0;
    case 3:
        by_xchg(e, val);
        return 0;
    case 4:
        by_cmpxchg(e, val);
        return 0;
    case 5:
        by_halves(e, val);
        return 0;
    default:
        return mmu_update1(va_maddr(e) | MMU_PT_UPDATE_NO_TRANSLATE, val);
    }
}

static void flush(struct hammer *h, unsigned int i)
{
    switch (rnd(h, 64)) { /* the other vCPU's answer takes long in an emulator */
    case 0:
        mmuext(MMUEXT_TLB_FLUSH_ALL, 0, 0);
        break;
    case 1:
        mmuext(MMUEXT_INVLPG_ALL, (uint64_t)va(h, i), 0);
        break;
    case 2 ... 9:
        mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
        break;
    default:
        mmuext(MMUEXT_INVLPG_LOCAL, (uint64_t)va(h, i), 0);
    }
}

/* The processor writes there too. */
static uint64_t now(const uint64_t *e)
{
    return *(const volatile uint64_t *)e;
}

static uint64_t some_entry(struct hammer *h)
{
    uint64_t flags = rnd(h, 3) ? PTE_P | PTE_RW | PTE_US : PTE_P | PTE_US;

    if (rnd(h, 6) == 0)
        return 0;
    if (rnd(h, 2))
        flags |= PTE_A | (flags & PTE_RW ? PTE_D : 0);
    return mfn_pte(va_mfn(h->data[rnd(h, DATA)]), flags);
}

/* --- what it looks like -------------------------------------------------------------------------------------- */

static char *page_of(struct hammer *h, uint64_t e)
{
    for (unsigned int i = 0; i < DATA; i++)
        if (va_mfn(h->data[i]) == (e & PTE_ADDR) / PAGE)
            return h->data[i];
    return NULL;
}

/* One access, and what must come of it. */
static void look(struct hammer *h)
{
    unsigned int i = (unsigned int)rnd(h, VAS);
    uint64_t e = h->live < 2 ? h->entry[h->live][i] : 0, got = 0;
    volatile uint64_t *at = va(h, i);
    bool write = rnd(h, 2);
    int trap;

    if (write)
        trap = TRAPS(at[1 + h->id] = h->steps);
    else
        trap = TRAPS(got = at[0]);
    if (!(e & PTE_P) || (write && !(e & PTE_RW))) {
        expect(h, trap == VEC_PF, "an access that is not allowed", (uint64_t)trap, e);
        return;
    }
    expect(h, trap == NOTRAP, "a fault that should not be", (uint64_t)trap, e);
    if (trap == NOTRAP && !write)
        expect(h, got == (uint64_t)page_of(h, e), "another page", got, e);
    if (trap == NOTRAP && write)
        expect(h, ((volatile uint64_t *)page_of(h, e))[1 + h->id] == h->steps, "a write that went elsewhere", h->steps, e);
}

static void tables_right(struct hammer *h)
{
    for (unsigned int t = 0; t < 2; t++)
        for (unsigned int i = 0; i < VAS; i++)
            expect(h, !((now(&h->l1[t][i]) ^ h->entry[t][i]) & ~(PTE_A | PTE_D)), "an entry", now(&h->l1[t][i]), h->entry[t][i]);
}

/* Accessed and dirty bits come with the first use, and only then. */
static void bits_right(struct hammer *h)
{
    unsigned int i = (unsigned int)rnd(h, VAS), t = h->live;
    uint64_t e;

    if (t == 2 || !(h->entry[t][i] & PTE_RW))
        return;
    e = h->entry[t][i] & ~(PTE_A | PTE_D);
    if (mmu_update1(va_maddr(&h->l1[t][i]), e) || mmuext(MMUEXT_INVLPG_LOCAL, (uint64_t)va(h, i), 0)) {
        wrong(h, "clearing bits was refused", e, 0);
        return;
    }
    expect(h, !(now(&h->l1[t][i]) & (PTE_A | PTE_D)), "bits without use", now(&h->l1[t][i]), 0);
    (void)*va(h, i);
    expect(h, (now(&h->l1[t][i]) & (PTE_A | PTE_D)) == PTE_A, "accessed after a read", now(&h->l1[t][i]), PTE_A);
    va(h, i)[1 + h->id] = h->steps;
    expect(h, (now(&h->l1[t][i]) & (PTE_A | PTE_D)) == (PTE_A | PTE_D), "dirty after a write", now(&h->l1[t][i]), PTE_A | PTE_D);
}

/* --- larger changes --------------------------------------------------------------------------------------------- */

static void one_entry(struct hammer *h)
{
    unsigned int t = (unsigned int)rnd(h, 2), i = (unsigned int)rnd(h, VAS);
    uint64_t e = some_entry(h);

    if (t == h->live && rnd(h, 4) == 0) {
        expect(h, !update_va((void *)va(h, i), e, UVMF_INVLPG | UVMF_LOCAL), "update_va_mapping", e, 0);
    } else {
        expect(h, !change(h, &h->l1[t][i], e), "a change of an entry", e, 0);
        flush(h, i);
    }
    h->entry[t][i] = e;
}

static void many_entries(struct hammer *h)
{
    struct mmu_update u[8];
    unsigned int t = (unsigned int)rnd(h, 2), first = (unsigned int)rnd(h, VAS - 8);

    for (unsigned int k = 0; k < 8; k++) {
        h->entry[t][first + k] = some_entry(h);
        u[k] = (struct mmu_update){va_maddr(&h->l1[t][first + k]), h->entry[t][first + k]};
    }
    expect(h, !HC4(mmu_update, u, 8, NULL, DOMID_SELF), "changes of eight entries", first, 0);
    mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
}

/* The l2 names the other l1, or none. */
static void other_l1(struct hammer *h)
{
    unsigned int to = (unsigned int)rnd(h, 3);
    uint64_t e = to == 2 ? 0 : mfn_pte(va_mfn(h->l1[to]), TAB_FLAGS);

    expect(h, !change(h, &h->l2[0], e), "a change of a level-2 entry", e, 0);
    mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
    h->live = to;
}

/* An l1 that is not named stops being a table, is written as memory, and becomes one again. */
static void retype(struct hammer *h)
{
    unsigned int t = h->live == 0 ? 1 : 0;
    uint64_t *table = h->l1[t];

    if (h->live == t || mmuext(MMUEXT_UNPIN_TABLE, va_mfn(table), 0)) {
        wrong(h, "unpinning", t, h->live);
        return;
    }
    expect(h, !kit_set_rw(table), "a former table cannot be written", t, 0);
    for (unsigned int i = 0; i < VAS; i++)
        table[i] = h->entry[t][i] = some_entry(h);
    expect(h, !kit_set_ro(table), "protecting a page", t, 0);
    expect(h, !mmuext(MMUEXT_PIN_L1_TABLE, va_mfn(table), 0), "pinning", t, 0);
}

static void other_root(struct hammer *h)
{
    uint64_t to = rnd(h, 2) ? va_mfn(other_top) : kit_top();

    expect(h, !mmuext(MMUEXT_NEW_BASEPTR, to, 0), "new_baseptr", to, 0);
}

/* Its own level-4 table as a level-1 table. */
static void linear(struct hammer *h)
{
    uint64_t *top = (uint64_t *)kit_si->pt_base, want, got = 0, s = LINEAR + h->id;
    int trap;

    expect(h, !mmuext(MMUEXT_NEW_BASEPTR, kit_top(), 0), "new_baseptr", kit_top(), 0);
    expect(h, !mmu_update1(va_maddr(&top[s]), mfn_pte(kit_top(), PTE_P | PTE_US)), "a linear mapping", s, 0);
    trap = TRAPS(got = ((volatile uint64_t *)(s << 39 | s << 30 | s << 21 | s << 12))[SLOT + h->id]);
    want = now(&top[SLOT + h->id]);
    expect(h, trap == NOTRAP && !((got ^ want) & ~(PTE_A | PTE_D)), "the linear mapping", got, want);
    trap = TRAPS(((volatile uint64_t *)(s << 39 | s << 30 | s << 21 | s << 12))[500] = 1);
    expect(h, trap == VEC_PF && !now(&top[500]), "a write by the linear mapping", (uint64_t)trap, now(&top[500]));
    expect(h, !mmu_update1(va_maddr(&top[s]), 0), "removing the linear mapping", s, 0);
    mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
}

static void pages(struct hammer *h)
{
    expect(h, !mmuext(MMUEXT_CLEAR_PAGE, va_mfn(h->spare), 0), "clear_page", 0, 0);
    expect(h, !*(volatile uint64_t *)(h->spare + 800), "a cleared page", *(uint64_t *)(h->spare + 800), 0);
    *(volatile uint64_t *)(h->spare + 800) = h->steps;
    expect(h, mmu_update1(va_maddr(h->spare + 16), h->steps) == 0, "an update of an ordinary page", 0, 0);
    expect(h, ((volatile uint64_t *)h->spare)[2] == h->steps, "an ordinary page", ((uint64_t *)h->spare)[2], h->steps);
}

static void step(struct hammer *h)
{
    switch (rnd(h, 24)) {
    case 0:
        other_l1(h);
        break;
    case 1:
        if (rnd(h, 4) == 0) /* asks others to flush */
            retype(h);
        break;
    case 2:
        other_root(h);
        break;
    case 3:
        linear(h);
        break;
    case 4:
        pages(h);
        break;
    case 5:
        many_entries(h);
        break;
    case 6:
        tables_right(h);
        break;
    case 7 ... 8:
        bits_right(h);
        break;
    case 9 ... 14:
        one_entry(h);
        break;
    default:
        look(h);
    }
    h->steps++;
}

/* --- life ------------------------------------------------------------------------------------------------------- */

static void run(void *arg)
{
    struct hammer *h = arg;

    while (!h->wrong && (for_ever || h->steps < STEPS))
        step(h);
    mmuext(MMUEXT_NEW_BASEPTR, kit_top(), 0);
    h->done = true;
    while (for_ever)
        cpu_relax();
}

static void make(unsigned int id)
{
    struct hammer *h = &hammer[id];
    uint64_t *top = (uint64_t *)kit_si->pt_base;

    h->id = id;
    h->seed = 88172645463325252ULL + id * 77;
    for (unsigned int i = 0; i < DATA; i++) {
        h->data[i] = kit_page();
        *(uint64_t *)h->data[i] = (uint64_t)h->data[i];
    }
    h->spare = kit_page();
    h->l1[0] = kit_page();
    h->l1[1] = kit_page();
    h->l2 = kit_page();
    h->l3 = kit_page();
    h->l2[0] = mfn_pte(va_mfn(h->l1[0]), TAB_FLAGS);
    h->l3[0] = mfn_pte(va_mfn(h->l2), TAB_FLAGS);
    if (kit_set_ro(h->l1[0]) || kit_set_ro(h->l1[1]) || kit_set_ro(h->l2) || kit_set_ro(h->l3) ||
        mmuext(MMUEXT_PIN_L1_TABLE, va_mfn(h->l1[0]), 0) || mmuext(MMUEXT_PIN_L1_TABLE, va_mfn(h->l1[1]), 0) ||
        mmu_update1(va_maddr(&top[SLOT + id]), mfn_pte(va_mfn(h->l3), TAB_FLAGS)))
        wrong(h, "making tables", id, 0);
}

/* The same as the first one, without the linear slots. */
static void make_root(void)
{
    other_top = kit_page();
    memcpy(other_top, (void *)kit_si->pt_base, PAGE);
    memset(other_top + 256, 0, 16 * 8);
    if (kit_set_ro(other_top) || mmuext(MMUEXT_PIN_L4_TABLE, va_mfn(other_top), 0))
        wrong(&hammer[0], "making another root", 0, 0);
}

static void say(const char *s)
{
    for (; *s && ring->out_prod - ring->out_cons < sizeof(ring->out); s++) {
        ring->out[MASK_XENCONS_IDX(ring->out_prod, ring->out)] = *s;
        barrier();
        ring->out_prod++;
    }
    evtchn_send(kit_si->console.domU.evtchn);
}

static void say_number(const char *what, uint64_t v)
{
    char text[24], *o = text + sizeof(text) - 1;

    *o = 0;
    do
        *--o = "0123456789abcdef"[v % 16];
    while (v /= 16);
    say(what);
    say(o);
}

/* Vcpu 0's turns tell of both. */
static void tell(unsigned int n)
{
    for (unsigned int i = 0; i < n; i++)
        if (hammer[i].wrong) {
            say("guest: hammer is wrong: ");
            say(hammer[i].wrong);
            say_number(": seen 0x", hammer[i].seen);
            say_number(", wanted 0x", hammer[i].wanted);
            say("\r\n");
            for (;;)
                sched_op(SCHEDOP_block, NULL);
        }
    say_number("guest: hammer 0x", hammer[0].steps);
    say_number(" 0x", hammer[1].steps);
    say(" steps are right\r\n");
}

static void live(unsigned int n)
{
    uint64_t next = 0;

    ring = mfn_va(kit_si->console.domU.mfn);
    if (!ring)
        kit_fatal("the console's page is not mapped");
    kit_shared->arch.max_pfn = kit_si->nr_pages; /* for who copies us */
    for_ever = true;
    for (;;) {
        if (!hammer[0].wrong)
            step(&hammer[0]);
        if (kit_now() >= next || hammer[0].wrong || hammer[1].wrong) {
            tell(n);
            next = kit_now() + 500000000UL;
        }
    }
}

void guest_main(void)
{
    unsigned int n = 1;
    bool priv = kit_si->flags & SIF_INITDOMAIN;

    make(0);
    make(1);
    make_root();
    for_ever = !priv;
    if (!kit_cpu_start(1, run, &hammer[1]))
        n = 2;
    if (!priv)
        live(n);
    run(&hammer[0]);
    if (n == 2)
        CHECK("second-vcpu-ends", WAIT_FOR(hammer[1].done, 60000));
    for (unsigned int i = 0; i < n; i++)
        kit_check(!hammer[i].wrong, i ? "second-vcpu-all-right" : "first-vcpu-all-right", "%s: seen 0x%lx, wanted 0x%lx, after %lu steps",
                  hammer[i].wrong, hammer[i].seen, hammer[i].wanted, hammer[i].steps);
    CHECK("all-steps", hammer[0].steps == STEPS && (n == 1 || hammer[1].steps == STEPS));
}
