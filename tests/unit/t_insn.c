/* SPDX-License-Identifier: MIT */
/*
 * The instruction decoder and the read-modify-write semantics: hand-assembled bytes for each form that is
 * emulated, truncation at every length, and flags compared with what the processor itself does.
 *
 * sources: hypervisor/pv/insn.c hypervisor/pv/insn_rmw.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pv_insn.h"

#define NONE 0xff

struct form {
    const char *text, *bytes; /* bytes end at len */
    uint8_t len, map, op, op_bytes;
    bool mem;
    uint8_t kind, bytes_mem; /* NONE: not a memory write */
    uint64_t addr; /* with registers below; when mem */
};

/* Registers: n-th register holds 0x1000 * (n + 1); rip 0x400000. */
static void regs_fill(struct cpu_user_regs *r)
{
    memset(r, 0, sizeof(*r));
    for (unsigned i = 0; i < 16; i++)
        *pv_insn_reg(r, i) = 0x1000 * (i + 1);
    r->rip = 0x400000;
}
#define RAX 0x1000
#define RCX 0x2000
#define RDX 0x3000
#define RBX 0x4000
#define RSP 0x5000
#define RBP 0x6000
#define RSI 0x7000
#define RDI 0x8000
#define R(n) (0x1000ULL * ((n) + 1))

