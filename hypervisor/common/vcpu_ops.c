/* SPDX-License-Identifier: MIT */
/*
 * The hypercall vcpu_op: bringing vCPUs up and down, their timers, and the memory areas they share with
 * the hypervisor. It acts on vCPUs of the caller's own domain only.
 *
 * Operations on another vCPU that need it at rest demand that it is down, instead of pausing it: two vCPUs
 * that pause each other would wait for ever. For the same reason the domctl lock is only tried: its
 * holder may be waiting for this vCPU to leave its CPU; then the call is issued again.
 */
#include "domain.h"
#include "evtchn.h"
#include "lib.h"
#include "log.h"
#include "logdirty.h"
#include "page.h"
#include "pgt.h"
#include "port.h"
#include "sched.h"
#include "vtime.h"

#include <xen/sched.h>

/* --- Up and down ------------------------------------------------------------------------------------ */

static int vcpu_op_initialise(struct vcpu *t, guest_ptr_t ctx)
{
    int rc;

    if (t->initialised)
        return -XEN_EEXIST;
    if (t->id >= XEN_LEGACY_MAX_VCPUS && !t->info_page)
        return -XEN_EINVAL; /* it has no vcpu_info that the guest can see */
    rc = t->domain->kind->vcpu_initialise(t, ctx);
    if (!rc)
        t->initialised = true;
    return rc;
}

static int vcpu_op_up(struct vcpu *t)
{
    if (!t->initialised)
        return -XEN_EINVAL;
    vcpu_up(t);
    return 0;
}

/* The last vCPU that goes down takes the domain with it. */
static int vcpu_op_down(struct vcpu *t)
{
    struct domain *d = t->domain;
    unsigned i, others = 0;

    for (i = 0; i < d->max_vcpus; i++)
        if (d->vcpu[i] && d->vcpu[i] != t && !(READ_ONCE(d->vcpu[i]->pause_flags) & VPF_DOWN))
            others++;
    if (!others && !(READ_ONCE(t->pause_flags) & VPF_DOWN)) {
        domain_shutdown(d, SHUTDOWN_poweroff);
        return 0;
    }
    __atomic_fetch_or(&t->pause_flags, VPF_DOWN, __ATOMIC_SEQ_CST);
    vcpu_sleep_nosync(t); /* raises the softirq when t is the caller: it does not return to the guest */
    return 0;
}

/* --- Shared areas --------------------------------------------------------------------------------------- */

/* The frame with a writable reference, or NULL and *rc. */
static struct page *vcpu_info_page(struct domain *d, uint64_t frame, int *rc)
{
    struct page *pg;

    *rc = -XEN_EINVAL;
    if (frame >= frame_max)
        return NULL;
    frame = index_nospec(frame, frame_max);
    if (!mfn_valid(mfn(frame)))
        return NULL;
    pg = page_of(mfn(frame));
    *rc = pgt_get_page(pg, d, PGT_WRITABLE, false);
    if (*rc)
        return NULL;
    page_writer_add(pg); /* we write to it at any time */
    return pg;
}

static bool vcpu_info_place_ok(uint32_t offset)
{
    return offset <= FRAME_SIZE - sizeof(struct vcpu_info) && offset % sizeof(uint64_t) == 0;
}

/* Senders of events use t->info at any time: those that still see the old one are made good by
 * evtchn_vcpu_info_moved(), and the old storage stays. */
