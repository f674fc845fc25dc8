/* SPDX-License-Identifier: MIT */
/*
 * Starting the application processors, one after the other. The boot CPU copies the trampoline (ap.S) to a
 * page of low memory, gives it a stack and temporary page tables, sends INIT and two start-up interrupts,
 * and then answers the AP's questions about the TSC until it is online. A CPU that does not come is named,
 * sent back to sleep with INIT and dropped from the list, so that CPU numbers stay dense.
 */
#include "boot.h"
#include "irq.h"
#include "lib.h"
#include "log.h"
#include "page.h"
#include "port.h"
#include "timer.h"
#include "x86/ap.h"
#include "x86/cpu.h"
#include "x86/lapic.h"
#include "x86/mm.h"
#include "x86/smp.h"
#include "x86/softirq.h"
#include "x86/time.h"

/* As laid out at the end of ap.S. */
struct ap_params {
    uint32_t cr3, efer, far_offset;
    uint16_t far_selector, gdt_limit;
    uint32_t gdt_base, cpu;
    uint64_t stack, entry, gdt[3];
};
_Static_assert(sizeof(struct ap_params) == 64, "ap.S");

extern const char ap_trampoline[], ap_trampoline_params[], ap_trampoline_long[],
    ap_trampoline_end[];

enum ap_stage { AP_NONE, AP_ARRIVED, AP_ONLINE };

static uint32_t ap_stage;          /* [a] of the AP being started */
static unsigned cpus_online = 1;   /* [a] written by the boot CPU only */

#define LOW_PAGE_DEFAULT 0x8000
#define LOW_PAGE_FIRST 0x7000
#define LOW_PAGE_END 0x9f000
#define ARRIVE_US 1000000  /* generous: an emulator may give another CPU the turn first */
#define SECOND_SIPI_US 10000
#define ONLINE_US 10000000

unsigned cpu_count(void)
{
    return __atomic_load_n(&cpus_online, __ATOMIC_ACQUIRE);
}

/* --- The trampoline and its page tables --------------------------------------------------------------- */

static bool low_page_is_ram(paddr_t page)
{
    unsigned i;

    for (i = 0; i < boot.nr_map; i++)
        if (boot.map[i].type == 1 && boot.map[i].start <= page &&
            page + FRAME_SIZE <= boot.map[i].start + boot.map[i].size)
            return true;
    return false;
}

/* A page of RAM below 1 MiB. The allocator never has those; the EBDA is not RAM in the memory map. */
static paddr_t low_page_find(void)
{
    paddr_t page;

    if (low_page_is_ram(LOW_PAGE_DEFAULT))
        return LOW_PAGE_DEFAULT;
    for (page = LOW_PAGE_FIRST; page < LOW_PAGE_END; page += FRAME_SIZE)
        if (low_page_is_ram(page))
            return page;
    return 0;
}

#define TABLES_ORDER 2 /* L4, L3, L2 and one spare */

/* Tables below 4 GiB, where a 32-bit mov to cr3 can reach them: the hypervisor's slots, and the first
 * 2 MiB one to one. 0: no memory. */
static paddr_t tables_make(void)
{
    mfn_t m = frames_alloc_below(TABLES_ORDER, FA_LOW4G, 32);
    paddr_t pa = paddr_of_mfn(m);
    uint64_t *l4;

    if (mfn_eq(m, INVALID_MFN))
        return 0;
    l4 = direct_map(pa);
    memset(l4, 0, FRAME_SIZE << TABLES_ORDER);
    hyp_l4_install(l4);
    l4[0] = (pa + FRAME_SIZE) | PTE_P | PTE_RW;
    l4[512] = (pa + 2 * FRAME_SIZE) | PTE_P | PTE_RW;
    l4[1024] = PTE_P | PTE_RW | PTE_PSE;
    return pa;
}

static void trampoline_fill(char *code, paddr_t page, paddr_t tables, unsigned cpu, uint64_t stack)
{
    struct ap_params *p = (struct ap_params *)(code + (ap_trampoline_params - ap_trampoline));

    memcpy(code, ap_trampoline, (size_t)(ap_trampoline_end - ap_trampoline));
    p->cr3 = (uint32_t)tables;
    p->efer = (uint32_t)(EFER_LME | EFER_SCE | (cpu_features.nx ? EFER_NXE : 0));
    p->far_offset = (uint32_t)page + (uint32_t)(ap_trampoline_long - ap_trampoline);
    p->gdt_base = (uint32_t)(page + (paddr_t)((char *)p->gdt - code));
    p->cpu = cpu;
    p->stack = stack & ~15ULL;
    p->entry = (uint64_t)ap_main;
}

