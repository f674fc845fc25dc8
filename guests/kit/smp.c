/* SPDX-License-Identifier: MIT */
/*
 * Secondary vCPUs of a test guest: same page tables, same trap table, its own block of stacks. A
 * started vCPU runs one function and then takes itself down.
 */
#include "kit.h"

void kit_ap_start(void);
void kit_ap_main(struct kit_cpu *c);

struct kit_cpu *kit_cpu_of(unsigned int id)
{
    return (struct kit_cpu *)(kit_blocks + id * KIT_STACK_SIZE);
}

void kit_ap_main(struct kit_cpu *c)
{
    c->entry(c->arg);
    HC3(vcpu_op, VCPUOP_down, c->id, NULL);
    kit_fatal("VCPUOP_down came back");
}

long kit_cpu_start(unsigned int id, void (*fn)(void *), void *arg)
{
    static struct vcpu_guest_context ctx;
    struct kit_cpu *c = kit_cpu_of(id);
    long rc;

    memset(c, 0, sizeof(*c));
    c->id = id;
    c->entry = fn;
    c->arg = arg;
    memset(&ctx, 0, sizeof(ctx));
    ctx.flags = VGCF_in_kernel;
    ctx.user_regs.rip = (uint64_t)kit_ap_start;
    ctx.user_regs.rdi = (uint64_t)c;
    ctx.user_regs.rsp = (uint64_t)c + KIT_STACK_SIZE;
    ctx.user_regs.rflags = 0x1000; /* IOPL 1: the kernel may use ports and cli */
    ctx.user_regs.cs = KCS;
    ctx.user_regs.ss = KSS;
    for (unsigned int i = 0; i < 256; i++) {
        ctx.trap_ctxt[i].vector = (uint8_t)i;
        ctx.trap_ctxt[i].cs = KCS;
        ctx.trap_ctxt[i].address = (uint64_t)kit_vectors + i * 32;
    }
    ctx.kernel_ss = KSS;
    ctx.kernel_sp = (uint64_t)c + 0x6000;
    ctx.ctrlreg[3] = kit_top() << 12;
    ctx.event_callback_eip = (uint64_t)kit_entry_upcall;
    ctx.failsafe_callback_eip = (uint64_t)kit_entry_failsafe;
    ctx.syscall_callback_eip = (uint64_t)kit_entry_syscall;
    rc = HC3(vcpu_op, VCPUOP_initialise, id, &ctx);
    return rc ? rc : HC3(vcpu_op, VCPUOP_up, id, NULL);
}
