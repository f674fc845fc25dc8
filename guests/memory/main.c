/* SPDX-License-Identifier: MIT */
/*
 * memory: giving frames back and taking them, exchanging them, the sizes and maps that the
 * hypervisor reports, and multicalls with good, bad and forbidden calls in them.
 */
#include "kit.h"

static xen_pfn_t list[64], list2[64];

static long mop(unsigned int op, void *arg)
{
    return HC2(memory_op, op, arg);
}

static struct xen_memory_reservation res(xen_pfn_t *l, unsigned long n, unsigned int order)
{
    struct xen_memory_reservation r = {.nr_extents = n, .extent_order = order, .domid = DOMID_SELF};
    set_xen_guest_handle(r.extent_start, l);
    return r;
}

static void give_and_take(void)
{
    struct xen_memory_reservation r;
    domid_t self = DOMID_SELF;
    long now = mop(XENMEM_current_reservation, &self);
    unsigned long pfn = kit_si->nr_pages - 100, first;

    CHECK("current-reservation", now >= 8000 && now <= (long)kit_si->nr_pages + 64);
    CHECK("maximum-reservation", mop(XENMEM_maximum_reservation, &self) >= now);
    CHECK("maximum-ram-page", mop(XENMEM_maximum_ram_page, NULL) >= 0x10000);
    for (int i = 0; i < 16; i++)
        list[i] = kit_p2m[pfn + (unsigned long)i];
    first = list[0];
    r = res(list, 16, 0);
    CHECK_EQ("decrease", mop(XENMEM_decrease_reservation, &r), 16);
    CHECK_EQ("decrease-counted", mop(XENMEM_current_reservation, &self), now - 16);
    CHECK_FAILS("given-frame-not-mappable",
                update_va(kit_page(), mfn_pte(first, PTE_KERN), UVMF_INVLPG));
    r = res(list, 4, 0);
    CHECK_EQ("decrease-not-ours-any-more", mop(XENMEM_decrease_reservation, &r), 0);
    for (unsigned long i = 0; i < 16; i++)
        list[i] = pfn + i;
    r = res(list, 16, 0);
    CHECK_EQ("populate", mop(XENMEM_populate_physmap, &r), 16);
    CHECK_EQ("populate-counted", mop(XENMEM_current_reservation, &self), now);
    CHECK("populate-gives-frames", list[0] != pfn && list[0] != list[1] && list[15] != pfn + 15);
    CHECK_EQ("populate-m2p", machine_to_phys_mapping[list[3]], pfn + 3);
    char *win = kit_page();
    CHECK_EQ("populated-mappable", update_va(win, mfn_pte(list[3], PTE_KERN), UVMF_INVLPG), 0);
    CHECK("populated-is-zero", win[0] == 0 && win[4095] == 0);
    win[0] = 1;
    r = res(list + 3, 1, 0);
    mop(XENMEM_decrease_reservation, &r);
    CHECK("frame-in-use-stays-readable", win[0] == 1 || win[0] == 0);
    for (unsigned long i = 0; i < 16; i++)
        kit_p2m[pfn + i] = list[i];
}

static void refusals(void)
{
    struct xen_memory_reservation r = res((xen_pfn_t *)8, 4, 0);
    domid_t none = 999;
    xen_pfn_t table = kit_top(), far = 0xffffffffffff;

    CHECK("decrease-bad-pointer", mop(XENMEM_decrease_reservation, &r) <= 0);
    CHECK("populate-bad-pointer", mop(XENMEM_populate_physmap, &r) <= 0);
    r = res(list, 1UL << 60, 0);
    CHECK("decrease-huge-count", mop(XENMEM_decrease_reservation, &r) <= 0);
    CHECK("populate-huge-count", mop(XENMEM_populate_physmap, &r) <= 0);
    r = res(list, 1, 60);
    CHECK("decrease-huge-order", mop(XENMEM_decrease_reservation, &r) <= 0);
    list[0] = 5000;
    CHECK("populate-huge-order", mop(XENMEM_populate_physmap, &r) <= 0);
    r = res(&far, 1, 0);
    CHECK("decrease-frame-beyond", mop(XENMEM_decrease_reservation, &r) <= 0);
    r = res(&table, 1, 0);
    mop(XENMEM_decrease_reservation,
        &r); /* taken off the list, or refused; the table lives on while used */
    CHECK_EQ("page-table-lives", (long)(kit_pte(list, 1) != NULL), 1);
    r = res(list, 1, 0);
    r.domid = 999;
    CHECK("decrease-no-domain", mop(XENMEM_decrease_reservation, &r) <= 0);
    CHECK_EQ("reservation-of-none", mop(XENMEM_current_reservation, &none), -XEN_ESRCH);
    CHECK_EQ("bad-op", mop(63, list), -XEN_ENOSYS);
    CHECK_EQ("bad-argument", mop(XENMEM_current_reservation, (void *)8), -XEN_EFAULT);
}

