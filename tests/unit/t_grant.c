/* SPDX-License-Identifier: MIT */
/*
 * Grant tables: the rules of each sub-operation, then random mapping, revoking, copying and dying of three domains
 * against a model that counts references of every frame.
 * sources: hypervisor/common/grant.c hypervisor/common/grant_table.c hypervisor/common/grant_entry.c hypervisor/common/grant_map.c hypervisor/common/grant_copy.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "grant_env.h"

/* --- short forms --------------------------------------------------------------------------------- */

static uint64_t frames[64];

static int x_setup(unsigned dom, domid_t whom, uint32_t nr)
{
    struct gnttab_setup_table a = {.dom = whom, .nr_frames = nr};

    set_xen_guest_handle(a.frame_list, frames);
    assert_int_equal(env_op(dom, GNTTABOP_setup_table, &a, 1), 0);
    return a.status;
}
static struct grant_entry_v1 *v1(unsigned dom, uint32_t ref)
{
    return (struct grant_entry_v1 *)env[dom]->grants->shared[ref / V1_PER_FRAME] +
           ref % V1_PER_FRAME;
}
static union grant_entry_v2 *v2(unsigned dom, uint32_t ref)
{
    return (union grant_entry_v2 *)env[dom]->grants->shared[ref / V2_PER_FRAME] + ref % V2_PER_FRAME;
}
static uint16_t v2_status(unsigned dom, uint32_t ref)
{
    return env[dom]->grants->status[0][ref];
}
static void grant1(unsigned dom, uint32_t ref, domid_t to, uint32_t frame, uint16_t flags)
{
    *v1(dom, ref) = (struct grant_entry_v1){.flags = flags, .domid = to, .frame = frame};
}
static int x_map(unsigned dom, unsigned from, uint32_t ref, uint64_t slot, uint32_t flags,
                 uint32_t *handle)
{
    struct gnttab_map_grant_ref a = {
        .host_addr = slot, .flags = flags, .ref = ref, .dom = (domid_t)from};

    assert_int_equal(env_op(dom, GNTTABOP_map_grant_ref, &a, 1), 0);
    *handle = a.handle;
    if (!a.status && (flags & GNTMAP_host_map))
        assert_int_equal(a.dev_bus_addr >> 12, env_slot[dom][slot] - 1);
    return a.status;
}
static int x_unmap(unsigned dom, uint64_t slot, uint64_t dev, uint32_t handle)
{
    struct gnttab_unmap_grant_ref a = {.host_addr = slot, .dev_bus_addr = dev, .handle = handle};

    assert_int_equal(env_op(dom, GNTTABOP_unmap_grant_ref, &a, 1), 0);
    return a.status;
}
static long x_version(unsigned dom, uint32_t version)
{
    struct gnttab_set_version a = {.version = version};

    return env_op(dom, GNTTABOP_set_version, &a, 1);
}
static int x_copy(unsigned dom, struct gnttab_copy a)
{
    assert_int_equal(env_op(dom, GNTTABOP_copy, &a, 1), 0);
    return a.status;
}
static char *bytes(uint64_t frame)
{
    return map_frame(mfn(frame));
}

static int setup(void **state)
{
    env_setup();
    return 0;
}
static int teardown(void **state)
{
    assert_int_equal(env_check(), 0);
    env_teardown();
    return 0;
}

/* --- rules --------------------------------------------------------------------------------------------- */

