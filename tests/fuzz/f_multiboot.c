/* SPDX-License-Identifier: MIT */
/*
 * Any loader structures: byte 0 chooses the version, the rest lies at physical 0x9500 and again at
 * the end of the 4 GiB. The result must be a sorted map without overlaps and terminated strings.
 *
 * sources: hypervisor/x86/boot/multiboot.c hypervisor/common/e820.c
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "boot.h"

#define G4 (1UL << 32)

static void result_check(void)
{
    if (boot.nr_map > BOOT_MAX_REGIONS || boot.nr_raw > BOOT_MAX_REGIONS ||
        boot.nr_modules > BOOT_MAX_MODULES || !memchr(boot.cmdline, 0, BOOT_CMDLINE))
        abort();
    for (unsigned i = 0; i < boot.nr_modules; i++)
        if (!memchr(boot.module[i].cmdline, 0, BOOT_CMDLINE) ||
            boot.module[i].start + boot.module[i].size > G4)
            abort();
    for (unsigned i = 0; i < boot.nr_map; i++) {
        const struct boot_region *r = &boot.map[i];

        if (!r->size || (r->type == 1 && ((r->start | r->size) & 4095)) ||
            (i && r[-1].start + r[-1].size > r->start))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static char *phys;
    uint32_t magic;

    if (!phys) {
        phys = mmap(NULL, G4 + 4096, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (phys == MAP_FAILED || mprotect(phys + G4, 4096, PROT_NONE))
            abort();
    }
    if (n < 2 || n > 0x4000)
        return 0;
    magic = data[0] & 1 ? 0x2badb002 : 0x36d76289;
    n--;
    memcpy(phys + 0x9500, data + 1, n);
    memcpy(phys + G4 - n, data + 1, n);
    boot_parse(magic, 0x9500, phys);
    result_check();
    boot_parse(magic, (uint32_t)(G4 - n), phys);
    result_check();
    memset(phys + 0x9500, 0, n);
    return 0;
}