static const struct form forms[] = {
    /* privileged */
    {"rdmsr", "\x0f\x32", 2, 1, 0x32, 4, 0, NONE, 0, 0},
    {"wrmsr", "\x0f\x30", 2, 1, 0x30, 4, 0, NONE, 0, 0},
    {"cpuid", "\x0f\xa2", 2, 1, 0xa2, 4, 0, NONE, 0, 0},
    {"rdtsc", "\x0f\x31", 2, 1, 0x31, 4, 0, NONE, 0, 0},
    {"rdtscp", "\x0f\x01\xf9", 3, 1, 0x01, 4, 0, NONE, 0, 0},
    {"xsetbv", "\x0f\x01\xd1", 3, 1, 0x01, 4, 0, NONE, 0, 0},
    {"xgetbv", "\x0f\x01\xd0", 3, 1, 0x01, 4, 0, NONE, 0, 0},
    {"lgdt (rdi)", "\x0f\x01\x17", 3, 1, 0x01, 4, 1, NONE, 0, RDI},
    {"smsw eax", "\x0f\x01\xe0", 3, 1, 0x01, 4, 0, NONE, 0, 0},
    {"lmsw ax", "\x0f\x01\xf0", 3, 1, 0x01, 4, 0, NONE, 0, 0},
    {"mov cr0,rax", "\x0f\x20\xc0", 3, 1, 0x20, 4, 0, NONE, 0, 0},
    {"mov cr8,r9", "\x45\x0f\x20\xc1", 4, 1, 0x20, 4, 0, NONE, 0, 0},
    {"mov rax,cr4", "\x0f\x22\xe0", 3, 1, 0x22, 4, 0, NONE, 0, 0},
    {"mov cr3 with mod 0", "\x0f\x22\x1c", 3, 1, 0x22, 4, 0, NONE, 0, 0},
    {"mov rax,db7", "\x0f\x23\xf8", 3, 1, 0x23, 4, 0, NONE, 0, 0},
    {"clts", "\x0f\x06", 2, 1, 0x06, 4, 0, NONE, 0, 0},
    {"wbinvd", "\x0f\x09", 2, 1, 0x09, 4, 0, NONE, 0, 0},
    {"hlt", "\xf4", 1, 0, 0xf4, 4, 0, NONE, 0, 0},
    {"cli", "\xfa", 1, 0, 0xfa, 4, 0, NONE, 0, 0},
    {"sti", "\xfb", 1, 0, 0xfb, 4, 0, NONE, 0, 0},
    {"in al,imm", "\xe4\x71", 2, 0, 0xe4, 1, 0, NONE, 0, 0},
    {"in eax,imm", "\xe5\x71", 2, 0, 0xe5, 4, 0, NONE, 0, 0},
    {"out imm,al", "\xe6\x70", 2, 0, 0xe6, 1, 0, NONE, 0, 0},
    {"in al,dx", "\xec", 1, 0, 0xec, 1, 0, NONE, 0, 0},
    {"in ax,dx", "\x66\xed", 2, 0, 0xed, 2, 0, NONE, 0, 0},
    {"out dx,al", "\xee", 1, 0, 0xee, 1, 0, NONE, 0, 0},
    {"out dx,eax", "\xef", 1, 0, 0xef, 4, 0, NONE, 0, 0},
    {"rep insw", "\xf3\x66\x6d", 3, 0, 0x6d, 2, 0, NONE, 0, 0},
    {"rep outsb", "\xf3\x6e", 2, 0, 0x6e, 1, 0, NONE, 0, 0},
    /* stores */
    {"mov (rdi),rsi", "\x48\x89\x37", 3, 0, 0x89, 8, 1, RMW_STORE, 8, RDI},
    {"mov 8(rbx),r12", "\x4c\x89\x63\x08", 4, 0, 0x89, 8, 1, RMW_STORE, 8, RBX + 8},
    {"mov -8(r13),eax", "\x41\x89\x45\xf8", 4, 0, 0x89, 4, 1, RMW_STORE, 4, R(13) - 8},
    {"mov (rdi),ax", "\x66\x89\x07", 3, 0, 0x89, 2, 1, RMW_STORE, 2, RDI},
    {"mov (rdi),ah", "\x88\x27", 2, 0, 0x88, 1, 1, RMW_STORE, 1, RDI},
    {"mov 0x100(rip),rax", "\x48\x89\x05\x00\x01\x00\x00", 7, 0, 0x89, 8, 1, RMW_STORE, 8, 0x400107},
    {"mov (rbx+rcx*8),rax", "\x48\x89\x04\xcb", 4, 0, 0x89, 8, 1, RMW_STORE, 8, RBX + RCX * 8},
    {"mov 0x10(r12+r9*2),rax", "\x4b\x89\x44\x4c\x10", 5, 0, 0x89, 8, 1, RMW_STORE, 8,
     R(12) + R(9) * 2 + 16},
    {"mov (rsp),rax", "\x48\x89\x04\x24", 4, 0, 0x89, 8, 1, RMW_STORE, 8, RSP},
    {"mov abs32,rax", "\x48\x89\x04\x25\x00\x00\x00\x80", 8, 0, 0x89, 8, 1, RMW_STORE, 8,
     0xffffffff80000000},
    {"mov 0x1000(,rax,8),rcx", "\x48\x89\x0c\xc5\x00\x10\x00\x00", 8, 0, 0x89, 8, 1, RMW_STORE, 8,
     RAX * 8 + 0x1000},
    {"mov (edi),rax", "\x67\x48\x89\x07", 4, 0, 0x89, 8, 1, RMW_STORE, 8, RDI},
    {"movq imm32,(rdi)", "\x48\xc7\x07\x67\x00\x00\x80", 7, 0, 0xc7, 8, 1, RMW_STORE, 8, RDI},
    {"movl imm32,(rdi)", "\xc7\x07\x01\x02\x03\x04", 6, 0, 0xc7, 4, 1, RMW_STORE, 4, RDI},
    {"movw imm16,(rdi)", "\x66\xc7\x07\x01\x02", 5, 0, 0xc7, 2, 1, RMW_STORE, 2, RDI},
    {"movb imm8,(rdi)", "\xc6\x07\x01", 3, 0, 0xc6, 1, 1, RMW_STORE, 1, RDI},
    {"movabs rax,moffs", "\x48\xa3\x88\x77\x66\x55\x44\x33\x22\x11", 10, 0, 0xa3, 8, 1, RMW_STORE, 8,
     0x1122334455667788},
    {"mov moffs32,al", "\x67\xa2\x88\x77\x66\x55", 6, 0, 0xa2, 1, 1, RMW_STORE, 1, 0x55667788},
    {"movnti (rdi),rax", "\x48\x0f\xc3\x07", 4, 1, 0xc3, 8, 1, RMW_STORE, 8, RDI},
    {"stosq", "\x48\xab", 2, 0, 0xab, 8, 0, RMW_STOS, 8, 0},
    {"rep stosl", "\xf3\xab", 2, 0, 0xab, 4, 0, RMW_STOS, 4, 0},
    {"rep movsq", "\xf3\x48\xa5", 3, 0, 0xa5, 8, 0, RMW_MOVS, 8, 0},
    {"movsb", "\xa4", 1, 0, 0xa4, 1, 0, RMW_MOVS, 1, 0},
    /* exchanges */
    {"xchg rax,(rdi)", "\x48\x87\x07", 3, 0, 0x87, 8, 1, RMW_XCHG, 8, RDI},
    {"xchg al,(rdi)", "\x86\x07", 2, 0, 0x86, 1, 1, RMW_XCHG, 1, RDI},
    {"lock xchg r15,0x12345678(r14)", "\xf0\x4d\x87\xbe\x78\x56\x34\x12", 8, 0, 0x87, 8, 1, RMW_XCHG, 8,
     R(14) + 0x12345678},
    {"lock cmpxchg (rdi),rcx", "\xf0\x48\x0f\xb1\x0f", 5, 1, 0xb1, 8, 1, RMW_CMPXCHG, 8, RDI},
    {"cmpxchg (rdi),cl", "\x0f\xb0\x0f", 3, 1, 0xb0, 1, 1, RMW_CMPXCHG, 1, RDI},
    {"lock cmpxchg8b (rdi)", "\xf0\x0f\xc7\x0f", 4, 1, 0xc7, 4, 1, RMW_CMPXCHG8B, 8, RDI},
    {"cmpxchg16b (rdi)", "\xf0\x48\x0f\xc7\x0f", 5, 1, 0xc7, 8, 1, NONE, 0, RDI},
    {"lock xadd (rdi),rax", "\xf0\x48\x0f\xc1\x07", 5, 1, 0xc1, 8, 1, RMW_XADD, 8, RDI},
    /* logic and arithmetic */
    {"lock and (rdi),rsi", "\xf0\x48\x21\x37", 4, 0, 0x21, 8, 1, RMW_ALU, 8, RDI},
    {"lock andb imm8,(rdi)", "\xf0\x80\x27\xfd", 4, 0, 0x80, 1, 1, RMW_ALU, 1, RDI},
    {"lock andq imm8,(rdi)", "\xf0\x48\x83\x27\xfd", 5, 0, 0x83, 8, 1, RMW_ALU, 8, RDI},
    {"lock orl imm32,4(rdi)", "\xf0\x81\x4f\x04\x00\x00\x00\x80", 8, 0, 0x81, 4, 1, RMW_ALU, 4, RDI + 4},
    {"lock orw imm16,(rdi)", "\x66\xf0\x81\x0f\x00\x80", 6, 0, 0x81, 2, 1, RMW_ALU, 2, RDI},
    {"lock orb imm8,6(rdi)", "\xf0\x80\x4f\x06\x20", 5, 0, 0x80, 1, 1, RMW_ALU, 1, RDI + 6},
    {"cmp imm8,(rdi)", "\x48\x83\x3f\x00", 4, 0, 0x83, 8, 1, NONE, 0, RDI},
    {"xor (rax),rax", "\x48\x31\x00", 3, 0, 0x31, 8, 1, RMW_ALU, 8, RAX},
    {"add (rax),al", "\x00\x00", 2, 0, 0x00, 1, 1, RMW_ALU, 1, RAX},
    {"sub r,m is a load", "\x48\x2b\x07", 3, 0, 0x2b, 8, 1, NONE, 0, RDI},
    {"incq (rdi)", "\x48\xff\x07", 3, 0, 0xff, 8, 1, RMW_UNARY, 8, RDI},
    {"lock decl (rdi)", "\xf0\xff\x0f", 3, 0, 0xff, 4, 1, RMW_UNARY, 4, RDI},
    {"call (rdi)", "\xff\x17", 2, 0, 0xff, 4, 1, NONE, 0, RDI},
    {"push (rdi)", "\xff\x37", 2, 0, 0xff, 4, 1, NONE, 0, RDI},
    {"pop (rdi)", "\x8f\x07", 2, 0, 0x8f, 4, 1, NONE, 0, RDI},
    {"lock notq (rdi)", "\xf0\x48\xf7\x17", 4, 0, 0xf7, 8, 1, RMW_UNARY, 8, RDI},
    {"negb (rdi)", "\xf6\x1f", 2, 0, 0xf6, 1, 1, RMW_UNARY, 1, RDI},
    {"testq imm32,(rdi)", "\x48\xf7\x07\x01\x00\x00\x00", 7, 0, 0xf7, 8, 1, NONE, 0, RDI},
    {"testb imm8,(rdi)", "\xf6\x07\x01", 3, 0, 0xf6, 1, 1, NONE, 0, RDI},
    {"shl (rdi)", "\x48\xd1\x27", 3, 0, 0xd1, 8, 1, NONE, 0, RDI},
    {"lock btrq imm8,(rdi)", "\xf0\x48\x0f\xba\x37\x01", 6, 1, 0xba, 8, 1, RMW_BIT, 8, RDI},
    {"lock btsl imm8,(rdi)", "\xf0\x0f\xba\x2f\x05", 5, 1, 0xba, 4, 1, RMW_BIT, 4, RDI},
    {"bt imm8,(rdi)", "\x48\x0f\xba\x27\x01", 5, 1, 0xba, 8, 1, NONE, 0, RDI},
    {"lock btr (rdi),rax", "\xf0\x48\x0f\xb3\x07", 5, 1, 0xb3, 8, 1, RMW_BIT, 8, RDI},
    {"btc (rdi),ax", "\x66\x0f\xbb\x07", 4, 1, 0xbb, 2, 1, RMW_BIT, 2, RDI},
    /* not for us, but with a known length */
    {"movaps (rdi),xmm0", "\x0f\x29\x07", 3, 1, 0x29, 4, 1, NONE, 0, RDI},
    {"movntdq (rdi),xmm0", "\x66\x0f\xe7\x07", 4, 1, 0xe7, 2, 1, NONE, 0, RDI},
    {"movabs imm64,rax", "\x48\xb8\x01\x02\x03\x04\x05\x06\x07\x08", 10, 0, 0xb8, 8, 0, NONE, 0, 0},
    {"pcmpistri", "\x66\x0f\x3a\x63\x07\x0c", 6, 3, 0x63, 2, 1, NONE, 0, RDI},
    {"enter", "\xc8\x10\x00\x01", 4, 0, 0xc8, 4, 0, NONE, 0, 0},
};

