/* SPDX-License-Identifier: MIT */
/*
 * Model-specific registers of a PV kernel: the segment bases, and a short list of registers that kernels
 * read at start. v is the current vCPU, in kernel mode. What is not listed does not exist: -XEN_EINVAL
 * becomes #GP, which kernels expect from registers they only try. The hardware domain may look at a few more
 * (MTRRs, thermal and frequency state), never write them.
 */
#include "port.h"
#include "x86/policy.h"
#include "x86/pv_emul.h"
#include "x86/speculation.h"

#define MSR_PLATFORM_ID 0x17
#define MSR_SPEC_CTRL 0x48
#define MSR_PRED_CMD 0x49
#define MSR_UCODE_REV 0x8b
#define MSR_MCG_CAP 0x179
#define MSR_MCG_STATUS 0x17a
#define MSR_DEBUGCTL 0x1d9
#define MSR_MC_FIRST 0x400
#define MSR_MC_LAST 0x47f
#define MSR_AMD_PERF_FIRST 0xc0010000
#define MSR_AMD_PERF_LAST 0xc0010007
#define MSR_AMD_PERF2_FIRST 0xc0010200
#define MSR_AMD_PERF2_LAST 0xc001020b
#define MSR_AMD_DE_CFG 0xc0011029

#define EFER_GUEST (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)
#define PRED_CMD_IBPB BIT(0)
#define LEAF7_D_ARCH_CAPS BIT(29)
#define LEAF_E8_B_IBPB BIT(12)
#define HWCR_TSC_FREQ_SEL BIT(24)
#define DE_CFG_LFENCE BIT(1)

static bool canonical(uint64_t va)
{
    return (uint64_t)((int64_t)(va << 16) >> 16) == va;
}

/* A register of a leaf as the guest's policy has it; leaf 7: subleaf 0. */
static uint32_t policy_register(const struct vcpu *v, uint32_t leaf, unsigned reg)
{
    return policy_of(v->domain)->r[policy_slot(leaf, 0)][reg];
}

static int msr_read_or_zero(uint32_t msr, uint64_t mask, uint64_t *val)
{
    if (rdmsr_safe(msr, val))
        *val = 0;
    *val &= mask;
    return 0;
}

/* --- Reading --- */

/* What only the owner of the machine may see. */
static bool msr_hardware_readable(uint32_t msr)
{
    switch (msr) {
    case MSR_PLATFORM_ID:
    case 0xe7: case 0xe8:               /* MPERF, APERF */
    case 0xfe: case 0x2ff:              /* MTRR capabilities, default type */
    case 0x200 ... 0x21f:               /* variable MTRRs */
    case 0x250: case 0x258: case 0x259: case 0x268 ... 0x26f: /* fixed MTRRs */
    case 0x198: case 0x199: case 0x19c: case 0x1a2: case 0x1b0: case 0x1b1: /* frequency, heat */
        return true;
    case 0xc0010010: case 0xc001001a: case 0xc001001d: /* SYSCFG, TOP_MEM */
    case 0xc001001f: case 0xc0010058:   /* north bridge, MMCONFIG base */
    case 0xc0010061 ... 0xc001006b:     /* P-states */
        return cpu_features.amd;
    default:
        return false;
    }
}

static int msr_read_amd(uint32_t msr, uint64_t *val)
{
    if (!cpu_features.amd)
        return -XEN_EINVAL;
    switch (msr) {
    case MSR_AMD_HWCR:
        return msr_read_or_zero(msr, HWCR_TSC_FREQ_SEL, val);
    case MSR_AMD_DE_CFG:
        return msr_read_or_zero(msr, DE_CFG_LFENCE, val);
    case MSR_AMD_PERF_FIRST ... MSR_AMD_PERF_LAST:
    case MSR_AMD_PERF2_FIRST ... MSR_AMD_PERF2_LAST:
        *val = 0;
        return 0;
    default:
        return -XEN_EINVAL;
    }
}

static int msr_read_intel(struct vcpu *v, uint32_t msr, uint64_t *val)
{
    if (!cpu_features.intel)
        return -XEN_EINVAL;
    switch (msr) {
    case MSR_MISC_ENABLE:
        /* no monitor, no performance counters, no branch or precise event records */
        msr_read_or_zero(msr, ~(BIT(7) | BIT(18)), val);
        *val |= BIT(11) | BIT(12);
        return 0;
    case MSR_PLATFORM_INFO:
        *val = policy_of(v->domain)->platform_info;
        return 0;
    case MSR_ARCH_CAPS:
        *val = policy_of(v->domain)->arch_caps;
        return policy_register(v, 7, EDX) & LEAF7_D_ARCH_CAPS ? 0 : -XEN_EINVAL;
    case MSR_MISC_FEATURES:
        *val = 0;
        return 0;
    default:
        return -XEN_EINVAL;
    }
}

