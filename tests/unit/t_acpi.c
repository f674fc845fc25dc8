/* SPDX-License-Identifier: MIT */
/*
 * ACPI table parsing: sound tables give the facts, damaged ones an error and never a read outside (the tables
 * are in exactly sized heap blocks, so ASan sees it).
 * sources: hypervisor/common/acpi_tables.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "abi.h"
#include "acpi_tables.h"

struct builder {
    uint8_t b[4096];
    size_t n;
};

static void put(struct builder *t, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        t->b[t->n++] = (uint8_t)(v >> (8 * i));
}

static void begin(struct builder *t, const char *sig)
{
    memset(t, 0, sizeof(*t));
    memcpy(t->b, sig, 4);
    t->n = 36;
}

/* Length and checksum, and a copy of exactly that size. */
static uint8_t *finish(struct builder *t, size_t *len)
{
    uint8_t sum = 0, *p;

    t->b[4] = (uint8_t)t->n;
    t->b[5] = (uint8_t)(t->n >> 8);
    t->b[9] = 0;
    for (size_t i = 0; i < t->n; i++)
        sum = (uint8_t)(sum + t->b[i]);
    t->b[9] = (uint8_t)-sum;
    p = malloc(t->n);
    memcpy(p, t->b, t->n);
    *len = t->n;
    return p;
}

static void madt_begin(struct builder *t)
{
    begin(t, "APIC");
    put(t, 0xfee00000, 4);
    put(t, 1, 4);
}

static void madt_lapic(struct builder *t, unsigned acpiid, unsigned apicid, unsigned flags)
{
    put(t, 0, 1), put(t, 8, 1), put(t, acpiid, 1), put(t, apicid, 1), put(t, flags, 4);
}

static void madt_x2apic(struct builder *t, unsigned acpiid, unsigned apicid, unsigned flags)
{
    put(t, 9, 1), put(t, 16, 1), put(t, 0, 2), put(t, apicid, 4), put(t, flags, 4), put(t, acpiid, 4);
}

static void madt_override(struct builder *t, unsigned source, unsigned gsi, unsigned flags)
{
    put(t, 2, 1), put(t, 10, 1), put(t, 0, 1), put(t, source, 1), put(t, gsi, 4), put(t, flags, 2);
}

static void test_madt(void **state)
{
    struct builder t;
    struct acpi_info info = {.sci = 9};
    struct acpi_cpu_list cpus = {0};
    size_t len;
    uint8_t *p;

    madt_begin(&t);
    madt_lapic(&t, 1, 0, 1);
    madt_lapic(&t, 2, 4, 1);
    madt_lapic(&t, 3, 6, 0);       /* disabled */
    madt_lapic(&t, 4, 8, 2);       /* may be added later: not now */
    madt_lapic(&t, 5, 0xff, 1);    /* not an id */
    madt_x2apic(&t, 2, 4, 1);      /* the same again */
    madt_x2apic(&t, 7, 0x123, 1);
    put(&t, 1, 1), put(&t, 12, 1), put(&t, 3, 1), put(&t, 0, 1), put(&t, 0xfec00000, 4), put(&t, 24, 4);
    madt_override(&t, 0, 2, 0);
    madt_override(&t, 9, 9, 0);    /* the SCI: level, low when it does not say */
    madt_override(&t, 5, 5, 0xd);  /* level, high */
    put(&t, 5, 1), put(&t, 12, 1), put(&t, 0, 2), put(&t, 0x1fee00000, 8);
    put(&t, 0x80, 1), put(&t, 2, 1); /* unknown type */
    p = finish(&t, &len);

    assert_int_equal(acpi_table_length(p), len);
    assert_true(acpi_table_ok(p, len, "APIC"));
    assert_false(acpi_table_ok(p, len, "FACP"));
    assert_int_equal(acpi_parse_madt(p, len, &info, &cpus), 0);
    assert_int_equal(cpus.nr, 3);
    assert_int_equal(cpus.cpu[1].apicid, 4);
    assert_int_equal(cpus.cpu[1].acpiid, 2);
    assert_int_equal(cpus.cpu[2].apicid, 0x123);
    assert_int_equal(info.nr_ioapics, 1);
    assert_int_equal(info.ioapic[0].id, 3);
    assert_int_equal(info.ioapic[0].gsi_base, 24);
    assert_int_equal(info.lapic_base, 0x1fee00000);
    assert_true(info.pcat_8259);
    assert_true(info.isa[0].valid && info.isa[0].gsi == 2);
    assert_false(info.isa[0].level || info.isa[0].active_low);
    assert_true(info.isa[9].level && info.isa[9].active_low);
    assert_true(info.isa[5].level && !info.isa[5].active_low);
    assert_false(info.isa[1].valid);

    acpi_cpus_boot_first(&cpus, 4);
    assert_int_equal(cpus.nr, 3);
    assert_int_equal(cpus.cpu[0].apicid, 4);
    assert_int_equal(cpus.cpu[1].apicid, 0);
    acpi_cpus_boot_first(&cpus, 77); /* not listed */
    assert_int_equal(cpus.nr, 4);
    assert_int_equal(cpus.cpu[0].apicid, 77);
    assert_int_equal(cpus.cpu[1].apicid, 4);
    free(p);
}

