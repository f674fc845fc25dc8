/* SPDX-License-Identifier: MIT */
/*
 * Small hypercalls by which a PV kernel sets up its processor: trap table, callbacks, stack, segment bases, task
 * switched flag, vm_assist.
 */
#include "domain.h"
#include "lib.h"
#include "log.h"
#include "port.h"
#include "x86/cpu.h"
#include "x86/guest.h"
#include "x86/hypercalls.h"
#include "x86/pv.h"
#include "x86/segload.h"

#include <xen/callback.h>
#include <xen/nmi.h>

bool pv_kernel_address(uint64_t va)
{
    return (int64_t)va >> 47 == 0 || (int64_t)va >> 47 == -1;
}

/* --- trap table ------------------------------------------------------------------------------------ */

long do_set_trap_table(struct vcpu *v, uint64_t traps, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
    struct x86_vcpu *xv = to_x86(v);
    struct trap_info t;

    if (!traps) {
        memset(xv->trap, 0, sizeof(xv->trap));
        return 0;
    }
    /* At most one entry per vector: a longer array is a mistake, not work without end. */
    for (unsigned i = 0; i <= 256; i++) {
        if (copy_from_guest(&t, guest_ptr(traps + i * sizeof(t)), sizeof(t)))
            return -XEN_EFAULT;
        if (!t.address)
            return 0;
        if (!pv_kernel_address(t.address))
            return -XEN_EINVAL;
        if (i == 256)
            break;
        t.cs |= 3;
        xv->trap[t.vector] = t;
    }
    return -XEN_EINVAL;
}

/* --- callbacks ---------------------------------------------------------------------------------------- */

static struct pv_callback *callback_slot(struct x86_vcpu *xv, unsigned type)
{
    switch (type) {
    case CALLBACKTYPE_event:
        return &xv->event;
    case CALLBACKTYPE_failsafe:
        return &xv->failsafe;
    case CALLBACKTYPE_syscall32:
        return &xv->syscall32;
    case CALLBACKTYPE_nmi:
        return &xv->nmi;
    default:
        return NULL;
    }
}

static long callback_register(struct x86_vcpu *xv, const struct callback_register *r)
{
    bool mask = r->flags & CALLBACKF_mask_events;
    struct pv_callback *cb;

    if (!pv_kernel_address(r->address))
        return -XEN_EINVAL;
    if (r->type == CALLBACKTYPE_syscall) {
        xv->syscall_rip = r->address;
        xv->syscall_mask = mask;
        return 0;
    }
    cb = callback_slot(xv, r->type);
    if (!cb)
        return -XEN_ENOSYS;
    cb->rip = r->address;
    cb->mask_events = mask;
    return 0;
}

long do_callback_op(struct vcpu *v, uint64_t cmd, uint64_t arg, uint64_t a3, uint64_t a4, uint64_t a5)
{
    struct x86_vcpu *xv = to_x86(v);
    struct callback_register r;
    struct callback_unregister u;

    switch (cmd) {
    case CALLBACKOP_register:
        if (get_guest(r, guest_ptr(arg)))
            return -XEN_EFAULT;
        return callback_register(xv, &r);
    case CALLBACKOP_unregister:
        if (get_guest(u, guest_ptr(arg)))
            return -XEN_EFAULT;
        if (u.type != CALLBACKTYPE_nmi)
            return -XEN_EINVAL;
        xv->nmi.rip = 0;
        return 0;
    default:
        return -XEN_ENOSYS;
    }
}

long do_set_callbacks(struct vcpu *v, uint64_t event, uint64_t failsafe, uint64_t syscall, uint64_t a4,
                      uint64_t a5)
{
    struct x86_vcpu *xv = to_x86(v);

    if (!pv_kernel_address(event) || !pv_kernel_address(failsafe) || !pv_kernel_address(syscall))
        return -XEN_EINVAL;
    xv->event.rip = event;
    xv->failsafe.rip = failsafe;
    xv->syscall_rip = syscall;
    return 0;
}

