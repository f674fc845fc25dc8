/* SPDX-License-Identifier: MIT */
/*
 * segments: descriptor tables and segment bases. A GDT and an LDT of the guest's own can be
 * installed, loaded from and changed by update_descriptor; tables that are writable, foreign or
 * hold system descriptors are refused; privilege is never below 3; all four segment bases take
 * effect and survive the way to user mode and back.
 */
#include "kit.h"

#define DESC_DATA 0x00cff3000000ffffUL
#define DESC_CODE64 0x00affb000000ffffUL
static uint64_t *gdt, *ldt, *cell;

static uint64_t lsl(uint64_t sel)
{
    uint64_t limit = ~0UL;
    asm volatile("lsl %1, %0" : "+r"(limit) : "r"(sel) : "cc");
    return limit;
}

static uint64_t data_desc(uint64_t base, uint64_t limit)
{
    return 0x0040f30000000000UL | (limit & 0xffff) | (limit & 0xf0000) << 32 |
           (base & 0xffffff) << 16 | (base & 0xff000000) << 32;
}

static long set_gdt(void *va, unsigned int entries)
{
    unsigned long frame[1] = {va_mfn(va)};
    return HC2(set_gdt, frame, entries);
}

static long set_desc(uint64_t *e, uint64_t desc)
{
    return HC2(update_descriptor, va_maddr(e), desc);
}

static uint64_t load_fs(uint64_t sel)
{
    return (uint64_t)TRAPS(asm volatile("mov %0, %%fs" : : "r"(sel)));
}

static void gdt_calls(void)
{
    gdt[1] = DESC_DATA;
    gdt[2] = data_desc(0, 0x1234);
    CHECK_FAILS("gdt-while-writable", set_gdt(gdt, 512));
    kit_set_ro(gdt);
    CHECK_EQ("gdt-too-long", set_gdt(gdt, 7169), -XEN_EINVAL);
    CHECK_EQ("gdt-bad-pointer", HC2(set_gdt, 8, 512), -XEN_EFAULT);
    {
        unsigned long frame[1] = {1};
        CHECK_FAILS("gdt-foreign-frame", HC2(set_gdt, frame, 512));
        frame[0] = kit_top();
        CHECK_FAILS("gdt-page-table", HC2(set_gdt, frame, 512));
    }
    CHECK_EQ("gdt", set_gdt(gdt, 512), 0);
    CHECK_FAILS("gdt-not-writable-now", kit_set_rw(gdt));
    CHECK_EQ("gdt-lsl", lsl(2 << 3 | 3), 0x1234);
    CHECK_EQ("gdt-load", load_fs(1 << 3 | 3), NOTRAP);
    CHECK_EQ("gdt-load-not-present", load_fs(3 << 3 | 3), VEC_GP);
    load_fs(0);
}

