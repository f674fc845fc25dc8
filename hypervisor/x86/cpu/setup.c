/* SPDX-License-Identifier: MIT */
/*
 * One processor made ready: its part of the per-CPU area (GDT, TSS, syscall stubs), the shared IDT, control
 * registers and system-call MSRs.
 */
#include "lib.h"
#include "log.h"
#include "page.h"
#include "port.h"
#include "x86/cpu.h"
#include "x86/desc.h"
#include "x86/image.h"
#include "x86/mm.h"

#define PAT_VALUE 0x0000050100070406ULL /* WB WT UC- UC WC WP UC UC: as the ABI says */
#define SFMASK (FLAG_TF | FLAG_IF | FLAG_DF | FLAG_NT | FLAG_AC | FLAG_IOPL | FLAG_RF)

extern char trap_stubs[], cpu0_stack[];
extern char syscall_stub[], syscall_stub_end[], syscall_stub_stack[], syscall_stub32[],
    syscall_stub32_stack[];
extern uint32_t clac_sites_start[], clac_sites_end[], stac_sites_start[], stac_sites_end[];

static struct idt_gate idt[256] __aligned_to(4096);
static uint64_t stack_of[MAX_CPUS];

static uint64_t percpu(unsigned cpu, uint64_t what)
{
    return PERCPU_VIRT + cpu * PERCPU_STRIDE + what;
}

static void gate_set(unsigned vector, unsigned ist, unsigned dpl)
{
    uint64_t addr = (uint64_t)trap_stubs + vector * 16;

    idt[vector] = (struct idt_gate){
        .offset0 = (uint16_t)addr,
        .selector = SEL_HYP_CS,
        .ist = (uint8_t)ist,
        .type = (uint8_t)(0x8e | (dpl << 5)),
        .offset1 = (uint16_t)(addr >> 16),
        .offset2 = (uint32_t)(addr >> 32),
    };
}

/* Once, on the boot CPU. */
static void idt_init(void)
{
    for (unsigned i = 0; i < 256; i++)
        gate_set(i, 0, i == 3 || i == 4 ? 3 : 0);
    gate_set(1, IST_DB, 0);
    gate_set(2, IST_NMI, 0);
    gate_set(8, IST_DF, 0);
    gate_set(18, IST_MC, 0);
}

/* A guest may run with AC set; with SMAP every entry from it closes the door again. The entry code has
 * three-byte no-ops where clac goes. */
static void patch_sites(uint32_t *from, const uint32_t *end, const char *insn)
{
    for (uint32_t *p = from; p < end; p++) {
        char *site = (char *)p + (int32_t)*p;

        memcpy(direct_map(image_paddr(site)), insn, 3);
    }
}

static void patch_smap(void)
{
    patch_sites(clac_sites_start, clac_sites_end, "\x0f\x01\xca");
    patch_sites(stac_sites_start, stac_sites_end, "\x0f\x01\xcb");
}

static bool page_at(uint64_t va, uint64_t flags)
{
    mfn_t m = frames_alloc(0, 0);

    if (mfn_eq(m, INVALID_MFN))
        return false;
    memset(map_frame(m), 0, FRAME_SIZE);
    return hyp_map(va, m, flags);
}

static void stub_patch(void *code, const char *where, uint64_t rsp0)
{
    memcpy((char *)code + (where - syscall_stub), &rsp0, sizeof(rsp0));
}

static bool stub_make(unsigned cpu, uint64_t rsp0)
{
    mfn_t m = frames_alloc(0, 0);
    char *code;

    if (mfn_eq(m, INVALID_MFN))
        return false;
    code = map_frame(m);
    memset(code, 0xcc, FRAME_SIZE);
    memcpy(code, syscall_stub, (size_t)(syscall_stub_end - syscall_stub));
    stub_patch(code, syscall_stub_stack, rsp0);
    stub_patch(code, syscall_stub32_stack, rsp0);
    return hyp_map(percpu(cpu, PERCPU_STUB), m, PTE_G);
}

static mfn_t zero_frame = {0};

static void gdt_fill(uint64_t *gdt, unsigned cpu)
{
    uint64_t tss = percpu(cpu, TSS_VIRT_OFFSET);

#define AT(sel) gdt[((sel) >> 3) - HYP_GDT_FIRST]
    AT(SEL_HYP_CS) = 0x00af9b000000ffff;
    AT(SEL_HYP_DS) = 0x00cf93000000ffff;
    AT(SEL_GUEST_CS32) = 0x00cffb000000ffff;
    AT(SEL_GUEST_DS) = 0x00cff3000000ffff;
    AT(SEL_GUEST_CS64) = 0x00affb000000ffff;
    AT(SEL_CPU) = 0x0040f10000000000 | cpu;
    AT(SEL_TSS) = desc_system_low(tss, 0x68 + 0x2000, 0x89);
    AT(SEL_TSS + 8) = tss >> 32;
#undef AT
}