static void test_madt_bad(void **state)
{
    struct builder t;
    struct acpi_info info = {0};
    static struct acpi_cpu_list cpus;
    size_t len;
    uint8_t *p;

    madt_begin(&t);
    madt_lapic(&t, 1, 0, 1);
    put(&t, 0, 1), put(&t, 0, 1); /* length 0 would loop for ever */
    p = finish(&t, &len);
    assert_int_equal(acpi_parse_madt(p, len, &info, &cpus), -XEN_EINVAL);
    assert_int_equal(cpus.nr, 1);
    free(p);

    madt_begin(&t);
    put(&t, 9, 1), put(&t, 8, 1), put(&t, 0, 6); /* shorter than its type */
    p = finish(&t, &len);
    assert_int_equal(acpi_parse_madt(p, len, &info, &cpus), -XEN_EINVAL);
    free(p);

    /* Cut at every length. */
    madt_begin(&t);
    madt_x2apic(&t, 7, 0x123, 1);
    madt_override(&t, 0, 2, 0);
    p = finish(&t, &len);
    for (size_t n = 0; n < len; n++) {
        uint8_t *q = malloc(n ? n : 1);

        memcpy(q, p, n);
        if (acpi_parse_madt(q, n, &info, &cpus))
            assert_true(n != 44 + 16);
        free(q);
    }
    free(p);

    /* More than MAX_CPUS. */
    memset(&cpus, 0, sizeof(cpus));
    for (unsigned part = 0; part < 2; part++) {
        madt_begin(&t);
        for (unsigned i = 0; i < 200; i++)
            madt_x2apic(&t, part * 200 + i, part * 200 + i, 1);
        p = finish(&t, &len);
        assert_int_equal(acpi_parse_madt(p, len, &info, &cpus), 0);
        free(p);
    }
    assert_int_equal(cpus.nr, MAX_CPUS);
    assert_int_equal(cpus.dropped, 400 - MAX_CPUS);
    acpi_cpus_boot_first(&cpus, 399);
    assert_int_equal(cpus.nr, MAX_CPUS);
    assert_int_equal(cpus.cpu[0].apicid, 399);
    assert_int_equal(cpus.cpu[MAX_CPUS - 1].apicid, MAX_CPUS - 2);
}

static void set(struct builder *t, size_t off, uint64_t v, unsigned bytes)
{
    size_t n = t->n;

    t->n = off;
    put(t, v, bytes);
    t->n = n;
}

static void test_fadt(void **state)
{
    struct builder t;
    struct acpi_info info = {0};
    size_t len;
    uint8_t *p;

    begin(&t, "FACP");
    t.n = 244;
    set(&t, 46, 9, 2);
    set(&t, 56, 0x600, 4);
    set(&t, 64, 0x604, 4);
    set(&t, 76, 0x608, 4);
    set(&t, 88, 4, 1);
    set(&t, 91, 4, 1);
    set(&t, 112, BIT(8) | BIT(10), 4);
    set(&t, 116, 1, 1);
    set(&t, 120, 0xcf9, 8);
    set(&t, 128, 6, 1);
    set(&t, 172, 1, 1);       /* X_PM1a_CNT in I/O space counts */
    set(&t, 176, 0x1804, 8);
    set(&t, 208, 0, 1);       /* X_PM_TMR in memory does not */
    set(&t, 212, 0x1000, 8);
    p = finish(&t, &len);
    assert_int_equal(acpi_parse_fadt(p, len, &info), 0);
    assert_int_equal(info.sci, 9);
    assert_int_equal(info.pm1a_evt, 0x600);
    assert_int_equal(info.pm1a_cnt, 0x1804);
    assert_int_equal(info.pm1b_cnt, 0);
    assert_int_equal(info.pm_timer_port, 0x608);
    assert_true(info.pm_timer_32bit && info.reset_supported);
    assert_int_equal(info.reset_addr, 0xcf9);
    assert_int_equal(info.reset_value, 6);
    /* ACPI 1.0 form: shorter, no reset register. */
    memset(&info, 0, sizeof(info));
    assert_int_equal(acpi_parse_fadt(p, 116, &info), 0);
    assert_false(info.reset_supported);
    assert_int_equal(info.pm1a_cnt, 0x604);
    assert_int_equal(acpi_parse_fadt(p, 115, &info), -XEN_EINVAL);
    free(p);
}

