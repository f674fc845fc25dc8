/* SPDX-License-Identifier: MIT */
/*
 * Feature levels of x86-64 as its psABI names them: a guest that is given one can move between all hosts that reach it, since nothing of what
 * lies above is shown to it. A level is a list of what there is, not of what is taken away: features of processors to come are hidden too.
 *
 * Two things are in a list: what makes up the level (a host without it is refused) and what a kernel finds on every such processor and
 * is shown where the host has it. Mitigations against speculation are in neither: a kernel without them takes the careful way. Who wants one
 * of those, or another single feature, adds it by `cpuid =`, which comes after. No system calls.
 */
#include "cpuid.h"
#include "fault.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Blank-separated names as `cpuid =` takes them; a level has those of the levels below it too. */
static const struct {
    const char *name, *features, *state;
    uint32_t max_leaf;       /* what lies above is of later processors */
    uint32_t components;     /* of the extended state: bits of XCR0 */
} levels[] = {
    [CPUID_LEVEL_V1] = { "x86-64-v1", "cmov cx8 fpu fxsr mmx syscall sse sse2", "", 0x7, 0 },
    [CPUID_LEVEL_V2] = { "x86-64-v2", "cmpxchg16 lahfsahf popcnt sse3 sse4_1 sse4_2 ssse3", "", 0xb, 0 },
    [CPUID_LEVEL_V3] = { "x86-64-v3", "xsave avx avx2 bmi1 bmi2 f16c fma lzcnt movbe", "avx-state", 0xd, 0x7 },
    [CPUID_LEVEL_V4] = { "x86-64-v4", "avx512f avx512bw avx512cd avx512dq avx512vl", "avx512-state", 0xd, 0xe7 },
};

/* The hypervisor itself among them: a paravirtual kernel looks there first. */
static const char common[] = "hypervisor vme de pse tsc msr pae mce apic sysenter mtrr pge mca pat pse36 clfsh htt nx lm";

#define MAX_EXTENDED_LEAF 0x80000008U

static uint32_t *register_of(xen_cpuid_leaf_t *leaf, unsigned n, const struct cpuid_change *c)
{
    for (unsigned i = 0; i < n; i++)
        if (leaf[i].leaf == c->leaf && leaf[i].subleaf == c->sub)
            return (uint32_t *[]){ &leaf[i].a, &leaf[i].b, &leaf[i].c, &leaf[i].d }[c->reg];
    return NULL;
}

static uint32_t value_of(const xen_cpuid_leaf_t *leaf, unsigned n, const struct cpuid_change *c)
{
    const uint32_t *r = register_of((xen_cpuid_leaf_t *)leaf, n, c);

    return r ? *r : 0;
}

const char *cpuid_level_name(enum cpuid_level level)
{
    return level == CPUID_LEVEL_HOST ? "host" : levels[level].name;
}

int cpuid_level_parse(const char *text, enum cpuid_level *level)
{
    if (!strcasecmp(text, "host")) {
        *level = CPUID_LEVEL_HOST;
        return 0;
    }
    for (unsigned i = CPUID_LEVEL_V1; i <= CPUID_LEVEL_V4; i++)
        if (!strcasecmp(text, levels[i].name)) {
            *level = (enum cpuid_level)i;
            return 0;
        }
    return fault(-EINVAL, "cpu_level '%s': it is x86-64-v1, x86-64-v2, x86-64-v3, x86-64-v4 or host; mend 'cpu_level ='", text);
}

/* --- what is missing ---------------------------------------------------------------------------------------------------- */

static unsigned add_missing(char *text, size_t size, unsigned n, const char *name, size_t len)
{
    size_t at = strlen(text);

    snprintf(text + at, size - at, "%s%.*s", n ? " " : "", (int)len, name);
    return n + 1;
}

