/* SPDX-License-Identifier: MIT */
/*
 * grants: grant tables, version 1, granting to oneself. Set-up and growth of the table, mapping by
 * address and by page-table entry, read-only and writable, the in-use bits in the entry, unmapping,
 * copying, and refusal of bad references, handles, addresses and access that was not granted.
 */
#include "kit.h"
#include "region.h"

static struct grant_entry_v1 *table;
static char *page, *page2;

static long gop(unsigned int op, void *arg, unsigned int n)
{
    return HC3(grant_table_op, op, arg, n);
}

static void grant(unsigned int ref, const void *va, uint16_t flags)
{
    table[ref].domid = 0;
    table[ref].frame = (uint32_t)va_mfn(va);
    barrier();
    table[ref].flags = flags;
}

static void set_up(void)
{
    xen_pfn_t frame[2] = {0};
    struct gnttab_setup_table s = {.dom = DOMID_SELF, .nr_frames = 1};
    struct gnttab_query_size q = {.dom = DOMID_SELF};
    struct gnttab_get_version v = {.dom = DOMID_SELF};

    set_xen_guest_handle(s.frame_list, frame);
    CHECK("setup-table",
          gop(GNTTABOP_setup_table, &s, 1) == 0 && s.status == GNTST_okay && frame[0]);
    CHECK("query-size", gop(GNTTABOP_query_size, &q, 1) == 0 && q.status == GNTST_okay &&
                            q.nr_frames >= 1 && q.max_nr_frames >= q.nr_frames);
    CHECK("version-1", gop(GNTTABOP_get_version, &v, 1) == 0 && v.version == 1);
    table = kit_page();
    CHECK_EQ("map-table", update_va(table, mfn_pte(frame[0], PTE_KERN), UVMF_INVLPG), 0);
    s.nr_frames = 0x10000;
    gop(GNTTABOP_setup_table, &s, 1);
    CHECK("setup-table-too-large", s.status != GNTST_okay);
    s.nr_frames = 1;
    s.dom = 999;
    gop(GNTTABOP_setup_table, &s, 1);
    CHECK_EQ("setup-table-bad-domain", s.status, GNTST_bad_domain);
}

static struct gnttab_map_grant_ref map(uint64_t addr, uint32_t flags, grant_ref_t ref, domid_t dom)
{
    struct gnttab_map_grant_ref m = {
        .host_addr = addr, .flags = flags, .ref = ref, .dom = dom, .status = 77};
    long rc = gop(GNTTABOP_map_grant_ref, &m, 1);
    if (rc)
        m.status = (int16_t)(1000 + rc);
    return m;
}

static int unmap(uint64_t addr, grant_handle_t handle)
{
    struct gnttab_unmap_grant_ref u = {.host_addr = addr, .handle = handle, .status = 77};
    long rc = gop(GNTTABOP_unmap_grant_ref, &u, 1);
    return rc ? (int)(1000 + rc) : u.status;
}

static void map_by_address(void)
{
    uint64_t va = (uint64_t)region(0);
    struct gnttab_map_grant_ref m, r;

    page[0] = 'g';
    grant(8, page, GTF_permit_access);
    m = map(va, GNTMAP_host_map, 8, 0);
    CHECK_EQ("map", m.status, GNTST_okay);
    CHECK("map-sees-page", TRAPS(*region(0)) == NOTRAP && *region(0) == 'g');
    CHECK_EQ("map-flags-in-use", table[8].flags & (GTF_reading | GTF_writing),
             GTF_reading | GTF_writing);
    CHECK("map-dev-bus-addr", !(m.flags & GNTMAP_device_map) || m.dev_bus_addr == va_maddr(page));
    TRAPS(*region(0) = 'h');
    CHECK_EQ("map-writes-page", page[0], 'h');
    r = map((uint64_t)region(1), GNTMAP_host_map | GNTMAP_readonly, 8, 0);
    CHECK("map-twice-read-only", r.status == GNTST_okay && r.handle != m.handle);
    CHECK_TRAP("map-read-only-write", VEC_PF, *region(1) = 1);
    CHECK_EQ("unmap-wrong-address", unmap((uint64_t)region(2), m.handle) != GNTST_okay, 1);
    CHECK_EQ("unmap", unmap(va, m.handle), GNTST_okay);
    CHECK_TRAP("unmap-gone", VEC_PF, *region(0));
    CHECK_EQ("unmap-flags-still-reading", table[8].flags & (GTF_reading | GTF_writing),
             GTF_reading);
    CHECK("unmap-twice", unmap(va, m.handle) == GNTST_bad_handle);
    CHECK_EQ("unmap-second", unmap((uint64_t)region(1), r.handle), GNTST_okay);
    CHECK_EQ("unmap-flags-free", table[8].flags, GTF_permit_access);
    m = map(va, GNTMAP_host_map, 8, 0);
    CHECK("map-after-unmap", m.status == GNTST_okay);
    unmap(va, m.handle);
}

static void map_by_entry(void)
{
    uint64_t pte = va_maddr(&region_l1[3]);
    struct gnttab_map_grant_ref m = map(pte, GNTMAP_host_map | GNTMAP_contains_pte, 8, 0);

    CHECK_EQ("map-entry", m.status, GNTST_okay);
    CHECK("map-entry-sees-page", TRAPS(*region(3)) == NOTRAP && *region(3) == 'h');
    CHECK("unmap-entry-wrong", unmap(va_maddr(&region_l1[4]), m.handle) != GNTST_okay);
    CHECK_EQ("unmap-entry", unmap(pte, m.handle), GNTST_okay);
    CHECK_EQ("unmap-entry-clear", region_l1[3] & PTE_P, 0);
    m = map(va_maddr(page2), GNTMAP_host_map | GNTMAP_contains_pte, 8, 0);
    CHECK("map-entry-in-ordinary-page", m.status < 0);
    m = map(0x1000, GNTMAP_host_map | GNTMAP_contains_pte, 8, 0);
    CHECK("map-entry-in-foreign-frame", m.status < 0);
    m = map(kit_top() * PAGE + 8, GNTMAP_host_map | GNTMAP_contains_pte, 8, 0);
    CHECK("map-entry-in-l4", m.status < 0);
}