static void descriptors(void)
{
    uint64_t d;

    CHECK_EQ("descriptor-set", set_desc(&gdt[3], data_desc(0, 0x77)), 0);
    CHECK_EQ("descriptor-set-lsl", lsl(3 << 3 | 3), 0x77);
    CHECK_EQ("descriptor-code64", set_desc(&gdt[4], DESC_CODE64), 0);
    CHECK_EQ("descriptor-not-present-any", set_desc(&gdt[5], 0x0000000000001234), 0);
    CHECK_EQ("descriptor-not-present-system", set_desc(&gdt[5], 0x00000c0000001234), 0);
    d = gdt[6];
    CHECK_FAILS("descriptor-call-gate-to-hypervisor", set_desc(&gdt[6], 0x0000ec00e0080000));
    CHECK_FAILS("descriptor-tss", set_desc(&gdt[6], 0x000089000000ffff));
    CHECK_FAILS("descriptor-ldt", set_desc(&gdt[6], 0x000082000000ffff));
    CHECK_EQ("descriptor-refused-no-trace", gdt[6], d);
    /* a call gate is refused, or kept out of the guest's reach by privilege 0 */
    set_desc(&gdt[6], 0x0000ec00e0330000);
    CHECK("descriptor-call-gate-unusable", !(gdt[6] >> 47 & 1) || !(gdt[6] >> 45 & 3));
    set_desc(&gdt[6], 0);
    /* privilege below 3 is refused or raised, never kept */
    set_desc(&gdt[7], DESC_DATA & ~(3UL << 45));
    CHECK("descriptor-dpl0-not-kept", !(gdt[7] >> 47 & 1) || (gdt[7] >> 45 & 3) == 3);
    set_desc(&gdt[8], DESC_CODE64 & ~(3UL << 45));
    CHECK("descriptor-code-dpl0-not-kept", !(gdt[8] >> 47 & 1) || (gdt[8] >> 45 & 3) == 3);
    CHECK_FAILS("descriptor-foreign", HC2(update_descriptor, 0x1000, DESC_DATA));
    CHECK_FAILS("descriptor-beyond", HC2(update_descriptor, 0xffffffffff000, DESC_DATA));
    CHECK_FAILS("descriptor-unaligned", HC2(update_descriptor, va_maddr(gdt) + 4, DESC_DATA));
    CHECK_FAILS("descriptor-in-page-table", HC2(update_descriptor, kit_top() * PAGE, DESC_DATA));
    CHECK_TRAP("descriptor-write-faults", VEC_PF, *(volatile uint64_t *)&gdt[9] = DESC_DATA);
}

static void other_gdts(void)
{
    uint64_t *bad = kit_page();

    bad[1] = 0x000089000000ffff; /* present TSS */
    kit_set_ro(bad);
    CHECK_FAILS("gdt-with-tss", set_gdt(bad, 512));
    CHECK_EQ("gdt-refused-is-writable", kit_set_rw(bad), 0);
    bad[1] = DESC_DATA & ~(3UL << 45);
    kit_set_ro(bad);
    if (!set_gdt(bad, 512))
        CHECK_EQ("gdt-dpl0-is-raised", bad[1] >> 45 & 3, 3);
    CHECK_EQ("gdt-empty", HC2(set_gdt, NULL, 0), 0);
    CHECK_EQ("gdt-old-free", kit_set_rw(gdt), 0);
    CHECK_EQ("gdt-empty-load", load_fs(1 << 3 | 3), VEC_GP);
    CHECK("gdt-flat-selectors-stay", lsl(KSS) == 0xffffffff && lsl(KCS) == 0xffffffff);
}

static void ldts(void)
{
    ldt[0] = data_desc(0, 0x55);
    ldt[1] = data_desc((uint64_t)cell & 0, 0x66);
    /* a writable table is refused now, or when it is first used: #GP, or #PF at the LDT */
    mmuext(MMUEXT_SET_LDT, (uint64_t)ldt, 512);
    CHECK("ldt-writable-not-loaded", load_fs(0 << 3 | 7) != (uint64_t)NOTRAP);
    mmuext(MMUEXT_SET_LDT, 0, 0);
    kit_set_ro(ldt);
    CHECK_EQ("ldt-set", mmuext(MMUEXT_SET_LDT, (uint64_t)ldt, 512), 0);
    CHECK_EQ("ldt-load", load_fs(1 << 3 | 7), NOTRAP);
    CHECK_EQ("ldt-lsl", lsl(0 << 3 | 7), 0x55);
    CHECK_EQ("ldt-update", set_desc(&ldt[0], data_desc(0, 0x99)), 0);
    CHECK_EQ("ldt-update-lsl", lsl(0 << 3 | 7), 0x99);
    CHECK_FAILS("ldt-not-writable-now", kit_set_rw(ldt));
    load_fs(0);
    CHECK_EQ("ldt-remove", mmuext(MMUEXT_SET_LDT, 0, 0), 0);
    CHECK_EQ("ldt-gone", load_fs(1 << 3 | 7), VEC_GP);
    CHECK_EQ("ldt-page-free", kit_set_rw(ldt), 0);
}

