/* SPDX-License-Identifier: MIT */
/* The image's own extent (boot/zendo.lds) and where it lies in memory. */
#pragma once

#include "types.h"
#include "x86/layout.h"

extern char image_start[], text_start[], text_end[], rodata_end[], data_end[], init_start[], init_end[],
    bss_start[], bss_end[], image_end[];
extern paddr_t image_phys; /* physical address of image_start */

static inline uint64_t image_size(void)
{
    return (uint64_t)(image_end - image_start);
}
/* Physical address of an object of the image. */
static inline paddr_t image_paddr(const void *va)
{
    return (uint64_t)va - IMAGE_VIRT + image_phys;
}
