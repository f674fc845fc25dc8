/* SPDX-License-Identifier: MIT */
/*
 * syscalls: the way between user and kernel: the frame of a system call, both forms of the iret
 * hypercall and what each restores, flags that a guest may and may not set by it, single step
 * across it, and the failsafe callback when the hypervisor cannot go where the guest asked.
 */
#include "kit.h"

static uint64_t seen[8];

/* user code: record registers, then make system call 0x777 */
void u_regs(void);
asm(".globl u_regs\nu_regs:\n"
    "    mov %rcx, seen(%rip)\n"
    "    mov %r11, 8+seen(%rip)\n"
    "    mov %rax, 16+seen(%rip)\n"
    "    mov %rsp, 24+seen(%rip)\n"
    "    mov $0, %eax\n"
    "    mov %eax, %eax\n"
    "    pushfq\n"
    "    popq 32+seen(%rip)\n"
    "    cld\n"
    "    mov $0x777, %eax\n"
    "    mov $0x1234, %r10d\n"
    "    mov $0x5678, %r9d\n"
    "    stc\n"
    "    syscall\n"
    "u_after:\n"
    "    ud2\n"
    "u_nop:\n"
    "    nop\n"
    "    nop\n"
    "    ud2\n");
extern char u_after[], u_nop[];

static int go(uint64_t rip, uint64_t flags, uint64_t cs, uint64_t rflags, uint64_t ss)
{
    struct iret_context c = {.rax = 0xaaaa,
                             .r11 = 0x1111,
                             .rcx = 0xcccc,
                             .flags = flags,
                             .rip = rip,
                             .cs = cs,
                             .rflags = rflags,
                             .rsp = kit_user_sp() - 64,
                             .ss = ss};
    memset(seen, 0, sizeof(seen));
    return TRAPS(kit_iret_raw(&c));
}

static void check_syscall_frame(const char *name, int vec)
{
    struct kit_frame *f = &cpu()->trap;
    kit_check(vec == VEC_SYSCALL && f->rip == (uint64_t)u_after && (f->cs & 0xffff) == KCS &&
                  f->ss == KSS && f->rax == 0x777 && f->rcx == f->rip && f->r10 == 0x1234 &&
                  f->r9 == 0x5678 && f->rsp == kit_user_sp() - 64 && (f->rflags & 1),
              name, "%s rip %lx cs %lx ss %lx rax %lx rcx %lx r11 %lx rsp %lx rflags %lx",
              kit_vec_name(vec), f->rip, f->cs, f->ss, f->rax, f->rcx, f->r11, f->rsp, f->rflags);
}

static void system_calls(void)
{
    check_syscall_frame("full-iret-and-syscall", go((uint64_t)u_regs, 0, KCS, 0x202, KSS));
    CHECK("full-iret-restores", seen[0] == 0xcccc && seen[1] == 0x1111 && seen[2] == 0xaaaa &&
                                    seen[3] == kit_user_sp() - 64);
    CHECK("syscall-r11-is-rflags", (cpu()->trap.r11 & 0x201) == 0x201);
    CHECK_EQ("syscall-frame-if", cpu()->trap.rflags >> 9 & 1, 1);
    check_syscall_frame("sysret-and-syscall",
                        go((uint64_t)u_regs, VGCF_in_syscall, KCS, 0x202, KSS));
    CHECK("sysret-restores", seen[2] == 0xaaaa && seen[3] == kit_user_sp() - 64);
    CHECK_EQ("sysret-rcx-is-rip", seen[0], u_regs);
    CHECK("sysret-r11-is-rflags", (seen[1] & 0xffd) == (seen[4] & 0xffd));
    /* with VGCF_in_syscall cs and ss are not looked at, but the privilege in cs says where to */
    check_syscall_frame("sysret-ignores-ss", go((uint64_t)u_regs, VGCF_in_syscall, KCS, 0x202, 0));
}

