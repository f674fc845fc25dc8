/* SPDX-License-Identifier: MIT */
/* The hypervisor, as much of it as the store needs: pages, ports, the list of domains. Everything goes through the stable libraries. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct xen_domain {
    uint16_t domid;
    bool dying, shut_down;
};

int xen_open(void);                     /* 0 or -errno; xen_why() says what could not be opened */
const char *xen_why(void);
void xen_close(void);
/* Domain 0's own page and port, from its kernel. NULL and xen_why(). */
void *xen_map_own_ring(uint32_t *port);
void xen_unmap_own_ring(void *page);
/* By the grant that is set aside for the store, else as a foreign frame; *by_grant goes to xen_unmap_ring. */
void *xen_map_ring(uint16_t domid, uint64_t gfn, bool *by_grant);
void xen_unmap_ring(void *page, bool by_grant);
int xen_bind(uint16_t domid, uint32_t remote);    /* the local port, or -errno */
int xen_bind_domains_changed(void);               /* VIRQ_DOM_EXC */
void xen_unbind(uint32_t port);
void xen_notify(uint32_t port);
void xen_unmask(uint32_t port);
int xen_events_fd(void);
size_t xen_events(uint32_t *port, size_t max);    /* ports that fired, now masked; 0: none */
/* The domains from first on, ascending; how many, or -errno. Not reentrant: the list is valid until the next call. */
int xen_domains(uint16_t first, const struct xen_domain **list);
