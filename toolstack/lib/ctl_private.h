/* SPDX-License-Identifier: MIT */
/* The handle of the control calls, for ctl*.c only. */
#pragma once

#include <xencall.h>
#include <xenforeignmemory.h>
#include <xentoollog.h>

extern struct xentoollog_logger ctl_quiet; /* drops all messages */

struct ctl {
    xencall_handle *call;
    xenforeignmemory_handle *memory; /* opened at the first mapping */
    void *page;                      /* for command structures */
    void *frames;                    /* a buffer that ctl_frames_close() got, for the next: taking it down costs a trap a page */
    size_t *spare[4];                /* buffers of several pages that were freed, to be used again: a new one costs a mmap and its faults */
};
