/* SPDX-License-Identifier: MIT */
/*
 * bench: what one operation of a paravirtual kernel costs, in ticks of the time stamp counter. Under
 * QEMU's -icount shift=0 a tick is one instruction; otherwise the figures are only good for a look.
 * Each figure is the smallest of some batches, divided by the operations in a batch; the loop and
 * the guest's own few instructions are in it. bench/run.py reads the lines "BENCH name ticks".
 * The entry points here are the shortest that the ABI allows, not the kit's.
 */
#include "region.h"

#define ITERATIONS 400
#define BATCHES 4
#define LIST 32

/* Long nops that bench/profile.c knows. */
#define MARK_START() asm volatile("nopl 0x5a4e4401(%%rax)" ::: "memory")
#define MARK_STOP() asm volatile("nopl 0x5a4e4402(%%rax)" ::: "memory")

static char *data, *data2;
static uint64_t other_top;
static volatile unsigned int events;

static inline uint64_t ticks(void)
{
    uint32_t lo, hi;
    asm volatile("rdtsc" : "=a"(lo), "=d"(hi)::"memory");
    return (uint64_t)hi << 32 | lo;
}

static void report(const char *name, uint64_t per_batch, unsigned int operations)
{
    kit_printf("BENCH %s %lu\n", name, (per_batch + operations / 2) / operations);
}

/* Statements that end in one operation done (or `count` of them); i is the iteration. */
#define BENCH_N(name, count, ...)                                                                  \
    do {                                                                                           \
        uint64_t best_ = ~0UL;                                                                     \
        for (unsigned int b_ = 0; b_ < BATCHES; b_++) {                                            \
            uint64_t start_, took_;                                                                \
            MARK_START();                                                                          \
            start_ = ticks();                                                                      \
            for (unsigned int i = 0; i < ITERATIONS; i++) {                                        \
                __VA_ARGS__;                                                                       \
            }                                                                                      \
            took_ = ticks() - start_;                                                              \
            best_ = took_ < best_ ? took_ : best_;                                                 \
        }                                                                                          \
        MARK_STOP();                                                                               \
        report(name, best_, ITERATIONS *(count));                                                  \
    } while (0)
#define BENCH(name, ...) BENCH_N(name, 1, __VA_ARGS__)

/*
 * The stack at an entry point: rcx r11 [error] rip cs rflags rsp ss. What the iret hypercall wants:
 * rax r11 rcx flags rip cs rflags rsp ss; flags 0x100 says that a system call is being left.
 */
asm(".macro go_back flags\n"
    "    pushq $\\flags\n"
    "    push %rcx\n"
    "    push %r11\n"
    "    push %rax\n"
    "    mov $23, %eax\n"
    "    syscall\n"
    "    ud2\n"
    ".endm\n"
    "bench_on_syscall:\n"
    "    pop %rcx\n"
    "    pop %r11\n"
    "    cmp $0x5a5a, %eax\n" /* the kit's end of a user function */
    "    je 1f\n"
    "    go_back 0x100\n"
    "1:  push %r11\n"
    "    push %rcx\n"
    "    jmp kit_entry_syscall\n"
    "bench_on_int3:\n"
    "    pop %rcx\n"
    "    pop %r11\n"
    "    go_back 0\n"
    "bench_on_fault:\n"
    "    pop %rcx\n"
    "    pop %r11\n"
    "    add $8, %rsp\n"
    "    addq $3, (%rsp)\n" /* beyond mov (%rdi), %rax */
    "    go_back 0\n"
    ".macro timed name, prepare, insns:vararg\n" /* rdi: for insns, rsi: where the ticks go */
    "\\name:\n"
    "    push %rbx\n"
    "    mov $400, %ebx\n"
    "    rdtsc\n"
    "    mov %eax, %r8d\n"
    "1:  \\prepare\n"
    "    \\insns\n"
    "    dec %ebx\n"
    "    jnz 1b\n"
    "    rdtsc\n"
    "    sub %r8d, %eax\n"
    "    mov %rax, (%rsi)\n"
    "    pop %rbx\n"
    "    ret\n"
    ".endm\n"
    "timed bench_do_syscall, \"mov $0x777, %eax\", syscall\n"
    "timed bench_do_int3, nop, int3\n"
    "timed bench_do_fault, nop, mov (%rdi), %rax\n");
