/* SPDX-License-Identifier: MIT */
/*
 * mmuext_op: pinning, base pointers, flushes, descriptor tables by machine address, page clearing and copying.
 */
#include "domain.h"
#include "lib.h"
#include "log.h"
#include "logdirty.h"
#include "pgt_update.h"
#include "port.h"
#include "x86/guest.h"
#include "x86/hypercalls.h"
#include "x86/mm.h"
#include "x86/pv.h"
#include "x86/pv_mm.h"
#include "x86/smp.h"

#define CONTINUED BIT(31)

/* --- who and where ---------------------------------------------------------------------------- */

struct domain *pv_domain_get(struct vcpu *v, uint16_t id)
{
    struct domain *d;

    if (id == DOMID_IO) {
        domain_ref(dom_io);
        return dom_io;
    }
    if (id == DOMID_XEN) {
        if (!v->domain->privileged)
            return NULL;
        domain_ref(dom_xen);
        return dom_xen;
    }
    d = domain_get_self(v, id);
    if (d && d != v->domain && !v->domain->privileged) {
        domain_put(d);
        return NULL;
    }
    return d;
}

static void add_vcpu(const struct vcpu *v, uint64_t *mask)
{
    uint16_t on = READ_ONCE(to_x86(v)->loaded_on);

    if (on)
        mask[(on - 1) / 64] |= BIT((on - 1) % 64);
}

void pv_cpus_of_all(struct domain *d, uint64_t *mask)
{
    memset(mask, 0, MAX_CPUS / 8);
    for (unsigned i = 0; i < d->max_vcpus; i++)
        if (d->vcpu[i])
            add_vcpu(d->vcpu[i], mask);
}

int pv_cpus_of_bitmap(struct domain *d, guest_ptr_t bitmap, uint64_t *mask)
{
    uint64_t vcpus[MAX_VCPUS / 64] = {0};
    unsigned bytes = DIV_UP(d->max_vcpus, 8);

    memset(mask, 0, MAX_CPUS / 8);
    if (copy_from_guest(vcpus, bitmap, bytes))
        return -XEN_EFAULT;
    for (unsigned i = 0; i < d->max_vcpus; i++)
        if ((vcpus[i / 64] & BIT(i % 64)) && d->vcpu[i])
            add_vcpu(d->vcpu[i], mask);
    return 0;
}

void pv_invlpg(uint64_t va)
{
    if (va < HYP_VIRT_START || va >= HYP_VIRT_END)
        invlpg(va);
}

/* --- base pointers ------------------------------------------------------------------------------ */

void pv_cr3_update(struct x86_vcpu *xv)
{
    xv->cr3_kernel = paddr_of_mfn(xv->root);
    xv->cr3_user = mfn_eq(xv->root_user, INVALID_MFN) ? 0 : paddr_of_mfn(xv->root_user);
    if (domain_logged(xv->v.domain))
        mirror_roots_set(xv);
}

static int root_drop(struct vcpu *v, mfn_t old)
{
    struct page *pg;

    if (mfn_eq(old, INVALID_MFN))
        return 0;
    pg = page_of(old);
    if (!pgt_put_page(pg, true))
        return 0;
    if (!to_x86(v)->drain)
        to_x86(v)->drain = pg;
    return -XEN_ERESTART;
}

int pv_set_cr3(struct vcpu *v, uint64_t mfn_val)
{
    struct x86_vcpu *xv = to_x86(v);
    mfn_t old = xv->root, now = mfn(mfn_val);
    int rc;

    if (mfn_eq(now, old)) {
        write_guest_cr3(xv->kernel_mode ? xv->cr3_kernel : xv->cr3_user);
        return 0;
    }
    if (!mfn_valid(now))
        return -XEN_EINVAL;
    rc = pgt_get_page(page_of_guest(now), v->domain, PGT_L4, true);
    if (rc)
        return rc;
    xv->root = now;
    pv_cr3_update(xv);
    if (xv->kernel_mode && likely(!domain_logged(v->domain))) /* mirror_roots_set() has */
        write_guest_cr3(xv->cr3_kernel);
    /* Already done as seen by the guest; a leftover of the old table is finished by a later call. */
    (void)root_drop(v, old);
    return 0;
}

static int set_user_root(struct vcpu *v, uint64_t mfn_val)
{
    struct x86_vcpu *xv = to_x86(v);
    mfn_t old = xv->root_user, now = mfn_val ? mfn(mfn_val) : INVALID_MFN;
    int rc;

    if (mfn_eq(now, old))
        return 0;
    if (mfn_val) {
        if (!mfn_valid(now))
            return -XEN_EINVAL;
        rc = pgt_get_page(page_of_guest(now), v->domain, PGT_L4, true);
        if (rc)
            return rc;
    }
    xv->root_user = now;
    pv_cr3_update(xv);
    (void)root_drop(v, old);
    return 0;
}

