/* SPDX-License-Identifier: MIT */
/*
 * A small x86-64 instruction decoder for the instructions that a PV kernel has emulated: privileged ones and
 * those that write page tables. Pure: bytes and registers in, values out; runs on the host (t_insn, f_insn).
 * pv/insn.c finds the form and length, pv/insn_rmw.c computes what a memory-writing form does.
 */
#pragma once

#include "abi.h"
#include "types.h"

#define INSN_MAX 15

enum insn_map { INSN_MAP1, INSN_MAP_0F, INSN_MAP_0F38, INSN_MAP_0F3A };

#define INSN_NO_REG (-1)
#define INSN_RIP 16 /* base of a rip-relative operand */

struct pv_insn {
    uint8_t len;        /* 1..15 */
    uint8_t map;        /* enum insn_map */
    uint8_t op;         /* last opcode byte */
    uint8_t rex;        /* 0: none */
    uint8_t op_bytes;   /* operand: 1, 2, 4, 8 */
    uint8_t addr_bytes; /* 4 or 8 */
    uint8_t seg;        /* 0, or the override prefix byte */
    uint8_t rep;        /* 0, 0xf2 or 0xf3 */
    bool lock, has_modrm;
    bool mem;           /* has a memory operand: ModRM or moffs */
    uint8_t mod, reg, rm; /* reg and rm extended by REX */
    int8_t base, index; /* register number, INSN_RIP or INSN_NO_REG */
    uint8_t scale;      /* shift */
    int64_t disp;       /* also the moffs address */
    uint64_t imm;       /* sign-extended to 64 bits where the processor does */
};

/* Decode the instruction at b, of which n bytes could be read. 0; -XEN_EFAULT: it goes on after them;
 * -XEN_EINVAL: not one we know (VEX, EVEX, 16-bit addressing, longer than 15 bytes). */
int pv_insn_decode(struct pv_insn *in, const uint8_t *b, unsigned n, bool code64) __must_check;

/* Address of the memory operand. seg_base: of fs or gs when in->seg says so, else 0. */
uint64_t pv_insn_address(const struct pv_insn *in, const struct cpu_user_regs *r,
                         uint64_t seg_base);

/* Register n (0..15) as an operand of `bytes`; byte registers 4..7 are ah.. when there is no REX. */
uint64_t pv_insn_reg_get(const struct cpu_user_regs *r, unsigned n, unsigned bytes, bool rex);
/* A 4-byte write clears the upper half, as the processor does. */
void pv_insn_reg_set(struct cpu_user_regs *r, unsigned n, unsigned bytes, bool rex, uint64_t val);
/* The whole register as 64 bits. */
extern const uint8_t pv_insn_reg_offset[16];
static inline uint64_t *pv_insn_reg(struct cpu_user_regs *r, unsigned n)
{
    return (uint64_t *)((char *)r + pv_insn_reg_offset[n & 15]);
}

/* --- Read-modify-write forms (insn_rmw.c) -------------------------------------------------------- */

/* What a memory-writing instruction does, given the old value of its operand. */
struct pv_rmw {
    uint64_t new_val;  /* valid bytes: pv_rmw_plan.bytes */
    bool write;        /* false: a compare failed, memory keeps its value */
    uint64_t flags;    /* rflags afterwards */
    int8_t reg;        /* a register gets reg_val, INSN_NO_REG: none */
    uint8_t reg_bytes;
    uint64_t reg_val;
    bool load_dx;      /* cmpxchg8b: rdx gets the upper half */
};

enum pv_rmw_kind {
    RMW_STORE, RMW_XCHG, RMW_ALU, RMW_UNARY, RMW_XADD, RMW_CMPXCHG, RMW_CMPXCHG8B, RMW_BIT, RMW_STOS,
    RMW_MOVS
};
struct pv_rmw_plan {
    uint8_t kind;
    uint8_t bytes;     /* size of the memory operand */
    uint8_t alu;       /* ALU: 0 add 1 or 2 adc 3 sbb 4 and 5 sub 6 xor; UNARY: 0 inc 1 dec 2 not 3 neg;
                        * BIT: 1 set 2 reset 3 complement */
    uint64_t src;      /* source operand; BIT: number of the bit in the operand */
    int64_t addr_off;  /* BIT with a register: bytes to add to the address */
};

/* Classify; -XEN_EINVAL: not a form that writes memory, or one that is not supported. */
int pv_rmw_plan(struct pv_rmw_plan *p, const struct pv_insn *in, const struct cpu_user_regs *r)
    __must_check;
/* Compute, no side effects. For RMW_MOVS p->src is what was read from the source. */
void pv_rmw_compute(struct pv_rmw *out, const struct pv_rmw_plan *p, const struct pv_insn *in,
                    const struct cpu_user_regs *r, uint64_t old);
/* flags after an AND, OR or XOR of that size with result val. */
uint64_t pv_rmw_logic_flags(uint64_t flags, uint64_t val, unsigned bytes);
/* Registers and flags; string forms step their pointers. Returns true when rip is to advance (false: a rep
 * has elements left). */
bool pv_rmw_commit(const struct pv_rmw *out, const struct pv_rmw_plan *p, const struct pv_insn *in,
                   struct cpu_user_regs *r);
/* String forms with a rep count of zero do nothing. */
bool pv_insn_rep_empty(const struct pv_insn *in, const struct cpu_user_regs *r);
/* Step a string register, or count down rcx, in the instruction's address size. */
void pv_insn_string_step(const struct pv_insn *in, struct cpu_user_regs *r, bool si, bool di);
