/* SPDX-License-Identifier: MIT */
/*
 * pointers: every hypercall that takes a pointer gets bad ones: nothing mapped there, the
 * hypervisor's own memory, non-canonical addresses, a structure whose second byte is on an unmapped
 * page, and, where the call writes, a read-only page. Each must answer with an error and change
 * nothing that hurts; the hypervisor must be alive after each.
 */
#include "kit.h"

#define OUT 1     /* writes through the pointer: try a read-only page too */
#define NULL_OK 2 /* NULL has a meaning of its own */
#define ZERO_OK 4 /* may also answer 0 items done */

struct row {
    const char *name;
    uint8_t nr, ptr, flags;
    uint64_t arg[5];
};
/* clang-format off: one row per call reads better */
#define R(n, p, f, ...) { #n, __HYPERVISOR_##n, p, f, { __VA_ARGS__ } }
#define OP(n, op, p, f, ...) { #n "/" #op, __HYPERVISOR_##n, p, f, { __VA_ARGS__ } }
#define MEM(op, f) { #op, __HYPERVISOR_memory_op, 1, f, { op } }
#define GNT(op, f) { #op, __HYPERVISOR_grant_table_op, 1, f, { op, 0, 1 } }
#define EVT(op, f) { #op, __HYPERVISOR_event_channel_op, 1, f, { op } }
#define PHY(op, f) { #op, __HYPERVISOR_physdev_op, 1, f, { op } }
#define VCP(op, f) { #op, __HYPERVISOR_vcpu_op, 2, f, { op, 0 } }
#define VER(op, f) { #op, __HYPERVISOR_xen_version, 1, f, { op } }

