/* SPDX-License-Identifier: MIT */
/*
 * Control calls: the handle, memory for the hypervisor's eyes, and the calls as they are. A page is kept for the
 * command structures, so that a call costs no allocation: an allocation there is an mmap, and a madvise besides.
 */
#include "ctl.h"
#include "ctl_private.h"
#include "fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xencall.h>
#include <xentoollog.h>

#include <xen/event_channel.h>

#define PAGE 4096U
#define SPARES (sizeof(((struct ctl *)0)->spare) / sizeof(size_t *))
#define SPARE_PAGES 64U /* larger ones are rare */

/* The client libraries print their failures by themselves; ours are said once, by whoever knows the object. */
static void say_nothing(struct xentoollog_logger *l, xentoollog_level level, int err, const char *context, const char *format, va_list ap)
{
}

static void no_progress(struct xentoollog_logger *l, const char *context, const char *what, int percent, unsigned long done, unsigned long total)
{
}

static void no_end(struct xentoollog_logger *l)
{
}

struct xentoollog_logger ctl_quiet = { .vmessage = say_nothing, .progress = no_progress, .destroy = no_end };

int ctl_open(struct ctl **out)
{
    struct ctl *c = calloc(1, sizeof(*c));

    *out = NULL;
    if (!c)
        return fault(-ENOMEM, "control calls: no memory");
    c->call = xencall_open(&ctl_quiet, 0);
    if (!c->call) {
        int rc = -errno;

        free(c);
        return fault(rc, "/dev/xen/privcmd: cannot be opened: %s; run this in domain 0, as root, with the module xen-privcmd loaded",
                     strerror(-rc));
    }
    c->page = xencall_alloc_buffer_pages(c->call, 1);
    if (!c->page) {
        ctl_close(c);
        return fault(-ENOMEM, "control calls: no memory for a buffer");
    }
    *out = c;
    return 0;
}

void ctl_close(struct ctl *c)
{
    if (!c)
        return;
    if (c->memory)
        xenforeignmemory_close(c->memory);
    if (c->page)
        xencall_free_buffer_pages(c->call, c->page, 1);
    if (c->frames)
        xencall_free_buffer_pages(c->call, c->frames, CTL_FRAMES_MAX);
    for (unsigned i = 0; i < SPARES; i++)
        if (c->spare[i])
            xencall_free_buffer_pages(c->call, c->spare[i], c->spare[i][0]);
    xencall_close(c->call);
    free(c);
}

/* The smallest spare one that is large enough, but not many times too large. */
static size_t *take_spare(struct ctl *c, size_t pages)
{
    size_t **best = NULL;

    for (unsigned i = 0; i < SPARES; i++)
        if (c->spare[i] && c->spare[i][0] >= pages && c->spare[i][0] <= pages * 4 && (!best || c->spare[i][0] < (*best)[0]))
            best = &c->spare[i];
    size_t *p = best ? *best : NULL;

    if (best)
        *best = NULL;
    return p;
}

void *ctl_buffer(struct ctl *c, size_t bytes)
{
    size_t pages = (bytes + sizeof(size_t) * 2 + PAGE - 1) / PAGE;
    size_t *p = bytes < SIZE_MAX - 2 * PAGE ? take_spare(c, pages) : NULL;

    if (p)
        pages = p[0];
    else if (bytes < SIZE_MAX - 2 * PAGE)
        p = xencall_alloc_buffer_pages(c->call, pages);
    if (!p) {
        fault(-ENOMEM, "control calls: no memory for a buffer of %zu bytes", bytes);
        return NULL;
    }
    memset(p, 0, bytes + sizeof(size_t) * 2);
    p[0] = pages; /* the number is needed for freeing; 16 bytes keep the alignment */
    return p + 2;
}

void ctl_buffer_free(struct ctl *c, void *p)
{
    if (p) {
        size_t *head = (size_t *)p - 2;

        for (unsigned i = 0; i < SPARES && head[0] > 1 && head[0] <= SPARE_PAGES; i++)
            if (!c->spare[i]) {
                c->spare[i] = head;
                return;
            }
        xencall_free_buffer_pages(c->call, head, head[0]);
    }
}

/* What the library gives is -1 and errno, the number of the hypervisor's error. */
static int result(int rc)
{
    return rc < 0 ? -errno : rc;
}

int ctl_domctl(struct ctl *c, struct xen_domctl *op)
{
    op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    memcpy(c->page, op, sizeof(*op));
    int rc = result(xencall1(c->call, __HYPERVISOR_domctl, (uintptr_t)c->page));

    memcpy(op, c->page, sizeof(*op));
    return rc;
}

int ctl_sysctl(struct ctl *c, struct xen_sysctl *op)
{
    op->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    memcpy(c->page, op, sizeof(*op));
    int rc = result(xencall1(c->call, __HYPERVISOR_sysctl, (uintptr_t)c->page));

    memcpy(op, c->page, sizeof(*op));
    return rc;
}

/* A call of the form (command, structure), the structure being small. */
static int command(struct ctl *c, unsigned call, unsigned cmd, void *arg, size_t bytes)
{
    if (bytes > PAGE)
        return -E2BIG;
    if (arg)
        memcpy(c->page, arg, bytes);
    int rc = result(xencall2(c->call, call, cmd, arg ? (uintptr_t)c->page : 0));

    if (arg)
        memcpy(arg, c->page, bytes);
    return rc;
}

int ctl_memory_op(struct ctl *c, unsigned cmd, void *arg, size_t bytes)
{
    return command(c, __HYPERVISOR_memory_op, cmd, arg, bytes);
}

int ctl_evtchn_op(struct ctl *c, unsigned cmd, void *arg, size_t bytes)
{
    return command(c, __HYPERVISOR_event_channel_op, cmd, arg, bytes);
}

int ctl_version(struct ctl *c, unsigned cmd, void *arg, size_t bytes)
{
    return command(c, __HYPERVISOR_xen_version, cmd, arg, bytes);
}

int ctl_mmuext_op(struct ctl *c, domid_t domid, struct mmuext_op *ops, unsigned count)
{
    if (count > PAGE / sizeof(*ops))
        return -E2BIG;
    memcpy(c->page, ops, count * sizeof(*ops));
    return result(xencall4(c->call, __HYPERVISOR_mmuext_op, (uintptr_t)c->page, count, 0, domid));
}

int ctl_evtchn_alloc_unbound(struct ctl *c, domid_t domid, domid_t remote)
{
    struct evtchn_alloc_unbound op = { .dom = domid, .remote_dom = remote };
    int rc = ctl_evtchn_op(c, EVTCHNOP_alloc_unbound, &op, sizeof(op));

    if (rc < 0)
        return fault(rc, "domain %u: no event channel for domain %u: %s", domid, remote, strerror(-rc));
    return (int)op.port;
}
