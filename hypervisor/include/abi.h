/* SPDX-License-Identifier: MIT */
/*
 * The guest-visible ABI: Debian's libxen-dev headers (Xen 4.17), pulled in at one place so that
 * every file sees the same interface version. Error numbers are the ABI's XEN_E* and nothing else.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define __XEN_TOOLS__ 1

#include <xen/xen.h>

#include <xen/errno.h>

/* Internal only, never returned to a guest: the ABI header keeps its number to the hypervisor. */
#ifndef XEN_ERESTART
#define XEN_ERESTART 85
#endif