static void test_hpet_mcfg(void **state)
{
    struct builder t;
    struct acpi_info info = {0};
    size_t len;
    uint8_t *p;

    begin(&t, "HPET");
    t.n = 56;
    set(&t, 44, 0xfed00000, 8);
    p = finish(&t, &len);
    assert_int_equal(acpi_parse_hpet(p, len, &info), 0);
    assert_int_equal(info.hpet_base, 0xfed00000);
    assert_int_equal(acpi_parse_hpet(p, 55, &info), -XEN_EINVAL);
    free(p);

    begin(&t, "MCFG");
    put(&t, 0, 8);
    put(&t, 0xb0000000, 8), put(&t, 0, 2), put(&t, 0, 1), put(&t, 255, 1), put(&t, 0, 4);
    put(&t, 0xc0000000, 8), put(&t, 1, 2), put(&t, 9, 1), put(&t, 3, 1), put(&t, 0, 4); /* backwards */
    p = finish(&t, &len);
    assert_int_equal(acpi_parse_mcfg(p, len, &info), -XEN_EINVAL);
    assert_int_equal(info.nr_mcfg, 1);
    assert_int_equal(info.mcfg[0].base, 0xb0000000);
    assert_int_equal(info.mcfg[0].bus_last, 255);
    free(p);
}

static void rsdp_sum(uint8_t *p, unsigned at, unsigned n)
{
    uint8_t sum = 0;

    p[at] = 0;
    for (unsigned i = 0; i < n; i++)
        sum = (uint8_t)(sum + p[i]);
    p[at] = (uint8_t)-sum;
}

static void test_rsdp(void **state)
{
    uint8_t area[128] = {0}, *p = area + 48;
    struct builder t;
    bool xsdt;
    size_t len;

    assert_int_equal(acpi_rsdp_search(area, sizeof(area)), -1);
    memcpy(p, "RSD PTR ", 8);
    p[16] = 0x34, p[17] = 0x12;
    assert_int_equal(acpi_rsdp_search(area, sizeof(area)), -1); /* no checksum */
    rsdp_sum(p, 8, 20);
    assert_int_equal(acpi_rsdp_search(area, sizeof(area)), 48);
    assert_int_equal(acpi_rsdp_search(area, 48 + 19), -1);
    assert_int_equal(acpi_rsdp_root(p, 36, &xsdt), 0x1234);
    assert_false(xsdt);
    p[15] = 2, p[20] = 36, p[24] = 0x78, p[25] = 0x56;
    rsdp_sum(p, 8, 20);
    rsdp_sum(p, 32, 36);
    assert_int_equal(acpi_rsdp_root(p, 36, &xsdt), 0x5678);
    assert_true(xsdt);
    assert_int_equal(acpi_rsdp_root(p, 20, &xsdt), 0x1234); /* second part not there */
    p[33] ^= 1;                                             /* its sum wrong */
    assert_int_equal(acpi_rsdp_root(p, 36, &xsdt), 0x1234);
    assert_int_equal(acpi_rsdp_root(area, 36, &xsdt), 0);

    begin(&t, "XSDT");
    put(&t, 0x1111, 8), put(&t, 0x2222, 8), put(&t, 0, 4);
    p = finish(&t, &len);
    assert_int_equal(acpi_root_entry(p, len, true, 1), 0x2222);
    assert_int_equal(acpi_root_entry(p, len, true, 2), 0);
    assert_int_equal(acpi_root_entry(p, len, false, 2), 0x2222);
    assert_int_equal(acpi_root_entry(p, len, true, ~0u), 0);
    free(p);
}

static void test_header(void **state)
{
    uint8_t h[36] = {0};

    h[4] = 35;
    assert_int_equal(acpi_table_length(h), 0);
    h[4] = 36;
    assert_int_equal(acpi_table_length(h), 36);
    memset(h, 0xff, sizeof(h));
    assert_int_equal(acpi_table_length(h), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_madt),      cmocka_unit_test(test_madt_bad),
        cmocka_unit_test(test_fadt),      cmocka_unit_test(test_hpet_mcfg),
        cmocka_unit_test(test_rsdp),      cmocka_unit_test(test_header),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