static const struct row rows[] = {
    R(set_trap_table, 0, NULL_OK, 0),
    R(mmu_update, 0, 0, 0, 1, 0, DOMID_SELF),
    R(set_gdt, 0, 0, 0, 512),
    R(multicall, 0, 0, 0, 1),
    R(mmuext_op, 0, 0, 0, 1, 0, DOMID_SELF),
    {"console_io/write", __HYPERVISOR_console_io, 2, 0, {0, 64, 0}},
    {"console_io/read", __HYPERVISOR_console_io, 2, ZERO_OK, {1, 64, 0}},
    R(platform_op, 0, 0, 0),
    R(sysctl, 0, 0, 0),
    R(domctl, 0, 0, 0),
    OP(callback_op, 0, 1, 0, 0),
    OP(callback_op, 1, 1, 0, 1),
    OP(sched_op, SCHEDOP_shutdown, 1, 0, SCHEDOP_shutdown),
    OP(sched_op, SCHEDOP_poll, 1, 0, SCHEDOP_poll),
    OP(sched_op, SCHEDOP_remote_shutdown, 1, 0, SCHEDOP_remote_shutdown),
    OP(sched_op, SCHEDOP_shutdown_code, 1, 0, SCHEDOP_shutdown_code),
    OP(sched_op, SCHEDOP_watchdog, 1, 0, SCHEDOP_watchdog),
    OP(sched_op, SCHEDOP_pin_override, 1, 0, SCHEDOP_pin_override),
    VER(XENVER_extraversion, OUT),
    VER(XENVER_compile_info, OUT),
    VER(XENVER_capabilities, OUT),
    VER(XENVER_changeset, OUT),
    VER(XENVER_platform_parameters, OUT),
    VER(XENVER_get_features, OUT),
    VER(XENVER_guest_handle, OUT),
    VER(XENVER_commandline, OUT),
    MEM(XENMEM_increase_reservation, ZERO_OK),
    MEM(XENMEM_decrease_reservation, ZERO_OK),
    MEM(XENMEM_populate_physmap, ZERO_OK),
    MEM(XENMEM_exchange, 0),
    MEM(XENMEM_current_reservation, 0),
    MEM(XENMEM_maximum_reservation, 0),
    MEM(XENMEM_machphys_mfn_list, 0),
    MEM(XENMEM_add_to_physmap, 0),
    MEM(XENMEM_add_to_physmap_batch, 0),
    MEM(XENMEM_remove_from_physmap, 0),
    MEM(XENMEM_memory_map, 0),
    MEM(XENMEM_machine_memory_map, 0),
    MEM(XENMEM_machphys_mapping, OUT),
    MEM(XENMEM_set_memory_map, 0),
    MEM(XENMEM_maximum_gpfn, 0),
    MEM(XENMEM_claim_pages, 0),
    MEM(XENMEM_acquire_resource, 0),
    GNT(GNTTABOP_map_grant_ref, OUT),
    GNT(GNTTABOP_unmap_grant_ref, OUT),
    GNT(GNTTABOP_setup_table, 0),
    GNT(GNTTABOP_dump_table, 0),
    GNT(GNTTABOP_transfer, 0),
    GNT(GNTTABOP_copy, OUT),
    GNT(GNTTABOP_query_size, OUT),
    GNT(GNTTABOP_unmap_and_replace, OUT),
    GNT(GNTTABOP_set_version, 0),
    GNT(GNTTABOP_get_status_frames, 0),
    GNT(GNTTABOP_get_version, OUT),
    GNT(GNTTABOP_swap_grant_ref, 0),
    GNT(GNTTABOP_cache_flush, 0),
    EVT(EVTCHNOP_bind_interdomain, 0),
    EVT(EVTCHNOP_bind_virq, 0),
    EVT(EVTCHNOP_bind_pirq, 0),
    EVT(EVTCHNOP_close, 0),
    EVT(EVTCHNOP_send, 0),
    EVT(EVTCHNOP_status, OUT),
    EVT(EVTCHNOP_alloc_unbound, OUT),
    EVT(EVTCHNOP_bind_ipi, OUT),
    EVT(EVTCHNOP_bind_vcpu, 0),
    EVT(EVTCHNOP_unmask, 0),
    EVT(EVTCHNOP_reset, 0),
    EVT(EVTCHNOP_init_control, 0),
    EVT(EVTCHNOP_expand_array, 0),
    EVT(EVTCHNOP_set_priority, 0),
    PHY(PHYSDEVOP_eoi, 0),
    PHY(PHYSDEVOP_irq_status_query, 0),
    PHY(PHYSDEVOP_set_iopl, 0),
    PHY(PHYSDEVOP_set_iobitmap, 0),
    PHY(PHYSDEVOP_apic_read, OUT),
    PHY(PHYSDEVOP_apic_write, 0),
    PHY(PHYSDEVOP_alloc_irq_vector, 0),
    PHY(PHYSDEVOP_map_pirq, 0),
    PHY(PHYSDEVOP_unmap_pirq, 0),
    PHY(PHYSDEVOP_manage_pci_add, 0),
    PHY(PHYSDEVOP_manage_pci_remove, 0),
    PHY(PHYSDEVOP_restore_msi, 0),
    PHY(PHYSDEVOP_manage_pci_add_ext, 0),
    PHY(PHYSDEVOP_setup_gsi, 0),
    PHY(PHYSDEVOP_get_free_pirq, OUT),
    PHY(PHYSDEVOP_pci_mmcfg_reserved, 0),
    PHY(PHYSDEVOP_pci_device_add, 0),
    PHY(PHYSDEVOP_pci_device_remove, 0),
    PHY(PHYSDEVOP_restore_msi_ext, 0),
    PHY(PHYSDEVOP_prepare_msix, 0),
    PHY(PHYSDEVOP_release_msix, 0),
    PHY(PHYSDEVOP_dbgp_op, 0),
    PHY(PHYSDEVOP_pirq_eoi_gmfn_v2, 0),
    VCP(VCPUOP_initialise, 0),
    VCP(VCPUOP_get_runstate_info, OUT),
    VCP(VCPUOP_register_runstate_memory_area, 0),
    VCP(VCPUOP_set_periodic_timer, 0),
    VCP(VCPUOP_set_singleshot_timer, 0),
    VCP(VCPUOP_register_vcpu_info, 0),
    VCP(VCPUOP_get_physid, OUT),
    VCP(VCPUOP_register_vcpu_time_memory_area, 0),
};
/* clang-format on */

static char *edge, *read_only;

static const struct {
    const char *name;
    uint64_t va;
} bad[] = {
    {"null", 0},
    {"unmapped", 0x123456000},
    {"odd", 0x7fffffffffff},
    {"noncanonical", 0x8000000000000000},
    {"noncanonical-edge", 0x800000000000},
    {"m2p", HV_START + 0x100},
    {"hypervisor-text", 0xffff82d040200100},
    {"hypervisor-map", 0xffff830000100000},
    {"hypervisor-end", HV_END - 1},
    {"top", 0xffffffffffffffff},
};

