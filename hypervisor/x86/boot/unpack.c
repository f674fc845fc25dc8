/* SPDX-License-Identifier: MIT */
/*
 * The kernel inside a Linux bzImage (boot protocol 2.08 and up: payload_offset, payload_length), or
 * a kernel that is an ELF file, plain or gzipped. The decompressors are the well-known libraries;
 * here is only the choice by magic number, the size of the result, and what to tell the user.
 *
 * Linux appends the unpacked size as 4 little-endian bytes to each payload (gzip has it anyway), so
 * memory for the result is allocated once and the decompressors write straight into it. Checksums
 * in the formats are verified: a damaged kernel should say so here and not crash later.
 */
#include "abi.h"
#include "boot.h"
#include "lib.h"
#include "log.h"
#include "page.h"
#include "port.h"
#include "unpack.h"
#ifndef ZENDO_HOST
#include "x86/mm.h"
#endif

#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

#define MAX_UNPACKED (1ULL << 30)
#define LZ4_LEGACY_MAGIC 0x184c2102u
#define LZ4_LEGACY_BLOCK (8UL << 20)

struct packed {
    const uint8_t *p;
    size_t n; /* without the size at the end */
    uint32_t unpacked;
};

static uint32_t le32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* --- One function for each format: fills out[0 .. k.unpacked), false: says in *why -------- */

static bool unpack_gzip(const struct packed *k, uint8_t *out, const char **why)
{
    z_stream z = {.next_in = (uint8_t *)(uintptr_t)k->p,
                  .avail_in = (uInt)k->n,
                  .next_out = out,
                  .avail_out = k->unpacked};
    int rc = inflateInit2(&z, 16 + MAX_WBITS);

    if (rc == Z_OK) {
        rc = inflate(&z, Z_FINISH);
        inflateEnd(&z);
    }
    *why = z.msg ? z.msg : rc == Z_MEM_ERROR ? "no memory" : "data error";
    return rc == Z_STREAM_END && z.avail_out == 0;
}

static bool unpack_xz(const struct packed *k, uint8_t *out, const char **why)
{
    uint64_t limit = MAX_UNPACKED;
    size_t in_pos = 0, out_pos = 0;
    lzma_ret rc =
        lzma_stream_buffer_decode(&limit, 0, NULL, k->p, &in_pos, k->n, out, &out_pos, k->unpacked);

    *why = rc == LZMA_MEM_ERROR || rc == LZMA_MEMLIMIT_ERROR ? "no memory"
           : rc == LZMA_OPTIONS_ERROR                        ? "unknown filter"
                                                             : "data error";
    return rc == LZMA_OK && out_pos == k->unpacked;
}

static bool unpack_lz4(const struct packed *k, uint8_t *out, const char **why)
{
    size_t in = 4, done = 0;

    *why = "data error";
    while (in + 4 <= k->n) {
        uint32_t len = le32(k->p + in);
        size_t room = MIN(k->unpacked - done, LZ4_LEGACY_BLOCK);
        int got;

        in += 4;
        if (len == LZ4_LEGACY_MAGIC) /* another stream appended */
            continue;
        if (len == 0)
            break;
        if (len > k->n - in || len > (uint32_t)LZ4_COMPRESSBOUND(LZ4_LEGACY_BLOCK))
            return false;
        got = LZ4_decompress_safe((const char *)k->p + in, (char *)out + done, (int)len, (int)room);
        if (got < 0)
            return false;
        in += len;
        done += (size_t)got;
    }
    return done == k->unpacked;
}

static bool unpack_zstd(const struct packed *k, uint8_t *out, const char **why)
{
    /* The first frame only: what follows could be a legacy format, whose decoders need more stack
     * than we have. */
    size_t rc, n = ZSTD_findFrameCompressedSize(k->p, k->n);

    if (!ZSTD_isError(n)) {
        rc = ZSTD_decompress(out, k->unpacked, k->p, n);
        *why = ZSTD_isError(rc) ? ZSTD_getErrorName(rc) : "wrong size";
        return !ZSTD_isError(rc) && rc == k->unpacked;
    }
    *why = ZSTD_getErrorName(n);
    return false;
}

static const struct format {
    const char *name;
    uint8_t magic[6], len;
    bool (*unpack)(const struct packed *k, uint8_t *out,
                   const char **why); /* NULL: not supported */
} formats[] = {
    {"gzip", {0x1f, 0x8b}, 2, unpack_gzip},
    {"xz", {0xfd, '7', 'z', 'X', 'Z', 0}, 6, unpack_xz},
    {"lz4", {0x02, 0x21, 0x4c, 0x18}, 4, unpack_lz4},
    {"zstd", {0x28, 0xb5, 0x2f, 0xfd}, 4, unpack_zstd},
    {"bzip2", {'B', 'Z', 'h'}, 3, NULL},
    {"lzo", {0x89, 'L', 'Z', 'O', 0, 0x0d}, 6, NULL},
    {"lzma", {0x5d, 0, 0}, 3, NULL},
};

