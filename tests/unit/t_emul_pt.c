/* SPDX-License-Identifier: MIT */
/*
 * Emulated page-table writes: which faults are taken, what is written, registers and flags afterwards,
 * retries when the entry changes, refusals. The page table is one made-up page.
 *
 * sources: hypervisor/pv/emul_pt.c hypervisor/pv/emul_util.c hypervisor/pv/insn.c hypervisor/pv/insn_rmw.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pgt.h"
#include "x86/mm.h"
#include "x86/pv_emul.h"

#define PT_VA 0xffff888012345000ULL

static uint64_t table[512];
static struct page frames[2];
struct page *frame_table = frames;
struct cpu_features cpu_features;
static struct domain dom;
static struct x86_vcpu xv;
static regs_t regs;
static uint8_t code[64];
static uint64_t pte_flags;
static int refs, db_injected, write_rc;
static unsigned changes; /* so many times somebody else changes the entry first */

int copy_from_guest(void *dst, guest_ptr_t src, size_t bytes)
{
    /* code is at 0x400ff0 .. 0x401000; the page above it is not there */
    if (src.va < 0x400f00 || src.va + bytes > 0x401000)
        return -XEN_EFAULT;
    memset(dst, 0x90, bytes);
    for (size_t i = 0; i < bytes; i++)
        if (src.va + i >= regs.rip && src.va + i - regs.rip < sizeof(code))
            ((uint8_t *)dst)[i] = code[src.va + i - regs.rip];
    return 0;
}
void *map_frame(mfn_t m)
{
    return table;
}
void unmap_frame(const void *va)
{
}
void put_page(struct page *pg)
{
    refs--;
}
struct page *pv_lookup_va(struct vcpu *v, uint64_t va, uint64_t *pte)
{
    if ((va & FRAME_MASK) != PT_VA)
        return NULL;
    *pte = PTE_P | PTE_US | pte_flags;
    refs++;
    return &frames[1];
}
int pgt_emulated_write(struct vcpu *v, struct page *pg, unsigned index, uint64_t expect_old,
                       uint64_t new_val, bool cmpxchg, uint64_t *old)
{
    if (write_rc)
        return write_rc;
    if (changes) {
        changes--;
        table[index] ^= PTE_D;
    }
    *old = table[index];
    if (cmpxchg && table[index] != expect_old)
        return -XEN_EAGAIN;
    table[index] = new_val;
    return 0;
}
void pv_inject_exception(struct vcpu *v, unsigned vector, uint32_t error)
{
    if (vector == 1)
        db_injected++;
}

static void reset(const char *bytes, unsigned n)
{
    memset(&regs, 0, sizeof(regs));
    memset(table, 0, sizeof(table));
    memset(code, 0x90, sizeof(code));
    memcpy(code, bytes, n);
    regs.rip = 0x400f80;
    regs.cs = SEL_GUEST_CS64;
    regs.rdi = PT_VA + 0x10;
    regs.rflags = 0x10202; /* RF, as a fault pushes it */
    table[2] = 0x1067;
    xv.v.domain = &dom;
    xv.kernel_mode = 1;
    frames[1].type = PGT_L1 | PGT_VALID | 1;
    frames[1].owner = &dom;
    pte_flags = 0;
    refs = db_injected = write_rc = 0;
    changes = 0;
}

static bool go(uint64_t addr)
{
    bool done = pv_emulate_pt_write(&xv.v, &regs, addr);

    assert_int_equal(refs, 0);
    return done;
}
#define RUN(bytes) (reset(bytes, sizeof(bytes) - 1), go(PT_VA + 0x10))

static void test_hot_forms(void **state)
{
    reset("\x48\x87\x07", 3);
    regs.rax = 0x55;
    assert_true(go(PT_VA + 0x10));
    assert_int_equal(table[2], 0x55);
    assert_int_equal(regs.rax, 0x1067);
    assert_int_equal(regs.rip, 0x400f83);
    assert_int_equal(regs.rflags, 0x202);

    reset("\x4d\x89\x65\x08", 4); /* mov r12, 8(r13) */
    regs.r12 = 0x77;
    regs.r13 = PT_VA + 8;
    assert_true(go(PT_VA + 0x10));
    assert_int_equal(table[2], 0x77);
    assert_int_equal(regs.rip, 0x400f84);

    assert_true(RUN("\xf0\x80\x27\xfd")); /* lock andb */
    assert_int_equal(table[2], 0x1065);
    assert_int_equal(regs.rip, 0x400f84);

    reset("\xf0\x48\x21\x04\x25\x10\x50\x34\x12", 9); /* absolute: not the fault's address */
    assert_false(go(PT_VA + 0x10));
    assert_int_equal(table[2], 0x1067);
}