static int msr_read_common(struct vcpu *v, uint32_t msr, uint64_t *val)
{
    *val = 0;
    switch (msr) {
    case MSR_TSC:
        *val = guest_tsc_read(v->domain);
        return 0;
    case MSR_APIC_BASE: case MSR_PAT:
        return rdmsr_safe(msr, val) ? -XEN_EINVAL : 0;
    case MSR_EFER:
        *val = rdmsr(MSR_EFER) & EFER_GUEST;
        return 0;
    case MSR_UCODE_REV:
        return v->domain->hardware ? msr_read_or_zero(msr, ~0ULL, val) : 0;
    case MSR_MCG_CAP: case MSR_MCG_STATUS: case MSR_DEBUGCTL:
    case MSR_MC_FIRST ... MSR_MC_LAST:
        return 0;
    case MSR_TSC_AUX:
        *val = to_x86(v)->tsc_aux;
        return cpu_features.rdtscp ? 0 : -XEN_EINVAL;
    default:
        return -XEN_EINVAL;
    }
}

int guest_msr_read(struct vcpu *v, uint32_t msr, uint64_t *val)
{
    /* in kernel mode the process's GS base waits in KERNEL_GS_BASE, as on a bare machine */
    if (msr == MSR_KERNEL_GS_BASE || msr == MSR_GS_BASE || msr == MSR_FS_BASE) {
        *val = rdmsr(msr);
        return 0;
    }
    if (!msr_read_common(v, msr, val))
        return 0;
    if (!msr_read_amd(msr, val) || !msr_read_intel(v, msr, val))
        return 0;
    if (v->domain->hardware && msr_hardware_readable(msr) && !rdmsr_safe(msr, val))
        return 0;
    return -XEN_EINVAL;
}

/* --- Writing --- */

static int msr_write_base(struct vcpu *v, uint32_t msr, uint64_t val)
{
    struct x86_vcpu *xv = to_x86(v);

    if (!canonical(val))
        return -XEN_EINVAL;
    wrmsr(msr, val);
    if (msr == MSR_FS_BASE)
        xv->fs_base = val;
    else if (msr == MSR_GS_BASE)
        xv->gs_base_kernel = val;
    else
        xv->gs_base_user = val;
    return 0;
}

static int msr_write_aux(struct vcpu *v, uint64_t val)
{
    if (!cpu_features.rdtscp || val >> 32)
        return -XEN_EINVAL;
    to_x86(v)->tsc_aux = (uint32_t)val;
    tsc_aux_write((uint32_t)val);
    return 0;
}

/* AMD only, where leaf 80000008 shows it to the guest. */
static int msr_write_pred_cmd(struct vcpu *v, uint64_t val)
{
    if (!(policy_register(v, 0x80000008, EBX) & LEAF_E8_B_IBPB) || (val & ~PRED_CMD_IBPB))
        return -XEN_EINVAL;
    return val ? wrmsr_safe(MSR_PRED_CMD, val) : 0;
}

/* Registers whose value is ours: writing what is there is fine, and nothing else. */
static int msr_write_same(struct vcpu *v, uint32_t msr, uint64_t val)
{
    uint64_t now;

    return guest_msr_read(v, msr, &now) || now != val ? -XEN_EINVAL : 0;
}

int guest_msr_write(struct vcpu *v, uint32_t msr, uint64_t val)
{
    switch (msr) {
    case MSR_FS_BASE: case MSR_GS_BASE: case MSR_KERNEL_GS_BASE:
        return msr_write_base(v, msr, val);
    case MSR_TSC_AUX:
        return msr_write_aux(v, val);
    case MSR_PRED_CMD:
        return msr_write_pred_cmd(v, val);
    case MSR_MCG_STATUS:
    case MSR_MC_FIRST ... MSR_MC_LAST: /* no banks, so nothing to clear or enable */
        return 0;
    case MSR_UCODE_REV: case MSR_MISC_FEATURES: case MSR_DEBUGCTL:
        return val ? -XEN_EINVAL : 0;
    case MSR_MISC_ENABLE:
        return cpu_features.intel ? 0 : -XEN_EINVAL; /* ignored */
    case MSR_AMD_HWCR: case MSR_AMD_DE_CFG:
    case MSR_AMD_PERF_FIRST ... MSR_AMD_PERF_LAST:
    case MSR_AMD_PERF2_FIRST ... MSR_AMD_PERF2_LAST:
        return cpu_features.amd ? 0 : -XEN_EINVAL; /* ignored */
    case MSR_EFER: case MSR_PAT: case MSR_APIC_BASE:
        return msr_write_same(v, msr, val);
    default:
        return -XEN_EINVAL;
    }
}
