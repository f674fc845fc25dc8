/* SPDX-License-Identifier: MIT */
/*
 * pagetables: a guest writes its page tables only through the hypervisor, and never gets a mapping
 * that it must not have. Each forbidden entry is tried with mmu_update (and some by a trapped
 * write), must be refused, and must leave the table as it was. Allowed ones work, by mmu_update in
 * its three forms, update_va_mapping and trapped writes.
 */
#include "kit.h"
#include "region.h"

static char *data, *data2;

static bool refused(uint64_t *entry, uint64_t val)
{
    uint64_t old = *entry;
    long rc = mmu_update1(va_maddr(entry) | MMU_NORMAL_PT_UPDATE, val);
    if (rc < 0 && *entry == old)
        return true;
    kit_printf("refused: rc %ld entry 0x%lx now 0x%lx, tried 0x%lx\n", rc, old, *entry, val);
    if (!rc)
        mmu_update1(va_maddr(entry), old);
    return false;
}

static bool allowed(uint64_t *entry, uint64_t val)
{
    long rc = mmu_update1(va_maddr(entry) | MMU_NORMAL_PT_UPDATE, val);
    if (rc || (*entry & (PTE_ADDR | PTE_RW | PTE_P)) != (val & (PTE_ADDR | PTE_RW | PTE_P)))
        kit_printf("allowed: rc %ld entry 0x%lx wanted 0x%lx\n", rc, *entry, val);
    return !rc && (*entry & (PTE_ADDR | PTE_RW | PTE_P)) == (val & (PTE_ADDR | PTE_RW | PTE_P));
}

static void l1_entries(void)
{
    uint64_t *e = &region_l1[1];

    CHECK("l1-data-writable", allowed(e, mfn_pte(va_mfn(data), PTE_KERN)));
    *(volatile int *)region(1) = 4711;
    CHECK("l1-data-is-there", *(volatile int *)data == 4711);
    CHECK("l1-clear", allowed(e, 0));
    CHECK("l1-not-present-any-bits", allowed(e, 0x123456789abcd000));
    CHECK("l1-own-l1-read-only", allowed(e, mfn_pte(va_mfn(region_l1), PTE_RO)));
    allowed(e, 0);
    CHECK("l1-own-l1-writable", refused(e, mfn_pte(va_mfn(region_l1), PTE_KERN)));
    CHECK("l1-own-l2-writable", refused(e, mfn_pte(va_mfn(region_l2), PTE_KERN)));
    CHECK("l1-own-l3-writable", refused(e, mfn_pte(va_mfn(region_l3), PTE_KERN)));
    CHECK("l1-own-l4-writable", refused(e, mfn_pte(kit_top(), PTE_KERN)));
    CHECK("l1-local-apic", refused(e, mfn_pte(0xfee00, PTE_KERN)));
    CHECK("l1-local-apic-read-only", refused(e, mfn_pte(0xfee00, PTE_RO)));
    mmu_update1(va_maddr(e), mfn_pte(0xfec00, PTE_KERN)); /* refused, or taken read-only */
    CHECK("l1-io-apic-never-writable", (*e & (PTE_P | PTE_RW)) != (PTE_P | PTE_RW));
    allowed(e, 0);
    CHECK("l1-frame-beyond-machine", refused(e, mfn_pte(0xffffffffffUL, PTE_KERN)));
    CHECK("l1-frame-beyond-width", refused(e, mfn_pte(va_mfn(data), PTE_KERN) | 1UL << 50));
    CHECK("l1-vga-by-dom0", allowed(e, mfn_pte(0xb8, PTE_KERN)));
    allowed(e, 0);
    CHECK("l1-nx", allowed(e, mfn_pte(va_mfn(data), PTE_KERN | PTE_NX)));
    CHECK("l1-software-bits", allowed(e, mfn_pte(va_mfn(data), PTE_KERN | 0x200 | 0x400)));
    allowed(e, 0);
}

/* Every 37th frame of the machine: what can be mapped writable must be ours. */
static void sweep(void)
{
    static uint8_t mine[1 << 17];
    unsigned long top = (unsigned long)HC2(memory_op, XENMEM_maximum_ram_page, NULL);
    unsigned long bad = 0, got = 0, tried = 0, first = 0;

    for (unsigned long p = 0; p < kit_si->nr_pages; p++)
        if (kit_p2m[p] < sizeof(mine) * 8)
            mine[kit_p2m[p] / 8] |= (uint8_t)(1 << kit_p2m[p] % 8);
    for (unsigned long mfn = 0x100; mfn < top && mfn < sizeof(mine) * 8; mfn += 37, tried++) {
        bool ours = mine[mfn / 8] >> (mfn % 8) & 1;
        if (mmu_update1(va_maddr(&region_l1[2]), mfn_pte(mfn, PTE_KERN)))
            continue;
        got++;
        if (!ours && mfn != kit_si->shared_info / PAGE && !bad++)
            first = mfn;
    }
    mmu_update1(va_maddr(&region_l1[2]), 0);
    kit_check(!bad && got, "sweep-only-own-frames",
              "%lu of %lu frames mapped, %lu not ours, first 0x%lx", got, tried, bad, first);
}