static void test_parts(void **state)
{
    reset("\x89\x47\x04", 3); /* mov eax, 4(rdi): upper half */
    regs.rax = 0x80000001;
    assert_true(go(PT_VA + 0x14));
    assert_int_equal(table[2], 0x8000000100001067);
    reset("\x48\x89\x47\x04", 4); /* crosses an entry */
    assert_false(go(PT_VA + 0x14));
    reset("\xf0\x48\x0f\xb1\x0f", 5); /* cmpxchg */
    regs.rax = 0x1067;
    regs.rcx = 0x2067;
    assert_true(go(PT_VA + 0x10));
    assert_int_equal(table[2], 0x2067);
    assert_int_equal(regs.rflags & 0x40, 0x40);
}

static void test_strings(void **state)
{
    reset("\xf3\x48\xab", 3);
    regs.rcx = 2;
    assert_true(go(PT_VA + 0x10));
    assert_int_equal(table[2], 0);
    assert_int_equal(regs.rip, 0x400f80);
    assert_int_equal(regs.rcx, 1);
    assert_true(go(PT_VA + 0x18));
    assert_int_equal(regs.rip, 0x400f83);
    reset("\x48\xa5", 2);
    regs.rsi = 0x400f90;
    assert_true(go(PT_VA + 0x10));
    assert_int_equal(table[2], 0x9090909090909090);
    reset("\x48\xa5", 2);
    regs.rsi = 0x500000; /* not readable: the guest's own fault */
    assert_false(go(PT_VA + 0x10));
}

static void test_races(void **state)
{
    reset("\xf0\x48\x83\x27\xfd", 5);
    changes = 3;
    assert_true(go(PT_VA + 0x10));
    assert_int_equal(table[2], 0x1025);
    assert_int_equal(regs.rip, 0x400f85);
    reset("\xf0\x48\x83\x27\xfd", 5);
    changes = 1000; /* does not settle: execute again */
    assert_true(go(PT_VA + 0x10));
    assert_int_equal(regs.rip, 0x400f80);
    reset("\x48\x87\x07", 3);
    write_rc = -XEN_ERESTART;
    assert_true(go(PT_VA + 0x10));
    assert_int_equal(regs.rip, 0x400f80);
}

static void test_refused(void **state)
{
    reset("\x48\x87\x07", 3);
    write_rc = -XEN_EINVAL;
    assert_false(go(PT_VA + 0x10));
    assert_int_equal(regs.rip, 0x400f80);
    reset("\x48\x87\x07", 3);
    xv.kernel_mode = 0;
    assert_false(go(PT_VA + 0x10));
    reset("\x48\x87\x07", 3);
    frames[1].type = PGT_WRITABLE | PGT_VALID | 1;
    assert_false(go(PT_VA + 0x10));
    reset("\x48\x87\x07", 3);
    frames[1].type = PGT_SEG | PGT_VALID | 1;
    assert_false(go(PT_VA + 0x10));
    reset("\x48\x87\x07", 3);
    frames[1].owner = NULL;
    assert_false(go(PT_VA + 0x10));
    reset("\x48\x87\x07", 3);
    pte_flags = PTE_RW;
    assert_false(go(PT_VA + 0x10));
    reset("\x48\x87\x07", 3);
    assert_false(go(HYP_VIRT_START + 0x10));
    assert_false(RUN("\x0f\x29\x07")); /* movaps */
}

static void test_page_end_and_step(void **state)
{
    reset("\x48\x87\x07", 3);
    regs.rip = 0x400ffd; /* the last bytes of its page, nothing behind */
    regs.rflags |= 0x100;
    assert_true(go(PT_VA + 0x10));
    assert_int_equal(regs.rip, 0x401000);
    assert_int_equal(db_injected, 1);
    reset("\x48\x87\x07", 3);
    regs.rip = 0x400ffe; /* cut off */
    assert_false(go(PT_VA + 0x10));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hot_forms), cmocka_unit_test(test_parts),
        cmocka_unit_test(test_strings),   cmocka_unit_test(test_races),
        cmocka_unit_test(test_refused),   cmocka_unit_test(test_page_end_and_step),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
