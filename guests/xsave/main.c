/* SPDX-License-Identifier: MIT */
/*
 * xsave: how a PV kernel turns XSAVE and AVX on, as stock kernels do: the forced CPUID shows OSXSAVE before CR4 has it,
 * and the sizes; CR4.OSXSAVE, then XSETBV, which refuses what a processor refuses. XCR0 belongs to the vCPU, and so do the
 * upper halves of the registers: a second vCPU on the same processor (one processor, two vCPUs) sees neither.
 *
 * run: --cpu max,-smap --append dom0_max_vcpus=2
 */
#include "kit.h"

#define OSXSAVE_CR4 (1UL << 18)
#define SIZE_SSE 576
#define SIZE_AVX 832

static volatile unsigned int ready, go, done;
static volatile uint64_t other_xcr0, other_upper;
static volatile int other_avx;
static uint8_t area[1024] __attribute__((aligned(64)));

static void forced_cpuid(uint32_t leaf, uint32_t sub, uint32_t *r)
{
    asm volatile(".byte 0x0f, 0x0b, 0x78, 0x65, 0x6e, 0x0f, 0xa2"
                 : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
                 : "a"(leaf), "c"(sub));
}

static uint64_t cr4_read(void)
{
    uint64_t v;

    asm volatile("mov %%cr4, %0" : "=r"(v));
    return v;
}

static void cr4_write(uint64_t v)
{
    asm volatile("mov %0, %%cr4" : : "r"(v));
}

static int xsetbv(uint32_t reg, uint64_t val)
{
    return TRAPS(asm volatile("xsetbv"
                              :
                              : "c"(reg), "a"((uint32_t)val), "d"((uint32_t)(val >> 32))
                              : "memory"));
}

static uint64_t xgetbv(void)
{
    uint32_t lo, hi;

    asm volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return lo | (uint64_t)hi << 32;
}

static int avx_try(void)
{
    return TRAPS(asm volatile("vmovdqu %ymm0, %ymm0"));
}

static void u_xsetbv(uint64_t val, uint64_t b)
{
    asm volatile("xsetbv" : : "c"(0), "a"((uint32_t)val), "d"(0) : "memory");
}

/* The upper half of ymm5, all of it or'ed. */
static uint64_t upper_read(void)
{
    uint64_t v[4];

    asm volatile("vmovdqu %%ymm5, %0" : "=m"(v));
    return v[2] | v[3];
}

static void upper_write(uint64_t val)
{
    uint64_t v[4] = {val, val, val, val};

    asm volatile("vmovdqu %0, %%ymm5" : : "m"(v));
}

static void leaves(uint64_t xcr0, const char *on, const char *now, const char *all)
{
    uint32_t r[4];

    forced_cpuid(1, 0, r);
    CHECK_EQ(on, r[2] >> 26 & 3, 3);
    forced_cpuid(0xd, 0, r);
    CHECK_EQ(now, r[1], xcr0 & 4 ? SIZE_AVX : SIZE_SSE);
    CHECK_EQ(all, r[2], SIZE_AVX);
}

static void before(void)
{
    uint32_t r[4];

    cr4_write(cr4_read() & ~OSXSAVE_CR4);
    CHECK_EQ("cr4-starts-without", cr4_read() & OSXSAVE_CR4, 0);
    leaves(xgetbv(), "before-cpuid-osxsave", "before-size-now", "before-size-all");
    forced_cpuid(0xd, 0, r);
    CHECK_EQ("components", r[0], 7);
    forced_cpuid(0xd, 2, r);
    CHECK("avx-size-and-place", r[0] == 256 && r[1] == SIZE_SSE);
    CHECK_EQ("before-xsetbv-is-ud", xsetbv(0, 7), VEC_UD);
    CHECK_EQ("before-xcr0", xgetbv() & ~3UL, 0);
    CHECK_EQ("before-avx-is-ud", avx_try(), VEC_UD);
}

