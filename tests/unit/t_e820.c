/* SPDX-License-Identifier: MIT */
/*
 * The memory map: known cases, and random maps against a model that types each page by itself.
 *
 * sources: hypervisor/common/e820.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>

#include "boot.h"

static struct boot_region m[BOOT_MAX_REGIONS];

static void expect(unsigned i, uint64_t start, uint64_t end, uint32_t type)
{
    assert_int_equal(m[i].start, start);
    assert_int_equal(m[i].start + m[i].size, end);
    assert_int_equal(m[i].type, type);
}

static void typical(void **s)
{
    m[0] = (struct boot_region){0x100000, 0x3ff00000, 1};
    m[1] = (struct boot_region){0, 0x9fc00, 1};
    m[2] = (struct boot_region){0x9fc00, 0x400, 2};
    m[3] = (struct boot_region){0x100000000, 0x40000000, 1};
    assert_int_equal(e820_sanitise(m, 4, BOOT_MAX_REGIONS), 4);
    expect(0, 0, 0x9f000, 1);
    expect(1, 0x9fc00, 0xa0000, 2);
    expect(2, 0x100000, 0x40000000, 1);
    expect(3, 0x100000000, 0x140000000, 1);
}

static void overlaps(void **s)
{
    m[0] = (struct boot_region){0, 0x10000, 1};
    m[1] = (struct boot_region){0x4000, 0x2000, 3};
    m[2] = (struct boot_region){0x5000, 0x2000, 2};
    m[3] = (struct boot_region){0x10000, 0x1000, 1};       /* joins the first */
    m[4] = (struct boot_region){~0ULL - 0xfff, 0x2000, 1}; /* wraps */
    m[5] = (struct boot_region){0x8800, 0x100, 77};        /* unknown: reserved, inside RAM */
    assert_int_equal(e820_sanitise(m, 6, BOOT_MAX_REGIONS), 6);
    expect(0, 0, 0x4000, 1);
    expect(1, 0x4000, 0x5000, 3);
    expect(2, 0x5000, 0x7000, 2);
    expect(3, 0x7000, 0x8000, 1);
    expect(4, 0x8800, 0x8900, 2);
    expect(5, 0x9000, 0x11000, 1);
}

static void full(void **s)
{
    for (unsigned i = 0; i < BOOT_MAX_REGIONS; i++)
        m[i] = (struct boot_region){i * 0x2000ULL, 0x1000, 1 + i % 2};
    assert_int_equal(e820_sanitise(m, BOOT_MAX_REGIONS, 10), 10);
    assert_int_equal(e820_sanitise(m, 0, BOOT_MAX_REGIONS), 0);
}

static int strict(uint32_t t)
{
    return t == 1 ? 1 : t == 3 ? 2 : t == 4 ? 3 : t == 2 ? 4 : t == 5 ? 5 : 6;
}

static void model(void **s)
{
    srand(1);
    for (unsigned round = 0; round < 3000; round++) {
        static int want[64], got[64];
        unsigned n = rand() % 12;

        for (unsigned i = 0; i < 64; i++)
            want[i] = got[i] = 0;
        for (unsigned i = 0; i < n; i++) {
            unsigned a = rand() % 64, b = a + rand() % (65 - a);

            m[i] = (struct boot_region){a * 4096, (b - a) * 4096, 1 + rand() % 6};
            for (unsigned k = a; k < b; k++)
                if (strict(m[i].type) > want[k])
                    want[k] = strict(m[i].type);
        }
        n = e820_sanitise(m, n, BOOT_MAX_REGIONS);
        for (unsigned i = 0; i < n; i++) {
            if (i)
                assert_true(m[i].start >= m[i - 1].start + m[i - 1].size);
            for (uint64_t k = m[i].start / 4096; k < (m[i].start + m[i].size) / 4096; k++)
                got[k] = strict(m[i].type);
        }
        for (unsigned i = 0; i < 64; i++)
            assert_int_equal(got[i], want[i] == 6 ? 4 : want[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(typical), cmocka_unit_test(overlaps),
                                       cmocka_unit_test(full), cmocka_unit_test(model)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
