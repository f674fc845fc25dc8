/* SPDX-License-Identifier: MIT */
/*
 * The static ACPI tables as bytes: root pointer, root table, MADT (processors, I/O APICs, overrides), FADT
 * (fixed registers), HPET, MCFG. Layouts are those of the ACPI specification 6.4, chapter 5, and of the PCI
 * firmware and HPET specifications. Every field is read through rd(), which refuses what lies outside of
 * the table; no AML, no mapping, no logging. Runs on the host for tests and fuzzing.
 */
#include "acpi_tables.h"

#include "abi.h"
#include "lib.h"

/* A table and how much of it there is. */
struct blob {
    const uint8_t *p;
    size_t len;
};

/* Little-endian field of 1, 2, 4 or 8 bytes; 0 when it is not wholly inside. */
static uint64_t rd(struct blob b, size_t off, unsigned bytes)
{
    uint64_t v = 0;
    unsigned i;

    if (off > b.len || b.len - off < bytes)
        return 0;
    for (i = 0; i < bytes; i++)
        v |= (uint64_t)b.p[off + i] << (8 * i);
    return v;
}

bool acpi_checksum_ok(const void *p, size_t bytes)
{
    const uint8_t *b = p;
    uint8_t sum = 0;

    while (bytes--)
        sum = (uint8_t)(sum + *b++);
    return sum == 0;
}

/* --- Root pointer and root table ----------------------------------------------------------------- */

#define RSDP_V1_BYTES 20
#define RSDP_V2_BYTES 36

static bool rsdp_ok(struct blob b)
{
    return b.len >= RSDP_V1_BYTES && !memcmp(b.p, "RSD PTR ", 8) &&
           acpi_checksum_ok(b.p, RSDP_V1_BYTES);
}

long acpi_rsdp_search(const void *area, size_t bytes)
{
    size_t off;

    for (off = 0; off + RSDP_V1_BYTES <= bytes; off += 16)
        if (rsdp_ok((struct blob){(const uint8_t *)area + off, bytes - off}))
            return (long)off;
    return -1;
}

paddr_t acpi_rsdp_root(const void *rsdp, size_t bytes, bool *xsdt)
{
    struct blob b = {rsdp, bytes};
    uint64_t len;

    *xsdt = false;
    if (!rsdp_ok(b))
        return 0;
    if (rd(b, 15, 1) >= 2) {
        len = rd(b, 20, 4);
        if (len >= RSDP_V2_BYTES && len <= bytes && acpi_checksum_ok(rsdp, len) && rd(b, 24, 8)) {
            *xsdt = true;
            return rd(b, 24, 8);
        }
    }
    return rd(b, 16, 4);
}

uint32_t acpi_table_length(const void *header)
{
    uint32_t len = (uint32_t)rd((struct blob){header, ACPI_HEADER_BYTES}, 4, 4);

    return len < ACPI_HEADER_BYTES || len > ACPI_TABLE_MAX ? 0 : len;
}

bool acpi_table_ok(const void *table, size_t len, const char sig[4])
{
    return len >= ACPI_HEADER_BYTES && !memcmp(table, sig, 4) && acpi_checksum_ok(table, len);
}

paddr_t acpi_root_entry(const void *table, size_t len, bool xsdt, unsigned i)
{
    return rd((struct blob){table, len}, ACPI_HEADER_BYTES + (size_t)i * (xsdt ? 8 : 4),
              xsdt ? 8 : 4);
}

/* --- FADT --------------------------------------------------------------------------------------------- */

#define GAS_MEMORY 0
#define GAS_IO 1

/* An I/O port given twice: as an extended (generic) address, which counts if usable, and plainly. */
static uint16_t fadt_port(struct blob b, size_t plain, size_t gas)
{
    uint64_t v = rd(b, gas + 4, 8);

    if (rd(b, gas, 1) == GAS_IO && v > 0 && v <= 0xffff)
        return (uint16_t)v;
    v = rd(b, plain, 4);
    return v <= 0xffff ? (uint16_t)v : 0;
}