static void t_tables(void **state)
{
    struct gnttab_query_size q = {.dom = DOMID_SELF};
    struct gnttab_get_version gv = {.dom = 1};
    struct gnttab_dump_table dump = {.dom = DOMID_SELF};
    mfn_t m;

    assert_int_equal(x_setup(1, DOMID_SELF, 3), GNTST_okay);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(frames[i], map_frame_mfn(env[1]->grants->shared[i]).n);
    assert_int_equal(x_setup(1, DOMID_SELF, ENV_MAX_FRAMES + 1), GNTST_general_error);
    assert_int_equal(x_setup(1, 2, 1), GNTST_permission_denied);
    assert_int_equal(x_setup(0, 2, 1), GNTST_okay);
    assert_int_equal(x_setup(0, 9, 1), GNTST_bad_domain);
    assert_int_equal(env_op(1, GNTTABOP_query_size, &q, 1), 0);
    assert_int_equal(q.nr_frames, 3);
    assert_int_equal(q.max_nr_frames, ENV_MAX_FRAMES);
    assert_int_equal(env_op(1, GNTTABOP_query_size, &q, 2), -XEN_EINVAL);
    assert_int_equal(env_op(2, GNTTABOP_get_version, &gv, 1), -XEN_EPERM);
    assert_int_equal(env_op(0, GNTTABOP_get_version, &gv, 1), 0);
    assert_int_equal(gv.version, 1);
    assert_int_equal(env_op(1, GNTTABOP_dump_table, &dump, 1), 0);
    assert_int_equal(dump.status, GNTST_permission_denied);
    assert_int_equal(env_op(0, GNTTABOP_dump_table, &dump, 1), 0);
    assert_int_equal(dump.status, GNTST_okay);
    assert_int_equal(env_op(1, GNTTABOP_cache_flush, frames, 1), -XEN_ENOSYS);
    assert_int_equal(env_op(1, GNTTABOP_map_grant_ref, NULL, 1), -XEN_EFAULT);
    assert_int_equal(env_op(1, GNTTABOP_map_grant_ref, NULL, 0), 0);
    assert_int_equal(grant_frame_get(env[2], 5, false, &m), 0);
    assert_int_equal(env[2]->grants->nr_frames, 6);
    assert_int_equal(grant_frame_get(env[2], ENV_MAX_FRAMES, false, &m), -XEN_EINVAL);
    assert_int_equal(grant_frame_get(env[2], 0, true, &m), -XEN_EINVAL);
}

static void t_map_v1(void **state)
{
    uint32_t h, h2, x;

    assert_int_equal(x_setup(1, DOMID_SELF, 1), 0);
    grant1(1, 9, 0, 4, GTF_permit_access);
    assert_int_equal(x_map(2, 1, 9, 1, GNTMAP_host_map, &x), GNTST_general_error);
    assert_int_equal(x_map(0, 1, 512, 1, GNTMAP_host_map, &x), GNTST_bad_gntref);
    assert_int_equal(x_map(0, 7, 9, 1, GNTMAP_host_map, &x), GNTST_bad_domain);
    assert_int_equal(x_map(0, DOMID_SELF, 9, 1, GNTMAP_host_map, &x), GNTST_bad_domain);
    assert_int_equal(x_map(0, 1, 9, 1, 0, &x), GNTST_bad_gntref);
    assert_int_equal(x_map(0, 1, 9, SLOTS + 1, GNTMAP_host_map, &x), GNTST_bad_virt_addr);
    assert_int_equal(v1(1, 9)->flags, GTF_permit_access); /* failures leave no mark */
    assert_int_equal(x_map(0, 1, 9, 1, GNTMAP_host_map, &h), 0);
    assert_int_equal(v1(1, 9)->flags, GTF_permit_access | GTF_reading | GTF_writing);
    assert_int_equal(frame_table[4].count, 3);
    assert_int_equal(env_written[4], 1);
    assert_int_equal(x_map(0, 1, 9, 2, GNTMAP_host_map | GNTMAP_readonly, &h2), 0);
    assert_int_equal(env_written[4], 1);
    /* The guest changes the frame and revokes while it is mapped: what is held stays. */
    v1(1, 9)->frame = 7;
    assert_int_equal(x_map(0, 1, 9, 3, GNTMAP_host_map | GNTMAP_readonly, &x), 0);
    assert_int_equal(env_slot[0][3], 4 + 1);
    assert_int_equal(x_unmap(0, 3, 0, x), 0);
    v1(1, 9)->flags = 0;
    assert_int_equal(x_map(0, 1, 9, 3, GNTMAP_host_map, &x), GNTST_general_error);
    assert_int_equal(x_unmap(0, 2, 0, h), GNTST_okay); /* same frame: told apart only by the page table */
    assert_int_equal(x_unmap(0, 1, 0, h), GNTST_bad_handle);
    assert_int_equal(x_unmap(2, 1, 0, h2), GNTST_bad_handle);
    v1(1, 9)->flags = GTF_permit_access | GTF_reading | GTF_writing;
    assert_int_equal(x_unmap(0, 1, 0, h2), 0);
    assert_int_equal(v1(1, 9)->flags, GTF_permit_access);
    assert_int_equal(frame_table[4].count, 1);
    assert_int_equal(env_written[4], 0);
    /* Handles come again with another generation. */
    assert_int_equal(x_map(0, 1, 9, 1, GNTMAP_host_map | GNTMAP_readonly, &x), 0);
    assert_int_equal(x & (BIT(MT_INDEX_BITS) - 1), h2 & (BIT(MT_INDEX_BITS) - 1));
    assert_int_not_equal(x, h2);
    assert_int_equal(x_unmap(0, 1, 0, h2), GNTST_bad_handle);
    assert_int_equal(x_unmap(0, 1, 0, x), 0);
    assert_int_equal(env_drops_unflushed, 0);
}

