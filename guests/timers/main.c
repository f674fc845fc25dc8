/* SPDX-License-Identifier: MIT */
/*
 * timers: the shared clock only runs forward, timers come when they were set and not before,
 * blocking and polling end as they should, and the run-state times add up. All against the guest's
 * own clock.
 */
#include "kit.h"

#define MS 1000000UL
static volatile unsigned int ticks;
static volatile uint64_t at;
static int timer_port;

static void on_timer(unsigned int port)
{
    ticks++;
    at = kit_now();
}

static long vcpu_timer(int op, void *arg)
{
    return HC3(vcpu_op, op, 0, arg);
}

static void clock_runs(void)
{
    uint64_t last = kit_now(), start = last, back = 0, wall = kit_shared->wc_sec;

    for (unsigned int i = 0; i < 20000; i++) {
        uint64_t n = kit_now();
        back += n < last;
        last = n;
    }
    CHECK_EQ("clock-never-back", back, 0);
    CHECK("clock-runs", last > start && last - start < 20000 * MS);
    CHECK("clock-version-even", !(vinfo()->time.version & 1) && vinfo()->time.tsc_to_system_mul);
    CHECK("wall-clock", wall > 1600000000 && !(kit_shared->wc_version & 1));
}

static bool fired_at(const char *name, uint64_t when)
{
    WAIT_FOR(ticks, 1000);
    return kit_check(ticks == 1 && at >= when && at < when + 300 * MS, name,
                     "%u ticks, %ld ns after", ticks, (long)(at - when));
}

static void one_shot(void)
{
    struct vcpu_set_singleshot_timer s = {.timeout_abs_ns = kit_now() + 5 * MS};
    uint64_t when;

    ticks = 0;
    CHECK_EQ("singleshot-set", vcpu_timer(VCPUOP_set_singleshot_timer, &s), 0);
    fired_at("singleshot-comes", s.timeout_abs_ns);
    WAIT_FOR(ticks > 1, 30);
    CHECK_EQ("singleshot-once", ticks, 1);
    ticks = 0;
    s.timeout_abs_ns = kit_now() - MS;
    s.flags = VCPU_SSHOTTMR_future; /* the reference does not refuse, but gives the event at once */
    long rc = vcpu_timer(VCPUOP_set_singleshot_timer, &s);
    kit_check(rc == -XEN_ETIME || (rc == 0 && ticks == 1), "singleshot-past-future-flag",
              "rc %ld, %u ticks", rc, ticks);
    ticks = 0;
    s.flags = 0;
    CHECK_EQ("singleshot-past", vcpu_timer(VCPUOP_set_singleshot_timer, &s), 0);
    fired_at("singleshot-past-comes", s.timeout_abs_ns);
    ticks = 0;
    s.timeout_abs_ns = kit_now() + 20 * MS;
    vcpu_timer(VCPUOP_set_singleshot_timer, &s);
    CHECK_EQ("singleshot-stop", vcpu_timer(VCPUOP_stop_singleshot_timer, NULL), 0);
    WAIT_FOR(ticks, 60);
    CHECK_EQ("singleshot-stopped", ticks, 0);
    when = kit_now() + 3 * MS;
    CHECK_EQ("set-timer-op", HC1(set_timer_op, when), 0);
    fired_at("set-timer-op-comes", when);
    ticks = 0;
    HC1(set_timer_op, kit_now() + 20 * MS);
    HC1(set_timer_op, 0);
    WAIT_FOR(ticks, 60);
    CHECK_EQ("set-timer-op-0-stops", ticks, 0);
    CHECK_EQ("singleshot-bad-pointer", vcpu_timer(VCPUOP_set_singleshot_timer, (void *)8),
             -XEN_EFAULT);
    CHECK_EQ("singleshot-bad-vcpu", HC3(vcpu_op, VCPUOP_set_singleshot_timer, 99, &s), -XEN_ENOENT);
}

static void periodic(void)
{
    struct vcpu_set_periodic_timer p = {.period_ns = 5 * MS};

    ticks = 0;
    CHECK_EQ("periodic-set", vcpu_timer(VCPUOP_set_periodic_timer, &p), 0);
    WAIT_FOR(false, 103);
    kit_check(ticks >= 5 && ticks <= 22, "periodic-ticks", "%u ticks of 5 ms in 103 ms", ticks);
    CHECK_EQ("periodic-stop", vcpu_timer(VCPUOP_stop_periodic_timer, NULL), 0);
    ticks = 0;
    WAIT_FOR(ticks, 30);
    CHECK_EQ("periodic-stopped", ticks, 0);
    p.period_ns = 1000;
    CHECK_EQ("periodic-too-short", vcpu_timer(VCPUOP_set_periodic_timer, &p), -XEN_EINVAL);
}

