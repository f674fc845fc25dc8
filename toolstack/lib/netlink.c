/* SPDX-License-Identifier: MIT */
/* Netlink messages: put together, sent, answered. What is said with them is in netlink_link.c and netlink_addr.c. */
#include "netlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fault.h"

#define NL_BUFFER 32768

static void nl_append(struct nl_message *m, const void *bytes, size_t n)
{
    size_t room = NLMSG_ALIGN(n);

    if (m->overflow || n > sizeof(m->data) || room > sizeof(m->data) - m->used) {
        m->overflow = true;
        return;
    }
    memset(m->data + m->used, 0, room);
    if (n)
        memcpy(m->data + m->used, bytes, n);
    m->used += room;
}

void nl_begin(struct nl_message *m, uint16_t type, uint16_t flags, const void *body, size_t bytes)
{
    struct nlmsghdr h = { .nlmsg_type = type, .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags) };

    memset(m, 0, sizeof(*m));
    nl_append(m, &h, sizeof(h));
    nl_append(m, body, bytes);
}

void nl_put(struct nl_message *m, uint16_t type, const void *value, size_t bytes)
{
    uint8_t whole[512];
    struct rtattr a = { .rta_type = type, .rta_len = (uint16_t)RTA_LENGTH(bytes) };

    if (RTA_LENGTH(bytes) > sizeof(whole)) {
        m->overflow = true;
        return;
    }
    memcpy(whole, &a, sizeof(a));
    if (bytes)
        memcpy(whole + RTA_LENGTH(0), value, bytes);
    nl_append(m, whole, RTA_LENGTH(bytes));
}

void nl_put_u32(struct nl_message *m, uint16_t type, uint32_t value)
{
    nl_put(m, type, &value, sizeof(value));
}

void nl_put_text(struct nl_message *m, uint16_t type, const char *value)
{
    nl_put(m, type, value, strlen(value) + 1);
}

size_t nl_nest(struct nl_message *m, uint16_t type)
{
    size_t start = m->used;

    nl_put(m, type, NULL, 0);
    return start;
}

void nl_nest_end(struct nl_message *m, size_t start)
{
    if (!m->overflow)
        ((struct rtattr *)(void *)(m->data + start))->rta_len = (uint16_t)(m->used - start);
}

int nl_finish(struct nl_message *m, uint32_t sequence)
{
    struct nlmsghdr *h = (void *)m->data;

    if (m->overflow)
        return -EMSGSIZE;
    h->nlmsg_len = (uint32_t)m->used;
    h->nlmsg_seq = sequence;
    return 0;
}

void nl_parse(struct rtattr *table[], unsigned max, struct rtattr *a, size_t bytes)
{
    memset(table, 0, (max + 1) * sizeof(*table));
    int left = bytes > INT32_MAX ? 0 : (int)bytes;
    for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
        unsigned type = a->rta_type & NLA_TYPE_MASK;
        if (type <= max)
            table[type] = a;
    }
}

/* --- sending --------------------------------------------------------------------------------------------------- */

static int nl_open(int protocol)
{
    int one = 1, fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    struct sockaddr_nl self = { .nl_family = AF_NETLINK };
    struct timeval limit = { .tv_sec = 10 };

    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
    setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, sizeof(one));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (bind(fd, (struct sockaddr *)&self, sizeof(self))) {
        int err = errno;
        close(fd);
        return -err;
    }
    return fd;
}