static void t_map_refused(void **state)
{
    uint32_t h;

    assert_int_equal(x_setup(1, DOMID_SELF, 1), 0);
    grant1(1, 9, 0, 4, GTF_permit_access | GTF_readonly);
    assert_int_equal(x_map(0, 1, 9, 1, GNTMAP_host_map, &h), GNTST_general_error);
    assert_int_equal(x_map(0, 1, 9, 1, GNTMAP_host_map | GNTMAP_readonly, &h), 0);
    assert_int_equal(v1(1, 9)->flags, GTF_permit_access | GTF_readonly | GTF_reading);
    assert_int_equal(x_unmap(0, 1, 0, h), 0);
    grant1(1, 9, 0, 6, GTF_permit_access); /* not its frame */
    assert_int_equal(x_map(0, 1, 9, 1, GNTMAP_host_map | GNTMAP_readonly, &h), GNTST_bad_page);
    grant1(1, 9, 0, 0xfffffff, GTF_permit_access);
    assert_int_equal(x_map(0, 1, 9, 1, GNTMAP_host_map, &h), GNTST_bad_page);
    assert_int_equal(v1(1, 9)->flags, GTF_permit_access);
    assert_int_equal(x_setup(2, DOMID_SELF, 1), 0);
    grant1(2, 9, 0, 5, GTF_permit_access); /* a page table */
    assert_int_equal(x_map(0, 2, 9, 1, GNTMAP_host_map, &h), GNTST_bad_page);
    assert_int_equal(x_map(0, 2, 9, 1, GNTMAP_host_map | GNTMAP_readonly, &h), 0);
    assert_int_equal(x_unmap(0, 0, 0, h), 0); /* nothing asked: nothing done */
    assert_int_equal(x_unmap(0, 2, 0, h), GNTST_general_error); /* not there: the handle lives */
    assert_int_equal(x_unmap(0, 0, 5 << 12, h), GNTST_bad_dev_addr);
    assert_int_equal(x_unmap(0, 1, 0, h), 0);
    grant1(2, 9, 0, 5, GTF_accept_transfer);
    assert_int_equal(x_map(0, 2, 9, 1, GNTMAP_host_map, &h), GNTST_general_error);
}

static void t_device_half(void **state)
{
    uint32_t h;

    assert_int_equal(x_setup(1, DOMID_SELF, 1), 0);
    grant1(1, 9, 0, 4, GTF_permit_access);
    assert_int_equal(x_map(0, 1, 9, 1, GNTMAP_host_map | GNTMAP_device_map, &h), 0);
    assert_int_equal(x_unmap(0, 1, 0, h), 0);
    assert_int_equal(frame_table[4].count, 2); /* the device half holds it */
    assert_true(v1(1, 9)->flags & GTF_writing);
    assert_int_equal(x_unmap(0, 1, 0, h), GNTST_bad_virt_addr);
    assert_int_equal(x_unmap(0, 0, 4 << 12, h), 0);
    assert_int_equal(frame_table[4].count, 1);
    assert_int_equal(v1(1, 9)->flags, GTF_permit_access);
}

