/* SPDX-License-Identifier: MIT */
/*
 * The form of a processor policy. A policy has a fixed set of slots, one for each leaf and subleaf that anybody
 * may be told something about; the ABI's form is a list of (leaf, subleaf, registers), of which only those are
 * written that the policy has by its own limits (leaf 0, 7.0, d.0, 80000000). What is listed nowhere is zero.
 */
#include "x86/policy.h"

#include "lib.h"
#include "x86/cpu.h"

#define NO_SUB XEN_CPUID_NO_SUBLEAF

/* Slots in the order in which the ABI's form lists them; leaves with subleaves stand behind the others. */
static const struct range {
    uint32_t leaf, nr;
    bool subs; /* nr counts subleaves */
} ranges[] = {
    {0, POLICY_NR_BASIC, false},         {4, POLICY_NR_CACHE, true},
    {7, POLICY_NR_FEAT, true},           {0xb, POLICY_NR_TOPO, true},
    {0xd, POLICY_NR_XSTATE, true},       {XEN_CPUID_FIRST_LEAF, 1, false},
    {XEN_CPUID_FIRST_LEAF + 0x100, 1, false}, {0x80000000, POLICY_NR_EXT, false},
};

static bool has_subleaves(uint32_t leaf)
{
    return leaf == 4 || leaf == 7 || leaf == 0xb || leaf == 0xd;
}

int policy_slot(uint32_t leaf, uint32_t sub)
{
    bool subs = has_subleaves(leaf);
    unsigned base = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(ranges); i++) {
        const struct range *g = &ranges[i];

        if (g->subs ? subs && leaf == g->leaf && sub < g->nr
                    : !subs && leaf >= g->leaf && leaf - g->leaf < g->nr)
            return (int)(base + (g->subs ? sub : leaf - g->leaf));
        base += g->nr;
    }
    return -1;
}

/* The other way round; false: a slot that nothing uses (leaf 4 among the simple ones, ...). */
static bool slot_name(unsigned slot, uint32_t *leaf, uint32_t *sub)
{
    for (unsigned i = 0; i < ARRAY_SIZE(ranges); i++) {
        const struct range *g = &ranges[i];

        if (slot < g->nr) {
            *leaf = g->subs ? g->leaf : g->leaf + slot;
            *sub = g->subs ? slot : NO_SUB;
            return g->subs || !has_subleaves(*leaf);
        }
        slot -= g->nr;
    }
    return false;
}

static const uint32_t *leaf_of(const struct cpu_policy *p, uint32_t leaf, uint32_t sub)
{
    return p->r[policy_slot(leaf, sub)];
}

uint64_t policy_xcr0(const struct cpu_policy *p)
{
    const uint32_t *r = leaf_of(p, 0xd, 0);

    return r[EAX] | (uint64_t)r[EDX] << 32;
}

uint32_t policy_xstate_size(const struct cpu_policy *p, uint64_t xcr0, bool compact)
{
    uint32_t size = 576;

    for (unsigned i = 2; i < POLICY_NR_XSTATE; i++) {
        const uint32_t *r = leaf_of(p, 0xd, i);

        if (!(xcr0 & BIT(i)))
            continue;
        if (!compact)
            size = MAX(size, r[EAX] + r[EBX]);
        else
            size = (r[ECX] & 2 ? ROUND_UP(size, 64U) : size) + r[EAX];
    }
    return size;
}

/* --- The ABI's form ------------------------------------------------------------------------------------ */

static bool policy_has(const struct cpu_policy *p, uint32_t leaf, uint32_t sub)
{
    if (leaf >= 0x80000000)
        return leaf <= leaf_of(p, 0x80000000, 0)[EAX];
    if (leaf >= XEN_CPUID_FIRST_LEAF)
        return true;
    if (leaf > leaf_of(p, 0, 0)[EAX])
        return false;
    switch (leaf) {
    case 4:
        return leaf_of(p, 4, sub)[EAX] & 0x1f;
    case 7:
        return sub <= leaf_of(p, 7, 0)[EAX];
    case 0xd:
        return sub < 2 || (policy_xcr0(p) & BIT(sub));
    default:
        return true;
    }
}