static void block_and_poll(void)
{
    evtchn_port_t ports[2] = {(evtchn_port_t)evtchn_alloc(DOMID_SELF), 60000};
    struct sched_poll p = {.nr_ports = 1};
    uint64_t when = kit_now() + 10 * MS;

    ticks = 0;
    kit_cli();
    HC1(set_timer_op, when);
    CHECK_EQ("block", sched_op(SCHEDOP_block, NULL), 0);
    CHECK("block-ends-by-timer", kit_now() >= when && ticks == 1);
    CHECK_EQ("block-unmasks", vinfo()->evtchn_upcall_mask, 0);
    kit_cli();
    set_xen_guest_handle(p.ports, ports);
    p.timeout = kit_now() + 10 * MS;
    CHECK_EQ("poll-timeout", sched_op(SCHEDOP_poll, &p), 0);
    CHECK("poll-waits", kit_now() >= p.timeout && kit_now() < p.timeout + 300 * MS);
    evtchn_mask(ports[0], true);
    kit_shared->evtchn_pending[ports[0] / 64] |= 1UL << ports[0] % 64;
    p.timeout = 0;
    CHECK_EQ("poll-pending-port-returns", sched_op(SCHEDOP_poll, &p), 0);
    evtchn_clear(ports[0]);
    p.timeout = kit_now() + 2000 * MS;
    HC1(set_timer_op, kit_now() + 5 * MS);
    kit_bind((unsigned int)timer_port, on_timer);
    ports[0] = (evtchn_port_t)timer_port;
    CHECK_EQ("poll-event", sched_op(SCHEDOP_poll, &p), 0);
    CHECK("poll-ends-by-event", kit_now() < p.timeout - 1000 * MS);
    evtchn_clear((unsigned int)timer_port);
    p.nr_ports = 2;
    CHECK_EQ("poll-bad-port", sched_op(SCHEDOP_poll, &p), -XEN_EINVAL);
    p.nr_ports = 129;
    CHECK_EQ("poll-too-many", sched_op(SCHEDOP_poll, &p), -XEN_EINVAL);
    p.nr_ports = 1;
    set_xen_guest_handle(p.ports, (evtchn_port_t *)8);
    CHECK_EQ("poll-bad-array", sched_op(SCHEDOP_poll, &p), -XEN_EFAULT);
    CHECK_EQ("yield", sched_op(SCHEDOP_yield, NULL), 0);
    CHECK_EQ("sched-bad-op", sched_op(99, NULL), -XEN_ENOSYS);
    kit_sti();
}

static void run_state(void)
{
    static struct vcpu_runstate_info a, b, shared;
    static struct vcpu_time_info copy;
    struct vcpu_register_runstate_memory_area area = {0};
    struct vcpu_register_time_memory_area tarea = {0};
    uint64_t sum_a = 0, sum_b = 0, t0, t1;

    CHECK_EQ("runstate-get", vcpu_timer(VCPUOP_get_runstate_info, &a), 0);
    t0 = kit_now();
    CHECK_EQ("runstate-is-running", a.state, RUNSTATE_running);
    kit_cli();
    HC1(set_timer_op, kit_now() + 20 * MS);
    sched_op(SCHEDOP_block, NULL);
    vcpu_timer(VCPUOP_get_runstate_info, &b);
    t1 = kit_now();
    for (int i = 0; i < 4; i++)
        sum_a += a.time[i], sum_b += b.time[i];
    kit_check(b.time[RUNSTATE_blocked] - a.time[RUNSTATE_blocked] > 5 * MS,
              "runstate-blocked-grows", "%ld ns",
              (long)(b.time[RUNSTATE_blocked] - a.time[RUNSTATE_blocked]));
    kit_check(sum_b - sum_a > (t1 - t0) / 2 && sum_b - sum_a < (t1 - t0) * 2 + 20 * MS,
              "runstate-adds-up", "%ld of %ld ns", (long)(sum_b - sum_a), (long)(t1 - t0));
    area.addr.h.p = &shared;
    CHECK_EQ("runstate-register", vcpu_timer(VCPUOP_register_runstate_memory_area, &area), 0);
    HC1(set_timer_op, kit_now() + 5 * MS);
    kit_cli();
    sched_op(SCHEDOP_block, NULL);
    CHECK("runstate-area-filled", shared.state == RUNSTATE_running &&
                                      shared.time[RUNSTATE_blocked] && shared.state_entry_time);
    tarea.addr.h.p = &copy;
    CHECK_EQ("time-area-register", vcpu_timer(VCPUOP_register_vcpu_time_memory_area, &tarea), 0);
    CHECK_EQ("time-area-filled", copy.tsc_to_system_mul, vinfo()->time.tsc_to_system_mul);
}

void guest_main(void)
{
    timer_port = evtchn_virq(VIRQ_TIMER, 0);
    kit_bind((unsigned int)timer_port, on_timer);
    kit_sti();
    clock_runs();
    one_shot();
    periodic();
    block_and_poll();
    run_state();
}