static void t_batches(void **state)
{
    struct gnttab_map_grant_ref m[100];
    struct gnttab_unmap_grant_ref u[40];
    struct gnttab_unmap_and_replace r = {.host_addr = 1, .new_addr = 1};
    struct gnttab_transfer t[2] = {0};

    assert_int_equal(x_setup(1, DOMID_SELF, 1), 0);
    grant1(1, 9, 0, 4, GTF_permit_access);
    for (unsigned i = 0; i < 40; i++)
        m[i] = (struct gnttab_map_grant_ref){
            .host_addr = i, .flags = GNTMAP_host_map, .ref = 9, .dom = 1};
    host_preempt_every = 2;
    host_guest_watch(m, sizeof(m), 0);
    assert_int_equal(env_op(0, GNTTABOP_map_grant_ref, m, 40), 0);
    assert_int_equal(host_watch_max(), 1);
    host_guest_clear();
    assert_true(host_again.count > 3);
    for (unsigned i = 0; i < 40; i++) {
        assert_int_equal(m[i].status, 0);
        u[i] = (struct gnttab_unmap_grant_ref){.host_addr = i, .handle = m[i].handle};
    }
    assert_int_equal(frame_table[4].count, 81);
    assert_int_equal(env_written[4], 40);
    r.handle = m[1].handle;
    assert_int_equal(env_op(0, GNTTABOP_unmap_and_replace, &r, 1), 0);
    assert_int_equal(r.status, 0);
    /* host_addr 0 means "not this half": slot 0's mapping goes by death in the tear-down. */
    host_preempt_every = 0;
    host_tlb_flushes = 0;
    assert_int_equal(env_op(0, GNTTABOP_unmap_grant_ref, u + 2, 38), 0);
    assert_int_equal(host_tlb_flushes, 2); /* 32 and 6 */
    for (unsigned i = 2; i < 40; i++)
        assert_int_equal(u[i].status, 0);
    assert_int_equal(frame_table[4].count, 3);
    assert_int_equal(env_op(0, GNTTABOP_transfer, t, 2), 0);
    assert_int_equal(t[0].status, GNTST_bad_page);
    assert_int_equal(env_op(0, GNTTABOP_map_grant_ref, m, 1ull << 31), -XEN_EINVAL);
}

static void t_copy(void **state)
{
    struct gnttab_copy c = {.flags = GNTCOPY_source_gref, .len = 100};

    assert_int_equal(x_setup(1, DOMID_SELF, 1), 0);
    assert_int_equal(x_setup(2, DOMID_SELF, 1), 0);
    grant1(1, 9, 0, 4, GTF_permit_access | GTF_readonly);
    grant1(2, 8, 0, 8, GTF_permit_access);
    strcpy(bytes(4) + 50, "from one domain to another");
    c.source.domid = 1;
    c.source.u.ref = 9;
    c.source.offset = 50;
    c.dest.domid = DOMID_SELF;
    c.dest.u.gmfn = 3;
    assert_int_equal(x_copy(0, c), 0);
    assert_string_equal(bytes(3), "from one domain to another");
    c.flags |= GNTCOPY_dest_gref; /* between two others */
    c.dest.domid = 2;
    c.dest.u.ref = 8;
    c.dest.offset = 3996;
    assert_int_equal(x_copy(0, c), 0);
    assert_string_equal(bytes(8) + 3996, "from one domain to another");
    c.len = 101;
    assert_int_equal(x_copy(0, c), GNTST_bad_copy_arg);
    c.len = 100;
    c.dest.domid = 1; /* read-only grant */
    c.dest.u.ref = 9;
    assert_int_equal(x_copy(0, c), GNTST_general_error);
    c.flags = GNTCOPY_source_gref;
    assert_int_equal(x_copy(0, c), GNTST_permission_denied);
    c.dest.domid = DOMID_SELF;
    c.dest.u.gmfn = 4; /* not ours */
    assert_int_equal(x_copy(0, c), GNTST_bad_page);
    c.dest.u.gmfn = 3;
    c.source.domid = 7;
    assert_int_equal(x_copy(0, c), GNTST_bad_domain);
    assert_int_equal(v1(1, 9)->flags, GTF_permit_access | GTF_readonly);
    assert_int_equal(v1(2, 8)->flags, GTF_permit_access);
}

