/* SPDX-License-Identifier: MIT */
/*
 * Ports, device memory and interrupts of the hardware domain, and in/out emulation on top: privilege by IOPL
 * and bitmap, sizes, string forms with their bound, PIT mode filter.
 *
 * sources: hypervisor/x86/iocaps.c hypervisor/pv/emul_io.c hypervisor/pv/insn.c hypervisor/pv/insn_rmw.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "acpi.h"
#include "boot.h"
#include "console.h"
#include "x86/mm.h"
#include "x86/pv_emul.h"

struct cpu_features cpu_features;
struct acpi_info acpi;
struct boot_info boot;
static struct x86_domain dom;
static struct x86_vcpu xv;
static regs_t regs;
static uint8_t *trap_map;
static unsigned last_port, last_bytes, accesses, faults;
static uint32_t last_val;
static uint8_t memory[4096];

/* two frames for the bitmap, mapped at trap_map */
mfn_t frames_alloc(unsigned order, unsigned flags)
{
    return mfn(0);
}
void frames_free(mfn_t m, unsigned order)
{
}
void *map_frame(mfn_t m)
{
    return trap_map;
}
void *zalloc(size_t bytes)
{
    return calloc(1, bytes);
}
void zfree(void *p)
{
    free(p);
}
uint16_t uart_port(unsigned com)
{
    return com == 0 ? 0x3f8 : 0;
}
uint32_t guest_ioport_read(struct vcpu *v, unsigned port, unsigned bytes)
{
    last_port = port;
    last_bytes = bytes;
    accesses++;
    return 0x11223344;
}
void guest_ioport_write(struct vcpu *v, unsigned port, unsigned bytes, uint32_t val)
{
    last_port = port;
    last_bytes = bytes;
    last_val = val;
    accesses++;
}
/* guest addresses are offsets into memory[] */
int copy_from_guest(void *dst, guest_ptr_t src, size_t bytes)
{
    if (src.va < 16 || src.va + bytes > sizeof(memory))
        return -XEN_EFAULT;
    memcpy(dst, memory + src.va, bytes);
    return 0;
}
int copy_to_guest(guest_ptr_t dst, const void *src, size_t bytes)
{
    if (dst.va < 16 || dst.va + bytes > sizeof(memory))
        return -XEN_EFAULT;
    memcpy(memory + dst.va, src, bytes);
    return 0;
}
void pv_inject_page_fault(struct vcpu *v, uint64_t addr, uint32_t error)
{
    faults++;
}
uint64_t pv_emul_seg_base(const struct pv_insn *in)
{
    return 0;
}

static int setup(void **state)
{
    trap_map = calloc(2, 4096);
    cpu_features.phys_bits = 40;
    acpi.lapic_base = 0xfee00000;
    acpi.nr_ioapics = 1;
    acpi.ioapic[0].base = 0xfec00000;
    acpi.hpet_base = 0xfed00000;
    boot.nr_map = 3;
    boot.map[0] = (struct boot_region){0, 0x9f000, 1};
    boot.map[1] = (struct boot_region){0xf0000, 0x10000, 2};
    boot.map[2] = (struct boot_region){0x100000, 0x3ff00000, 1};
    assert_int_equal(iocaps_init_hardware(&dom.d), 0);
    xv.v.domain = &dom.d;
    return 0;
}

static int teardown(void **state)
{
    free(dom.caps);
    free(trap_map);
    return 0;
}

