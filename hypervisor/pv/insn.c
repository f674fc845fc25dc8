/* SPDX-License-Identifier: MIT */
/*
 * Instruction decoder: prefixes, opcode, ModRM, SIB, displacement, immediate. Attribute tables give for each
 * opcode of the one-byte and 0f maps whether it has ModRM and which immediate; the 0f38 and 0f3a maps are
 * uniform. It knows lengths for all legacy-encoded instructions but means nothing by it: what may be
 * emulated is decided by its users. VEX, EVEX, XOP and 3DNow! encodings and 16-bit addresses are refused.
 */
#include "pv_insn.h"

#define M 0x01   /* ModRM */
#define B 0x02   /* byte operand */
#define I8 0x04  /* imm8, sign-extended */
#define IZ 0x08  /* imm16 or imm32, sign-extended */
#define I16 0x10 /* imm16 */
#define IV 0x20  /* imm of the operand size (mov only) */
#define MO 0x40  /* address of the address size */
#define BAD 0x80

#define ALU_ROW M | B, M, M | B, M, B | I8, IZ

static const uint8_t map1[256] = {
    /* 06.. push/pop of segments, decimal adjust: not in 64-bit code; prefixes never get here */
    [0x00] = ALU_ROW, BAD, BAD, ALU_ROW, BAD, BAD, ALU_ROW, BAD, BAD, ALU_ROW, BAD, BAD,
    [0x20] = ALU_ROW, BAD, BAD, ALU_ROW, BAD, BAD, ALU_ROW, BAD, BAD, ALU_ROW, BAD, BAD,
    [0x60 ... 0x62] = BAD,
    [0x63] = M,
    [0x64 ... 0x67] = BAD,
    [0x68] = IZ, M | IZ, I8, M | I8, B, 0, B, 0,
    [0x70 ... 0x7f] = I8,
    [0x80] = M | B | I8, M | IZ, BAD, M | I8, M | B, M, M | B, M, M | B, M, M | B, M, M, M, M, M,
    [0x9a] = BAD,
    [0xa0] = B | MO, MO, B | MO, MO, B, 0, B, 0, B | I8, IZ, B, 0, B, 0, B, 0,
    [0xb0 ... 0xb7] = B | I8,
    [0xb8 ... 0xbf] = IV,
    [0xc0] = M | B | I8, M | I8, I16, 0, BAD, BAD, M | B | I8, M | IZ, I16 | I8, 0, I16, 0, 0, I8, BAD, 0,
    [0xd0] = M | B, M, M | B, M, BAD, BAD, BAD, 0, M, M, M, M, M, M, M, M,
    [0xe0] = I8, I8, I8, I8, B | I8, I8, B | I8, I8, IZ, IZ, BAD, I8, B, 0, B, 0,
    [0xf6] = M | B, M,
    [0xfe] = M | B, M,
};

static const uint8_t map0f[256] = {
    [0x00] = M, M, M, M, BAD, 0, 0, 0, 0, 0, BAD, 0, BAD, M, 0, BAD,
    [0x10 ... 0x23] = M,
    [0x24 ... 0x27] = BAD,
    [0x28 ... 0x2f] = M,
    [0x36] = BAD,
    [0x38 ... 0x3f] = BAD,
    [0x40 ... 0x6f] = M,
    [0x70 ... 0x73] = M | I8,
    [0x74 ... 0x76] = M,
    [0x78 ... 0x7f] = M,
    [0x80 ... 0x8f] = IZ,
    [0x90 ... 0x9f] = M | B,
    [0xa3] = M, M | I8, M, BAD, BAD, 0, 0, 0, M, M | I8, M, M, M,
    [0xb0] = M | B, M, M, M, M, M, M, M, M, M, M | I8, M, M, M, M, M,
    [0xc0] = M | B, M, M | I8, M, M | I8, M | I8, M | I8, M,
    [0xd0 ... 0xff] = M,
};

struct cursor {
    const uint8_t *b;
    unsigned n, at;
};

static inline int fetch(struct cursor *c, unsigned bytes, uint64_t *val)
{
    uint64_t v = 0;

    if (bytes == 1 && c->at < c->n && c->at < INSN_MAX) {
        *val = c->b[c->at++];
        return 0;
    }
    if (c->at + bytes > INSN_MAX)
        return -XEN_EINVAL;
    if (c->at + bytes > c->n)
        return -XEN_EFAULT;
    for (unsigned i = 0; i < bytes; i++)
        v |= (uint64_t)c->b[c->at + i] << (8 * i);
    c->at += bytes;
    *val = v;
    return 0;
}

