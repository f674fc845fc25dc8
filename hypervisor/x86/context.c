/* SPDX-License-Identifier: MIT */
/*
 * Which vCPU this CPU carries. The stack is the CPU's, so a switch saves the guest's frame from the top of
 * the stack and never returns to where it was called.
 *
 * A vCPU that goes to sleep leaves everything in the CPU ("loaded"): if it is the next to run here, nothing has to
 * be done. If another CPU wants it, or another vCPU comes here, its state goes to memory first
 * (vcpu_state_sync()). loaded_on is written with interrupts off on the CPU that it names.
 */
#include "domain.h"
#include "lib.h"
#include "log.h"
#include "port.h"
#include "vtime.h"
#include "x86/cpu.h"
#include "x86/context.h"
#include "x86/desc.h"
#include "x86/guest.h"
#include "x86/mm.h"
#include "x86/pv.h"
#include "x86/pv_emul.h"
#include "x86/segload.h"
#include "x86/smp.h"
#include "x86/softirq.h"
#include "x86/speculation.h"
#include "x86/traps.h"

#define FSW_WORD 1 /* of the area */
#define FSW_ES BIT(7)

static void fpu_save(struct x86_vcpu *xv)
{
    if (cpu_features.xsave) {
        uint32_t lo = (uint32_t)cpu_features.xcr0, hi = (uint32_t)(cpu_features.xcr0 >> 32);

        if (cpu_features.xsaveopt)
            __asm__ volatile("xsaveopt64 %0" : "+m"(*(char(*)[4096])xv->fpu) : "a"(lo), "d"(hi));
        else
            __asm__ volatile("xsave64 %0" : "+m"(*(char(*)[4096])xv->fpu) : "a"(lo), "d"(hi));
    } else {
        __asm__ volatile("fxsave64 %0" : "=m"(*(char(*)[512])xv->fpu));
    }
}

/* AMD's processors before Zen 2 neither save nor load the addresses of the last x87 instruction and operand unless an
 * exception waits: the next vCPU could read those of the last one. A load of our own leaves ours there. */
static void x87_pointers_hide(const struct x86_vcpu *xv)
{
    static const uint32_t any;

    if (!(*((const uint16_t *)xv->fpu + FSW_WORD) & FSW_ES))
        __asm__ volatile("fnclex; ffree %%st(7); fildl %0" ::"m"(any));
}

static void fpu_load(struct x86_vcpu *xv)
{
    if (cpu_features.x87_pointers_stay)
        x87_pointers_hide(xv);
    if (cpu_features.xsave) {
        uint32_t lo = (uint32_t)cpu_features.xcr0, hi = (uint32_t)(cpu_features.xcr0 >> 32);

        __asm__ volatile("xrstor64 %0" ::"m"(*(char(*)[4096])xv->fpu), "a"(lo), "d"(hi));
    } else {
        __asm__ volatile("fxrstor64 %0" ::"m"(*(char(*)[512])xv->fpu));
    }
}

static void xcr0_set(uint64_t v)
{
    __asm__ volatile("xsetbv" ::"c"(0), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)));
}

static void save(struct x86_vcpu *xv)
{
    regs_t *r = &xv->regs;

    *r = *guest_regs();
    __asm__ volatile("mov %%ds, %0; mov %%es, %1; mov %%fs, %2; mov %%gs, %3"
                     : "=m"(r->ds), "=m"(r->es), "=m"(r->fs), "=m"(r->gs));
    xv->fs_base = fs_base_read();
    if (xv->kernel_mode) {
        xv->gs_base_kernel = gs_base_read();
        xv->gs_base_user = gs_base_shadow_read();
    } else {
        xv->gs_base_user = gs_base_read();
        xv->gs_base_kernel = gs_base_shadow_read();
    }
    __asm__ volatile("clts");
    if (cpu_features.xsave && xv->xcr0 != cpu_features.xcr0)
        xcr0_set(cpu_features.xcr0);
    fpu_save(xv);
    dr_save(xv);
}

static void segments_load(struct x86_vcpu *xv)
{
    const regs_t *r = &xv->regs;
    int bad = load_ds(r->ds) | load_es(r->es) | load_fs(r->fs) | load_gs(r->gs);

    if (bad)
        log_guest(xv->v.domain, "vcpu %u: a data segment is no longer valid, zeroed\n", xv->v.id);
    fs_base_write(xv->fs_base);
    gs_base_write(xv->kernel_mode ? xv->gs_base_kernel : xv->gs_base_user);
    gs_base_shadow_write(xv->kernel_mode ? xv->gs_base_user : xv->gs_base_kernel);
}