static void refusals(void)
{
    uint64_t va = (uint64_t)region(5);
    static const struct {
        const char *name;
        uint64_t addr;
        uint32_t flags;
        grant_ref_t ref;
        domid_t dom;
    } t[] = {{"map-no-grant", 0, GNTMAP_host_map, 9, 0},
             {"map-bad-ref", 0, GNTMAP_host_map, 1 << 20, 0},
             {"map-huge-ref", 0, GNTMAP_host_map, 0xffffffff, 0},
             {"map-bad-domain", 0, GNTMAP_host_map, 8, 999},
             {"map-no-flags", 0, 0, 8, 0},
             {"map-hypervisor", HV_START, GNTMAP_host_map, 8, 0},
             {"map-noncanonical", 0x800000000000, GNTMAP_host_map, 8, 0},
             {"map-no-table", 0x600000000000, GNTMAP_host_map, 8, 0},
             {"map-read-only-grant-writable", 0, GNTMAP_host_map, 10, 0},
             {"map-for-other-domain", 0, GNTMAP_host_map, 11, 0},
             {"map-bad-frame", 0, GNTMAP_host_map, 12, 0},
             {"map-page-table-writable", 0, GNTMAP_host_map, 13, 0}};

    grant(10, page, GTF_permit_access | GTF_readonly);
    grant(11, page, GTF_permit_access);
    table[11].domid = 7;
    grant(12, page, GTF_permit_access);
    table[12].frame = 0xfffffff0;
    grant(13, region_l1, GTF_permit_access);
    for (unsigned int i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        struct gnttab_map_grant_ref m =
            map(t[i].addr ? t[i].addr : va, t[i].flags, t[i].ref, t[i].dom);
        kit_check(m.status < 0, t[i].name, "status %d", m.status);
    }
    CHECK_EQ("refused-no-trace", region_l1[5], 0);
    CHECK_EQ("refused-flags", table[10].flags, GTF_permit_access | GTF_readonly);
    CHECK_EQ("unmap-bad-handle", unmap(va, 0xffff), GNTST_bad_handle);
    CHECK_EQ("unmap-huge-handle", unmap(va, 0xffffffff), GNTST_bad_handle);
    CHECK_EQ("bad-op", gop(99, page, 1), -XEN_ENOSYS);
    CHECK_EQ("bad-pointer", gop(GNTTABOP_map_grant_ref, (void *)8, 1), -XEN_EFAULT);
    CHECK_EQ("negative-count", gop(GNTTABOP_map_grant_ref, page, 0xffffffff) < 0, 1);
}

static int copy(grant_ref_t ref, bool to_ref, void *local, unsigned int off, unsigned int len)
{
    struct gnttab_copy c = {.len = (uint16_t)len,
                            .flags = to_ref ? GNTCOPY_dest_gref : GNTCOPY_source_gref,
                            .status = 77};
    __typeof__(c.dest) *g = to_ref ? &c.dest : &c.source, *l = to_ref ? &c.source : &c.dest;
    long rc;

    g->u.ref = ref;
    g->domid = 0;
    g->offset = (uint16_t)off;
    l->u.gmfn = va_mfn(local);
    l->domid = DOMID_SELF;
    rc = gop(GNTTABOP_copy, &c, 1);
    return rc ? (int)(1000 + rc) : c.status;
}

static void copies(void)
{
    memset(page, 'x', PAGE);
    memset(page2, 0, PAGE);
    CHECK_EQ("copy-from-grant", copy(8, false, page2, 100, 50), GNTST_okay);
    CHECK("copy-from-grant-bytes", page2[0] == 'x' && page2[49] == 'x' && page2[50] == 0);
    memset(page2, 'y', PAGE);
    CHECK_EQ("copy-to-grant", copy(8, true, page2, 4000, 96), GNTST_okay);
    CHECK("copy-to-grant-bytes", page[3999] == 'x' && page[4000] == 'y' && page[4095] == 'y');
    CHECK_EQ("copy-across-page-end", copy(8, true, page2, 4000, 97), GNTST_bad_copy_arg);
    CHECK("copy-to-read-only-grant", copy(10, true, page2, 0, 10) < 0);
    CHECK_EQ("copy-from-read-only-grant", copy(10, false, page2, 0, 10), GNTST_okay);
    CHECK("copy-no-grant", copy(9, false, page2, 0, 10) < 0);
    CHECK("copy-bad-ref", copy(0xffffffff, false, page2, 0, 10) < 0);
    CHECK("copy-over-page-table", copy(8, false, region_l1, 0, 10) < 0);
    CHECK_EQ("copy-flags-free", table[8].flags & (GTF_reading | GTF_writing), 0);
    table[8].flags = 0;
    CHECK("copy-after-revoke", copy(8, false, page2, 0, 10) < 0);
}

void guest_main(void)
{
    page = kit_page();
    page2 = kit_page();
    CHECK("region", region_make());
    set_up();
    map_by_address();
    map_by_entry();
    refusals();
    copies();
}