static void upper_entries(void)
{
    uint64_t *top = mfn_va(kit_top()), *e2 = &region_l2[5], *e3 = &region_l3[5];
    uint64_t big = (va_mfn(data) & ~511UL) * PAGE;

    CHECK("l2-superpage", refused(e2, big | TAB_FLAGS | PTE_PSE));
    CHECK("l2-superpage-read-only", refused(e2, big | PTE_RO | PTE_PSE));
    CHECK("l3-superpage", refused(e3, TAB_FLAGS | PTE_PSE));
    CHECK("l4-superpage-bit", refused(&top[40], mfn_pte(va_mfn(region_l3), TAB_FLAGS | PTE_PSE)));
    CHECK("l2-reserved-bits", refused(e2, mfn_pte(va_mfn(region_l1), TAB_FLAGS) | 1UL << 51));
    CHECK("l4-reserved-bits", refused(&top[40], mfn_pte(va_mfn(region_l3), TAB_FLAGS) | 1UL << 51));
    CHECK("l2-of-writable-page", refused(e2, mfn_pte(va_mfn(data), TAB_FLAGS)));
    CHECK("l2-takes-l1-again", allowed(e2, mfn_pte(va_mfn(region_l1), TAB_FLAGS)));
    allowed(e2, 0);
    CHECK("l3-takes-l1-wrong-level", refused(e3, mfn_pte(va_mfn(region_l1), TAB_FLAGS)));
    CHECK("l2-takes-l2-wrong-level", refused(e2, mfn_pte(va_mfn(region_l3), TAB_FLAGS)));
    CHECK("l4-takes-l2-wrong-level", refused(&top[40], mfn_pte(va_mfn(region_l2), TAB_FLAGS)));
    CHECK("l2-device-frame", refused(e2, mfn_pte(0xb8, TAB_FLAGS)));
    CHECK("l3-foreign-frame", refused(e3, mfn_pte(0x1, TAB_FLAGS)));
    for (unsigned int i = 256; i < 272; i += 5)
        CHECK("l4-hypervisor-slot", refused(&top[i], mfn_pte(va_mfn(region_l3), TAB_FLAGS)));
    CHECK("l4-hypervisor-slot-clear", refused(&top[261], 0));
    CHECK("l4-second-slot", allowed(&top[40], mfn_pte(va_mfn(region_l3), TAB_FLAGS)));
    CHECK("l4-slot-clear", allowed(&top[40], 0));
    CHECK("l4-linear-writable-is-read-only", refused(&top[40], mfn_pte(kit_top(), TAB_FLAGS)));
    CHECK("l4-linear-read-only", allowed(&top[40], mfn_pte(kit_top(), PTE_RO)));
    /* through the linear slot 40, entry 40 of the L4 shows itself at 40:40:40:40 */
    CHECK_EQ("l4-linear-read",
             ((volatile uint64_t *)((40UL << 39) | (40UL << 30) | (40UL << 21) | (40UL << 12)))[40],
             top[40]);
    CHECK_TRAP("l4-linear-forbidden-write", VEC_PF,
               ((volatile uint64_t *)((40UL << 39) | (40UL << 30) | (40UL << 21) |
                                      (40UL << 12)))[41] = mfn_pte(va_mfn(data), TAB_FLAGS));
    CHECK("l4-linear-remove", allowed(&top[40], 0));
}

