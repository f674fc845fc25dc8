/* SPDX-License-Identifier: MIT */
/*
 * `cpuid =` of configurations: both forms, what is not understood, what a host cannot give, and what becomes of the leaves.
 * sources: toolstack/lib/cpuid.c toolstack/lib/cpuid_names.c toolstack/lib/fault.c
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpuid.h"
#include "fault.h"

#define NONE XEN_CPUID_NO_SUBLEAF
#define N 6U

/* A host with SSE3 (c 0), AVX (c 28), RDRAND (c 30) in leaf 1, AVX2 (b 5) in 7.0, family 6 model 0x9e stepping 9. */
static const xen_cpuid_leaf_t host[N] = {
    { 0, NONE, 0xd, 1, 2, 3 }, { 1, NONE, 0x000906e9, 0x100800, 0x50000001, 0x178bfbff }, { 7, 0, 1, 0x20, 0, 0 }, { 7, 1, 0x10, 0, 0, 0 },
    { 0x80000000, NONE, 0x80000008, 0, 0, 0 }, { 0x80000001, NONE, 0, 0, 1, 0x20000000 },
};
static xen_cpuid_leaf_t own[N];

/* What a guest with that text has; by default it has no RDRAND. */
static int run(const char *text)
{
    static struct cpuid_changes c;
    int rc;

    fault_clear();
    memcpy(own, host, sizeof(own));
    own[1].c = 0x10000001;
    rc = cpuid_parse(text, &c);
    rc = rc ? rc : cpuid_check(&c, host, N);
    return rc ? rc : cpuid_apply(&c, host, N, own, N);
}

static void good(const char *text)
{
    if (run(text))
        fail_msg("%s: %s", text, fault_text());
}

static void bad(const char *text, int rc, const char *why)
{
    assert_int_equal(run(text), rc);
    if (!strstr(fault_text(), why))
        fail_msg("%s: '%s' is not in: %s", text, why, fault_text());
}

static void test_names(void **state)
{
    good("host");
    assert_int_equal(own[1].c, 0x10000001);
    good("host,avx2=0");
    assert_int_equal(own[2].b, 0);
    good("host,AVX=0,rdrand=1,sse3=x");
    assert_int_equal(own[1].c, 0x40000001);
    good("host,rdrand=k,avx2=s,pni=0");
    assert_int_equal(own[1].c, 0x50000000);
    assert_int_equal(own[2].b, 0x20);
    good("host,avx512f=k,avx-vnni=0"); /* as the host has it: not at all */
    assert_int_equal(own[2].b, 0x20);
    assert_int_equal(own[3].a, 0);
    good("host,lm=0,lahfsahf=0,arat=0,cmpxchg16=0,tsc-deadline=0,sse4.1=0,sse4_2=0,invtsc=0");
    assert_int_equal(own[5].d | own[5].c, 0);
}

static void test_numbers(void **state)
{
    good("host,family=0x17,model=1,stepping=2");
    assert_int_equal(own[1].a, 0x00800f12);
    good("host,family=6,model=0x5e");
    assert_int_equal(own[1].a, 0x000506e9);
    good("host,maxleaf=0x7,family=k");
    assert_int_equal(own[0].a, 7);
    assert_int_equal(own[1].a, 0x000906e9);
    bad("host,maxleaf=0xe", -EOPNOTSUPP, "maxleaf=0xe");
    bad("host,stepping=16", -EINVAL, "within its field");
    bad("host,family=", -EINVAL, "number");
    bad("host,family=6x", -EINVAL, "number");
    bad("host,localapicid=3", -EINVAL, "hypervisor's to say");
}

#define X8 "xxxxxxxx"
static void test_leaves(void **state)
{
    good("1:ecx=xxx0" "xxxx" X8 X8 X8);
    assert_int_equal(own[1].c, 1);
    good("1:ecx=x1xxxxxx" X8 X8 "xxxxxxx0,eax=" X8 X8 X8 "xxxx0011 7,0:ebx=" X8 X8 X8 "xx0xxxxx");
    assert_int_equal(own[1].c, 0x50000000);
    assert_int_equal(own[1].a, 0x000906e3);
    assert_int_equal(own[2].b, 0);
    good("0x80000001:edx=xx0xxxxx" X8 X8 X8);
    assert_int_equal(own[5].d, 0);
    good("7,1:eax=kkkkkkkk" "kkkkkkkk" "00000000" "000s0000");
    assert_int_equal(own[3].a, 0x10);
    bad("7:ebx=1xxxxxxx" X8 X8 X8, -EOPNOTSUPP, "leaf 0x7 ebx, bits 0x80000000");
    bad("9:ebx=1xxxxxxx" X8 X8 X8, -EOPNOTSUPP, "leaf 0x9");
    bad("1:ecx=" X8, -EINVAL, "32 letters");
    bad("1:egx=" X8 X8 X8 X8, -EINVAL, "eax, ebx");
    bad("1:ecx=y" "xxxxxxx" X8 X8 X8, -EINVAL, "0, 1, x");
    bad("1,2:ecx=" X8 X8 X8 X8, -EINVAL, "begins with");
    bad("1", -EINVAL, "begins with");
    bad(":ecx=" X8 X8 X8 X8, -EINVAL, "begins with");
}

static void test_refused(void **state)
{
    bad("host,avx512f=1", -EOPNOTSUPP, "'avx512f=1': guests of this host cannot have that");
    bad("host,arat=1", -EOPNOTSUPP, "arat");
    bad("host,vmx=1", -EOPNOTSUPP, "vmx");
    bad("host,frob=0", -EINVAL, "no such feature");
    bad("host,avx=2", -EINVAL, "0, 1, x or k");
    bad("host,avx=", -EINVAL, "0, 1, x or k");
    bad("host,avx", -EINVAL, "FEATURE=VALUE");
    bad("hosts,avx=0", -EINVAL, "begins with");
}

/* Many changes, and words cut anywhere: an error or not, never outside the text. */
static void test_pieces(void **state)
{
    static const char all[] = "host,avx=0,family=6,maxleaf=x,clflush=1 7,1:eax=" X8 X8 X8 X8 ",ebx=" X8 X8 X8 X8 " 0x80000001:edx=" X8 X8 X8 X8;
    char many[CPUID_CHANGES * 8 + 32] = "host";

    for (size_t from = 0; from < sizeof(all); from++)
        for (size_t n = 0; from + n < sizeof(all); n++) {
            char *piece = strndup(all + from, n);
            struct cpuid_changes *c = malloc(sizeof(*c));

            fault_clear();
            if (!cpuid_parse(piece, c))
                assert_int_equal(cpuid_check(c, host, N), 0);
            free(c);
            free(piece);
        }
    for (unsigned i = 0; i <= CPUID_CHANGES; i++)
        strcat(many, ",avx2=0");
    bad(many, -E2BIG, "more than 96");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names), cmocka_unit_test(test_numbers), cmocka_unit_test(test_leaves),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_pieces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
