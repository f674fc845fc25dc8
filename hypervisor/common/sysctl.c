/* SPDX-License-Identifier: MIT */
/* The hypercall sysctl: fetch, common checks, dispatch by sysctl.def. The handlers are in sysctl_*.c. */
#include "sysctl.h"

#include "domain.h"
#include "lib.h"
#include "port.h"

typedef long (*sysctl_fn)(struct vcpu *v, struct xen_sysctl *op);

struct sysctl_row {
    sysctl_fn fn;
    unsigned flags;
};

#ifdef ZENDO_HOST /* a test brings the handlers that it is about */
#define SYSCTL(name, flags) extern __typeof__(sysctl_##name) sysctl_##name __attribute__((weak));
#include "sysctl.def"
#undef SYSCTL
#endif

static const struct sysctl_row rows[] = {
#define SYSCTL(name, flags) [XEN_SYSCTL_##name] = {sysctl_##name, (flags)},
#include "sysctl.def"
#undef SYSCTL
};

static bool goes_back(unsigned flags, long rc)
{
    return (flags & SC_BACK_ERR) || ((flags & SC_BACK) && (rc >= 0 || rc == -XEN_ERESTART));
}

long do_sysctl(struct vcpu *v, uint64_t arg, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
    const struct sysctl_row *row;
    struct xen_sysctl op;
    long rc;

    if (!v->domain->privileged)
        return -XEN_EPERM;
    if (get_guest(op, guest_ptr(arg)))
        return -XEN_EFAULT;
    if (op.interface_version != XEN_SYSCTL_INTERFACE_VERSION)
        return -XEN_EACCES;
    if (op.cmd >= ARRAY_SIZE(rows))
        return -XEN_ENOSYS;
    row = &rows[index_nospec(op.cmd, ARRAY_SIZE(rows))];
    if (!row->fn)
        return -XEN_ENOSYS;
    rc = row->fn(v, &op);
    if (goes_back(row->flags, rc) && put_guest(guest_ptr(arg), op))
        rc = -XEN_EFAULT;
    return rc == -XEN_ERESTART ? hcall_again(v, __HYPERVISOR_sysctl, arg, 0, 0, 0, 0) : rc;
}
