/* SPDX-License-Identifier: MIT */
/*
 * patch: one vCPU runs code while another replaces its first byte by a breakpoint and back, as kernels do with
 * their jump labels. A breakpoint that is in memory no more must not be met for ever: QEMU 7.2 keeps such code
 * if it was written at the moment when it was translated.
 *
 * run: --smp 2 --timeout 90
 */
#include "kit.h"

enum { NOP = 0x90, INT3 = 0xcc, RET = 0xc3, ROUNDS = 3000, STUCK = 1000 };
static volatile uint8_t *code;
static volatile unsigned int calls, hits, gone, longest, stop, running;
static unsigned int in_a_row;

/* Met with the breakpoint there: goes on behind it. Met without: tries once more what is there now. */
static bool on_breakpoint(struct kit_frame *f)
{
    if (f->rip != (uint64_t)code + 1)
        return false;
    hits++;
    if (*code == INT3) {
        in_a_row = 0;
        return true;
    }
    gone++;
    if (++in_a_row > longest)
        longest = in_a_row;
    if (in_a_row <= STUCK)
        f->rip--; /* or give up: the check fails */
    return true;
}

static void runner(void *arg)
{
    running = 1;
    while (!stop) {
        ((void (*)(void))(uintptr_t)code)();
        in_a_row = 0;
        calls++;
    }
    running = 0;
}

static bool go_on(void)
{
    unsigned int was = calls;

    return WAIT_FOR(calls - was > 1, 2000);
}

void guest_main(void)
{
    unsigned int lost = 0;

    code = kit_page();
    code[0] = NOP;
    code[1] = RET;
    kit_hooks[VEC_BP] = on_breakpoint;
    CHECK_EQ("start", kit_cpu_start(1, runner, NULL), 0);
    CHECK("runs", WAIT_FOR(running && calls, 1000));
    for (unsigned int i = 0; i < ROUNDS && !lost; i++) {
        code[0] = INT3;
        if (i % 16 == 8 && !hits) /* until one was met they stay longer, however busy the host is */
            (void)WAIT_FOR(hits, 200);
        for (unsigned int n = i * 37 % 1000; n; n--)
            cpu_relax();
        code[0] = NOP;
        if (i % 16 == 0)
            lost += !go_on();
    }
    CHECK_EQ("goes-on", lost, 0);
    CHECK("met", hits > 0);
    kit_check(longest < STUCK, "gone-is-gone", "met %u times in a row although it was not there", longest);
    kit_printf("patch: %u calls, %u breakpoints, %u of them gone when looked for, at most %u in a row\n", calls, hits, gone, longest);
    stop = 1;
    CHECK("ends", WAIT_FOR(!running, 1000));
}
