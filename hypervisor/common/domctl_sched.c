/* SPDX-License-Identifier: MIT */
/*
 * Control calls of the scheduler: weights, caps and affinities of domains, and what is set for the whole host. The
 * two numbers that tools know proportional share by, credit and credit2, have arguments of the same form and are
 * both answered; which of them sched_id tells makes tools choose credit2.
 */
#include "domain.h"
#include "domctl.h"
#include "lib.h"
#include "log.h"
#include "port.h"
#include "sched.h"
#include "sysctl.h"

#define MASK_BYTES (MAX_CPUS / 8)
#define BITMAP_MAX 8192 /* bits of a caller's bitmap that are written at most */
#define RATELIMIT_MAX XEN_SYSCTL_SCHED_RATELIMIT_MAX
#define RATELIMIT_MIN XEN_SYSCTL_SCHED_RATELIMIT_MIN
#define TURN_MS 10      /* what we tell; it cannot be set */

/* --- Bitmaps of CPUs --------------------------------------------------------------------------------------- */

/* What lies beyond the caller's bits is 0, what lies beyond ours is not looked at. */
static int mask_get(uint64_t mask[MAX_CPUS / 64], const struct xenctl_bitmap *b)
{
    uint8_t bytes[MASK_BYTES] = {0};
    unsigned n = MIN(b->nr_bits, MAX_CPUS);

    if (copy_from_guest(bytes, guest_ptr_of(b->bitmap), DIV_UP(n, 8)))
        return -XEN_EFAULT;
    if (n % 8)
        bytes[n / 8] &= (uint8_t)(BIT(n % 8) - 1);
    memcpy(mask, bytes, sizeof(bytes));
    return 0;
}

static int mask_put(const struct xenctl_bitmap *b, const uint64_t mask[MAX_CPUS / 64])
{
    guest_ptr_t to = guest_ptr_of(b->bitmap);
    unsigned n = MIN(b->nr_bits, MAX_CPUS), room = DIV_UP(MIN(b->nr_bits, (uint32_t)BITMAP_MAX), 8);
    uint8_t bytes[MASK_BYTES];

    memcpy(bytes, mask, sizeof(bytes));
    if (n % 8)
        bytes[n / 8] &= (uint8_t)(BIT(n % 8) - 1);
    if (copy_to_guest(to, bytes, DIV_UP(n, 8)))
        return -XEN_EFAULT;
    return room > MASK_BYTES ? clear_guest(guest_ptr_add(to, MASK_BYTES), room - MASK_BYTES) : 0;
}

/* What of a mask counts: the CPUs that are online, and in `also`. */
static void mask_effective(uint64_t out[], const uint64_t mask[], const uint64_t also[])
{
    unsigned i, n = cpu_count();

    for (i = 0; i < MAX_CPUS / 64; i++) {
        uint64_t online = n >= (i + 1) * 64 ? ~0ULL : n > i * 64 ? BIT(n % 64) - 1 : 0;

        out[i] = READ_ONCE(mask[i]) & READ_ONCE(also[i]) & online;
    }
}

/* --- Affinity ---------------------------------------------------------------------------------------------- */

static long affinity_vcpu(struct domain *d, const struct xen_domctl_vcpuaffinity *a, struct vcpu **v)
{
    if (a->vcpu >= d->max_vcpus || !(a->flags & (XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT)))
        return -XEN_EINVAL;
    *v = domain_vcpu(d, a->vcpu);
    return *v ? 0 : -XEN_ESRCH;
}

static long affinity_set_hard(struct vcpu *v, const struct xenctl_bitmap *b)
{
    uint64_t mask[MAX_CPUS / 64];
    int rc = mask_get(mask, b);

    if (!rc)
        rc = vcpu_affinity_set(v, mask);
    if (rc == -XEN_EINVAL)
        log_info("d%uv%u: hard affinity without a CPU that is online: CPUs 0 to %u are\n", v->domain->id,
                 v->id, cpu_count() - 1);
    return rc;
}

static long affinity_set_soft(struct vcpu *v, const struct xenctl_bitmap *b)
{
    uint64_t mask[MAX_CPUS / 64];
    int rc = mask_get(mask, b);

    return rc ? rc : vcpu_soft_affinity_set(v, mask);
}

