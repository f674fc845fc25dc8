/* SPDX-License-Identifier: MIT */
/*
 * What tests can steer and look at in the PC's port.h (port_host.c). Every function and variable
 * there is weak: a test that defines its own simply wins. Reset everything with host_reset().
 */
#pragma once

#include <setjmp.h>

#include "abi.h"
#include "log.h"
#include "page.h"
#include "port.h"

void host_reset(void);

/* --- RAM: frames 0..n-1, a zeroed frame table, contents made on demand, M2P all invalid --- */
void host_ram_init(uint64_t frames);
void host_ram_free(void);

/* --- Guest memory: a guest_ptr_t is a host pointer --- */
/* Once anything is allowed, all the rest faults. Page 0 always faults. */
void host_guest_allow(const void *start, size_t bytes);
void host_guest_fault(const void *start, size_t bytes); /* this range faults */
void host_guest_clear(void);                            /* forget ranges and watch */
/* Watch a range as a hostile guest would: count the fetches of each byte, and after the first fetch
 * of a byte change it (xor `flip`; 0: leave it). host_watch_max() > 1 means that something was read
 * twice. */
void host_guest_watch(void *start, size_t bytes, uint8_t flip);
unsigned host_watch_max(void);
static inline guest_ptr_t host_ptr(const void *p)
{
    return guest_ptr((uint64_t)(uintptr_t)p);
}

/* --- Processors --- */
extern __thread unsigned host_cpu; /* cpu_self() */
extern unsigned host_cpus;         /* cpu_count() */
extern uint32_t host_softirqs[MAX_CPUS];
void host_softirqs_run(void); /* run what is registered and raised on this CPU, clearing the bits */
/* preempt_needed(): 0 never, 1 always, n: each n-th call. */
extern unsigned host_preempt_every;
extern unsigned host_preempt_calls;
extern struct vcpu *host_current;
extern unsigned host_kicks;
extern struct vcpu *host_kicked;

/* --- Time and translation caches --- */
extern uint64_t host_now;       /* now_ns() */
extern uint64_t host_deadline;  /* last port_timer_program() of any CPU */
extern uint32_t host_tlb_clock; /* tlb_stamp_now(); a flush ticks it */
extern unsigned host_tlb_flushes;
extern void (*host_on_flush)(void); /* what another CPU does in the middle of the code under test; NULL: nothing */

/* --- Continuations --- */
struct host_again {
    unsigned count, nr;
    uint64_t a[5];
};
extern struct host_again host_again;
#define HOST_AGAIN (-987654) /* what hcall_again() returns */

/* --- Ends and messages --- */
extern bool host_verbose; /* log lines to stderr; also by the environment variable V=1 */
extern char host_last_log[512];
extern unsigned host_crashes;
extern const struct domain *host_crashed;
extern char host_crash_why[256];
extern jmp_buf host_panic_jmp;
extern bool host_panic_expected;
extern char host_panic_why[512];
/* True if the statement panics. */
#define HOST_PANICS(stmt)                                                                          \
    ({                                                                                             \
        volatile bool panicked_ = true;                                                            \
        host_panic_expected = true;                                                                \
        if (!setjmp(host_panic_jmp)) {                                                             \
            stmt;                                                                                  \
            panicked_ = false;                                                                     \
        }                                                                                          \
        host_panic_expected = false;                                                               \
        panicked_;                                                                                 \
    })

/* --- Small objects: fail the n-th zalloc() from now (1 = the next; 0 = never), count those alive --- */
extern unsigned host_zalloc_fail;
extern int64_t host_zalloc_live;
