/* SPDX-License-Identifier: MIT */
/*
 * The CPUID that a PV guest sees: the processor's leaves filtered by masks of what PV can promise, and
 * the hypervisor's own leaves. Topology is flat (one thread, one core): a vCPU may run anywhere. Processes
 * that execute the bare instruction on a processor without CPUID faulting see the real values.
 * Speculation controls by MSR are hidden: guest_msr_write() refuses them.
 */
#include "vtime.h"
#include "page.h"
#include "x86/pv_emul.h"

#include <xen/arch-x86/cpuid.h>

#define LEAF_MAX_BASIC 0x0d
#define LEAF_MAX_EXT 0x80000021
#define XEN_VERSION_4_17 0x00040011

enum { EAX, EBX, ECX, EDX };

/* Leaf 1 edx: FPU DE TSC MSR PAE MCE CX8 APIC MCA CMOV PAT CLFSH ACPI MMX FXSR SSE SSE2 SS */
#define F1D_MASK 0x0fc9c3f5U
#define F1D_MTRR BIT(12)
/* Leaf 1 ecx: SSE3 PCLMUL SSSE3 FMA CX16 SSE4.1 SSE4.2 MOVBE POPCNT AES XSAVE AVX F16C RDRAND */
#define F1C_MASK 0x76d83203U
#define F1C_FMA BIT(12)
#define F1C_XSAVE BIT(26)
#define F1C_OSXSAVE BIT(27)
#define F1C_AVX BIT(28)
#define F1C_F16C BIT(29)
#define F1C_HYPERVISOR BIT(31)
/* Leaf 7 ebx: FSGSBASE BMI1 AVX2 BMI2 ERMS AVX512F,DQ RDSEED ADX IFMA CLFLUSHOPT CLWB AVX512CD SHA
 * AVX512BW,VL */
#define F7B_MASK 0xf1af0329U
#define F7B_AVX2 BIT(5)
#define F7B_AVX512 0xd0230000U
/* Leaf 7 ecx: VBMI VBMI2 GFNI VAES VPCLMUL VNNI BITALG VPOPCNTDQ RDPID CLDEMOTE MOVDIRI MOVDIR64B */
#define F7C_MASK 0x1a405f42U
#define F7C_AVX 0x00000600U
#define F7C_AVX512 0x00005842U
/* Leaf 7 edx: 4VNNIW 4FMAPS FSRM VP2INTERSECT MD_CLEAR SERIALIZE */
#define F7D_MASK 0x0000451cU
#define F7D_AVX512 0x0000010cU
/* Leaf 7.1 eax: AVX_VNNI AVX512_BF16 FZRM FSRS FSRCS */
#define F71A_MASK 0x00001c30U
/* Leaf 80000001 edx: what leaf 1 has, SYSCALL NX MMXEXT FFXSR RDTSCP LM 3DNOWEXT 3DNOW */
#define FE1D_MASK 0xea500800U
#define FE1D_COMMON 0x0183f3ffU /* AMD: copies of leaf 1 */
#define FE1D_NX BIT(20)
#define FE1D_RDTSCP BIT(27)
/* ecx: LAHF LZCNT SSE4A MISALIGN PREFETCHW XOP FMA4 TBM */
#define FE1C_MASK 0x002109e1U
#define FE1C_AVX 0x00010800U
/* Leaf 80000008 ebx: CLZERO, IBPB */
#define FE8B_CLZERO BIT(0)
#define FE8B_IBPB BIT(12)
/* Leaf 80000021 eax: LFENCE is serialising, null selector clears the base */
#define FE21A_MASK 0x00000044U

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

static uint32_t leaf1_edx(const struct vcpu *v, uint32_t raw)
{
    return raw & (F1D_MASK | (v->domain->hardware ? F1D_MTRR : 0));
}

static void cpuid_leaf1(struct vcpu *v, uint32_t r[4])
{
    uint32_t c = r[ECX] & F1C_MASK;

    if (!cpu_features.xsave)
        c &= ~(uint32_t)F1C_XSAVE;
    if (!has_avx())
        c &= ~(uint32_t)(F1C_AVX | F1C_F16C | F1C_FMA);
    if ((c & F1C_XSAVE) && (to_x86(v)->cr4 & CR4_OSXSAVE))
        c |= F1C_OSXSAVE;
    r[ECX] = c | F1C_HYPERVISOR;
    r[EDX] = leaf1_edx(v, r[EDX]);
    /* no APIC id, one logical processor; brand index and CLFLUSH line stay */
    r[EBX] = (r[EBX] & 0x0000ffff) | 1U << 16;
}

