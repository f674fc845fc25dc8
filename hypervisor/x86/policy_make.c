/* SPDX-License-Identifier: MIT */
/*
 * The policies of this machine, made once at boot. What PV guests may have is a list of features: those whose
 * instructions work in ring 3, whose state we switch, and whose registers we emulate. "Optional" ones are in
 * the maximum only, a guest gets them when its configuration asks: they hinder migration or are hard on others.
 * Speculation controls by MSR are not offered (pv/msr.c refuses them); that a processor is immune is told.
 *
 * Topology is flat (one thread, one core): a vCPU may run anywhere.
 */
#include "x86/policy.h"

#include "lib.h"
#include "x86/cpu.h"

#include <xen/arch-x86/cpufeatureset.h>

struct cpu_policy policy_raw, policy_host, policy_pv_max, policy_pv_default, policy_pv_hardware;

#define F(name) XEN_X86_FEATURE_##name
/* Headers before 4.17.7 (a Debian 12 without its updates) do not name it. */
#define FEATURE_SRSO_US_NO (11 * 32 + 30)

/* Wherever the processor has them. */
static const uint16_t plain[] = {
    F(FPU), F(DE), F(TSC), F(MSR), F(PAE), F(MCE), F(CX8), F(APIC), F(MCA), F(CMOV), F(PAT),
    F(CLFLUSH), F(ACPI), F(MMX), F(FXSR), F(SSE), F(SSE2), F(SS), F(SSE3), F(PCLMULQDQ), F(SSSE3),
    F(CX16), F(SSE4_1), F(SSE4_2), F(MOVBE), F(POPCNT), F(AESNI), F(RDRAND), F(HYPERVISOR),
    F(SYSCALL), F(NX), F(MMXEXT), F(FFXSR), F(RDTSCP), F(LM), F(3DNOWEXT), F(3DNOW), F(LAHF_LM),
    F(ABM), F(SSE4A), F(MISALIGNSSE), F(3DNOWPREFETCH), F(TBM), F(FSGSBASE), F(BMI1), F(BMI2),
    F(RDSEED), F(ADX), F(CLFLUSHOPT), F(CLWB), F(SHA), F(GFNI), F(RDPID), F(CLDEMOTE),
    F(MD_CLEAR), F(SERIALIZE), F(ARCH_CAPS), F(MCDT_NO),
    F(RDCL_NO), F(RSBA), F(INTEL_SSB_NO), F(MDS_NO), F(IF_PSCHANGE_MC_NO), F(TAA_NO),
    F(SBDR_SSDP_NO), F(FBSDP_NO), F(PSDP_NO), F(FB_CLEAR), F(RRSBA), F(BHI_NO), F(PBRSB_NO),
    F(GDS_NO), F(RFDS_NO), F(RFDS_CLEAR), F(ITS_NO),
};
/* That `rep movsb` and the like are quick: kernels then copy and clear by them. An emulator does them byte by byte, so there they are
 * offered to nobody by default; a guest that comes from elsewhere and has seen them may have them. */
static const uint16_t quick_strings[] = {
    F(ERMS), F(FSRM), F(FZRM), F(FSRS), F(FSRCS),
};
/* With XSAVE. */
static const uint16_t with_xsave[] = {
    F(XSAVE), F(XSAVEOPT), F(XSAVEC), F(XGETBV1),
};
/* If we switch the AVX state. */
static const uint16_t with_avx[] = {
    F(FMA), F(AVX), F(F16C), F(XOP), F(FMA4), F(AVX2), F(VAES), F(VPCLMULQDQ), F(AVX_VNNI),
};
/* ... or that of AVX-512. */
static const uint16_t with_avx512[] = {
    F(AVX512F), F(AVX512DQ), F(AVX512_IFMA), F(AVX512CD), F(AVX512BW), F(AVX512VL), F(AVX512_VBMI),
    F(AVX512_VBMI2), F(AVX512_VNNI), F(AVX512_BITALG), F(AVX512_VPOPCNTDQ), F(AVX512_4VNNIW),
    F(AVX512_4FMAPS), F(AVX512_BF16),
};
/* Leaves 8000000x whose bits only AMD defines. */
static const uint16_t on_amd[] = {
    F(CLZERO), F(RSTR_FP_ERR_PTRS), F(IBPB), F(SSB_NO), F(BTC_NO), F(IBPB_RET), F(LFENCE_DISPATCH),
    F(VERW_CLEAR), F(NSCB), F(IBPB_BRTYPE), F(SRSO_NO), FEATURE_SRSO_US_NO, F(TSA_SQ_NO), F(TSA_L1_NO),
};
/* Only when the configuration asks. */
static const uint16_t optional[] = {
    F(MOVDIRI), F(MOVDIR64B), F(ITSC),
};
static const uint16_t optional_avx512[] = {
    F(AVX512_VP2INTERSECT),
};

