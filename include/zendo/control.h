/* SPDX-License-Identifier: MIT */
/*
 * Control calls that are Zendo's own, beside the ABI's: no stock client issues them, and ours do without them where another hypervisor
 * answers (-ENOSYS, or whatever it refuses unknown commands with). They are commands of the hypercall domctl, numbered where the ABI has none,
 * with its head (interface version, domain) and the same rules: only a privileged domain, never on itself. Shared by hypervisor and toolstack.
 */
#pragma once

#include <stdint.h>

#include <xen/domctl.h>

#define ZENDO_DOMCTL_FIRST 0x5a000000U
/*
 * Contents of up to ZENDO_FRAMES_MAX of a domain's frames at once, without mapping them, which costs a paravirtual caller a trap and two
 * page-table entries for each. Interrupted calls are continued: the three fields move on.
 *
 * read: a number of list[] becomes its XEN_DOMCTL_PFINFO_* type (as getpageframeinfo3 gives it), with ZENDO_FRAME_ZERO if the frame is full of
 * zeroes. Page i of `data` receives the content of frame i, unless it is full of zeroes or not the domain's (XTAB): then the page is left alone.
 *
 * write: page i of `data` becomes the content of frame i. A frame that is not the domain's, or cannot be written now (a page table, a
 * descriptor table), ends the call with -EINVAL.
 *
 * After an error num is how many were not done; of the first of these, page or frame may have been filled in part (-EFAULT).
 * Frames that a domain is given, by whatever call, are full of zeroes: who fills them need not clear them.
 * num over the limit: -E2BIG. num 0: nothing is done, so that one can ask whether the call exists.
 */
#define ZENDO_DOMCTL_read_frames (ZENDO_DOMCTL_FIRST + 0)
#define ZENDO_DOMCTL_write_frames (ZENDO_DOMCTL_FIRST + 1)
#define ZENDO_DOMCTL_COUNT 2

#define ZENDO_FRAMES_MAX 1024U
#define ZENDO_FRAME_ZERO 1U /* beside the type, whose bits are the highest four of 32 */

struct zendo_domctl_frames { /* in the place of struct xen_domctl's union */
    uint64_t num;
    uint64_t list; /* address of num frame numbers of 64 bits */
    uint64_t data; /* address of num pages */
};
_Static_assert(sizeof(struct zendo_domctl_frames) <= sizeof(((struct xen_domctl *)0)->u), "it has to fit");