/* Cache parameters: not shared with anyone. */
static void cpuid_leaf4(uint32_t r[4])
{
    r[EAX] &= 0x3fff;
}

static void cpuid_leaf7(uint32_t sub, uint32_t r[4])
{
    uint32_t b = F7B_MASK, c = F7C_MASK, d = F7D_MASK;

    if (sub == 1) {
        r[EAX] &= has_avx512() ? F71A_MASK : F71A_MASK & ~BIT(5);
        if (!has_avx())
            r[EAX] &= ~(uint32_t)BIT(4);
        r[EBX] = r[ECX] = r[EDX] = 0;
        return;
    }
    if (!cpu_features.fsgsbase)
        b &= ~(uint32_t)BIT(0);
    if (!has_avx()) {
        b &= ~(uint32_t)F7B_AVX2;
        c &= ~F7C_AVX;
    }
    if (!has_avx512()) {
        b &= ~F7B_AVX512;
        c &= ~F7C_AVX512;
        d &= ~F7D_AVX512;
    }
    r[EAX] = MIN(r[EAX], 1U);
    r[EBX] &= b;
    r[ECX] &= c;
    r[EDX] &= d;
}

/* Bytes of an XSAVE area with these components. */
static uint32_t xstate_size(uint64_t xcr0, bool compact)
{
    uint32_t size = 576, r[4];

    for (unsigned i = 2; i < 63; i++) {
        if (!(xcr0 & BIT(i)))
            continue;
        cpuid(0xd, i, r);
        if (!compact)
            size = MAX(size, r[EAX] + r[EBX]);
        else
            size = (r[ECX] & 2 ? ROUND_UP(size, 64U) : size) + r[EAX];
    }
    return size;
}

static void cpuid_leafd(struct vcpu *v, uint32_t sub, uint32_t r[4])
{
    uint64_t all = cpu_features.xcr0, now = to_x86(v)->xcr0;

    if (!cpu_features.xsave || sub > 62) {
        r[EAX] = r[EBX] = r[ECX] = r[EDX] = 0;
    } else if (sub == 0) {
        r[EAX] = (uint32_t)all;
        r[EBX] = xstate_size(now, false);
        r[ECX] = xstate_size(all, false);
        r[EDX] = (uint32_t)(all >> 32);
    } else if (sub == 1) {
        r[EAX] &= 7; /* XSAVEOPT, XSAVEC, XGETBV with 1; not XSAVES */
        r[EBX] = r[EAX] & 2 ? xstate_size(now, true) : 0;
        r[ECX] = r[EDX] = 0;
    } else if (all & BIT(sub)) {
        r[ECX] &= 2;
        r[EDX] = 0;
    } else {
        r[EAX] = r[EBX] = r[ECX] = r[EDX] = 0;
    }
}

static void cpuid_basic(struct vcpu *v, uint32_t leaf, uint32_t sub, uint32_t r[4])
{
    switch (leaf) {
    case 0:
        r[EAX] = MIN(r[EAX], (uint32_t)LEAF_MAX_BASIC);
        return;
    case 1:
        cpuid_leaf1(v, r);
        return;
    case 2: /* caches of Intel processors */
        return;
    case 4:
        cpuid_leaf4(r);
        return;
    case 7:
        if (sub <= 1) {
            cpuid_leaf7(sub, r);
            return;
        }
        break;
    case 0xd:
        cpuid_leafd(v, sub, r);
        return;
    default: /* 3 serial number, 5 MWAIT, 6 power, 9 DCA, a counters, b topology: not offered */
        break;
    }
    r[EAX] = r[EBX] = r[ECX] = r[EDX] = 0;
}

static void cpuid_ext1(struct vcpu *v, uint32_t r[4])
{
    uint32_t d = FE1D_MASK, common = cpu_features.amd ? r[EDX] & FE1D_COMMON : 0;

    if (!cpu_features.nx)
        d &= ~(uint32_t)FE1D_NX;
    if (!cpu_features.rdtscp)
        d &= ~(uint32_t)FE1D_RDTSCP;
    r[EDX] = (r[EDX] & d) | leaf1_edx(v, common);
    r[ECX] &= has_avx() ? FE1C_MASK : FE1C_MASK & ~FE1C_AVX;
    r[EBX] &= cpu_features.amd ? 0xf0000000 : 0; /* package type */
}

