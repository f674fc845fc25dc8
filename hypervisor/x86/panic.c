/* SPDX-License-Identifier: MIT */
/*
 * What a crash shows: registers and a backtrace of the CPU that found it, then of every other CPU, each of which
 * prints its own when the NMI of the first one reaches it, one after the other. For a guest: registers, code bytes
 * and the top of its stack.
 */
#include "panic.h"
#include "console.h"
#include "domain.h"
#include "lib.h"
#include "log.h"
#include "port.h"
#include "x86/crash.h"
#include "x86/guest.h"
#include "x86/layout.h"
#include "x86/smp.h"

static regs_t *crash_regs;
static uint32_t dumping;   /* [a] 1: others are to dump themselves when an NMI comes */
static uint32_t dump_turn; /* [a] CPU whose turn it is */

void regs_print(const regs_t *r)
{
    log_err("  rip %016lx  cs %04x  rflags %08lx  vector %x error %x\n", r->rip, r->cs, r->rflags,
            r->entry_vector, r->error_code);
    log_err("  rsp %016lx  ss %04x  cr2 %016lx  cr3 %016lx\n", r->rsp, r->ss, read_cr2(), read_cr3());
    log_err("  rax %016lx  rbx %016lx  rcx %016lx  rdx %016lx\n", r->rax, r->rbx, r->rcx, r->rdx);
    log_err("  rsi %016lx  rdi %016lx  rbp %016lx  r8  %016lx\n", r->rsi, r->rdi, r->rbp, r->r8);
    log_err("  r9  %016lx  r10 %016lx  r11 %016lx  r12 %016lx\n", r->r9, r->r10, r->r11, r->r12);
    log_err("  r13 %016lx  r14 %016lx  r15 %016lx\n", r->r13, r->r14, r->r15);
}

uint64_t arch_stack_end(uint64_t rsp)
{
    return (rsp | (STACK_SIZE - 1)) + 1 - sizeof(struct cpu_info);
}

void panic_regs(regs_t *regs, const char *fmt, ...)
{
    char text[200];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    crash_regs = regs;
    panic("%s", text);
}

static void dump_one(const regs_t *regs)
{
    struct cpu_info *ci = cpu_info();

    log_err("CPU %u: %s", ci->cpu, ci->current && !ci->current->idle ? "" : "idle\n");
    if (ci->current && !ci->current->idle)
        log_err("d%u v%u\n", ci->current->domain->id, ci->current->id);
    if (regs) {
        regs_print(regs);
        if (!(regs->cs & 3))
            backtrace_print(regs->rsp, regs->rip);
    }
}

void arch_panic_dump(void)
{
    unsigned n = cpu_count(), self = cpu_self();
    uint64_t until;

    dump_one(crash_regs);
    if (n <= 1)
        return;
    __atomic_store_n(&dump_turn, self ? 0 : 1, __ATOMIC_RELEASE);
    __atomic_store_n(&dumping, 1, __ATOMIC_RELEASE);
    smp_stop_others();
    until = now_ns() + 500000000;
    while (__atomic_load_n(&dump_turn, __ATOMIC_ACQUIRE) < n && now_ns() < until)
        cpu_relax();
}

void panic_stop_self(regs_t *regs)
{
    unsigned self = cpu_self();

    if (!__atomic_load_n(&dumping, __ATOMIC_ACQUIRE))
        return;
    for (uint64_t i = 0; i < 50000000 && __atomic_load_n(&dump_turn, __ATOMIC_ACQUIRE) < self; i++)
        cpu_relax();
    dump_one(regs);
    __atomic_fetch_add(&dump_turn, 1, __ATOMIC_RELEASE);
}

/* --- a guest's crash ---------------------------------------------------------------------------- */

static void guest_bytes_print(const char *what, uint64_t va, unsigned n)
{
    uint8_t b[16];

    log_err("  %s %016lx:", what, va);
    if (copy_from_guest(b, guest_ptr(va), n))
        log_err(" not readable");
    else
        for (unsigned i = 0; i < n; i++)
            log_err(" %02x", b[i]);
    log_err("\n");
}

static void guest_stack_print(uint64_t sp)
{
    uint64_t w[4];

    for (unsigned i = 0; i < 16; i++, sp += sizeof(w)) {
        if (copy_from_guest(w, guest_ptr(sp), sizeof(w)))
            break;
        log_err("  stack %016lx: %016lx %016lx %016lx %016lx\n", sp, w[0], w[1], w[2], w[3]);
    }
}

void arch_domain_crash_dump(struct domain *d)
{
    struct vcpu *v = current_vcpu();
    regs_t *regs = guest_regs();

    if (v->idle || v->domain != d)
        return;
    log_err("d%u v%u, %s mode:\n", d->id, v->id, to_x86(v)->kernel_mode ? "kernel" : "user");
    regs_print(regs);
    guest_bytes_print("code ", regs->rip, 16);
    guest_stack_print(regs->rsp);
}
