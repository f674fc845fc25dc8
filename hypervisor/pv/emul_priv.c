/* SPDX-License-Identifier: MIT */
/*
 * Privileged instructions of a PV guest: entered on #GP (or #UD for the forced CPUID). RDMSR and WRMSR come
 * first and are recognised by their two bytes: Linux reads KERNEL_GS_BASE at each context switch. What is
 * not promised by PV (lgdt, invlpg, iret, ...) is not emulated: the guest gets the fault.
 */
#include "port.h"
#include "sched.h"
#include "x86/pv_emul.h"

/* --- Model-specific registers, time stamp, CPUID ------------------------------------------------------ */

static enum pv_emul emul_rdmsr(struct vcpu *v, regs_t *regs)
{
    uint32_t msr = (uint32_t)regs->rcx;
    uint64_t val;

    if (likely(msr == MSR_KERNEL_GS_BASE))
        val = rdmsr(MSR_KERNEL_GS_BASE);
    else if (guest_msr_read(v, msr, &val))
        return PV_EMUL_NO;
    regs->rax = (uint32_t)val;
    regs->rdx = val >> 32;
    return PV_EMUL_DONE;
}

static enum pv_emul emul_wrmsr(struct vcpu *v, regs_t *regs)
{
    uint64_t val = (regs->rdx << 32) | (uint32_t)regs->rax;

    return guest_msr_write(v, (uint32_t)regs->rcx, val) ? PV_EMUL_NO : PV_EMUL_DONE;
}

/* Processes are stopped by the guest's own choice (TSD) only; the kernel never is. */
static enum pv_emul emul_rdtsc(struct vcpu *v, regs_t *regs)
{
    const struct x86_vcpu *xv = to_x86(v);
    uint64_t t;

    if (!xv->kernel_mode && (xv->cr4 & CR4_TSD))
        return PV_EMUL_NO;
    t = guest_tsc_read(v->domain);
    regs->rax = (uint32_t)t;
    regs->rdx = t >> 32;
    return PV_EMUL_DONE;
}

static enum pv_emul emul_rdtscp(struct vcpu *v, regs_t *regs)
{
    enum pv_emul e = PV_EMUL_NO;

    if (cpu_features.rdtscp)
        e = emul_rdtsc(v, regs);
    if (e == PV_EMUL_DONE)
        regs->rcx = to_x86(v)->tsc_aux;
    return e;
}

static void emul_cpuid(struct vcpu *v, regs_t *regs, bool forced)
{
    uint32_t r[4];

    guest_cpuid(v, (uint32_t)regs->rax, (uint32_t)regs->rcx, forced, r);
    regs->rax = r[0];
    regs->rbx = r[1];
    regs->rcx = r[2];
    regs->rdx = r[3];
}

/* --- The rest ------------------------------------------------------------------------------------------ */

static enum pv_emul emul_cache(struct vcpu *v)
{
    if (v->domain->hardware)
        __asm__ volatile("wbinvd" ::: "memory");
    return PV_EMUL_DONE;
}

/* Interrupt flags are virtual (vcpu_info): with IOPL the instruction is allowed and does nothing. */
static enum pv_emul emul_cli_sti(const struct x86_vcpu *xv)
{
    return xv->iopl >= (xv->kernel_mode ? 1 : 3) ? PV_EMUL_DONE : PV_EMUL_NO;
}

/* Instructions of the guest's kernel only, map 0f. */
static enum pv_emul emul_kernel_0f(struct vcpu *v, const struct pv_insn *in, regs_t *regs)
{
    switch (in->op) {
    case 0x01:
        return pv_emul_0f01(v, in, regs);
    case 0x06:
        return pv_emul_clts(v);
    case 0x08: case 0x09:
        return emul_cache(v);
    case 0x20: case 0x22:
        return pv_emul_cr(v, in, regs);
    case 0x21: case 0x23:
        return pv_emul_dr(v, in, regs);
    case 0x30:
        return emul_wrmsr(v, regs);
    case 0x32:
        return emul_rdmsr(v, regs);
    default:
        return PV_EMUL_NO;
    }
}

