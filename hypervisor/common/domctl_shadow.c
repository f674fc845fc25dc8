/* SPDX-License-Identifier: MIT */
/*
 * The control call shadow_op: log-dirty on and off, and its bitmap. (The name is from a time when it was one of several
 * uses of shadow tables; there are no others here.) Each operation takes as many turns as it needs; where it has come to
 * is kept with the domain, and until it is done others are told to wait, except OFF, which ends whatever is going on.
 */
#include "domain.h"
#include "domctl.h"
#include "lib.h"
#include "log.h"
#include "logdirty_core.h"
#include "port.h"

#define REPORT_WORDS (FRAME_SIZE / 8)

/* --- on -------------------------------------------------------------------------------------------------- */

static long enable_begin(struct domain *d)
{
    if (READ_ONCE(d->dying))
        return -XEN_EINVAL;
    d->logdirty_ctl = logdirty_make(d);
    if (d->logdirty_ctl)
        return 0;
    log_info("d%u: log-dirty: no memory for the bitmaps: free some in the hypervisor\n", d->id);
    return -XEN_ENOMEM;
}

static long enable_alloc(struct domain *d, struct logdirty *ld)
{
    long rc = arch_logdirty_alloc(ld);

    if (rc == -XEN_ENOMEM) {
        log_info("d%u: log-dirty: no memory for mirror tables (%u MB wanted): free some in the hypervisor\n", d->id,
                 arch_logdirty_mb(d));
        ld->phase = LOGDIRTY_FREE;
        while (logdirty_free(ld)) /* a few frames at most had been got */
            ;
        d->logdirty_ctl = NULL;
    }
    if (rc)
        return rc;
    domain_pause(d);
    arch_logdirty_attach(ld);
    domain_unpause(d);
    ld->cursor = 0;
    ld->phase = LOGDIRTY_SCAN;
    return 0;
}

static long enable_scan(struct logdirty *ld)
{
    long rc = logdirty_held_scan(ld, &ld->cursor);

    if (rc)
        return rc;
    ld->ticket = quiesce_begin();
    ld->phase = LOGDIRTY_SETTLE;
    return 0;
}

static long shadow_enable(struct domain *d)
{
    struct logdirty *ld = d->logdirty_ctl;
    long rc = 0;

    if (ld && ld->phase >= LOGDIRTY_ON) {
        log_info("d%u: log-dirty is on already\n", d->id);
        return -XEN_EINVAL;
    }
    if (!ld)
        rc = enable_begin(d);
    ld = d->logdirty_ctl;
    if (!rc && ld->phase == LOGDIRTY_ALLOC)
        rc = enable_alloc(d, ld);
    if (!rc && ld->phase == LOGDIRTY_SCAN)
        rc = enable_scan(ld);
    if (rc)
        return rc;
    if (!quiesce_done(ld->ticket))
        return -XEN_ERESTART;
    ld->phase = LOGDIRTY_ON;
    return 0;
}

/* --- the bitmap -------------------------------------------------------------------------------------------- */

static void report_fill(const struct logdirty *ld, uint64_t first, bool clean)
{
    for (uint64_t i = 0; i < REPORT_WORDS; i++) {
        uint64_t k = first + i;

        if (k >= ld->nr / 64 || ld->all)
            ld->out[i] = ~0ULL;
        else
            ld->out[i] = READ_ONCE(ld->live[k]) | (clean ? ld->snap[k] : 0);
    }
}

/* From cursor (in bits) on. The last byte's bits above the end are zero. */
static long report(struct logdirty *ld, const struct xen_domctl_shadow_op *s, bool clean)
{
    guest_ptr_t to = guest_ptr_of(s->dirty_bitmap);

    while (to.va && ld->cursor < s->pages) {
        uint64_t bits = MIN(s->pages - ld->cursor, REPORT_WORDS * 64), bytes = DIV_UP(bits, 8);
        uint8_t *last = (uint8_t *)ld->out + bytes - 1;

        report_fill(ld, ld->cursor / 64, clean);
        if (bits % 8)
            *last &= (uint8_t)(BIT(bits % 8) - 1);
        if (copy_to_guest(guest_ptr_add(to, ld->cursor / 8), ld->out, bytes))
            return -XEN_EFAULT;
        ld->cursor += bits;
        if (ld->cursor < s->pages && preempt_needed())
            return -XEN_ERESTART;
    }
    return 0;
}

/* A bitmap that does not reach its reader is not lost: the next one has it. Nor what he did not ask for. */
static void clean_end(struct logdirty *ld, const struct xen_domctl_shadow_op *s, long rc)
{
    bool wanted = guest_ptr_of(s->dirty_bitmap).va != 0;

    if (rc)
        logdirty_unswap(ld, 0);
    else if (wanted && s->pages < ld->nr)
        logdirty_unswap(ld, s->pages);
    memset(ld->snap, 0, ld->nr / 8);
    if (!rc) {
        __atomic_store_n(&ld->faults, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&ld->dirtied, 0, __ATOMIC_RELAXED);
    }
}