static uint64_t sign_extend(uint64_t v, unsigned bytes)
{
    unsigned s = 64 - 8 * bytes;

    return (uint64_t)((int64_t)(v << s) >> s);
}

/* Fetch and sign-extend. */
static int fetch_signed(struct cursor *c, unsigned bytes, uint64_t *val)
{
    int rc = fetch(c, bytes, val);

    if (!rc)
        *val = sign_extend(*val, bytes);
    return rc;
}

/* Prefixes up to and including REX; the byte after them is left in *op. A REX that is followed by another
 * prefix does not count. */
static int decode_prefixes(struct pv_insn *in, struct cursor *c, bool code64, bool *opsize,
                           uint64_t *op)
{
    for (;;) {
        int rc = fetch(c, 1, op);

        if (rc)
            return rc;
        switch (*op) {
        case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65:
            in->seg = (uint8_t)*op;
            break;
        case 0x66:
            *opsize = true;
            break;
        case 0x67:
            if (!code64)
                return -XEN_EINVAL;
            in->addr_bytes = 4;
            break;
        case 0xf0:
            in->lock = true;
            break;
        case 0xf2: case 0xf3:
            in->rep = (uint8_t)*op;
            break;
        default:
            if (!code64 || (*op & 0xf0) != 0x40)
                return 0;
            in->rex = (uint8_t)*op;
            continue;
        }
        in->rex = 0;
    }
}

static int decode_sib(struct pv_insn *in, struct cursor *c, bool *disp32)
{
    uint64_t sib;
    int rc = fetch(c, 1, &sib);

    if (rc)
        return rc;
    in->scale = sib >> 6;
    in->index = (int8_t)(((sib >> 3) & 7) | ((in->rex & 2) << 2));
    if (in->index == 4)
        in->index = INSN_NO_REG;
    if ((sib & 7) == 5 && in->mod == 0) {
        in->base = INSN_NO_REG;
        *disp32 = true;
    } else {
        in->base = (int8_t)((sib & 7) | ((in->rex & 1) << 3));
    }
    return 0;
}

static int decode_modrm(struct pv_insn *in, struct cursor *c, bool code64)
{
    uint64_t b, disp = 0;
    bool disp32 = false;
    int rc = fetch(c, 1, &b);

    if (rc)
        return rc;
    in->has_modrm = true;
    in->mod = b >> 6;
    in->reg = ((b >> 3) & 7) | ((in->rex & 4) << 1);
    in->rm = (b & 7) | ((in->rex & 1) << 3);
    /* mov to and from control and debug registers ignores mod */
    if (in->map == INSN_MAP_0F && (in->op & 0xfc) == 0x20)
        in->mod = 3;
    if (in->mod == 3)
        return 0;
    in->mem = true;
    if ((b & 7) == 4) {
        rc = decode_sib(in, c, &disp32);
        if (rc)
            return rc;
    } else if ((b & 7) == 5 && in->mod == 0) {
        in->base = code64 ? INSN_RIP : INSN_NO_REG;
        disp32 = true;
    } else {
        in->base = (int8_t)in->rm;
    }
    if (in->mod == 1)
        rc = fetch_signed(c, 1, &disp);
    else if (in->mod == 2 || disp32)
        rc = fetch_signed(c, 4, &disp);
    in->disp = (int64_t)disp;
    return rc;
}

static int decode_immediates(struct pv_insn *in, struct cursor *c, uint8_t attr, bool opsize)
{
    uint64_t moffs;
    int rc = 0;

    if (attr & MO) {
        rc = fetch(c, in->addr_bytes, &moffs);
        if (!rc) {
            in->mem = true;
            in->disp = (int64_t)moffs;
        }
    }
    if (attr & I16)
        rc = fetch(c, 2, &in->imm);
    if (!rc && (attr & I8))
        rc = fetch_signed(c, 1, &in->imm);
    if (attr & IZ)
        rc = fetch_signed(c, opsize && !(in->rex & 8) ? 2 : 4, &in->imm);
    if (attr & IV)
        rc = fetch_signed(c, in->op_bytes, &in->imm);
    return rc;
}

