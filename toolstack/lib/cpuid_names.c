/* SPDX-License-Identifier: MIT */
/* Names of processor features: those of the ABI's header, and where xl's configuration calls them otherwise. */
#include "cpuid.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct { const char *name; unsigned bit; } features[] = {
#define XEN_CPUFEATURE(name, value) { #name, value },
#include <xen/arch-x86/cpufeatureset.h>
#undef XEN_CPUFEATURE
    /* not in the header, since no guest is offered them */
    { "CNTXID", 1 * 32 + 10 }, { "PSN", 0 * 32 + 18 }, { "IA64", 0 * 32 + 30 },
    { "PERFCTR_CORE", 3 * 32 + 23 }, { "PERFCTR_NB", 3 * 32 + 24 },
};

static const struct { const char *name, *header; } others[] = {
    { "CMPXCHG8", "CX8" }, { "CMPXCHG16", "CX16" }, { "SYSENTER", "SEP" }, { "CLFSH", "CLFLUSH" }, { "TM", "TM1" }, { "EST", "EIST" },
    { "AES", "AESNI" }, { "LAHFSAHF", "LAHF_LM" }, { "ALTMOVCR8", "CR8_LEGACY" }, { "NODEID", "NODEID_MSR" }, { "CMT", "PQM" },
    { "INVTSC", "ITSC" }, { "PNI", "SSE3" }, { "LZCNT", "ABM" },
};

/* In leaves in which the hypervisor tells nobody anything. */
static const char *const never[] = {
    "ARAT", "SVM_NPT", "SVM_LBRV", "SVM_NRIPS", "SVM_TSCRATE", "SVM_VMCBCLEAN", "SVM_DECODE", "SVM_PAUSEFILT",
};

static const uint32_t none = XEN_CPUID_NO_SUBLEAF;

/* Where the words of the ABI's featureset are: leaf, subleaf, register. The words of an MSR have no place in CPUID. */
static const struct { uint32_t leaf, sub; unsigned reg; } words[] = {
    { 1, none, 3 }, { 1, none, 2 }, { 0x80000001, none, 3 }, { 0x80000001, none, 2 }, { 0xd, 1, 0 }, { 7, 0, 1 }, { 7, 0, 2 },
    { 0x80000007, none, 3 }, { 0x80000008, none, 1 }, { 7, 0, 3 }, { 7, 1, 0 }, { 0x80000021, none, 0 }, { 7, 1, 1 }, { 7, 2, 3 },
    { 7, 1, 2 }, { 7, 1, 3 }, { 0, 0, 0 }, { 0, 0, 0 }, { 0x80000021, none, 2 },
};
#define N(a) (sizeof(a) / sizeof(*(a)))

static bool same(const char *a, size_t len, const char *b)
{
    const char *end = a + len;

    for (;; a++, b++) {
        while (a < end && strchr("-_.", *a))
            a++;
        while (*b == '_')
            b++;
        if (a == end || !*b)
            return a == end && !*b;
        if (toupper((unsigned char)*a) != *b)
            return false;
    }
}

int cpuid_feature(const char *name, size_t len, struct cpuid_change *where)
{
    for (unsigned i = 0; i < N(others); i++)
        if (same(name, len, others[i].name)) {
            name = others[i].header;
            len = strlen(name);
        }
    for (unsigned i = 0; i < N(features); i++) {
        unsigned word = features[i].bit / 32;

        if (!same(name, len, features[i].name) || word >= N(words) || !words[word].leaf)
            continue;
        *where = (struct cpuid_change){ .leaf = words[word].leaf, .sub = words[word].sub, .reg = words[word].reg,
            .host = 1U << features[i].bit % 32 };
        return 0;
    }
    for (unsigned i = 0; i < N(never); i++)
        if (same(name, len, never[i])) {
            *where = (struct cpuid_change){ .leaf = 0 };
            return 0;
        }
    return -ENOENT;
}

bool cpuid_feature_register(unsigned i, struct cpuid_change *where)
{
    if (i >= N(words))
        return false;
    *where = (struct cpuid_change){ .leaf = words[i].leaf, .sub = words[i].sub, .reg = words[i].reg };
    return true;
}

void cpuid_feature_name(const struct cpuid_change *bit, char out[32])
{
    for (unsigned i = 0; i < N(features); i++) {
        unsigned word = features[i].bit / 32;

        if (word < N(words) && words[word].leaf == bit->leaf && words[word].sub == bit->sub && words[word].reg == bit->reg &&
            1U << features[i].bit % 32 == bit->host) {
            snprintf(out, 32, "%s", features[i].name);
            for (char *p = out; *p; p++)
                *p = (char)tolower((unsigned char)*p);
            return;
        }
    }
    snprintf(out, 32, "%x.%c%cx:%08x", bit->leaf, 'e', "abcd"[bit->reg], bit->host);
}
