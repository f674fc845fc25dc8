/* SPDX-License-Identifier: MIT */
/*
 * Virtual control registers of a PV kernel: mov to and from CR0, 2, 3, 4, 8, clts, lmsw, smsw, xsetbv,
 * xgetbv, mov to and from debug registers. CR0 has fixed bits and TS; CR4 has fixed bits and those of
 * CR4_GUEST; attempts at others are ignored, as PV kernels expect.
 */
#include "port.h"
#include "x86/policy.h"
#include "x86/pv_emul.h"

#define CR0_FIXED (CR0_PG | CR0_AM | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE)
#define CR4_FIXED (CR4_PAE | CR4_MCE | CR4_OSFXSR | CR4_OSXMMEXCPT)
#define CR4_GUEST (CR4_TSD | CR4_DE | CR4_FSGSBASE | CR4_OSXSAVE)
/* Of those, the one loaded into the real register; the others are always on in it. */
#define CR4_REAL CR4_TSD

#define XCR0_X87 BIT(0)
#define XCR0_SSE BIT(1)
#define XCR0_AVX BIT(2)
#define XCR0_MPX (BIT(3) | BIT(4))
#define XCR0_AVX512 (BIT(5) | BIT(6) | BIT(7))
#define XCR0_AMX (BIT(17) | BIT(18))

uint64_t pv_guest_cr0(const struct x86_vcpu *xv)
{
    return CR0_FIXED | (xv->cr0 & CR0_TS);
}

uint64_t pv_guest_cr4(const struct x86_vcpu *xv)
{
    return CR4_FIXED | (xv->cr4 & CR4_GUEST);
}

static void control_set_real_ts(bool on)
{
    if (on)
        write_cr0(read_cr0() | CR0_TS);
    else
        __asm__ volatile("clts");
}

void pv_set_ts(struct vcpu *v, bool on)
{
    struct x86_vcpu *xv = to_x86(v);

    xv->cr0 = on ? xv->cr0 | CR0_TS : xv->cr0 & ~CR0_TS;
    control_set_real_ts(on);
}

/* An emulated time stamp counter needs TSD whatever the guest has chosen. */
static uint64_t control_real(const struct x86_vcpu *xv)
{
    return (xv->cr4 & CR4_REAL) | (to_x86d(xv->v.domain)->tsc.emulated ? CR4_TSD : 0);
}

void pv_control_load(const struct x86_vcpu *xv)
{
    uint64_t now = read_cr4(), want = (now & ~CR4_REAL) | control_real(xv);

    if (want != now)
        write_cr4(want);
    control_set_real_ts(xv->cr0 & CR0_TS);
}

void pv_context_cr4(struct x86_vcpu *xv, uint64_t val)
{
    uint64_t may = CR4_TSD | CR4_DE;

    if (cpu_features.fsgsbase)
        may |= CR4_FSGSBASE;
    if (cpu_features.xsave && policy_xcr0(policy_of(xv->v.domain)))
        may |= CR4_OSXSAVE;
    xv->cr4 = CR4_FIXED | (val & may);
}

static void cr4_write(struct x86_vcpu *xv, uint64_t val)
{
    pv_context_cr4(xv, val);
    pv_control_load(xv);
}

static enum pv_emul cr_read(struct vcpu *v, unsigned cr, uint64_t *val)
{
    struct x86_vcpu *xv = to_x86(v);

    switch (cr) {
    case 0:
        *val = pv_guest_cr0(xv);
        return PV_EMUL_DONE;
    case 2:
        *val = xv->cr2;
        return PV_EMUL_DONE;
    case 3:
        *val = xv->root.n << FRAME_SHIFT;
        return PV_EMUL_DONE;
    case 4:
        *val = pv_guest_cr4(xv);
        return PV_EMUL_DONE;
    default:
        return PV_EMUL_NO;
    }
}

static enum pv_emul cr_write(struct vcpu *v, unsigned cr, uint64_t val)
{
    struct x86_vcpu *xv = to_x86(v);
    int rc;

    switch (cr) {
    case 0:
        if ((val ^ pv_guest_cr0(xv)) & ~CR0_TS)
            return PV_EMUL_NO;
        pv_set_ts(v, val & CR0_TS);
        return PV_EMUL_DONE;
    case 2:
        xv->cr2 = val;
        vcpu_info(v)->arch.cr2 = val;
        return PV_EMUL_DONE;
    case 3:
        rc = pv_set_cr3(v, val >> FRAME_SHIFT);
        return !rc ? PV_EMUL_DONE : rc == -XEN_ERESTART ? PV_EMUL_STAY : PV_EMUL_NO;
    case 4:
        cr4_write(xv, val);
        return PV_EMUL_DONE;
    default:
        return PV_EMUL_NO;
    }
}

enum pv_emul pv_emul_cr(struct vcpu *v, const struct pv_insn *in, regs_t *regs)
{
    uint64_t *r = pv_insn_reg(regs, in->rm);

