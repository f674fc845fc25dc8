/* SPDX-License-Identifier: MIT */
/*
 * Parsing of single ACPI tables that lie in memory: no mapping, no machine. Firmware tables count as
 * untrusted input: nothing outside `table[0..len)` is ever read. common/acpi_tables.c.
 */
#pragma once

#include "acpi.h"
#include "types.h"

#define ACPI_HEADER_BYTES 36
#define ACPI_TABLE_MAX (4U << 20) /* a longer table is taken for garbage */

struct acpi_cpu {
    uint32_t apicid, acpiid;
};
struct acpi_cpu_list { /* enabled processors in the order of the table */
    struct acpi_cpu cpu[MAX_CPUS];
    unsigned nr;
    unsigned dropped; /* enabled, but no room */
};

/* Sum of all bytes is 0. */
bool acpi_checksum_ok(const void *p, size_t bytes);
/* Find the root pointer in an area; offset, or -1. Looks at 16-byte boundaries. */
long acpi_rsdp_search(const void *area, size_t bytes);
/* Physical address of the root table; *xsdt: its entries have 64 bits. 0: not a valid root pointer. */
paddr_t acpi_rsdp_root(const void *rsdp, size_t bytes, bool *xsdt);
/* Length in a table's header (of which ACPI_HEADER_BYTES are readable), or 0 when it is implausible. */
uint32_t acpi_table_length(const void *header);
/* True when the table has this signature and its `len` bytes sum to 0. */
bool acpi_table_ok(const void *table, size_t len, const char sig[4]);
/* Entry i of the root table; 0 when there are no more. */
paddr_t acpi_root_entry(const void *table, size_t len, bool xsdt, unsigned i);

/* Each takes a table that passed acpi_table_ok() (but relies on its length only), adds what it finds to
 * *out and returns 0, or -XEN_EINVAL when it is too short or contradicts itself; what was found up to there
 * stays. FADT before MADT: the SCI's default polarity depends on it. */
int acpi_parse_fadt(const void *table, size_t len, struct acpi_info *out) __must_check;
int acpi_parse_madt(const void *table, size_t len, struct acpi_info *out, struct acpi_cpu_list *cpus)
    __must_check;
int acpi_parse_hpet(const void *table, size_t len, struct acpi_info *out) __must_check;
int acpi_parse_mcfg(const void *table, size_t len, struct acpi_info *out) __must_check;
/* Put the processor `apicid` first; if it is not listed, add it there. */
void acpi_cpus_boot_first(struct acpi_cpu_list *cpus, uint32_t apicid);
