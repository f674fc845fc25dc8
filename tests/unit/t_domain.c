/* SPDX-License-Identifier: MIT */
/*
 * Domains, sched_op, vcpu_op and the guests' clocks, with stubs for event channels, grants, page types and
 * the machine. One CPU; context_switch() is immediate.
 * sources: hypervisor/common/domain.c hypervisor/common/domain_stop.c hypervisor/common/sched_ops.c
 * sources: hypervisor/common/vcpu_ops.c hypervisor/common/vtime.c hypervisor/common/timer.c
 * sources: hypervisor/common/sched.c hypervisor/common/sched_credit.c hypervisor/common/sched_cap.c hypervisor/common/sched_heap.c hypervisor/common/sched_null.c hypervisor/common/sched_state.c
 * sources: hypervisor/common/sched_debug.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cmdline.h"
#include "console.h"
#include "domain.h"
#include "evtchn.h"
#include "grant.h"
#include "irq.h"
#include "lib.h"
#include "pgt.h"
#include "port_host.h"
#include "vtime.h"

#include <xen/sched.h>

struct cmdline_options opt;
static struct vcpu idle_vcpu, *on;
static struct domain *d1;
static struct vcpu *v0, *v1;
static unsigned dom_exc, timer_virqs, powered, inited, moved;
static bool port_pending;
static int pgt_rc, live;
static struct time_scale scale = {.stamp_tsc = 5, .stamp_ns = 7, .mul = 9, .shift = -1};
static jmp_buf off;

struct vcpu *current_vcpu(void) { return on; }
void context_switch(struct vcpu *prev, struct vcpu *next) { on = next; sched_switched(prev); }
void key_register(char key, void (*fn)(char), const char *what) {}
const char *symbol_name(uint64_t a, uint64_t *o, uint64_t *s) { return "fn"; }
int evtchn_domain_init(struct domain *d) { return 0; }
void evtchn_domain_limit(struct domain *d, uint32_t max) {}
void grant_domain_limit(struct domain *d, unsigned max) {}
int evtchn_vcpu_init(struct vcpu *v) { return 0; }
int evtchn_domain_kill(struct domain *d) { return 0; }
void evtchn_domain_free(struct domain *d) {}
bool evtchn_is_known(struct domain *d, uint32_t port) { return port < 64; }
bool evtchn_is_pending(struct domain *d, uint32_t port) { return port_pending && port == 3; }
void evtchn_vcpu_info_moved(struct vcpu *v) { moved++; }
void virq_raise_vcpu(struct vcpu *v, unsigned virq) { timer_virqs += virq == VIRQ_TIMER; }
void virq_raise_global(unsigned virq) { dom_exc += virq == VIRQ_DOM_EXC; }
int grant_domain_init(struct domain *d, unsigned a, unsigned b) { return 0; }
int grant_domain_kill(struct domain *d) { return 0; }
void grant_domain_free(struct domain *d) {}
int pirq_domain_init(struct domain *d, unsigned nr) { return 0; }
void pirq_domain_free(struct domain *d) {}
unsigned irq_count_gsis(void) { return 24; }
int pgt_get_page(struct page *pg, const struct domain *d, uint64_t t, bool s) { return pgt_rc; }
int pgt_put_page(struct page *pg, bool may_stop) { return 0; }
mfn_t frames_alloc(unsigned order, unsigned flags) { static uint64_t n = 1; return mfn(n++); }
void share_page(struct page *pg, struct domain *d) {}
bool unshare_page(struct page *pg) { return true; }
int domain_claim(struct domain *d, uint64_t total)
{
    assert_true(d->dying && !total);
    d->claim = 0;
    return 0;
}
void time_scale_now(struct time_scale *s) { *s = scale; }
void guest_time_scale(const struct vcpu *v, struct time_scale *s) {}
uint64_t wallclock_ns_at_boot(void) { return 0; }
struct domain *arch_domain_alloc(void) { live++; return calloc(1, sizeof(struct domain)); }
void arch_domain_free(struct domain *d) { live--; free(d); }
struct vcpu *arch_vcpu_alloc(struct domain *d, unsigned id) { live++; return calloc(1, sizeof(struct vcpu)); }
void arch_vcpu_free(struct vcpu *v) { live--; free(v); }
void arch_domain_crash_dump(struct domain *d) {}
int arch_domain_relinquish(struct domain *d) { return 0; }
void arch_vcpu_send_nmi(struct vcpu *v) {}
uint64_t arch_cpu_physid(unsigned cpu) { return 0x100000002; }
void machine_shutdown(unsigned code) { powered = code + 1; longjmp(off, 1); }
static int init_vcpu(struct vcpu *v, guest_ptr_t ctx) { inited++; return 0; }
static const struct guest_kind kind = {"test", init_vcpu};

static void run(void)
{
    unsigned i;

    for (i = 0; i < 10; i++) {
        if (host_deadline && host_deadline <= host_now) {
            host_deadline = 0;
            softirq_raise(0, SOFTIRQ_TIMER);
        }
        host_softirqs_run();
    }
}

static int setup(void **state)
{
    int rc;

    host_reset();
    host_ram_init(64);
    timers_init();
    timer_cpu_init(0);
    sched_init();
    memset(&idle_vcpu, 0, sizeof(idle_vcpu));
    on = &idle_vcpu;
    sched_cpu_init(0, &idle_vcpu);
    dom_exc = timer_virqs = powered = inited = moved = 0;
    pgt_rc = 0;
    port_pending = false;
    live = 0;
    d1 = domain_create(1, false, 40, &rc);
    assert_non_null(d1);
    d1->kind = &kind;
    v0 = vcpu_create(d1, 0);
    v1 = vcpu_create(d1, 1);
    v0->initialised = true;
    assert_int_equal(do_vcpu_op(v0, VCPUOP_up, 0, 0, 0, 0), 0);
    assert_true(on->idle);
    domain_unpause(d1);
    run();
    assert_ptr_equal(on, v0);
    return 0;
}

static int teardown(void **state)
{
    if (!d1)
        return 0;
    domain_ref(d1);
    vcpu_pause_nosync(v0); /* off the CPU: kill waits for that */
    vcpu_pause_nosync(v1);
    run();
    assert_int_equal(domain_kill(d1), 0);
    assert_ptr_equal(domain_get(1), d1); /* dying: somebody still holds it */
    domain_put(d1);
    domain_put(d1);
    assert_null(domain_get(1));
    assert_int_not_equal(live, 0);
    run(); /* freed where no lock is held */
    assert_int_equal(live, 0);
    return 0;
}

