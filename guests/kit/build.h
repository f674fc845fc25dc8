/* SPDX-License-Identifier: MIT */
/*
 * For guests that, as domain 0, make other domains: control calls, and a domain that is a copy of this very guest
 * (build.c). The copy starts as any guest, at guest_main(), without SIF_INITDOMAIN.
 */
#pragma once
#include "kit.h"
#include <xen/domctl.h>
#include <xen/sysctl.h>

#define CHILD_PAGES 1024UL /* 4 MiB */
#define CHILD_RING_REF 0   /* grant of the page that start_info names as the console's */

struct child {
    domid_t id;
    unsigned long mfn[CHILD_PAGES]; /* by pfn */
    unsigned long l4;
    uint64_t start_info;             /* address in the child */
    unsigned int remote_port;        /* waits for domain 0, in the child's numbers */
};

/* XEN_DOMCTL_cmd on domain id; version and id are filled in. */
long domctl(unsigned int cmd, domid_t id, struct xen_domctl *op);
long domctl_simple(unsigned int cmd, domid_t id);
long sysctl(unsigned int cmd, struct xen_sysctl *op);
unsigned long free_pages(void);
/* A domain without memory and vCPUs, or an error below 0. */
long child_create(unsigned int vcpus);
/* Everything up to what is left to do: unpause. 0, or the step (1..) that failed, with its result in *rc. */
int child_build(struct child *c, long *rc);
int child_memory(struct child *c, unsigned long pages);
/* Destroy and forget; 0 when nothing is left of it. */
long child_destroy(domid_t id);
/* Is it there at all? dying: and what does it say of itself. */
bool child_exists(domid_t id, uint32_t *flags);
/* Map a frame of another domain at the page `va` of ours; id DOMID_SELF: our own page again. */
long foreign_map(void *va, unsigned long mfn, domid_t id, uint64_t flags);