static int vcpu_info_register(struct vcpu *v, struct vcpu *t,
                              const struct vcpu_register_vcpu_info *r)
{
    struct vcpu_info *to;
    struct page *pg;
    int rc;

    if (t->info_page || !vcpu_info_place_ok(r->offset))
        return -XEN_EINVAL;
    if (t != v && !(READ_ONCE(t->pause_flags) & VPF_DOWN))
        return -XEN_EINVAL;
    if (t != v && READ_ONCE(t->sched.running))
        return -XEN_ERESTART; /* on its way down, which a kernel that resumes does not wait for */
    pg = vcpu_info_page(v->domain, r->mfn, &rc);
    if (!pg)
        return rc;
    to = (void *)((char *)map_frame(mfn_of(pg)) + r->offset); /* for as long as t lives */
    *to = *t->info;
    if (t->info == t->info_dummy)
        to->evtchn_upcall_mask = 1;
    t->info_page = pg;
    __atomic_store_n(&t->info, to, __ATOMIC_SEQ_CST);
    evtchn_vcpu_info_moved(t);
    vtime_update_vcpu(t, true);
    return 0;
}

static int vcpu_op_register_info(struct vcpu *v, struct vcpu *t, guest_ptr_t arg)
{
    struct vcpu_register_vcpu_info r;

    if (get_guest(r, arg))
        return -XEN_EFAULT;
    return vcpu_info_register(v, t, &r);
}

/* Write state to the area at `to`: with the update flag the guest can see a change in progress. */
static void runstate_write(const struct domain *d, guest_ptr_t to,
                           const struct vcpu_runstate_info *state)
{
    guest_ptr_t stamp = guest_ptr_add(to, offsetof(struct vcpu_runstate_info, state_entry_time));
    struct vcpu_runstate_info r = *state;
    bool flag = READ_ONCE(d->vm_assist) & BIT(VMASST_TYPE_runstate_update_flag);

    if (flag) {
        r.state_entry_time |= XEN_RUNSTATE_UPDATE;
        if (put_guest(stamp, r.state_entry_time))
            return;
        smp_wmb();
    }
    if (put_guest(to, r) || !flag)
        return;
    smp_wmb();
    r.state_entry_time = state->state_entry_time;
    (void)!put_guest(stamp, r.state_entry_time);
}

void runstate_area_update(struct vcpu *v)
{
    if (v->runstate_area.va)
        runstate_write(v->domain, v->runstate_area, &v->runstate);
}

static int vcpu_op_register_runstate(struct vcpu *v, struct vcpu *t, guest_ptr_t arg)
{
    struct vcpu_register_runstate_memory_area a;
    struct vcpu_runstate_info r;

    if (get_guest(a, arg))
        return -XEN_EFAULT;
    t->runstate_area = guest_ptr(a.addr.p);
    if (!a.addr.p)
        return 0;
    vcpu_runstate_get(t, &r);
    if (t == v)
        r = t->runstate; /* as each switch writes it */
    runstate_write(v->domain, guest_ptr(a.addr.p), &r);
    return 0;
}

static int vcpu_op_get_runstate(struct vcpu *t, guest_ptr_t arg)
{
    struct vcpu_runstate_info r;

    memset(&r, 0, sizeof(r));
    vcpu_runstate_get(t, &r);
    return put_guest(arg, r);
}

static int vcpu_op_register_time(struct vcpu *v, struct vcpu *t, guest_ptr_t arg)
{
    struct vcpu_register_time_memory_area a;

    if (get_guest(a, arg))
        return -XEN_EFAULT;
    t->time_area = guest_ptr(a.addr.p);
    if (t == v)
        vtime_update_vcpu(t, true);
    else
        t->pvclock.stamp_tsc = ~t->pvclock.stamp_tsc; /* differs: written when it next runs */
    return 0;
}

/* --- Timers and the rest ---------------------------------------------------------------------------------- */

static int vcpu_op_set_singleshot(struct vcpu *v, struct vcpu *t, guest_ptr_t arg)
{
    struct vcpu_set_singleshot_timer s;

    if (t != v)
        return -XEN_EINVAL;
    if (get_guest(s, arg))
        return -XEN_EFAULT;
    return vtime_set_singleshot(v, s.timeout_abs_ns, s.flags & VCPU_SSHOTTMR_future);
}

