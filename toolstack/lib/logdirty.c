/* SPDX-License-Identifier: MIT */
/* XEN_DOMCTL_shadow_op as a live migration uses it. */
#include "logdirty.h"
#include "fault.h"
#include "save.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int shadow_op(struct ctl *c, uint32_t domid, struct xen_domctl *op, unsigned what)
{
    op->cmd = XEN_DOMCTL_shadow_op;
    op->domain = (domid_t)domid;
    op->u.shadow_op.op = what;
    return ctl_domctl(c, op);
}

int logdirty_begin(struct logdirty *l, struct ctl *c, uint32_t domid, uint64_t pages)
{
    struct xen_domctl op = { 0 };
    int rc = domain_hold(domid); /* else another's log would be taken for one that was left */

    *l = (struct logdirty){ .c = c, .domid = domid, .pages = pages };
    if (rc)
        return rc;
    l->map = calloc(pages / 64 + 1, sizeof(*l->map));
    if (!l->map)
        return fault(-ENOMEM, "domain %u: no memory to note its %llu pages", domid, (unsigned long long)pages);
    rc = shadow_op(c, domid, &op, XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY);
    if (rc == -EINVAL) { /* on already, for a migration whose process died */
        logdirty_off(c, domid);
        op = (struct xen_domctl){ 0 };
        rc = shadow_op(c, domid, &op, XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY);
    }
    l->on = !rc;
    if (!rc)
        return 0;
    free(l->map);
    l->map = NULL;
    return fault(rc, "domain %u: its writes cannot be logged: %s%s", domid, strerror(-rc),
                 rc == -ENOMEM ? "; free memory of the host, or move it without --live" : "");
}

int64_t logdirty_take(struct logdirty *l, int add)
{
    size_t bytes = (l->pages + 63) / 64 * 8;
    uint64_t *now = ctl_buffer(l->c, bytes), n = 0;
    struct xen_domctl op = { 0 };
    int rc;

    if (!now)
        return -ENOMEM;
    set_xen_guest_handle(op.u.shadow_op.dirty_bitmap, (uint8_t *)now);
    op.u.shadow_op.pages = l->pages;
    rc = shadow_op(l->c, l->domid, &op, XEN_DOMCTL_SHADOW_OP_CLEAN);
    for (size_t i = 0; i < bytes / 8 && !rc; i++) {
        l->map[i] = add ? l->map[i] | now[i] : now[i];
        n += (unsigned)__builtin_popcountll(l->map[i]);
    }
    l->faults = op.u.shadow_op.stats.fault_count;
    l->dirty = op.u.shadow_op.stats.dirty_count;
    ctl_buffer_free(l->c, now);
    return rc ? fault(rc, "domain %u: which pages it wrote cannot be told: %s", l->domid, strerror(-rc)) : (int64_t)n;
}

void logdirty_off(struct ctl *c, uint32_t domid)
{
    struct xen_domctl op = { 0 };

    shadow_op(c, domid, &op, XEN_DOMCTL_SHADOW_OP_OFF);
}

void logdirty_end(struct logdirty *l)
{
    if (l->on)
        logdirty_off(l->c, l->domid);
    free(l->map);
    *l = (struct logdirty){ 0 };
}
