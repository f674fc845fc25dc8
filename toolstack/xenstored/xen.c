/* SPDX-License-Identifier: MIT */
/* The hypervisor's interfaces, through Debian's thin libraries. */
#include "xen.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>
#include <xencall.h>
#include <xenevtchn.h>
#include <xenforeignmemory.h>
#include <xengnttab.h>
#include <xen/xen.h>
#include <xen/sysctl.h>
#include <xen/grant_table.h>

#define LIST_MAX 256
#define PAGE 4096

static xencall_handle *call;
static xenevtchn_handle *events;
static xenforeignmemory_handle *foreign;
static xengnttab_handle *grants;
static struct xen_sysctl *list_op;
static xen_domctl_getdomaininfo_t *list_info;
static char why[200];

const char *xen_why(void)
{
    return why;
}

static int failed(const char *what)
{
    int rc = errno ? -errno : -EIO;

    snprintf(why, sizeof why, "%s: %s", what, strerror(-rc));
    return rc;
}

int xen_open(void)
{
    call = xencall_open(NULL, 0);
    if (!call)
        return failed("/dev/xen/privcmd (hypercalls)");
    foreign = xenforeignmemory_open(NULL, 0);
    if (!foreign)
        return failed("/dev/xen/privcmd (foreign memory)");
    events = xenevtchn_open(NULL, 0);
    if (!events)
        return failed("/dev/xen/evtchn");
    fcntl(xen_events_fd(), F_SETFL, fcntl(xen_events_fd(), F_GETFL) | O_NONBLOCK);
    fcntl(xen_events_fd(), F_SETFD, FD_CLOEXEC);
    grants = xengnttab_open(NULL, 0);    /* without it all rings are foreign frames */
    return 0;
}

void xen_close(void)
{
    if (events)
        xenevtchn_close(events);
    if (grants)
        xengnttab_close(grants);
    if (foreign)
        xenforeignmemory_close(foreign);
    if (call) {
        if (list_info)
            xencall_free_buffer(call, list_info);
        if (list_op)
            xencall_free_buffer(call, list_op);
        xencall_close(call);
    }
}

static bool read_number(const char *path, unsigned long *out)
{
    char text[32] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

    if (fd >= 0)
        close(fd);
    if (n > 0)
        *out = strtoul(text, NULL, 0);
    return n > 0;
}

void *xen_map_own_ring(uint32_t *port)
{
    unsigned long value;
    void *page;
    int fd;

    if (access("/proc/xen/xsd_port", F_OK) && mount("xenfs", "/proc/xen", "xenfs", 0, NULL)) {
        failed("/proc/xen/xsd_port is not there, and xenfs cannot be mounted on /proc/xen");
        return NULL;
    }
    if (!read_number("/proc/xen/xsd_port", &value)) {
        failed("/proc/xen/xsd_port");
        return NULL;
    }
    *port = (uint32_t)value;
    fd = open("/proc/xen/xsd_kva", O_RDWR | O_CLOEXEC);
    page = fd < 0 ? MAP_FAILED : mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        failed("/proc/xen/xsd_kva");
    if (fd >= 0)
        close(fd);
    return page == MAP_FAILED ? NULL : page;
}

void xen_unmap_own_ring(void *page)
{
    munmap(page, PAGE);
}

void *xen_map_ring(uint16_t domid, uint64_t gfn, bool *by_grant)
{
    xen_pfn_t frame = gfn;
    void *page = NULL;
    int error = 0;

    *by_grant = true;
    if (grants)
        page = xengnttab_map_grant_ref(grants, domid, GNTTAB_RESERVED_XENSTORE, PROT_READ | PROT_WRITE);
    if (page)
        return page;
    *by_grant = false;
    page = xenforeignmemory_map(foreign, domid, PROT_READ | PROT_WRITE, 1, &frame, &error);
    if (page && error) {
        xenforeignmemory_unmap(foreign, page, 1);
        errno = -error;
        page = NULL;
    }
    if (!page)
        failed("neither grant 1 nor the frame can be mapped");
    return page;
}

void xen_unmap_ring(void *page, bool by_grant)
{
    if (by_grant)
        xengnttab_unmap(grants, page, 1);
    else
        xenforeignmemory_unmap(foreign, page, 1);
}

int xen_bind(uint16_t domid, uint32_t remote)
{
    int port = xenevtchn_bind_interdomain(events, domid, remote);

    return port < 0 ? failed("the event channel cannot be bound") : port;
}

int xen_bind_domains_changed(void)
{
    int port = xenevtchn_bind_virq(events, VIRQ_DOM_EXC);

    return port < 0 ? failed("VIRQ_DOM_EXC cannot be bound (is another xenstored running?)") : port;
}

void xen_unbind(uint32_t port)
{
    xenevtchn_unbind(events, port);
}

void xen_notify(uint32_t port)
{
    xenevtchn_notify(events, port);
}

void xen_unmask(uint32_t port)
{
    xenevtchn_unmask(events, port);
}

int xen_events_fd(void)
{
    return xenevtchn_fd(events);
}

/* The device hands out as many ports as the buffer takes. */
size_t xen_events(uint32_t *port, size_t max)
{
    ssize_t n = read(xen_events_fd(), port, max * sizeof *port);

    return n > 0 ? (size_t)n / sizeof *port : 0;
}

int xen_domains(uint16_t first, const struct xen_domain **list)
{
    static struct xen_domain out[LIST_MAX];
    int rc = -ENOMEM, i;

    /* Kept: at each end of a domain they would be mapped and faulted in anew. */
    if (!list_op)
        list_op = xencall_alloc_buffer(call, sizeof *list_op);
    if (!list_info)
        list_info = xencall_alloc_buffer(call, LIST_MAX * sizeof *list_info);
    if (list_op && list_info) {
        memset(list_op, 0, sizeof *list_op);
        list_op->cmd = XEN_SYSCTL_getdomaininfolist;
        list_op->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
        list_op->u.getdomaininfolist.first_domain = first;
        list_op->u.getdomaininfolist.max_domains = LIST_MAX;
        set_xen_guest_handle(list_op->u.getdomaininfolist.buffer, list_info);
        rc = xencall1(call, __HYPERVISOR_sysctl, (uint64_t)(uintptr_t)list_op) < 0 ? failed("sysctl getdomaininfolist")
                                                                              : (int)list_op->u.getdomaininfolist.num_domains;
    }
    for (i = 0; i < rc; i++)
        out[i] = (struct xen_domain){ .domid = list_info[i].domain, .dying = list_info[i].flags & XEN_DOMINF_dying,
                                      .shut_down = list_info[i].flags & XEN_DOMINF_shutdown };
    *list = out;
    return rc;
}
