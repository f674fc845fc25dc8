/* SPDX-License-Identifier: MIT */
/*
 * sources: toolstack/lib/stream.c toolstack/lib/stream_file.c toolstack/lib/stream_xl.c toolstack/lib/stream_xc.c toolstack/lib/stream_state.c toolstack/lib/fault.c
 * Any bytes as a saved guest's file. What is accepted has not allocated more than its own length suggests, and says so in the same way
 * when it is read again.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>

#include "fault.h"
#include "../unit/stream_make.h"

#define PAGES 4096U

static int read_once(const uint8_t *data, size_t bytes, char *text, size_t size)
{
    struct stream_memory m = { .data = (uint8_t *)(uintptr_t)data, .bytes = bytes };
    struct xc_state s = { .max_pages = PAGES, .max_vcpus = 4 };
    struct stream_in in;
    unsigned pages;

    stream_in_memory(&in, &m);
    fault_clear();
    int rc = read_stream(&in, &s, &pages);

    assert(s.p2m_pages <= PAGES);
    assert(in.offset <= bytes);
    assert(rc ? fault_text()[0] : !fault_text()[0]);
    assert((uint64_t)pages * 4096 <= bytes);
    snprintf(text, size, "%s", fault_text());
    xc_state_dispose(&s);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char first[1024], second[1024];
    int a = read_once(data, bytes, first, sizeof(first)), b = read_once(data, bytes, second, sizeof(second));

    assert(a == b && !strcmp(first, second));
    return 0;
}