static enum pv_emul emul_map0f(struct vcpu *v, const struct pv_insn *in, regs_t *regs)
{
    if (in->op == 0x31)
        return emul_rdtsc(v, regs);
    if (in->op == 0x01 && in->mod == 3 && (in->reg & 7) == 7 && (in->rm & 7) == 1)
        return emul_rdtscp(v, regs);
    if (in->op == 0xa2) {
        emul_cpuid(v, regs, false);
        return PV_EMUL_DONE;
    }
    return to_x86(v)->kernel_mode ? emul_kernel_0f(v, in, regs) : PV_EMUL_NO;
}

static enum pv_emul emul_map1(struct vcpu *v, const struct pv_insn *in, regs_t *regs, bool code64)
{
    switch (in->op) {
    case 0x6c ... 0x6f:
    case 0xe4 ... 0xe7:
    case 0xec ... 0xef:
        return pv_emul_io(v, in, regs, code64);
    case 0xfa: case 0xfb:
        return emul_cli_sti(to_x86(v));
    default:
        return PV_EMUL_NO;
    }
}

static bool emul_hlt(struct vcpu *v, regs_t *regs)
{
    pv_emul_done(v, regs, regs->rip + 1);
    vcpu_block(v);
    return true;
}

/* Two-byte rdtsc, and rdmsr or wrmsr of the kernel, without the decoder. */
static bool emul_fast(struct vcpu *v, regs_t *regs, const uint8_t *b, unsigned n)
{
    enum pv_emul e;

    if (n < 2 || b[0] != 0x0f)
        return false;
    if (b[1] == 0x31)
        e = emul_rdtsc(v, regs);
    else if ((b[1] != 0x32 && b[1] != 0x30) || !to_x86(v)->kernel_mode)
        return false;
    else
        e = b[1] == 0x32 ? emul_rdmsr(v, regs) : emul_wrmsr(v, regs);
    if (e != PV_EMUL_DONE)
        return false;
    pv_emul_done(v, regs, regs->rip + 2);
    return true;
}

bool pv_emulate_privileged(struct vcpu *v, regs_t *regs)
{
    bool code64 = pv_guest_cs_is_64bit(regs);
    uint8_t b[16];
    unsigned n = pv_emul_fetch(regs, b);
    struct pv_insn in;
    enum pv_emul e = PV_EMUL_NO;
    uint64_t next;

    if (code64 && emul_fast(v, regs, b, n))
        return true;
    if (pv_insn_decode(&in, b, n, code64) || in.lock)
        return false;
    if (in.map == INSN_MAP1 && in.op == 0xf4 && to_x86(v)->kernel_mode && in.len == 1)
        return emul_hlt(v, regs);
    if (in.map == INSN_MAP1)
        e = emul_map1(v, &in, regs, code64);
    else if (in.map == INSN_MAP_0F)
        e = emul_map0f(v, &in, regs);
    if (e == PV_EMUL_DONE) {
        next = regs->rip + in.len;
        pv_emul_done(v, regs, code64 ? next : (uint32_t)next);
    }
    return e != PV_EMUL_NO;
}

/* "ud2; .ascii xen; cpuid": how PV kernels ask for the policy rather than the processor. */
bool pv_emulate_forced_cpuid(struct vcpu *v, regs_t *regs)
{
    static const uint8_t want[7] = {0x0f, 0x0b, 0x78, 0x65, 0x6e, 0x0f, 0xa2};
    uint8_t b[7];

    if (copy_from_guest(b, guest_ptr(regs->rip), sizeof(b)))
        return false;
    for (unsigned i = 0; i < sizeof(b); i++)
        if (b[i] != want[i])
            return false;
    emul_cpuid(v, regs, true);
    pv_emul_done(v, regs, regs->rip + sizeof(b));
    return true;
}
