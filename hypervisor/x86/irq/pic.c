/* SPDX-License-Identifier: MIT */
/*
 * The two 8259 interrupt controllers: moved out of the way of the exceptions' vectors and masked
 * for good. Masked ones may still claim a spurious line 7 (which wants no EOI at all) or 15 (of
 * which the master has seen a real one). Ports 0x20, 0x21, 0xa0, 0xa1 must not be given to domain
 * 0.
 */
#include "x86/cpu.h"
#include "x86/irqs.h"

#define PIC_FIRST 0x20

void pic_init(void)
{
    static const struct {
        uint8_t port, val;
    } seq[] = {
        {0x21, 0xff},      {0xa1, 0xff}, /* mask */
        {0x20, 0x11},      {0xa0, 0x11}, /* ICW1: cascade, ICW4 follows */
        {0x21, PIC_FIRST}, {0xa1, PIC_FIRST + 8},
        {0x21, 0x04},      {0xa1, 0x02}, /* ICW3: the slave is on line 2 */
        {0x21, 0x01},      {0xa1, 0x01}, /* ICW4: 8086 mode, no automatic EOI */
        {0x21, 0xff},      {0xa1, 0xff},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(seq); i++) {
        outb(seq[i].port, seq[i].val);
        inb(0x61); /* about a microsecond: old chips need it between words */
    }
}

void pic_stray(uint8_t vector)
{
    if (vector == PIC_FIRST + 15)
        outb(0x20, 0x20);
}