int acpi_parse_fadt(const void *table, size_t len, struct acpi_info *out)
{
    struct blob b = {table, len};
    uint32_t flags;

    if (len < 116)
        return -XEN_EINVAL;
    flags = (uint32_t)rd(b, 112, 4);
    out->sci = (uint16_t)rd(b, 46, 2);
    out->pm1a_evt = fadt_port(b, 56, 148);
    out->pm1b_evt = fadt_port(b, 60, 160);
    out->pm1a_cnt = fadt_port(b, 64, 172);
    out->pm1b_cnt = fadt_port(b, 68, 184);
    out->pm1_evt_len = (uint8_t)rd(b, 88, 1);
    if (rd(b, 91, 1) == 4)
        out->pm_timer_port = fadt_port(b, 76, 208);
    out->pm_timer_32bit = flags & BIT(8);
    if (len >= 129 && (flags & BIT(10))) {
        out->reset_space = (uint8_t)rd(b, 116, 1);
        out->reset_addr = rd(b, 120, 8);
        out->reset_value = (uint8_t)rd(b, 128, 1);
        out->reset_supported = out->reset_addr != 0;
    }
    return 0;
}

/* --- MADT ---------------------------------------------------------------------------------------------- */

#define MADT_LAPIC 0
#define MADT_IOAPIC 1
#define MADT_OVERRIDE 2
#define MADT_LAPIC_ADDR 5
#define MADT_X2APIC 9
#define MADT_FIRST_ENTRY 44
#define MADT_CPU_ENABLED BIT(0)

static void madt_cpu(struct acpi_cpu_list *cpus, uint64_t apicid, uint64_t acpiid, uint64_t flags)
{
    unsigned i;

    if (!(flags & MADT_CPU_ENABLED))
        return;
    /* Firmware may list one processor in both forms. */
    for (i = 0; i < cpus->nr; i++)
        if (cpus->cpu[i].apicid == apicid)
            return;
    if (cpus->nr == MAX_CPUS) {
        cpus->dropped++;
        return;
    }
    cpus->cpu[cpus->nr++] = (struct acpi_cpu){(uint32_t)apicid, (uint32_t)acpiid};
}

static int madt_ioapic(struct blob e, struct acpi_info *out)
{
    if (out->nr_ioapics == ARRAY_SIZE(out->ioapic) || !rd(e, 4, 4))
        return -XEN_EINVAL;
    out->ioapic[out->nr_ioapics++] = (struct acpi_ioapic){
        .id = (uint32_t)rd(e, 2, 1), .base = rd(e, 4, 4), .gsi_base = (uint32_t)rd(e, 8, 4)};
    return 0;
}

/* Flags: bits 0-1 polarity, 2-3 trigger mode; 0 "as the bus", 1 high/edge, 3 low/level. */
static int madt_override(struct blob e, struct acpi_info *out)
{
    uint64_t source = rd(e, 3, 1), flags = rd(e, 8, 2);
    bool sci = source == out->sci;

    if (rd(e, 2, 1) != 0 || source >= ARRAY_SIZE(out->isa))
        return -XEN_EINVAL;
    out->isa[source] = (struct acpi_override){
        .source = (uint8_t)source,
        .gsi = (uint32_t)rd(e, 4, 4),
        .active_low = (flags & 3) ? (flags & 3) == 3 : sci,
        .level = (flags & 12) ? (flags & 12) == 12 : sci,
        .valid = true,
    };
    return 0;
}

/* Shortest entry of each type that we read. */
static unsigned madt_entry_min(unsigned type)
{
    switch (type) {
    case MADT_LAPIC:
        return 8;
    case MADT_IOAPIC:
    case MADT_LAPIC_ADDR:
        return 12;
    case MADT_OVERRIDE:
        return 10;
    case MADT_X2APIC:
        return 16;
    default:
        return 2;
    }
}