static void test_forms(void **state)
{
    struct cpu_user_regs r;

    regs_fill(&r);
    for (unsigned i = 0; i < ARRAY_SIZE(forms); i++) {
        const struct form *f = &forms[i];
        struct pv_rmw_plan p;
        struct pv_insn in;
        uint8_t b[15] = {0};

        memcpy(b, f->bytes, f->len);
        if (pv_insn_decode(&in, b, sizeof(b), true))
            fail_msg("%s: refused", f->text);
        if (in.len != f->len || in.map != f->map || in.op != f->op || in.op_bytes != f->op_bytes ||
            in.mem != f->mem)
            fail_msg("%s: len %u map %u op %x size %u", f->text, in.len, in.map, in.op, in.op_bytes);
        if (f->mem && pv_insn_address(&in, &r, 0) != f->addr)
            fail_msg("%s: address %lx", f->text, pv_insn_address(&in, &r, 0));
        for (unsigned n = 0; n < f->len; n++)
            assert_int_equal(pv_insn_decode(&in, b, n, true), -XEN_EFAULT);
        assert_int_equal(pv_insn_decode(&in, b, f->len, true), 0);
        if (f->kind == NONE) {
            assert_int_equal(pv_rmw_plan(&p, &in, &r), -XEN_EINVAL);
            continue;
        }
        if (pv_rmw_plan(&p, &in, &r) || p.kind != f->kind || p.bytes != f->bytes_mem)
            fail_msg("%s: plan %u size %u", f->text, p.kind, p.bytes);
    }
}