static long call(const struct row *r, uint64_t va)
{
    uint64_t a[5] = {r->arg[0], r->arg[1], r->arg[2], r->arg[3], r->arg[4]};
    a[r->ptr] = va;
    return hcall(r->nr, a[0], a[1], a[2], a[3], a[4]);
}

static bool is_error(const struct row *r, long rc)
{
    return (rc < 0 && rc >= -4095) || (rc == 0 && (r->flags & ZERO_OK));
}

static void one(const struct row *r)
{
    unsigned int n = 0, good = 0;
    char where[160] = "";

#define TRY(what, va)                                                                              \
    do {                                                                                           \
        long rc_ = call(r, va);                                                                    \
        n++;                                                                                       \
        good += is_error(r, rc_);                                                                  \
        if (!is_error(r, rc_) && strlen(where) < 100) {                                            \
            memcpy(where + strlen(where), " ", 2);                                                 \
            memcpy(where + strlen(where), what, strlen(what) + 1);                                 \
        }                                                                                          \
    } while (0)
    for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (bad[i].va || !(r->flags & NULL_OK))
            TRY(bad[i].name, bad[i].va);
    memset(edge, 0, PAGE);
    TRY("page-end", (uint64_t)edge + 4095);
    if (r->flags & OUT)
        TRY("read-only", (uint64_t)read_only);
    kit_check(n == good && HC2(xen_version, XENVER_version, NULL) > 0, r->name, "no error for:%s",
              where);
}

/* pointers inside structures */
static void inner(void)
{
    static struct xen_memory_reservation m = {.nr_extents = 1, .domid = DOMID_SELF};
    static struct sched_poll p = {.nr_ports = 1, .timeout = 1};
    static struct gnttab_setup_table s = {.dom = DOMID_SELF, .nr_frames = 1};
    static struct mmuext_op x = {.cmd = MMUEXT_TLB_FLUSH_MULTI};
    static struct mmu_update u = {0, 0};
    struct vcpu_register_runstate_memory_area area = {0};

    for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char *va = (char *)bad[i].va;
        m.extent_start.p = (xen_pfn_t *)va;
        p.ports.p = (evtchn_port_t *)va;
        s.frame_list.p = (xen_pfn_t *)va;
        *(const void **)&x.arg2.vcpumask = va;
        area.addr.h.p = (void *)va;
        u.ptr = va_maddr(edge) & ~7UL;
        long rc[6] = {HC2(memory_op, XENMEM_populate_physmap, &m),
                      sched_op(SCHEDOP_poll, &p),
                      (HC3(grant_table_op, GNTTABOP_setup_table, &s, 1), s.status),
                      HC4(mmuext_op, &x, 1, NULL, DOMID_SELF),
                      va ? HC4(mmu_update, &u, 1, va, DOMID_SELF) : -1,
                      update_va(edge, mfn_pte(va_mfn(edge), PTE_KERN),
                                UVMF_TLB_FLUSH | ((uint64_t)va & ~7UL))};
        /* a flush for an unreadable set may be done for all, or refused; a count of updates done
         * may get lost; the others must say no */
        kit_check(rc[0] <= 0 && rc[1] < 0 && rc[2] != 0, "inner-pointer",
                  "%s: populate %ld poll %ld setup_table %ld mmu_update done %ld (flush %ld %ld)",
                  bad[i].name, rc[0], rc[1], rc[2], rc[4], rc[3], rc[5]);
        HC3(vcpu_op, VCPUOP_register_runstate_memory_area, 0,
            &area); /* may be taken: must then be ignored */
        sched_op(SCHEDOP_yield, NULL);
    }
    CHECK_TRAP("alive-with-bad-runstate-area", VEC_UD, HC1(set_timer_op, kit_now() + 1000000);
               sched_op(SCHEDOP_yield, NULL); asm volatile("ud2"));
}

void guest_main(void)
{
    edge = kit_page();
    update_va(kit_page(), 0, UVMF_INVLPG); /* the page after it */
    read_only = kit_page();
    kit_set_ro(read_only);
    for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        one(&rows[i]);
    inner();
}