static void t_version2(void **state)
{
    struct gnttab_get_status_frames sf = {.dom = DOMID_SELF, .nr_frames = 1};
    struct gnttab_swap_grant_ref sw = {.ref_a = 9, .ref_b = 20};
    uint32_t h, x;

    assert_int_equal(x_setup(1, DOMID_SELF, 2), 0);
    grant1(1, GNTTAB_RESERVED_XENSTORE, 0, 4, GTF_permit_access);
    grant1(1, 9, 0, 4, GTF_permit_access);
    set_xen_guest_handle(sf.frame_list, frames);
    assert_int_equal(env_op(1, GNTTABOP_get_status_frames, &sf, 1), 0);
    assert_int_equal(sf.status, GNTST_general_error); /* version 1 has none */
    assert_int_equal(x_map(0, 1, 9, 1, GNTMAP_host_map, &h), 0);
    assert_int_equal(x_version(1, 2), -XEN_EBUSY);
    assert_int_equal(x_unmap(0, 1, 0, h), 0);
    assert_int_equal(x_version(1, 3), -XEN_EINVAL);
    assert_int_equal(x_version(1, 2), 0);
    assert_int_equal(env_op(1, GNTTABOP_get_status_frames, &sf, 1), 0);
    assert_int_equal(sf.status, 0);
    assert_int_equal(frames[0], map_frame_mfn(env[1]->grants->status[0]).n);
    assert_int_equal(v2(1, 1)->full_page.frame, 4);
    assert_int_equal(v2(1, 1)->hdr.flags, GTF_permit_access);
    assert_int_equal(v2(1, 9)->hdr.flags, 0);
    assert_int_equal(x_map(0, 1, 1, 1, GNTMAP_host_map, &h), 0);
    assert_int_equal(v2_status(1, 1), GTF_reading | GTF_writing);
    assert_int_equal(v2(1, 1)->hdr.flags, GTF_permit_access);
    assert_int_equal(x_map(0, 1, 1, 2, GNTMAP_host_map | GNTMAP_readonly, &x), 0);
    assert_int_equal(x_unmap(0, 1, 0, h), 0);
    assert_int_equal(v2_status(1, 1), GTF_reading);
    assert_int_equal(x_version(1, 1), -XEN_EBUSY);
    assert_int_equal(x_unmap(0, 2, 0, x), 0);
    assert_int_equal(v2_status(1, 1), 0);
    v2(1, 20)->full_page.frame = 7;
    v2(1, 20)->hdr = (grant_entry_header_t){GTF_permit_access, 2};
    assert_int_equal(env_op(1, GNTTABOP_swap_grant_ref, &sw, 1), 0);
    assert_int_equal(sw.status, 0);
    assert_int_equal(v2(1, 9)->hdr.domid, 2);
    sw.ref_a = 512;
    assert_int_equal(env_op(1, GNTTABOP_swap_grant_ref, &sw, 1), 0);
    assert_int_equal(sw.status, GNTST_bad_gntref);
    assert_int_equal(x_version(1, 1), 0);
    assert_int_equal(v1(1, 1)->frame, 4);
    assert_int_equal(x_version(1, 2), 0);
    assert_int_equal(env[1]->grants->nr_status, 1);
}

static void t_sub_page_and_transitive(void **state)
{
    struct gnttab_copy c = {.flags = GNTCOPY_source_gref, .len = 50};
    uint32_t h;

    assert_int_equal(x_setup(1, DOMID_SELF, 1), 0);
    assert_int_equal(x_setup(2, DOMID_SELF, 1), 0);
    assert_int_equal(x_version(1, 2), 0);
    assert_int_equal(x_version(2, 2), 0);
    v2(1, 9)->sub_page.frame = 4;
    v2(1, 9)->sub_page.page_off = 100;
    v2(1, 9)->sub_page.length = 50;
    v2(1, 9)->hdr = (grant_entry_header_t){GTF_permit_access | GTF_sub_page, 2};
    v2(2, 8)->transitive.trans_domid = 1;
    v2(2, 8)->transitive.gref = 9;
    v2(2, 8)->hdr = (grant_entry_header_t){GTF_transitive | GTF_readonly, 0};
    strcpy(bytes(4) + 100, "through two hands");
    c.source.domid = 2;
    c.source.u.ref = 8;
    c.source.offset = 100;
    c.dest.domid = DOMID_SELF;
    c.dest.u.gmfn = 3;
    assert_int_equal(x_copy(0, c), 0);
    assert_string_equal(bytes(3), "through two hands");
    c.source.offset = 101;
    assert_int_equal(x_copy(0, c), GNTST_general_error);
    c.source.offset = 99;
    assert_int_equal(x_copy(0, c), GNTST_general_error);
    assert_int_equal(x_map(0, 2, 8, 1, GNTMAP_host_map | GNTMAP_readonly, &h), GNTST_general_error);
    assert_int_equal(x_map(2, 1, 9, 1, GNTMAP_host_map | GNTMAP_readonly, &h), GNTST_general_error);
    /* A circle of transitive grants ends. */
    v2(2, 8)->transitive.trans_domid = 1;
    v2(2, 8)->transitive.gref = 10;
    v2(2, 8)->hdr.domid = 1;
    v2(1, 10)->transitive.trans_domid = 2;
    v2(1, 10)->transitive.gref = 8;
    v2(1, 10)->hdr = (grant_entry_header_t){GTF_transitive, 2};
    c.source.offset = 0;
    c.dest.u.gmfn = 7;
    assert_int_not_equal(x_copy(1, c), 0);
    assert_int_equal(v2_status(1, 9), 0);
    assert_int_equal(v2_status(1, 10), 0);
    assert_int_equal(v2_status(2, 8), 0);
}