/* --- One AP ------------------------------------------------------------------------------------------- */

void ap_main(unsigned cpu)
{
    write_guest_cr3(idle_cr3);
    cpu_setup(cpu);
    lapic_init_cpu();
    softirq_cpu_init();
    timer_cpu_init(cpu);
    __atomic_store_n(&ap_stage, AP_ARRIVED, __ATOMIC_RELEASE);
    time_init_cpu();
    __atomic_store_n(&ap_stage, AP_ONLINE, __ATOMIC_RELEASE);
    while (cpu_count() <= cpu)
        cpu_relax();
    cpu_idle_enter(cpu);
}

/* Wait until the AP has come so far; meanwhile tell it our time. */
static bool ap_wait(enum ap_stage stage, unsigned us)
{
    uint64_t until = now_ns() + us * 1000ULL;

    while (__atomic_load_n(&ap_stage, __ATOMIC_ACQUIRE) < stage) {
        time_sync_serve();
        cpu_relax();
        if (now_ns() > until)
            return false;
    }
    return true;
}

static const char *ap_wake(uint32_t apicid, paddr_t page)
{
    uint8_t vector = (uint8_t)(page >> FRAME_SHIFT);

    lapic_send_init(apicid);
    time_delay_us(10000);
    lapic_send_startup(apicid, vector);
    if (!ap_wait(AP_ARRIVED, SECOND_SIPI_US)) {
        lapic_send_startup(apicid, vector);
        if (!ap_wait(AP_ARRIVED, ARRIVE_US))
            return "does not answer";
    }
    if (!ap_wait(AP_ONLINE, ONLINE_US))
        return "stopped while it started";
    return NULL;
}

/* NULL, or what went wrong. */
static const char *ap_start(unsigned cpu, uint64_t stack, paddr_t page, paddr_t tables)
{
    char *code = map_physical(page, FRAME_SIZE);
    const char *why;

    if (!stack || !code)
        return "no memory";
    if (cpu_apicid[cpu] >= 255 && !lapic_x2apic)
        return "its APIC id needs x2APIC";
    ap_stage = AP_NONE;
    hyp_l4_install(direct_map(tables));
    trampoline_fill(code, page, tables, cpu, stack);
    smp_mb();
    why = ap_wake(cpu_apicid[cpu], page);
    if (why)
        lapic_send_init(cpu_apicid[cpu]);
    unmap_physical(code, FRAME_SIZE);
    return why;
}

static void list_drop(unsigned cpu)
{
    for (cpus_possible--; cpu < cpus_possible; cpu++) {
        cpu_apicid[cpu] = cpu_apicid[cpu + 1];
        cpu_acpiid[cpu] = cpu_acpiid[cpu + 1];
    }
}

void smp_start_all(void)
{
    unsigned cpu = 1, prepared = 1;
    paddr_t page = low_page_find(), tables;
    uint64_t stack = 0;
    const char *why;

    smp_call_init();
    if (cpus_possible < 2)
        return;
    tables = tables_make();
    if (!page || !tables)
        log_err("smp: no low memory to start other CPUs\n");
    while (page && tables && cpu < cpus_possible) {
        if (prepared == cpu) { /* else: made for one that did not come */
            stack = cpu_prepare(cpu);
            prepared += stack != 0;
        }
        why = ap_start(cpu, stack, page, tables);
        if (!why) {
            __atomic_store_n(&cpus_online, ++cpu, __ATOMIC_RELEASE);
            continue;
        }
        log_err("smp: CPU with APIC id %u, ACPI id %u: %s\n", cpu_apicid[cpu], cpu_acpiid[cpu], why);
        list_drop(cpu);
    }
    cpus_possible = cpu_count();
    if (tables)
        frames_free(mfn_of_paddr(tables), TABLES_ORDER);
    log_info("smp: %u CPUs online\n", cpu_count());
}
