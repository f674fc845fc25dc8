/* SPDX-License-Identifier: MIT */
/*
 * traps: exceptions reach the guest's handlers as the ABI says: the right vector, error code, cr2,
 * frame and virtual interrupt flag, from kernel and user mode, nested, through gates with each
 * privilege level, and the handler's return restores every register.
 */
#include "kit.h"

static const char *const nowhere = (const char *)0x7f0012345000;
static char *ro_page, *nx_page;
static int count;

static void u_read(uint64_t va, uint64_t b)
{
    *(volatile char *)va;
}
static void u_write(uint64_t va, uint64_t b)
{
    *(volatile char *)va = 1;
}
static void u_call(uint64_t va, uint64_t b)
{
    ((void (*)(void))va)();
}
static void u_ud2(uint64_t a, uint64_t b)
{
    asm volatile("ud2");
}
static void u_div(uint64_t a, uint64_t b)
{
    asm volatile("div %b0" : : "q"(0), "a"(1));
}
static void u_int3(uint64_t a, uint64_t b)
{
    asm volatile("int3");
}
static void u_hlt(uint64_t a, uint64_t b)
{
    asm volatile("hlt");
}
static void u_int31(uint64_t a, uint64_t b)
{
    asm volatile("int $0x31");
}
static void u_int32(uint64_t a, uint64_t b)
{
    asm volatile("int $0x32");
}
static void u_int33(uint64_t a, uint64_t b)
{
    asm volatile("int $0x33");
}
static void u_int34(uint64_t a, uint64_t b)
{
    asm volatile("int $0x34");
}

static void check_pf(const char *name, int vec, uint64_t error, const void *cr2)
{
    struct kit_cpu *c = cpu();
    kit_check(vec == VEC_PF && c->trap.error == error && c->cr2 == (uint64_t)cr2, name,
              "%s error 0x%lx cr2 0x%lx, expected #PF 0x%lx 0x%lx", kit_vec_name(vec),
              c->trap.error, c->cr2, error, (uint64_t)cr2);
}

static void page_faults(void)
{
    char *odd = ro_page + 0xabc;

    check_pf("pf-kernel-read", TRAPS(u_read((uint64_t)nowhere + 5, 0)), 0, nowhere + 5);
    check_pf("pf-kernel-write", TRAPS(u_write((uint64_t)nowhere, 0)), 2, nowhere);
    check_pf("pf-kernel-write-ro", TRAPS(u_write((uint64_t)odd, 0)), 3, odd);
    check_pf("pf-kernel-exec-nx", TRAPS(u_call((uint64_t)nx_page, 0)), 0x11, nx_page);
    check_pf("pf-kernel-exec-nowhere", TRAPS(u_call((uint64_t)nowhere, 0)), 0x10, nowhere);
    CHECK_EQ("pf-frame-kernel-cs", cpu()->trap.cs & 0xffff, KCS & ~3);
    CHECK_EQ("pf-frame-rip", cpu()->trap.rip, nowhere);
    check_pf("pf-user-read", kit_user(u_read, (uint64_t)nowhere, 0), 4, nowhere);
    check_pf("pf-user-write", kit_user(u_write, (uint64_t)nowhere, 0), 6, nowhere);
    check_pf("pf-user-write-ro", kit_user(u_write, (uint64_t)odd, 0), 7, odd);
    check_pf("pf-user-exec-nx", kit_user(u_call, (uint64_t)nx_page, 0), 0x15, nx_page);
    CHECK_EQ("pf-frame-user-cs", cpu()->trap.cs & 0xffff, KCS);
    CHECK_EQ("pf-frame-user-ss", cpu()->trap.ss, KSS);
    CHECK("pf-frame-user-sp",
          cpu()->trap.rsp <= kit_user_sp() && cpu()->trap.rsp > kit_user_sp() - 256);
    CHECK_TRAP("pf-kernel-hypervisor-write", VEC_PF, u_write(0xffff830000000000, 0));
    CHECK_EQ("pf-hypervisor-cr2", cpu()->cr2, 0xffff830000000000);
    CHECK_EQ("pf-user-hypervisor", kit_user(u_read, 0xffff830000000000, 0), VEC_PF);
    CHECK("pf-user-hypervisor-user-bit", cpu()->trap.error & 4);
    CHECK_EQ("pf-user-m2p-is-hypervisor-s", kit_user(u_write, HV_START, 0), VEC_PF);
}

