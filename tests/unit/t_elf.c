/* SPDX-License-Identifier: MIT */
/*
 * ELF kernels with Xen notes: a good one, the older string, and each kind of damage.
 *
 * sources: hypervisor/common/elf.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>

#include "../host/port_host.h"
#include "elf.h"
#include "elf_make.h"

static struct elf_maker e;
static struct elf_kernel k;

/* On the heap at its exact size, so that a read past the end is seen. */
static int parse(size_t n)
{
    uint8_t *p = malloc(n ? n : 1);
    int rc;

    memcpy(p, e.f, n);
    rc = elf_parse(p, n, "test kernel", &k);
    free(p);
    return rc;
}

static void good(void **s)
{
    elf_make(&e);
    assert_int_equal(parse(e.n), 0);
    assert_int_equal(k.nr_segments, 2);
    assert_int_equal(k.segment[1].va, 0xffffffff81002000);
    assert_int_equal(k.start, 0xffffffff81000000);
    assert_int_equal(k.end, 0xffffffff81002000 + 10000);
    assert_int_equal(k.entry, 0xffffffff81000123);
    assert_int_equal(k.init_p2m, 0x8000000000);
    assert_true(k.mod_start_pfn);
    assert_int_equal(k.required, 1);
    assert_int_equal(k.features, 0x8811);
    assert_int_equal(k.l1_mfn_mask, 1);
    assert_true(k.hypercall_page == ELF_UNSET);
    assert_string_equal(k.guest_os, "linux");
}

static void refused(void **s)
{
    elf_make(&e);
    elf_put(&e, 120 + 56, 0, 8); /* no notes */
    e.f[64 + 56 * 2] = 0;
    assert_int_equal(parse(e.n), -XEN_EOPNOTSUPP);
    assert_non_null(strstr(host_last_log, "no Xen notes: is it built for PV (CONFIG_XEN_PV)?"));
    elf_make(&e);
    elf_note(&e, 10, "a|!warp_drive", 14);
    assert_int_equal(parse(e.n), -XEN_EOPNOTSUPP);
    assert_non_null(strstr(host_last_log, "warp_drive"));
    elf_make(&e);
    elf_note_u64(&e, 1, 0x1234);
    assert_int_equal(parse(e.n), -XEN_EINVAL);
    elf_make(&e);
    elf_note(&e, 5, "vax", 4);
    assert_int_equal(parse(e.n), -XEN_EOPNOTSUPP);
    elf_make(&e);
    elf_note_u64(&e, 1, ~0ULL);
    elf_note_u64(&e, 18, 0x1000000);
    assert_int_equal(parse(e.n), -XEN_EOPNOTSUPP);
    assert_non_null(strstr(host_last_log, "PVH"));
    elf_make(&e);
    e.f[4] = 1;
    assert_int_equal(parse(e.n), -XEN_EOPNOTSUPP);
    elf_make(&e);
    elf_put(&e, 64 + 56 + 24, ~0ULL - 100, 8); /* placement wraps */
    assert_int_equal(parse(e.n), -XEN_EINVAL);
}

static void cut_short(void **s)
{
    elf_make(&e);
    for (size_t n = 0; n < e.n; n += n < 1400 ? 1 : 97)
        assert_int_not_equal(parse(n), 0);
}

static void legacy(void **s)
{
    static const char str[] = "GUEST_OS=linux,XEN_VER=xen-3.0,VIRT_BASE=0xffffffff80000000,"
                              "HYPERCALL_PAGE=0x1001,FEATURES=writable_page_tables|dom0";

    elf_make(&e);
    e.f[64 + 56 * 2] = 0;
    elf_put(&e, 40, 2048, 8); /* two sections: names, the string */
    elf_put(&e, 58, 64, 2);
    elf_put(&e, 60, 2, 2);
    elf_put(&e, 62, 0, 2);
    elf_put(&e, 2048 + 24, 2300, 8), elf_put(&e, 2048 + 32, 13, 8);
    memcpy(e.f + 2300, "\0__xen_guest", 13);
    elf_put(&e, 2112, 1, 4), elf_put(&e, 2112 + 24, 2400, 8);
    elf_put(&e, 2112 + 32, sizeof(str), 8);
    memcpy(e.f + 2400, str, sizeof(str));
    elf_put(&e, 24, 0xffffffff81000000, 8);
    /* the older default: p_paddr is a virtual address */
    elf_put(&e, 64 + 24, 0xffffffff81000000, 8), elf_put(&e, 64 + 56 + 24, 0xffffffff81002000, 8);
    assert_int_equal(parse(e.n), 0);
    assert_true(k.legacy);
    assert_int_equal(k.hypercall_page, 0xffffffff81001000);
    assert_int_equal(k.segment[0].va, 0xffffffff81000000);
    assert_int_equal(k.features, 0x801);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(good), cmocka_unit_test(refused),
                                       cmocka_unit_test(cut_short), cmocka_unit_test(legacy)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