/* --- pinning ---------------------------------------------------------------------------------------- */

static int unpin(struct vcpu *v, struct domain *d, uint64_t mfn_val)
{
    struct page *pg = get_page_of_mfn(mfn(mfn_val), d);
    uint64_t x;
    int rc = 0;

    if (!pg)
        return -XEN_EINVAL;
    x = __atomic_fetch_and(&pg->type, ~PGT_PINNED, __ATOMIC_ACQ_REL);
    if (!(x & PGT_PINNED)) {
        rc = -XEN_EINVAL;
    } else {
        __atomic_fetch_sub(&d->pt_pins, 1, __ATOMIC_RELAXED);
        page_dirtied(pg);
        if (pgt_put_page(pg, true))
            to_x86(v)->drain = pg;
    }
    put_page(pg);
    return rc;
}

static int pin(struct vcpu *v, struct domain *d, uint64_t mfn_val, uint64_t type)
{
    struct page *pg = get_page_of_mfn(mfn(mfn_val), d);
    uint64_t x;
    int rc;

    if (!pg)
        return -XEN_EINVAL;
    rc = pgt_get(pg, type, true);
    if (rc) {
        put_page(pg);
        return rc;
    }
    x = __atomic_fetch_or(&pg->type, PGT_PINNED, __ATOMIC_ACQ_REL);
    if (x & PGT_PINNED) {
        /* Ours may be the last by now. */
        if (pgt_put_page(pg, true))
            to_x86(v)->drain = pg;
        return -XEN_EINVAL;
    }
    page_dirtied(pg); /* a pin is told with the contents */
    __atomic_fetch_add(&d->pt_pins, 1, __ATOMIC_SEQ_CST);
    /* The end of d does it the other way round: it marks d, then looks for pins. */
    if (unlikely(READ_ONCE(d->dying))) {
        (void)unpin(v, d, mfn_val);
        return -XEN_EINVAL;
    }
    return 0;
}

/* --- pages by number ---------------------------------------------------------------------------------- */

static int clear_page(struct domain *d, uint64_t mfn_val)
{
    struct page *pg = get_page_of_mfn(mfn(mfn_val), d);
    void *p;
    int rc;

    if (!pg)
        return -XEN_EINVAL;
    rc = pgt_get(pg, PGT_WRITABLE, true);
    if (!rc) {
        p = map_frame(mfn_of(pg));
        memset(p, 0, FRAME_SIZE);
        unmap_frame(p);
        page_dirtied(pg);
        pgt_put(pg, false);
    }
    put_page(pg);
    return rc;
}

static int copy_page(struct domain *d, uint64_t to, uint64_t from)
{
    struct page *src = get_page_of_mfn(mfn(from), d), *dst = get_page_of_mfn(mfn(to), d);
    int rc = -XEN_EINVAL;

    if (src && dst)
        rc = pgt_get(dst, PGT_WRITABLE, true);
    if (!rc) {
        void *p = map_frame(mfn_of(dst));
        const void *q = map_frame(mfn_of(src));

        memcpy(p, q, FRAME_SIZE);
        unmap_frame(q);
        unmap_frame(p);
        page_dirtied(dst);
        pgt_put(dst, false);
    }
    if (src)
        put_page(src);
    if (dst)
        put_page(dst);
    return rc;
}

/* --- flushes ------------------------------------------------------------------------------------------- */

static int flush_multi(struct vcpu *v, guest_ptr_t vcpus, bool all, uint64_t va, bool one)
{
    uint64_t mask[MAX_CPUS / 64];

    if (all)
        pv_cpus_of_all(v->domain, mask);
    else if (pv_cpus_of_bitmap(v->domain, vcpus, mask))
        return -XEN_EFAULT;
    if (!one)
        tlb_flush_cpus(mask);
    else if (va < HYP_VIRT_START || va >= HYP_VIRT_END)
        tlb_flush_page_cpus(mask, va);
    return 0;
}

static void cache_flush_here(void *arg)
{
    wbinvd();
}

/* Only who can have mapped memory uncached has a use for it. */
static int cache_flush(struct domain *d, bool global)
{
    uint64_t mask[MAX_CPUS / 64];

    if (!d->hardware)
        return -XEN_EACCES;
    if (!global) {
        cache_flush_here(NULL);
        return 0;
    }
    memset(mask, 0xff, sizeof(mask));
    smp_call(mask, cache_flush_here, NULL);
    return 0;
}

/* --- dispatch ------------------------------------------------------------------------------------------- */

