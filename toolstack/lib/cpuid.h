/* SPDX-License-Identifier: MIT */
/*
 * `cpuid =` of a configuration: which bits of a guest's CPUID are to differ from the hypervisor's default. Both of xl's forms:
 *   "host,avx2=0,rdrand=x"         features by name (cpuid_names.c), or family, model, stepping, maxleaf with a number
 *   "1:ecx=xxx0...,edx=..." ...    leaves, 32 letters for each register, bit 31 first
 * A value is 0, 1, x (as by default), k or s (as the host has it). Nothing can be given that the host does not have.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "ctl.h"

#define CPUID_CHANGES 96U

struct cpuid_change {
    uint32_t leaf, sub;            /* XEN_CPUID_NO_SUBLEAF: has none */
    unsigned reg;                  /* 0-3: eax, ebx, ecx, edx */
    uint32_t clear, set, host;     /* bits; host: as the host has them */
    char word[48];                 /* what was written, for messages */
};

struct cpuid_changes {
    struct cpuid_change change[CPUID_CHANGES];
    unsigned n;
};

/* -EINVAL with fault(): not understood. */
int cpuid_parse(const char *text, struct cpuid_changes *out);
/* May a guest have that, where `max` is the most that one can have? -EOPNOTSUPP with fault() names what is not there. */
int cpuid_check(const struct cpuid_changes *c, const xen_cpuid_leaf_t *max, unsigned n_max);
/* Changes a domain's leaves; cpuid_check() has passed. */
int cpuid_apply(const struct cpuid_changes *c, const xen_cpuid_leaf_t *max, unsigned n_max, xen_cpuid_leaf_t *leaf, unsigned n);

/* --- levels (cpuid_level.c): `cpu_level =` ------------------------------------------------------------------------------- */

/* As the psABI of x86-64 defines them; HOST: what this host gives a guest when nothing is said. */
enum cpuid_level { CPUID_LEVEL_HOST, CPUID_LEVEL_V1, CPUID_LEVEL_V2, CPUID_LEVEL_V3, CPUID_LEVEL_V4 };

/* -EINVAL with fault(). */
int cpuid_level_parse(const char *text, enum cpuid_level *level);
const char *cpuid_level_name(enum cpuid_level level);
/* How many features of a level and those below it are not in `max`; their names, blanks between, into text. */
unsigned cpuid_level_missing(enum cpuid_level level, const xen_cpuid_leaf_t *max, unsigned n_max, char *text, size_t size);
/* The highest that `max` reaches; 0: not even the first. */
int cpuid_level_highest(const xen_cpuid_leaf_t *max, unsigned n_max);
/* -EOPNOTSUPP with fault() that names level, host and what is missing. */
int cpuid_level_check(enum cpuid_level level, const xen_cpuid_leaf_t *max, unsigned n_max, const char *host);
/* Takes out of a domain's leaves what is above the level; cpuid_apply() comes after. */
void cpuid_level_apply(enum cpuid_level level, xen_cpuid_leaf_t *leaf, unsigned n);

/* --- names (cpuid_names.c) ------------------------------------------------------------------------------------------------ */

/* Bits of leaf 1's edx that AMD's processors repeat in 80000001. */
#define CPUID_REPEATED 0x0183f3ffU

/* Where a feature is by name ('-', '_', '.' and case do not count): 0, or -ENOENT (silent). leaf 0: no guest ever has it. */
int cpuid_feature(const char *name, size_t len, struct cpuid_change *where);
/* The i-th register that consists of features; where->leaf 0: that one is no part of CPUID. false: there are no more. */
bool cpuid_feature_register(unsigned i, struct cpuid_change *where);
/* The name of one feature: where->host has its bit. */
void cpuid_feature_name(const struct cpuid_change *bit, char out[32]);