static void t_deaths(void **state)
{
    uint32_t h1, h2, x;

    assert_int_equal(x_setup(1, DOMID_SELF, 1), 0);
    grant1(1, 9, 0, 4, GTF_permit_access);
    grant1(1, 10, 2, 7, GTF_permit_access);
    assert_int_equal(x_map(0, 1, 9, 1, GNTMAP_host_map, &h1), 0);
    assert_int_equal(x_map(2, 1, 10, 1, GNTMAP_host_map, &h2), 0);
    assert_int_equal(env[1]->refs, 3);
    host_preempt_every = 1;
    env_kill(2); /* who maps */
    host_preempt_every = 0;
    assert_int_equal(env[1]->refs, 2);
    assert_int_equal(v1(1, 10)->flags, GTF_permit_access);
    env_kill(1); /* who grants: the mapping stays until it is given up */
    assert_int_equal(x_map(0, 1, 9, 2, GNTMAP_host_map, &x), GNTST_bad_domain);
    assert_int_equal(env[1]->refs, 2);
    assert_int_equal(frame_table[4].count, 3);
    assert_int_equal(x_unmap(0, 1, 0, h1), 0);
    assert_int_equal(env[1]->refs, 1);
    assert_int_equal(frame_table[4].count, 1);
}

static void t_failures_and_limits(void **state)
{
    uint32_t h[300], n;

    for (n = 1; n < 8; n++) {
        host_zalloc_fail = env_alloc_fail = n;
        (void)x_setup(1, DOMID_SELF, 2);
        (void)x_version(1, 1 + n % 2);
        host_zalloc_fail = env_alloc_fail = 0;
        assert_int_equal(env_check(), 0);
    }
    assert_int_equal(x_version(1, 1), 0);
    assert_int_equal(x_setup(1, DOMID_SELF, 2), 0);
    grant1(1, 600, 0, 4, GTF_permit_access);
    host_zalloc_fail = 1;
    assert_int_equal(x_map(0, 1, 600, 0, GNTMAP_device_map, h), GNTST_no_space);
    for (n = 0; !x_map(0, 1, 600, 0, GNTMAP_device_map, &h[n]); n++)
        ;
    assert_int_equal(n, 256); /* two frames of handles */
    assert_int_equal(frame_table[4].count, 257);
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(x_unmap(0, 0, 4 << 12, h[i]), 0);
    assert_int_equal(frame_table[4].count, 1);
}

/* --- the model ----------------------------------------------------------------------------------------------- */

#define REFS 12
#define MAPS 24
struct mmap {
    bool live, write;
    unsigned from;
    uint32_t ref, handle, frame;
};
static struct mmap maps[NDOM][MAPS]; /* by slot */

static unsigned rnd(unsigned n)
{
    return (unsigned)rand() % n;
}

static unsigned held(unsigned dom, uint32_t ref, bool write)
{
    unsigned n = 0;

    for (unsigned d = 0; d < NDOM; d++)
        for (unsigned s = 0; s < MAPS; s++)
            n += maps[d][s].live && maps[d][s].from == dom && maps[d][s].ref == ref &&
                 maps[d][s].write == write;
    return n;
}

/* The guest gives, or takes back what is not in use, with the exchange the ABI describes. */
static void step_grant(unsigned dom)
{
    uint32_t ref = rnd(REFS), frame = 1 + rnd(GUEST_FRAMES - 1);
    uint16_t flags = GTF_permit_access | (rnd(3) ? 0 : GTF_readonly);

    if (v1(dom, ref)->flags & (GTF_reading | GTF_writing)) {
        assert_true(held(dom, ref, false) + held(dom, ref, true));
        v1(dom, ref)->frame = frame; /* hostile, and without effect */
        return;
    }
    assert_false(held(dom, ref, false) + held(dom, ref, true));
    grant1(dom, ref, (domid_t)rnd(NDOM), frame, flags);
}

