/* SPDX-License-Identifier: MIT */
/*
 * Writes to live page tables by ordinary instructions. Page tables are mapped read-only in a PV guest; a
 * write faults, and when the fault address maps a page table of the domain, the instruction is decoded, its
 * effect on the 8-byte entry computed, and pgt_emulated_write() validates and writes the entry. One of the
 * hottest paths there is (450,000 times in a run of boot and tools): the three or four forms that Linux
 * uses most are recognised by their bytes before the decoder is asked.
 *
 * Refused, so that the guest sees its page fault: entries that the validation refuses, operands that
 * cross an entry, forms that pv_rmw_plan() does not know, 32-bit code.
 */
#include "log.h"
#include "page.h"
#include "pgt.h"
#include "port.h"
#include "x86/mm.h"
#include "x86/pv_emul.h"

#define PT_RETRIES 8

enum pt_result { PT_REFUSED, PT_DONE, PT_AGAIN };

/* A page table of v's own that va maps, with a reference; NULL otherwise. */
static struct page *pt_of_address(struct vcpu *v, uint64_t va)
{
    uint64_t pte, type;
    struct page *pg;
    unsigned level;

    if (va >= HYP_VIRT_START && va < HYP_VIRT_END)
        return NULL;
    pg = pv_lookup_va(v, va, &pte);
    if (!pg)
        return NULL;
    type = READ_ONCE(pg->type);
    level = PGT_LEVEL(type);
    /* a writable mapping: the fault was stale or has another reason */
    if (level - 1 < 4 && (type & PGT_VALID) && !(pte & PTE_RW) && pg->owner == v->domain)
        return pg;
    put_page(pg);
    return NULL;
}

static uint64_t pt_read(const struct page *pg, unsigned index)
{
    const uint64_t *t = map_frame(mfn_of(pg));
    uint64_t e = READ_ONCE(t[index]);

    unmap_frame(t);
    return e;
}

static enum pt_result pt_result_of(int rc)
{
    if (likely(!rc))
        return PT_DONE;
    return rc == -XEN_EAGAIN || rc == -XEN_ERESTART ? PT_AGAIN : PT_REFUSED;
}

/* An aligned 8-byte xchg or mov of register reg: no old value is needed beforehand. */
static enum pt_result pt_store8(struct vcpu *v, regs_t *regs, struct page *pg, unsigned index,
                                unsigned reg, bool xchg)
{
    uint64_t *src = pv_insn_reg(regs, reg), old = 0;
    int rc = pgt_emulated_write(v, pg, index, 0, *src, false, &old);

    if (!rc && xchg)
        *src = old;
    return pt_result_of(rc);
}

/* A memory operand [reg] or [reg + disp8] without SIB or rip, as modrm and disp say: is it at addr? *extra:
 * bytes of displacement. */
static inline bool fast_operand(regs_t *regs, uint8_t modrm, uint8_t disp, uint8_t rex, uint64_t addr,
                                unsigned *extra)
{
    unsigned rm = modrm & 7;
    uint64_t ea;

    if (modrm >= 0x80 || rm == 4)
        return false;
    ea = *pv_insn_reg(regs, rm | (rex & 1) << 3);
    if (modrm >= 0x40) {
        *extra = 1;
        return ea + (uint64_t)(int8_t)disp == addr;
    }
    *extra = 0;
    return rm != 5 && ea == addr;
}

/* AND of the entry with a mask whose bytes outside the operand are all ones. */
static enum pt_result pt_and(struct vcpu *v, regs_t *regs, struct page *pg, uint64_t addr, uint64_t mask,
                             unsigned bytes)
{
    unsigned index = (addr >> 3) & 511;
    uint64_t old = pt_read(pg, index), new_val;
    int rc = -XEN_EAGAIN;

    for (unsigned i = 0; rc == -XEN_EAGAIN && i < PT_RETRIES; i++) {
        new_val = old & mask;
        rc = pgt_emulated_write(v, pg, index, old, new_val, true, &old);
    }
    if (!rc)
        regs->rflags = pv_rmw_logic_flags(regs->rflags, new_val >> (8 * (addr & 7)), bytes);
    return pt_result_of(rc);
}

/*
 * The forms that matter, by their bytes: xchg and mov of a 64-bit register (48 87 /r, 48 89 /r), and with a
 * 64-bit register (48 21 /r) and and of a byte with an immediate (80 /4), with or without lock where that is
 * possible. True when it was one of them; next_rip only counts with PT_DONE.
 */
static inline bool pt_fast(struct vcpu *v, regs_t *regs, const uint8_t *b, uint64_t addr, struct page *pg,
                           enum pt_result *res, uint64_t *next_rip)
{
    const uint8_t *p = b + (b[0] == 0xf0);
    bool wide = (*p & 0xf8) == 0x48 && !(addr & 7);
    uint8_t rex = (*p & 0xf0) == 0x40 ? *p++ : 0;
    unsigned extra, reg = ((p[1] >> 3) & 7) | (rex & 4) << 1;

