/* SPDX-License-Identifier: MIT */
/*
 * Multiboot 1 and 2 structures built by hand in 4 GiB of address space with a guard behind it.
 *
 * sources: hypervisor/x86/boot/multiboot.c hypervisor/common/e820.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include <sys/mman.h>

#include "boot.h"

#define G4 (1UL << 32)
static char *phys;

static int setup(void **s)
{
    phys = mmap(NULL, G4 + 4096, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return phys == MAP_FAILED || mprotect(phys + G4, 4096, PROT_NONE);
}
static int teardown(void **s)
{
    return munmap(phys, G4 + 4096);
}
static void put32(uint64_t at, uint32_t v)
{
    memcpy(phys + at, &v, 4);
}
static void put64(uint64_t at, uint64_t v)
{
    memcpy(phys + at, &v, 8);
}

static void mb1_make(const char *loader)
{
    put32(0x9500, 1 | 4 | 8 | 64 | 512); /* mem, cmdline, mods, mmap, loader name */
    put32(0x9500 + 16, 0x9600);
    strcpy(phys + 0x9600, "/boot/zendo.elf  console=com1 dom0_mem=1G");
    put32(0x9500 + 20, 2);
    put32(0x9500 + 24, 0x9700);
    put32(0x9700, 0x200000), put32(0x9704, 0x300000), put32(0x9708, 0x9800);
    strcpy(phys + 0x9800, "vmlinuz root=/dev/vda");
    put32(0x9710, 0x300000), put32(0x9714, 0x300123), put32(0x9718, 0x9900);
    strcpy(phys + 0x9900, "initrd.img");
    put32(0x9500 + 44, 48), put32(0x9500 + 48, 0x9a00);
    put32(0x9a00, 20), put64(0x9a04, 0), put64(0x9a0c, 0xa0000), put32(0x9a14, 1);
    put32(0x9a18, 20), put64(0x9a1c, 0x100000), put64(0x9a24, 0x3ff00000), put32(0x9a2c, 1);
    put32(0x9500 + 64, 0x9b00);
    strcpy(phys + 0x9b00, loader);
}

static void mb1_qemu(void **s)
{
    mb1_make("qemu");
    boot_parse(0x2badb002, 0x9500, phys);
    assert_string_equal(boot.loader, "qemu");
    assert_string_equal(boot.cmdline, "console=com1 dom0_mem=1G");
    assert_int_equal(boot.nr_modules, 2);
    assert_string_equal(boot.module[0].cmdline, "root=/dev/vda");
    assert_string_equal(boot.module[1].cmdline, "");
    assert_int_equal(boot.module[1].size, 0x123);
    assert_int_equal(boot.nr_raw, 2);
    assert_int_equal(boot.nr_map, 2);
    assert_int_equal(boot.map[1].start, 0x100000);
    assert_false(boot.video.present);
}

static void mb1_grub(void **s)
{
    mb1_make("GRUB 2.06-13");
    strcpy(phys + 0x9600, "console=com1");
    phys[0x449] = 3, phys[0x44a] = 80, phys[0x484] = 24, phys[0x485] = 16, phys[0x450] = 7;
    phys[0x451] = 9;
    boot_parse(0x2badb002, 0x9500, phys);
    assert_string_equal(boot.cmdline, "console=com1");
    assert_string_equal(boot.module[0].cmdline, "vmlinuz root=/dev/vda");
    assert_true(boot.video.present && !boot.video.graphics);
    assert_int_equal(boot.video.rows, 25);
    assert_int_equal(boot.video.cursor_x, 7);
    assert_int_equal(boot.video.cursor_y, 9);
    mb1_make("GNU GRUB 0.97");
    boot_parse(0x2badb002, 0x9500, phys);
    assert_string_equal(boot.cmdline, "console=com1 dom0_mem=1G");
}

static void mb1_broken(void **s)
{
    mb1_make("x");
    put32(0x9500, 1 | 4 | 8 | 64 | 512);
    put32(0x9500 + 4, 640), put32(0x9500 + 8, 1024);
    put32(0x9500 + 16, 0xfffffff0); /* strings at the end of what is mapped */
    memset(phys + 0xfffffff0, 'a', 16);
    put32(0x9500 + 20, 0xffffffff), put32(0x9500 + 24, 0xfffffff0);
    put32(0x9500 + 48, 0xfffffffa);
    put32(0x9500 + 64, 0xffffffff);
    boot_parse(0x2badb002, 0x9500, phys);
    assert_int_equal(boot.nr_modules, 0);
    assert_int_equal(boot.nr_raw, 2); /* from the sizes */
    assert_int_equal(boot.raw[1].size, 0x100000);
    boot_parse(0x2badb002, 0xfffffff0, phys);
    assert_int_equal(boot.nr_map, 0);
    boot_parse(0x1234, 0x9500, phys);
    assert_int_equal(boot.nr_map, 0);
}

static uint64_t tag(uint64_t at, uint32_t type, uint32_t body)
{
    put32(at, type), put32(at + 4, 8 + body);
    return (at + 8 + body + 7) & ~7UL;
}

static void mb2(void **s)
{
    uint64_t at = 0x9508, t;

    strcpy(phys + at + 8, "dom0_mem=1G vga");
    at = tag(at, 1, 16);
    strcpy(phys + at + 8, "GRUB 2.06");
    at = tag(at, 2, 10);
    put32(at + 8, 0x400000), put32(at + 12, 0x500000), strcpy(phys + at + 16, "placeholder ro");
    at = tag(at, 3, 8 + 15);
    t = at, put32(t + 8, 24), put32(t + 12, 0);
    put64(t + 16, 0x100000), put64(t + 24, 0x700000), put32(t + 32, 1);
    at = tag(at, 6, 8 + 24);
    put64(at + 8, 0xfd000000), put32(at + 16, 4096), put32(at + 20, 1024), put32(at + 24, 768);
    phys[at + 28] = 32, phys[at + 29] = 1, phys[at + 32] = 16, phys[at + 33] = 8;
    at = tag(at, 8, 30);
    t = at;
    at = tag(at, 15, 36);
    at = tag(at, 0, 0);
    put32(0x9500, (uint32_t)(at - 0x9500));
    boot_parse(0x36d76289, 0x9500, phys);
    assert_string_equal(boot.cmdline, "dom0_mem=1G vga");
    assert_string_equal(boot.module[0].cmdline, "placeholder ro");
    assert_int_equal(boot.module[0].size, 0x100000);
    assert_int_equal(boot.rsdp, t + 8);
    assert_true(boot.video.graphics);
    assert_int_equal(boot.video.red_pos, 16);
    assert_int_equal(boot.nr_raw, 1);
    assert_int_equal(boot.nr_map, 2); /* the table's page is kept */
}

static void mb2_broken(void **s)
{
    put32(0x9500, 0x100);
    put32(0x9508, 3), put32(0x950c, 7); /* smaller than its head */
    boot_parse(0x36d76289, 0x9500, phys);
    put32(0x950c, 0xfffffff8); /* larger than all */
    boot_parse(0x36d76289, 0x9500, phys);
    put32(0x9500, 0xffffffff);
    boot_parse(0x36d76289, 0x9500, phys);
    assert_int_equal(boot.nr_modules, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {T(mb1_qemu), T(mb1_grub), T(mb1_broken), T(mb2),
                                       T(mb2_broken)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
