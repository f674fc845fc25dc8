/* SPDX-License-Identifier: MIT */
/*
 * bzImages made with each compressor, unpacked and compared; damaged ones must be refused, and no
 * frames may stay allocated then.
 *
 * sources: hypervisor/x86/boot/unpack.c
 *
 * libs: -llzma -lz -llz4 -lzstd
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <lz4.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "../../hypervisor/x86/boot/unpack.h"
#include "../host/port_host.h"
#include "boot.h"

#define RAW (9u << 20) /* more than one lz4 block */
#define HEAD 1024
#define PAYLOAD 100

static uint8_t *raw, *image;
static size_t len; /* of the payload */
static int busy;

mfn_t frames_alloc(unsigned order, unsigned flags)
{
    if (busy || order > 12)
        return INVALID_MFN;
    busy++;
    return mfn(1 << 12);
}
void frames_free(mfn_t m, unsigned order)
{
    busy--;
}
void unpack_env_enter(void)
{
}
void unpack_env_leave(void)
{
}

static int setup(void **s)
{
    host_ram_init(2 << 12);
    raw = malloc(RAW);
    image = calloc(1, 2 * RAW);
    memcpy(raw, "\177ELF", 4);
    for (unsigned i = 4; i < RAW; i++)
        raw[i] = i % 5 ? (uint8_t)(i >> 7) : (uint8_t)rand();
    return 0;
}

static size_t pack_gzip(uint8_t *to)
{
    z_stream z = {.next_in = raw, .avail_in = RAW, .next_out = to, .avail_out = RAW};

    deflateInit2(&z, 1, Z_DEFLATED, 31, 8, 0);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return z.total_out;
}
static size_t pack_xz_check(uint8_t *to, lzma_check check)
{
    lzma_options_lzma o;
    lzma_filter f[] = {{LZMA_FILTER_X86, NULL}, {LZMA_FILTER_LZMA2, &o}, {LZMA_VLI_UNKNOWN, NULL}};
    size_t n = 0;

    lzma_lzma_preset(&o, 0);
    assert_int_equal(lzma_stream_buffer_encode(f, check, NULL, raw, RAW, to, &n, RAW), LZMA_OK);
    return n;
}
static size_t pack_xz(uint8_t *to)
{
    return pack_xz_check(to, LZMA_CHECK_CRC32);
}
static size_t pack_xz64(uint8_t *to)
{
    return pack_xz_check(to, LZMA_CHECK_CRC64);
}
static size_t pack_lz4(uint8_t *to)
{
    size_t n = 4;

    memcpy(to, "\2\x21\x4c\x18", 4);
    for (unsigned at = 0; at < RAW; at += 8 << 20) {
        int k = RAW - at < 8u << 20 ? (int)(RAW - at) : 8 << 20;
        int c =
            LZ4_compress_default((char *)raw + at, (char *)to + n + 4, k, 2 * RAW - HEAD - 256 - n);

        assert_true(c > 0);
        memcpy(to + n, &c, 4);
        n += 4 + (size_t)c;
    }
    return n;
}
static size_t pack_zstd(uint8_t *to)
{
    ZSTD_CCtx *c = ZSTD_createCCtx();
    size_t n;

    ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
    n = ZSTD_compress2(c, to, RAW, raw, RAW);
    assert_false(ZSTD_isError(n));
    ZSTD_freeCCtx(c);
    return n;
}

static size_t image_make(size_t (*pack)(uint8_t *))
{
    uint32_t v, size = RAW;

    memset(image, 0, HEAD + PAYLOAD);
    image[0x1f1] = 1;
    memcpy(image + 0x202, "HdrS\x0f\2", 6);
    v = PAYLOAD, memcpy(image + 0x248, &v, 4);
    len = pack(image + HEAD + PAYLOAD);
    if (pack != pack_gzip) {
        memcpy(image + HEAD + PAYLOAD + len, &size, 4);
        len += 4;
    }
    v = (uint32_t)len, memcpy(image + 0x24c, &v, 4);
    return HEAD + PAYLOAD + len;
}

static void round_trip(size_t (*pack)(uint8_t *))
{
    size_t n = image_make(pack);
    struct unpacked u;

    assert_int_equal(kernel_unpack(image, n, &u), 0);
    assert_int_equal(u.size, RAW);
    assert_memory_equal(u.data, raw, RAW);
    assert_int_equal(busy, 1);
    frames_free(u.frames, u.order);
    for (unsigned i = 0; i < 12; i++) { /* one byte damaged, the file cut */
        size_t at = HEAD + PAYLOAD + 6 + (size_t)rand() % (len - 10);

        image[at] ^= 0x55;
        if (!kernel_unpack(image, n, &u)) {
            assert_ptr_equal(pack, pack_lz4); /* the only one without a checksum */
            frames_free(u.frames, u.order);
        }
        image[at] ^= 0x55;
        assert_int_equal(busy, 0);
        assert_int_equal(kernel_unpack(image, at, &u), -XEN_EINVAL);
    }
}

static void gzip(void **s)
{
    round_trip(pack_gzip);
}
static void xz(void **s)
{
    round_trip(pack_xz);
    round_trip(pack_xz64);
}
static void lz4(void **s)
{
    round_trip(pack_lz4);
}
static void zstd(void **s)
{
    round_trip(pack_zstd);
}

static void plain(void **s)
{
    struct unpacked u;
    size_t n;

    assert_int_equal(kernel_unpack(raw, RAW, &u), 0);
    assert_ptr_equal(u.data, raw);
    assert_true(mfn_eq(u.frames, INVALID_MFN));
    n = pack_gzip(image); /* vmlinux.gz */
    assert_int_equal(kernel_unpack(image, n, &u), 0);
    assert_memory_equal(u.data, raw, RAW);
    frames_free(u.frames, u.order);
    assert_int_equal(kernel_unpack("MZ", 2, &u), -XEN_EINVAL);
    n = image_make(pack_zstd);
    memcpy(image + HEAD + PAYLOAD, "\x89LZO\0\r", 6);
    assert_int_equal(kernel_unpack(image, n, &u), -XEN_EOPNOTSUPP);
    assert_non_null(strstr(host_last_log, "lzo"));
    image[0x206] = 7;
    assert_int_equal(kernel_unpack(image, n, &u), -XEN_EINVAL);
    busy = 1; /* no memory */
    n = image_make(pack_zstd);
    assert_int_equal(kernel_unpack(image, n, &u), -XEN_ENOMEM);
    busy = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(gzip), cmocka_unit_test(xz),
                                       cmocka_unit_test(lz4), cmocka_unit_test(zstd),
                                       cmocka_unit_test(plain)};

    return cmocka_run_group_tests(tests, setup, NULL);
}