static long bitmap_step(struct logdirty *ld, const struct xen_domctl_shadow_op *s, bool clean)
{
    long rc = 0;

    if (ld->phase == LOGDIRTY_HELD) {
        rc = logdirty_held_mark(ld, &ld->cursor);
        if (rc)
            return rc;
        ld->cursor = 0;
        ld->phase = LOGDIRTY_PROTECT;
        if (clean)
            logdirty_swap(ld);
    }
    if (ld->phase == LOGDIRTY_PROTECT) {
        if (clean)
            rc = arch_logdirty_protect(ld, &ld->cursor);
        if (rc)
            return rc;
        ld->ticket = quiesce_begin();
        ld->phase = LOGDIRTY_WAIT;
    }
    if (ld->phase == LOGDIRTY_WAIT) {
        if (!quiesce_done(ld->ticket))
            return -XEN_ERESTART;
        ld->cursor = 0;
        ld->phase = LOGDIRTY_REPORT;
    }
    return report(ld, s, clean);
}

static long shadow_bitmap(struct domain *d, struct xen_domctl_shadow_op *s)
{
    bool clean = s->op == XEN_DOMCTL_SHADOW_OP_CLEAN;
    struct logdirty *ld = d->logdirty_ctl;
    long rc;

    if (!ld || ld->phase < LOGDIRTY_ON || ld->phase >= LOGDIRTY_END) {
        log_info("d%u: log-dirty is not on: there is no bitmap\n", d->id);
        return -XEN_EINVAL;
    }
    if (ld->phase == LOGDIRTY_ON) {
        ld->phase = LOGDIRTY_HELD;
        ld->cursor = ~0ULL;
    }
    rc = bitmap_step(ld, s, clean);
    if (rc == -XEN_ERESTART)
        return rc;
    s->stats.fault_count = __atomic_load_n(&ld->faults, __ATOMIC_RELAXED);
    s->stats.dirty_count = __atomic_load_n(&ld->dirtied, __ATOMIC_RELAXED);
    if (clean)
        clean_end(ld, s, rc);
    ld->phase = LOGDIRTY_ON;
    return rc;
}

/* --- memory --------------------------------------------------------------------------------------------------- */

static long shadow_allocation(struct domain *d, struct xen_domctl_shadow_op *s)
{
    if (s->op == XEN_DOMCTL_SHADOW_OP_SET_ALLOCATION) {
        if (d->logdirty_ctl) {
            log_info("d%u: log-dirty: its memory is set before it is switched on\n", d->id);
            return -XEN_EBUSY;
        }
        d->logdirty_mb = s->mb;
    }
    s->mb = arch_logdirty_mb(d);
    return 0;
}

/* --- dispatch --------------------------------------------------------------------------------------------------- */

/* A call in several turns has the domain for itself. It is known by who asks what, for which buffer. */
static bool call_begin(struct logdirty *ld, const struct vcpu *v, const struct xen_domctl_shadow_op *s)
{
    uint64_t buffer = guest_ptr_of(s->dirty_bitmap).va;

    if (!ld || !ld->call.by)
        return true;
    return ld->call.by == v->domain && ld->call.op == s->op && ld->call.buffer == buffer;
}

static void call_note(struct logdirty *ld, const struct vcpu *v, const struct xen_domctl_shadow_op *s, long rc)
{
    if (!ld)
        return;
    ld->call.by = rc == -XEN_ERESTART ? v->domain : NULL;
    ld->call.op = s->op;
    ld->call.buffer = guest_ptr_of(s->dirty_bitmap).va;
}

static long shadow_mode(struct domain *d, const struct xen_domctl_shadow_op *s)
{
    if (s->op == XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY || s->mode == XEN_DOMCTL_SHADOW_ENABLE_LOG_DIRTY)
        return shadow_enable(d);
    log_info("d%u: shadow mode %#x: only log-dirty (%#x) is there\n", d->id, s->mode, XEN_DOMCTL_SHADOW_ENABLE_LOG_DIRTY);
    return -XEN_EINVAL;
}

static long shadow_dispatch(struct domain *d, struct xen_domctl_shadow_op *s)
{
    switch (s->op) {
    case XEN_DOMCTL_SHADOW_OP_OFF:
        return logdirty_stop(d);
    case XEN_DOMCTL_SHADOW_OP_ENABLE:
    case XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY:
        return shadow_mode(d, s);
    case XEN_DOMCTL_SHADOW_OP_CLEAN:
    case XEN_DOMCTL_SHADOW_OP_PEEK:
        return shadow_bitmap(d, s);
    case XEN_DOMCTL_SHADOW_OP_GET_ALLOCATION:
    case XEN_DOMCTL_SHADOW_OP_SET_ALLOCATION:
        return shadow_allocation(d, s);
    default:
        log_info("d%u: shadow_op %u is not known\n", d->id, s->op);
        return -XEN_EINVAL;
    }
}

long domctl_shadow_op(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_shadow_op *s = &op->u.shadow_op;
    long rc;

    if (s->op != XEN_DOMCTL_SHADOW_OP_OFF && !call_begin(d->logdirty_ctl, v, s))
        return -XEN_EBUSY;
    rc = shadow_dispatch(d, s);
    call_note(d->logdirty_ctl, v, s, rc);
    return rc;
}
