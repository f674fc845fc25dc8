/* SPDX-License-Identifier: MIT */
/* Requests about domains, and CONTROL, which only cuts its words here. */
#include "proto.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int parse_number(const char *text, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;

    if (!*text)
        return -EINVAL;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -EINVAL;
        value = value * 10 + (uint64_t)(*text - '0');
        if (value > max)
            return -EINVAL;
    }
    *out = value;
    return 0;
}

/* The words of the payload, each ended by a NUL; how many there are. */
static int request_words(const struct request *r, const char **word, int max)
{
    const char *at = r->rest, *end = r->rest + r->rest_len;
    int n = 0;

    for (; at < end && n < max; at += strlen(at) + 1)
        word[n++] = at;
    return n;
}

/* The domain in the first word; from 1, since nothing here is about domain 0. */
static int request_domid(const struct request *r, const char **word, int words, uint16_t *domid)
{
    uint64_t value;

    if (request_words(r, word, words) < words || parse_number(word[0], FIRST_RESERVED - 1, &value))
        return -EINVAL;
    *domid = (uint16_t)value;
    return 0;
}

static int reply_rc(struct request *r, int rc)
{
    if (!rc)
        conn_reply(r->c, r->c->head.type, "OK", 3);
    return rc;
}

int do_introduce(struct request *r)
{
    const char *word[3];
    uint64_t gfn, port;
    uint16_t domid;

    if (request_domid(r, word, 3, &domid) || !domid || parse_number(word[2], UINT32_MAX, &port))
        return -EINVAL;
    /* "Signed decimal": a frame above 2^31 may come as a negative number. */
    if (word[1][0] == '-')
        gfn = (uint32_t)strtol(word[1], NULL, 10);
    else if (parse_number(word[1], UINT64_MAX / 16, &gfn))
        return -EINVAL;
    return reply_rc(r, r->c->host->introduce ? r->c->host->introduce(domid, gfn, (uint32_t)port) : -ENOSYS);
}

int do_release(struct request *r)
{
    const char *word[1];
    uint16_t domid;

    if (request_domid(r, word, 1, &domid) || !domid)
        return -EINVAL;
    return reply_rc(r, r->c->host->release ? r->c->host->release(domid) : -ENOSYS);
}

int do_resume(struct request *r)
{
    const char *word[1];
    uint16_t domid;

    if (request_domid(r, word, 1, &domid) || !domid)
        return -EINVAL;
    return reply_rc(r, r->c->host->resume ? r->c->host->resume(domid) : -ENOSYS);
}

int do_set_target(struct request *r)
{
    const char *word[2];
    uint64_t target;
    uint16_t domid;

    if (request_domid(r, word, 2, &domid) || !domid || parse_number(word[1], FIRST_RESERVED - 1, &target))
        return -EINVAL;
    return reply_rc(r, r->c->host->set_target ? r->c->host->set_target(domid, (uint16_t)target) : -ENOSYS);
}

int do_get_domain_path(struct request *r)
{
    const char *word[1];
    uint16_t domid;
    char path[32];

    if (request_domid(r, word, 1, &domid))
        return -EINVAL;
    conn_reply(r->c, XS_GET_DOMAIN_PATH, path, (size_t)snprintf(path, sizeof path, "/local/domain/%u", domid) + 1);
    return 0;
}

int do_is_domain_introduced(struct request *r)
{
    const char *word[1];
    uint16_t domid;
    bool is;

    if (request_domid(r, word, 1, &domid))
        return -EINVAL;
    is = !domid || (r->c->host->is_introduced && r->c->host->is_introduced(domid));
    conn_reply(r->c, XS_IS_DOMAIN_INTRODUCED, is ? "T" : "F", 2);
    return 0;
}

int do_control(struct request *r)
{
    char *word[16], *answer = NULL;
    size_t len;
    int n, rc;

    n = request_words(r, (const char **)word, 16);
    if (!n || !r->c->host->control)
        return n ? -ENOSYS : -EINVAL;
    rc = r->c->host->control(r->c, n, word, &answer);
    if (!rc) {
        len = answer ? strnlen(answer, XENSTORE_PAYLOAD_MAX - 1) : 0;
        if (answer)
            answer[len] = 0;
        conn_reply(r->c, XS_CONTROL, answer ? answer : "OK", answer ? len + 1 : 3);
    }
    free(answer);
    return rc;
}
