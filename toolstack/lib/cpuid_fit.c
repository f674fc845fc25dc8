/* SPDX-License-Identifier: MIT */
/* A CPU policy from elsewhere. See cpuid_fit.h. */
#include "cpuid_fit.h"

#define NO_SUB XEN_CPUID_NO_SUBLEAF

/* Bits that only advise: a kernel that has seen them does no harm where they are not. */
static const struct {
    uint32_t leaf, sub;
    unsigned reg;
    uint32_t bits;
} advice[] = {
    { 0x80000008, NO_SUB, 1, 1U << 26 | 1U << 29 | 1U << 30 }, /* SSB_NO, BTC_NO, IBPB_RET */
    { 0x80000021, NO_SUB, 0, 1U << 2 | 1U << 6 | 1U << 29 },   /* LFENCE serialises, null selectors clear the base, SRSO_NO */
};

static const xen_cpuid_leaf_t *find(const xen_cpuid_leaf_t *list, unsigned n, uint32_t leaf, uint32_t sub)
{
    for (unsigned i = 0; i < n; i++)
        if (list[i].leaf == leaf && list[i].subleaf == sub)
            return &list[i];
    return NULL;
}

static uint32_t *reg_of(xen_cpuid_leaf_t *l, unsigned reg)
{
    return reg == 0 ? &l->a : reg == 1 ? &l->b : reg == 2 ? &l->c : &l->d;
}

/* The last leaf of the range that a leaf is in, here; ~0: such ranges are not limited. */
static uint32_t last_of(const xen_cpuid_leaf_t *max, unsigned n_max, uint32_t leaf)
{
    const xen_cpuid_leaf_t *first = leaf < 0x40000000 ? find(max, n_max, 0, NO_SUB) : leaf >= 0x80000000 ? find(max, n_max, 0x80000000, NO_SUB) : NULL;

    return first ? first->a : ~0U;
}

static bool fit_limit(xen_cpuid_leaf_t *l, const xen_cpuid_leaf_t *max, unsigned n_max)
{
    const xen_cpuid_leaf_t *m = find(max, n_max, l->leaf, l->subleaf);
    bool limit = l->leaf == 0 || l->leaf == 0x80000000 || (l->leaf == 7 && !l->subleaf);

    if (!limit || !m || l->a <= m->a)
        return false;
    l->a = m->a;
    return true;
}

static bool fit_advice(xen_cpuid_leaf_t *l, const xen_cpuid_leaf_t *max, unsigned n_max)
{
    const xen_cpuid_leaf_t *m = find(max, n_max, l->leaf, l->subleaf);
    bool changed = false;

    for (unsigned i = 0; i < sizeof(advice) / sizeof(*advice); i++) {
        if (advice[i].leaf != l->leaf || advice[i].sub != l->subleaf)
            continue;
        xen_cpuid_leaf_t none = { 0 }, here = m ? *m : none;
        uint32_t gone = advice[i].bits & *reg_of(l, advice[i].reg) & ~*reg_of(&here, advice[i].reg);

        *reg_of(l, advice[i].reg) &= ~gone;
        changed |= gone != 0;
    }
    return changed;
}

unsigned cpuid_fit(xen_cpuid_leaf_t *leaf, unsigned n, const xen_cpuid_leaf_t *max, unsigned n_max, bool *changed)
{
    unsigned out = 0;

    *changed = false;
    for (unsigned i = 0; i < n; i++) {
        xen_cpuid_leaf_t l = leaf[i];

        *changed |= fit_limit(&l, max, n_max);
        *changed |= fit_advice(&l, max, n_max);
        if (l.leaf > last_of(max, n_max, l.leaf) && !l.a && !l.b && !l.c && !l.d)
            *changed = true; /* an empty one that cannot be named here */
        else
            leaf[out++] = l;
    }
    return out;
}
