/* SPDX-License-Identifier: MIT */
/*
 * The domain builder for 64-bit paravirtual guests. build_prepare() does all that needs no domain: it reads and checks
 * kernel and ramdisk and lays the memory out, so that what can be refused is refused before anything exists. build_domain()
 * fills a new domain that has its limits set and no memory yet, up to the registers of its first virtual CPU.
 */
#pragma once

#include <stdint.h>

#include "ctl.h"

struct build_request {
    const char *kernel, *ramdisk, *cmdline; /* paths; ramdisk and cmdline may be NULL */
    uint64_t pages;                         /* memory at start */
    uint64_t max_pages;                     /* up to where it may grow */
    uint32_t features;                      /* what the hypervisor offers, see ctl_features() */
    const char *cache;                      /* folder for unpacked kernels, NULL = none */
};

struct build_rings {
    unsigned store_port, console_port;      /* the guest's ends */
    domid_t store_domid, console_domid;     /* who serves them */
};

struct build_result {
    xen_pfn_t store_mfn, console_mfn;
};

struct build;
int build_prepare(struct build **out, const struct build_request *want);
/* On failure the domain is half-filled: destroy it. */
int build_domain(struct build *b, struct ctl *c, domid_t domid, const struct build_rings *rings, struct build_result *result);
void build_dispose(struct build *b); /* NULL is fine */
