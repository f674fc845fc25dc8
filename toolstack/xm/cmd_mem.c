/* SPDX-License-Identifier: MIT */
/*
 * xm mem-set, mem-max: the balloon. mem-set tells the guest's balloon driver its new size by the store and sets the hypervisor's
 * limit to it; the guest gives or takes at its own pace, which `xm list` shows.
 */
#include "xm.h"

#include <errno.h>

#define EXTRA_KIB 1024 /* the limit lies that much above the target, see domain_create.c */
#define LEAST_KIB 16384

static int room_for(uint32_t domid, uint64_t now_kib, uint64_t kib)
{
    struct xen_sysctl_physinfo host;
    int rc = ctl_physinfo(xm_ctl(), &host);
    uint64_t free_kib = host.free_pages > host.outstanding_pages ? (host.free_pages - host.outstanding_pages) * 4 : 0;

    if (rc || kib <= now_kib || kib - now_kib <= free_kib)
        return rc;
    return fault(-ENOMEM, "domain %u: %llu MiB more are wanted, the host has %llu MiB free; shrink or end another (`%s list`)", domid,
                 (unsigned long long)(kib - now_kib) >> 10, (unsigned long long)free_kib >> 10, program);
}

int cmd_mem_set(struct args *a)
{
    struct xen_domctl_getdomaininfo d;
    char path[64];
    int64_t most;
    uint64_t kib;
    uint32_t domid;
    int rc = xm_domain(a->operands[0], &domid, &d);

    rc = rc ? rc : xm_memory(a->operands[1], &kib);
    rc = rc ? rc : store_open();
    if (rc)
        return rc;
    if (!store_read_number(&most, "/local/domain/%u/memory/static-max", domid) && most > 0 && kib > (uint64_t)most)
        return fault(-EINVAL, "domain %u: %llu MiB is more than its maximum, %lld MiB ('maxmem =' when it is created)", domid,
                     (unsigned long long)kib >> 10, (long long)most >> 10);
    if (kib < LEAST_KIB)
        return fault(-EINVAL, "domain %u: %llu KiB is less than any kernel can live in", domid, (unsigned long long)kib);
    rc = room_for(domid, d.tot_pages * 4, kib);
    rc = rc ? rc : ctl_domain_max_mem(xm_ctl(), (domid_t)domid, kib + EXTRA_KIB);
    snprintf(path, sizeof(path), "/local/domain/%u/memory/target", domid);
    return rc ? rc : store_write(path, "%llu", (unsigned long long)kib);
}

int cmd_mem_max(struct args *a)
{
    struct xen_domctl_getdomaininfo d;
    int64_t target;
    uint64_t kib;
    uint32_t domid;
    int rc = xm_domain(a->operands[0], &domid, &d);

    rc = rc ? rc : xm_memory(a->operands[1], &kib);
    rc = rc ? rc : store_open();
    if (rc)
        return rc;
    if (store_read_number(&target, "/local/domain/%u/memory/target", domid))
        target = 0;
    if (kib < (uint64_t)target)
        return fault(-EINVAL, "domain %u: its target is %lld MiB; `%s mem-set` it to %llu first", domid, (long long)target >> 10, program,
                     (unsigned long long)kib >> 10);
    return ctl_domain_max_mem(xm_ctl(), (domid_t)domid, kib + EXTRA_KIB);
}