static int pin_level(struct vcpu *v, struct domain *d, const struct mmuext_op *op)
{
    static const uint64_t types[] = {PGT_L1, PGT_L2, PGT_L3, PGT_L4};

    return pin(v, d, op->arg1.mfn, types[(op->cmd - MMUEXT_PIN_L1_TABLE) & 3]);
}

/* Operations on the caller's own translations. */
static int own_op(struct vcpu *v, const struct mmuext_op *op)
{
    switch (op->cmd) {
    case MMUEXT_NEW_BASEPTR:
        return pv_set_cr3(v, op->arg1.mfn);
    case MMUEXT_NEW_USER_BASEPTR:
        return set_user_root(v, op->arg1.mfn);
    case MMUEXT_TLB_FLUSH_LOCAL:
        tlb_flush_guest_local();
        return 0;
    case MMUEXT_INVLPG_LOCAL:
        pv_invlpg(op->arg1.linear_addr);
        return 0;
    case MMUEXT_TLB_FLUSH_MULTI:
        return flush_multi(v, guest_ptr_of(op->arg2.vcpumask), false, 0, false);
    case MMUEXT_INVLPG_MULTI:
        return flush_multi(v, guest_ptr_of(op->arg2.vcpumask), false, op->arg1.linear_addr, true);
    case MMUEXT_TLB_FLUSH_ALL:
        return flush_multi(v, guest_ptr(0), true, 0, false);
    case MMUEXT_INVLPG_ALL:
        return flush_multi(v, guest_ptr(0), true, op->arg1.linear_addr, true);
    case MMUEXT_FLUSH_CACHE:
    case MMUEXT_FLUSH_CACHE_GLOBAL:
        return cache_flush(v->domain, op->cmd == MMUEXT_FLUSH_CACHE_GLOBAL);
    case MMUEXT_SET_LDT:
        return pv_ldt_set(to_x86(v), op->arg1.linear_addr, op->arg2.nr_ents);
    default:
        return -XEN_ENOSYS;
    }
}

static int one_op(struct vcpu *v, struct domain *d, const struct mmuext_op *op)
{
    switch (op->cmd) {
    case MMUEXT_PIN_L1_TABLE:
    case MMUEXT_PIN_L2_TABLE:
    case MMUEXT_PIN_L3_TABLE:
    case MMUEXT_PIN_L4_TABLE:
        return pin_level(v, d, op);
    case MMUEXT_UNPIN_TABLE:
        return unpin(v, d, op->arg1.mfn);
    case MMUEXT_CLEAR_PAGE:
        return clear_page(d, op->arg1.mfn);
    case MMUEXT_COPY_PAGE:
        return copy_page(d, op->arg1.mfn, op->arg2.src_mfn);
    case MMUEXT_MARK_SUPER:
    case MMUEXT_UNMARK_SUPER:
        return -XEN_EOPNOTSUPP;
    default:
        return d == v->domain ? own_op(v, op) : -XEN_EPERM;
    }
}

long do_mmuext_op(struct vcpu *v, uint64_t uops, uint64_t count, uint64_t pdone, uint64_t foreigndom,
                  uint64_t a5)
{
    unsigned n = (unsigned)count & ~(unsigned)CONTINUED, done = 0, total = 0;
    struct domain *d;
    int rc = pgt_finish_drain(v);

    if (rc)
        return hcall_again(v, __HYPERVISOR_mmuext_op, uops, count, pdone, foreigndom, 0);
    if ((count & CONTINUED) && pdone && get_guest(total, guest_ptr(pdone)))
        return -XEN_EFAULT;
    if (likely(foreigndom == DOMID_SELF)) {
        d = v->domain;
        domain_ref(d);
    } else {
        d = pv_domain_get(v, (uint16_t)foreigndom);
        if (!d)
            return -XEN_ESRCH;
    }
    while (done < n) {
        struct mmuext_op op;

        if (done && preempt_needed()) {
            rc = -XEN_ERESTART;
            break;
        }
        rc = copy_from_guest(&op, guest_ptr(uops + done * sizeof(op)), sizeof(op));
        if (!rc)
            rc = one_op(v, d, &op);
        if (rc)
            break;
        done++;
        rc = pgt_finish_drain(v);
        if (rc)
            break;
    }
    domain_put(d);
    total += done;
    if (pdone && put_guest(guest_ptr(pdone), total))
        rc = rc ? rc : -XEN_EFAULT;
    if (rc == -XEN_ERESTART)
        return hcall_again(v, __HYPERVISOR_mmuext_op, uops + done * sizeof(struct mmuext_op),
                           (n - done) | CONTINUED, pdone, foreigndom, 0);
    return rc;
}
