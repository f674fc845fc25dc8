/* SPDX-License-Identifier: MIT */
/*
 * The machine's half of memory_op: the firmware's memory map for domain 0, a domain's own map, the frames of the
 * machine-to-physical table.
 */
#include "abi.h"
#include "boot.h"
#include "domain.h"
#include "lib.h"
#include "memory_ops.h"
#include "page.h"
#include "pgt.h"
#include "port.h"
#include "x86/guest.h"
#include "x86/mm.h"

#include <xen/memory.h>

/* A region as the ABI writes it down. */
struct e820entry {
    uint64_t addr, size;
    uint32_t type;
} __packed;

/* Copy n regions as far as the guest's buffer goes; the count written back is what was copied. */
static long put_map(guest_ptr_t arg, const struct boot_region *map, unsigned n)
{
    struct xen_memory_map m;
    unsigned i;

    if (get_guest(m, arg))
        return -XEN_EFAULT;
    for (i = 0; i < n && i < m.nr_entries; i++) {
        struct e820entry e = {map[i].start, map[i].size, map[i].type};

        if (copy_to_guest(guest_ptr((uint64_t)m.buffer.p + i * sizeof(e)), &e, sizeof(e)))
            return -XEN_EFAULT;
    }
    m.nr_entries = i;
    return put_guest(arg, m) ? -XEN_EFAULT : 0;
}

static long machine_memory_map(struct vcpu *v, guest_ptr_t arg)
{
    if (!v->domain->privileged)
        return -XEN_EPERM;
    return put_map(arg, boot.raw, boot.nr_raw);
}

/* Tools map the M2P as frames of DOMID_XEN, and only to read: the frames have for ever a type that excludes writable
 * mappings and page tables. */
void m2p_share(void)
{
    for (uint64_t va = M2P_RW_VIRT; va < M2P_RW_VIRT + frame_max * 8; va += 2UL << 20) {
        if (!hyp_mapped(va))
            continue;
        for (uint64_t i = 0; i < 512; i++) {
            struct page *pg = page_of(mfn(hyp_frame_of(va) + i));

            pg->type = PGT_SEG | PGT_VALID | 1;
            pg->count = PGC_HYP | 1;
            pg->owner = dom_xen;
        }
    }
}

/* The machine frames behind the M2P, one per 2 MiB of it, for save and restore tools. */
static long machphys_mfn_list(guest_ptr_t arg)
{
    struct xen_machphys_mfn_list l;
    unsigned n = (unsigned)DIV_UP(frame_max * 8, 2UL << 20), i;
    xen_pfn_t last = 0;

    if (get_guest(l, arg))
        return -XEN_EFAULT;
    for (i = 0; i < n && i < l.max_extents; i++) {
        uint64_t va = M2P_RW_VIRT + i * (2UL << 20);
        xen_pfn_t m = hyp_mapped(va) ? hyp_frame_of(va) : last;

        last = m;
        if (copy_to_guest(guest_ptr((uint64_t)l.extent_start.p + i * sizeof(m)), &m, sizeof(m)))
            return -XEN_EFAULT;
    }
    l.nr_extents = i;
    return put_guest(arg, l) ? -XEN_EFAULT : 0;
}

/* --- a domain's own map, which its builder gives --- */

#define MAP_MAX 128 /* regions */

static long set_memory_map(struct vcpu *v, guest_ptr_t arg)
{
    struct xen_foreign_memory_map f;
    struct domain *d;
    void *map;
    long rc;
    int why;

    if (get_guest(f, arg))
        return -XEN_EFAULT;
    if (f.map.nr_entries > MAP_MAX)
        return -XEN_EINVAL;
    d = memory_subject(v, f.domid, &why);
    if (!d)
        return why;
    map = zalloc(MAX(f.map.nr_entries, 1u) * sizeof(struct e820entry));
    rc = map ? copy_from_guest(map, guest_ptr_of(f.map.buffer), f.map.nr_entries * sizeof(struct e820entry))
             : -XEN_ENOMEM;
    if (!rc) {
        struct x86_domain *xd = to_x86d(d);
        void *old;

        spin_lock(&d->page_lock);
        old = xd->e820;
        xd->e820 = map;
        xd->nr_e820 = f.map.nr_entries;
        spin_unlock(&d->page_lock);
        map = old;
    }
    zfree(map);
    domain_put(d);
    return rc;
}

static long own_memory_map(struct vcpu *v, guest_ptr_t arg)
{
    struct x86_domain *xd = to_x86d(v->domain);
    struct e820entry map[MAP_MAX];
    struct xen_memory_map m;
    unsigned n = 0;

    spin_lock(&v->domain->page_lock);
    if (xd->e820) {
        n = xd->nr_e820;
        memcpy(map, xd->e820, n * sizeof(map[0]));
    }
    spin_unlock(&v->domain->page_lock);
    if (!n)
        return v->domain->hardware ? machine_memory_map(v, arg) : -XEN_ENOSYS;
    if (get_guest(m, arg))
        return -XEN_EFAULT;
    n = MIN(n, m.nr_entries);
    if (copy_to_guest(guest_ptr_of(m.buffer), map, n * sizeof(map[0])))
        return -XEN_EFAULT;
    m.nr_entries = n;
    return put_guest(arg, m) ? -XEN_EFAULT : 0;
}

long arch_memory_op(struct vcpu *v, unsigned op, uint64_t arg)
{
    switch (op) {
    case XENMEM_machine_memory_map:
        return machine_memory_map(v, guest_ptr(arg));
    case XENMEM_memory_map:
        return own_memory_map(v, guest_ptr(arg));
    case XENMEM_set_memory_map:
        return set_memory_map(v, guest_ptr(arg));
    case XENMEM_machphys_mfn_list:
        return machphys_mfn_list(guest_ptr(arg));
    case XENMEM_get_sharing_freed_pages:
    case XENMEM_get_sharing_shared_pages:
        return 0;
    default:
        return -XEN_ENOSYS;
    }
}
