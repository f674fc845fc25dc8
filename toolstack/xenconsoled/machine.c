/* SPDX-License-Identifier: MIT */
/* machine.h on the client libraries. */
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <xenevtchn.h>
#include <xenforeignmemory.h>
#include <xengnttab.h>
#include <xenstore.h>

#include "ctl.h"
#include "fault.h"
#include "store.h"
#include "store_domains.h"

static xenevtchn_handle *events;
static xengnttab_handle *grants;
static xenforeignmemory_handle *foreign;
static struct ctl *ctl;
static struct store_domains words = { .fd = -1 };

int machine_open(void)
{
    int rc = ctl_open(&ctl);

    rc = rc ? rc : store_open();
    rc = rc ? rc : store_domains_open(&words, true);
    if (rc)
        return rc;
    events = xenevtchn_open(NULL, 0);
    if (!events)
        return fault(-errno, "/dev/xen/evtchn: %s; load the module xen-evtchn", strerror(errno));
    /* The library's next() waits; here it shall say that there is none. */
    if (fcntl(xenevtchn_fd(events), F_SETFL, O_RDWR | O_NONBLOCK))
        return fault(-errno, "/dev/xen/evtchn: %s", strerror(errno));
    grants = xengnttab_open(NULL, 0);   /* both may be absent, not both at once */
    foreign = xenforeignmemory_open(NULL, 0);
    if (!grants && !foreign)
        return fault(-errno, "/dev/xen/gntdev, /dev/xen/privcmd: %s; load the modules xen-gntdev and xen-privcmd", strerror(errno));
    return 0;
}

void machine_close(void)
{
    if (events)
        xenevtchn_close(events);
    if (grants)
        xengnttab_close(grants);
    if (foreign)
        xenforeignmemory_close(foreign);
    store_domains_close(&words);
    store_close();
    ctl_close(ctl);
}

int machine_event_fd(void)
{
    return xenevtchn_fd(events);
}

int machine_event_next(void)
{
    return xenevtchn_pending(events);
}

void machine_event_done(unsigned port)
{
    xenevtchn_unmask(events, port);
}

int machine_event_bind(uint32_t domid, unsigned remote)
{
    int port = xenevtchn_bind_interdomain(events, domid, remote);

    return port < 0 ? fault(-errno, "domain %u: console event channel %u: %s", domid, remote, strerror(errno)) : port;
}

void machine_event_unbind(unsigned port)
{
    xenevtchn_unbind(events, port);
}

void machine_event_notify(unsigned port)
{
    xenevtchn_notify(events, port);
}

void *machine_ring_map(uint32_t domid, uint64_t frame, bool *granted)
{
    xen_pfn_t pfn = frame;
    int err = 0;
    void *page = grants ? xengnttab_map_grant_ref(grants, domid, GNTTAB_RESERVED_CONSOLE, PROT_READ | PROT_WRITE) : NULL;

    *granted = page != NULL;
    if (!page && foreign)
        page = xenforeignmemory_map(foreign, domid, PROT_READ | PROT_WRITE, 1, &pfn, &err);
    if (page && err) {
        xenforeignmemory_unmap(foreign, page, 1);
        page = NULL;
    }
    if (!page)
        fault(-(err ? abs(err) : errno), "domain %u: console ring: neither by grant nor as frame %#llx: %s", domid,
              (unsigned long long)frame, strerror(err ? abs(err) : errno));
    return page;
}

void machine_ring_unmap(void *page, bool granted)
{
    if (granted)
        xengnttab_unmap(grants, page, 1);
    else
        xenforeignmemory_unmap(foreign, page, 1);
}

int machine_store_fd(void)
{
    return xs_fileno(store_handle());
}

bool machine_store_event(char *token, size_t size, bool *lost)
{
    char **event = xs_check_watch(store_handle());

    *lost = !event && errno != EAGAIN;
    if (!event)
        return false;
    snprintf(token, size, "%s", event[XS_WATCH_TOKEN]);
    free(event);
    return true;
}

int machine_store_watch(const char *path, const char *token)
{
    return xs_watch(store_handle(), path, token) ? 0 : fault(-errno, "store: watch %s: %s", path, strerror(errno));
}

void machine_store_unwatch(const char *path, const char *token)
{
    xs_unwatch(store_handle(), path, token);
}

char *machine_store_read(const char *path)
{
    return store_read("%s", path);
}

void machine_store_write(const char *path, const char *value)
{
    if (store_write(path, "%s", value))
        fault_clear();
}

static void domain_take(const struct xen_domctl_getdomaininfo *info, struct machine_domain *d)
{
    d->domid = info->domain;
    d->dying = info->flags & XEN_DOMINF_dying;
    memcpy(d->uuid, info->handle, 16);
}

int machine_domain(uint32_t domid, struct machine_domain *d)
{
    struct xen_domctl_getdomaininfo info;
    int rc = ctl_domain_info(ctl, (domid_t)domid, &info);

    if (rc)
        return rc == -ESRCH ? 0 : rc;
    domain_take(&info, d);
    return 1;
}

int machine_domains_fd(void)
{
    return words.fd;
}

int machine_domains_next(int *domid)
{
    return store_domains_next(&words, domid);
}

int machine_domains(struct machine_domain **out)
{
    struct xen_domctl_getdomaininfo *list = NULL;
    int n = ctl_domain_list(ctl, &list);

    *out = n > 0 ? calloc((size_t)n, sizeof(**out)) : NULL;
    for (int i = 0; i < n && *out; i++)
        domain_take(&list[i], &(*out)[i]);
    free(list);
    return n > 0 && !*out ? fault(-ENOMEM, "list of domains: out of memory") : n;
}

int machine_log(char *out, size_t size, uint32_t *index)
{
    return ctl_console_read(ctl, out, size, false, index);
}
