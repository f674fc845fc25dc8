/* SPDX-License-Identifier: MIT */
/*
 * What the memory-writing instructions do: classify a decoded instruction, compute the new value of its
 * memory operand, its register result and the flags from the old value. Pure: no memory is touched here, so
 * that pv/emul_pt.c can compute, try a compare-and-exchange on the page table, and compute again. SSE stores,
 * push, pop, shifts, cmpxchg16b and the like are refused.
 */
#include "pv_insn.h"

#include "x86/cpu.h" /* FLAG_* */

#define FL_CF BIT(0)
#define FL_PF BIT(2)
#define FL_AF BIT(4)
#define FL_ZF BIT(6)
#define FL_SF BIT(7)
#define FL_OF BIT(11)
#define FL_ARITH (FL_CF | FL_PF | FL_AF | FL_ZF | FL_SF | FL_OF)

enum { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP };
enum { UN_INC, UN_DEC, UN_NOT, UN_NEG };
enum { BIT_TEST, BIT_SET, BIT_RESET, BIT_COMPLEMENT };

static inline uint64_t size_mask(unsigned bytes)
{
    return bytes == 8 ? ~0ULL : BIT(8 * bytes) - 1;
}

static uint64_t flags_result(uint64_t val, unsigned bytes)
{
    uint64_t f = 0;

    if (!(val & size_mask(bytes)))
        f |= FL_ZF;
    if (val & BIT(8 * bytes - 1))
        f |= FL_SF;
    if (!__builtin_parity(val & 0xff))
        f |= FL_PF;
    return f;
}

uint64_t pv_rmw_logic_flags(uint64_t flags, uint64_t val, unsigned bytes)
{
    return (flags & ~FL_ARITH) | flags_result(val, bytes);
}

/* a + b + carry, or a - b - carry. */
static uint64_t alu_sum(uint64_t a, uint64_t b, bool carry, bool sub, unsigned bytes, uint64_t *flags)
{
    uint64_t mask = size_mask(bytes), sign = BIT(8 * bytes - 1), r, f, cy;

    a &= mask;
    b &= mask;
    r = (sub ? a - b - carry : a + b + carry) & mask;
    /* carry (borrow) out of each bit; the top one is CF, the one out of bit 3 is AF */
    cy = sub ? (~a & b) | ((~a | b) & r) : (a & b) | ((a | b) & ~r);
    f = flags_result(r, bytes);
    if (cy & sign)
        f |= FL_CF;
    if (cy & 8)
        f |= FL_AF;
    if ((sub ? (a ^ b) & (a ^ r) : (a ^ r) & (b ^ r)) & sign)
        f |= FL_OF;
    *flags = (*flags & ~FL_ARITH) | f;
    return r;
}

static uint64_t alu_binary(unsigned op, uint64_t a, uint64_t b, unsigned bytes, uint64_t *flags)
{
    bool carry = *flags & FL_CF;
    uint64_t r;

    switch (op) {
    case ALU_ADD: return alu_sum(a, b, false, false, bytes, flags);
    case ALU_ADC: return alu_sum(a, b, carry, false, bytes, flags);
    case ALU_SUB: return alu_sum(a, b, false, true, bytes, flags);
    case ALU_SBB: return alu_sum(a, b, carry, true, bytes, flags);
    case ALU_OR: r = a | b; break;
    case ALU_AND: r = a & b; break;
    default: r = a ^ b; break;
    }
    r &= size_mask(bytes);
    *flags = pv_rmw_logic_flags(*flags, r, bytes);
    return r;
}

static uint64_t alu_unary(unsigned op, uint64_t a, unsigned bytes, uint64_t *flags)
{
    uint64_t cf = *flags & FL_CF, r;

    switch (op) {
    case UN_NOT:
        return ~a & size_mask(bytes);
    case UN_NEG:
        return alu_sum(0, a, false, true, bytes, flags);
    default: /* inc and dec leave CF alone */
        r = alu_sum(a, 1, false, op == UN_DEC, bytes, flags);
        *flags = (*flags & ~FL_CF) | cf;
        return r;
    }
}

static int plan_set(struct pv_rmw_plan *p, enum pv_rmw_kind kind, unsigned alu, uint64_t src)
{
    p->kind = (uint8_t)kind;
    p->alu = (uint8_t)alu;
    p->src = src;
    return 0;
}

static uint64_t reg_src(const struct pv_insn *in, const struct cpu_user_regs *r)
{
    return pv_insn_reg_get(r, in->reg, in->op_bytes, in->rex);
}