static void register_syscall(uint16_t flags, uint64_t address, const char *name)
{
    struct callback_register r = {.type = CALLBACKTYPE_syscall, .flags = flags, .address = address};
    CHECK_EQ(name, HC2(callback_op, CALLBACKOP_register, &r), 0);
}

static void masks(void)
{
    kit_sti();
    go((uint64_t)u_regs, 0, KCS, 0x202, KSS);
    CHECK_EQ("syscall-keeps-mask-clear", cpu()->mask, 0);
    go((uint64_t)u_regs, 0, KCS, 0x002, KSS);
    CHECK_EQ("iret-if-clear-masks", cpu()->mask, 1);
    CHECK_EQ("iret-if-clear-frame", cpu()->trap.rflags >> 9 & 1, 0);
    register_syscall(CALLBACKF_mask_events, (uint64_t)kit_entry_syscall, "callback-op-mask-events");
    go((uint64_t)u_regs, 0, KCS, 0x202, KSS);
    CHECK_EQ("syscall-masks-if-asked", cpu()->mask, 1);
    CHECK_EQ("syscall-frame-if-when-masking", cpu()->trap.rflags >> 9 & 1, 1);
    register_syscall(0, (uint64_t)kit_entry_syscall, "callback-op-plain");
    kit_cli();
}

static void flags(void)
{
    uint64_t f;

    /* VM, IOPL 3 and NT asked for; the machine's IF is always on, and says nothing about the
     * guest's */
    check_syscall_frame("iret-with-wild-flags",
                        go((uint64_t)u_regs, 0, KCS, 0x247dd7 & ~0x500UL, KSS));
    f = seen[4];
    CHECK_EQ("iret-drops-vm", f & 0x20000, 0);
    CHECK_EQ("iret-drops-iopl", f & 0x3000, 0);
    CHECK_EQ("iret-sets-machine-if", f & 0x200, 0x200);
    CHECK_EQ("iret-keeps-ac-and-carry", f & 0x40001, 0x40001);
    CHECK_EQ("tf-user-is-db", go((uint64_t)u_nop, 0, KCS, 0x302, KSS), VEC_DB);
    CHECK_EQ("tf-user-rip", cpu()->trap.rip, u_nop + 1);
    CHECK("tf-in-frame", cpu()->trap.rflags & 0x100);
    CHECK_EQ("tf-kernel-is-db", go((uint64_t)u_nop, 0, KCS & ~3, 0x102, KSS), VEC_DB);
    CHECK_EQ("tf-kernel-rip", cpu()->trap.rip, u_nop + 1);
    CHECK_EQ("tf-sysret-is-db", go((uint64_t)u_nop, VGCF_in_syscall, KCS, 0x302, KSS), VEC_DB);
}

static void kernel_returns(void)
{
    CHECK_EQ("iret-kernel-rpl0", go((uint64_t)u_nop, 0, KCS & ~3, 0x202, KSS), VEC_UD);
    CHECK_EQ("iret-kernel-rpl0-frame", cpu()->trap.cs & 0xffff, KCS & ~3);
    CHECK_EQ("iret-kernel-unmasks", cpu()->mask, 0);
    CHECK_EQ("iret-kernel-rpl1", go((uint64_t)u_nop, 0, (KCS & ~3) | 1, 0x002, KSS), VEC_UD);
    CHECK_EQ("iret-kernel-rpl1-frame", cpu()->trap.cs & 3, 0);
    CHECK_EQ("iret-kernel-masks", cpu()->mask, 1);
    CHECK_EQ("iret-kernel-null-ss-rpl", go((uint64_t)u_nop, 0, KCS & ~3, 0x202, KSS & ~3), VEC_UD);
}