static void test_refused(void **state)
{
    struct pv_insn in;
    uint8_t many[15];

    assert_int_equal(pv_insn_decode(&in, (const uint8_t *)"\xc5\xf8\x77", 3, true), -XEN_EINVAL);
    assert_int_equal(pv_insn_decode(&in, (const uint8_t *)"\x62\xf1\x7c\x48\x10", 5, true), -XEN_EINVAL);
    assert_int_equal(pv_insn_decode(&in, (const uint8_t *)"\x06", 1, true), -XEN_EINVAL);
    assert_int_equal(pv_insn_decode(&in, (const uint8_t *)"\x67\xa2", 2, false), -XEN_EINVAL);
    memset(many, 0x66, sizeof(many));
    assert_int_equal(pv_insn_decode(&in, many, sizeof(many), true), -XEN_EINVAL);
    /* 32-bit code: 48 is dec eax, not REX */
    assert_int_equal(pv_insn_decode(&in, (const uint8_t *)"\x48\x89\x07", 3, false), 0);
    assert_int_equal(in.len, 1);
    /* REX counts only in the last place */
    assert_int_equal(pv_insn_decode(&in, (const uint8_t *)"\x48\x66\x89\x07", 4, true), 0);
    assert_int_equal(in.op_bytes, 2);
    assert_int_equal(in.rex, 0);
}