static void test_ports(void **state)
{
    static const uint16_t no[] = {0x20, 0x21, 0xa0, 0xa1, 0x40, 0x41, 0x3f8, 0x3ff};
    static const uint16_t yes[] = {0x42, 0x43, 0x61, 0x70, 0x71, 0x60, 0x2f8, 0x3c0, 0xcf8, 0x608, 0xffff};
    struct x86_domain none = {0};

    for (unsigned i = 0; i < ARRAY_SIZE(no); i++)
        assert_false(ioport_allowed(&dom.d, no[i], 1));
    for (unsigned i = 0; i < ARRAY_SIZE(yes); i++)
        assert_true(ioport_allowed(&dom.d, yes[i], 1));
    assert_false(ioport_allowed(&dom.d, 0x1f, 2));
    assert_false(ioport_allowed(&dom.d, 0x3f7, 4));
    assert_false(ioport_allowed(&dom.d, 0xffff, 2));
    assert_false(ioport_allowed(&dom.d, 0x10000, 1));
    assert_false(ioport_allowed(&none.d, 0x70, 1));
    assert_int_equal(dom.iobitmap[0xcf8 >> 3], 0xff);
    assert_int_equal(dom.iobitmap[0x40 >> 3], 0x0b);
    assert_int_equal(dom.iobitmap[0x3c0 >> 3], 0);
}

static void test_memory(void **state)
{
    assert_true(iomem_allowed(&dom.d, 0xa0, 0xff));
    assert_true(iomem_allowed(&dom.d, 0x9f, 0x9f));
    assert_false(iomem_allowed(&dom.d, 0x9e, 0xa0));
    assert_false(iomem_allowed(&dom.d, 0, 0));
    assert_false(iomem_allowed(&dom.d, 0xff, 0x100));
    assert_false(iomem_allowed(&dom.d, 0x3ffff, 0x40000));
    assert_true(iomem_allowed(&dom.d, 0x40000, 0xfebff));
    assert_false(iomem_allowed(&dom.d, 0xfec00, 0xfec00));
    assert_true(iomem_allowed(&dom.d, 0xfec01, 0xfecff));
    assert_true(iomem_allowed(&dom.d, 0xfed00, 0xfed00)); /* the HPET is left to domain 0 */
    assert_false(iomem_allowed(&dom.d, 0xfee00, 0xfee00));
    assert_true(iomem_allowed(&dom.d, 0xfee01, (1ULL << 28) - 1));
    assert_false(iomem_allowed(&dom.d, 0xfee01, 1ULL << 28));
    assert_false(iomem_allowed(&dom.d, 5, 4));
    assert_false(irq_allowed(&dom.d, 4));
    assert_true(irq_allowed(&dom.d, 3));
}

static enum pv_emul go(const char *bytes, unsigned n)
{
    struct pv_insn in;

    accesses = faults = 0;
    assert_int_equal(pv_insn_decode(&in, (const uint8_t *)bytes, n, true), 0);
    return pv_emul_io(&xv.v, &in, &regs, true);
}

static void test_privilege(void **state)
{
    memset(&regs, 0, sizeof(regs));
    memset(memory, 0xff, sizeof(memory));
    xv.kernel_mode = 1;
    xv.iopl = 0;
    regs.rdx = 0x3c5;
    assert_int_equal(go("\xec", 1), PV_EMUL_NO);
    xv.iopl = 1;
    assert_int_equal(go("\xec", 1), PV_EMUL_DONE);
    xv.kernel_mode = 0;
    assert_int_equal(go("\xec", 1), PV_EMUL_NO);
    xv.iobmp = guest_ptr(64);
    xv.iobmp_bits = 0x3c8;
    assert_int_equal(go("\xec", 1), PV_EMUL_NO);
    memory[64 + (0x3c5 >> 3)] = (uint8_t)~0xe0;
    assert_int_equal(go("\xec", 1), PV_EMUL_DONE);
    assert_int_equal(go("\x66\xed", 2), PV_EMUL_DONE);
    assert_int_equal(go("\xed", 1), PV_EMUL_NO); /* 3c8 is beyond the bitmap */
    xv.iopl = 3;
    assert_int_equal(go("\xed", 1), PV_EMUL_DONE);
    assert_int_equal(accesses, 1);
    xv.kernel_mode = 1;
}

