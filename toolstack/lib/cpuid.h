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

/* Where a feature is by name ('-', '_', '.' and case do not count): 0, or -ENOENT (silent). leaf 0: no guest ever has it. */
int cpuid_feature(const char *name, size_t len, struct cpuid_change *where);