static void step_map(unsigned dom)
{
    unsigned from = rnd(NDOM), slot = 1 + rnd(MAPS - 1);
    uint32_t ref = rnd(REFS), frame = v1(from, ref)->frame;
    struct mmap *m = &maps[dom][slot], *o = NULL;
    bool write = rnd(2);
    uint32_t handle;
    bool ok;
    int rc;

    for (unsigned i = 0; i < NDOM * MAPS && !o; i++)
        if (maps[i / MAPS][i % MAPS].live && maps[i / MAPS][i % MAPS].from == from &&
            maps[i / MAPS][i % MAPS].ref == ref)
            o = &maps[i / MAPS][i % MAPS];
    if (o)
        frame = o->frame; /* frozen while held */
    ok = !m->live && (v1(from, ref)->flags & GTF_type_mask) == GTF_permit_access &&
         v1(from, ref)->domid == dom && !(write && (v1(from, ref)->flags & GTF_readonly)) &&
         frame % NDOM == from && !(write && frame == 5);
    rc = x_map(dom, from, ref, slot, GNTMAP_host_map | (write ? 0 : GNTMAP_readonly), &handle);
    assert_int_equal(!rc, ok);
    if (ok)
        *m = (struct mmap){true, write, from, ref, handle, frame};
}

static void step_unmap(unsigned dom)
{
    unsigned slot = 1 + rnd(MAPS - 1);
    struct mmap *m = &maps[dom][slot];
    int rc = x_unmap(dom, slot, 0, m->handle);

    assert_int_equal(rc, m->live ? GNTST_okay : GNTST_bad_handle);
    m->live = false;
}

static void step_copy(unsigned dom)
{
    struct gnttab_copy c = {.flags = rnd(4), .len = (uint16_t)rnd(5000)};

    c.source.domid = c.flags & 1 ? (domid_t)rnd(NDOM) : DOMID_SELF;
    c.dest.domid = c.flags & 2 ? (domid_t)rnd(NDOM) : DOMID_SELF;
    c.source.u.gmfn = rnd(c.flags & 1 ? REFS : GUEST_FRAMES);
    c.dest.u.gmfn = rnd(c.flags & 2 ? REFS : GUEST_FRAMES);
    (void)x_copy(dom, c);
}

static void model_compare(void)
{
    unsigned refs[GUEST_FRAMES] = {0}, typed[GUEST_FRAMES] = {0}, doms[NDOM] = {0};

    for (unsigned d = 0; d < NDOM; d++)
        for (unsigned s = 0; s < MAPS; s++) {
            const struct mmap *m = &maps[d][s];

            assert_int_equal(env_slot[d][s], m->live ? m->frame + 1 : 0);
            if (!m->live)
                continue;
            refs[m->frame] += 2; /* the handle's and the page table's */
            typed[m->frame] += m->write;
            doms[m->from]++;
        }
    for (unsigned f = 1; f < GUEST_FRAMES; f++) {
        assert_int_equal(frame_table[f].count, 1 + refs[f]);
        assert_int_equal(env_written[f], typed[f]);
    }
    for (unsigned d = 0; d < NDOM; d++) {
        assert_int_equal(env[d]->refs, 1 + doms[d]);
        for (unsigned r = 0; r < REFS; r++) {
            const struct grant_active *a = grant_active_of(env[d]->grants, r);

            assert_int_equal(a->readers, held(d, r, false));
            assert_int_equal(a->writers, held(d, r, true));
            assert_int_equal(!!(v1(d, r)->flags & GTF_writing), !!a->writers);
            assert_int_equal(!!(v1(d, r)->flags & GTF_reading), a->writers || a->readers);
        }
    }
    assert_int_equal(env_check(), 0);
}

static void t_model(void **state)
{
    memset(maps, 0, sizeof(maps));
    for (unsigned d = 0; d < NDOM; d++) {
        assert_int_equal(x_setup(d, DOMID_SELF, 1), 0);
        for (unsigned s = 0; s < MAPS; s++)
            maps[d][s].handle = ~0U;
    }
    srand(417);
    for (unsigned i = 0; i < 20000; i++) {
        unsigned dom = rnd(NDOM);

        switch (rnd(6)) {
        case 0:
            step_grant(dom);
            break;
        case 1:
        case 2:
            step_map(dom);
            break;
        case 3:
            step_copy(dom);
            break;
        default:
            step_unmap(dom);
        }
        if (i % 8 == 0)
            model_compare();
    }
}