static void test_lookup(void **state)
{
    struct domain *d;
    int rc;

    assert_null(domain_create(1, false, 1, &rc));
    assert_int_equal(rc, -XEN_EEXIST);
    d = domain_get_self(v0, DOMID_SELF);
    assert_ptr_equal(d, d1);
    domain_put(d);
    assert_null(domain_get(2));
    assert_null(domain_get(DOMID_IO));
    d = domain_next(NULL);
    assert_ptr_equal(d, d1);
    assert_null(domain_next(d));
    assert_int_equal(d1->refs, 1);
}

static void test_up_down(void **state)
{
    assert_int_equal(do_vcpu_op(v0, VCPUOP_is_up, 0, 0, 0, 0), 1);
    assert_int_equal(do_vcpu_op(v0, VCPUOP_is_up, 1, 0, 0, 0), 0);
    assert_int_equal(do_vcpu_op(v0, VCPUOP_is_up, 2, 0, 0, 0), -XEN_ENOENT);
    assert_int_equal(do_vcpu_op(v0, VCPUOP_is_up, 8191, 0, 0, 0), -XEN_ENOENT);
    assert_int_equal(do_vcpu_op(v0, VCPUOP_up, 1, 0, 0, 0), -XEN_EINVAL);
    assert_int_equal(do_vcpu_op(v0, VCPUOP_initialise, 1, 0, 0, 0), 0);
    assert_int_equal(do_vcpu_op(v0, VCPUOP_initialise, 1, 0, 0, 0), -XEN_EEXIST);
    assert_int_equal(do_vcpu_op(v0, VCPUOP_up, 1, 0, 0, 0), 0);
    assert_int_equal(do_vcpu_op(v0, VCPUOP_is_up, 1, 0, 0, 0), 1);
    assert_int_equal(do_vcpu_op(v0, VCPUOP_down, 0, 0, 0, 0), 0);
    run();
    assert_ptr_equal(on, v1);
    spin_lock(&d1->domctl_lock);
    assert_int_equal(do_vcpu_op(v1, VCPUOP_up, 0, 0, 0, 0), HOST_AGAIN);
    spin_unlock(&d1->domctl_lock);
    assert_int_equal(do_vcpu_op(v1, VCPUOP_down, 1, 0, 0, 0), 0); /* the last one */
    run();
    assert_true(d1->shut_down && d1->shutdown_code == SHUTDOWN_poweroff && dom_exc == 1);
}

