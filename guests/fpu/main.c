/* SPDX-License-Identifier: MIT */
/*
 * fpu: the state of the floating-point and vector registers belongs to the vCPU. It is kept over
 * hypercalls, blocking and preemption by another vCPU on the same processor (two vCPUs, one
 * processor), fpu_taskswitch gives #NM once, and numeric exceptions arrive.
 *
 * run: --cpu max,-smap --append dom0_max_vcpus=2
 */
#include "kit.h"

struct regs {
    uint64_t v[16][4];
};
static volatile unsigned int rounds[2], bad[2], stop;
static bool avx; /* the processor and the hypervisor have it */

/* On each vCPU that uses it. */
static void avx_on(void)
{
    uint64_t cr4;

    if (!avx)
        return;
    asm volatile("mov %%cr4, %0" : "=r"(cr4));
    asm volatile("mov %0, %%cr4" : : "r"(cr4 | 1UL << 18));
    asm volatile("xsetbv" : : "c"(0), "a"(7), "d"(0) : "memory");
}

static void load(const struct regs *r)
{
#define L(n) "movdqu " #n "*32(%0), %%xmm" #n "\n"
#define LA(n) "vmovdqu " #n "*32(%0), %%ymm" #n "\n"
    if (avx)
        asm volatile(LA(0) LA(1) LA(2) LA(3) LA(4) LA(5) LA(6) LA(7) LA(8) LA(9) LA(10) LA(11)
                         LA(12) LA(13) LA(14) LA(15)
                     :
                     : "r"(r)
                     : "memory");
    else
        asm volatile(L(0) L(1) L(2) L(3) L(4) L(5) L(6) L(7) L(8) L(9) L(10) L(11) L(12) L(13) L(14)
                         L(15)
                     :
                     : "r"(r)
                     : "memory");
}

static void store(struct regs *r)
{
#define S(n) "movdqu %%xmm" #n ", " #n "*32(%0)\n"
#define SA(n) "vmovdqu %%ymm" #n ", " #n "*32(%0)\n"
    if (avx)
        asm volatile(SA(0) SA(1) SA(2) SA(3) SA(4) SA(5) SA(6) SA(7) SA(8) SA(9) SA(10) SA(11)
                         SA(12) SA(13) SA(14) SA(15)
                     :
                     : "r"(r)
                     : "memory");
    else
        asm volatile(S(0) S(1) S(2) S(3) S(4) S(5) S(6) S(7) S(8) S(9) S(10) S(11) S(12) S(13) S(14)
                         S(15)
                     :
                     : "r"(r)
                     : "memory");
}

static bool same(const struct regs *a, const struct regs *b)
{
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < (avx ? 4 : 2); j++)
            if (a->v[i][j] != b->v[i][j])
                return false;
    return true;
}

static void churn(void *arg)
{
    static struct regs want[2], have[2];
    unsigned int id = cpu()->id;

    avx_on();
    while (!stop && rounds[id] < 2000) {
        for (int i = 0; i < 64; i++)
            want[id].v[i / 4][i % 4] =
                (uint64_t)(id + 1) * 0x0101010101010101 * (rounds[id] + 1) + (uint64_t)i;
        load(&want[id]);
        uint32_t mxcsr = 0x1f80 | (id ? 0x6000 : 0x2000), now = 0;
        asm volatile("ldmxcsr %0" : : "m"(mxcsr));
        for (unsigned int i = 0; i < 50; i++)
            cpu_relax();
        if (rounds[id] & 1)
            HC2(sched_op, SCHEDOP_yield, NULL);
        store(&have[id]);
        asm volatile("stmxcsr %0" : "=m"(now));
        bad[id] += !same(&want[id], &have[id]) || (now & 0x6000) != (mxcsr & 0x6000);
        rounds[id]++;
    }
}

static void task_switch(void)
{
    HC1(fpu_taskswitch, 1);
    CHECK_TRAP("taskswitch-nm", VEC_NM, asm volatile("movaps %xmm0, %xmm1"));
    CHECK_TRAP("taskswitch-nm-once", NOTRAP, asm volatile("movaps %xmm0, %xmm1"));
    HC1(fpu_taskswitch, 1);
    CHECK_EQ("taskswitch-clear", HC1(fpu_taskswitch, 0), 0);
    CHECK_TRAP("taskswitch-cleared", NOTRAP, asm volatile("movaps %xmm0, %xmm1"));
    HC1(fpu_taskswitch, 1);
    CHECK_TRAP("taskswitch-x87-nm", VEC_NM, asm volatile("fldz"));
    CHECK_TRAP("taskswitch-by-clts", NOTRAP, HC1(fpu_taskswitch, 1); asm volatile("clts; fninit"));
}

static void numeric(void)
{
    static const uint16_t cw = 0x37f & ~4;

    /* QEMU without KVM raises no #XM, so SSE exceptions are not tried */
    CHECK_TRAP("x87-divide-is-mf", VEC_MF,
               asm volatile("fninit; fldcw %0; fld1; fldz; fdivrp; fwait"
                            :
                            : "m"(cw)));
    asm volatile("fnclex; fninit");
}

static void block_keeps(void)
{
    static struct regs a, b;
    int port = evtchn_virq(VIRQ_TIMER, 0);

    for (int i = 0; i < 64; i++)
        a.v[i / 4][i % 4] = 0x1111111111111111UL * (uint64_t)(i + 1);
    evtchn_mask((unsigned int)port, false);
    load(&a);
    HC1(set_timer_op, kit_now() + 3000000);
    sched_op(SCHEDOP_block, NULL);
    store(&b);
    CHECK("kept-over-block", same(&a, &b));
    kit_cli();
}

void guest_main(void)
{
    uint32_t r[4];

    asm volatile(".byte 0x0f, 0x0b, 0x78, 0x65, 0x6e, 0x0f, 0xa2"
                 : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
                 : "a"(1), "c"(0));
    avx = r[2] & 1 << 27 && r[2] & 1 << 28;
    avx_on();
    kit_printf("AVX %s\n", avx ? "in use" : "not offered");
    task_switch();
    numeric();
    block_keeps();
    if (kit_check(!kit_cpu_start(1, churn, NULL), "second-vcpu",
                  "cannot start: is dom0_max_vcpus=2 honoured?")) {
        churn(NULL);
        WAIT_FOR(rounds[1] >= 2000, 20000);
        stop = 1;
        kit_check(rounds[0] == 2000 && rounds[1] > 100, "both-ran", "%u and %u rounds", rounds[0],
                  rounds[1]);
        kit_check(!bad[0] && !bad[1], "state-kept-over-preemption", "%u and %u rounds bad", bad[0],
                  bad[1]);
    }
}
