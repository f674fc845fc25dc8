/* SPDX-License-Identifier: MIT */
/*
 * in, out, ins, outs of a PV guest. Who may: the kernel with a virtual IOPL of 1 or more, a process with
 * IOPL 3 or through the I/O bitmap that its kernel registered. What the port does is guest_ioport_*()'s
 * business: a port that the domain may not use reads as all ones.
 */
#include "port.h"
#include "x86/pv_emul.h"

#define IO_BATCH 256 /* elements of a rep per entry: then softirqs have their turn */

/* The TSS's bitmap as the guest's kernel gave it: every bit of the access must be clear. */
static bool io_bitmap_allows(const struct x86_vcpu *xv, unsigned port, unsigned bytes)
{
    uint8_t map[2] = {0xff, 0xff};
    unsigned first = port >> 3, n = ((port + bytes - 1) >> 3) - first + 1, bits;

    if (!xv->iobmp.va || port + bytes > xv->iobmp_bits)
        return false;
    if (copy_from_guest(map, guest_ptr_add(xv->iobmp, first), n))
        return false;
    bits = map[0] | (unsigned)map[1] << 8;
    return !(bits & (((1U << bytes) - 1) << (port & 7)));
}

static bool io_may(const struct x86_vcpu *xv, unsigned port, unsigned bytes)
{
    if (xv->iopl >= (xv->kernel_mode ? 1 : 3))
        return true;
    return io_bitmap_allows(xv, port, bytes);
}

/* One element of ins or outs; false: the memory is not there, a page fault was injected. */
static bool io_string_one(struct vcpu *v, const struct pv_insn *in, regs_t *regs, unsigned port,
                          uint64_t va)
{
    uint32_t val = 0;

    if (in->op >= 0x6e) {
        if (copy_from_guest(&val, guest_ptr(va), in->op_bytes)) {
            pv_inject_page_fault(v, va, 0);
            return false;
        }
        guest_ioport_write(v, port, in->op_bytes, val);
        return true;
    }
    val = guest_ioport_read(v, port, in->op_bytes);
    if (copy_to_guest(guest_ptr(va), &val, in->op_bytes)) {
        pv_inject_page_fault(v, va, 2);
        return false;
    }
    return true;
}

static enum pv_emul io_string(struct vcpu *v, const struct pv_insn *in, regs_t *regs)
{
    bool out = in->op >= 0x6e;
    unsigned port = (uint16_t)regs->rdx;
    uint64_t va, base = out ? pv_emul_seg_base(in) : 0; /* ins always writes to es */

    for (unsigned i = 0; i < IO_BATCH; i++) {
        if (pv_insn_rep_empty(in, regs))
            return PV_EMUL_DONE;
        va = out ? regs->rsi : regs->rdi;
        if (in->addr_bytes == 4)
            va = (uint32_t)va;
        if (!io_string_one(v, in, regs, port, va + base))
            return PV_EMUL_STAY;
        pv_insn_string_step(in, regs, out, !out);
        if (!in->rep)
            return PV_EMUL_DONE;
    }
    return pv_insn_rep_empty(in, regs) ? PV_EMUL_DONE : PV_EMUL_STAY;
}

/* e4-e7, ec-ef, 6c-6f. String forms of 32-bit code would need its segments: refused. */
enum pv_emul pv_emul_io(struct vcpu *v, const struct pv_insn *in, regs_t *regs, bool code64)
{
    bool string = in->op < 0x70, imm = in->op < 0xe8;
    unsigned bytes = MIN(in->op_bytes, 4), port;
    struct pv_insn io = *in;

    io.op_bytes = (uint8_t)bytes; /* REX.W means nothing here */
    port = imm && !string ? (uint8_t)in->imm : (uint16_t)regs->rdx;
    if (!io_may(to_x86(v), port, bytes))
        return PV_EMUL_NO;
    if (string)
        return code64 ? io_string(v, &io, regs) : PV_EMUL_NO;
    if (in->op & 2)
        guest_ioport_write(v, port, bytes, (uint32_t)pv_insn_reg_get(regs, 0, bytes, true));
    else
        pv_insn_reg_set(regs, 0, bytes, true, guest_ioport_read(v, port, bytes));
    return PV_EMUL_DONE;
}