static void test_singleshot(void **state)
{
    struct vcpu_set_singleshot_timer s = {host_now + 500, VCPU_SSHOTTMR_future};

    assert_int_equal(do_vcpu_op(v0, VCPUOP_set_singleshot_timer, 0, (uintptr_t)&s, 0, 0), 0);
    assert_int_equal(host_deadline, host_now + 500);
    host_now += 500;
    softirq_raise(0, SOFTIRQ_TIMER);
    run();
    assert_int_equal(timer_virqs, 1);
    host_now++;
    assert_int_equal(do_vcpu_op(v0, VCPUOP_set_singleshot_timer, 0, (uintptr_t)&s, 0, 0), -XEN_ETIME);
    s.flags = 0;
    assert_int_equal(do_vcpu_op(v0, VCPUOP_set_singleshot_timer, 0, (uintptr_t)&s, 0, 0), 0);
    softirq_raise(0, SOFTIRQ_TIMER);
    run();
    assert_int_equal(timer_virqs, 2);
    assert_int_equal(do_vcpu_op(v0, VCPUOP_set_singleshot_timer, 1, (uintptr_t)&s, 0, 0), -XEN_EINVAL);
    assert_int_equal(do_vcpu_op(v0, VCPUOP_set_singleshot_timer, 0, 8, 0, 0), -XEN_EFAULT);
    assert_int_equal(do_vcpu_op(v0, VCPUOP_stop_periodic_timer, 1, 0, 0, 0), 0);
    assert_int_equal(do_set_timer_op(v0, host_now + 9, 0, 0, 0, 0), 0);
    assert_int_equal(do_set_timer_op(v0, 0, 0, 0, 0, 0), 0);
    assert_false(timer_is_set(&v0->singleshot));
}

/* Ticks stay on their grid; those that were missed are one. */
static void test_periodic(void **state)
{
    struct vcpu_set_periodic_timer p = {10000000};
    uint64_t start = host_now;

    assert_int_equal(do_vcpu_op(v0, VCPUOP_set_periodic_timer, 0, (uintptr_t)&p, 0, 0), 0);
    assert_int_equal(v0->periodic.deadline, start + 10000000);
    host_now = start + 10000700;
    softirq_raise(0, SOFTIRQ_TIMER);
    run();
    assert_int_equal(timer_virqs, 1);
    assert_int_equal(v0->periodic.deadline, start + 20000000);
    host_now = start + 55000000;
    softirq_raise(0, SOFTIRQ_TIMER);
    run();
    assert_int_equal(timer_virqs, 2);
    assert_int_equal(v0->periodic.deadline, start + 60000000);
    assert_int_equal(do_vcpu_op(v0, VCPUOP_stop_periodic_timer, 0, 0, 0, 0), 0);
    assert_false(timer_is_set(&v0->periodic));
    p.period_ns = 999;
    assert_int_equal(do_vcpu_op(v0, VCPUOP_set_periodic_timer, 0, (uintptr_t)&p, 0, 0), -XEN_EINVAL);
}