static uint64_t fs0(void)
{
    uint64_t v;
    asm volatile("mov %%fs:0, %0" : "=r"(v));
    return v;
}
static uint64_t gs0(void)
{
    uint64_t v;
    asm volatile("mov %%gs:0, %0" : "=r"(v));
    return v;
}
static uint64_t u_gs_seen, u_fs_seen;
static void u_look(uint64_t a, uint64_t b)
{
    u_gs_seen = gs0();
    u_fs_seen = fs0();
}

static void bases(void)
{
    for (unsigned int i = 0; i < 4; i++)
        cell[i * 8] = 100 + i;
    CHECK_EQ("base-fs", HC2(set_segment_base, SEGBASE_FS, cell), 0);
    CHECK_EQ("base-fs-seen", fs0(), 100);
    CHECK_EQ("base-gs-kernel", HC2(set_segment_base, SEGBASE_GS_KERNEL, cell + 8), 0);
    CHECK_EQ("base-gs-kernel-seen", gs0(), 101);
    CHECK_EQ("base-gs-user", HC2(set_segment_base, SEGBASE_GS_USER, cell + 16), 0);
    CHECK_EQ("base-gs-user-not-in-kernel", gs0(), 101);
    CHECK_EQ("base-user-runs", kit_user(u_look, 0, 0), VEC_SYSCALL);
    CHECK_EQ("base-gs-user-seen", u_gs_seen, 102);
    CHECK_EQ("base-fs-in-user", u_fs_seen, 100);
    CHECK_EQ("base-gs-kernel-back", gs0(), 101);
    TRAPS(asm volatile("ud2"));
    CHECK("base-after-trap", gs0() == 101 && fs0() == 100);
    CHECK_EQ("base-gs-user-selector", HC2(set_segment_base, SEGBASE_GS_USER_SEL, KSS), 0);
    CHECK_EQ("base-gs-user-selector-null", HC2(set_segment_base, SEGBASE_GS_USER_SEL, 0), 0);
    HC2(set_segment_base, SEGBASE_GS_USER_SEL, 0xfff3); /* bad: ignored or error, never a crash */
    CHECK_EQ("base-gs-kernel-after-selector", gs0(), 101);
    CHECK_FAILS("base-fs-noncanonical", HC2(set_segment_base, SEGBASE_FS, 0x8000000000000000));
    CHECK_FAILS("base-gs-kernel-noncanonical",
                HC2(set_segment_base, SEGBASE_GS_KERNEL, 0x800000000000));
    CHECK_FAILS("base-gs-user-noncanonical",
                HC2(set_segment_base, SEGBASE_GS_USER, 0x800000000000));
    CHECK_FAILS("base-bad-kind", HC2(set_segment_base, 4, 0));
    CHECK("base-refusals-no-trace", gs0() == 101 && fs0() == 100);
}

static void selectors(void)
{
    uint64_t ds, es;

    asm volatile("mov %0, %%ds; mov %0, %%es" : : "r"((uint64_t)KSS));
    TRAPS(asm volatile("ud2"));
    HC2(xen_version, XENVER_version, NULL);
    asm volatile("mov %%ds, %0; mov %%es, %1" : "=r"(ds), "=r"(es));
    CHECK("selectors-kept", (ds & 0xffff) == KSS && (es & 0xffff) == KSS);
    asm volatile("mov %0, %%ds; mov %0, %%es" : : "r"(0UL));
    CHECK_TRAP("selector-hypervisor-code", VEC_GP, asm volatile("mov %0, %%ds" : : "r"(0xe008UL)));
    CHECK_TRAP("selector-hypervisor-data", VEC_GP,
               asm volatile("mov %0, %%es"
                            :
                            : "r"(0xe010UL | 3)));
}

void guest_main(void)
{
    gdt = kit_page();
    ldt = kit_page();
    cell = kit_page();
    kit_user_init();
    gdt_calls();
    descriptors();
    other_gdts();
    ldts();
    bases();
    selectors();
}
