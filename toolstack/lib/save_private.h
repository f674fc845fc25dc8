/* SPDX-License-Identifier: MIT */
/* A save under way, for save*.c only. */
#pragma once

#include "save.h"

#define SAVE_CHUNK 1024U             /* pages looked at, mapped and sent together: a PAGE_DATA record */
#define SAVE_MAPPED_MAX (1ULL << 20) /* pages that stay mapped between rounds: 4 GiB */
#define SAVE_NONE (~0ULL)
#define SAVE_AGAIN (~1ULL)           /* in sent: what was sent was not whole */

/* Where pages of 1024 neighbouring numbers are mapped, and which frames they were then. */
struct save_window {
    uint8_t *at;
    xen_pfn_t *mfn;
};

struct save {
    struct ctl *c;
    domid_t domid;
    struct stream_out *to;
    struct save_options o;
    uint64_t n_pages;
    xen_pfn_t *p2m;              /* as read last */
    xen_pfn_t *sent;             /* the frame that each page was in when it was sent; 0: never; SAVE_AGAIN */
    uint64_t *stale;             /* bits: what was sent of it is not what the list says now, so that it is sent with the next round */
    uint32_t *slot;              /* hash: frame to page number + 1 */
    uint64_t slot_mask, secret;
    uint64_t *p2m_pfn;           /* the pages that the list lies in, as they were sent */
    uint8_t *data;               /* SAVE_CHUNK pages that the hypervisor copies to (ctl_frames_open), or NULL: they are mapped */
    struct save_window *window;  /* then: one for each chunk */
    uint64_t n_mapped;
    xen_pfn_t *types;            /* SAVE_CHUNK, control calls' memory */
    uint8_t *tables;             /* room for SAVE_CHUNK page tables, made portable */
    uint64_t foreign;            /* entries of page tables that name no page of the guest */
    struct save_count all;
};

/* --- save_p2m.c --- */
/* Reads the guest's list of pages anew; the size must stay. last: the guest is suspended, so what is wrong is wrong. frames: see guest_p2m_read_frames(); NULL = not wanted. */
int save_p2m_read(struct save *s, bool last, xen_pfn_t **frames);
/* The page that is in a frame, SAVE_NONE if none is. */
uint64_t save_p2m_find(const struct save *s, xen_pfn_t mfn);
bool save_p2m_valid(xen_pfn_t mfn);

/* Its bit of `stale` from the list and what was sent. */
void save_p2m_mark(struct save *s, uint64_t pfn);

/* --- save_pages.c --- */
int save_pages_open(struct save *s);
void save_pages_close(struct save *s);
int save_pages_send(struct save *s, const uint64_t *set, struct save_count *count);

/* --- save_vcpu.c --- */
int save_vcpus(struct save *s);
int save_tsc(struct save *s);
int save_shared_info(struct save *s);
int save_policy(struct save *s);