/* --- threads as CPUs ----------------------------------------------------------------------------------------- */

static uint32_t shared_handle[NDOM][4]; /* both CPUs of a domain use them */

static uint32_t thread_rnd(uint32_t *seed, uint32_t n)
{
    *seed = *seed * 1664525 + 1013904223;
    return (*seed >> 8) % n;
}

/* Grant what is not in use (or not granted at all) by one exchange, as the ABI asks. */
static void thread_grant(unsigned dom, uint32_t *seed)
{
    struct grant_entry_v1 *e = v1(dom, thread_rnd(seed, 4));
    uint32_t *head = (uint32_t *)(void *)&e->flags, old = READ_ONCE(*head);

    if (old & (GTF_reading | GTF_writing))
        return;
    WRITE_ONCE(e->frame, 3 * (2 + thread_rnd(seed, 8)) + dom);
    __atomic_compare_exchange_n(head, &old, GTF_permit_access | thread_rnd(seed, NDOM) << 16, false,
                                __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static void *thread_run(void *arg)
{
    unsigned self = (unsigned)(uintptr_t)arg, dom = self % NDOM;
    uint32_t seed = self + 7;

    host_cpu = self;
    for (unsigned i = 0; i < 20000; i++) {
        unsigned k = thread_rnd(&seed, 4), slot = 1 + k + 8 * (self / NDOM);
        struct gnttab_map_grant_ref m = {.host_addr = slot,
                                         .flags = GNTMAP_host_map | (i % 2 ? GNTMAP_readonly : 0),
                                         .ref = thread_rnd(&seed, 4),
                                         .dom = (domid_t)thread_rnd(&seed, NDOM)};
        struct gnttab_unmap_grant_ref u = {.handle = READ_ONCE(shared_handle[dom][k])};
        struct gnttab_copy c = {.flags = 3, .len = 4};

        thread_grant(dom, &seed);
        (void)do_grant_table_op(env_v[dom], GNTTABOP_map_grant_ref, (uintptr_t)&m, 1, 0, 0);
        if (!m.status)
            WRITE_ONCE(shared_handle[dom][k], m.handle);
        u.host_addr = slot ^ (i % 16 ? 0 : 8); /* at times the other CPU's */
        (void)do_grant_table_op(env_v[dom], GNTTABOP_unmap_grant_ref, (uintptr_t)&u, 1, 0, 0);
        c.source.domid = c.dest.domid = m.dom;
        c.source.u.ref = m.ref;
        c.dest.u.ref = thread_rnd(&seed, 4);
        c.dest.offset = (uint16_t)(8 * self);
        (void)do_grant_table_op(env_v[dom], GNTTABOP_copy, (uintptr_t)&c, 1, 0, 0);
    }
    return NULL;
}

static void t_threads(void **state)
{
    pthread_t t[6];

    env_threads = true;
    host_cpus = 6;
    for (unsigned d = 0; d < NDOM; d++) {
        assert_int_equal(x_setup(d, DOMID_SELF, 1), 0);
        env_alloc_fail = 0;
        grant1(d, 1, (domid_t)d, 9 + d, GTF_permit_access); /* makes the first frame of handles */
        assert_int_equal(x_map(d, d, 1, 20, GNTMAP_host_map, &shared_handle[d][0]), 0);
    }
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(pthread_create(&t[i], NULL, thread_run, (void *)(uintptr_t)i), 0);
    for (unsigned i = 0; i < 6; i++)
        pthread_join(t[i], NULL);
    for (unsigned d = 0; d < NDOM; d++)
        env_kill(d);
    for (unsigned d = 0; d < NDOM; d++)
        for (unsigned r = 0; r < 4; r++)
            assert_int_equal(v1(d, r)->flags & (GTF_reading | GTF_writing), 0);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(t_tables),  T(t_map_v1),   T(t_map_refused),
        T(t_device_half), T(t_batches), T(t_copy),
        T(t_version2), T(t_sub_page_and_transitive), T(t_deaths),
        T(t_failures_and_limits), T(t_model), T(t_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
