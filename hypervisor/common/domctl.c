/* SPDX-License-Identifier: MIT */
/*
 * The hypercall domctl: fetch, common checks, dispatch by domctl.def. The handlers are in domctl_*.c and, where
 * they are the machine's, in x86/ and pv/.
 *
 * The domctl lock of a domain is only tried: its holder may be waiting for this CPU to leave a guest.
 */
#include "domctl.h"

#include "domain.h"
#include "lib.h"
#include "port.h"

#include <zendo/control.h>

typedef long (*domctl_fn)(struct vcpu *v, struct domain *d, struct xen_domctl *op);

struct domctl_row {
    domctl_fn fn;
    unsigned flags;
};

#ifdef ZENDO_HOST /* a test brings the handlers that it is about */
#define DOMCTL(name, flags) extern __typeof__(domctl_##name) domctl_##name __attribute__((weak));
#define DOMCTL_OWN DOMCTL
#include "domctl.def"
#undef DOMCTL_OWN
#undef DOMCTL
#endif

static const struct domctl_row rows[] = {
#define DOMCTL(name, flags) [XEN_DOMCTL_##name] = {domctl_##name, (flags)},
#define DOMCTL_OWN(name, flags)
#include "domctl.def"
#undef DOMCTL_OWN
#undef DOMCTL
};

static const struct domctl_row own_rows[ZENDO_DOMCTL_COUNT] = {
#define DOMCTL(name, flags)
#define DOMCTL_OWN(name, flags) [ZENDO_DOMCTL_##name - ZENDO_DOMCTL_FIRST] = {domctl_##name, (flags)},
#include "domctl.def"
#undef DOMCTL_OWN
#undef DOMCTL
};

static const struct domctl_row *row_of(uint32_t cmd)
{
    uint32_t own = cmd - ZENDO_DOMCTL_FIRST;

    if (cmd < ARRAY_SIZE(rows))
        return &rows[index_nospec(cmd, ARRAY_SIZE(rows))];
    return own < ARRAY_SIZE(own_rows) ? &own_rows[index_nospec(own, ARRAY_SIZE(own_rows))] : NULL;
}

/* d is what op->domain names, or NULL. */
static long domctl_check(struct vcpu *v, const struct domain *d, unsigned flags)
{
    if (!d)
        return flags & DC_NODOM ? 0 : -XEN_ESRCH;
    if ((flags & DC_OTHER) && d == v->domain)
        return -XEN_EINVAL;
    if (!(flags & DC_DYING) && READ_ONCE(d->dying))
        return -XEN_ESRCH;
    return 0;
}

static long domctl_run(struct vcpu *v, const struct domctl_row *row, struct domain *d,
                       struct xen_domctl *op)
{
    bool lock = d && (row->flags & DC_LOCK);
    long rc;

    if (lock && !try_spin_lock(&d->domctl_lock))
        return -XEN_ERESTART;
    rc = domctl_check(v, d, row->flags);
    if (!rc)
        rc = row->fn(v, d, op);
    if (lock)
        spin_unlock(&d->domctl_lock);
    return rc;
}

static bool goes_back(unsigned flags, long rc)
{
    return (flags & DC_BACK_ERR) || ((flags & DC_BACK) && (rc >= 0 || rc == -XEN_ERESTART));
}

long do_domctl(struct vcpu *v, uint64_t arg, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
    const struct domctl_row *row;
    struct xen_domctl op;
    struct domain *d;
    long rc;

    if (!v->domain->privileged)
        return -XEN_EPERM;
    if (get_guest(op, guest_ptr(arg)))
        return -XEN_EFAULT;
    if (op.interface_version != XEN_DOMCTL_INTERFACE_VERSION)
        return -XEN_EACCES;
    row = row_of(op.cmd);
    if (!row || !row->fn)
        return -XEN_ENOSYS;
    d = domain_get(op.domain);
    rc = domctl_run(v, row, d, &op);
    if (d)
        domain_put(d);
    if (goes_back(row->flags, rc) && put_guest(guest_ptr(arg), op))
        rc = -XEN_EFAULT;
    return rc == -XEN_ERESTART ? hcall_again(v, __HYPERVISOR_domctl, arg, 0, 0, 0, 0) : rc;
}
