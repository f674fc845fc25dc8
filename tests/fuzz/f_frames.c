/* SPDX-License-Identifier: MIT */
/*
 * The frame allocator under a sequence of operations taken from the input, against the shadow map.
 * sources: hypervisor/common/frames.c
 */
#include "frames_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    size_t i;

    if (!ready) {
        host_ram_init(12000);
        frame_max = 0;
        frames_add(mfn(0), mfn(100));
        frames_add(mfn(161), mfn(12000));
        ready = true;
    }
    model_init();
    for (i = 0; i + 2 <= size && i < 400; i += 2)
        model_step(data[i], data[i + 1] | (i % 100 ? 0x1000u : 0));
    model_finish();
    return 0;
}
