/* SPDX-License-Identifier: MIT */
/*
 * The store (xenstored) as the tools use it: one connection for the program, printf-style paths and values, one
 * transaction at a time in which all calls take part, and waiting with a limit. Failures leave a fault().
 * Values are text. Single thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define STORE_FMT(n) __attribute__((format(printf, n, (n) + 1)))
#define STORE_PATH_MAX 1024

/* Connects on first use; all others call it. -ENOENT... with the mend when nobody listens. */
int store_open(void);
void store_close(void);
/* The client library's handle, for what is not here. NULL before store_open(). */
struct xs_handle *store_handle(void);

/*
 * body(arg) in a transaction, in which all functions below but waits take part. It gives 0, or a negative value: then nothing is changed. It
 * is done again when somebody else changed the same nodes meanwhile. Within a transaction body() is part of that one. A guest that
 * writes its own nodes without end can make one that touches them fail (-EBUSY after 1000 tries).
 */
int store_transact(int (*body)(const void *arg), const void *arg);

/* The value (free() it), or NULL when there is no such node (no fault). Never longer than the store's limit. */
char *store_read(const char *path, ...) STORE_FMT(1);
/* The value as a number, decimal or 0x.. ; -ENOENT without a fault, -EINVAL with one. */
int store_read_number(int64_t *value, const char *path, ...) STORE_FMT(2);
bool store_exists(const char *path, ...) STORE_FMT(1);
int store_write(const char *path, const char *value, ...) STORE_FMT(2);
/* path/key = value. */
int store_put(const char *path, const char *key, const char *value, ...) STORE_FMT(3);
/* Removes the node and all below it; 0 if there is none. */
int store_remove(const char *path, ...) STORE_FMT(1);
/* Removes the node; then each parent that is empty by that, up to and without `top`; one that is used again meanwhile stays. */
int store_remove_empty(const char *path, const char *top);
/* An empty node that belongs to `owner`, readable by `reader` (-1: nobody else). What is written below it inherits that. */
int store_mkdir_for(unsigned owner, int reader, const char *path, ...) STORE_FMT(3);
/* Names below a path; *n = 0 and NULL when there is none. free() it, it is one piece. */
char **store_list(unsigned *n, const char *path, ...) STORE_FMT(2);

/* Ends a wait: > 0 done, 0 go on waiting, < 0 error. Called at once and after each change at or below the path. */
typedef int store_test_fn(const char *path, void *arg);
/* What `test` gave, or -ETIMEDOUT (without a fault: the caller knows what it waited for). Not in a transaction. */
int store_wait(const char *path, unsigned timeout_ms, store_test_fn *test, void *arg);
/* Waits until the number at `path` is one of the bits in `wanted` (1u << 4 | 1u << 6); a missing node counts as bit 0. The number. */
int store_wait_state(const char *path, uint32_t wanted, unsigned timeout_ms);

/* Milliseconds that always go forward. */
uint64_t store_clock_ms(void);