/* bts, btr, btc: the operand's number of bits is a power of two. */
static int plan_bit(struct pv_rmw_plan *p, const struct pv_insn *in, unsigned alu, uint64_t bit,
                    bool from_reg)
{
    unsigned bits = 8 * in->op_bytes;
    int64_t off = (int64_t)(bit << (64 - bits)) >> (64 - bits);

    if (alu == BIT_TEST)
        return -XEN_EINVAL;
    /* a bit number in a register addresses memory beyond the operand */
    if (from_reg)
        p->addr_off = (off & ~(int64_t)(bits - 1)) / 8;
    return plan_set(p, RMW_BIT, alu, bit & (bits - 1));
}

static int plan_map0f(struct pv_rmw_plan *p, const struct pv_insn *in, const struct cpu_user_regs *r)
{
    switch (in->op) {
    case 0xab:
        return plan_bit(p, in, BIT_SET, reg_src(in, r), true);
    case 0xb3:
        return plan_bit(p, in, BIT_RESET, reg_src(in, r), true);
    case 0xbb:
        return plan_bit(p, in, BIT_COMPLEMENT, reg_src(in, r), true);
    case 0xba:
        return (in->reg & 7) < 4 ? -XEN_EINVAL : plan_bit(p, in, in->reg & 3, in->imm, false);
    case 0xb0: case 0xb1:
        return plan_set(p, RMW_CMPXCHG, 0, reg_src(in, r));
    case 0xc0: case 0xc1:
        return plan_set(p, RMW_XADD, 0, reg_src(in, r));
    case 0xc3: /* movnti */
        if (in->op_bytes < 4 || in->rep || in->lock)
            return -XEN_EINVAL;
        return plan_set(p, RMW_STORE, 0, reg_src(in, r));
    case 0xc7:
        if ((in->reg & 7) != 1 || (in->rex & 8))
            return -XEN_EINVAL;
        p->bytes = 8;
        return plan_set(p, RMW_CMPXCHG8B, 0, (r->rcx << 32) | (uint32_t)r->rbx);
    default:
        return -XEN_EINVAL;
    }
}

/* Groups 80..83, f6/f7, fe/ff, c6/c7: the operation is in ModRM.reg. */
static int plan_group(struct pv_rmw_plan *p, const struct pv_insn *in)
{
    unsigned sub = in->reg & 7;

    switch (in->op) {
    case 0x80: case 0x81: case 0x83:
        return sub == ALU_CMP ? -XEN_EINVAL : plan_set(p, RMW_ALU, sub, in->imm);
    case 0xf6: case 0xf7:
        if (sub != 2 && sub != 3)
            return -XEN_EINVAL;
        return plan_set(p, RMW_UNARY, sub == 2 ? UN_NOT : UN_NEG, 0);
    case 0xfe: case 0xff:
        return sub > 1 ? -XEN_EINVAL : plan_set(p, RMW_UNARY, sub ? UN_DEC : UN_INC, 0);
    default: /* c6, c7: mov */
        return sub || in->lock ? -XEN_EINVAL : plan_set(p, RMW_STORE, 0, in->imm);
    }
}

static int plan_map1(struct pv_rmw_plan *p, const struct pv_insn *in, const struct cpu_user_regs *r)
{
    /* op r/m,r: 00 01 08 09 .. 30 31; 38, 39 are cmp */
    if (in->op < 0x38 && (in->op & 7) < 2)
        return plan_set(p, RMW_ALU, in->op >> 3, reg_src(in, r));
    switch (in->op) {
    case 0x86: case 0x87:
        return plan_set(p, RMW_XCHG, 0, reg_src(in, r));
    case 0x88: case 0x89:
        return in->lock ? -XEN_EINVAL : plan_set(p, RMW_STORE, 0, reg_src(in, r));
    case 0xa2: case 0xa3:
        if (in->lock)
            return -XEN_EINVAL;
        return plan_set(p, RMW_STORE, 0, pv_insn_reg_get(r, 0, in->op_bytes, false));
    case 0x80: case 0x81: case 0x83: case 0xc6: case 0xc7: case 0xf6: case 0xf7: case 0xfe: case 0xff:
        return plan_group(p, in);
    default:
        return -XEN_EINVAL;
    }
}

int pv_rmw_plan(struct pv_rmw_plan *p, const struct pv_insn *in, const struct cpu_user_regs *r)
{
    *p = (struct pv_rmw_plan){.bytes = in->op_bytes};
    if (in->map == INSN_MAP1 && !in->has_modrm && !in->lock) {
        if ((in->op & 0xfe) == 0xaa)
            return plan_set(p, RMW_STOS, 0, pv_insn_reg_get(r, 0, in->op_bytes, false));
        if ((in->op & 0xfe) == 0xa4)
            return plan_set(p, RMW_MOVS, 0, 0);
    }
    if (!in->mem)
        return -XEN_EINVAL;
    if (in->map == INSN_MAP1)
        return plan_map1(p, in, r);
    if (in->map == INSN_MAP_0F)
        return plan_map0f(p, in, r);
    return -XEN_EINVAL;
}

