/* SPDX-License-Identifier: MIT */
/*
 * How the machine stops. panic() trusts nothing:
 * no locks, polled output, and a second panic on the way stops at once.
 */
#include "panic.h"

#include "abi.h"
#include "cmdline.h"
#include "console.h"
#include "domain.h"
#include "lib.h"
#include "log.h"
#include "port.h"

#include <xen/sched.h>

#define PANIC_TEXT 256

/* Wait, by the clock if it goes on and by turns if not. */
static void panic_wait(unsigned seconds)
{
    uint64_t start = now_ns(), turns;

    for (turns = 0; turns < 100000000ULL * seconds; turns++) {
        if (now_ns() - start >= 1000000000ULL * seconds)
            return;
        cpu_relax();
    }
}

void panic(const char *fmt, ...)
{
    static uint32_t panic_cpu, again; /* [a] number + 1; times that CPU came back */
    uint32_t nobody = 0, me = cpu_self() + 1;
    char text[PANIC_TEXT];
    va_list ap;

    (void)irq_save();
    if (!__atomic_compare_exchange_n(&panic_cpu, &nobody, me, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST)) {
        while (nobody != me) /* another CPU is at it, and stops or dumps this one */
            cpu_relax();
        if (++again > 2) /* in the output itself: say no more */
            machine_halt();
    }
    console_force_unlock();
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    log_err("\n");
    log_err("****************************************\n");
    log_err("PANIC on CPU %u: %s\n", cpu_self(), text);
    if (!again) {
        backtrace_print(stack_pointer_now(), 0);
        arch_panic_dump();
    }
    log_err("****************************************\n");
    if (again || opt.noreboot) {
        log_err("the machine stays stopped\n");
        machine_halt();
    }
    log_err("restart in %u seconds (noreboot on the command line prevents it)\n", opt.reboot_delay);
    panic_wait(opt.reboot_delay);
    machine_reboot();
}
