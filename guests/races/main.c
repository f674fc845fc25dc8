/* SPDX-License-Identifier: MIT */
/*
 * races: two vCPUs do the same things to the same objects at the same time. A frame is never
 * writable and a page table at once, whoever wins; ports bound and closed by one while the other
 * sends, and grants mapped by one while the other revokes and copies, leave nothing behind:
 * afterwards every frame can be made writable, and every port and grant is free.
 *
 * run: --smp 2 --timeout 90
 */
#include "kit.h"
#include "region.h"

enum { PAGES = 3, ROUNDS = 1500 };
static uint64_t *page[PAGES];
static struct grant_entry_v1 *table;
static volatile unsigned int phase, done, wins[2][4], broken[5];
static volatile int port[2];
static uint64_t seed[2] = {88172645463325252, 1234567891011};

static unsigned int rnd(void)
{
    uint64_t *s = &seed[cpu()->id];
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return (unsigned int)(*s >> 8);
}

/* Each vCPU has its own window on each page; the page is writable through it, or a pinned table, or
 * neither. */
static void round_types(unsigned int id)
{
    unsigned int p = rnd() % PAGES, win = id * 8 + p;
    uint64_t *entry = &region_l1[win];
    volatile uint64_t *va = (volatile uint64_t *)region(win);
    unsigned int level = rnd() % 2;

    if (rnd() % 2) {
        if (mmu_update1(va_maddr(entry), mfn_pte(va_mfn(page[p]), PTE_KERN)))
            return;
        wins[id][0]++;
        broken[0] += TRAPS(va[7] = 0x123456789) != NOTRAP;
        broken[1] += mmuext(MMUEXT_PIN_L1_TABLE + level, va_mfn(page[p]), 0) == 0;
        va[7] = 0;
    } else if (!mmuext(MMUEXT_PIN_L1_TABLE + level, va_mfn(page[p]), 0)) {
        wins[id][1]++;
        broken[2] += mmu_update1(va_maddr(entry), mfn_pte(va_mfn(page[p]), PTE_KERN)) == 0;
        broken[3] += mmuext(MMUEXT_UNPIN_TABLE, va_mfn(page[p]), 0) != 0;
    }
    mmu_update1(va_maddr(entry), 0);
    mmuext(MMUEXT_INVLPG_ALL, (uint64_t)va, 0);
}

static void round_events(unsigned int id)
{
    struct evtchn_bind_interdomain b = {.remote_dom = DOMID_SELF};
    int p = evtchn_alloc(DOMID_SELF);

    port[id] = p;
    b.remote_port = (evtchn_port_t)(rnd() % 2 ? p : port[!id]);
    if (!evtchn_op(EVTCHNOP_bind_interdomain, &b)) {
        wins[id][2]++;
        evtchn_send(b.local_port);
        evtchn_close(b.local_port);
    }
    evtchn_send((unsigned int)port[!id]);
    evtchn_close((unsigned int)p);
}

static void round_grants(unsigned int id)
{
    struct gnttab_map_grant_ref m = {
        .host_addr = (uint64_t)region(32 + id), .flags = GNTMAP_host_map, .ref = 8};
    struct gnttab_unmap_grant_ref u = {.host_addr = m.host_addr};

    m.flags |= rnd() % 2 ? GNTMAP_readonly : 0;
    if (rnd() % 4 == 0)
        __atomic_fetch_xor(&table[8].flags, GTF_permit_access, __ATOMIC_SEQ_CST);
    HC3(grant_table_op, GNTTABOP_map_grant_ref, &m, 1);
    if (m.status)
        return;
    wins[id][3]++;
    u.handle = m.handle;
    HC3(grant_table_op, GNTTABOP_unmap_grant_ref, &u, 1);
    broken[4] += u.status != 0;
}

static void all_rounds(unsigned int id)
{
    static void (*const todo[])(unsigned int) = {round_types, round_events, round_grants};

    for (unsigned int t = 0; t < 3; t++) {
        __atomic_fetch_add(&phase, 1, __ATOMIC_SEQ_CST);
        WAIT_FOR(phase >= 2 * (t + 1), 5000); /* both start together */
        for (unsigned int i = 0; i < ROUNDS; i++)
            todo[t](id);
    }
    __atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
}

static void second(void *arg)
{
    all_rounds(1);
}

static void set_up(void)
{
    xen_pfn_t frame = 0;
    struct gnttab_setup_table s = {.dom = DOMID_SELF, .nr_frames = 1};

    for (unsigned int i = 0; i < PAGES; i++) {
        page[i] = kit_page();
        kit_set_ro(page[i]);
    }
    table = kit_page();
    set_xen_guest_handle(s.frame_list, &frame);
    HC3(grant_table_op, GNTTABOP_setup_table, &s, 1);
    CHECK_EQ("grant-table", update_va(table, mfn_pte(frame, PTE_KERN), UVMF_INVLPG), 0);
    table[8].frame = (uint32_t)va_mfn(kit_page());
    table[8].flags = GTF_permit_access;
    CHECK("region", region_make());
}

void guest_main(void)
{
    unsigned int free_ports = 0, writable = 0;

    set_up();
    CHECK_EQ("start", kit_cpu_start(1, second, NULL), 0);
    all_rounds(0);
    CHECK("both-end", WAIT_FOR(done == 2, 30000));
    kit_check(wins[0][0] && wins[1][0] && wins[0][1] && wins[1][1] && wins[0][2] && wins[1][3],
              "each-wins-sometimes", "%u %u, %u %u, %u %u, %u %u", wins[0][0], wins[1][0],
              wins[0][1], wins[1][1], wins[0][2], wins[1][2], wins[0][3], wins[1][3]);
    CHECK_EQ("writable-means-writable", broken[0], 0);
    CHECK_EQ("writable-is-never-pinned", broken[1], 0);
    CHECK_EQ("pinned-is-never-writable", broken[2], 0);
    CHECK_EQ("unpin-what-we-pinned", broken[3], 0);
    CHECK_EQ("unmap-what-we-mapped", broken[4], 0);
    for (unsigned int i = 0; i < PAGES; i++)
        writable += kit_set_rw(page[i]) == 0;
    CHECK_EQ("no-type-left-behind", writable, PAGES);
    for (int i = 0; i < 4; i++) {
        int p = evtchn_alloc(DOMID_SELF);
        free_ports += p > 0 && p < 16;
    }
    CHECK_EQ("no-port-left-behind", free_ports, 4);
    CHECK_EQ("no-grant-left-in-use", table[8].flags & (GTF_reading | GTF_writing), 0);
}