static void cpuid_extended(struct vcpu *v, uint32_t leaf, uint32_t r[4])
{
    switch (leaf) {
    case 0x80000000:
        r[EAX] = MIN(r[EAX], LEAF_MAX_EXT);
        return;
    case 0x80000001:
        cpuid_ext1(v, r);
        return;
    case 0x80000002: case 0x80000003: case 0x80000004: /* name */
    case 0x80000005: case 0x80000006:                  /* caches and TLBs */
        return;
    case 0x80000007: /* invariant TSC: a guest that can be moved must not rely on it */
        r[EDX] = v->domain->hardware && cpu_features.tsc_invariant ? BIT(8) : 0;
        r[EAX] = r[EBX] = r[ECX] = 0;
        return;
    case 0x80000008:
        r[EAX] = (r[EAX] & 0xff) | 48U << 8;
        r[EBX] &= cpu_features.amd ? FE8B_CLZERO | FE8B_IBPB : 0;
        r[ECX] = r[EDX] = 0;
        return;
    case 0x80000021:
        r[EAX] &= FE21A_MASK;
        r[EBX] = r[ECX] = r[EDX] = 0;
        return;
    default: /* 8000000a SVM, 8000001d-1f topology and encryption */
        r[EAX] = r[EBX] = r[ECX] = r[EDX] = 0;
    }
}

/* --- 0x40000000 on ---------------------------------------------------------------------------------- */

/* ns = ((tsc << shift) * mul) >> 32, so 10^6 ns take so many ticks. */
static uint32_t tsc_khz(const struct time_scale *s)
{
    uint64_t khz = s->mul ? (1000000ULL << 32) / s->mul : 0;

    return (uint32_t)(s->shift < 0 ? khz << -s->shift : khz >> s->shift);
}

static void cpuid_time(struct vcpu *v, uint32_t sub, uint32_t r[4])
{
    struct time_scale s;
    uint64_t at_zero, ns;

    time_scale_now(&s);
    switch (sub) {
    case 0:
        r[EAX] = (s.tsc_stable ? 2 : 0) | (cpu_features.rdtscp ? 4 : 0);
        r[EBX] = to_x86d(v->domain)->tsc_mode;
        r[ECX] = tsc_khz(&s);
        break;
    case 1: /* offset: system time at TSC 0 */
        at_zero = s.shift < 0 ? s.stamp_tsc >> -s.shift : s.stamp_tsc << s.shift;
        ns = s.stamp_ns - (uint64_t)(((unsigned __int128)at_zero * s.mul) >> 32);
        r[EAX] = (uint32_t)ns;
        r[EBX] = (uint32_t)(ns >> 32);
        r[ECX] = s.mul;
        r[EDX] = (uint8_t)s.shift;
        break;
    case 2:
        r[EAX] = tsc_khz(&s);
        break;
    }
}

/* Of the machine's RAM: guests choose the width of grant entries by it. */
static unsigned address_width(void)
{
    return frame_max > 1 ? 64 - (unsigned)__builtin_clzll(frame_max - 1) + FRAME_SHIFT
                         : cpu_features.phys_bits;
}

static void cpuid_hypervisor(struct vcpu *v, uint32_t index, uint32_t sub, uint32_t r[4])
{
    switch (index) {
    case 0:
        r[EAX] = XEN_CPUID_LEAF(XEN_CPUID_MAX_NUM_LEAVES);
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

void guest_cpuid(struct vcpu *v, uint32_t leaf, uint32_t sub, uint32_t r[4])
{
    r[EAX] = r[EBX] = r[ECX] = r[EDX] = 0;
    if (leaf >= 0x40000000 && leaf < 0x40010000) {
        cpuid_hypervisor(v, leaf - 0x40000000, sub, r);
    } else if (leaf <= MIN(cpu_features.max_leaf, (uint32_t)LEAF_MAX_BASIC)) {
        cpuid(leaf, sub, r);
        cpuid_basic(v, leaf, sub, r);
    } else if (leaf >= 0x80000000 && leaf <= MIN(cpu_features.max_ext, LEAF_MAX_EXT)) {
        cpuid(leaf, sub, r);
        cpuid_extended(v, leaf, r);
    }
}
