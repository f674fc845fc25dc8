/* SPDX-License-Identifier: MIT */
/*
 * vcpuinfo: what a kernel asks at boot about itself and its hypervisor: version strings and
 * features, vm_assist, moving the vCPU information to a page of its own (upcalls and time go on
 * there), and memory areas kept up to date.
 */
#include "kit.h"

static volatile unsigned int hits;
static struct vcpu_info *moved;

static bool on_upcall(struct kit_frame *f)
{
    hits += moved->evtchn_upcall_pending != 0;
    moved->evtchn_upcall_pending = 0;
    moved->evtchn_pending_sel = 0;
    kit_shared->evtchn_pending[0] = 0;
    f->cs &= 0xffff;
    return true;
}

static void versions(void)
{
    static xen_extraversion_t extra;
    static xen_capabilities_info_t caps;
    static xen_platform_parameters_t plat;
    xen_feature_info_t f = {.submap_idx = 0};

    CHECK_EQ("version", HC2(xen_version, XENVER_version, NULL), 4 << 16 | 17);
    CHECK("extraversion", HC2(xen_version, XENVER_extraversion, extra) == 0 && strlen(extra) < 16);
    CHECK("capabilities",
          HC2(xen_version, XENVER_capabilities, caps) == 0 && strstr(caps, "xen-3.0-x86_64"));
    CHECK("platform-parameters",
          HC2(xen_version, XENVER_platform_parameters, &plat) == 0 && plat.virt_start == HV_START);
    CHECK_EQ("pagesize", HC2(xen_version, XENVER_pagesize, NULL), PAGE);
    CHECK_EQ("features", HC2(xen_version, XENVER_get_features, &f), 0);
    CHECK("feature-dom0", f.submap >> XENFEAT_dom0 & 1);
    CHECK("feature-mmu-pt-update-preserve-ad", f.submap >> XENFEAT_mmu_pt_update_preserve_ad & 1);
    CHECK("feature-gnttab-map-avail-bits", f.submap >> XENFEAT_gnttab_map_avail_bits & 1);
    CHECK("feature-not-translated", !(f.submap >> XENFEAT_auto_translated_physmap & 1));
    CHECK("feature-no-hvm-callback", !(f.submap >> XENFEAT_hvm_callback_vector & 1));
    f.submap_idx = 99;
    CHECK_FAILS("features-beyond", HC2(xen_version, XENVER_get_features, &f));
    CHECK_EQ("version-bad-op", HC2(xen_version, 99, NULL), -XEN_ENOSYS);
}

static void assists(void)
{
    CHECK_EQ("assist-4gb-segments-bad-command", HC2(vm_assist, 99, VMASST_TYPE_4gb_segments),
             -XEN_ENOSYS);
    CHECK_EQ("assist-runstate-flag",
             HC2(vm_assist, VMASST_CMD_enable, VMASST_TYPE_runstate_update_flag), 0);
    CHECK_EQ("assist-architectural-iopl",
             HC2(vm_assist, VMASST_CMD_enable, VMASST_TYPE_architectural_iopl), 0);
    CHECK_EQ("assist-architectural-iopl-off",
             HC2(vm_assist, VMASST_CMD_disable, VMASST_TYPE_architectural_iopl), 0);
    CHECK_EQ("assist-m2p-strict", HC2(vm_assist, VMASST_CMD_enable, VMASST_TYPE_m2p_strict), 0);
    CHECK_FAILS("assist-unknown", HC2(vm_assist, VMASST_CMD_enable, 63));
    CHECK_FAILS("assist-beyond", HC2(vm_assist, VMASST_CMD_enable, 0xffffffff));
}

/* Ordinary vinfo() is dead after this */
static void move_info(void)
{
    struct vcpu_register_vcpu_info r = {0};
    int port;
    char *p = kit_page();
    uint64_t t;

    r.mfn = 1;
    CHECK_FAILS("move-to-foreign", HC3(vcpu_op, VCPUOP_register_vcpu_info, 0, &r));
    r.mfn = kit_top();
    CHECK_FAILS("move-to-page-table", HC3(vcpu_op, VCPUOP_register_vcpu_info, 0, &r));
    r.mfn = va_mfn(p);
    r.offset = PAGE - 8;
    CHECK_FAILS("move-across-page-end", HC3(vcpu_op, VCPUOP_register_vcpu_info, 0, &r));
    r.offset = 0x140;
    moved = (struct vcpu_info *)(p + r.offset);
    CHECK_EQ("move", HC3(vcpu_op, VCPUOP_register_vcpu_info, 0, &r), 0);
    CHECK_FAILS("move-twice", HC3(vcpu_op, VCPUOP_register_vcpu_info, 0, &r));
    CHECK("time-is-there", moved->time.tsc_to_system_mul && !(moved->time.version & 1));
    kit_hooks[VEC_UPCALL] = on_upcall;
    port = evtchn_ipi(0);
    evtchn_mask((unsigned int)port, false);
    moved->evtchn_upcall_mask = 1;
    HC2(xen_version, XENVER_version, NULL);
    hits = 0;
    CHECK("move-marks-all-pending", moved->evtchn_upcall_pending && moved->evtchn_pending_sel);
    moved->evtchn_upcall_pending = 0;
    moved->evtchn_pending_sel = 0;
    CHECK_EQ("send", evtchn_send((unsigned int)port), 0);
    CHECK("pending-in-new-place", moved->evtchn_upcall_pending && hits == 0);
    moved->evtchn_upcall_mask = 0;
    HC2(xen_version, XENVER_version, NULL);
    CHECK_EQ("upcall-by-new-place", hits, 1);
    moved->evtchn_upcall_mask = 1;
    CHECK_EQ("trap-cr2-in-new-place", (TRAPS(*(volatile char *)0x7770), moved->arch.cr2), 0x7770);
    t = moved->time.system_time;
    HC1(set_timer_op, t + 1000);
    CHECK("time-goes-on", t > 0);
}

void guest_main(void)
{
    versions();
    assists();
    move_info();
}
