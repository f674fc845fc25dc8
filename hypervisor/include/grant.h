/* SPDX-License-Identifier: MIT */
/*
 * Grant tables, version 1 and 2: a domain lets another map, copy or take its frames. common/grant*.c.
 * Source: ABI header grant_table.h.
 */
#pragma once

#include "types.h"

struct domain;
struct vcpu;

int grant_domain_init(struct domain *d, unsigned max_frames, unsigned max_maptrack) __must_check;
/* The highest version d may choose; before it runs. */
void grant_domain_limit(struct domain *d, unsigned max_version);
/* Release every mapping that d holds of others' frames. -XEN_ERESTART: call again. */
int grant_domain_kill(struct domain *d) __must_check;
void grant_domain_free(struct domain *d);

long do_grant_table_op(struct vcpu *v, uint64_t cmd, uint64_t arg, uint64_t count, uint64_t a4,
                       uint64_t a5);

/* Frame `idx` of d's table (or of its version 2 status frames), growing the table as needed: for placing it in
 * a guest (memory_op acquire_resource, add_to_physmap). -XEN_EINVAL: above the limit; -XEN_ENOMEM. */
int grant_frame_get(struct domain *d, unsigned idx, bool status, mfn_t *out) __must_check;

/* How many frames d's table (or its status frames) can have. */
unsigned grant_frames_limit(const struct domain *d, bool status);

void grant_dump(struct domain *d);
unsigned grant_check(struct domain *d);

/* What a guest kind gives to the grant code (pv/grant_map.c for PV): enter a mapping of frame m, which
 * belongs to `owner`, into the current guest's tables at host_addr. flags: GNTMAP_* (readonly,
 * contains_pte, guest avail bits). The caller holds a reference and, if writable, the writable type for
 * the handle; these functions take and drop the mapping's own ones. GNTST_* result. */
int arch_grant_map(struct vcpu *v, uint64_t host_addr, mfn_t m, struct domain *owner, unsigned flags);
/* Remove it again if it is still there and maps m; new_addr != 0: GNTTABOP_unmap_and_replace. The caller
 * flushes. */
int arch_grant_unmap(struct vcpu *v, uint64_t host_addr, mfn_t m, unsigned flags, uint64_t new_addr);