static void test_registers(void **state)
{
    struct cpu_user_regs r = {.rax = 0x1122334455667788, .rsp = 0x99};

    assert_int_equal(pv_insn_reg_get(&r, 4, 1, false), 0x77); /* ah */
    assert_int_equal(pv_insn_reg_get(&r, 4, 1, true), 0x99);  /* spl */
    assert_int_equal(pv_insn_reg_get(&r, 0, 2, false), 0x7788);
    pv_insn_reg_set(&r, 4, 1, false, 0xaa);
    assert_int_equal(r.rax, 0x112233445566aa88);
    pv_insn_reg_set(&r, 0, 2, false, 0x1111);
    assert_int_equal(r.rax, 0x1122334455661111);
    pv_insn_reg_set(&r, 0, 4, false, 0x80000000);
    assert_int_equal(r.rax, 0x80000000);
}

/* --- Against the processor ------------------------------------------------------------------------- */

#define FLAGS 0x8d5UL

/* op with memory operand *m, register operand `src`, flags in and out. */
#define NATIVE(name, insn, type)                                                                   \
    static void name(void *m, uint64_t src, uint64_t *flags)                                       \
    {                                                                                              \
        uint64_t f = *flags;                                                                       \
        type s = (type)src;                                                                        \
        __asm__ volatile("push %0; popfq; " insn "; pushfq; pop %0"                                \
                         : "+r"(f), "+m"(*(type *)m)                                               \
                         : "q"(s), "r"(m)                                                          \
                         : "cc", "memory");                                                        \
        *flags = f & FLAGS;                                                                        \
    }