static void test_vcpu_info(void **state)
{
    struct vcpu_register_vcpu_info r = {.mfn = 40, .offset = 0xfc8};
    struct vcpu_info *to = (void *)((char *)map_frame(mfn(40)) + 0x3c0);
    uint64_t a = (uintptr_t)&r;

    assert_int_equal(do_vcpu_op(v0, VCPUOP_register_vcpu_info, 0, a, 0, 0), -XEN_EINVAL);
    r.offset = 0x3c4;
    assert_int_equal(do_vcpu_op(v0, VCPUOP_register_vcpu_info, 0, a, 0, 0), -XEN_EINVAL);
    r.offset = 0x3c0;
    r.mfn = ~0ULL;
    assert_int_equal(do_vcpu_op(v0, VCPUOP_register_vcpu_info, 0, a, 0, 0), -XEN_EINVAL);
    r.mfn = 40;
    pgt_rc = -XEN_EINVAL;
    assert_int_equal(do_vcpu_op(v0, VCPUOP_register_vcpu_info, 0, a, 0, 0), -XEN_EINVAL);
    pgt_rc = 0;
    v0->info->arch.cr2 = 0x1234;
    assert_int_equal(do_vcpu_op(v0, VCPUOP_register_vcpu_info, 0, a, 0, 0), 0);
    assert_true(v0->info == to && to->arch.cr2 == 0x1234 && moved == 1);
    assert_true(to->time.version == 2 && to->time.tsc_to_system_mul == 9);
    assert_int_equal(do_vcpu_op(v0, VCPUOP_register_vcpu_info, 0, a, 0, 0), -XEN_EINVAL);
    /* A kernel that resumes takes the others down and registers at once: one that is still leaving its CPU is waited for. */
    v1->sched.running = true;
    assert_int_equal(do_vcpu_op(v0, VCPUOP_register_vcpu_info, 1, a, 0, 0), HOST_AGAIN);
    v1->sched.running = false;
    assert_int_equal(do_vcpu_op(v0, VCPUOP_register_vcpu_info, 1, a, 0, 0), 0);
}

static void test_runstate_area(void **state)
{
    struct vcpu_runstate_info area = {.state = 9};
    struct vcpu_register_runstate_memory_area r = {.addr.p = (uintptr_t)&area};

    d1->vm_assist = BIT(VMASST_TYPE_runstate_update_flag);
    assert_int_equal(
        do_vcpu_op(v0, VCPUOP_register_runstate_memory_area, 0, (uintptr_t)&r, 0, 0), 0);
    assert_int_equal(area.state, RUNSTATE_running);
    assert_false(area.state_entry_time & XEN_RUNSTATE_UPDATE);
    area.state = 9;
    runstate_area_update(v0);
    assert_int_equal(area.state, RUNSTATE_running);
    v0->runstate_area.va = 0;
}

static void test_poll_and_block(void **state)
{
    evtchn_port_t ports[2] = {3, 4};
    struct sched_poll p = {.nr_ports = 2, .timeout = host_now + 1000};

    set_xen_guest_handle(p.ports, ports);
    port_pending = true;
    assert_int_equal(do_sched_op(v0, SCHEDOP_poll, (uintptr_t)&p, 0, 0, 0), 0);
    run();
    assert_ptr_equal(on, v0);
    port_pending = false;
    assert_int_equal(do_sched_op(v0, SCHEDOP_poll, (uintptr_t)&p, 0, 0, 0), 0);
    run();
    assert_true(on->idle);
    host_now += 1000;
    softirq_raise(0, SOFTIRQ_TIMER);
    run();
    assert_ptr_equal(on, v0);
    p.nr_ports = 129;
    assert_int_equal(do_sched_op(v0, SCHEDOP_poll, (uintptr_t)&p, 0, 0, 0), -XEN_EINVAL);
    v0->info->evtchn_upcall_pending = 0;
    assert_int_equal(do_sched_op(v0, SCHEDOP_block, 0, 0, 0, 0), 0);
    run();
    assert_true(on->idle && v0->info->evtchn_upcall_mask == 0);
    vcpu_notify_event(v0);
    run();
    assert_ptr_equal(on, v0);
}

