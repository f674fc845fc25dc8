/* SPDX-License-Identifier: MIT */
/*
 * How a domain stops: by its own wish (shutdown), by a crash, by its watchdog, and by destruction.
 *
 * Shutdown takes no lock, because domain_crash() may be called with any held. Who sets shutting_down first
 * gives the code. Each vCPU then gets VPF_SHUTDOWN; when the last of them has left its CPU (sched_switched()
 * pokes), a timer callback, where no lock is held, sets shut_down and tells domain 0 by VIRQ_DOM_EXC.
 *
 * Destruction goes in stages that can each be interrupted, remembered in kill_stage; the memory of the
 * domain itself goes with its last reference.
 */
#include "domain_private.h"

#include "evtchn.h"
#include "grant.h"
#include "lib.h"
#include "log.h"
#include "logdirty.h"
#include "page.h"
#include "pgt.h"
#include "port.h"

#include <xen/sched.h>

/* --- Shutdown ---------------------------------------------------------------------------------------- */

static const char *shutdown_name(unsigned code)
{
    static const char *const name[] = {"power off",      "restart",  "suspend", "crash",
                                       "watchdog expired", "soft reset"};

    return code < ARRAY_SIZE(name) ? name[code] : "unknown reason";
}

void domain_shutdown_check(void *domain)
{
    struct domain *d = domain;
    unsigned i;

    if (!READ_ONCE(d->shutting_down))
        return;
    for (i = 0; i < d->max_vcpus; i++) {
        struct vcpu *v = READ_ONCE(d->vcpu[i]);

        if (v && __atomic_load_n(&v->sched.running, __ATOMIC_SEQ_CST))
            return; /* sched_switched() comes later and pokes again */
    }
    if (!__atomic_exchange_n(&d->shut_down, true, __ATOMIC_SEQ_CST))
        virq_raise_global(VIRQ_DOM_EXC);
}

void domain_shutdown_poke(struct domain *d)
{
    if (!READ_ONCE(d->shut_down))
        timer_set(&d->shutdown_timer, now_ns());
}

void domain_shutdown(struct domain *d, unsigned code)
{
    uint8_t latch = READ_ONCE(d->shutdown_latch);
    unsigned i;

    if (latch)
        code = latch - 1u;
    if (__atomic_exchange_n(&d->shutting_down, true, __ATOMIC_SEQ_CST))
        return;
    d->shutdown_code = (uint8_t)code;
    log_info("d%u: shuts down: %s\n", d->id, shutdown_name(code));
    if (d->hardware)
        machine_shutdown(code);
    for (i = 0; i < d->max_vcpus; i++) {
        struct vcpu *v = READ_ONCE(d->vcpu[i]);

        if (!v)
            continue;
        __atomic_fetch_or(&v->pause_flags, VPF_SHUTDOWN, __ATOMIC_SEQ_CST);
        vcpu_sleep_nosync(v);
    }
    domain_shutdown_poke(d);
}

/* The caller has paused d. */
void domain_resume(struct domain *d)
{
    unsigned i;

    timer_kill(&d->shutdown_timer);
    d->shutdown_code = 0;
    d->shut_down = false;
    __atomic_store_n(&d->shutting_down, false, __ATOMIC_SEQ_CST);
    for (i = 0; i < d->max_vcpus; i++) {
        struct vcpu *v = d->vcpu[i];

        if (v && __atomic_fetch_and(&v->pause_flags, ~(uint32_t)VPF_SHUTDOWN, __ATOMIC_SEQ_CST) &
                     VPF_SHUTDOWN)
            vcpu_wake(v);
    }
}

void domain_crash(struct domain *d, const char *fmt, ...)
{
    char why[160];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
    log_err("d%u: crashed: %s\n", d->id, why);
    if (!__atomic_exchange_n(&d->crash_dumped, 1, __ATOMIC_SEQ_CST))
        arch_domain_crash_dump(d);
    domain_shutdown(d, SHUTDOWN_crash);
}

void domain_watchdog_fired(void *domain)
{
    struct domain *d = domain;

    log_err("d%u: did not poke its watchdog in time\n", d->id);
    domain_shutdown(d, SHUTDOWN_watchdog);
}

/* --- Destruction --------------------------------------------------------------------------------------------- */

/* Give back the pages that vCPUs registered; events go to storage of ours from now on. */
static void domain_kill_vcpu_info(struct domain *d)
{
    unsigned i;

    for (i = 0; i < d->max_vcpus; i++) {
        struct vcpu *v = d->vcpu[i];
        struct page *pg;

        if (!v || !v->info_page)
            continue;
        pg = v->info_page;
        unmap_frame((const void *)((uintptr_t)v->info & FRAME_MASK));
        v->info = v->info_dummy ? v->info_dummy : &d->shared->vcpu_info[v->id];
        v->info_page = NULL;
        page_writer_drop(pg);
        (void)pgt_put_page(pg, false);
    }
}

static void domain_kill_timers(struct domain *d)
{
    unsigned i;

    timer_kill(&d->watchdog[0]);
    timer_kill(&d->watchdog[1]);
    for (i = 0; i < d->max_vcpus; i++) {
        struct vcpu *v = d->vcpu[i];

        if (!v)
            continue;
        WRITE_ONCE(v->periodic_period, 0);
        timer_kill(&v->periodic);
        timer_kill(&v->singleshot);
        timer_kill(&v->poll_timer);
    }
}

static int domain_kill_step(struct domain *d)
{
    switch (d->kill_stage) {
    case 0:
        spin_lock(&d->page_lock); /* who counts frames for it sees it, or is counted when they are swept */
        WRITE_ONCE(d->dying, true);
        spin_unlock(&d->page_lock);
        BUG_ON(domain_claim(d, 0)); /* and there will be no other */
        domain_pause(d);
        domain_kill_timers(d);
        return 0;
    case 1:
        return evtchn_domain_kill(d);
    case 2:
        return grant_domain_kill(d);
    case 3:
        domain_kill_vcpu_info(d);
        return 0;
    case 4:
        return arch_domain_relinquish(d);
    default:
        return 0;
    }
}

/* Locked only for one step at a time, each of which stops by itself when it has taken long enough. The
 * caller's own reference keeps d while the table's is dropped. */
int domain_kill(struct domain *d)
{
    bool last = false;
    int rc = 0;

    if (d == dom_hw || d == dom_xen || d == dom_io)
        return -XEN_EINVAL;
    while (!rc && !last) {
        if (!try_spin_lock(&d->domctl_lock))
            return -XEN_ERESTART;
        if (d->kill_stage > 5) {
            spin_unlock(&d->domctl_lock);
            return 0; /* somebody else has finished it */
        }
        rc = domain_kill_step(d);
        if (!rc)
            last = d->kill_stage++ == 5;
        spin_unlock(&d->domctl_lock);
        if (!rc && !last && preempt_needed())
            rc = -XEN_ERESTART;
    }
    if (last) {
        virq_raise_global(VIRQ_DOM_EXC);
        domain_put(d);
    }
    return rc;
}
