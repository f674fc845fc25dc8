/* SPDX-License-Identifier: MIT */
/* What the boot loader gave (x86/boot/multiboot.c), in one form for multiboot 1 and 2. */
#pragma once

#include "types.h"

#define BOOT_MAX_REGIONS 256
#define BOOT_MAX_MODULES 8
#define BOOT_CMDLINE 2048

struct boot_region {
    paddr_t start, size;
    uint32_t type; /* E820: 1 RAM, 2 reserved, 3 ACPI, 4 NVS, 5 bad */
};
struct boot_module {
    paddr_t start, size;
    char cmdline[BOOT_CMDLINE];
};
struct boot_info {
    const char *loader;
    char cmdline[BOOT_CMDLINE]; /* ours */
    struct boot_region map[BOOT_MAX_REGIONS]; /* sorted, not overlapping, page-granular for RAM */
    unsigned nr_map;
    /* The map as the firmware gave it, for XENMEM_machine_memory_map. */
    struct boot_region raw[BOOT_MAX_REGIONS];
    unsigned nr_raw;
    struct boot_module module[BOOT_MAX_MODULES]; /* [0] domain 0's kernel, [1] its initrd */
    unsigned nr_modules;
    paddr_t rsdp; /* 0 if not given */
    struct { /* text or framebuffer console for domain 0 */
        bool present, graphics;
        uint8_t cols, rows, cursor_x, cursor_y, font_height;
        uint64_t base;
        uint32_t width, height, pitch, bpp;
        uint8_t red_pos, red_size, green_pos, green_size, blue_pos, blue_size;
    } video;
};
extern struct boot_info boot;

/* Parse what the loader left: magic from eax, pointer from ebx. All of it is reached through `phys`, a
 * mapping of physical address 0 upward of the first 4 GiB. Copies everything it keeps. */
void boot_parse(uint32_t magic, uint32_t info, const char *phys);
/* Sort, merge and sanitise an E820 map in place; overlapping: the more restrictive type wins. Returns the
 * number of regions. Host-tested. */
unsigned e820_sanitise(struct boot_region *map, unsigned nr, unsigned max);

/* pv/dom0_build.c: make domain 0 from boot.module[0..1] and start it (unpaused by the caller). */
struct domain *dom0_create(void);

/* Kernel payload (x86/boot/unpack.c): if `image` is a bzImage, unpack its payload into frames of the
 * allocator; if it is an ELF, return it as it is. 0 with *out filled (hypervisor virtual, contiguous;
 * `*owned` frames to free, order), or -error after a log line that says why. Link-time libraries: lzma, z,
 * lz4, zstd; boot only. */
struct unpacked {
    void *data;
    size_t size;
    mfn_t frames; /* INVALID_MFN when data is the image itself */
    unsigned order;
};
int kernel_unpack(const void *image, size_t size, struct unpacked *out) __must_check;
