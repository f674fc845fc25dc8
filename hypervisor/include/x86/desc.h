/* SPDX-License-Identifier: MIT */
/* Descriptor tables as the processor reads them, and this CPU's copies for the guest it runs. */
#pragma once

#include "types.h"

struct idt_gate {
    uint16_t offset0, selector;
    uint8_t ist, type;
    uint16_t offset1;
    uint32_t offset2, zero;
} __packed;

struct tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3, iobase;
} __packed;
_Static_assert(sizeof(struct tss) == 0x68, "TSS");

struct desc_ptr {
    uint16_t limit;
    uint64_t base;
} __packed;

/* Low half of a 16-byte system descriptor; the high half is base >> 32. */
static inline uint64_t desc_system_low(uint64_t base, uint64_t limit, uint64_t type)
{
    return (limit & 0xffff) | ((base & 0xffffff) << 16) | (type << 40) | ((limit >> 16 & 0xf) << 48) |
           ((base >> 24 & 0xff) << 56);
}

/* This CPU, interrupts off or the vCPU current: map the guest's descriptor pages. */
void cpu_gdt_page_set(unsigned page, mfn_t m);
void cpu_gdt_pages_set(const uint64_t *frames, unsigned count);
void cpu_ldt_set(const mfn_t *frames, unsigned entries); /* entries 0: none */
void cpu_iobitmap_set(const void *bitmap);
