/* SPDX-License-Identifier: MIT */
/*
 * Speculation between domains. Three things, all by what the processor itself reports:
 *
 * - A CPU that goes from one domain to another first forgets branch predictions (IBPB) and clears its buffers
 *   (VERW with MD_CLEAR or its AMD equivalent). Within a domain, and on the way in and out of the hypervisor,
 *   nothing is done: hypercalls cost nothing more.
 * - A processor that lets a program read what its page tables map but forbid (Meltdown), or what a page-table
 *   entry that is not present names (L1TF), cannot keep PV guests apart here: our mappings are in their tables, and
 *   such entries are not screened. Guests other than domain 0 are refused there, unless pv_unsafe is given.
 * - A line in the boot log says which is the case.
 *
 * Here also are the other registers that follow the vCPU and are cheap to compare: TSC_AUX, CPUID faulting.
 */
#include "x86/speculation.h"

#include "cmdline.h"
#include "domain.h"
#include "lib.h"
#include "log.h"
#include "x86/cpu.h"
#include "x86/desc.h"
#include "x86/guest.h"
#include "x86/policy.h"

#define MSR_PRED_CMD 0x49
#define PRED_CMD_IBPB 1
#define MISC_FEATURES_CPUID_FAULT BIT(0)
#define HWCR_CPUID_USER_DIS BIT(35)

#define ARCH_CAP_RDCL_NO BIT(0)
#define ARCH_CAP_MDS_NO BIT(5)

static struct {
    bool ibpb, verw;
    bool meltdown, l1tf, mds;
} spec; /* [I] after boot */

/* What is in each CPU; own CPU only. */
static struct loaded {
    uint32_t serial; /* of the domain that was here last; 0: none */
    bool cpuid_faults;
    uint32_t tsc_aux;
} __aligned_to(64) loaded[MAX_CPUS];

/* --- What the processor is ------------------------------------------------------------------------------ */

/* Intel's in-order Atoms, and those of the Silvermont line, by model of family 6. */
static bool is_in_order_atom(void)
{
    static const uint8_t models[] = {0x1c, 0x26, 0x27, 0x35, 0x36};

    for (unsigned i = 0; i < ARRAY_SIZE(models); i++)
        if (cpu_features.model == models[i])
            return true;
    return false;
}

static bool is_later_atom(void)
{
    static const uint8_t models[] = {0x37, 0x4a, 0x4c, 0x4d, 0x5a, 0x5c, 0x5d, 0x5f, 0x75, 0x7a};

    for (unsigned i = 0; i < ARRAY_SIZE(models); i++)
        if (cpu_features.model == models[i])
            return true;
    return false;
}

static bool intel_p6(void)
{
    return cpu_features.intel && cpu_features.family == 6;
}

/* Meltdown and L1TF are Intel's; processors that are immune say so (RDCL_NO), apart from the oldest Atoms. The later
 * ones up to Goldmont are immune against L1TF; Silvermont and Airmont have Meltdown. */
static void find_faults(void)
{
    bool rdcl_no = cpu_features.arch_caps & ARCH_CAP_RDCL_NO;
    bool known = cpu_features.amd || (cpu_features.intel && cpu_features.family != 6);

    spec.meltdown = spec.l1tf = spec.mds = false;
    if (known)
        return;
    if (intel_p6() && is_in_order_atom())
        return;
    spec.meltdown = intel_p6() && !rdcl_no;
    spec.l1tf = intel_p6() && !rdcl_no && !is_later_atom();
    spec.mds = intel_p6() && !(cpu_features.arch_caps & ARCH_CAP_MDS_NO);
}

static void find_fences(void)
{
    const uint32_t *e8 = policy_host.r[policy_slot(0x80000008, 0)];
    const uint32_t *e21 = policy_host.r[policy_slot(0x80000021, 0)];

    spec.ibpb = (cpu_features.leaf7_d & BIT(26)) || (cpu_features.amd && (e8[EBX] & BIT(12)));
    spec.verw = (cpu_features.leaf7_d & BIT(10)) || (cpu_features.amd && (e21[EAX] & BIT(5)));
}

const char *arch_guests_refused(void)
{
    if (opt.pv_unsafe)
        return NULL;
    if (spec.meltdown)
        return "this processor lets PV guests read the hypervisor (Meltdown)";
    if (spec.l1tf)
        return "this processor lets PV guests read other memory by L1TF";
    return NULL;
}

void speculation_init(void)
{
    const char *why;

    memset(loaded, 0, sizeof(loaded));
    for (unsigned i = 0; i < MAX_CPUS; i++)
        loaded[i].tsc_aux = i; /* cpu_setup() */
    find_faults();
    find_fences();
    log_info("speculation: between domains: %s, %s; CPUID faulting %s; processor reports%s%s%s%s\n",
             spec.ibpb ? "IBPB" : "no predictor barrier (not there)",
             spec.verw ? "VERW" : "no buffer clearing (not there)",
             cpu_features.cpuid_faulting ? "on" : "not there", spec.meltdown ? " Meltdown" : "",
             spec.l1tf ? " L1TF" : "", spec.mds ? " MDS" : "",
             spec.meltdown || spec.l1tf || spec.mds ? "" : " no fault that PV guests could use");
    why = arch_guests_refused();
    if (why)
        log_warn("speculation: no guests but domain 0: %s; pv_unsafe on the command line allows them\n",
                 why);
    else if (spec.meltdown || spec.l1tf)
        log_warn("speculation: pv_unsafe: guests can read all memory of this machine\n");
}

/* --- Going from one to the other --------------------------------------------------------------------------- */

static void clear_buffers(void)
{
    static const uint16_t sel = SEL_HYP_DS;

    __asm__ volatile("verw %0" ::"m"(sel) : "cc"); /* the form with a memory operand clears */
}

static void cpuid_fault_set(bool on)
{
    uint32_t msr = cpu_features.amd ? MSR_AMD_HWCR : MSR_MISC_FEATURES;
    uint64_t bit = cpu_features.amd ? HWCR_CPUID_USER_DIS : MISC_FEATURES_CPUID_FAULT, val;

    if (rdmsr_safe(msr, &val) || wrmsr_safe(msr, on ? val | bit : val & ~bit))
        log_warn("cpu: CPUID faulting cannot be switched: MSR %#x\n", msr);
}

void speculation_enter(const struct x86_vcpu *xv)
{
    const struct domain *d = xv->v.domain;
    struct loaded *l = &loaded[cpu_info()->cpu];
    bool faults = cpu_features.cpuid_faulting && !d->hardware;

    if (cpu_features.rdtscp && l->tsc_aux != xv->tsc_aux) {
        l->tsc_aux = xv->tsc_aux;
        wrmsr(MSR_TSC_AUX, xv->tsc_aux);
    }
    if (likely(l->serial == to_x86d(d)->serial))
        return;
    l->serial = to_x86d(d)->serial;
    if (faults != l->cpuid_faults) {
        l->cpuid_faults = faults;
        cpuid_fault_set(faults);
    }
    if (spec.ibpb)
        wrmsr(MSR_PRED_CMD, PRED_CMD_IBPB);
    if (spec.verw)
        clear_buffers();
}

/* The guest changed its TSC_AUX while it runs here. */
void tsc_aux_write(uint32_t val)
{
    loaded[cpu_info()->cpu].tsc_aux = val;
    wrmsr(MSR_TSC_AUX, val);
}
