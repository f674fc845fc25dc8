/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as any ACPI table, and as the area that is searched for the root pointer.
 * sources: hypervisor/common/acpi_tables.c
 */
#include <stdlib.h>
#include <string.h>

#include "acpi_tables.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct acpi_info *info, const struct acpi_cpu_list *cpus)
{
    if (info->nr_ioapics > ARRAY_SIZE(info->ioapic) || info->nr_mcfg > ARRAY_SIZE(info->mcfg) ||
        cpus->nr > MAX_CPUS)
        abort();
    for (unsigned i = 0; i < cpus->nr; i++)
        for (unsigned k = 0; k < i; k++)
            if (cpus->cpu[i].apicid == cpus->cpu[k].apicid)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct acpi_info info = {0};
    static struct acpi_cpu_list cpus;
    bool xsdt;
    int rc = 0;

    memset(&cpus, 0, sizeof(cpus));
    acpi_rsdp_search(data, size);
    acpi_rsdp_root(data, size, &xsdt);
    if (size >= ACPI_HEADER_BYTES)
        acpi_table_length(data);
    acpi_table_ok(data, size, "APIC");
    for (unsigned i = 0; i < 300; i++)
        acpi_root_entry(data, size, i & 1, i);
    rc |= acpi_parse_fadt(data, size, &info);
    rc |= acpi_parse_madt(data, size, &info, &cpus);
    rc |= acpi_parse_hpet(data, size, &info);
    rc |= acpi_parse_mcfg(data, size, &info);
    check(&info, &cpus);
    acpi_cpus_boot_first(&cpus, size ? data[size - 1] : 0);
    check(&info, &cpus);
    return rc ? 0 : 0;
}
