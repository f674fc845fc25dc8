/* SPDX-License-Identifier: MIT */
/*
 * Kernels as 64-bit ELF files with Xen's notes (ABI header elfnote.h): what a builder must know of
 * one, checked against the bounds of the file. common/elf.c; host-tested and fuzzed.
 */
#pragma once

#include "types.h"

#define ELF_UNSET (~0ULL) /* an address note that is absent */
#define ELF_MAX_SEGMENTS 16

struct elf_segment {
    uint64_t va;         /* where it goes: p_paddr - PADDR_OFFSET + VIRT_BASE */
    uint64_t size;       /* in memory; what the file does not have is zero */
    const uint8_t *data; /* in the image */
    uint64_t bytes;
};

struct elf_kernel {
    struct elf_segment segment[ELF_MAX_SEGMENTS];
    unsigned nr_segments;
    uint64_t start, end; /* virtual addresses that the segments span */
    uint64_t elf_entry;

    /* From the notes (or the older __xen_guest string) */
    bool has_notes, legacy;
    uint64_t entry, virt_base, paddr_offset;
    uint64_t hypercall_page; /* virtual; ELF_UNSET: none */
    uint64_t init_p2m;       /* virtual; ELF_UNSET: inside the kernel's region */
    uint64_t phys32_entry;   /* PVH; ELF_UNSET: none */
    uint64_t hv_start_low;
    uint64_t l1_mfn_mask, l1_mfn_value;
    bool mod_start_pfn; /* the initrd need not be mapped */
    bool suspend_cancel;
    uint32_t features; /* XENFEAT_* bits supported, of submap 0 */
    uint32_t required; /* ... that it cannot do without */
    char guest_os[16], guest_version[16], xen_version[16], loader[16], pae[24];
};

/* Check and describe the PV kernel at image[0 .. size); k points into it. 0, or -XEN_EINVAL or
 * -XEN_EOPNOTSUPP after a log line that says why, beginning with `what`. */
int elf_parse(const void *image, size_t size, const char *what, struct elf_kernel *k) __must_check;
