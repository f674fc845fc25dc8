/* SPDX-License-Identifier: MIT */
/*
 * Find the ACPI tables, map each once, hand it to common/acpi_tables.c and keep the facts in `acpi`,
 * cpu_apicid[], cpu_acpiid[] and cpus_possible. Boot only. No AML is read here or anywhere in the
 * hypervisor: what needs it (S5 values, processor power states) domain 0 tells us by hypercall.
 */
#include "acpi.h"

#include "acpi_tables.h"
#include "cmdline.h"
#include "lib.h"
#include "log.h"
#include "x86/cpu.h"
#include "x86/lapic.h"
#include "x86/mm.h"
#include "x86/smp.h"

struct acpi_info acpi;
uint32_t cpu_apicid[MAX_CPUS];
uint32_t cpu_acpiid[MAX_CPUS];
unsigned cpus_possible = 1;

static struct acpi_cpu_list cpu_list;

#define BIOS_ROM 0xe0000
#define EBDA_POINTER 0x40e
#define DEFAULT_LAPIC 0xfee00000
#define DEFAULT_IOAPIC 0xfec00000
#define ROOT_ENTRIES_MAX 256

static paddr_t rsdp_search_area(paddr_t start, size_t bytes)
{
    void *area = map_physical(start, bytes);
    long off = -1;

    if (area) {
        off = acpi_rsdp_search(area, bytes);
        unmap_physical(area, bytes);
    }
    return off < 0 ? 0 : start + (paddr_t)off;
}

static paddr_t rsdp_find(void)
{
    const uint8_t *p = map_physical(EBDA_POINTER, 2);
    paddr_t ebda = 0, found = 0;

    if (p) {
        ebda = (paddr_t)(p[0] | p[1] << 8) << 4;
        unmap_physical((void *)(uintptr_t)p, 2);
    }
    if (ebda >= 0x80000 && ebda <= 0x9fc00)
        found = rsdp_search_area(ebda, 1024);
    return found ? found : rsdp_search_area(BIOS_ROM, 0x100000 - BIOS_ROM);
}

/* Map a whole table; NULL when there is none at pa or its length is implausible. */
static void *table_map(paddr_t pa, uint32_t *len)
{
    void *p;

    *len = 0;
    if (pa == 0 || pa >> cpu_features.phys_bits)
        return NULL;
    p = map_physical(pa, ACPI_HEADER_BYTES);
    if (!p)
        return NULL;
    *len = acpi_table_length(p);
    unmap_physical(p, ACPI_HEADER_BYTES);
    return *len ? map_physical(pa, *len) : NULL;
}

static int parse_madt(const void *table, size_t len, struct acpi_info *out)
{
    return acpi_parse_madt(table, len, out, &cpu_list);
}

static const struct {
    const char *sig;
    int (*parse)(const void *table, size_t len, struct acpi_info *out);
} parsers[] = {
    {"FACP", acpi_parse_fadt}, /* before the MADT */
    {"APIC", parse_madt},
    {"HPET", acpi_parse_hpet},
    {"MCFG", acpi_parse_mcfg},
};

/* Look for one kind of table in the root table and parse the first of it that is sound. */
static bool parse_first(const void *root, size_t root_len, bool xsdt, unsigned which)
{
    const char *sig = parsers[which].sig;
    bool done = false;
    unsigned i;

    for (i = 0; i < ROOT_ENTRIES_MAX && !done; i++) {
        paddr_t pa = acpi_root_entry(root, root_len, xsdt, i);
        uint32_t len;
        void *t = table_map(pa, &len);

        if (!t) {
            if (!pa)
                break;
            continue;
        }
        if (acpi_table_ok(t, len, sig)) {
            if (parsers[which].parse(t, len, &acpi))
                log_warn("ACPI: %s: bad contents, partly used\n", sig);
            done = true;
        } else if (!memcmp(t, sig, 4)) {
            log_warn("ACPI: %s at %#lx: bad checksum, ignored\n", sig, (unsigned long)pa);
        }
        unmap_physical(t, len);
    }
    return done;
}

static bool tables_read(paddr_t rsdp)
{
    bool xsdt = false;
    paddr_t root_pa = 0;
    uint32_t len;
    unsigned i;
    void *p;

    p = map_physical(rsdp, 36);
    if (p) {
        root_pa = acpi_rsdp_root(p, 36, &xsdt);
        unmap_physical(p, 36);
    }
    p = table_map(root_pa, &len);
    if (!p || !acpi_table_ok(p, len, xsdt ? "XSDT" : "RSDT")) {
        log_warn("ACPI: root pointer at %#lx leads to no valid root table\n", (unsigned long)rsdp);
        if (p)
            unmap_physical(p, len);
        return false;
    }
    for (i = 0; i < ARRAY_SIZE(parsers); i++)
        parse_first(p, len, xsdt, i);
    unmap_physical(p, len);
    return true;
}

/* The APIC number of the CPU we are on, before the local APIC is set up. */
static uint32_t boot_apicid(void)
{
    uint32_t r[4];

    if (lapic_x2apic_by_firmware())
        return (uint32_t)rdmsr(MSR_X2APIC(LAPIC_ID));
    cpuid(1, 0, r);
    return r[1] >> 24;
}

static void cpus_fill(void)
{
    unsigned i, limit = opt.smp ? MAX_CPUS : 1;

    acpi_cpus_boot_first(&cpu_list, boot_apicid());
    if (cpu_list.dropped)
        log_warn("ACPI: %u processors beyond %d not used\n", cpu_list.dropped, MAX_CPUS);
    if (opt.maxcpus && opt.maxcpus < limit)
        limit = opt.maxcpus;
    cpus_possible = MIN(cpu_list.nr, limit);
    for (i = 0; i < cpus_possible; i++) {
        cpu_apicid[i] = cpu_list.cpu[i].apicid;
        cpu_acpiid[i] = cpu_list.cpu[i].acpiid;
    }
}

void acpi_init(paddr_t rsdp)
{
    acpi.lapic_base = DEFAULT_LAPIC;
    if (opt.acpi) {
        acpi.rsdp = rsdp ? rsdp : rsdp_find();
        acpi.found = acpi.rsdp && tables_read(acpi.rsdp);
    }
    if (!acpi.nr_ioapics)
        acpi.ioapic[acpi.nr_ioapics++] = (struct acpi_ioapic){.base = DEFAULT_IOAPIC};
    if (!acpi.lapic_base)
        acpi.lapic_base = DEFAULT_LAPIC;
    cpus_fill();
    if (!acpi.found)
        log_warn("ACPI: no tables; one processor, I/O APIC at %#x\n", DEFAULT_IOAPIC);
    log_info("ACPI: RSDP %#lx, %u CPUs (%u used), %u I/O APICs, PM timer %#x, HPET %#lx, SCI %u\n",
             (unsigned long)acpi.rsdp, cpu_list.nr, cpus_possible, acpi.nr_ioapics,
             acpi.pm_timer_port, (unsigned long)acpi.hpet_base, acpi.sci);
}