static int vcpu_op_stop_singleshot(struct vcpu *v, struct vcpu *t)
{
    if (t != v)
        return -XEN_EINVAL;
    vtime_stop_singleshot(v);
    return 0;
}

static int vcpu_op_set_periodic(struct vcpu *t, guest_ptr_t arg)
{
    struct vcpu_set_periodic_timer p;

    if (get_guest(p, arg))
        return -XEN_EFAULT;
    return vtime_set_periodic(t, p.period_ns);
}

static int vcpu_op_get_physid(struct vcpu *v, struct vcpu *t, guest_ptr_t arg)
{
    struct vcpu_get_physid p;
    unsigned n = cpu_count(), cpu = (unsigned)find_first_bit(t->sched.affinity, n);

    if (!v->domain->hardware || find_next_bit(t->sched.affinity, n, cpu + 1) < n)
        return -XEN_EINVAL; /* it is not pinned */
    p.phys_id = arch_cpu_physid(cpu);
    return put_guest(arg, p);
}

static int vcpu_op_send_nmi(struct vcpu *t)
{
    if (!t->initialised)
        return -XEN_EINVAL;
    arch_vcpu_send_nmi(t);
    return 0;
}

/* Those that change what other vCPUs may change too. */
static long vcpu_op_locked(struct vcpu *v, uint32_t cmd, struct vcpu *t, uint64_t arg)
{
    struct domain *d = v->domain;
    long rc;

    if (!try_spin_lock(&d->domctl_lock))
        return hcall_again(v, __HYPERVISOR_vcpu_op, cmd, t->id, arg, 0, 0);
    switch (cmd) {
    case VCPUOP_initialise:
        rc = vcpu_op_initialise(t, guest_ptr(arg));
        break;
    case VCPUOP_up:
        rc = vcpu_op_up(t);
        break;
    case VCPUOP_down:
        rc = vcpu_op_down(t);
        break;
    default:
        rc = vcpu_op_register_info(v, t, guest_ptr(arg));
        break;
    }
    spin_unlock(&d->domctl_lock);
    if (rc == -XEN_ERESTART)
        return hcall_again(v, __HYPERVISOR_vcpu_op, cmd, t->id, arg, 0, 0);
    return rc;
}

long do_vcpu_op(struct vcpu *v, uint64_t cmd, uint64_t vcpuid, uint64_t arg, uint64_t a4,
                uint64_t a5)
{
    struct vcpu *t = vcpuid == v->id ? v : domain_vcpu(v->domain, (uint32_t)vcpuid);
    guest_ptr_t p = guest_ptr(arg);

    if (unlikely(!t))
        return -XEN_ENOENT;
    switch ((uint32_t)cmd) {
    case VCPUOP_set_singleshot_timer:
        return vcpu_op_set_singleshot(v, t, p);
    case VCPUOP_stop_singleshot_timer:
        return vcpu_op_stop_singleshot(v, t);
    case VCPUOP_is_up:
        return !(READ_ONCE(t->pause_flags) & VPF_DOWN);
    case VCPUOP_initialise:
    case VCPUOP_up:
    case VCPUOP_down:
    case VCPUOP_register_vcpu_info:
        return vcpu_op_locked(v, (uint32_t)cmd, t, arg);
    case VCPUOP_get_runstate_info:
        return vcpu_op_get_runstate(t, p);
    case VCPUOP_register_runstate_memory_area:
        return vcpu_op_register_runstate(v, t, p);
    case VCPUOP_set_periodic_timer:
        return vcpu_op_set_periodic(t, p);
    case VCPUOP_stop_periodic_timer:
        vtime_stop_periodic(t);
        return 0;
    case VCPUOP_send_nmi:
        return vcpu_op_send_nmi(t);
    case VCPUOP_get_physid:
        return vcpu_op_get_physid(v, t, p);
    case VCPUOP_register_vcpu_time_memory_area:
        return vcpu_op_register_time(v, t, p);
    default:
        return -XEN_ENOSYS;
    }
}
