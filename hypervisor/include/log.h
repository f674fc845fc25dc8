/* SPDX-License-Identifier: MIT */
/*
 * Messages and the three ways to stop: a guest's mistake is an error code, a guest in an impossible
 * state is domain_crash(), a broken invariant of ours is BUG_ON() in all builds (STYLE: doctrine).
 * Implemented by common/console.c and common/panic.c; on the host by tests/host.
 */
#pragma once

#include "types.h"

struct domain;

enum log_level { LOG_ERR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* One line (or part of one; end it with \n) to the console ring and, by threshold, to the serial
 * line and screen. Any context; takes only the console lock. */
void log_printf(enum log_level level, const char *fmt, ...) __printf_like(2, 3);

#define log_err(...) log_printf(LOG_ERR, __VA_ARGS__)
#define log_warn(...) log_printf(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_printf(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_printf(LOG_DEBUG, __VA_ARGS__)

/* As log_printf, for messages a guest can cause: prefixed "dN: ", rate-limited, LOG_DEBUG unless
 * guest_loglvl says otherwise. */
void log_guest(const struct domain *d, const char *fmt, ...) __printf_like(2, 3);

/* Stop the machine: message, registers, backtraces of all CPUs, then reboot or halt. */
__noreturn __cold_code void panic(const char *fmt, ...) __printf_like(1, 2);

/* Print the cause, registers and stack of the domain's current vCPU and shut the domain down with
 * SHUTDOWN_crash. Returns; the vCPU never re-enters the guest. Any context. */
__cold_code void domain_crash(struct domain *d, const char *fmt, ...) __printf_like(2, 3);

#define BUG_ON(cond)                                                                               \
    do {                                                                                           \
        if (unlikely(cond))                                                                        \
            panic("bug: %s at %s:%d", #cond, __FILE__, __LINE__);                                  \
    } while (0)

#ifdef ZENDO_DEBUG
#define ASSERT(cond) BUG_ON(!(cond))
#else
#define ASSERT(cond) ((void)sizeof(cond))
#endif
