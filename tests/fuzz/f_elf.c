/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a kernel: no read outside the file, and what is accepted lies inside it.
 *
 * sources: hypervisor/common/elf.c
 */
#include <stdlib.h>

#include "elf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct elf_kernel k;

    if (elf_parse(data, n, "fuzz", &k))
        return 0;
    for (unsigned i = 0; i < k.nr_segments; i++) {
        const struct elf_segment *s = &k.segment[i];

        if (s->data < data || s->bytes > n || s->data + s->bytes > data + n || s->bytes > s->size ||
            s->va < k.start || s->va + s->size > k.end)
            abort();
    }
    return 0;
}