long do_nmi_op(struct vcpu *v, uint64_t cmd, uint64_t arg, uint64_t a3, uint64_t a4, uint64_t a5)
{
    struct x86_vcpu *xv = to_x86(v);
    struct xennmi_callback cb;

    switch (cmd) {
    case XENNMI_register_callback:
        if (get_guest(cb, guest_ptr(arg)))
            return -XEN_EFAULT;
        if (v->id || !pv_kernel_address(cb.handler_address))
            return -XEN_EINVAL;
        xv->nmi.rip = cb.handler_address;
        return 0;
    case XENNMI_unregister_callback:
        xv->nmi.rip = 0;
        return 0;
    default:
        return -XEN_ENOSYS;
    }
}

void arch_vcpu_send_nmi(struct vcpu *v)
{
    to_x86(v)->nmi_pending = true;
    __atomic_fetch_or(&to_x86(v)->slow_flags, XVF_NMI, __ATOMIC_SEQ_CST);
    vcpu_wake(v);
    vcpu_kick(v);
}

/* --- processor state ------------------------------------------------------------------------------------ */

long do_stack_switch(struct vcpu *v, uint64_t ss, uint64_t sp, uint64_t a3, uint64_t a4, uint64_t a5)
{
    struct x86_vcpu *xv = to_x86(v);

    xv->kernel_ss = ss | 3;
    xv->kernel_sp = sp;
    return 0;
}

void pv_set_iopl(struct x86_vcpu *xv, unsigned iopl)
{
    xv->iopl = (uint8_t)iopl;
    xv->iobase_kernel = iopl && xv->v.domain->hardware ? TSS_IOBASE_ON : TSS_IOBASE_OFF;
    *cpu_info()->tss_iobase = xv->kernel_mode ? (uint16_t)xv->iobase_kernel : TSS_IOBASE_OFF;
}

long do_fpu_taskswitch(struct vcpu *v, uint64_t set, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
    struct x86_vcpu *xv = to_x86(v);

    if (set) {
        xv->cr0 |= CR0_TS;
        write_cr0(read_cr0() | CR0_TS);
    } else if (xv->cr0 & CR0_TS) {
        xv->cr0 &= ~CR0_TS;
        __asm__ volatile("clts");
    }
    return 0;
}

long do_set_segment_base(struct vcpu *v, uint64_t which, uint64_t base, uint64_t a3, uint64_t a4,
                         uint64_t a5)
{
    struct x86_vcpu *xv = to_x86(v);

    if (which != SEGBASE_GS_USER_SEL && !pv_kernel_address(base))
        return -XEN_EINVAL;
    switch (which) {
    case SEGBASE_FS:
        fs_base_write(base);
        return 0;
    case SEGBASE_GS_USER: /* a hypercall comes from kernel mode: the user's is the swapped one */
        gs_base_shadow_write(base);
        return 0;
    case SEGBASE_GS_KERNEL:
        gs_base_write(base);
        return 0;
    case SEGBASE_GS_USER_SEL:
        if (load_gs_user((uint16_t)base))
            log_guest(v->domain, "vcpu %u: GS selector %lx refused, zeroed\n", xv->v.id, base);
        return 0;
    default:
        return -XEN_EINVAL;
    }
}

const uint64_t pv_vm_assist_known = BIT(VMASST_TYPE_4gb_segments) | BIT(VMASST_TYPE_4gb_segments_notify) | BIT(VMASST_TYPE_writable_pagetables) | BIT(VMASST_TYPE_pae_extended_cr3) | BIT(VMASST_TYPE_architectural_iopl) | BIT(VMASST_TYPE_runstate_update_flag) | BIT(VMASST_TYPE_m2p_strict);

long do_vm_assist(struct vcpu *v, uint64_t cmd, uint64_t type, uint64_t a3, uint64_t a4, uint64_t a5)
{
    if (type >= 64 || !(pv_vm_assist_known & BIT(type)))
        return -XEN_EINVAL;
    switch (cmd) {
    case VMASST_CMD_enable:
        __atomic_fetch_or(&v->domain->vm_assist, BIT(type), __ATOMIC_SEQ_CST);
        break;
    case VMASST_CMD_disable:
        __atomic_fetch_and(&v->domain->vm_assist, ~BIT(type), __ATOMIC_SEQ_CST);
        break;
    default:
        return -XEN_ENOSYS;
    }
    for (unsigned i = 0; i < v->domain->max_vcpus; i++)
        if (v->domain->vcpu[i])
            pv_iret_slow_update(to_x86(v->domain->vcpu[i]));
    return 0;
}
