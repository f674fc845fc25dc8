/* SPDX-License-Identifier: MIT */
/* A request while it is answered: proto.c for the tree's, proto_dom.c for those about domains and the daemon. */
#pragma once
#include "conn.h"

struct request {
    struct conn *c;
    struct store *s;
    struct trans *t;
    const char *rest;              /* the payload behind the path, or all of it; a NUL stands behind it */
    size_t rest_len;
    uint32_t strip;                /* bytes put before a relative path */
    char path[XENSTORE_ABS_PATH_MAX + 32];
};

/* A decimal number, no sign, no blanks, at most max: 0 or -EINVAL. */
int parse_number(const char *text, uint64_t max, uint64_t *out);

/* Each answers itself when it returns 0. */
int do_control(struct request *r);
int do_introduce(struct request *r);
int do_release(struct request *r);
int do_get_domain_path(struct request *r);
int do_is_domain_introduced(struct request *r);
int do_resume(struct request *r);
int do_set_target(struct request *r);