#define XCR0_AVX BIT(2)
#define XCR0_AVX512 (BIT(5) | BIT(6) | BIT(7))

static bool has_avx(void)
{
    return cpu_features.xcr0 & XCR0_AVX;
}

static bool has_avx512(void)
{
    return (cpu_features.xcr0 & XCR0_AVX512) == XCR0_AVX512;
}

static void mask_add(struct cpu_featureset *f, const uint16_t *bits, unsigned n, bool on)
{
    for (unsigned i = 0; on && i < n; i++)
        f->w[bits[i] / 32] |= 1U << bits[i] % 32;
}

#define MASK_ADD(f, list, on) mask_add(f, list, ARRAY_SIZE(list), on)

/* QEMU without hardware virtualisation says so. */
static bool in_emulator(void)
{
    uint32_t r[4];

    cpuid(1, 0, r);
    if (!(r[ECX] & BIT(31)))
        return false;
    cpuid(0x40000000, 0, r);
    return r[EBX] == 0x54474354 && r[ECX] == 0x43544743 && r[EDX] == 0x47435447; /* "TCGTCGTCGTCG" */
}

static void feature_mask(struct cpu_featureset *f, bool max)
{
    memset(f, 0, sizeof(*f));
    MASK_ADD(f, plain, true);
    MASK_ADD(f, quick_strings, max || !in_emulator());
    MASK_ADD(f, with_xsave, cpu_features.xsave);
    MASK_ADD(f, with_avx, has_avx());
    MASK_ADD(f, with_avx512, has_avx512());
    MASK_ADD(f, on_amd, cpu_features.amd);
    MASK_ADD(f, optional, max);
    MASK_ADD(f, optional_avx512, max && has_avx512());
}

static uint32_t *leaf_at(struct cpu_policy *p, uint32_t leaf, uint32_t sub)
{
    return p->r[policy_slot(leaf, sub)];
}

/* --- The processor and the machine ------------------------------------------------------------------- */

static void read_subleaves(struct cpu_policy *p, uint32_t leaf, unsigned nr)
{
    for (unsigned i = 0; i < nr; i++)
        cpuid(leaf, i, leaf_at(p, leaf, i));
}

static void make_raw(struct cpu_policy *p)
{
    uint32_t max, ext, r[4];

    cpuid(0, 0, r);
    max = MIN(r[EAX], POLICY_NR_BASIC - 1U);
    cpuid(0x80000000, 0, r);
    ext = r[EAX] >= 0x80000000 ? MIN(r[EAX], 0x80000000U + POLICY_NR_EXT - 1) : 0x7fffffff;
    for (uint32_t i = 0; i <= max; i++)
        if (i != 4 && i != 7 && i != 0xb && i != 0xd)
            cpuid(i, 0, leaf_at(p, i, 0));
    if (max >= 4)
        read_subleaves(p, 4, POLICY_NR_CACHE);
    if (max >= 7) {
        cpuid(7, 0, r);
        read_subleaves(p, 7, MIN(r[EAX] + 1, (uint32_t)POLICY_NR_FEAT));
    }
    if (max >= 0xb)
        read_subleaves(p, 0xb, POLICY_NR_TOPO);
    if (max >= 0xd)
        read_subleaves(p, 0xd, POLICY_NR_XSTATE);
    for (uint32_t i = 0x80000000; i <= ext && ext >= 0x80000000; i++)
        cpuid(i, 0, leaf_at(p, i, 0));
    leaf_at(p, 0, 0)[EAX] = max;
    leaf_at(p, 0x80000000, 0)[EAX] = ext;
    p->platform_info = cpu_features.cpuid_faulting ? PLATFORM_INFO_CPUID_FAULT : 0;
    p->arch_caps = cpu_features.arch_caps;
}

static void clear_if(struct cpu_featureset *f, bool off, unsigned bit)
{
    if (off)
        f->w[bit / 32] &= ~(1U << bit % 32);
}

