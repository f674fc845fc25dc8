/* SPDX-License-Identifier: MIT */
/* Control calls about PV guests' memory: types of frames, the page of hypercall stubs, width of addresses. */
#include "domain.h"
#include "domctl.h"
#include "lib.h"
#include "log.h"
#include "logdirty.h"
#include "pgt.h"
#include "port.h"

#define STUB_BYTES 32 /* the ABI: hypercall nr is at nr * 32 */
#define BATCH 64
#define FRAMES_MAX 1024

/* --- getpageframeinfo3 ------------------------------------------------------------------------------ */

/* What save tools want to know of a frame: is it a page table, of which level, pinned; or not one of d's. */
static uint64_t frame_info(const struct domain *d, uint64_t mfn_val)
{
    static const uint32_t tab[] = {XEN_DOMCTL_PFINFO_L1TAB, XEN_DOMCTL_PFINFO_L2TAB,
                                   XEN_DOMCTL_PFINFO_L3TAB, XEN_DOMCTL_PFINFO_L4TAB};
    struct page *pg = get_page_of_mfn(mfn(mfn_val), d);
    uint64_t info = XEN_DOMCTL_PFINFO_NOTAB, type;

    if (!pg)
        return XEN_DOMCTL_PFINFO_XTAB;
    type = __atomic_load_n(&pg->type, __ATOMIC_ACQUIRE);
    if (READ_ONCE(pg->count) & PGC_HYP)
        info = XEN_DOMCTL_PFINFO_XTAB;
    else if ((type & PGT_COUNT_MASK) && PGT_LEVEL(type) >= 1 && PGT_LEVEL(type) <= 4)
        info = tab[PGT_LEVEL(type) - 1] | (type & PGT_PINNED ? XEN_DOMCTL_PFINFO_LPINTAB : 0);
    put_page(pg);
    return info;
}

/* In place: numbers of frames become their types. The argument is moved on, so that it can be issued again. */
long domctl_getpageframeinfo3(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_getpageframeinfo3 *g = &op->u.getpageframeinfo3;
    uint64_t frames[BATCH];

    if (g->num > FRAMES_MAX)
        return -XEN_E2BIG;
    while (g->num) {
        unsigned n = (unsigned)MIN(g->num, (uint64_t)BATCH);
        guest_ptr_t at = guest_ptr_of(g->array);

        if (copy_from_guest(frames, at, n * sizeof(frames[0])))
            return -XEN_EFAULT;
        for (unsigned i = 0; i < n; i++)
            frames[i] = frame_info(d, frames[i]);
        if (copy_to_guest(at, frames, n * sizeof(frames[0])))
            return -XEN_EFAULT;
        g->num -= n;
        g->array.p += n;
        if (g->num && preempt_needed())
            return -XEN_ERESTART;
    }
    return 0;
}

/* --- hypercall_init ----------------------------------------------------------------------------------- */

/* push %rcx; push %r11; mov $nr, %eax; syscall; pop %r11; pop %rcx; ret. iret takes what it finds on the stack, which
 * begins with rax, r11, rcx (struct iret_context), and does not come back. */
static void stub_write(uint8_t *p, uint32_t nr)
{
    static const uint8_t head[] = {0x51, 0x41, 0x53}, push_rax[] = {0x50}, call[] = {0x0f, 0x05},
                         tail[] = {0x41, 0x5b, 0x59, 0xc3};

    memcpy(p, head, sizeof(head));
    p += sizeof(head);
    if (nr == __HYPERVISOR_iret) {
        memcpy(p, push_rax, sizeof(push_rax));
        p += sizeof(push_rax);
    }
    *p++ = 0xb8;
    memcpy(p, &nr, sizeof(nr));
    p += sizeof(nr);
    memcpy(p, call, sizeof(call));
    if (nr != __HYPERVISOR_iret)
        memcpy(p + sizeof(call), tail, sizeof(tail));
}

long domctl_hypercall_init(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    struct page *pg = get_page_of_mfn(mfn(op->u.hypercall_init.gmfn), d);
    uint8_t *page;
    int rc;

    if (!pg)
        return -XEN_EACCES;
    rc = pgt_get(pg, PGT_WRITABLE, true);
    if (!rc) {
        page = map_frame(mfn_of(pg));
        memset(page, 0xcc, FRAME_SIZE);
        for (uint32_t nr = 0; nr < FRAME_SIZE / STUB_BYTES; nr++)
            stub_write(page + nr * STUB_BYTES, nr);
        unmap_frame(page);
        page_dirtied(pg);
        pgt_put(pg, false);
    }
    put_page(pg);
    return rc;
}

/* --- address size -------------------------------------------------------------------------------------- */

long domctl_set_address_size(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    if (op->u.address_size.size == 64)
        return 0;
    log_info("d%u: %u-bit PV guests are not supported: use a 64-bit kernel\n", d->id,
             op->u.address_size.size);
    return op->u.address_size.size == 32 ? -XEN_EOPNOTSUPP : -XEN_EINVAL;
}

long domctl_get_address_size(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    op->u.address_size.size = 64;
    return 0;
}
