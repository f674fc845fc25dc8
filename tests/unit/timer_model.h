/* SPDX-License-Identifier: MIT */
/* The model of timers that t_timer.c and f_timer.c share: bytes say what happens. Aborts on a fault. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console.h"
#include "port_host.h"
#include "timer.h"

#define MODEL_CPUS 4
#define MODEL_TIMERS 24

static uint64_t hw[MODEL_CPUS]; /* what each CPU's hardware was told */
static unsigned hw_writes;

void port_timer_program(uint64_t deadline)
{
    hw[host_cpu] = deadline;
    hw_writes++;
}

void key_register(char key, void (*fn)(char), const char *what)
{
}

const char *symbol_name(uint64_t addr, uint64_t *offset, uint64_t *size)
{
    return "fn";
}

static struct timer model_timer[MODEL_TIMERS];
static uint64_t model_deadline[MODEL_TIMERS]; /* 0: not armed */
static uint64_t model_rearm[MODEL_TIMERS];    /* the callback arms it again so much later, once */

#define MODEL_CHECK(c)                                                                             \
    do {                                                                                           \
        if (!(c)) {                                                                                \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #c);                                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static void model_fired(void *data)
{
    unsigned i = (unsigned)(uintptr_t)data;

    MODEL_CHECK(model_deadline[i] && model_deadline[i] <= host_now);
    model_deadline[i] = 0;
    if (model_rearm[i]) {
        model_deadline[i] = host_now + model_rearm[i];
        model_rearm[i] = 0;
        timer_set(&model_timer[i], model_deadline[i]);
    }
}

static void model_softirqs(void)
{
    unsigned cpu, again;

    do {
        again = 0;
        for (cpu = 0; cpu < host_cpus; cpu++) {
            host_cpu = cpu;
            if (host_softirqs[cpu])
                again = 1;
            host_softirqs_run();
        }
    } while (again);
    host_cpu = 0;
}

static void model_advance(uint64_t ns)
{
    unsigned cpu;

    host_now += ns;
    for (cpu = 0; cpu < host_cpus; cpu++)
        if (hw[cpu] && hw[cpu] <= host_now) {
            hw[cpu] = 0;
            softirq_raise(cpu, SOFTIRQ_TIMER);
        }
    model_softirqs();
}

static void model_reset(unsigned cpus)
{
    unsigned i;

    host_reset();
    host_cpus = cpus;
    host_now = 1000000;
    memset(hw, 0, sizeof(hw));
    hw_writes = 0;
    timers_init();
    for (i = 0; i < cpus; i++)
        timer_cpu_init(i);
    for (i = 0; i < MODEL_TIMERS; i++) {
        timer_init(&model_timer[i], model_fired, (void *)(uintptr_t)i, i % cpus);
        model_deadline[i] = model_rearm[i] = 0;
    }
}

/* Nothing overdue, every heap sound, and each CPU will be woken in time for its first. */
static void model_check(void)
{
    unsigned i;

    MODEL_CHECK(timers_check() == 0);
    for (i = 0; i < MODEL_TIMERS; i++) {
        const struct timer *t = &model_timer[i];

        MODEL_CHECK(t->deadline == model_deadline[i]);
        if (t->deadline && t->deadline > host_now)
            MODEL_CHECK((hw[t->cpu] && hw[t->cpu] <= t->deadline) ||
                        (host_softirqs[t->cpu] & BIT(SOFTIRQ_TIMER)));
    }
}

static void model_run(const uint8_t *b, size_t n)
{
    model_reset(MODEL_CPUS);
    for (; n >= 3; b += 3, n -= 3) {
        unsigned i = b[1] % MODEL_TIMERS;

        host_cpu = (b[0] >> 4) % MODEL_CPUS;
        switch (b[0] & 7) {
        case 0:
        case 1:
            model_deadline[i] = host_now + b[2] * 16u;
            timer_set(&model_timer[i], model_deadline[i]);
            break;
        case 2:
            model_deadline[i] = 0;
            timer_stop(&model_timer[i]);
            break;
        case 3:
            timer_migrate(&model_timer[i], b[2] % MODEL_CPUS);
            break;
        case 4:
            model_rearm[i] = b[2];
            break;
        case 5:
            model_deadline[i] = 0;
            timer_kill(&model_timer[i]);
            break;
        default:
            model_advance(b[2] * 8u);
            for (unsigned k = 0; k < MODEL_TIMERS; k++)
                MODEL_CHECK(!model_deadline[k] || model_deadline[k] > host_now || model_rearm[k] == 0);
            break;
        }
        model_check();
    }
}
