/* SPDX-License-Identifier: MIT */
/* Segment selectors and bases of the guest that this CPU carries. */
#pragma once

#include "x86/cpu.h"

/* entry.S: load a selector; 1 and a null selector instead when the descriptor will not do. */
int load_ds(uint16_t sel);
int load_es(uint16_t sel);
int load_fs(uint16_t sel);
int load_gs(uint16_t sel);      /* the active GS */
int load_gs_user(uint16_t sel); /* in kernel mode: the user's selector and base, behind swapgs */

static inline uint64_t fs_base_read(void)
{
    uint64_t v;

    if (!cpu_features.fsgsbase)
        return rdmsr(MSR_FS_BASE);
    __asm__ volatile("rdfsbase %0" : "=r"(v));
    return v;
}
static inline void fs_base_write(uint64_t v)
{
    if (cpu_features.fsgsbase)
        __asm__ volatile("wrfsbase %0" ::"r"(v));
    else
        wrmsr(MSR_FS_BASE, v);
}
static inline uint64_t gs_base_read(void)
{
    uint64_t v;

    if (!cpu_features.fsgsbase)
        return rdmsr(MSR_GS_BASE);
    __asm__ volatile("rdgsbase %0" : "=r"(v));
    return v;
}
static inline void gs_base_write(uint64_t v)
{
    if (cpu_features.fsgsbase)
        __asm__ volatile("wrgsbase %0" ::"r"(v));
    else
        wrmsr(MSR_GS_BASE, v);
}
static inline uint64_t gs_base_shadow_read(void)
{
    return rdmsr(MSR_KERNEL_GS_BASE);
}
static inline void gs_base_shadow_write(uint64_t v)
{
    wrmsr(MSR_KERNEL_GS_BASE, v);
}
