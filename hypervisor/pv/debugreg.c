/* SPDX-License-Identifier: MIT */
/*
 * Debug registers of a PV vCPU: hypercalls and mov. A guest may watch its own addresses only; I/O
 * breakpoints and general detect are refused. The real registers are loaded only for a vCPU that
 * has breakpoints enabled, so that others pay nothing at a switch.
 */
#include "domain.h"
#include "port.h"
#include "x86/hypercalls.h"
#include "x86/pv_emul.h"

#define DR6_FIXED 0xffff0ff0ULL
#define DR6_GUEST 0x0000e00fULL /* B0-3, BD, BS, BT */
#define DR7_FIXED 0x00000400ULL
#define DR7_CLEAR 0x0000f800ULL /* reserved bits, RTM and GD */
#define DR7_ENABLED 0xffULL

#define DEFINE_DR(n)                                                                               \
    static void write_dr##n(uint64_t val)                                                          \
    {                                                                                              \
        __asm__ volatile("mov %0, %%db" #n ::"r"(val));                                            \
    }
DEFINE_DR(0)
DEFINE_DR(1)
DEFINE_DR(2)
DEFINE_DR(3)
DEFINE_DR(6)
DEFINE_DR(7)
#undef DEFINE_DR

void dr_load(struct x86_vcpu *xv)
{
    if (!(xv->dr[7] & DR7_ENABLED))
        return;
    write_dr0(xv->dr[0]);
    write_dr1(xv->dr[1]);
    write_dr2(xv->dr[2]);
    write_dr3(xv->dr[3]);
    write_dr6(DR6_FIXED);
    write_dr7(xv->dr[7]);
}

/* Nothing of the registers belongs to the vCPU that its copy does not have: the #DB handler adds to dr[6]. */
void dr_save(struct x86_vcpu *xv)
{
    if (xv->dr[7] & DR7_ENABLED)
        write_dr7(DR7_FIXED);
}

static bool dr_address_ok(uint64_t va)
{
    bool canonical = (uint64_t)((int64_t)(va << 16) >> 16) == va;

    /* an 8-byte watch is aligned, so it cannot reach into the range from below */
    return canonical && !(va >= HYP_VIRT_START && va < HYP_VIRT_END);
}

static int dr7_check(const struct x86_vcpu *xv, uint64_t *val)
{
    if (*val >> 32)
        return -XEN_EINVAL;
    *val = (*val & ~DR7_CLEAR) | DR7_FIXED;
    for (unsigned i = 0; i < 4; i++) {
        unsigned type = (*val >> (16 + 4 * i)) & 3;

        if (!(*val & (3ULL << (2 * i))))
            continue;
        if (type == 2 || !dr_address_ok(xv->dr[i]))
            return -XEN_EPERM;
        /* an instruction breakpoint has length 1 */
        if (type == 0 && ((*val >> (18 + 4 * i)) & 3))
            return -XEN_EPERM;
    }
    return 0;
}

/* 4 and 5 mean 6 and 7 while debugging extensions are off. -1: no such register. */
static int dr_resolve(const struct x86_vcpu *xv, unsigned reg)
{
    if (reg == 4 || reg == 5)
        return xv->cr4 & CR4_DE ? -1 : (int)reg + 2;
    return reg < 8 ? (int)reg : -1;
}

static void dr_store(struct vcpu *v, unsigned reg, uint64_t val)
{
    struct x86_vcpu *xv = to_x86(v);
    bool here = v == current_vcpu();

    if (here)
        dr_save(xv);
    xv->dr[reg] = val;
    if (here)
        dr_load(xv);
}

int pv_set_dr(struct vcpu *v, unsigned reg, uint64_t val)
{
    int n = dr_resolve(to_x86(v), reg), rc;

    if (n < 0)
        return reg < 8 ? -XEN_ENODEV : -XEN_EINVAL;
    if (n < 4) {
        if (!dr_address_ok(val))
            return -XEN_EPERM;
    } else if (n == 6) {
        if (val >> 32)
            return -XEN_EINVAL;
        val = (val & DR6_GUEST) | DR6_FIXED;
    } else {
        rc = dr7_check(to_x86(v), &val);
        if (rc)
            return rc;
    }
    dr_store(v, index_nospec((unsigned)n, 8), val);
    return 0;
}

int pv_get_dr(struct vcpu *v, unsigned reg, uint64_t *val)
{
    const struct x86_vcpu *xv = to_x86(v);
    int n = dr_resolve(xv, reg);

    if (n < 0)
        return reg < 8 ? -XEN_ENODEV : -XEN_EINVAL;
    *val = xv->dr[index_nospec((unsigned)n, 8)];
    /* a new vCPU's registers are zero in memory: show the bits that read as one */
    if (n == 6)
        *val |= DR6_FIXED;
    else if (n == 7)
        *val |= DR7_FIXED;
    return 0;
}

long do_set_debugreg(struct vcpu *v, uint64_t reg, uint64_t val, uint64_t a3, uint64_t a4, uint64_t a5)
{
    return reg < 8 ? pv_set_dr(v, (unsigned)reg, val) : -XEN_EINVAL;
}

long do_get_debugreg(struct vcpu *v, uint64_t reg, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
    uint64_t val;
    int rc = reg < 8 ? pv_get_dr(v, (unsigned)reg, &val) : -XEN_EINVAL;

    return rc ? rc : (long)val;
}