static void mmu_update_forms(void)
{
    uint64_t *e = &region_l1[3], own = va_maddr(data);
    struct mmu_update many[3] = {{va_maddr(e), mfn_pte(va_mfn(data), PTE_KERN)},
                                 {va_maddr(e), mfn_pte(kit_top(), PTE_KERN)},
                                 {va_maddr(e), 0}};
    unsigned int done = 77;

    CHECK_FAILS("mmu-update-stops-at-bad", HC4(mmu_update, many, 3, &done, DOMID_SELF));
    CHECK("mmu-update-counts-done", done == 1 && (*e & PTE_ADDR) == (own & PTE_ADDR));
    CHECK_FAILS("mmu-update-bad-domain", HC4(mmu_update, many, 1, NULL, 999));
    CHECK_FAILS("mmu-update-frame-beyond", mmu_update1(0xfffffffff000, 0));
    CHECK_EQ("mmu-update-none", HC4(mmu_update, NULL, 0, NULL, DOMID_SELF), 0);
    *(volatile char *)region(3) = 1;
    CHECK("accessed-dirty-by-mmu", (*e & (PTE_A | PTE_D)) == (PTE_A | PTE_D));
    CHECK_EQ(
        "preserve-ad",
        mmu_update1(va_maddr(e) | MMU_PT_UPDATE_PRESERVE_AD, mfn_pte(va_mfn(data), PTE_P | PTE_US)),
        0);
    CHECK("preserve-ad-kept", (*e & (PTE_A | PTE_D | PTE_RW)) == (PTE_A | PTE_D));
    CHECK_EQ("normal-clears-ad", mmu_update1(va_maddr(e), mfn_pte(va_mfn(data), PTE_P | PTE_US)),
             0);
    CHECK_EQ("normal-ad-clear", *e & (PTE_A | PTE_D), 0);
    CHECK_EQ("no-translate",
             mmu_update1(va_maddr(e) | MMU_PT_UPDATE_NO_TRANSLATE, mfn_pte(va_mfn(data), PTE_RO)),
             0);
    CHECK_FAILS("no-translate-forbidden", mmu_update1(va_maddr(e) | MMU_PT_UPDATE_NO_TRANSLATE,
                                                      mfn_pte(kit_top(), PTE_KERN)));
    CHECK_EQ("update-ordinary-page", mmu_update1(own + 16, 0x1234567), 0);
    CHECK_EQ("update-ordinary-page-written", *(volatile uint64_t *)(data + 16), 0x1234567);
    CHECK_EQ("machphys", mmu_update1((own & ~7UL) | MMU_MACHPHYS_UPDATE, 0x4321), 0);
    CHECK_EQ("machphys-read", machine_to_phys_mapping[va_mfn(data)], 0x4321);
    mmu_update1((own & ~7UL) | MMU_MACHPHYS_UPDATE, va_pfn(data));
    CHECK_FAILS("machphys-foreign", mmu_update1(0x1000 | MMU_MACHPHYS_UPDATE, 5));
    CHECK_FAILS("machphys-beyond", mmu_update1(0xffffffffff000 | MMU_MACHPHYS_UPDATE, 5));
    mmu_update1(va_maddr(e), 0);
}

static void va_mapping(void)
{
    static const unsigned long flush[] = {
        UVMF_NONE,   UVMF_TLB_FLUSH,         UVMF_TLB_FLUSH | UVMF_ALL,
        UVMF_INVLPG, UVMF_INVLPG | UVMF_ALL, UVMF_TLB_FLUSH | UVMF_LOCAL};
    volatile char *va = region(4);
    static uint64_t cpus = 1;

    data[0] = 'a';
    data2[0] = 'b';
    for (unsigned int i = 0; i < sizeof(flush) / sizeof(flush[0]); i++) {
        char *to = i & 1 ? data : data2;
        long rc = update_va((void *)va, mfn_pte(va_mfn(to), PTE_KERN), flush[i]);
        if (!flush[i])
            mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
        kit_check(!rc && *va == *to, "update-va-mapping-flush", "kind %u rc %ld sees %c", i, rc,
                  *va);
    }
    CHECK_EQ("update-va-mapping-cpu-set",
             update_va((void *)va, 0, UVMF_TLB_FLUSH | (uint64_t)&cpus), 0);
    CHECK_TRAP("update-va-mapping-gone", VEC_PF, *va);
    CHECK_FAILS("update-va-mapping-no-table", update_va((void *)0x600000000000, 0, 0));
    CHECK_FAILS("update-va-mapping-hypervisor", update_va((void *)0xffff820000000000, 0, 0));
    CHECK_FAILS("update-va-mapping-noncanonical", update_va((void *)0x800000000000, 0, 0));
    CHECK_FAILS("update-va-mapping-forbidden",
                update_va((void *)va, mfn_pte(kit_top(), PTE_KERN), 0));
    CHECK_EQ("update-va-mapping-otherdomain",
             HC4(update_va_mapping_otherdomain, va, mfn_pte(va_mfn(data), PTE_KERN), UVMF_INVLPG,
                 DOMID_SELF),
             0);
    CHECK_FAILS("update-va-mapping-no-domain", HC4(update_va_mapping_otherdomain, va, 0, 0, 999));
    update_va((void *)va, 0, UVMF_INVLPG);
}