static int madt_entry(struct blob e, struct acpi_info *out, struct acpi_cpu_list *cpus)
{
    unsigned type = e.p[0];

    if (e.len < madt_entry_min(type))
        return -XEN_EINVAL;
    switch (type) {
    case MADT_LAPIC:
        if (rd(e, 3, 1) != 0xff)
            madt_cpu(cpus, rd(e, 3, 1), rd(e, 2, 1), rd(e, 4, 4));
        return 0;
    case MADT_X2APIC:
        if (rd(e, 4, 4) != 0xffffffff)
            madt_cpu(cpus, rd(e, 4, 4), rd(e, 12, 4), rd(e, 8, 4));
        return 0;
    case MADT_IOAPIC:
        return madt_ioapic(e, out);
    case MADT_OVERRIDE:
        return madt_override(e, out);
    case MADT_LAPIC_ADDR:
        out->lapic_base = rd(e, 4, 8);
        return 0;
    default:
        return 0;
    }
}

int acpi_parse_madt(const void *table, size_t len, struct acpi_info *out, struct acpi_cpu_list *cpus)
{
    struct blob b = {table, len};
    size_t off, n;
    int rc = 0;

    if (len < MADT_FIRST_ENTRY)
        return -XEN_EINVAL;
    out->lapic_base = rd(b, 36, 4);
    out->pcat_8259 = rd(b, 40, 4) & 1;
    /* A bad entry is skipped and reported; an entry of bad length ends the walk. */
    for (off = MADT_FIRST_ENTRY; off < len; off += n) {
        n = rd(b, off + 1, 1);
        if (n < 2 || n > len - off)
            return -XEN_EINVAL;
        if (madt_entry((struct blob){b.p + off, n}, out, cpus))
            rc = -XEN_EINVAL;
    }
    return rc;
}

void acpi_cpus_boot_first(struct acpi_cpu_list *cpus, uint32_t apicid)
{
    struct acpi_cpu boot = {apicid, apicid};
    unsigned i;

    for (i = 0; i < cpus->nr; i++)
        if (cpus->cpu[i].apicid == apicid)
            break;
    if (i < cpus->nr)
        boot = cpus->cpu[i];
    else if (cpus->nr < MAX_CPUS)
        cpus->nr++;
    else
        i = MAX_CPUS - 1; /* the last one makes room */
    for (; i > 0; i--)
        cpus->cpu[i] = cpus->cpu[i - 1];
    cpus->cpu[0] = boot;
}

/* --- HPET, MCFG ------------------------------------------------------------------------------------- */

int acpi_parse_hpet(const void *table, size_t len, struct acpi_info *out)
{
    struct blob b = {table, len};

    if (len < 56 || rd(b, 40, 1) != GAS_MEMORY)
        return -XEN_EINVAL;
    out->hpet_base = rd(b, 44, 8);
    return 0;
}

int acpi_parse_mcfg(const void *table, size_t len, struct acpi_info *out)
{
    struct blob b = {table, len};
    size_t off;

    for (off = 44; off + 16 <= len; off += 16) {
        uint8_t first = (uint8_t)rd(b, off + 10, 1), last = (uint8_t)rd(b, off + 11, 1);

        if (out->nr_mcfg == ARRAY_SIZE(out->mcfg) || !rd(b, off, 8) || first > last)
            return -XEN_EINVAL;
        out->mcfg[out->nr_mcfg].base = rd(b, off, 8);
        out->mcfg[out->nr_mcfg].segment = (uint16_t)rd(b, off + 8, 2);
        out->mcfg[out->nr_mcfg].bus_first = first;
        out->mcfg[out->nr_mcfg].bus_last = last;
        out->nr_mcfg++;
    }
    return len < 44 ? -XEN_EINVAL : 0;
}