/* What the command line took away, and XSAVE components that are not switched. */
static void make_host(struct cpu_policy *p, const struct cpu_policy *raw)
{
    const struct cpu_features *c = &cpu_features;
    struct cpu_featureset f;

    *p = *raw;
    policy_features(p, &f);
    clear_if(&f, !c->smep, F(SMEP));
    clear_if(&f, !c->smap, F(SMAP));
    clear_if(&f, !c->umip, F(UMIP));
    clear_if(&f, !c->fsgsbase, F(FSGSBASE));
    clear_if(&f, !c->x2apic, F(X2APIC));
    clear_if(&f, !c->pcid, F(PCID));
    clear_if(&f, !c->xsave, F(XSAVE));
    clear_if(&f, !c->xsave, F(XSAVEOPT));
    clear_if(&f, !c->xsave, F(XSAVEC));
    clear_if(&f, !c->xsave, F(XGETBV1));
    clear_if(&f, !has_avx(), F(AVX));
    clear_if(&f, !has_avx(), F(AVX2));
    clear_if(&f, !has_avx512(), F(AVX512F));
    policy_features_set(p, &f);
}

/* --- Guests --------------------------------------------------------------------------------------------------- */

static void force_basic(struct cpu_policy *p, const struct cpu_policy *max)
{
    uint32_t *b = leaf_at(p, 1, 0);

    /* no APIC id, one logical processor; brand index and CLFLUSH line stay */
    b[EBX] = (b[EBX] & 0x0000ffff) | 1U << 16;
    b[EDX] &= ~(1U << (F(HTT) % 32));
    b[ECX] &= ~(1U << (F(OSXSAVE) % 32)); /* follows the guest's CR4 */
    b[ECX] |= 1U << (F(HYPERVISOR) % 32);
    for (unsigned i = 0; i < POLICY_NR_CACHE; i++)
        leaf_at(p, 4, i)[EAX] &= 0x3fff; /* caches not shared with anyone */
    for (unsigned i = 0; i < POLICY_NR_TOPO; i++)
        memset(leaf_at(p, 0xb, i), 0, 16);
    memset(leaf_at(p, 7, 2), 0, 12);
}

static void force_extended(struct cpu_policy *p, const struct cpu_policy *max)
{
    uint32_t *e = leaf_at(p, 0x80000001, 0), *w = leaf_at(p, 0x80000008, 0);

    e[EDX] &= ~POLICY_COMMON_1D;
    if (cpu_features.amd)
        e[EDX] |= leaf_at(p, 1, 0)[EDX] & POLICY_COMMON_1D;
    e[ECX] &= ~(1U << (F(CMP_LEGACY) % 32));
    w[EAX] = (w[EAX] & 0xff) | 48U << 8;
    w[ECX] = w[EDX] = 0;
    memset(leaf_at(p, 0x80000007, 0), 0, 12);
    leaf_at(p, 0x80000021, 0)[EBX] = leaf_at(p, 0x80000021, 0)[EDX] = 0;
    memset(leaf_at(p, 0x8000001e, 0), 0, 16);
}

/* The components that the features want: without AVX in XCR0 its instructions fault, so that programs, which may see the
 * processor's own CPUID, do not use what their guest is not to have. */
static uint64_t xstate_components(const struct cpu_policy *p, const struct cpu_policy *max)
{
    uint64_t xcr0 = policy_xcr0(p) & policy_xcr0(max);
    struct cpu_featureset f;

    policy_features(p, &f);
    if (!feature_test(&f, F(XSAVE)))
        return 0;
    if (!feature_test(&f, F(AVX)))
        xcr0 &= ~XCR0_AVX;
    if (!feature_test(&f, F(AVX512F)) || !(xcr0 & XCR0_AVX))
        xcr0 &= ~XCR0_AVX512;
    return xcr0;
}

