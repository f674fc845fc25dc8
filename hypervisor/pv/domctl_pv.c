/* SPDX-License-Identifier: MIT */
/* Control calls about PV guests: the page of hypercall stubs, width of addresses. */
#include "domain.h"
#include "domctl.h"
#include "lib.h"
#include "log.h"
#include "logdirty.h"
#include "pgt.h"
#include "port.h"

#define STUB_BYTES 32 /* the ABI: hypercall nr is at nr * 32 */

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
