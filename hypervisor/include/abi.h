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
