/* SPDX-License-Identifier: MIT */
/*
 * What Debian's static liblzma, zlib, liblz4 and libzstd expect of a C library and of the
 * processor, at boot and nowhere else: a heap, a stack canary at %fs:0x28, the SSE2 registers.
 * memcpy and friends are hypervisor/lib's.
 *
 * The heap only grows: free() does nothing, and unpack_env_leave() returns all of it. Requests
 * above a chunk (the 32 MiB dictionary of xz) get frames of their own. Single-threaded: the boot
 * CPU.
 *
 * lzma_crc64() is here so that the library's own is not linked: that one chooses its implementation
 * in a constructor, which nobody calls in a hypervisor. Linux uses CRC32, so speed is no matter.
 */
#include <stddef.h>
#include <stdint.h>

#include "lib.h"
#include "log.h"
#include "page.h"
#include "unpack.h"
#include "x86/cpu.h"
#include "x86/mm.h"

#define CHUNK_ORDER 8 /* 1 MiB */
#define MAX_CHUNKS 64

/* Prototypes of our own: there is no <stdlib.h> here. */
void *malloc(size_t n);
void *calloc(size_t n, size_t size);
void free(void *p);
void __stack_chk_fail(void);
uint64_t lzma_crc64(const uint8_t *buf, size_t size, uint64_t crc);
unsigned long long ZSTD_trace_decompress_begin(const void *dctx);
void ZSTD_trace_decompress_end(unsigned long long ctx, const void *trace);

static struct {
    mfn_t frames;
    unsigned order;
} chunk[MAX_CHUNKS];
static unsigned nr_chunks;
static char *heap_at, *heap_end;

static uint64_t saved_cr0, saved_cr4, saved_fs;
static uint64_t fake_tls[8] = {[5] = 0x9e3779b97f4a7c00}; /* canary at offset 0x28 */

/* New frames of the heap, or NULL. */
static char *chunk_add(unsigned order)
{
    mfn_t m;

    if (nr_chunks == MAX_CHUNKS || order > MAX_ORDER)
        return NULL;
    m = frames_alloc(order, FA_NOSCRUB);
    if (mfn_eq(m, INVALID_MFN))
        return NULL;
    chunk[nr_chunks].frames = m;
    chunk[nr_chunks++].order = order;
    return direct_map(paddr_of_mfn(m));
}

void *malloc(size_t n)
{
    char *p;

    if (n > (FRAME_SIZE << MAX_ORDER))
        return NULL;
    n = ROUND_UP(MAX(n, (size_t)1), 64);
    if (n > (FRAME_SIZE << CHUNK_ORDER) / 4)
        return chunk_add(order_of_bytes(n));
    if (n > (size_t)(heap_end - heap_at)) {
        p = chunk_add(CHUNK_ORDER);
        if (!p)
            return NULL;
        heap_at = p;
        heap_end = p + (FRAME_SIZE << CHUNK_ORDER);
    }
    p = heap_at;
    heap_at += n;
    return p;
}

void *calloc(size_t n, size_t size)
{
    size_t bytes;
    void *p;

    if (__builtin_mul_overflow(n, size, &bytes))
        return NULL;
    p = malloc(bytes);
    if (p)
        memset(p, 0, bytes);
    return p;
}

void free(void *p)
{
    (void)p;
}

__noreturn void __stack_chk_fail(void)
{
    panic("a decompression library wrote over its stack frame");
}

/* Weak hooks of libzstd: calls to address 0 cannot be linked into an image at the top of memory. */
unsigned long long ZSTD_trace_decompress_begin(const void *dctx)
{
    (void)dctx;
    return 0; /* not traced: no call of the other one */
}

void ZSTD_trace_decompress_end(unsigned long long ctx, const void *trace)
{
    (void)ctx;
    (void)trace;
}

uint64_t lzma_crc64(const uint8_t *buf, size_t size, uint64_t crc)
{
    crc = ~crc;
    while (size--) {
        crc ^= *buf++;
        for (unsigned i = 0; i < 8; i++)
            crc = (crc >> 1) ^ (crc & 1 ? 0xc96c5795d7870f42ULL : 0);
    }
    return ~crc;
}

void unpack_env_enter(void)
{
    saved_cr0 = read_cr0();
    saved_cr4 = read_cr4();
    saved_fs = rdmsr(MSR_FS_BASE);
    write_cr0((saved_cr0 & ~(CR0_EM | CR0_TS)) | CR0_MP);
    write_cr4(saved_cr4 | CR4_OSFXSR | CR4_OSXMMEXCPT);
    wrmsr(MSR_FS_BASE, (uint64_t)fake_tls);
    nr_chunks = 0;
    heap_at = heap_end = NULL;
}

void unpack_env_leave(void)
{
    for (unsigned i = 0; i < nr_chunks; i++)
        frames_free(chunk[i].frames, chunk[i].order);
    nr_chunks = 0;
    heap_at = heap_end = NULL;
    wrmsr(MSR_FS_BASE, saved_fs);
    write_cr4(saved_cr4);
    write_cr0(saved_cr0);
}