/* The first change stays when the second is refused; the caller sees which by what it reads. */
long domctl_setvcpuaffinity(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_vcpuaffinity *a = &op->u.vcpuaffinity;
    uint64_t out[MAX_CPUS / 64];
    struct vcpu *t;
    long rc = affinity_vcpu(d, a, &t);

    if (!rc && (a->flags & XEN_VCPUAFFINITY_HARD))
        rc = affinity_set_hard(t, &a->cpumap_hard);
    if (!rc && (a->flags & XEN_VCPUAFFINITY_SOFT))
        rc = affinity_set_soft(t, &a->cpumap_soft);
    if (!rc && (a->flags & XEN_VCPUAFFINITY_HARD)) {
        mask_effective(out, t->sched.affinity, t->sched.affinity);
        rc = mask_put(&a->cpumap_hard, out);
    }
    if (!rc && (a->flags & XEN_VCPUAFFINITY_SOFT)) {
        mask_effective(out, t->sched.soft, t->sched.affinity);
        rc = mask_put(&a->cpumap_soft, out);
    }
    return rc;
}

/* The masks as they were set. */
long domctl_getvcpuaffinity(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_vcpuaffinity *a = &op->u.vcpuaffinity;
    struct vcpu *t;
    long rc = affinity_vcpu(d, a, &t);

    if (!rc && (a->flags & XEN_VCPUAFFINITY_HARD))
        rc = mask_put(&a->cpumap_hard, t->sched.affinity);
    if (!rc && (a->flags & XEN_VCPUAFFINITY_SOFT))
        rc = mask_put(&a->cpumap_soft, t->sched.soft);
    return rc;
}

/* --- Weights and caps --------------------------------------------------------------------------------------- */

static bool sched_id_fits(uint32_t id)
{
    return sched_policy()->has_shares && (id == XEN_SCHEDULER_CREDIT || id == XEN_SCHEDULER_CREDIT2);
}

/* Weight 0 and cap 0xffff: as it is. */
static void shares_put(struct domain *d, const struct xen_domctl_sched_credit2 *s)
{
    sched_domain_set(d, s->weight ? s->weight : READ_ONCE(d->sched.weight),
                     s->cap != UINT16_MAX ? s->cap : READ_ONCE(d->sched.cap));
}

long domctl_scheduler_op(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_scheduler_op *a = &op->u.scheduler_op;

    if (!sched_id_fits(a->sched_id))
        return -XEN_EINVAL;
    switch (a->cmd) {
    case XEN_DOMCTL_SCHEDOP_putinfo:
        shares_put(d, &a->u.credit2);
        return 0;
    case XEN_DOMCTL_SCHEDOP_getinfo:
        a->u.credit2.weight = (uint16_t)READ_ONCE(d->sched.weight);
        a->u.credit2.cap = (uint16_t)READ_ONCE(d->sched.cap);
        return 0;
    default: /* nothing is set per vCPU */
        return -XEN_EINVAL;
    }
}

/* --- The whole host ----------------------------------------------------------------------------------------- */

static long ratelimit_put(uint32_t us)
{
    if (us && (us < RATELIMIT_MIN || us > RATELIMIT_MAX))
        return -XEN_EINVAL;
    WRITE_ONCE(sched_ratelimit_us, us);
    return 0;
}

static long host_put(const struct xen_sysctl_scheduler_op *a)
{
    if (a->sched_id == XEN_SCHEDULER_CREDIT2)
        return ratelimit_put(a->u.sched_credit2.ratelimit_us);
    if (a->u.sched_credit.tslice_ms != TURN_MS || a->u.sched_credit.vcpu_migr_delay_us)
        return -XEN_EINVAL;
    return ratelimit_put(a->u.sched_credit.ratelimit_us);
}

static long host_get(struct xen_sysctl_scheduler_op *a)
{
    if (a->sched_id == XEN_SCHEDULER_CREDIT2) {
        a->u.sched_credit2.ratelimit_us = READ_ONCE(sched_ratelimit_us);
        return 0;
    }
    a->u.sched_credit.tslice_ms = TURN_MS;
    a->u.sched_credit.ratelimit_us = READ_ONCE(sched_ratelimit_us);
    a->u.sched_credit.vcpu_migr_delay_us = 0;
    return 0;
}

long sysctl_scheduler_op(struct vcpu *v, struct xen_sysctl *op)
{
    struct xen_sysctl_scheduler_op *a = &op->u.scheduler_op;

    if (a->cpupool_id)
        return -XEN_ESRCH;
    if (!sched_id_fits(a->sched_id))
        return -XEN_EINVAL;
    switch (a->cmd) {
    case XEN_SYSCTL_SCHEDOP_putinfo:
        return host_put(a);
    case XEN_SYSCTL_SCHEDOP_getinfo:
        return host_get(a);
    default:
        return -XEN_EINVAL;
    }
}
