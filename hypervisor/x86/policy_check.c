/* SPDX-License-Identifier: MIT */
/*
 * May a guest have this policy here? It must not promise what the maximum lacks: a feature that is not there makes
 * the guest fail later, at an instruction, instead of now, with a name. Nothing is masked silently, except
 * what is not the guest's to choose (topology, OSXSAVE, sizes: policy_force()), and what the ABI's own tools
 * are known to send from the host's values (HTT, CMP_LEGACY).
 */
#include "x86/policy.h"

#include "lib.h"

#include <xen/arch-x86/cpufeatureset.h>

#define F(name) XEN_X86_FEATURE_##name

static const uint32_t *leaf_of(const struct cpu_policy *p, uint32_t leaf, uint32_t sub)
{
    return p->r[policy_slot(leaf, sub)];
}

static int fault(struct policy_fault *f, uint32_t leaf, uint32_t sub, uint32_t reg, uint32_t bits,
                 const char *what)
{
    *f = (struct policy_fault){leaf, sub, ~0U, reg, bits, what};
    return -XEN_EINVAL;
}

static bool has_subleaf(uint32_t leaf)
{
    return leaf == 4 || leaf == 7 || leaf == 0xb || leaf == 0xd;
}

static uint32_t ignored_bits(unsigned word)
{
    switch (word) {
    case F(HTT) / 32:
        return 1U << F(HTT) % 32;
    case F(OSXSAVE) / 32:
        return 1U << F(OSXSAVE) % 32;
    case F(SYSCALL) / 32:
        return POLICY_COMMON_1D;
    case F(CMP_LEGACY) / 32:
        return 1U << F(CMP_LEGACY) % 32;
    default:
        return 0;
    }
}

static int check_features(const struct cpu_policy *p, const struct cpu_policy *max,
                          struct policy_fault *f)
{
    struct cpu_featureset want, have;

    policy_features(p, &want);
    policy_features(max, &have);
    for (unsigned i = 0; i < POLICY_WORDS; i++) {
        const struct policy_place *w = &policy_word_place[i];
        uint32_t extra = want.w[i] & ~have.w[i] & ~ignored_bits(i);

        if (!extra)
            continue;
        if (w->leaf == ~0U) {
            *f = (struct policy_fault){~0U, ~0U, 0x10a, w->reg, extra, "capabilities not here"};
            return -XEN_EINVAL;
        }
        return fault(f, w->leaf, has_subleaf(w->leaf) ? w->sub : XEN_CPUID_NO_SUBLEAF, w->reg, extra,
                     "features that are not here");
    }
    return 0;
}

static int check_limits(const struct cpu_policy *p, const struct cpu_policy *max,
                        struct policy_fault *f)
{
    const uint32_t *a = leaf_of(p, 0, 0), *b = leaf_of(max, 0, 0);
    uint32_t ext = leaf_of(p, 0x80000000, 0)[EAX];

    if (a[EAX] > b[EAX])
        return fault(f, 0, XEN_CPUID_NO_SUBLEAF, EAX, a[EAX], "more basic leaves");
    if (a[EBX] != b[EBX] || a[ECX] != b[ECX] || a[EDX] != b[EDX])
        return fault(f, 0, XEN_CPUID_NO_SUBLEAF, EBX, a[EBX], "another vendor");
    if (leaf_of(p, 7, 0)[EAX] > leaf_of(max, 7, 0)[EAX])
        return fault(f, 7, 0, EAX, leaf_of(p, 7, 0)[EAX], "more subleaves");
    if (ext > leaf_of(max, 0x80000000, 0)[EAX])
        return fault(f, 0x80000000, XEN_CPUID_NO_SUBLEAF, EAX, ext, "more extended leaves");
    if ((leaf_of(p, 0x80000008, 0)[EAX] & 0xff) > (leaf_of(max, 0x80000008, 0)[EAX] & 0xff))
        return fault(f, 0x80000008, XEN_CPUID_NO_SUBLEAF, EAX, leaf_of(p, 0x80000008, 0)[EAX],
                     "wider physical addresses");
    return 0;
}

/* The components and where they lie: a guest's saved area must mean the same here. */
static int check_xstate(const struct cpu_policy *p, const struct cpu_policy *max,
                        struct policy_fault *f)
{
    uint64_t want = policy_xcr0(p), extra = want & ~policy_xcr0(max);

    if (extra)
        return fault(f, 0xd, 0, (uint32_t)extra ? EAX : EDX,
                     (uint32_t)extra ? (uint32_t)extra : (uint32_t)(extra >> 32),
                     "XSAVE components that are not here");
    for (unsigned i = 2; i < POLICY_NR_XSTATE; i++) {
        const uint32_t *a = leaf_of(p, 0xd, i), *b = leaf_of(max, 0xd, i);

        if ((want & BIT(i)) && (a[EAX] != b[EAX] || a[EBX] != b[EBX] || (a[ECX] & 2) != b[ECX]))
            return fault(f, 0xd, i, EAX, a[EAX], "an XSAVE component of another size or place");
    }
    return 0;
}

/* Leaves in which no guest is told anything: monitor, power, counters, virtualisation, encryption. */
static int check_hidden(const struct cpu_policy *p, const struct cpu_policy *max,
                        struct policy_fault *f)
{
    static const uint32_t hidden[] = {3,          5,          6,          8,          9,
                                      0xa,        0xc,        0x80000009, 0x8000000a, 0x8000001b,
                                      0x8000001c, 0x8000001d, 0x8000001f, 0x80000020};

    for (unsigned i = 0; i < ARRAY_SIZE(hidden); i++) {
        const uint32_t *r = leaf_of(p, hidden[i], 0);

        for (unsigned k = 0; k < 4; k++)
            if (r[k])
                return fault(f, hidden[i], XEN_CPUID_NO_SUBLEAF, k, r[k], "not offered to guests");
    }
    return 0;
}

int policy_check(const struct cpu_policy *p, const struct cpu_policy *max, struct policy_fault *f)
{
    int rc = check_limits(p, max, f);

    if (!rc)
        rc = check_features(p, max, f);
    if (!rc)
        rc = check_xstate(p, max, f);
    if (!rc)
        rc = check_hidden(p, max, f);
    if (!rc && (p->platform_info & ~max->platform_info)) {
        *f = (struct policy_fault){~0U, ~0U, 0xce, EAX, (uint32_t)p->platform_info,
                                   "CPUID faulting for the guest itself"};
        rc = -XEN_EINVAL;
    }
    return rc;
}
