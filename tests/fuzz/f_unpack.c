/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a bzImage (its magic is put in when bit 0 of the last byte is set).
 *
 * sources: hypervisor/x86/boot/unpack.c
 *
 * libs: -llzma -lz -llz4 -lzstd
 */
#include <stdlib.h>
#include <string.h>

#include "../../hypervisor/x86/boot/unpack.h"
#include "boot.h"
#include "page.h"

static void *area;

mfn_t frames_alloc(unsigned order, unsigned flags)
{
    if (area)
        abort();
    if (order > 8)
        return INVALID_MFN;
    area = malloc(FRAME_SIZE << order);
    return mfn(1);
}
void frames_free(mfn_t m, unsigned order)
{
    free(area);
    area = NULL;
}
void *map_frame(mfn_t m)
{
    return area;
}
void unpack_env_enter(void)
{
}
void unpack_env_leave(void)
{
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct unpacked u;
    uint8_t *p;

    if (!n)
        return 0;
    p = malloc(n);
    memcpy(p, data, n);
    if (n > 0x250 && (data[n - 1] & 1))
        memcpy(p + 0x202, "HdrS\x0f\2", 6);
    if (!kernel_unpack(p, n, &u) && area)
        frames_free(u.frames, u.order);
    if (area)
        abort();
    free(p);
    return 0;
}