/* The opcode bytes; *attr of the opcode. */
static int decode_opcode(struct pv_insn *in, struct cursor *c, bool code64, uint64_t op, uint8_t *attr)
{
    int rc;

    in->map = INSN_MAP1;
    *attr = map1[op];
    if (op == 0x0f) {
        rc = fetch(c, 1, &op);
        if (rc)
            return rc;
        in->map = INSN_MAP_0F;
        *attr = map0f[op];
        if (op == 0x38 || op == 0x3a) {
            in->map = op == 0x38 ? INSN_MAP_0F38 : INSN_MAP_0F3A;
            *attr = op == 0x38 ? M : M | I8;
            rc = fetch(c, 1, &op);
            if (rc)
                return rc;
        }
    }
    in->op = (uint8_t)op;
    return *attr & BAD ? -XEN_EINVAL : 0;
}

int pv_insn_decode(struct pv_insn *in, const uint8_t *b, unsigned n, bool code64)
{
    struct cursor c = {b, n, 0};
    bool opsize = false;
    uint8_t attr;
    uint64_t op;
    int rc;

    *in = (struct pv_insn){.addr_bytes = code64 ? 8 : 4, .base = INSN_NO_REG, .index = INSN_NO_REG};
    rc = decode_prefixes(in, &c, code64, &opsize, &op);
    if (!rc)
        rc = decode_opcode(in, &c, code64, op, &attr);
    if (rc)
        return rc;
    in->op_bytes = attr & B ? 1 : in->rex & 8 ? 8 : opsize ? 2 : 4;
    if (attr & M) {
        rc = decode_modrm(in, &c, code64);
        if (rc)
            return rc;
        /* test r/m,imm: the only forms of their group with an immediate */
        if (in->map == INSN_MAP1 && (in->op & 0xfe) == 0xf6 && (in->reg & 6) == 0)
            attr |= in->op & 1 ? IZ : I8;
    }
    rc = decode_immediates(in, &c, attr, opsize);
    in->len = (uint8_t)c.at;
    return rc;
}

/* Where the registers are in the frame, by their numbers in instructions. */
#define R(x) offsetof(struct cpu_user_regs, x)
const uint8_t pv_insn_reg_offset[16] = {
    R(rax), R(rcx), R(rdx), R(rbx), R(rsp), R(rbp), R(rsi), R(rdi),
    R(r8),  R(r9),  R(r10), R(r11), R(r12), R(r13), R(r14), R(r15),
};
#undef R

static uint64_t reg_value(const struct cpu_user_regs *r, unsigned n)
{
    return *(const uint64_t *)((const char *)r + pv_insn_reg_offset[n & 15]);
}

uint64_t pv_insn_reg_get(const struct cpu_user_regs *r, unsigned n, unsigned bytes, bool rex)
{
    if (bytes == 8)
        return reg_value(r, n);
    if (bytes == 1 && !rex && n >= 4 && n < 8)
        return (reg_value(r, n - 4) >> 8) & 0xff;
    return reg_value(r, n) & (BIT(8 * bytes) - 1);
}

void pv_insn_reg_set(struct cpu_user_regs *r, unsigned n, unsigned bytes, bool rex, uint64_t val)
{
    unsigned shift = 0;
    uint64_t mask, *p;

    if (bytes == 1 && !rex && n >= 4 && n < 8) {
        n -= 4;
        shift = 8;
    }
    p = pv_insn_reg(r, n);
    if (bytes == 8) {
        *p = val;
    } else if (bytes == 4) {
        *p = (uint32_t)val;
    } else {
        mask = (BIT(8 * bytes) - 1) << shift;
        *p = (*p & ~mask) | ((val << shift) & mask);
    }
}

uint64_t pv_insn_address(const struct pv_insn *in, const struct cpu_user_regs *r, uint64_t seg_base)
{
    uint64_t a = (uint64_t)in->disp;

    if (in->base == INSN_RIP)
        a += r->rip + in->len;
    else if (in->base != INSN_NO_REG)
        a += reg_value(r, (unsigned)in->base);
    if (in->index != INSN_NO_REG)
        a += reg_value(r, (unsigned)in->index) << in->scale;
    if (in->addr_bytes == 4)
        a = (uint32_t)a;
    return a + seg_base;
}
