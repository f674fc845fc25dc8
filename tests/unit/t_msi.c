/* SPDX-License-Identifier: MIT */
/*
 * MSI and MSI-X programming against a configuration space and a table in memory.
 * sources: hypervisor/x86/irq/msi.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "abi.h"
#include "domain.h"
#include "port_host.h"
#include "x86/guest.h"
#include "x86/irqs.h"
#include "x86/mm.h"
#include "x86/pci.h"

#define MSI 0x50
#define MSIX 0x70
#define BAR 0xfebf0000u
#define TABLE_OFFSET 0x800u

static uint8_t cfg[256];
static uint32_t table[16 * 4];
static uint64_t mapped_at;
static unsigned maps;
static bool allowed = true;

uint32_t pci_read(const struct pci_dev *dev, unsigned reg, unsigned bytes)
{
    uint32_t v = 0;

    assert_true(reg + bytes <= sizeof(cfg) && reg % bytes == 0);
    memcpy(&v, cfg + reg, bytes);
    return v;
}
void pci_write(const struct pci_dev *dev, unsigned reg, unsigned bytes, uint32_t val)
{
    assert_true(reg + bytes <= sizeof(cfg) && reg % bytes == 0);
    memcpy(cfg + reg, &val, bytes);
}
void *ioremap(paddr_t pa, size_t bytes, uint64_t cache)
{
    assert_int_equal(cache, MAP_UC);
    assert_true(bytes <= sizeof(table));
    mapped_at = pa;
    maps++;
    return table;
}
void iounmap(void *va, size_t bytes)
{
    maps--;
}
bool iomem_allowed(const struct domain *d, uint64_t first, uint64_t last)
{
    return allowed;
}

static struct pci_dev dev;
static struct domain dom;

static void put16(unsigned reg, uint16_t v)
{
    memcpy(cfg + reg, &v, 2);
}
static void put32(unsigned reg, uint32_t v)
{
    memcpy(cfg + reg, &v, 4);
}
static uint32_t get32(unsigned reg)
{
    return pci_read(NULL, reg, 4);
}

static int setup(void **state)
{
    host_reset();
    host_ram_init(64);
    memset(cfg, 0, sizeof(cfg));
    memset(table, 0, sizeof(table));
    memset(&dev, 0, sizeof(dev));
    list_init(&dev.msis);
    dev.msi_cap = MSI;
    dev.msix_cap = MSIX;
    put16(PCI_COMMAND_REG, PCI_COMMAND_MEM);
    put32(0x14, BAR);                  /* BAR 1 */
    put16(MSIX + 2, 15);               /* 16 entries */
    put32(MSIX + 4, TABLE_OFFSET | 1); /* in BAR 1 */
    allowed = true;
    maps = 0;
    return 0;
}

static int teardown(void **state)
{
    host_ram_free();
    return 0;
}

static void test_message(void **state)
{
    assert_int_equal(msi_address(0), 0xfee00000);
    assert_int_equal(msi_address(0xfe), 0xfeefe000);
    assert_int_equal(msi_data(0x31), 0x31);
}

static void test_msi64(void **state)
{
    struct msi *m, *again;

    put16(MSI + 2, 0x0180 | 0x30); /* 64 bits, mask bits, 8 messages left over */
    assert_int_equal(msi_open(&dev, &dom, false, 1, 0, &m), -XEN_EINVAL);
    assert_int_equal(msi_open(&dev, &dom, false, 0, 0, &m), 0);
    assert_int_equal(pci_read(&dev, MSI + 2, 2), 0x0180);
    assert_int_equal(get32(MSI + 16), 1);
    assert_int_equal(msi_open(&dev, &dom, false, 0, 0, &again), -XEN_EBUSY);
    assert_int_equal(msi_open(&dev, &dom, true, 0, BAR, &again), -XEN_EBUSY);
    msi_write(m, 0x44, 5);
    assert_int_equal(get32(MSI + 4), 0xfee05000);
    assert_int_equal(get32(MSI + 8), 0);
    assert_int_equal(pci_read(&dev, MSI + 12, 2), 0x44);
    assert_int_equal(get32(MSI + 16), 1);
    msi_mask(m, false);
    assert_int_equal(get32(MSI + 16), 0);
    memset(cfg + MSI + 4, 0, 16); /* the device was reset */
    msi_restore(&dev);
    assert_int_equal(get32(MSI + 4), 0xfee05000);
    assert_int_equal(pci_read(&dev, MSI + 2, 2) & 1, 1);
    msi_close(m);
    assert_int_equal(get32(MSI + 16), 1);
    assert_int_equal(host_zalloc_live, 0);
}