static void test_watchdog(void **state)
{
    struct sched_watchdog w = {0, 2};
    uint64_t a = (uintptr_t)&w;

    assert_int_equal(do_sched_op(v0, SCHEDOP_watchdog, a, 0, 0, 0), 1);
    assert_int_equal(do_sched_op(v0, SCHEDOP_watchdog, a, 0, 0, 0), 2);
    assert_int_equal(do_sched_op(v0, SCHEDOP_watchdog, a, 0, 0, 0), -XEN_ENOSPC);
    w = (struct sched_watchdog){2, 0};
    assert_int_equal(do_sched_op(v0, SCHEDOP_watchdog, a, 0, 0, 0), 0);
    assert_int_equal(do_sched_op(v0, SCHEDOP_watchdog, a, 0, 0, 0), -XEN_EINVAL);
    w.id = 3;
    assert_int_equal(do_sched_op(v0, SCHEDOP_watchdog, a, 0, 0, 0), -XEN_EINVAL);
    host_now += 2000000000;
    softirq_raise(0, SOFTIRQ_TIMER);
    run();
    assert_true(d1->shut_down && d1->shutdown_code == SHUTDOWN_watchdog && dom_exc == 1);
    assert_true(on->idle);
}

static void test_shutdown(void **state)
{
    struct sched_shutdown s = {SHUTDOWN_suspend};
    struct sched_remote_shutdown r = {1, 0};

    assert_int_equal(do_sched_op(v0, SCHEDOP_remote_shutdown, (uintptr_t)&r, 0, 0, 0), -XEN_EPERM);
    assert_int_equal(do_sched_op(v0, SCHEDOP_shutdown, (uintptr_t)&s, 77, 0, 0), 0);
    run();
    assert_true(on->idle && d1->shut_down && d1->suspend_frame == 77 && dom_exc == 1);
    domain_resume(d1);
    run();
    assert_ptr_equal(on, v0);
    domain_crash(d1, "test %d", 1);
    run();
    assert_true(on->idle && d1->shutdown_code == SHUTDOWN_crash && dom_exc == 2);
    s.reason = 6;
    assert_int_equal(do_sched_op(v0, SCHEDOP_shutdown, (uintptr_t)&s, 0, 0, 0), -XEN_EINVAL);
    assert_int_equal(do_sched_op(v0, SCHEDOP_pin_override, 0, 0, 0, 0), -XEN_EPERM);
    assert_int_equal(do_sched_op(v0, 99, 0, 0, 0, 0), -XEN_ENOSYS);
}

static void test_wallclock(void **state)
{
    vtime_set_wallclock(1700000000, 5, 0);
    assert_int_equal(d1->shared->wc_sec, 1700000000);
    assert_int_equal(d1->shared->wc_nsec, 5);
    assert_int_equal(d1->shared->wc_version % 2, 0);
    vtime_update_vcpu(v0, false);
    assert_int_equal(v0->info->time.version, 2);
    vtime_update_vcpu(v0, false); /* nothing changed */
    assert_int_equal(v0->info->time.version, 2);
}

/* Last: domain 0 stays for ever. */
static void test_dom0_off(void **state)
{
    struct domain *d;
    int rc;

    d = domain_create(0, true, 1, &rc);
    assert_true(d && d == dom_hw && domain_get(0) == d);
    if (!setjmp(off))
        domain_shutdown(d, SHUTDOWN_reboot);
    assert_int_equal(powered, SHUTDOWN_reboot + 1);
    assert_int_equal(domain_kill(d), -XEN_EINVAL);
    live--;
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_lookup),   T(test_up_down),       T(test_singleshot), T(test_periodic),
        T(test_vcpu_info), T(test_runstate_area), T(test_poll_and_block),
        T(test_watchdog), T(test_shutdown),      T(test_wallclock),
        T(test_dom0_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