/* The hypervisor must survive these, and say so by the failsafe callback or a #GP at the target */
static void check_refused(const char *name, int vec)
{
    struct kit_frame *f = &cpu()->trap;
    kit_check(vec == VEC_FAILSAFE || vec == VEC_GP || vec == VEC_NP || vec == VEC_SS ||
                  vec == VEC_PF,
              name, "%s", kit_vec_name(vec));
    kit_printf("note %s: %s error 0x%lx rip 0x%lx cs 0x%lx ss 0x%lx\n", name, kit_vec_name(vec),
               f->error, f->rip, f->cs, f->ss);
}

static void bad_returns(void)
{
    check_refused("iret-cs-beyond-gdt", go((uint64_t)u_nop, 0, 0xfff3, 0x202, KSS));
    check_refused("iret-cs-null", go((uint64_t)u_nop, 0, 3, 0x202, KSS));
    check_refused("iret-cs-data-segment", go((uint64_t)u_nop, 0, KSS, 0x202, KSS));
    check_refused("iret-cs-hypervisor", go((uint64_t)u_nop, 0, 0xe008 | 3, 0x202, KSS));
    check_refused("iret-ss-hypervisor", go((uint64_t)u_nop, 0, KCS, 0x202, 0xe010));
    check_refused("iret-ss-code", go((uint64_t)u_nop, 0, KCS, 0x202, KCS));
    check_refused("iret-rip-noncanonical", go(0x8000000000000000, 0, KCS, 0x202, KSS));
    check_refused("iret-kernel-rip-noncanonical", go(0x800000000000, 0, KCS & ~3, 0x202, KSS));
    check_refused("sysret-rip-noncanonical", go(0x800000000000, VGCF_in_syscall, KCS, 0x202, KSS));
    check_refused("iret-rip-hypervisor", go(HV_START + 0x1000, 0, KCS, 0x202, KSS));
    CHECK_EQ("alive-after-refusals", go((uint64_t)u_nop, 0, KCS, 0x202, KSS), VEC_UD);
}

static void u_int80(uint64_t a, uint64_t b)
{
    asm volatile("int $0x80");
}

static void callbacks(void)
{
    struct callback_register bad = {.type = CALLBACKTYPE_syscall, .address = 0x8000000000000000};
    struct callback_register odd = {.type = 77, .address = (uint64_t)kit_entry_syscall};
    struct callback_unregister un = {.type = CALLBACKTYPE_event};

    CHECK_EQ("callback-noncanonical", HC2(callback_op, CALLBACKOP_register, &bad), -XEN_EINVAL);
    CHECK_EQ("callback-bad-type", HC2(callback_op, CALLBACKOP_register, &odd), -XEN_ENOSYS);
    CHECK_EQ("callback-bad-pointer", HC2(callback_op, CALLBACKOP_register, 8), -XEN_EFAULT);
    CHECK_EQ("callback-bad-op", HC2(callback_op, 99, &odd), -XEN_ENOSYS);
    CHECK_EQ("callback-unregister-event", HC2(callback_op, CALLBACKOP_unregister, &un),
             -XEN_EINVAL);
    /* this old call gives no error, but a bad address must not be taken */
    HC3(set_callbacks, 0x8000000000000000, 0x8000000000000000, 0x8000000000000000);
    check_syscall_frame("set-callbacks-noncanonical", go((uint64_t)u_regs, 0, KCS, 0x202, KSS));
    kit_set_gate(0x80, 3, KCS, (uint64_t)kit_vectors + 0x80 * 32);
    CHECK_EQ("int80-user", kit_user(u_int80, 0, 0), 0x80);
    CHECK("int80-rip-after", *(uint16_t *)(cpu()->trap.rip - 2) == 0x80cd);
    CHECK_EQ("stack-switch-rpl0-ss", HC2(stack_switch, KSS & ~3, (uint64_t)cpu() + 0x6000), 0);
    CHECK_EQ("user-after-stack-switch", kit_user(u_int80, 0, 0), 0x80);
}

void guest_main(void)
{
    kit_user_init();
    system_calls();
    masks();
    flags();
    kernel_returns();
    callbacks();
    bad_returns();
}
