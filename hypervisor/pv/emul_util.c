/* SPDX-License-Identifier: MIT */
/*
 * What the emulators share: reading instruction bytes, finishing an instruction, segment facts of the
 * current guest.
 */
#include "port.h"
#include "x86/pv_emul.h"

#define DR6_BS BIT(14)

void pv_emul_step(struct vcpu *v)
{
    to_x86(v)->dr[6] |= DR6_BS;
    pv_inject_exception(v, 1, 0);
}

unsigned pv_emul_fetch_split(const regs_t *regs, uint8_t *buf)
{
    unsigned in_page = FRAME_SIZE - (regs->rip & (FRAME_SIZE - 1));

    if (copy_from_guest(buf, guest_ptr(regs->rip), in_page))
        return 0;
    /* the instruction may end before the page does: the next one need not be there */
    if (copy_from_guest(buf + in_page, guest_ptr(regs->rip + in_page), 16 - in_page))
        return in_page;
    return INSN_MAX;
}

uint64_t pv_emul_seg_base(const struct pv_insn *in)
{
    if (likely(in->seg != 0x64 && in->seg != 0x65))
        return 0;
    return rdmsr(in->seg == 0x64 ? MSR_FS_BASE : MSR_GS_BASE);
}

bool pv_guest_cs_is_64bit(const regs_t *regs)
{
    uint32_t rights = 0;

    if (likely(regs->cs == SEL_GUEST_CS64))
        return true;
    /* the guest's own descriptor tables are loaded: ask the processor (bit 21 is L) */
    __asm__ volatile("lar %1, %0" : "+r"(rights) : "r"((uint32_t)regs->cs) : "cc");
    return rights & BIT(21);
}
