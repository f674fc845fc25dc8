/* SPDX-License-Identifier: MIT */
/*
 * The list of a running paravirtual guest's pages, as the guest itself keeps it: shared_info names a frame with frame numbers of
 * frames with frame numbers of the list's frames. All of it is the guest's to write: what it says is checked by size only,
 * and each frame number by the hypervisor when it is mapped.
 */
#pragma once

#include <stdint.h>

#include "ctl.h"

#define P2M_MAX_PAGES (1ULL << 26) /* 256 GiB */
#define P2M_SPARE_PAGES (1ULL << 20) /* as many more than it may have; as a restore and the hypervisor's log allow */

/* *mfns is to be freed; gives the number of pages in *pages. A hole is ~0. */
int guest_p2m_read(struct ctl *c, domid_t domid, xen_pfn_t **mfns, uint64_t *pages);
/* The same, and in *frames (to be freed) the frames that the list lies in: one for each 512 pages. */
int guest_p2m_read_frames(struct ctl *c, domid_t domid, xen_pfn_t **mfns, uint64_t *pages, xen_pfn_t **frames);
