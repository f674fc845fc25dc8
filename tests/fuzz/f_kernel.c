/* SPDX-License-Identifier: MIT */
/*
 * A guest's kernel file: any bytes are unpacked, parsed and laid out without a read outside or memory beyond the limit.
 * sources: toolstack/lib/build_image.c toolstack/lib/build_unpack.c toolstack/lib/build_layout.c toolstack/lib/fault.c
 * libs: -llzma -lz -llz4 -lzstd
 */
#include <stdlib.h>
#include <string.h>

#include "build_image.h"
#include "build_layout.h"
#include "fault.h"

/* What the parser lets through must hold for the builder. */
static void check_image(const struct image *im)
{
    for (unsigned i = 0; i < im->n_segments; i++) {
        const struct image_segment *s = &im->segment[i];

        if (s->file_bytes > s->bytes || s->offset > im->elf_bytes || s->file_bytes > im->elf_bytes - s->offset || s->start < im->start ||
            s->start + s->bytes > im->end)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *payload;
    uint8_t *out;
    size_t bytes;
    struct image im;
    struct pv_layout l;

    fault_clear();
    if (!image_unpack("k", data, size, 1 << 20, &out, &payload, &bytes) && !image_parse(&im, "k", payload, bytes)) {
        check_image(&im);
        if (!layout_make(&l, &im, 24576, 5000) && (l.end_pfn > 24576 || l.kernel_pfn + l.kernel_pages > l.table_pfn))
            abort();
    }
    free(out);
    return 0;
}
