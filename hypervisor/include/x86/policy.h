/* SPDX-License-Identifier: MIT */
/*
 * Processor policies: the CPUID leaves (and the few MSRs that say the same kind of thing) of the processor, of
 * the machine as we use it, and of guests. x86/policy.c: the form, reading and writing it by leaf;
 * x86/policy_make.c: the policies of this machine; x86/policy_check.c: may a guest have it?
 * x86/policy_ctl.c: the control calls.
 */
#pragma once

#include "abi.h"
#include "types.h"

#include <xen/arch-x86/cpuid.h>

struct domain;

/* Leaves are kept in slots; slot numbers are private to policy.c apart from policy_slot(). */
#define POLICY_NR_BASIC 0x0e
#define POLICY_NR_CACHE 6   /* leaf 4 */
#define POLICY_NR_FEAT 3    /* leaf 7 */
#define POLICY_NR_TOPO 2    /* leaf b */
#define POLICY_NR_XSTATE 20 /* leaf d */
#define POLICY_NR_HV 2      /* 40000000, 40000100: limits only */
#define POLICY_NR_EXT 0x22
#define POLICY_SLOTS                                                                               \
    (POLICY_NR_BASIC + POLICY_NR_CACHE + POLICY_NR_FEAT + POLICY_NR_TOPO + POLICY_NR_XSTATE +      \
     POLICY_NR_HV + POLICY_NR_EXT)

enum { EAX, EBX, ECX, EDX };

struct cpu_policy {
    uint32_t r[POLICY_SLOTS][4];
    uint64_t platform_info; /* MSR 0xce: bit 31, CPUID faulting */
    uint64_t arch_caps;     /* MSR 0x10a */
};

#define POLICY_COMMON_1D 0x0183f3ffU /* bits of leaf 1's edx that AMD repeats in leaf 80000001 */
#define POLICY_MSRS 2
#define PLATFORM_INFO_CPUID_FAULT BIT(31)

/* A featureset: words as numbered in the ABI's cpufeatureset.h. */
#define POLICY_WORDS 19
struct cpu_featureset {
    uint32_t w[POLICY_WORDS];
};
static inline bool feature_test(const struct cpu_featureset *f, unsigned bit)
{
    return f->w[bit / 32] & (1U << bit % 32);
}

/* --- x86/policy.c: no state, host-tested ------------------------------------------------------------ */

/* Slot of a leaf, or -1: no policy says anything about it. sub is ignored by leaves without subleaves. */
int policy_slot(uint32_t leaf, uint32_t sub);
/* Number of leaves that policies have at most in the ABI's form. */
static inline unsigned policy_max_leaves(void)
{
    return POLICY_SLOTS - 4; /* leaves 4, 7, b, d count by their subleaves */
}
/* The leaf at `*slot` or behind it that p really has, in the ABI's form; false at the end. Start with 0. */
bool policy_next_leaf(const struct cpu_policy *p, unsigned *slot, xen_cpuid_leaf_t *out);
/* Overwrite one leaf or register. -XEN_ERANGE: policies do not have it; MSRs also -XEN_EINVAL (flags) and
 * -XEN_EOVERFLOW (bits that do not exist). */
int policy_take_leaf(struct cpu_policy *p, const xen_cpuid_leaf_t *l) __must_check;
int policy_take_msr(struct cpu_policy *p, const xen_msr_entry_t *m) __must_check;
void policy_msr_entry(const struct cpu_policy *p, unsigned i, xen_msr_entry_t *out);
void policy_features(const struct cpu_policy *p, struct cpu_featureset *f);
void policy_features_set(struct cpu_policy *p, const struct cpu_featureset *f);
/* Where a word of the featureset is: leaf, subleaf and register; words of MSR 0x10a: leaf ~0. */
struct policy_place {
    uint32_t leaf, sub, reg;
};
extern const struct policy_place policy_word_place[POLICY_WORDS];
/* XSAVE components of leaf d; bytes of an area with `xcr0` of them. */
uint64_t policy_xcr0(const struct cpu_policy *p);
uint32_t policy_xstate_size(const struct cpu_policy *p, uint64_t xcr0, bool compact);

/* --- x86/policy_make.c --------------------------------------------------------------------------------- */

/* raw: the processor; host: what of it is used; pv_max, pv_default: PV guests; pv_hardware: domain 0. */
extern struct cpu_policy policy_raw, policy_host, policy_pv_max, policy_pv_default, policy_pv_hardware;
/* Boot CPU, after cpu_features_find(). */
void policies_init(void);
/* Topology and what else is not the guest's to choose, from max. */
void policy_force(struct cpu_policy *p, const struct cpu_policy *max);

/* --- x86/policy_check.c ---------------------------------------------------------------------------------- */

struct policy_fault {
    uint32_t leaf, subleaf, msr; /* ~0: not that */
    uint32_t reg, bits;          /* register EAX.. and what is too much in it */
    const char *what;
};
/* Is p no more than max? 0, or -XEN_EINVAL and *f. */
int policy_check(const struct cpu_policy *p, const struct cpu_policy *max,
                 struct policy_fault *f) __must_check;

/* --- x86/policy_ctl.c ---------------------------------------------------------------------------------------- */

const struct cpu_policy *policy_of(const struct domain *d);
void policy_domain_free(struct domain *d);
/* The words as tools want them. */
void policy_featureset(const struct cpu_policy *p, struct cpu_featureset *f);
