/* SPDX-License-Identifier: MIT */
/*
 * Fuzzer of the timers: each three bytes are an operation of the model in timer_model.h.
 * sources: hypervisor/common/timer.c
 */
#include "../unit/timer_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    model_run(data, size);
    return 0;
}