/* One level's own features, without those of the levels below. */
static unsigned missing_of(enum cpuid_level level, const xen_cpuid_leaf_t *max, unsigned n_max, char *text, size_t size, unsigned n)
{
    static const struct cpuid_change xcr0 = { .leaf = 0xd, .sub = 0, .reg = 0 };
    const char *word = levels[level].features;

    for (size_t len; (len = strcspn(word, " ")); word += len + (word[len] == ' ')) {
        struct cpuid_change c;

        if (cpuid_feature(word, len, &c) || !(value_of(max, n_max, &c) & c.host))
            n = add_missing(text, size, n, word, len);
    }
    if (levels[level].components & ~value_of(max, n_max, &xcr0))
        n = add_missing(text, size, n, levels[level].state, strlen(levels[level].state));
    return n;
}

unsigned cpuid_level_missing(enum cpuid_level level, const xen_cpuid_leaf_t *max, unsigned n_max, char *text, size_t size)
{
    unsigned n = 0;

    *text = 0;
    for (unsigned i = CPUID_LEVEL_V1; i <= (unsigned)level && level != CPUID_LEVEL_HOST; i++)
        n = missing_of((enum cpuid_level)i, max, n_max, text, size, n);
    return n;
}

int cpuid_level_highest(const xen_cpuid_leaf_t *max, unsigned n_max)
{
    char text[256];
    unsigned level = CPUID_LEVEL_V1;

    while (level <= CPUID_LEVEL_V4 && !cpuid_level_missing((enum cpuid_level)level, max, n_max, text, sizeof(text)))
        level++;
    return (int)level - 1;
}

int cpuid_level_check(enum cpuid_level level, const xen_cpuid_leaf_t *max, unsigned n_max, const char *host)
{
    char text[256];

    if (!cpuid_level_missing(level, max, n_max, text, sizeof(text)))
        return 0;
    int best = cpuid_level_highest(max, n_max);

    if (best < CPUID_LEVEL_V1)
        return fault(-EOPNOTSUPP, "cpu_level %s: host %s cannot give that to a guest: %s missing; take 'cpu_level =' out", levels[level].name, host,
                     text);
    return fault(-EOPNOTSUPP, "cpu_level %s: host %s cannot give that to a guest: %s missing; its guests can have up to %s (`xm info --cpu-level`), mend 'cpu_level ='",
                 levels[level].name, host, text, levels[best].name);
}

/* --- masking ------------------------------------------------------------------------------------------------------------ */

static uint32_t keep_of(const char *words, const struct cpuid_change *where)
{
    uint32_t keep = 0;

    for (size_t len; (len = strcspn(words, " ")); words += len + (words[len] == ' ')) {
        struct cpuid_change c;

        if (!cpuid_feature(words, len, &c) && c.leaf == where->leaf && c.sub == where->sub && c.reg == where->reg)
            keep |= c.host;
    }
    return keep;
}

static void lower(xen_cpuid_leaf_t *leaf, unsigned n, uint32_t number, uint32_t sub, uint32_t to)
{
    struct cpuid_change where = { .leaf = number, .sub = sub };
    uint32_t *r = register_of(leaf, n, &where);

    if (r && *r > to)
        *r = to;
}

void cpuid_level_apply(enum cpuid_level level, xen_cpuid_leaf_t *leaf, unsigned n)
{
    struct cpuid_change where = { .leaf = 0 };
    uint32_t *r;

    if (level == CPUID_LEVEL_HOST)
        return;
    for (unsigned i = 0; cpuid_feature_register(i, &where); i++) {
        uint32_t keep = keep_of(common, &where);

        for (unsigned l = CPUID_LEVEL_V1; l <= (unsigned)level; l++)
            keep |= keep_of(levels[l].features, &where);
        if (where.leaf && (r = register_of(leaf, n, &where)))
            *r &= where.leaf == 0x80000001 && where.reg == 3 ? keep | CPUID_REPEATED : keep;
    }
    where = (struct cpuid_change){ .leaf = 0xd };
    if ((r = register_of(leaf, n, &where)))
        *r &= levels[level].components;
    where.reg = 3;
    if ((r = register_of(leaf, n, &where)))
        *r = 0;
    lower(leaf, n, 0, XEN_CPUID_NO_SUBLEAF, levels[level].max_leaf);
    lower(leaf, n, 7, 0, 0);
    lower(leaf, n, 0x80000000, XEN_CPUID_NO_SUBLEAF, MAX_EXTENDED_LEAF);
}