extern char bench_on_syscall[], bench_on_int3[], bench_on_fault[];
typedef void timed_fn(uint64_t, uint64_t);
timed_fn bench_do_syscall, bench_do_int3, bench_do_fault;

static void run_timed(const char *name, timed_fn *fn, bool user)
{
    static volatile uint64_t took;
    uint64_t best = ~0UL;

    for (unsigned int b = 0; b < BATCHES; b++) {
        MARK_START();
        if (user)
            kit_user(fn, 0x10000, (uint64_t)&took);
        else
            fn(0x10000, (uint64_t)&took);
        best = took < best ? took : best;
    }
    MARK_STOP();
    report(name, best, ITERATIONS);
}

static void traps(void)
{
    struct callback_register sys = {.type = CALLBACKTYPE_syscall,
                                    .address = (uint64_t)bench_on_syscall};

    CHECK_EQ("bench-callback", HC2(callback_op, CALLBACKOP_register, &sys), 0);
    kit_set_gate(VEC_BP, 3, KCS, (uint64_t)bench_on_int3);
    kit_set_gate(VEC_PF, 4, KCS, (uint64_t)bench_on_fault);
    run_timed("syscall-user-kernel-user", bench_do_syscall, true);
    run_timed("int3-kernel", bench_do_int3, false);
    run_timed("int3-user", bench_do_int3, true);
    run_timed("fault-kernel", bench_do_fault, false);
    run_timed("fault-user", bench_do_fault, true);
    kit_traps_init();
}

static void on_event(unsigned int port)
{
    events++;
}

static void events_and_time(void)
{
    unsigned int port = (unsigned int)evtchn_ipi(0);
    uint64_t later = kit_now() + 3600000000000UL;

    BENCH("hypercall", HC2(xen_version, XENVER_version, NULL));
    kit_cli();
    kit_bind(port, on_event);
    BENCH("event-send-pending", evtchn_send(port));
    kit_sti();
    BENCH("event-send-and-upcall", evtchn_send(port));
    CHECK("bench-upcalls-came", events >= ITERATIONS * BATCHES);
    BENCH("set-timer", HC1(set_timer_op, later + i * 1000UL));
    HC1(set_timer_op, 0);
    BENCH("yield", HC2(sched_op, SCHEDOP_yield, NULL));
}

static void page_tables(void)
{
    uint64_t a = mfn_pte(va_mfn(data), PTE_KERN), b = mfn_pte(va_mfn(data2), PTE_KERN);
    volatile uint64_t *e = &region_l1[9];
    uint64_t at = va_maddr((void *)e);
    struct mmu_update set[LIST], clear[LIST];

    for (unsigned int k = 0; k < LIST; k++) {
        set[k] = (struct mmu_update){va_maddr(&region_l1[20 + k]), a};
        clear[k] = (struct mmu_update){va_maddr(&region_l1[20 + k]), 0};
    }
    BENCH("update-va-mapping", update_va((void *)region(9), i & 1 ? a : b, UVMF_INVLPG));
    BENCH("update-va-mapping-no-flush", update_va((void *)region(9), i & 1 ? a : b, UVMF_NONE));
    BENCH("mmu-update-1", mmu_update1(at, i & 1 ? a : b));
    BENCH_N("mmu-update-each-of-32", LIST,
            HC4(mmu_update, i & 1 ? clear : set, LIST, NULL, DOMID_SELF));
    HC4(mmu_update, clear, LIST, NULL, DOMID_SELF);
    BENCH("trapped-write-mov", *e = i & 1 ? a : b);
    BENCH("trapped-write-xchg", uint64_t v = i & 1 ? a : b; asm volatile("xchg %0, %1"
                                                                         : "+r"(v), "+m"(*e)));
    BENCH("trapped-write-clear-set", *e = i & 1 ? a : 0);
    BENCH("write-protect-page", mmu_update1(at, i & 1 ? a : a & ~PTE_RW));
    *e = 0;
}

