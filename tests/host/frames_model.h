/* SPDX-License-Identifier: MIT */
/*
 * A shadow of the frame allocator for t_frames.c and f_frames.c: every frame handed out is marked
 * in a map of our own, so that a frame given twice, out of bounds or misaligned stops the run.
 */
#pragma once

#include <stdlib.h>

#include "lib.h"
#include "port_host.h"

#define MODEL_BLOCKS 256
#define MODEL_FRAMES 65536

static struct {
    uint64_t frame;
    unsigned order;
} model_block[MODEL_BLOCKS];
static unsigned model_nr;
static uint8_t model_owned[MODEL_FRAMES];
static uint64_t model_free;

#define MODEL_CHECK(c)                                                                             \
    do {                                                                                           \
        if (!(c)) {                                                                                \
            fprintf(stderr, "model: %s (line %d)\n", #c, __LINE__);                                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static void model_init(void)
{
    model_nr = 0;
    memset(model_owned, 0, sizeof(model_owned));
    model_free = frames_free_count();
}

static void model_alloc(unsigned order, unsigned flags, unsigned bits)
{
    mfn_t m;
    uint64_t i;

    if (model_nr == MODEL_BLOCKS)
        return;
    m = frames_alloc_below(order, flags, bits);
    if (mfn_eq(m, INVALID_MFN)) {
        /* a single frame without a limit fails only when there is none */
        MODEL_CHECK(order || bits < 64 || !model_free);
        return;
    }
    MODEL_CHECK(m.n && !(m.n & ((1ULL << order) - 1)) && m.n + (1ULL << order) <= frame_max);
    MODEL_CHECK(bits >= 52 || (m.n + (1ULL << order)) << FRAME_SHIFT <= 1ULL << bits);
    for (i = 0; i < 1ULL << order; i++) {
        uint64_t *va = map_frame(mfn_add(m, i));

        MODEL_CHECK(!model_owned[m.n + i]);
        model_owned[m.n + i] = 1;
        if (!(flags & FA_NOSCRUB))
            MODEL_CHECK(!va[0] && !va[511]);
        va[0] = va[511] = ~m.n;
    }
    model_free -= 1ULL << order;
    model_block[model_nr].frame = m.n;
    model_block[model_nr++].order = order;
}

static void model_release(unsigned k)
{
    uint64_t frame = model_block[k].frame, size = 1ULL << model_block[k].order;

    memset(&model_owned[frame], 0, size);
    frames_free(mfn(frame), model_block[k].order);
    model_free += size;
    model_block[k] = model_block[--model_nr];
}

/* One operation chosen by two numbers. */
static void model_step(unsigned what, unsigned arg)
{
    static const unsigned limits[] = {64, 64, 64, 32, 27, 25, 24, 20};

    switch (what % 8) {
    case 0:
    case 1:
    case 2:
        model_alloc(what / 8 % 4, arg & FA_NOSCRUB, limits[arg / 16 % 8]);
        break;
    case 3:
        model_alloc(what / 8 % 11, arg & FA_NOSCRUB, limits[arg / 16 % 8]);
        break;
    case 7:
        frames_scrub_some();
        break;
    default:
        if (model_nr)
            model_release(arg % model_nr);
    }
    MODEL_CHECK(frames_free_count() == model_free);
    if (arg % 512 == 0)
        MODEL_CHECK(!frames_check());
}

static void model_finish(void)
{
    while (model_nr)
        model_release(model_nr - 1);
    MODEL_CHECK(!frames_check());
}