static void exchange(void)
{
    struct xen_memory_exchange x = {0};
    unsigned long pfn = kit_si->nr_pages - 200;

    for (unsigned long i = 0; i < 4; i++) {
        list[i] = kit_p2m[pfn + i];
        list2[i] = pfn;
    }
    x.in = res(list, 4, 0);
    x.out = res(list2, 1, 2);
    long rc = mop(XENMEM_exchange, &x);
    kit_check(!rc && x.nr_exchanged == 4, "exchange", "rc %ld, %lu exchanged", rc,
              (unsigned long)x.nr_exchanged);
    CHECK("exchange-contiguous-aligned", list2[0] % 4 == 0 && list2[0] != pfn);
    CHECK_EQ("exchange-m2p", machine_to_phys_mapping[list2[0] + 2], pfn + 2);
    x.nr_exchanged = 0;
    x.out.nr_extents = 2;
    CHECK_EQ("exchange-uneven", mop(XENMEM_exchange, &x), -XEN_EINVAL);
    x.out.nr_extents = 1;
    x.nr_exchanged = 99;
    CHECK_FAILS("exchange-started-beyond", mop(XENMEM_exchange, &x));
    x.nr_exchanged = 0;
    x.in.extent_order = 40;
    CHECK_FAILS("exchange-huge-order", mop(XENMEM_exchange, &x));
}

static void maps(void)
{
    static struct {
        uint64_t addr, size;
        uint32_t type;
    } __attribute__((packed)) e820[128];
    struct xen_memory_map m = {.nr_entries = 128};
    struct xen_machphys_mapping mp;
    struct xen_machphys_mfn_list ml = {.max_extents = 8};
    unsigned long ram = 0;

    set_xen_guest_handle(m.buffer, (void *)e820);
    CHECK_EQ("machine-memory-map", mop(XENMEM_machine_memory_map, &m), 0);
    for (unsigned int i = 0; i < m.nr_entries; i++)
        ram += e820[i].type == 1 ? e820[i].size : 0;
    CHECK("machine-memory-map-ram", m.nr_entries > 2 && ram > 400UL << 20);
    m.nr_entries = 1;
    CHECK("machine-memory-map-short", mop(XENMEM_machine_memory_map, &m) <= 0 && m.nr_entries <= 1);
    CHECK_EQ("machphys-mapping", mop(XENMEM_machphys_mapping, &mp), 0);
    CHECK("machphys-mapping-place", mp.v_start == MACH2PHYS_VIRT_START &&
                                        mp.v_end == MACH2PHYS_VIRT_END && mp.max_mfn >= 0x10000);
    set_xen_guest_handle(ml.extent_start, list);
    CHECK("machphys-mfn-list",
          mop(XENMEM_machphys_mfn_list, &ml) == 0 && ml.nr_extents >= 1 && list[0]);
    CHECK_FAILS("machphys-frame-not-writable",
                update_va(kit_page(), mfn_pte(list[0], PTE_KERN), UVMF_INVLPG));
}

static void multicalls(void)
{
    struct multicall_entry m[5] = {
        {.op = __HYPERVISOR_xen_version, .args = {XENVER_version, 0}},
        {.op = 63},
        {.op = __HYPERVISOR_multicall, .args = {(unsigned long)m, 1}},
        {.op = 0xffffffffffffffff},
        {.op = __HYPERVISOR_xen_version, .args = {XENVER_extraversion, 8}}};

    CHECK_EQ("multicall", HC2(multicall, m, 5), 0);
    CHECK_EQ("multicall-good", m[0].result, 4 << 16 | 17);
    CHECK_EQ("multicall-unknown", m[1].result, -XEN_ENOSYS);
    CHECK_FAILS("multicall-nested", m[2].result);
    CHECK_FAILS("multicall-unknown-huge", m[3].result);
    CHECK_EQ("multicall-fault-inside", m[4].result, -XEN_EFAULT);
    CHECK_EQ("multicall-none", HC2(multicall, m, 0), 0);
    CHECK_EQ("multicall-bad-pointer", HC2(multicall, 8, 1), -XEN_EFAULT);
    char *ro = kit_page();
    memcpy(ro, m, sizeof(m));
    kit_set_ro(ro);
    CHECK_FAILS("multicall-result-not-writable", HC2(multicall, ro, 1));
}

void guest_main(void)
{
    give_and_take();
    exchange();
    maps();
    multicalls();
    refusals();
}
