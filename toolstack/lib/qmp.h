/* SPDX-License-Identifier: MIT */
/* QMP, the language in which QEMU's daemons take orders: JSON, a line each, over a Unix socket. One order at a time. */
#pragma once

struct qmp;
struct json_object;

#define QMP_SECONDS 60

/* Connects and greets. *out is NULL after a failure. 0 or a negative error with fault(), as below. */
int qmp_open(struct qmp **out, const char *socket_path);
/* Gives an order. `arguments` may be NULL; it is given away. */
int qmp_begin(struct qmp *q, const char *order, struct json_object *arguments);
/* Waits for its end, QMP_SECONDS at most. -EREMOTEIO: refused, with the daemon's words. */
int qmp_finish(struct qmp *q);
/* Both. */
int qmp_order(struct qmp *q, const char *order, struct json_object *arguments);
void qmp_close(struct qmp *q); /* NULL is fine */
