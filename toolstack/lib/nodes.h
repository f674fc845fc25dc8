/* SPDX-License-Identifier: MIT */
/*
 * The store as the toolstack uses it: nodes named by printf formats, over libxenstore. Functions work inside the
 * transaction begun by nodes_begin(), if any. Unless it says "silent", a failure leaves a text in fault().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <xenstore.h>

struct nodes {
    struct xs_handle *xs;
    xs_transaction_t t; /* XBT_NULL: none */
};

int nodes_open(struct nodes *n);
void nodes_close(struct nodes *n);

int nodes_begin(struct nodes *n);
/* Ends the transaction. -EAGAIN (silent): somebody else changed what it read; do it all again. */
int nodes_commit(struct nodes *n);
void nodes_abort(struct nodes *n); /* nothing if there is none */

/* The value, to be freed; NULL (silent) if there is no such node. */
char *nodes_read(struct nodes *n, const char *path, ...) __attribute__((format(printf, 2, 3)));
/* The value as a number; `otherwise` (silent) when absent or no number. */
long long nodes_read_number(struct nodes *n, long long otherwise, const char *path, ...) __attribute__((format(printf, 3, 4)));
int nodes_write(struct nodes *n, const char *value, const char *path, ...) __attribute__((format(printf, 3, 4)));
int nodes_write_number(struct nodes *n, long long value, const char *path, ...) __attribute__((format(printf, 3, 4)));
int nodes_mkdir(struct nodes *n, const char *path, ...) __attribute__((format(printf, 2, 3)));
/* With everything below it; an absent node is no failure. */
int nodes_remove(struct nodes *n, const char *path, ...) __attribute__((format(printf, 2, 3)));
/* Removes a node, then each parent that is empty by that, up to but not including the one of `depth` parts ("/a/b": 2). */
int nodes_remove_up(struct nodes *n, unsigned depth, const char *path, ...) __attribute__((format(printf, 3, 4)));
/* Names below a node, to be freed as one piece; NULL and 0 (silent) if there are none. */
char **nodes_list(struct nodes *n, unsigned *count, const char *path, ...) __attribute__((format(printf, 3, 4)));
/* Owner, and what all others may ("n", "r", "w", "b"); with `reader` >= 0 that domain may read besides. */
int nodes_permit(struct nodes *n, unsigned owner, char others, int reader, const char *path, ...) __attribute__((format(printf, 5, 6)));