static void load(struct x86_vcpu *xv)
{
    struct cpu_info *ci = cpu_info();

    write_guest_cr3(xv->kernel_mode ? xv->cr3_kernel : xv->cr3_user);
    pv_descriptors_load(xv);
    segments_load(xv);
    if (to_x86d(xv->v.domain)->iobitmap)
        cpu_iobitmap_set(to_x86d(xv->v.domain)->iobitmap);
    *ci->tss_iobase = xv->kernel_mode ? (uint16_t)xv->iobase_kernel : TSS_IOBASE_OFF;
    fpu_load(xv);
    if (cpu_features.xsave && xv->xcr0 != cpu_features.xcr0)
        xcr0_set(xv->xcr0);
    pv_control_load(xv);
    dr_load(xv);
    speculation_enter(xv);
    *guest_regs() = xv->regs;
}

/* Another CPU may have it from now on: its state is in memory, and this CPU is on other page tables. */
static void let_go(struct vcpu *v)
{
    __atomic_store_n(&to_x86(v)->loaded_on, 0, __ATOMIC_RELEASE);
}

/* Put what this CPU carries into memory and leave the guest's page tables. Interrupts off. */
static void unload_self(void)
{
    struct cpu_info *ci = cpu_info();
    struct vcpu *v = ci->loaded;

    if (!v)
        return;
    save(to_x86(v));
    write_guest_cr3(idle_cr3);
    ci->loaded = NULL;
    let_go(v);
}

/* The same, and v in its place, without going over the idle page tables: loading cr3 is what a switch costs. */
static void exchange_loaded(struct vcpu *v)
{
    struct cpu_info *ci = cpu_info();
    struct vcpu *old = ci->loaded;

    if (old)
        save(to_x86(old));
    /* Before its page tables: whoever flushes them must find this CPU, which answers when interrupts are on again. */
    ci->loaded = v;
    __atomic_store_n(&to_x86(v)->loaded_on, (uint16_t)(ci->cpu + 1), __ATOMIC_SEQ_CST);
    load(to_x86(v));
    if (old)
        let_go(old);
}

static void unload_call(void *arg)
{
    /* Only if it is asleep here: a vCPU that runs is not asked for by anybody else. */
    if (cpu_info()->loaded == arg && cpu_info()->current != arg)
        unload_self();
}

void vcpu_state_sync(struct vcpu *v)
{
    struct x86_vcpu *xv = to_x86(v);
    uint16_t on;

    while ((on = __atomic_load_n(&xv->loaded_on, __ATOMIC_ACQUIRE)) != 0) {
        uint64_t mask[MAX_CPUS / 64] = {0};

        if (on - 1u == cpu_self()) {
            uint64_t f = irq_save();

            unload_call(v);
            irq_restore(f);
            return;
        }
        mask[(on - 1) / 64] = BIT((on - 1) % 64);
        smp_call(mask, unload_call, v);
    }
}

struct vcpu *current_vcpu(void)
{
    return cpu_info()->current;
}

__noreturn static void idle_loop(void)
{
    irq_enable();
    for (;;) {
        if (!READ_ONCE(cpu_info()->softirq_pending) && !idle_work()) {
            irq_disable();
            /* the last look, with interrupts off until the processor sleeps */
            if (!READ_ONCE(cpu_info()->softirq_pending))
                __asm__ volatile("sti; hlt" ::: "memory");
            irq_enable();
        }
        softirq_run();
    }
}

void context_switch(struct vcpu *prev, struct vcpu *next)
{
    struct cpu_info *ci = cpu_info();
    uint64_t flags;

    if (!next->idle)
        vcpu_state_sync_elsewhere(next);
    flags = irq_save();
    ci->current = next;
    if (next->idle)
        tlb_lazy_enter();
    else
        tlb_lazy_leave();
    if (!next->idle && ci->loaded != next)
        exchange_loaded(next);
    irq_restore(flags);
    sched_switched(prev);
    if (next->idle)
        run_on_fresh_stack(idle_loop);
    vtime_update_vcpu(next, false);
    runstate_area_update(next);
    ret_to_guest_fresh();
}

/* Another CPU still carries it, asleep: bring it home before it runs here. */
void vcpu_state_sync_elsewhere(struct vcpu *v)
{
    uint16_t on = __atomic_load_n(&to_x86(v)->loaded_on, __ATOMIC_ACQUIRE);

    if (on && on - 1u != cpu_self())
        vcpu_state_sync(v);
}

void cpu_idle_run(void)
{
    run_on_fresh_stack(idle_loop);
}
