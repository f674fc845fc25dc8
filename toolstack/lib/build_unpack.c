/* SPDX-License-Identifier: MIT */
/*
 * Unpacks a kernel: finds the payload of a bzImage by its setup header, knows the packer by the first bytes. Linux puts
 * the unpacked size in the payload's last four bytes (gzip has it there anyway); it is the size of the buffer, and what
 * does not fit is refused, so that a small file cannot make a large process.
 */
#include "build_image.h"
#include "fault.h"

#include <errno.h>
#include <lz4.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

struct payload {
    const uint8_t *data;
    size_t bytes;
};

static uint32_t u32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static bool begins(struct payload p, const char *magic, size_t n)
{
    return p.bytes >= n && !memcmp(p.data, magic, n);
}

/* The payload of a bzImage; anything else is its own payload. */
static int find_payload(const char *name, struct payload file, struct payload *out)
{
    *out = file;
    if (file.bytes < 0x250 || memcmp(file.data + 0x202, "HdrS", 4))
        return 0;
    if ((file.data[0x206] | file.data[0x207] << 8) < 0x208)
        return fault(-ENOEXEC, "%s: the kernel is older than Linux 2.6.24; take a newer one", name);
    uint64_t sectors = file.data[0x1f1] ? file.data[0x1f1] : 4;
    uint64_t offset = (sectors + 1) * 512 + u32(file.data + 0x248), bytes = u32(file.data + 0x24c);

    if (offset > file.bytes || bytes > file.bytes - offset || bytes < 8)
        return fault(-ENOEXEC, "%s: the kernel file is cut short (it has %zu bytes, its packed part ends at %llu); fetch it again", name,
                     file.bytes, (unsigned long long)(offset + bytes));
    *out = (struct payload){ file.data + offset, bytes };
    return 0;
}

/* Each unpacker fills out[0..size) and gives the bytes made, or -1. */

static long long unpack_xz(struct payload p, uint8_t *out, size_t size)
{
    uint64_t limit = 256 << 20;
    size_t in_pos = 0, out_pos = 0;
    lzma_ret rc = lzma_stream_buffer_decode(&limit, 0, NULL, p.data, &in_pos, p.bytes, out, &out_pos, size);

    return rc == LZMA_OK ? (long long)out_pos : -1;
}

static long long unpack_lzma(struct payload p, uint8_t *out, size_t size)
{
    lzma_stream s = LZMA_STREAM_INIT;
    lzma_ret rc = lzma_alone_decoder(&s, 256 << 20);

    s.next_in = p.data;
    s.avail_in = p.bytes;
    s.next_out = out;
    s.avail_out = size;
    if (rc == LZMA_OK)
        rc = lzma_code(&s, LZMA_FINISH);
    long long made = rc == LZMA_STREAM_END || (rc == LZMA_OK && !s.avail_out) ? (long long)s.total_out : -1;

    lzma_end(&s);
    return made;
}

static long long unpack_gzip(struct payload p, uint8_t *out, size_t size)
{
    z_stream s = { .next_in = (Bytef *)(uintptr_t)p.data, .avail_in = (uInt)p.bytes, .next_out = out, .avail_out = (uInt)size };
    int rc = inflateInit2(&s, 16 + MAX_WBITS);

    if (rc != Z_OK)
        return -1;
    rc = inflate(&s, Z_FINISH);
    long long made = rc == Z_STREAM_END ? (long long)s.total_out : -1;

    inflateEnd(&s);
    return made;
}

/* The format of `lz4 -l`: after the magic, blocks of up to 8 MiB, each after its packed size. */
static long long unpack_lz4(struct payload p, uint8_t *out, size_t size)
{
    size_t pos = 4, made = 0;

    while (made < size && p.bytes - pos > 4) {
        uint32_t block = u32(p.data + pos);

        pos += 4;
        if (!block || block > p.bytes - pos)
            return -1;
        size_t room = size - made < (8 << 20) ? size - made : 8 << 20;
        int got = LZ4_decompress_safe((const char *)p.data + pos, (char *)out + made, (int)block, (int)room);
        if (got <= 0)
            return -1;
        made += (size_t)got;
        pos += block;
    }
    return (long long)made;
}

static long long unpack_zstd(struct payload p, uint8_t *out, size_t size)
{
    size_t frame = ZSTD_findFrameCompressedSize(p.data, p.bytes);
    size_t made = ZSTD_isError(frame) ? frame : ZSTD_decompress(out, size, p.data, frame);

    return ZSTD_isError(made) ? -1 : (long long)made;
}

static const struct packer {
    const char *name, *magic;
    size_t n;
    long long (*unpack)(struct payload p, uint8_t *out, size_t size);
} packers[] = {
    { "xz", "\xfd" "7zXZ\0", 6, unpack_xz },      { "gzip", "\x1f\x8b", 2, unpack_gzip },
    { "lz4", "\x02\x21\x4c\x18", 4, unpack_lz4 }, { "zstd", "\x28\xb5\x2f\xfd", 4, unpack_zstd },
    { "lzma", "\x5d\0\0", 3, unpack_lzma },       { "bzip2", "BZh", 3, NULL },
    { "lzo", "\x89LZO", 4, NULL },
};

static const struct packer *packer_of(struct payload p)
{
    for (size_t i = 0; i < sizeof(packers) / sizeof(*packers); i++)
        if (begins(p, packers[i].magic, packers[i].n))
            return &packers[i];
    return NULL;
}

/* Memory that will be written all over: its pages come in one go, which in a domain saves a trip to the hypervisor or two for each. */
static uint8_t *alloc_filled(size_t size)
{
    uint8_t *buf = malloc(size);
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), start = ((uintptr_t)buf + page - 1) & -page;

    if (buf && size > page && start + page < (uintptr_t)buf + size)
        madvise((void *)start, (((uintptr_t)buf + size) & -page) - start, MADV_POPULATE_WRITE); /* old kernels cannot: no matter */
    return buf;
}

int image_unpack(const char *name, const uint8_t *data, size_t bytes, size_t max, uint8_t **out, const uint8_t **payload, size_t *payload_bytes)
{
    struct payload p;
    int rc = find_payload(name, (struct payload){ data, bytes }, &p);
    const struct packer *packer = rc ? NULL : packer_of(p);

    *out = NULL;
    *payload = p.data;
    *payload_bytes = p.bytes;
    if (rc || !packer)
        return rc; /* an ELF image, or nothing: the parser says */
    if (!packer->unpack)
        return fault(-ENOEXEC, "%s: the kernel is packed with %s, which is not supported; take xz, gzip, lz4 or zstd", name, packer->name);
    size_t size = p.bytes > 8 ? u32(p.data + p.bytes - 4) : 0;
    if (!size || size > max)
        return fault(size > max ? -E2BIG : -ENOEXEC, "%s: the kernel claims %zu MiB when unpacked, %zu MiB is the limit; is the file damaged?",
                     name, size >> 20, max >> 20);
    uint8_t *buf = alloc_filled(size);
    long long made = buf ? packer->unpack(p, buf, size) : -1;

    if (made < 0 || (size_t)made != size) {
        free(buf);
        return buf ? fault(-ENOEXEC, "%s: the kernel cannot be unpacked (%s): the file is damaged; fetch it again", name, packer->name)
                   : fault(-ENOMEM, "%s: no memory to unpack the kernel (%zu MiB)", name, size >> 20);
    }
    *out = buf;
    *payload = buf;
    *payload_bytes = size;
    return 0;
}