static void other_faults(void)
{
    CHECK_TRAP("gp-noncanonical", VEC_GP, u_read(0x8000000000000000, 0));
    CHECK_EQ("gp-error-0", cpu()->trap.error, 0);
    CHECK_EQ("gp-user-noncanonical", kit_user(u_read, 0x1234567800000000, 0), VEC_GP);
    CHECK_TRAP("ud-kernel", VEC_UD, u_ud2(0, 0));
    CHECK("ud-rip-at-instruction", *(uint16_t *)cpu()->trap.rip == 0x0b0f);
    CHECK_EQ("ud-user", kit_user(u_ud2, 0, 0), VEC_UD);
    CHECK_TRAP("de-kernel", VEC_DE, u_div(0, 0));
    CHECK_EQ("de-user", kit_user(u_div, 0, 0), VEC_DE);
    CHECK_TRAP("bp-kernel", VEC_BP, asm volatile("int3"));
    CHECK("bp-rip-after", *(uint8_t *)(cpu()->trap.rip - 1) == 0xcc);
    CHECK_EQ("bp-user", kit_user(u_int3, 0, 0), VEC_BP);
    CHECK_TRAP("into-is-ud", VEC_UD, asm volatile(".byte 0xce"));
    CHECK_TRAP("int4-is-of", VEC_OF, asm volatile("int $4"));
    CHECK_EQ("user-hlt-is-gp", kit_user(u_hlt, 0, 0), VEC_GP);
    CHECK_TRAP("bad-ds-is-gp", VEC_GP, asm volatile("mov %0, %%ds" : : "r"(0x7ff8 | 3)));
    CHECK_EQ("bad-ds-error-is-selector", cpu()->trap.error, 0x7ff8);
    /* #SS by the manual; QEMU makes it #GP */
    int vec = TRAPS(asm volatile("xchg %0, %%rbp; mov (%%rbp), %%rdx; xchg %0, %%rbp"
                                 :
                                 : "r"(0x8000000000000000)
                                 : "rdx"));
    CHECK("noncanonical-by-rbp", vec == VEC_SS || vec == VEC_GP);
}

/*
 * Gates 0x31 to 0x34 have privilege 0, 1, 3 and no handler. QEMU before 8 reports a refused "int n"
 * with n*16+2 (see REFERENCE.md), so that the hypervisor sees vector 2n: both vectors get the same
 * gate.
 */
static void set_gate_pair(unsigned int n, unsigned int dpl, bool present)
{
    for (unsigned int v = n; v <= 2 * n; v += n)
        kit_set_gate(v, dpl, KCS, present ? (uint64_t)kit_vectors + v * 32 : 0);
}

static bool came(int vec, int n)
{
    return vec == n || vec == 2 * n;
}

static bool refused(int vec, unsigned int n)
{
    uint64_t e = cpu()->trap.error;
    return vec == VEC_GP && (e == n * 8 + 2 || e == n * 16 + 2);
}

static void gates(void)
{
    set_gate_pair(0x31, 0, true);
    set_gate_pair(0x32, 1, true);
    set_gate_pair(0x33, 3, true);
    set_gate_pair(0x34, 3, false);
    CHECK("int-kernel-dpl0-refused", refused(TRAPS(u_int31(0, 0)), 0x31));
    CHECK("int-kernel-dpl1", came(TRAPS(u_int32(0, 0)), 0x32));
    CHECK("int-kernel-dpl3", came(TRAPS(u_int33(0, 0)), 0x33));
    CHECK("int-rip-after", *(uint16_t *)(cpu()->trap.rip - 2) == 0x33cd);
    CHECK("int-user-dpl0-refused", refused(kit_user(u_int31, 0, 0), 0x31));
    CHECK("int-refused-rip-at-instruction", *(uint16_t *)cpu()->trap.rip == 0x31cd);
    CHECK("int-user-dpl1-refused", refused(kit_user(u_int32, 0, 0), 0x32));
    CHECK("int-user-dpl3", came(kit_user(u_int33, 0, 0), 0x33));
    CHECK("int-no-address-refused", refused(kit_user(u_int34, 0, 0), 0x34));
}