static void make_other_top(void)
{
    uint64_t *top = kit_page(), *own = mfn_va(kit_top());

    for (unsigned int k = 0; k < 512; k++)
        if (k < 256 || k > 271)
            top[k] = own[k];
    other_top = va_mfn(top);
    CHECK("bench-second-top",
          !kit_set_ro(top) && !mmuext(MMUEXT_PIN_L4_TABLE, other_top, 0));
}

static void pin_and_unpin(void)
{
    uint64_t *l1 = kit_page();

    for (unsigned int k = 0; k < 512; k++)
        l1[k] = mfn_pte(va_mfn(data), PTE_KERN);
    kit_set_ro(l1);
    BENCH("pin-and-unpin-full-l1", mmuext(MMUEXT_PIN_L1_TABLE, va_mfn(l1), 0);
          mmuext(MMUEXT_UNPIN_TABLE, va_mfn(l1), 0));
}

static void context_switch(void)
{
    uint64_t own = kit_top(), sp = (uint64_t)kit_blocks + 0x6000;
    struct mmuext_op two[2] = {{.cmd = MMUEXT_NEW_BASEPTR}, {.cmd = MMUEXT_NEW_USER_BASEPTR}};
    struct multicall_entry calls[3] = {
        {.op = __HYPERVISOR_stack_switch, .args = {KSS, sp}},
        {.op = __HYPERVISOR_fpu_taskswitch, .args = {1}},
        {.op = __HYPERVISOR_set_segment_base, .args = {SEGBASE_FS, 0x1000}},
    };

    BENCH("stack-switch", HC2(stack_switch, KSS, sp));
    BENCH("set-segment-base", HC2(set_segment_base, SEGBASE_FS, 0x1000));
    BENCH("multicall-of-3", HC2(multicall, calls, 3));
    HC1(fpu_taskswitch, 0);
    BENCH("new-baseptr", mmuext(MMUEXT_NEW_BASEPTR, i & 1 ? own : other_top, 0));
    BENCH("new-baseptr-kernel-and-user",
          two[0].arg1.mfn = i & 1 ? own : other_top; two[1].arg1.mfn = i & 1 ? own : other_top;
          HC4(mmuext_op, two, 2, NULL, DOMID_SELF));
    BENCH("invlpg-local", mmuext(MMUEXT_INVLPG_LOCAL, (uint64_t)region(9), 0));
    BENCH("tlb-flush-local", mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0));
}

static void privileged(void)
{
    uint32_t a, b, c, d;

    BENCH("cpuid-forced", a = 0; asm volatile(".byte 0x0f, 0x0b, 0x78, 0x65, 0x6e; cpuid"
                                              : "+a"(a), "=b"(b), "=c"(c), "=d"(d)));
    BENCH("rdmsr-trapped", asm volatile("rdmsr" : "=a"(a), "=d"(d) : "c"(0xc0000080)));
    BENCH("read-cr0-trapped", uint64_t r; asm volatile("mov %%cr0, %0" : "=r"(r)));
}

void guest_main(void)
{
    uint64_t now = ticks();

    kit_printf("BENCH tsc-at-guest-main %lu\n", now);
    data = kit_page();
    data2 = kit_page();
    CHECK("bench-region", region_make());
    BENCH("rdtsc", ticks());
    events_and_time();
    page_tables();
    pin_and_unpin();
    kit_user_init();
    make_other_top();
    context_switch();
    privileged();
    mmuext(MMUEXT_NEW_BASEPTR, kit_top(), 0);
    kit_user_init();
    traps();
}