#define NATIVE_ALL(op)                                                                             \
    NATIVE(n_##op##8, #op " %2, (%3)", uint8_t)                                                    \
    NATIVE(n_##op##16, #op " %2, (%3)", uint16_t)                                                  \
    NATIVE(n_##op##32, #op " %2, (%3)", uint32_t)                                                  \
    NATIVE(n_##op##64, #op " %2, (%3)", uint64_t)
NATIVE_ALL(add)
NATIVE_ALL(or)
NATIVE_ALL(adc)
NATIVE_ALL(sbb)
NATIVE_ALL(and)
NATIVE_ALL(sub)
NATIVE_ALL(xor)
#define UNARY_ALL(op)                                                                              \
    NATIVE(n_##op##8, #op "b (%3)", uint8_t)                                                       \
    NATIVE(n_##op##16, #op "w (%3)", uint16_t)                                                     \
    NATIVE(n_##op##32, #op "l (%3)", uint32_t)                                                     \
    NATIVE(n_##op##64, #op "q (%3)", uint64_t)
UNARY_ALL(inc)
UNARY_ALL(dec)
UNARY_ALL(not)
UNARY_ALL(neg)

typedef void native_fn(void *m, uint64_t src, uint64_t *flags);
#define ROW(op) {n_##op##8, n_##op##16, n_##op##32, n_##op##64}
static native_fn *const native_alu[7][4] = {ROW(add), ROW(or), ROW(adc), ROW(sbb),
                                            ROW(and), ROW(sub), ROW(xor)};
static native_fn *const native_unary[4][4] = {ROW(inc), ROW(dec), ROW(not), ROW(neg)};

static const uint64_t values[] = {0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff,
                                  0x80000000, 0xffffffff, 0x7fffffffffffffff, 0x8000000000000000,
                                  ~0ULL, 0x123456789abcdef0, 0x0f, 0x10};

static void compare_native(native_fn *fn, uint8_t kind, unsigned op, unsigned size_log, uint64_t a,
                           uint64_t b, uint64_t flags)
{
    struct pv_rmw_plan p = {.kind = kind, .bytes = (uint8_t)(1 << size_log), .alu = (uint8_t)op, .src = b};
    struct cpu_user_regs r = {.rflags = flags};
    uint64_t mask = size_log == 3 ? ~0ULL : (1ULL << (8 << size_log)) - 1;
    struct pv_insn in = {0};
    struct pv_rmw out;
    uint64_t m = a, nf = flags, af = 0;

    fn(&m, b, &nf);
    pv_rmw_compute(&out, &p, &in, &r, a);
    /* AF is undefined after logic operations */
    if (kind == RMW_ALU && (op == 1 || op == 4 || op == 6))
        af = 0x10;
    if (out.new_val != (m & mask) || (out.flags & FLAGS & ~af) != (nf & ~af))
        fail_msg("kind %u op %u size %u: %lx,%lx,%lx: got %lx/%lx want %lx/%lx", kind, op, 1 << size_log,
                 a, b, flags, out.new_val, out.flags, m & mask, nf);
}

static void test_alu_native(void **state)
{
    for (unsigned s = 0; s < 4; s++)
        for (unsigned i = 0; i < ARRAY_SIZE(values); i++)
            for (unsigned j = 0; j < ARRAY_SIZE(values); j++)
                for (unsigned cf = 0; cf < 2; cf++) {
                    for (unsigned op = 0; op < 7; op++)
                        compare_native(native_alu[op][s], RMW_ALU, op, s, values[i], values[j], 2 + cf);
                    for (unsigned op = 0; op < 4; op++)
                        compare_native(native_unary[op][s], RMW_UNARY, op, s, values[i], 0, 2 + cf);
                }
}

/* --- Register results ------------------------------------------------------------------------------ */

static struct pv_rmw run(const char *bytes, unsigned n, struct cpu_user_regs *r, uint64_t old)
{
    struct pv_rmw_plan p;
    struct pv_insn in;
    struct pv_rmw out;

    assert_int_equal(pv_insn_decode(&in, (const uint8_t *)bytes, n, true), 0);
    assert_int_equal(pv_rmw_plan(&p, &in, r), 0);
    pv_rmw_compute(&out, &p, &in, r, old);
    assert_true(pv_rmw_commit(&out, &p, &in, r));
    return out;
}

static void test_exchanges(void **state)
{
    struct cpu_user_regs r;
    struct pv_rmw o;

    regs_fill(&r);
    o = run("\x48\x87\x07", 3, &r, 0xdead); /* xchg rax */
    assert_int_equal(o.new_val, RAX);
    assert_int_equal(r.rax, 0xdead);
    o = run("\xf0\x48\x0f\xb1\x0f", 5, &r, 0xdead); /* cmpxchg rcx: equal */
    assert_true(o.write);
    assert_int_equal(o.new_val, RCX);
    assert_int_equal(r.rflags & 0x40, 0x40);
    o = run("\xf0\x48\x0f\xb1\x0f", 5, &r, 0xbeef); /* different */
    assert_false(o.write);
    assert_int_equal(r.rax, 0xbeef);
    assert_int_equal(r.rflags & 0x40, 0);
    r.rax = 1;
    o = run("\xf0\x48\x0f\xc1\x07", 5, &r, 41); /* xadd */
    assert_int_equal(o.new_val, 42);
    assert_int_equal(r.rax, 41);
    r.rax = 0x55667788, r.rdx = 0x11223344, r.rbx = 0xffffffff00000001, r.rcx = 2;
    o = run("\xf0\x0f\xc7\x0f", 4, &r, 0x1122334455667788); /* cmpxchg8b */
    assert_true(o.write);
    assert_int_equal(o.new_val, 0x200000001);
    o = run("\xf0\x0f\xc7\x0f", 4, &r, 0xaabbccdd00000001);
    assert_false(o.write);
    assert_int_equal(r.rax, 1);
    assert_int_equal(r.rdx, 0xaabbccdd);
}

static void test_bits(void **state)
{
    struct cpu_user_regs r;
    struct pv_rmw_plan p;
    struct pv_insn in;
    struct pv_rmw o;

    regs_fill(&r);
    o = run("\xf0\x48\x0f\xba\x37\x01", 6, &r, 0x67); /* btr 1: clears RW */
    assert_int_equal(o.new_val, 0x65);
    assert_int_equal(r.rflags & 1, 1);
    o = run("\xf0\x48\x0f\xba\x2f\x3f", 6, &r, 1); /* bts 63 */
    assert_int_equal(o.new_val, 0x8000000000000001);
    assert_int_equal(r.rflags & 1, 0);
    r.rax = 64 + 6;
    assert_int_equal(pv_insn_decode(&in, (const uint8_t *)"\xf0\x48\x0f\xb3\x07", 5, true), 0);
    assert_int_equal(pv_rmw_plan(&p, &in, &r), 0);
    assert_int_equal(p.addr_off, 8);
    assert_int_equal(p.src, 6);
    r.rax = (uint64_t)-1;
    assert_int_equal(pv_rmw_plan(&p, &in, &r), 0);
    assert_int_equal(p.addr_off, -8);
    assert_int_equal(p.src, 63);
}

static void test_strings(void **state)
{
    struct cpu_user_regs r;
    struct pv_rmw_plan p;
    struct pv_insn in;
    struct pv_rmw o;

    regs_fill(&r);
    r.rcx = 2;
    assert_int_equal(pv_insn_decode(&in, (const uint8_t *)"\xf3\x48\xa5", 3, true), 0);
    assert_int_equal(pv_rmw_plan(&p, &in, &r), 0);
    pv_rmw_compute(&o, &p, &in, &r, 0);
    assert_false(pv_rmw_commit(&o, &p, &in, &r));
    assert_int_equal(r.rcx, 1);
    assert_int_equal(r.rsi, RSI + 8);
    assert_int_equal(r.rdi, RDI + 8);
    r.rflags |= 0x400;
    pv_rmw_compute(&o, &p, &in, &r, 0);
    assert_true(pv_rmw_commit(&o, &p, &in, &r));
    assert_int_equal(r.rsi, RSI);
    assert_true(pv_insn_rep_empty(&in, &r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),      cmocka_unit_test(test_refused),
        cmocka_unit_test(test_registers),  cmocka_unit_test(test_alu_native),
        cmocka_unit_test(test_exchanges),  cmocka_unit_test(test_bits),
        cmocka_unit_test(test_strings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