static bool area_make(unsigned cpu, uint64_t rsp0)
{
    uint64_t nx = cpu_features.nx ? PTE_NX : 0, stack = rsp0 & ~((uint64_t)STACK_SIZE - 1);
    struct tss *tss;

    if (!zero_frame.n) {
        zero_frame = frames_alloc(0, 0);
        if (mfn_eq(zero_frame, INVALID_MFN))
            return false;
        memset(map_frame(zero_frame), 0, FRAME_SIZE);
    }
    for (unsigned i = 0; i < 16; i++)
        if (i != 14 && !hyp_map(percpu(cpu, PERCPU_GDT) + i * FRAME_SIZE, zero_frame, nx))
            return false;
    if (!page_at(percpu(cpu, PERCPU_GDT) + 14 * FRAME_SIZE, PTE_RW | PTE_G | nx))
        return false;
    for (unsigned i = 0; i < 4; i++) {
        uint64_t va = percpu(cpu, PERCPU_TSS) + i * FRAME_SIZE;

        if (!page_at(va, PTE_RW | nx))
            return false;
        if (i)
            memset((void *)va, 0xff, FRAME_SIZE); /* all ports trap */
    }
    gdt_fill((uint64_t *)(percpu(cpu, PERCPU_GDT) + 14 * FRAME_SIZE), cpu);
    tss = (struct tss *)percpu(cpu, TSS_VIRT_OFFSET);
    tss->rsp[0] = rsp0;
    for (unsigned ist = 1; ist <= 4; ist++)
        tss->ist[ist - 1] = stack + ist * FRAME_SIZE;
    tss->iobase = TSS_IOBASE_OFF;
    return stub_make(cpu, rsp0);
}

uint64_t cpu_prepare(unsigned cpu)
{
    uint64_t base;
    struct cpu_info *ci;

    if (cpu == 0) {
        base = (uint64_t)cpu0_stack;
    } else {
        mfn_t m = frames_alloc(STACK_ORDER, 0);

        if (mfn_eq(m, INVALID_MFN))
            return 0;
        base = (uint64_t)map_frame(m);
        memset((void *)base, 0, STACK_SIZE);
    }
    ci = (struct cpu_info *)(base + STACK_SIZE) - 1;
    ci->cpu = cpu;
    ci->guest_cr3 = idle_cr3;
    stack_of[cpu] = (uint64_t)&ci->regs.es;
    if (!area_make(cpu, stack_of[cpu]))
        return 0;
    ci->tss_iobase = (uint16_t *)(percpu(cpu, TSS_VIRT_OFFSET) + offsetof(struct tss, iobase));
    return (uint64_t)ci & ~15UL;
}

static void segments_load(unsigned cpu)
{
    struct desc_ptr gdtr = {15 * FRAME_SIZE - 1, percpu(cpu, PERCPU_GDT)};
    struct desc_ptr idtr = {sizeof(idt) - 1, (uint64_t)idt};

    __asm__ volatile("lgdt %0\n\t"
                     "lidt %1\n\t"
                     "mov %2, %%ss\n\t"
                     "mov %3, %%ds\n\tmov %3, %%es\n\tmov %3, %%fs\n\tmov %3, %%gs\n\t"
                     "push %4\n\t"
                     "lea 1f(%%rip), %%rax\n\t"
                     "push %%rax\n\t"
                     "lretq\n"
                     "1: ltr %w5\n\t"
                     "lldt %w3"
                     :
                     : "m"(gdtr), "m"(idtr), "r"(SEL_HYP_DS), "r"(0), "i"(SEL_HYP_CS),
                       "r"(SEL_TSS)
                     : "rax", "memory");
}

static void control_registers(void)
{
    const struct cpu_features *f = &cpu_features;
    uint64_t cr4 = CR4_PAE | CR4_PGE | CR4_MCE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_DE;

    cr4 |= f->smep ? CR4_SMEP : 0;
    cr4 |= f->smap ? CR4_SMAP : 0;
    cr4 |= f->umip ? CR4_UMIP : 0;
    cr4 |= f->fsgsbase ? CR4_FSGSBASE : 0;
    cr4 |= f->xsave ? CR4_OSXSAVE : 0;
    write_cr4(cr4);
    write_cr0(CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG);
    if (f->xsave)
        __asm__ volatile("xsetbv" ::"c"(0), "a"((uint32_t)f->xcr0), "d"((uint32_t)(f->xcr0 >> 32)));
}