static void values(void)
{
    static const uint64_t bad[] = {0, 2, 4, 5, 6, 0xf, 0x1f, 0x207, 0xe7, 0x60007, 1UL << 62 | 7, 1UL << 63 | 7, ~0UL};
    unsigned int refused = 0;

    cr4_write(cr4_read() | OSXSAVE_CR4);
    CHECK_EQ("cr4-keeps-osxsave", cr4_read() & OSXSAVE_CR4, OSXSAVE_CR4);
    CHECK_EQ("xsetbv-3", xsetbv(0, 3), NOTRAP);
    for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refused += xsetbv(0, bad[i]) == VEC_GP && xgetbv() == 3;
    CHECK_EQ("xsetbv-bad-is-gp", refused, sizeof(bad) / sizeof(bad[0]));
    CHECK_EQ("xsetbv-other-register-is-gp", xsetbv(1, 3), VEC_GP);
    leaves(3, "sse-cpuid-osxsave", "sse-size-now", "sse-size-all");
    CHECK_EQ("sse-avx-is-ud", avx_try(), VEC_UD);
    CHECK_EQ("xsetbv-7", xsetbv(0, 7), NOTRAP);
    CHECK_EQ("xcr0-7", xgetbv(), 7);
    leaves(7, "avx-cpuid-osxsave", "avx-size-now", "avx-size-all");
    CHECK_EQ("avx-works", avx_try(), NOTRAP);
    CHECK_EQ("user-xsetbv-is-gp", kit_user(u_xsetbv, 3, 0), VEC_GP);
    CHECK_EQ("user-xsetbv-without-effect", xgetbv(), 7);
}

static void save_area(void)
{
    uint64_t *w = (uint64_t *)area;

    upper_write(0x5a5a5a5a5a5a5a5aUL);
    asm volatile("xsave64 %0" : "+m"(area) : "a"(-1), "d"(-1));
    CHECK_EQ("xsave-has-avx", w[64] & 4, 4);
    CHECK_EQ("xsave-upper", w[(SIZE_SSE + 5 * 16) / 8], 0x5a5a5a5a5a5a5a5aUL);
    CHECK_EQ("xsaves-is-ud", TRAPS(asm volatile("xsaves64 %0" : "+m"(area) : "a"(-1), "d"(-1))), VEC_UD);
}

/* Takes turns with the first vCPU; its own XCR0 is the new one, and when it turns AVX on, its registers are empty. */
static void second(void *arg)
{
    other_xcr0 = xgetbv();
    other_avx = avx_try();
    cr4_write(cr4_read() | OSXSAVE_CR4);
    if (xsetbv(0, 7) == NOTRAP)
        other_upper = upper_read();
    xsetbv(0, 3);
    ready = 1;
    while (!go)
        HC2(sched_op, SCHEDOP_yield, NULL);
    for (unsigned int i = 0; i < 200; i++) {
        HC2(sched_op, SCHEDOP_yield, NULL);
        if (xgetbv() != 3 || avx_try() != VEC_UD)
            other_avx = -2;
    }
    xsetbv(0, 7);
    other_upper |= upper_read();
    upper_write(~0UL);
    done = 1;
}

static void two(void)
{
    unsigned int bad = 0, turns = 0;

    upper_write(0x77);
    if (!kit_check(!kit_cpu_start(1, second, NULL), "second-vcpu", "cannot start: is dom0_max_vcpus=2 honoured?"))
        return;
    WAIT_FOR(ready, 10000);
    go = 1;
    for (uint64_t end = kit_now() + 10000000000UL; !done && kit_now() < end; turns++) {
        bad += xgetbv() != 7 || upper_read() != 0x77;
        HC2(sched_op, SCHEDOP_yield, NULL);
    }
    CHECK_EQ("second-xcr0-at-start", other_xcr0 & ~3UL, 0);
    CHECK_EQ("second-avx-is-ud", other_avx, VEC_UD);
    CHECK_EQ("second-registers-empty", other_upper, 0);
    kit_check(done && turns > 10, "took-turns", "%u", turns);
    kit_check(!bad && upper_read() == 0x77, "first-keeps-its-own", "%u of %u turns bad", bad, turns);
}

void guest_main(void)
{
    uint32_t r[4];

    forced_cpuid(1, 0, r);
    if (!kit_check(r[2] & 1 << 26 && r[2] & 1 << 28, "offered", "no XSAVE or AVX in leaf 1: %x", r[2]))
        return;
    kit_user_init();
    before();
    values();
    save_area();
    two();
    cr4_write(cr4_read() & ~OSXSAVE_CR4);
    CHECK_EQ("after-xsetbv-is-ud", xsetbv(0, 3), VEC_UD);
}