/* Sizes follow from the components. */
static void force_xstate(struct cpu_policy *p, const struct cpu_policy *max)
{
    uint64_t xcr0 = xstate_components(p, max);
    uint32_t *d0 = leaf_at(p, 0xd, 0), *d1 = leaf_at(p, 0xd, 1);

    for (unsigned i = 2; i < POLICY_NR_XSTATE; i++) {
        const uint32_t *m = max->r[policy_slot(0xd, i)]; /* p and max may be the same */

        for (unsigned k = 0; k < 4; k++)
            leaf_at(p, 0xd, i)[k] = xcr0 & BIT(i) ? m[k] : 0;
    }
    d0[EAX] = (uint32_t)xcr0;
    d0[EDX] = (uint32_t)(xcr0 >> 32);
    d0[EBX] = xcr0 ? policy_xstate_size(p, 1, false) : 0; /* follows the guest's XCR0 */
    d0[ECX] = xcr0 ? policy_xstate_size(p, xcr0, false) : 0;
    d1[EAX] = xcr0 ? d1[EAX] : 0;
    d1[EBX] = d1[EAX] & 2 ? policy_xstate_size(p, 1, true) : 0;
    d1[ECX] = d1[EDX] = 0;
}

void policy_force(struct cpu_policy *p, const struct cpu_policy *max)
{
    force_basic(p, max);
    force_extended(p, max);
    force_xstate(p, max);
}

/* Leaves that guests see as they are, apart from the features in them: versions, names, caches. */
static void copy_plain(struct cpu_policy *p, const struct cpu_policy *host)
{
    static const uint32_t same[] = {0,          1,          2,          0x80000000, 0x80000001,
                                     0x80000002, 0x80000003, 0x80000004, 0x80000005, 0x80000006,
                                     0x80000008};

    for (unsigned i = 0; i < ARRAY_SIZE(same); i++)
        memcpy(leaf_at(p, same[i], 0), host->r[policy_slot(same[i], 0)], 16);
    for (unsigned i = 0; i < POLICY_NR_CACHE; i++)
        memcpy(leaf_at(p, 4, i), host->r[policy_slot(4, i)], 16);
    leaf_at(p, 0x80000001, 0)[EBX] &= cpu_features.amd ? 0xf0000000 : 0; /* package type */
}

static void copy_xstate(struct cpu_policy *p, const struct cpu_policy *host)
{
    uint32_t *d0 = leaf_at(p, 0xd, 0);

    d0[EAX] = (uint32_t)cpu_features.xcr0;
    d0[EDX] = (uint32_t)(cpu_features.xcr0 >> 32);
    for (unsigned i = 2; i < POLICY_NR_XSTATE; i++) {
        uint32_t *r = leaf_at(p, 0xd, i);

        if (!(cpu_features.xcr0 & BIT(i)))
            continue;
        memcpy(r, host->r[policy_slot(0xd, i)], 16);
        r[ECX] &= 2;
        r[EDX] = 0;
    }
}

static void make_pv(struct cpu_policy *p, const struct cpu_policy *host, bool max)
{
    struct cpu_featureset have, may;

    memset(p, 0, sizeof(*p));
    copy_plain(p, host);
    copy_xstate(p, host);
    policy_features(host, &have);
    feature_mask(&may, max);
    for (unsigned i = 0; i < POLICY_WORDS; i++)
        may.w[i] &= have.w[i];
    may.w[F(HYPERVISOR) / 32] |= 1U << F(HYPERVISOR) % 32;
    policy_features_set(p, &may);
    if (!feature_test(&may, F(ARCH_CAPS)))
        p->arch_caps = 0;
    leaf_at(p, 7, 0)[EAX] = MIN(host->r[policy_slot(7, 0)][EAX], POLICY_NR_FEAT - 1U);
    leaf_at(p, XEN_CPUID_FIRST_LEAF, 0)[EAX] = 0; /* no limit below ours */
    policy_force(p, p);
}

/* Domain 0 owns the machine and never leaves it: invariant TSC and the MTRRs (to look at). */
static void make_hardware(struct cpu_policy *p)
{
    *p = policy_pv_default;
    leaf_at(p, 0x80000007, 0)[EDX] |= leaf_at(&policy_pv_max, 0x80000007, 0)[EDX];
    leaf_at(p, 1, 0)[EDX] |= leaf_at(&policy_host, 1, 0)[EDX] & (1U << F(MTRR) % 32);
    policy_force(p, p);
}

void policies_init(void)
{
    memset(&policy_raw, 0, sizeof(policy_raw));
    make_raw(&policy_raw);
    make_host(&policy_host, &policy_raw);
    make_pv(&policy_pv_max, &policy_host, true);
    make_pv(&policy_pv_default, &policy_host, false);
    make_hardware(&policy_pv_hardware);
}