static void test_sizes(void **state)
{
    xv.iopl = 1;
    regs.rax = ~0ULL;
    regs.rdx = 0xffff0070;
    assert_int_equal(go("\xec", 1), PV_EMUL_DONE);
    assert_int_equal(regs.rax, 0xffffffffffffff44);
    assert_int_equal(last_port, 0x70);
    go("\x66\xed", 2);
    assert_int_equal(regs.rax, 0xffffffffffff3344);
    go("\x48\xed", 2);
    assert_int_equal(regs.rax, 0x11223344);
    assert_int_equal(last_bytes, 4);
    go("\xe6\xf1", 2);
    assert_int_equal(last_port, 0xf1);
    assert_int_equal(last_val, 0x44);
}

static void test_strings(void **state)
{
    regs.rdx = 0x1f0;
    regs.rdi = 0x100;
    regs.rcx = 300;
    assert_int_equal(go("\xf3\x66\x6d", 3), PV_EMUL_STAY);
    assert_int_equal(accesses, 256);
    assert_int_equal(regs.rcx, 44);
    assert_int_equal(go("\xf3\x66\x6d", 3), PV_EMUL_DONE);
    assert_int_equal(accesses, 44);
    assert_int_equal(regs.rdi, 0x100 + 600);
    assert_int_equal(go("\xf3\x66\x6d", 3), PV_EMUL_DONE);
    assert_int_equal(accesses, 0);
    regs.rsi = 4090;
    regs.rcx = 4;
    assert_int_equal(go("\xf3\x6f", 2), PV_EMUL_STAY); /* runs off the page */
    assert_int_equal(faults, 1);
    assert_int_equal(regs.rcx, 3);
    assert_int_equal(regs.rsi, 4094);
}

/* Another domain begins with nothing, gets ranges that grow together, and loses pieces. */
static void test_granted(void **state)
{
    static struct x86_domain other;
    struct domain *d = &other.d;

    assert_false(ioport_allowed(d, 0x378, 1));
    assert_int_equal(iocaps_set_ports(d, 0x378, 0x37f, true), 0);
    assert_true(ioport_allowed(d, 0x37c, 4));
    assert_false(ioport_allowed(d, 0x37d, 4));
    assert_false(iomem_allowed(d, 0, 0));
    assert_false(irq_allowed(d, 7)); /* none but what is given */
    assert_int_equal(iocaps_set_irq(d, 7, true), 0);
    assert_int_equal(iocaps_set_irq(d, 7, true), 0);
    assert_true(irq_allowed(d, 7));
    assert_false(irq_allowed(d, 5));
    assert_int_equal(iocaps_set_irq(d, 7, false), 0);
    assert_false(irq_allowed(d, 7));
    assert_int_equal(iocaps_set_mem(d, 10, 19, true), 0);
    assert_int_equal(iocaps_set_mem(d, 30, 39, true), 0);
    assert_false(iomem_allowed(d, 15, 35));
    assert_int_equal(iocaps_set_mem(d, 20, 29, true), 0);
    assert_true(iomem_allowed(d, 10, 39));
    assert_int_equal(iocaps_set_mem(d, 15, 16, false), 0);
    assert_false(iomem_allowed(d, 10, 15));
    assert_true(iomem_allowed(d, 10, 14) && iomem_allowed(d, 17, 39));
    assert_int_equal(iocaps_set_mem(d, 0, 100, true), 0);
    assert_true(iomem_allowed(d, 0, 100));
    for (unsigned n = 0; n < 1000; n++) { /* bounded */
        int rc = iocaps_set_mem(d, 1000 + n * 2, 1000 + n * 2, true);

        assert_true(!rc || rc == -XEN_E2BIG);
        assert_int_equal(iomem_allowed(d, 1000 + n * 2, 1000 + n * 2), !rc);
    }
    assert_int_equal(iocaps_set_ports(d, 0, 0xffff, false), 0);
    assert_false(ioport_allowed(d, 0x378, 1));
    iocaps_free(d);
    assert_false(iomem_allowed(d, 0, 100));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_granted),
        cmocka_unit_test(test_ports), cmocka_unit_test(test_memory), cmocka_unit_test(test_privilege),
        cmocka_unit_test(test_sizes), cmocka_unit_test(test_strings),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