static void compute_bit(struct pv_rmw *out, const struct pv_rmw_plan *p, uint64_t old)
{
    uint64_t bit = BIT(p->src);

    out->flags = (out->flags & ~FL_CF) | (old & bit ? FL_CF : 0);
    if (p->alu == BIT_SET)
        out->new_val = old | bit;
    else if (p->alu == BIT_RESET)
        out->new_val = old & ~bit;
    else
        out->new_val = old ^ bit;
}

static void compute_cmpxchg(struct pv_rmw *out, const struct pv_rmw_plan *p,
                            const struct cpu_user_regs *r, uint64_t old)
{
    uint64_t acc = pv_insn_reg_get(r, 0, p->bytes, true);

    (void)alu_sum(acc, old, false, true, p->bytes, &out->flags);
    out->new_val = p->src;
    if (acc != old) {
        out->write = false;
        out->reg = 0;
        out->reg_val = old;
    }
}

static void compute_cmpxchg8b(struct pv_rmw *out, const struct pv_rmw_plan *p,
                              const struct cpu_user_regs *r, uint64_t old)
{
    uint64_t acc = (r->rdx << 32) | (uint32_t)r->rax;

    out->new_val = p->src;
    out->flags = (out->flags & ~FL_ZF) | (acc == old ? FL_ZF : 0);
    if (acc != old) {
        out->write = false;
        out->load_dx = true;
        out->reg_val = old;
    }
}

void pv_rmw_compute(struct pv_rmw *out, const struct pv_rmw_plan *p, const struct pv_insn *in,
                    const struct cpu_user_regs *r, uint64_t old)
{
    *out = (struct pv_rmw){
        .write = true, .flags = r->rflags, .reg = INSN_NO_REG, .reg_bytes = p->bytes};
    old &= size_mask(p->bytes);
    switch ((enum pv_rmw_kind)p->kind) {
    case RMW_STORE: case RMW_STOS: case RMW_MOVS:
        out->new_val = p->src;
        break;
    case RMW_XADD:
        out->new_val = alu_sum(old, p->src, false, false, p->bytes, &out->flags);
        out->reg = (int8_t)in->reg;
        out->reg_val = old;
        break;
    case RMW_XCHG:
        out->new_val = p->src;
        out->reg = (int8_t)in->reg;
        out->reg_val = old;
        break;
    case RMW_ALU:
        out->new_val = alu_binary(p->alu, old, p->src, p->bytes, &out->flags);
        break;
    case RMW_UNARY:
        out->new_val = alu_unary(p->alu, old, p->bytes, &out->flags);
        break;
    case RMW_BIT:
        compute_bit(out, p, old);
        break;
    case RMW_CMPXCHG:
        compute_cmpxchg(out, p, r, old);
        break;
    case RMW_CMPXCHG8B:
        compute_cmpxchg8b(out, p, r, old);
        break;
    }
    out->new_val &= size_mask(p->bytes);
}

static void addr_reg_add(const struct pv_insn *in, struct cpu_user_regs *r, unsigned n, int64_t step)
{
    uint64_t *p = pv_insn_reg(r, n);

    *p += (uint64_t)step;
    if (in->addr_bytes == 4)
        *p = (uint32_t)*p;
}

void pv_insn_string_step(const struct pv_insn *in, struct cpu_user_regs *r, bool si, bool di)
{
    int64_t step = r->rflags & FLAG_DF ? -(int64_t)in->op_bytes : in->op_bytes;

    if (si)
        addr_reg_add(in, r, 6, step);
    if (di)
        addr_reg_add(in, r, 7, step);
    if (in->rep)
        addr_reg_add(in, r, 1, -1);
}

bool pv_insn_rep_empty(const struct pv_insn *in, const struct cpu_user_regs *r)
{
    return in->rep && !(in->addr_bytes == 4 ? (uint32_t)r->rcx : r->rcx);
}

bool pv_rmw_commit(const struct pv_rmw *out, const struct pv_rmw_plan *p, const struct pv_insn *in,
                   struct cpu_user_regs *r)
{
    r->rflags = out->flags;
    if (out->reg != INSN_NO_REG)
        /* the accumulator of cmpxchg is register 0, never a high byte */
        pv_insn_reg_set(r, (unsigned)out->reg, out->reg_bytes, in->rex, out->reg_val);
    if (out->load_dx) {
        r->rax = (uint32_t)out->reg_val;
        r->rdx = out->reg_val >> 32;
    }
    if (p->kind != RMW_STOS && p->kind != RMW_MOVS)
        return true;
    pv_insn_string_step(in, r, p->kind == RMW_MOVS, true);
    return !in->rep || pv_insn_rep_empty(in, r);
}