static void mask_handling(void)
{
    uint64_t h = (uint64_t)kit_vectors;

    kit_set_gate(VEC_UD, 0, KCS, h + VEC_UD * 32);
    kit_sti();
    TRAPS(u_ud2(0, 0));
    CHECK_EQ("trap-gate-keeps-mask", cpu()->mask, 0);
    CHECK_EQ("frame-if-set", cpu()->trap.rflags >> 9 & 1, 1);
    CHECK_EQ("frame-saved-mask-clear", cpu()->trap.cs >> 32 & 0xff, 0);
    kit_set_gate(VEC_UD, 4, KCS, h + VEC_UD * 32);
    TRAPS(u_ud2(0, 0));
    CHECK_EQ("interrupt-gate-sets-mask", cpu()->mask, 1);
    CHECK_EQ("interrupt-gate-frame-if", cpu()->trap.rflags >> 9 & 1, 1);
    kit_cli();
    TRAPS(u_ud2(0, 0));
    CHECK_EQ("frame-if-clear-when-masked", cpu()->trap.rflags >> 9 & 1, 0);
    CHECK_EQ("frame-saved-mask-set", cpu()->trap.cs >> 32 & 0xff, 1);
    kit_set_gate(VEC_UD, 0, KCS, h + VEC_UD * 32);
}

/* A #UD handler that itself faults, then skips the instruction and changes rax. */
static bool hook_nested(struct kit_frame *f)
{
    count += TRAPS(u_read((uint64_t)nowhere, 0)) == VEC_PF;
    f->rip += 2;
    f->rax = 0x1122334455667788;
    f->cs &= 0xffff;
    return true;
}

static void nested_and_registers(void)
{
    uint64_t rax = 1, rcx = 0xc0ffee, r11 = 0x1111, r10 = 0x1010, flags;
    register uint64_t r15 asm("r15") = 0x1515;

    kit_hooks[VEC_UD] = hook_nested;
    asm volatile("mov %5, %%r11; mov %6, %%r10; stc; std; ud2; pushfq; pop %4; cld; mov %%r11, %2; "
                 "mov %%r10, %3"
                 : "+a"(rax), "+c"(rcx), "=&d"(r11), "=&b"(r10), "=&S"(flags)
                 : "i"(0x1111), "i"(0x1010), "r"(r15)
                 : "r10", "r11", "memory");
    kit_hooks[VEC_UD] = NULL;
    CHECK_EQ("nested-fault", count, 1);
    CHECK_EQ("handler-sets-rax", rax, 0x1122334455667788);
    CHECK("registers-kept", rcx == 0xc0ffee && r11 == 0x1111 && r10 == 0x1010 && r15 == 0x1515);
    CHECK("flags-kept", (flags & 0x401) == 0x401);
}

static void trap_table_calls(void)
{
    struct trap_info t[2] = {{0x90, 3, KCS, 0x8000000000000000}, {0}};
    struct trap_info low_cs[2] = {{0x90, 3, 0x10, (uint64_t)kit_vectors}, {0}};

    CHECK_EQ("set-trap-table-bad-pointer", HC1(set_trap_table, 8), -XEN_EFAULT);
    CHECK_EQ("set-trap-table-noncanonical", HC1(set_trap_table, t), -XEN_EINVAL);
    CHECK_EQ("set-trap-table-cs-is-fixed-up", HC1(set_trap_table, low_cs), 0);
}

void guest_main(void)
{
    ro_page = kit_page();
    nx_page = kit_page();
    kit_set_ro(ro_page);
    update_va(nx_page, mfn_pte(va_mfn(nx_page), PTE_KERN | PTE_NX), UVMF_INVLPG);
    kit_user_init();
    page_faults();
    other_faults();
    gates();
    mask_handling();
    nested_and_registers();
    trap_table_calls();
}