    if (!fast_operand(regs, p[1], p[2], rex, addr, &extra))
        return false;
    *next_rip = regs->rip + (uint64_t)(p - b) + 2 + extra;
    if (wide && (p[0] == 0x87 || (p[0] == 0x89 && b[0] != 0xf0))) {
        *res = pt_store8(v, regs, pg, (addr >> 3) & 511, reg, p[0] == 0x87);
    } else if (wide && p[0] == 0x21) {
        *res = pt_and(v, regs, pg, addr, *pv_insn_reg(regs, reg), 8);
    } else if (p[0] == 0x80 && (reg & 7) == 4) {
        uint64_t off = (uint8_t)~p[2 + extra];

        *next_rip += 1;
        *res = pt_and(v, regs, pg, addr, ~(off << (8 * (addr & 7))), 1);
    } else {
        return false;
    }
    return true;
}

/* Where the instruction writes, and for movs what. false: not at addr, or source not readable. */
static bool pt_operand(struct pv_rmw_plan *p, const struct pv_insn *in, const regs_t *regs, uint64_t addr)
{
    uint64_t di = regs->rdi, si = regs->rsi, val = 0;

    if (p->kind != RMW_STOS && p->kind != RMW_MOVS)
        return pv_insn_address(in, regs, pv_emul_seg_base(in)) + (uint64_t)p->addr_off == addr;
    if (in->addr_bytes == 4) {
        di = (uint32_t)di;
        si = (uint32_t)si;
    }
    if (di != addr || pv_insn_rep_empty(in, regs))
        return false;
    if (p->kind == RMW_MOVS) {
        if (copy_from_guest(&val, guest_ptr(si + pv_emul_seg_base(in)), p->bytes))
            return false;
        p->src = val;
    }
    return true;
}

/* Any form: compute from the entry's value, exchange if it is still that, else again. */
static enum pt_result pt_rmw(struct vcpu *v, regs_t *regs, const struct pv_insn *in,
                             const struct pv_rmw_plan *p, struct page *pg, uint64_t addr)
{
    unsigned index = (addr >> 3) & 511, shift = 8 * (addr & 7);
    uint64_t mask = (p->bytes == 8 ? ~0ULL : BIT(8 * p->bytes) - 1) << shift;
    uint64_t old = pt_read(pg, index), new_val;
    struct pv_rmw out;
    int rc = 0;

    for (unsigned i = 0; i < PT_RETRIES; i++) {
        pv_rmw_compute(&out, p, in, regs, (old & mask) >> shift);
        if (!out.write)
            break;
        new_val = (old & ~mask) | (out.new_val << shift);
        rc = pgt_emulated_write(v, pg, index, old, new_val, true, &old);
        if (rc != -XEN_EAGAIN)
            break;
    }
    if (rc)
        return pt_result_of(rc);
    if (pv_rmw_commit(&out, p, in, regs))
        pv_emul_done(v, regs, regs->rip + in->len);
    return PT_DONE;
}

static enum pt_result pt_slow(struct vcpu *v, regs_t *regs, const uint8_t *b, unsigned n, uint64_t addr,
                              struct page *pg)
{
    struct pv_rmw_plan p;
    struct pv_insn in;

    if (pv_insn_decode(&in, b, n, true) || pv_rmw_plan(&p, &in, regs))
        return PT_REFUSED;
    if ((addr & 7) + p.bytes > 8 || !pt_operand(&p, &in, regs, addr))
        return PT_REFUSED;
    return pt_rmw(v, regs, &in, &p, pg, addr);
}

bool pv_emulate_pt_write(struct vcpu *v, regs_t *regs, uint64_t addr)
{
    enum pt_result res;
    uint64_t next_rip;
    uint8_t b[16];
    struct page *pg;
    unsigned n;

    if (!to_x86(v)->kernel_mode || (regs->cs != SEL_GUEST_CS64 && !pv_guest_cs_is_64bit(regs)))
        return false;
    pg = pt_of_address(v, addr);
    if (!pg)
        return false;
    n = pv_emul_fetch(regs, b);
    if (likely(n == INSN_MAX) && likely(pt_fast(v, regs, b, addr, pg, &res, &next_rip))) {
        if (likely(res == PT_DONE))
            pv_emul_done(v, regs, next_rip);
    } else {
        res = pt_slow(v, regs, b, n, addr, pg);
    }
    put_page(pg);
    /* PT_AGAIN: rip has not moved, the guest's instruction faults again after softirqs had their turn */
    return res != PT_REFUSED;
}
