/* SPDX-License-Identifier: MIT */
/* Lines of `xm list` and of what is like it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "ctl.h"

struct json_object;

struct list_options {
    bool verbose, pool, affinity, claims;
};

void list_print_head(const struct list_options *o, FILE *out);
void list_print_row(const struct list_options *o, const struct xen_domctl_getdomaininfo *d, const char *name, const char *affinity, FILE *out);
/* "r-----" and the like: running, blocked, paused, shut down, crashed, dying. 7 bytes. */
void list_state(const struct xen_domctl_getdomaininfo *d, char *out);
/* Memory in MiB, as xl counts it: pages that it holds, shared and claimed ones. */
unsigned long long list_mib(const struct xen_domctl_getdomaininfo *d);

/* Its name, "(null)" without one; to be freed. */
char *list_name(unsigned domid);
/* Where its virtual CPUs may run, all together. */
void list_affinity(struct ctl *c, const struct xen_domctl_getdomaininfo *d, char *out, size_t size);
/* One domain for programs; `details`: with what the store knows. */
struct json_object *list_json(const struct xen_domctl_getdomaininfo *d, bool details);
