/* SPDX-License-Identifier: MIT */
/*
 * The CPUID that a PV guest sees: its policy (x86/policy.h), what follows from the vCPU's own control registers,
 * and the hypervisor's own leaves. Processes that execute the bare instruction see the same where the processor
 * has CPUID faulting; elsewhere, and in domain 0, they see the real values.
 *
 * OSXSAVE is an exception. A PV kernel asks by the forced CPUID before it sets CR4.OSXSAVE, and takes the bit for the
 * hypervisor's word that XSETBV will work: without it, it clears XSAVE and AVX and uses FXSAVE. So the forced CPUID shows
 * it always (as the bare instruction does, the real CR4 having it), the trapped one as the guest's CR4 is.
 */
#include "lib.h"
#include "page.h"
#include "vtime.h"
#include "x86/policy.h"
#include "x86/pv_emul.h"

#include <xen/arch-x86/cpuid.h>

#define XEN_VERSION_4_17 0x00040011

#define LEAF1_C_XSAVE BIT(26)
#define LEAF1_C_OSXSAVE BIT(27)

static void cpuid_dynamic(struct vcpu *v, const struct cpu_policy *p, uint32_t leaf, uint32_t sub,
                          bool forced, uint32_t r[4])
{
    const struct x86_vcpu *xv = to_x86(v);

    if (leaf == 1 && (r[ECX] & LEAF1_C_XSAVE) && (forced || (xv->cr4 & CR4_OSXSAVE)))
        r[ECX] |= LEAF1_C_OSXSAVE;
    if (leaf == 0xd && sub == 0 && r[EAX])
        r[EBX] = policy_xstate_size(p, xv->xcr0, false);
    if (leaf == 0xd && sub == 1 && (r[EAX] & 2))
        r[EBX] = policy_xstate_size(p, xv->xcr0, true);
}

static void cpuid_policy(struct vcpu *v, uint32_t leaf, uint32_t sub, bool forced, uint32_t r[4])
{
    const struct cpu_policy *p = policy_of(v->domain);
    uint32_t base = leaf & 0x80000000;
    int slot = policy_slot(leaf, sub);

    if (slot < 0 || leaf > p->r[policy_slot(base, 0)][EAX])
        return;
    memcpy(r, p->r[index_nospec((uint64_t)slot, POLICY_SLOTS)], 16);
    cpuid_dynamic(v, p, leaf, sub, forced, r);
}

/* --- 0x40000000 on ---------------------------------------------------------------------------------- */

static void cpuid_time(struct vcpu *v, uint32_t sub, uint32_t r[4])
{
    const struct guest_tsc *t = &to_x86d(v->domain)->tsc;
    struct time_scale s;
    uint64_t ns;

    switch (sub) {
    case 0:
        time_scale_now(&s);
        r[EAX] = (t->emulated ? 1 : 0) | (s.tsc_stable ? 2 : 0) | (cpu_features.rdtscp ? 4 : 0);
        r[EBX] = t->mode;
        r[ECX] = guest_tsc_khz(v->domain);
        r[EDX] = t->incarnation;
        break;
    case 1: /* offset: system time at TSC 0 */
        guest_tsc_scale(v->domain, &s, &ns);
        r[EAX] = (uint32_t)ns;
        r[EBX] = (uint32_t)(ns >> 32);
        r[ECX] = s.mul;
        r[EDX] = (uint8_t)s.shift;
        break;
    case 2:
        r[EAX] = host_tsc_khz();
        break;
    }
}

/* Of the machine's RAM: guests choose the width of grant entries by it. */
static unsigned address_width(void)
{
    return frame_max > 1 ? 64 - (unsigned)__builtin_clzll(frame_max - 1) + FRAME_SHIFT
                         : cpu_features.phys_bits;
}

/* The last of our leaves that the guest is told of: its policy may hide some. */
static uint32_t hypervisor_limit(const struct cpu_policy *p)
{
    uint32_t limit = p->r[policy_slot(XEN_CPUID_FIRST_LEAF, 0)][EAX] & 0xff, all = XEN_CPUID_MAX_NUM_LEAVES;

    return limit ? MIN(MAX(limit, 2U), all) : all;
}

static void cpuid_hypervisor(struct vcpu *v, uint32_t index, uint32_t sub, uint32_t r[4])
{
    uint32_t limit = hypervisor_limit(policy_of(v->domain));

    if (index > limit)
        return;
    switch (index) {
    case 0:
        r[EAX] = XEN_CPUID_LEAF(limit);
        r[EBX] = XEN_CPUID_SIGNATURE_EBX;
        r[ECX] = XEN_CPUID_SIGNATURE_ECX;
        r[EDX] = XEN_CPUID_SIGNATURE_EDX;
        break;
    case 1:
        r[EAX] = XEN_VERSION_4_17;
        break;
    case 2:
        r[EAX] = 1;
        r[EBX] = 0x40000000;
        r[ECX] = XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD;
        break;
    case 3:
        cpuid_time(v, sub, r);
        break;
    case 5:
        if (sub == 0)
            r[EBX] = address_width();
        break;
    }
}

void guest_cpuid(struct vcpu *v, uint32_t leaf, uint32_t sub, bool forced, uint32_t r[4])
{
    r[EAX] = r[EBX] = r[ECX] = r[EDX] = 0;
    if (leaf >= 0x40000000 && leaf < 0x40010000)
        cpuid_hypervisor(v, leaf - 0x40000000, sub, r);
    else
        cpuid_policy(v, leaf, sub, forced, r);
}
