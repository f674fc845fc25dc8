/* SPDX-License-Identifier: MIT */
/*
 * The hypercall table, continuations and multicall.
 *
 * A long call that must give way calls hcall_again(): the guest's registers are set so that, when it runs next,
 * it executes the same syscall instruction with the new arguments (which say how far we got). In a multicall
 * the entry is rewritten instead, and the multicall itself is what is issued again.
 */
#include "abi.h"
#include "domain.h"
#include "lib.h"
#include "log.h"
#include "port.h"
#include "x86/guest.h"
#include "x86/hypercalls.h"

#define HYPERCALL_SIZE 64
#define SYSCALL_LENGTH 2

typedef long (*hypercall_fn)(struct vcpu *v, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                             uint64_t a5);

static long do_nothing(struct vcpu *v, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
    return -XEN_ENOSYS;
}

extern const hypercall_fn hypercall_table[HYPERCALL_SIZE];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
const hypercall_fn hypercall_table[HYPERCALL_SIZE] = {
    [0 ... HYPERCALL_SIZE - 1] = do_nothing,
#define HCALL(nr, name) [nr] = do_##name,
#include "hypercalls.def"
#undef HCALL
};
#pragma GCC diagnostic pop

long hcall_again(struct vcpu *v, unsigned nr, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                 uint64_t a5)
{
    struct x86_vcpu *xv = to_x86(v);
    regs_t *regs = guest_regs();

    if (xv->mc) {
        xv->mc->op = nr;
        xv->mc->args[0] = a1;
        xv->mc->args[1] = a2;
        xv->mc->args[2] = a3;
        xv->mc->args[3] = a4;
        xv->mc->args[4] = a5;
        xv->mc_again = true;
        return 0;
    }
    regs->rax = nr;
    regs->rdi = a1;
    regs->rsi = a2;
    regs->rdx = a3;
    regs->r10 = a4;
    regs->r8 = a5;
    regs->rip -= SYSCALL_LENGTH;
    xv->hcall_restart = true;
    return 0;
}

static bool allowed_in_multicall(uint64_t op)
{
    return op < HYPERCALL_SIZE && op != __HYPERVISOR_multicall && op != __HYPERVISOR_iret;
}

/* One entry; true: it wants to be called again. */
static bool run_entry(struct vcpu *v, struct multicall_entry *e)
{
    struct x86_vcpu *xv = to_x86(v);
    unsigned op = (unsigned)index_nospec(e->op, HYPERCALL_SIZE);
    long rc;

    if (!allowed_in_multicall(e->op)) {
        e->result = (uint64_t)-XEN_ENOSYS;
        return false;
    }
    xv->mc = e;
    xv->mc_again = false;
    rc = hypercall_table[op](v, e->args[0], e->args[1], e->args[2], e->args[3], e->args[4]);
    xv->mc = NULL;
    if (xv->mc_again)
        return true;
    e->result = (uint64_t)rc;
    return false;
}

long do_multicall(struct vcpu *v, uint64_t list, uint64_t count, uint64_t a3, uint64_t a4, uint64_t a5)
{
    struct multicall_entry e;
    uint64_t i;

    for (i = 0; i < count; i++) {
        guest_ptr_t at = guest_ptr(list + i * sizeof(e));

        if (i && preempt_needed())
            break;
        if (copy_from_guest(&e, at, sizeof(e)))
            return -XEN_EFAULT;
        if (run_entry(v, &e)) {
            if (copy_to_guest(at, &e, sizeof(e)))
                return -XEN_EFAULT;
            break;
        }
        if (copy_to_guest(guest_ptr_add(at, offsetof(struct multicall_entry, result)), &e.result,
                          sizeof(e.result)))
            return -XEN_EFAULT;
        if (READ_ONCE(v->pause_flags)) { /* blocked, shut down: the rest when it runs again */
            i++;
            break;
        }
    }
    if (i == count)
        return 0;
    return hcall_again(v, __HYPERVISOR_multicall, list + i * sizeof(e), count - i, 0, 0, 0);
}

long do_xenpmu_op(struct vcpu *v, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
    return -XEN_EOPNOTSUPP;
}