static const struct format *format_find(const uint8_t *p, size_t n)
{
    for (unsigned i = 0; i < ARRAY_SIZE(formats); i++)
        if (n >= formats[i].len && !memcmp(p, formats[i].magic, formats[i].len))
            return &formats[i];
    return NULL;
}

static bool is_elf(const uint8_t *p, size_t n)
{
    return n >= 4 && p[0] == 0x7f && p[1] == 'E' && p[2] == 'L' && p[3] == 'F';
}

/* --- Results -------- */

static void *frames_address(mfn_t m)
{
#ifdef ZENDO_HOST
    return map_frame(m); /* contiguous there too */
#else
    return direct_map(paddr_of_mfn(m)); /* map_frame() speaks for one frame only */
#endif
}

static int unpack_payload(const uint8_t *p, size_t n, struct unpacked *out)
{
    const struct format *f = format_find(p, n);
    struct packed k = {.p = p, .n = n - 4};
    const char *why = "";
    bool good;

    if (!f || !f->unpack) {
        log_err("dom0 kernel: compressed with %s: use gzip, xz, lz4 or zstd\n",
                f ? f->name : "something unknown");
        return -XEN_EOPNOTSUPP;
    }
    k.unpacked = le32(p + n - 4);
    if (k.unpacked < 64 || k.unpacked > MAX_UNPACKED) {
        log_err("dom0 kernel: %s payload claims to unpack to %u bytes: damaged?\n", f->name,
                k.unpacked);
        return -XEN_EINVAL;
    }
    if (f->unpack == unpack_gzip)
        k.n = n; /* the size belongs to the format */
    out->order = order_of_bytes(k.unpacked);
    out->frames = out->order > MAX_ORDER ? INVALID_MFN : frames_alloc(out->order, FA_NOSCRUB);
    if (mfn_eq(out->frames, INVALID_MFN)) {
        log_err("dom0 kernel: no %lu MiB of contiguous memory to unpack it\n",
                (FRAME_SIZE << out->order) >> 20);
        return -XEN_ENOMEM;
    }
    out->data = frames_address(out->frames);
    out->size = k.unpacked;
    unpack_env_enter();
    good = f->unpack(&k, out->data, &why);
    unpack_env_leave();
    if (good)
        return 0;
    log_err("dom0 kernel: cannot unpack its %s payload: %s\n", f->name, why);
    frames_free(out->frames, out->order);
    out->frames = INVALID_MFN;
    return -XEN_EINVAL;
}

/* Where the payload lies: Linux boot protocol, offsets into the first sector. NULL: after a message. */
static const uint8_t *bzimage_payload(const uint8_t *p, size_t n, size_t *len)
{
    uint32_t version = p[0x206] | (uint32_t)p[0x207] << 8;
    uint32_t sects = p[0x1f1] ? p[0x1f1] : 4;
    uint64_t start = (sects + 1) * 512ULL + le32(p + 0x248), bytes = le32(p + 0x24c);

    if (version < 0x208) {
        log_err("dom0 kernel: bzImage protocol %#x is too old (Linux 2.6.26 and up have 0x208)\n",
                version);
        return NULL;
    }
    if (start > n || bytes > n - start || bytes < 16) {
        log_err("dom0 kernel: bzImage is cut short: payload of %lu bytes at %lu in a file of %lu\n",
                (unsigned long)bytes, (unsigned long)start, (unsigned long)n);
        return NULL;
    }
    *len = bytes;
    return p + start;
}

int kernel_unpack(const void *image, size_t size, struct unpacked *out)
{
    const uint8_t *p = image;
    int rc;

    *out = (struct unpacked){.data = (void *)(uintptr_t)image, .size = size, .frames = INVALID_MFN};
    if (is_elf(p, size))
        return 0;
    if (size >= 0x250 && !memcmp(p + 0x202, "HdrS", 4)) {
        p = bzimage_payload(p, size, &size);
        if (!p)
            return -XEN_EINVAL;
        if (is_elf(p, size)) { /* CONFIG_KERNEL_UNCOMPRESSED */
            out->data = (void *)(uintptr_t)p;
            out->size = size;
            return 0;
        }
    } else if (size < 18 || p[0] != 0x1f || p[1] != 0x8b) {
        log_err("dom0 kernel: neither a bzImage nor an ELF file: is it the first module?\n");
        return -XEN_EINVAL;
    }
    rc = unpack_payload(p, size, out);
    if (rc)
        return rc;
    if (!is_elf(out->data, out->size)) {
        log_err("dom0 kernel: what was unpacked is not an ELF file\n");
        frames_free(out->frames, out->order);
        out->frames = INVALID_MFN;
        return -XEN_EINVAL;
    }
    return 0;
}
