/* SPDX-License-Identifier: MIT */
/*
 * HYPERVISOR_platform_op: domain 0's dealings with the machine as a whole. Done: wall clock,
 * processor list, versions and idle times, what little BIOS information survives a multiboot start, and
 * switching off (S5). Everything else is -XEN_ENOSYS, with which a stock domain 0 boots;
 * that includes processor power data (set_processor_pminfo): idle CPUs halt, frequencies are the
 * firmware's.
 */
#include "abi.h"
#include "acpi.h"
#include "lib.h"
#include "log.h"
#include "port.h"
#include "sched.h"
#include "vtime.h"
#include "x86/cpu.h"
#include "x86/guest.h"
#include "x86/hypercalls.h"
#include "x86/mm.h"
#include "x86/physdev.h"
#include "x86/smp.h"

#include <xen/platform.h>

#define BIOS_KBD_FLAGS 0x417 /* in the BIOS data area */
#define NS_PER_S 1000000000u

static uint8_t kbd_shift_flags;

void platform_init(void)
{
    const uint8_t *p = map_physical(BIOS_KBD_FLAGS, 1);

    if (!p)
        return;
    kbd_shift_flags = *p;
    unmap_physical((void *)(uintptr_t)p, 1);
}

/* --- Sub-operations: op is the hypervisor's copy; out set: the caller copies it back. --------- */

static long op_settime(uint64_t secs, uint32_t nsecs, uint64_t system_time)
{
    if (nsecs >= NS_PER_S)
        return -XEN_EINVAL;
    vtime_set_wallclock(secs, nsecs, system_time);
    return 0;
}

static long op_settime64(const struct xenpf_settime64 *s)
{
    if (s->mbz)
        return -XEN_EINVAL;
    return op_settime(s->secs, s->nsecs, s->system_time);
}

/* The numbers are dense: processors 0..cpu_count()-1 run; those listed by ACPI beyond did not
 * start. */
static long op_get_cpuinfo(struct xenpf_pcpuinfo *i)
{
    unsigned cpu;

    i->max_present = cpus_possible - 1;
    i->flags = XEN_PCPU_FLAGS_INVALID;
    i->apic_id = i->acpi_id = ~0u;
    if (i->xen_cpuid >= cpus_possible)
        return 0;
    cpu = (unsigned)index_nospec(i->xen_cpuid, cpus_possible);
    i->flags = cpu < cpu_count() ? XEN_PCPU_FLAGS_ONLINE : 0;
    i->apic_id = cpu_apicid[cpu];
    i->acpi_id = cpu_acpiid[cpu];
    return 0;
}

/* All processors are taken to be of one kind. */
static long op_get_cpu_version(struct xenpf_pcpu_version *i)
{
    i->max_present = cpus_possible - 1;
    memset(i->vendor_id, 0, sizeof(i->vendor_id));
    i->family = i->model = i->stepping = 0;
    if (i->xen_cpuid >= cpu_count())
        return 0;
    memcpy(i->vendor_id, cpu_features.vendor, sizeof(i->vendor_id));
    i->family = cpu_features.family;
    i->model = cpu_features.model;
    i->stepping = cpu_features.stepping;
    return 0;
}

/* No real-mode calls are made, so there is nothing about disks (EDD) and monitors (EDID); and no
 * EFI. */
static long op_firmware_info(struct xenpf_firmware_info *f)
{
    switch (f->type) {
    case XEN_FW_DISK_INFO:
    case XEN_FW_DISK_MBR_SIGNATURE:
    case XEN_FW_VBEDDC_INFO:
        return -XEN_ESRCH;
    case XEN_FW_KBD_SHIFT_FLAGS:
        if (f->index)
            return -XEN_ESRCH;
        f->u.kbd_shift_flags = kbd_shift_flags;
        return 0;
    case XEN_FW_EFI_INFO:
        return -XEN_ENOSYS;
    }
    return -XEN_EINVAL;
}

/* Does not return when it works. */
static long op_enter_acpi_sleep(const struct xenpf_enter_acpi_sleep *s)
{
    if (s->flags & ~(uint32_t)XENPF_ACPI_SLEEP_EXTENDED)
        return -XEN_EINVAL;
    if (s->flags || s->sleep_state != 5) {
        log_warn("domain 0 asks for ACPI sleep state S%u%s: only S5 (off) is there\n",
                 s->sleep_state, s->flags ? " (extended registers)" : "");
        return -XEN_ENOSYS;
    }
    log_info("domain 0 switches the machine off\n");
    acpi_enter_sleep(s->val_a, s->val_b);
    return -XEN_EIO;
}

/* Of the CPUs in the bitmap that are online; the bits of others are cleared. */
static long op_getidletime(struct xenpf_getidletime *g)
{
    uint64_t map = (uint64_t)(uintptr_t)g->cpumap_bitmap.p, to = (uint64_t)(uintptr_t)g->idletime.p;
    unsigned n = MIN(g->cpumap_nr_cpus, (uint32_t)MAX_CPUS);

    for (unsigned first = 0; first < n; first += 8) {
        uint8_t bits, out = 0;

        if (get_guest(bits, guest_ptr(map + first / 8)))
            return -XEN_EFAULT;
        for (unsigned i = 0; i < 8 && first + i < MIN(n, cpu_count()); i++) {
            uint64_t idle;

            if (!(bits & 1U << i))
                continue;
            idle = sched_idle_time(first + i);
            if (put_guest(guest_ptr(to + (first + i) * sizeof(idle)), idle))
                return -XEN_EFAULT;
            out |= (uint8_t)(1U << i);
        }
        if (put_guest(guest_ptr(map + first / 8), out))
            return -XEN_EFAULT;
    }
    g->now = now_ns();
    return 0;
}

/* --- Dispatch --------------------------------------------------------------------------------- */

static long platform_op(struct xen_platform_op *op, bool *out)
{
    *out = false;
    switch (op->cmd) {
    case XENPF_settime32:
        return op_settime(op->u.settime32.secs, op->u.settime32.nsecs, op->u.settime32.system_time);
    case XENPF_settime64:
        return op_settime64(&op->u.settime64);
    case XENPF_get_cpuinfo:
        *out = true;
        return op_get_cpuinfo(&op->u.pcpu_info);
    case XENPF_get_cpu_version:
        *out = true;
        return op_get_cpu_version(&op->u.pcpu_version);
    case XENPF_getidletime:
        *out = true;
        return op_getidletime(&op->u.getidletime);
    case XENPF_firmware_info:
        *out = true;
        return op_firmware_info(&op->u.firmware_info);
    case XENPF_enter_acpi_sleep:
        return op_enter_acpi_sleep(&op->u.enter_acpi_sleep);
    }
    return -XEN_ENOSYS;
}

long do_platform_op(struct vcpu *v, uint64_t arg, uint64_t a2, uint64_t a3, uint64_t a4,
                    uint64_t a5)
{
    struct xen_platform_op op;
    bool out;
    long rc;

    if (!v->domain->hardware)
        return -XEN_EPERM;
    if (get_guest(op, guest_ptr(arg)))
        return -XEN_EFAULT;
    if (op.interface_version != XENPF_INTERFACE_VERSION)
        return -XEN_EACCES;
    rc = platform_op(&op, &out);
    if (!rc && out && put_guest(guest_ptr(arg), op))
        rc = -XEN_EFAULT;
    return rc;
}