void cpu_setup(unsigned cpu)
{
    uint64_t stub = percpu(cpu, PERCPU_STUB);

    if (cpu == 0)
        idt_init();
    segments_load(cpu);
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE | (cpu_features.nx ? EFER_NXE : 0));
    wrmsr(MSR_PAT, PAT_VALUE);
    control_registers();
    if (cpu == 0 && cpu_features.smap)
        patch_smap();
    wrmsr(MSR_STAR, ((uint64_t)SEL_GUEST_CS32 << 48) | ((uint64_t)SEL_HYP_CS << 32));
    wrmsr(MSR_LSTAR, stub);
    wrmsr(MSR_CSTAR, stub + (uint64_t)(syscall_stub32 - syscall_stub));
    wrmsr(MSR_FMASK, SFMASK);
    if (cpu_features.sysenter) {
        wrmsr(MSR_SYSENTER_CS, 0); /* sysenter faults: the guest kernel sees #GP */
        wrmsr(MSR_SYSENTER_ESP, 0);
        wrmsr(MSR_SYSENTER_EIP, 0);
    }
    wrmsr(MSR_FS_BASE, 0);
    wrmsr(MSR_GS_BASE, 0);
    wrmsr(MSR_KERNEL_GS_BASE, 0);
    if (cpu_features.rdtscp)
        wrmsr(MSR_TSC_AUX, cpu);
}

static void gdt_entry_set(uint64_t *l1, uint64_t va, mfn_t m)
{
    uint64_t nx = cpu_features.nx ? PTE_NX : 0, pte = paddr_of_mfn(m) | PTE_P | PTE_A | PTE_D | nx;

    if (l1[L1_INDEX(va)] == pte)
        return;
    WRITE_ONCE(l1[L1_INDEX(va)], pte);
    invlpg(va);
}

/* One page of the guest's part of this CPU's GDT; INVALID_MFN: the zero page. */
void cpu_gdt_page_set(unsigned page, mfn_t m)
{
    uint64_t va = percpu(cpu_self(), PERCPU_GDT) + page * FRAME_SIZE;

    gdt_entry_set(hyp_l1_of(va), va, mfn_eq(m, INVALID_MFN) ? zero_frame : m);
}

/* All pages of that part: those of the list, then the zero page. At each switch: one walk, and few of them change. */
void cpu_gdt_pages_set(const uint64_t *frames, unsigned count)
{
    uint64_t va = percpu(cpu_self(), PERCPU_GDT), *l1 = NULL;

    for (unsigned i = 0; i < FIRST_RESERVED_GDT_PAGE; i++, va += FRAME_SIZE) {
        if (!l1 || !L1_INDEX(va))
            l1 = hyp_l1_of(va);
        gdt_entry_set(l1, va, i < count ? mfn(frames[i]) : zero_frame);
    }
}

void cpu_ldt_set(const mfn_t *frames, unsigned entries)
{
    uint64_t base = percpu(cpu_self(), PERCPU_LDT), nx = cpu_features.nx ? PTE_NX : 0;
    uint64_t *gdt = (uint64_t *)(percpu(cpu_self(), PERCPU_GDT) + 14 * FRAME_SIZE);
    unsigned sel = (SEL_LDT >> 3) - HYP_GDT_FIRST;

    if (!entries) {
        __asm__ volatile("lldt %w0" ::"r"(0));
        return;
    }
    for (unsigned i = 0; i < DIV_UP(entries, 512); i++) {
        uint64_t va = base + i * FRAME_SIZE;

        hyp_map(va, frames[i], nx);
        invlpg(va);
    }
    gdt[sel] = desc_system_low(base, entries * 8 - 1, 0x82);
    gdt[sel + 1] = base >> 32;
    __asm__ volatile("lldt %w0" ::"r"(SEL_LDT));
}

/* Let this CPU's guest kernel reach the ports that `bitmap` leaves open (8 KiB, frame-aligned). */
void cpu_iobitmap_set(const void *bitmap)
{
    uint64_t va = percpu(cpu_self(), PERCPU_TSS) + FRAME_SIZE, nx = cpu_features.nx ? PTE_NX : 0;

    for (unsigned i = 0; i < 2; i++) {
        hyp_map(va + i * FRAME_SIZE, mfn_of_paddr(direct_paddr(bitmap) + i * FRAME_SIZE),
                PTE_RW | nx);
        invlpg(va + i * FRAME_SIZE);
    }
}