bool policy_next_leaf(const struct cpu_policy *p, unsigned *slot, xen_cpuid_leaf_t *out)
{
    for (; *slot < POLICY_SLOTS; ++*slot) {
        const uint32_t *r = p->r[*slot];
        uint32_t leaf, sub;

        if (!slot_name(*slot, &leaf, &sub) || !policy_has(p, leaf, sub))
            continue;
        *out = (xen_cpuid_leaf_t){leaf, sub, r[EAX], r[EBX], r[ECX], r[EDX]};
        ++*slot;
        return true;
    }
    return false;
}

int policy_take_leaf(struct cpu_policy *p, const xen_cpuid_leaf_t *l)
{
    const uint32_t r[4] = {l->a, l->b, l->c, l->d};
    int slot = policy_slot(l->leaf, l->subleaf);

    if (!has_subleaves(l->leaf) && l->subleaf != NO_SUB)
        return -XEN_ERANGE;
    if (slot < 0) /* one that says nothing does no harm */
        return r[0] | r[1] | r[2] | r[3] ? -XEN_ERANGE : 0;
    memcpy(p->r[index_nospec((uint64_t)slot, POLICY_SLOTS)], r, sizeof(r));
    return 0;
}

int policy_take_msr(struct cpu_policy *p, const xen_msr_entry_t *m)
{
    if (m->flags)
        return -XEN_EINVAL;
    switch (m->idx) {
    case MSR_PLATFORM_INFO:
        if (m->val & ~PLATFORM_INFO_CPUID_FAULT)
            return -XEN_EOVERFLOW;
        p->platform_info = m->val;
        return 0;
    case MSR_ARCH_CAPS:
        p->arch_caps = m->val;
        return 0;
    default:
        return -XEN_ERANGE;
    }
}

void policy_msr_entry(const struct cpu_policy *p, unsigned i, xen_msr_entry_t *out)
{
    *out = i ? (xen_msr_entry_t){.idx = MSR_ARCH_CAPS, .val = p->arch_caps}
             : (xen_msr_entry_t){.idx = MSR_PLATFORM_INFO, .val = p->platform_info};
}

/* --- Featuresets ------------------------------------------------------------------------------------------ */

const struct policy_place policy_word_place[POLICY_WORDS] = {
    {1, 0, EDX},          {1, 0, ECX},          {0x80000001, 0, EDX}, {0x80000001, 0, ECX},
    {0xd, 1, EAX},        {7, 0, EBX},          {7, 0, ECX},          {0x80000007, 0, EDX},
    {0x80000008, 0, EBX}, {7, 0, EDX},          {7, 1, EAX},          {0x80000021, 0, EAX},
    {7, 1, EBX},          {7, 2, EDX},          {7, 1, ECX},          {7, 1, EDX},
    {~0U, 0, EAX},        {~0U, 0, EDX},        {0x80000021, 0, ECX},
};

void policy_features(const struct cpu_policy *p, struct cpu_featureset *f)
{
    for (unsigned i = 0; i < POLICY_WORDS; i++) {
        const struct policy_place *w = &policy_word_place[i];

        if (w->leaf == ~0U)
            f->w[i] = (uint32_t)(w->reg == EAX ? p->arch_caps : p->arch_caps >> 32);
        else
            f->w[i] = p->r[policy_slot(w->leaf, w->sub)][w->reg];
    }
}

void policy_features_set(struct cpu_policy *p, const struct cpu_featureset *f)
{
    uint64_t caps = 0;

    for (unsigned i = 0; i < POLICY_WORDS; i++) {
        const struct policy_place *w = &policy_word_place[i];

        if (w->leaf == ~0U)
            caps |= (uint64_t)f->w[i] << (w->reg == EAX ? 0 : 32);
        else
            p->r[policy_slot(w->leaf, w->sub)][w->reg] = f->w[i];
    }
    p->arch_caps = caps;
}
