/* SPDX-License-Identifier: MIT */
/*
 * debug: debug registers by hypercall and by mov, hardware breakpoints on code and data, single
 * step in kernel and user, and that no breakpoint can be put on the hypervisor or switch on what
 * would trap it.
 */
#include "kit.h"

static volatile uint64_t target;
static uint64_t other;

static long set(int reg, uint64_t val)
{
    return HC2(set_debugreg, reg, val);
}
static uint64_t get(int reg)
{
    return (uint64_t)HC1(get_debugreg, reg);
}
static __attribute__((noipa)) void here(uint64_t a, uint64_t b)
{
    asm volatile("nop" ::: "memory");
}
static void touch(uint64_t a, uint64_t b)
{
    target = a;
}
static void look(uint64_t a, uint64_t b)
{
    other = target;
}
static void u_mov_dr(uint64_t a, uint64_t b)
{
    asm volatile("mov %%db0, %0" : "=r"(a));
}

static void registers(void)
{
    uint64_t v;

    CHECK_EQ("set-dr0", set(0, (uint64_t)&target), 0);
    CHECK_EQ("get-dr0", get(0), &target);
    CHECK_EQ("set-dr3", set(3, 0x7000), 0);
    CHECK_EQ("get-dr3", get(3), 0x7000);
    CHECK_EQ("set-dr6", set(6, 0), 0);
    CHECK_EQ("get-dr6-fixed-ones", get(6) & 0xffff0ff0, 0xffff0ff0);
    CHECK_EQ("set-dr7-off", set(7, 0), 0);
    CHECK_EQ("get-dr7-fixed-one", get(7), 0x400);
    CHECK_TRAP("mov-to-dr1", NOTRAP, asm volatile("mov %0, %%db1" : : "r"(0x1234UL)));
    CHECK_EQ("mov-to-dr1-took", get(1), 0x1234);
    v = 0;
    CHECK_TRAP("mov-from-dr1", NOTRAP, asm volatile("mov %%db1, %0" : "=r"(v)));
    CHECK_EQ("mov-from-dr1-value", v, 0x1234);
    CHECK_EQ("user-mov-dr", kit_user(u_mov_dr, 0, 0), VEC_GP);
    for (int i = 0; i < 4; i++)
        set(i, 0);
}

static void refusals(void)
{
    for (int i = 0; i < 4; i++)
        CHECK_FAILS("breakpoint-on-hypervisor", set(i, 0xffff82d040200000));
    CHECK_FAILS("breakpoint-on-m2p", set(0, HV_START));
    CHECK_EQ("refused-no-trace", get(0), 0);
    CHECK_FAILS("bad-register", set(8, 0));
    CHECK_FAILS("bad-register-negative", set(-1, 0));
    CHECK_FAILS("get-bad-register", HC1(get_debugreg, 8));
    /* GD would trap the hypervisor's own use of debug registers; I/O breakpoints need CR4.DE */
    set(7, 0x2401);
    CHECK_EQ("general-detect-not-kept", get(7) & 0x2000, 0);
    set(7, 0x400 | 1 | 2UL << 16);
    CHECK("io-breakpoint-without-de", (get(7) >> 16 & 3) != 2 || !(get(7) & 3));
    CHECK_FAILS("dr7-high-half", set(7, 1UL << 40));
    set(7, 0);
}

static void breakpoints(void)
{
    set(6, 0);
    set(0, (uint64_t)here);
    CHECK_EQ("code-breakpoint-set", set(7, 0x400 | 2), 0);
    CHECK_TRAP("code-breakpoint", VEC_DB, here(0, 0));
    CHECK_EQ("code-breakpoint-rip", cpu()->trap.rip, here);
    CHECK_EQ("code-breakpoint-dr6", get(6) & 15, 1);
    set(6, 0);
    CHECK_EQ("code-breakpoint-user", kit_user(here, 0, 0), VEC_DB);
    CHECK_EQ("code-breakpoint-user-cs", cpu()->trap.cs & 3, 3);
    set(7, 0);
    CHECK_TRAP("code-breakpoint-off", NOTRAP, here(0, 0));
    set(1, (uint64_t)&target);
    set(6, 0);
    CHECK_EQ("write-watch-set", set(7, 0x400 | 8 | 0x9UL << 20),
             0); /* dr1: write, 8 bytes is 10b, 4 is 11b */
    CHECK_TRAP("write-watch", VEC_DB, touch(5, 0));
    CHECK_EQ("write-watch-dr6", get(6) & 15, 2);
    CHECK_EQ("write-watch-after-write", target, 5);
    CHECK_TRAP("write-watch-not-on-read", NOTRAP, look(0, 0));
    set(7, 0x400 | 8 | 0xfUL << 20);
    CHECK_TRAP("access-watch-on-read", VEC_DB, look(0, 0));
    /* the hypervisor reads and writes guest memory: that must not hurt it */
    HC2(xen_version, XENVER_extraversion, &target);
    CHECK("alive-after-hypercall-on-watched", true);
    set(7, 0);
    set(1, 0);
}

static void step_kernel(uint64_t a, uint64_t b)
{
    asm volatile(
        "pushfq; orq $0x100, (%rsp); popfq; nop; nop; pushfq; andq $~0x100, (%rsp); popfq");
}

static unsigned int steps;
static bool count_steps(struct kit_frame *f)
{
    steps++;
    f->cs &= 0xffff;
    return true;
}

static void single_step(void)
{
    set(6, 0);
    CHECK_TRAP("step-kernel", VEC_DB, step_kernel(0, 0));
    CHECK("step-dr6-bs", get(6) & 0x4000);
    CHECK_EQ("step-user", kit_user(step_kernel, 0, 0), VEC_DB);
    kit_hooks[VEC_DB] = count_steps;
    step_kernel(0, 0);
    kit_hooks[VEC_DB] = NULL;
    CHECK("step-several", steps >= 4 && steps <= 6);
}

/* Stepping over a hypercall: the step comes after it, or not at all, but never inside the
 * hypervisor. */
static void step_hypercall(void)
{
    steps = 0;
    kit_hooks[VEC_DB] = count_steps;
    asm volatile(
        "pushfq; orq $0x100, (%%rsp); popfq; syscall; nop; pushfq; andq $~0x100, (%%rsp); popfq"
        :
        : "a"((long)__HYPERVISOR_xen_version), "D"(0L), "S"(0L)
        : "rcx", "r11", "memory", "cc");
    kit_hooks[VEC_DB] = NULL;
    kit_check(steps >= 3 && steps <= 7, "step-over-hypercall", "%u steps", steps);
}

void guest_main(void)
{
    kit_user_init();
    registers();
    refusals();
    breakpoints();
    single_step();
    step_hypercall();
}