static void test_msi32(void **state)
{
    struct msi *m;

    put16(MSI + 2, 1); /* enabled, nothing else */
    assert_int_equal(msi_open(&dev, &dom, false, 0, 0, &m), 0);
    assert_false(m->maskable);
    msi_write(m, 0x55, 1);
    assert_int_equal(pci_read(&dev, MSI + 8, 2), 0x55);
    msi_close(m);
    assert_int_equal(pci_read(&dev, MSI + 2, 2), 0); /* must not send any more */
    dev.msi_cap = 0;
    assert_int_equal(msi_open(&dev, &dom, false, 0, 0, &m), -XEN_ENODEV);
}

static void test_msix(void **state)
{
    struct msi *a, *b, *c;

    assert_int_equal(msi_open(&dev, &dom, true, 3, BAR, &a), 0);
    assert_int_equal(mapped_at, BAR + TABLE_OFFSET);
    assert_int_equal(table[3 * 4 + 3], 1);
    assert_int_equal(msi_open(&dev, &dom, true, 3, BAR, &c), -XEN_EBUSY);
    assert_int_equal(msi_open(&dev, &dom, true, 16, BAR, &c), -XEN_EINVAL);
    assert_int_equal(msi_open(&dev, &dom, true, 1u << 20, BAR, &c), -XEN_EINVAL);
    assert_int_equal(msi_open(&dev, &dom, true, 15, BAR, &b), 0);
    assert_int_equal(maps, 1);
    msi_write(a, 0x66, 2);
    assert_int_equal(table[12], 0xfee02000);
    assert_int_equal(table[14], 0x66);
    assert_int_equal(table[15], 1);
    msi_mask(a, false);
    msi_write(a, 0x67, 3);
    assert_int_equal(table[14], 0x67);
    assert_int_equal(table[15], 0);
    memset(table, 0xff, sizeof(table));
    msi_restore(&dev);
    assert_int_equal(table[12], 0xfee03000);
    assert_int_equal(table[15], 0);
    assert_int_equal(table[15 * 4 + 3], 1);
    put32(0x14, BAR + 0x10000); /* moved under our feet */
    assert_int_equal(msi_open(&dev, &dom, true, 1, BAR, &c), -XEN_EBUSY);
    msi_close(a);
    msi_close(b);
    assert_int_equal(msi_open(&dev, &dom, true, 1, BAR, &c), 0);
    assert_int_equal(mapped_at, BAR + 0x10000 + TABLE_OFFSET);
    assert_int_equal(maps, 1);
    msi_close(c);
}

static void test_msix_refused(void **state)
{
    struct msi *m;

    put16(PCI_COMMAND_REG, 0);
    assert_int_equal(msi_open(&dev, &dom, true, 0, BAR, &m), -XEN_ENXIO);
    put16(PCI_COMMAND_REG, PCI_COMMAND_MEM);
    allowed = false;
    assert_int_equal(msi_open(&dev, &dom, true, 0, BAR, &m), -XEN_EPERM);
    allowed = true;
    put32(0x14, 0x3000); /* RAM */
    assert_int_equal(msi_open(&dev, &dom, true, 0, BAR, &m), -XEN_EPERM);
    put32(0x14, 0xc001); /* ports: then the caller's word counts, and must be sane */
    assert_int_equal(msi_open(&dev, &dom, true, 0, ~0ULL - 0x80f, &m), -XEN_EPERM);
    assert_int_equal(maps, 0);
    put32(0x14, 0); /* virtual function */
    assert_int_equal(msi_open(&dev, &dom, true, 0, BAR + 0x4000, &m), 0);
    assert_int_equal(mapped_at, BAR + 0x4000 + TABLE_OFFSET);
    msi_close(m);
    assert_int_equal(host_zalloc_live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_message, setup, teardown),
        cmocka_unit_test_setup_teardown(test_msi64, setup, teardown),
        cmocka_unit_test_setup_teardown(test_msi32, setup, teardown),
        cmocka_unit_test_setup_teardown(test_msix, setup, teardown),
        cmocka_unit_test_setup_teardown(test_msix_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