/* The kernel's text behind an error, when it gave one. */
static void nl_error_text(struct nlmsghdr *h, char *out, size_t size)
{
    struct nlmsgerr *e = NLMSG_DATA(h);
    size_t skip = sizeof(*e), total = h->nlmsg_len - NLMSG_LENGTH(0);
    struct rtattr *table[NLMSGERR_ATTR_MAX + 1];

    snprintf(out, size, "%s", strerror(-e->error));
    if (!(h->nlmsg_flags & NLM_F_ACK_TLVS))
        return;
    if (!(h->nlmsg_flags & NLM_F_CAPPED) && e->msg.nlmsg_len >= sizeof(e->msg))
        skip += e->msg.nlmsg_len - sizeof(e->msg);
    skip = NLMSG_ALIGN(skip);
    if (skip >= total)
        return;
    nl_parse(table, NLMSGERR_ATTR_MAX, (struct rtattr *)(void *)((char *)e + skip), total - skip);
    if (table[NLMSGERR_ATTR_MSG])
        snprintf(out, size, "%s (%.*s)", strerror(-e->error), (int)RTA_PAYLOAD(table[NLMSGERR_ATTR_MSG]),
                 (char *)RTA_DATA(table[NLMSGERR_ATTR_MSG]));
}

/* One received packet: 1 = finished, 0 = more to come, < 0 an error (with a text in `why`) or what fn said. */
static int nl_digest(void *buffer, size_t bytes, uint32_t sequence, int (*fn)(struct nlmsghdr *, void *), void *arg, char *why, size_t size)
{
    unsigned left = (unsigned)bytes;

    for (struct nlmsghdr *h = buffer; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
        if (h->nlmsg_seq != sequence)
            continue;
        if (h->nlmsg_type == NLMSG_DONE)
            return 1;
        if (h->nlmsg_type == NLMSG_ERROR) {
            struct nlmsgerr *e = NLMSG_DATA(h);
            if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*e)))
                return -EBADMSG;
            if (!e->error)
                return 1;
            nl_error_text(h, why, size);
            return e->error;
        }
        int rc = fn ? fn(h, arg) : 0;
        if (rc)
            return rc < 0 ? rc : 1;
    }
    return 0;
}

static int nl_talk(struct nl_message *m, int (*fn)(struct nlmsghdr *, void *), void *arg, char *why, size_t size)
{
    static uint32_t sequence;
    int rc = nl_finish(m, ++sequence), fd = rc ? rc : nl_open(m->protocol);
    uint8_t *buffer = fd < 0 ? NULL : malloc(NL_BUFFER);

    if (fd < 0)
        return fd;
    if (!buffer || send(fd, m->data, m->used, 0) < 0)
        rc = buffer ? -errno : -ENOMEM;
    while (!rc) {
        ssize_t n = recv(fd, buffer, NL_BUFFER, 0);
        if (n < 0 && errno == EINTR)
            continue;
        rc = n < 0 ? -errno : nl_digest(buffer, (size_t)n, sequence, fn, arg, why, size);
    }
    free(buffer);
    close(fd);
    return rc == 1 ? 0 : rc;
}

int nl_request(struct nl_message *m, const char *format, ...)
{
    char what[128], why[192] = "";
    va_list args;

    ((struct nlmsghdr *)(void *)m->data)->nlmsg_flags |= NLM_F_ACK;
    int rc = nl_talk(m, NULL, NULL, why, sizeof(why));
    if (!rc)
        return 0;
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    return fault(rc, "%s: %s", what, why[0] ? why : strerror(-rc));
}

int nl_ask(struct nl_message *m, int (*fn)(struct nlmsghdr *h, void *arg), void *arg, const char *what)
{
    char why[192] = "";

    ((struct nlmsghdr *)(void *)m->data)->nlmsg_flags |= NLM_F_ACK;
    int rc = nl_talk(m, fn, arg, why, sizeof(why));
    return rc ? fault(rc, "%s: %s", what, why[0] ? why : strerror(-rc)) : 0;
}

int nl_list(struct nl_message *m, int (*fn)(struct nlmsghdr *h, void *arg), void *arg)
{
    char why[192] = "";

    ((struct nlmsghdr *)(void *)m->data)->nlmsg_flags |= NLM_F_DUMP;
    int rc = nl_talk(m, fn, arg, why, sizeof(why));
    return why[0] ? fault(rc, "the kernel's list of interfaces or addresses: %s", why) : rc;
}