/* Plain stores to a read-only mapped L1 are emulated when they are well formed. */
static void trapped_writes(void)
{
    volatile uint64_t *e = &region_l1[6];
    uint64_t good = mfn_pte(va_mfn(data), PTE_KERN), old, hv = mfn_pte(kit_top(), PTE_KERN);

    CHECK_EQ("ptwr-mov64", TRAPS(*e = good), NOTRAP);
    CHECK("ptwr-mov64-took",
          (*e & (PTE_ADDR | PTE_RW | PTE_P)) == (good & (PTE_ADDR | PTE_RW | PTE_P)) &&
              TRAPS(*region(6) = 1) == NOTRAP);
    CHECK_EQ("ptwr-clear", TRAPS(*e = 0), NOTRAP);
    old = good;
    CHECK_EQ("ptwr-xchg", TRAPS(asm volatile("xchg %0, %1" : "+r"(old), "+m"(*e))), NOTRAP);
    CHECK("ptwr-xchg-took", old == 0 && (*e & PTE_ADDR) == (good & PTE_ADDR));
    CHECK_EQ("ptwr-lock-and",
             TRAPS(asm volatile("lock andq %1, %0"
                                : "+m"(*e)
                                : "r"(~PTE_RW))),
             NOTRAP);
    CHECK_EQ("ptwr-lock-and-took", *e & PTE_RW, 0);
    CHECK_EQ("ptwr-lock-or",
             TRAPS(asm volatile("lock orq %1, %0"
                                : "+m"(*e)
                                : "r"(PTE_RW))),
             NOTRAP);
    CHECK_EQ("ptwr-lock-or-took", *e & PTE_RW, PTE_RW);
    CHECK_EQ("ptwr-lock-btr", TRAPS(asm volatile("lock btrq $1, %0" : "+m"(*e))), NOTRAP);
    CHECK_EQ("ptwr-lock-btr-took", *e & PTE_RW, 0);
    CHECK_EQ("ptwr-add", TRAPS(asm volatile("addq $2, %0" : "+m"(*e))), NOTRAP);
    CHECK_EQ("ptwr-add-took", *e & PTE_RW, PTE_RW);
    old = *e;
    CHECK_EQ("ptwr-cmpxchg",
             TRAPS(asm volatile("lock cmpxchg %2, %1"
                                : "+a"(old), "+m"(*e)
                                : "r"(0UL))),
             NOTRAP);
    CHECK_EQ("ptwr-cmpxchg-took", *e, 0);
    old = 5;
    CHECK_EQ("ptwr-cmpxchg-miss",
             TRAPS(asm volatile("lock cmpxchg %2, %1"
                                : "+a"(old), "+m"(*e)
                                : "r"(good))),
             NOTRAP);
    CHECK("ptwr-cmpxchg-miss-kept", old == 0 && *e == 0);
    CHECK_EQ("ptwr-mov32", TRAPS(((volatile uint32_t *)e)[1] = 0x55), NOTRAP);
    CHECK_EQ("ptwr-mov32-took", *e, 0x5500000000);
    CHECK_EQ("ptwr-mov16", TRAPS(((volatile uint16_t *)e)[1] = 0x77), NOTRAP);
    CHECK_EQ("ptwr-mov8", TRAPS(((volatile uint8_t *)e)[1] = 0x99), NOTRAP);
    CHECK_EQ("ptwr-small-took", *e, 0x5500779900);
    TRAPS(*e = 0);
    CHECK_TRAP("ptwr-forbidden-mov", VEC_PF, *e = hv);
    CHECK("ptwr-forbidden-error", cpu()->trap.error == 3 && cpu()->cr2 == (uint64_t)e);
    CHECK_TRAP("ptwr-forbidden-xchg", VEC_PF, old = hv; asm volatile("xchg %0, %1"
                                                                     : "+r"(old), "+m"(*e)));
    CHECK_TRAP("ptwr-unaligned", VEC_PF, *(volatile uint64_t *)((char *)e + 4) = 0);
    /* higher levels: emulated with all checks, or not at all */
    CHECK_TRAP("ptwr-l2-forbidden", VEC_PF,
               *(volatile uint64_t *)&region_l2[7] = mfn_pte(va_mfn(data), TAB_FLAGS));
    CHECK_EQ("ptwr-nothing-left", *e, 0);
}

void guest_main(void)
{
    data = kit_page();
    data2 = kit_page();
    CHECK("region", region_make());
    l1_entries();
    sweep();
    upper_entries();
    mmu_update_forms();
    va_mapping();
    trapped_writes();
}