    return in->op == 0x20 ? cr_read(v, in->reg, r) : cr_write(v, in->reg, *r);
}

enum pv_emul pv_emul_dr(struct vcpu *v, const struct pv_insn *in, regs_t *regs)
{
    uint64_t *r = pv_insn_reg(regs, in->rm);
    int rc = in->op == 0x21 ? pv_get_dr(v, in->reg, r) : pv_set_dr(v, in->reg, *r);

    return rc ? PV_EMUL_NO : PV_EMUL_DONE;
}

enum pv_emul pv_emul_clts(struct vcpu *v)
{
    pv_set_ts(v, false);
    return PV_EMUL_DONE;
}

/* --- Extended state ------------------------------------------------------------------------------ */

static bool xcr0_valid(uint64_t val, uint64_t may)
{
    uint64_t part;

    if (!(val & XCR0_X87) || (val & ~may))
        return false;
    if ((val & XCR0_AVX) && !(val & XCR0_SSE))
        return false;
    part = val & XCR0_AVX512;
    if (part && (part != XCR0_AVX512 || !(val & XCR0_AVX)))
        return false;
    part = val & XCR0_MPX;
    if (part && part != XCR0_MPX)
        return false;
    part = val & XCR0_AMX;
    return !part || part == XCR0_AMX;
}

bool pv_xcr0_valid(const struct domain *d, uint64_t val)
{
    return cpu_features.xsave && xcr0_valid(val, cpu_features.xcr0 & policy_xcr0(policy_of(d)));
}

/* Context switches save and load all components whatever the guest's XCR0, so enabling one shows the vCPU's own
 * registers, never another's. */
int pv_set_xcr0(struct vcpu *v, uint64_t val)
{
    if (!pv_xcr0_valid(v->domain, val))
        return -XEN_EINVAL;
    to_x86(v)->xcr0 = val;
    __asm__ volatile("xsetbv" ::"a"((uint32_t)val), "d"((uint32_t)(val >> 32)), "c"(0) : "memory");
    return 0;
}

static enum pv_emul emul_xsetbv(struct vcpu *v, regs_t *regs)
{
    uint64_t val = (regs->rdx << 32) | (uint32_t)regs->rax;

    if (!(to_x86(v)->cr4 & CR4_OSXSAVE)) {
        pv_inject_exception(v, 6, 0);
        return PV_EMUL_STAY;
    }
    if ((uint32_t)regs->rcx || pv_set_xcr0(v, val))
        return PV_EMUL_NO;
    return PV_EMUL_DONE;
}

static enum pv_emul emul_xgetbv(struct vcpu *v, regs_t *regs)
{
    uint64_t val = to_x86(v)->xcr0;

    if ((uint32_t)regs->rcx || !cpu_features.xsave)
        return PV_EMUL_NO;
    regs->rax = (uint32_t)val;
    regs->rdx = val >> 32;
    return PV_EMUL_DONE;
}

static enum pv_emul emul_lmsw(struct vcpu *v, const struct pv_insn *in, regs_t *regs)
{
    uint16_t msw;

    if (in->mem) {
        uint64_t va = pv_insn_address(in, regs, pv_emul_seg_base(in));

        if (get_guest(msw, guest_ptr(va))) {
            pv_inject_page_fault(v, va, 0);
            return PV_EMUL_STAY;
        }
    } else {
        msw = (uint16_t)pv_insn_reg_get(regs, in->rm, 2, true);
    }
    pv_set_ts(v, msw & CR0_TS);
    return PV_EMUL_DONE;
}

static enum pv_emul emul_smsw(struct vcpu *v, const struct pv_insn *in, regs_t *regs)
{
    uint64_t cr0 = pv_guest_cr0(to_x86(v)), va;
    uint16_t msw = (uint16_t)cr0;

    if (!in->mem) {
        pv_insn_reg_set(regs, in->rm, in->op_bytes, true, cr0);
        return PV_EMUL_DONE;
    }
    va = pv_insn_address(in, regs, pv_emul_seg_base(in));
    if (!put_guest(guest_ptr(va), msw))
        return PV_EMUL_DONE;
    pv_inject_page_fault(v, va, 2);
    return PV_EMUL_STAY;
}

/* Group 0f 01: xgetbv, xsetbv, rdtscp, smsw, lmsw. The loads of descriptor tables are refused. */
enum pv_emul pv_emul_0f01(struct vcpu *v, const struct pv_insn *in, regs_t *regs)
{
    unsigned sub = in->reg & 7;

    if (sub == 4)
        return emul_smsw(v, in, regs);
    if (sub == 6)
        return emul_lmsw(v, in, regs);
    if (in->mem || sub != 2)
        return PV_EMUL_NO;
    switch (in->rm & 7) {
    case 0:
        return emul_xgetbv(v, regs);
    case 1:
        return emul_xsetbv(v, regs);
    default:
        return PV_EMUL_NO;
    }
}
