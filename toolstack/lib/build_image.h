/* SPDX-License-Identifier: MIT */
/*
 * A guest's kernel as a file: an ELF image, or a bzImage whose payload is one, packed by xz, lzma, gzip, lz4 or zstd; and
 * what its Xen ELF notes ask for. The file may come from anybody: every number in it is checked here, before use.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IMAGE_MAX_SEGMENTS 128U
#define IMAGE_MAX_BYTES (1ULL << 30) /* unpacked, and in memory */

struct image_segment {
    uint64_t start;               /* pseudo-physical address */
    uint64_t offset, file_bytes;  /* in the ELF image */
    uint64_t bytes;               /* in memory; the rest is zeroes */
};

struct image {
    const uint8_t *elf;
    size_t elf_bytes;
    struct image_segment segment[IMAGE_MAX_SEGMENTS];
    unsigned n_segments;
    uint64_t start, end;          /* pseudo-physical, page-aligned: all segments lie between */
    /* from the notes */
    uint64_t entry, virt_base, paddr_offset, hypercall_page, init_p2m;
    bool has_entry, has_hypercall_page, has_init_p2m, initrd_by_pfn, has_pvh_entry;
    char guest_os[32];
    char features[256];           /* see build_features.c */
    bool features_cut;            /* there was more */
    /* where elf[] lies, see image_dispose() */
    void *mapped, *heap;
    size_t mapped_bytes;
};

/* Reads the ELF image in elf[0..bytes): fills in all but the last three. `name` is for messages. */
int image_parse(struct image *im, const char *name, const uint8_t *elf, size_t bytes);

/*
 * If data is a packed kernel, unpacks it: *out is to be freed; otherwise *out is NULL and *payload, *payload_bytes say where the ELF
 * image lies in data. Nothing larger than `max` is made.
 */
int image_unpack(const char *name, const uint8_t *data, size_t bytes, size_t max, uint8_t **out, const uint8_t **payload,
                 size_t *payload_bytes);

/* Is all there that the kernel cannot do without? `offered`: a bit for each XENFEAT_*. */
int image_check_features(const struct image *im, const char *name, uint32_t offered);

/* Writes a parsed image as an ELF file that parses to the same, without its long runs of zeroes (build_compact.c). */
bool image_write_compact(const struct image *im, int fd);
uint64_t image_compact_bytes(const struct image *im); /* about its size */

/* All of it: opens the file, unpacks (or takes what an earlier call left in `cache_folder`, NULL = none) and parses. */
int image_load(struct image *im, const char *path, const char *cache_folder);
void image_dispose(struct image *im);
