/* SPDX-License-Identifier: MIT */
/*
 * xen_version: what we say we are. 4.17, so that stock tools accept us; the extra version names Zendo. Sub-op
 * "version" is also a guest's cheap way to have pending events delivered, so it comes first and fast.
 */
#include "abi.h"
#include "cmdline.h"
#include "domain.h"
#include "lib.h"
#include "port.h"
#include "x86/hypercalls.h"
#include "version_info.h"

#include <xen/features.h>
#include <xen/version.h>

static const char *command_line = "";

void version_set_cmdline(const char *line)
{
    command_line = line;
}

static long put_text(guest_ptr_t to, const char *s, size_t size)
{
    char buf[1024];

    memset(buf, 0, sizeof(buf));
    size = MIN(size, sizeof(buf));
    strlcpy(buf, s, size);
    return copy_to_guest(to, buf, size) ? -XEN_EFAULT : 0;
}

static long compile_info(guest_ptr_t to)
{
    struct xen_compile_info ci;

    memset(&ci, 0, sizeof(ci));
    strlcpy(ci.compiler, "gcc " __VERSION__, sizeof(ci.compiler));
    strlcpy(ci.compile_by, "zendo", sizeof(ci.compile_by));
    strlcpy(ci.compile_domain, "localdomain", sizeof(ci.compile_domain));
    strlcpy(ci.compile_date, ZENDO_DATE, sizeof(ci.compile_date));
    return put_guest(to, ci) ? -XEN_EFAULT : 0;
}

static long features(struct vcpu *v, guest_ptr_t to)
{
    xen_feature_info_t fi;

    if (get_guest(fi, to))
        return -XEN_EFAULT;
    if (fi.submap_idx >= XENFEAT_NR_SUBMAPS)
        return -XEN_EINVAL;
    fi.submap = (1U << XENFEAT_pae_pgdir_above_4gb) | (1U << XENFEAT_mmu_pt_update_preserve_ad) |
                    (1U << XENFEAT_highmem_assist) | (1U << XENFEAT_gnttab_map_avail_bits) |
                    (v->domain->hardware ? 1U << XENFEAT_dom0 : 0) |
                    (1U << XENFEAT_memory_op_vnode_supported) | (1U << XENFEAT_direct_mapped);
    return put_guest(to, fi) ? -XEN_EFAULT : 0;
}

static long platform_parameters(guest_ptr_t to)
{
    xen_platform_parameters_t p = {.virt_start = HYPERVISOR_VIRT_START};

    return put_guest(to, p) ? -XEN_EFAULT : 0;
}

static long domain_handle(struct vcpu *v, guest_ptr_t to)
{
    return copy_to_guest(to, v->domain->handle, sizeof(xen_domain_handle_t)) ? -XEN_EFAULT : 0;
}

static long build_id(guest_ptr_t to)
{
    static const uint8_t id[] = ZENDO_BUILD_ID;
    xen_build_id_t head;

    if (!to.va)
        return sizeof(id);
    if (get_guest(head, to))
        return -XEN_EFAULT;
    if (head.len == 0)
        return -XEN_EINVAL;
    if (head.len < sizeof(id))
        return -XEN_ENOBUFS;
    return copy_to_guest(guest_ptr_add(to, offsetof(xen_build_id_t, buf)), id, sizeof(id)) ? -XEN_EFAULT
                                                                                       : (long)sizeof(id);
}

long do_xen_version(struct vcpu *v, uint64_t cmd, uint64_t arg, uint64_t a3, uint64_t a4, uint64_t a5)
{
    guest_ptr_t to = guest_ptr(arg);

    switch (cmd) {
    case XENVER_version:
        return (4 << 16) | 17;
    case XENVER_extraversion:
        return put_text(to, ".7-zendo", sizeof(xen_extraversion_t));
    case XENVER_compile_info:
        return compile_info(to);
    case XENVER_capabilities:
        return put_text(to, "xen-3.0-x86_64 ", sizeof(xen_capabilities_info_t));
    case XENVER_changeset:
        return put_text(to, ZENDO_CHANGESET, sizeof(xen_changeset_info_t));
    case XENVER_platform_parameters:
        return platform_parameters(to);
    case XENVER_get_features:
        return features(v, to);
    case XENVER_pagesize:
        return to.va ? -XEN_EINVAL : (long)FRAME_SIZE;
    case XENVER_guest_handle:
        return domain_handle(v, to);
    case XENVER_commandline:
        return v->domain->privileged ? put_text(to, command_line, sizeof(xen_commandline_t)) : -XEN_EPERM;
    case XENVER_build_id:
        return build_id(to);
    default:
        return -XEN_ENOSYS;
    }
}
