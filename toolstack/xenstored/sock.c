/* SPDX-License-Identifier: MIT */
/*
 * The socket: an accepted client is an endpoint of the loop. It is read only while its connection wants bytes, so that a
 * client which does not take its answers is not heard further. Whoever can open the socket is domain 0: it is root's.
 */
#include "sock.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define AHEAD_MAX 4096
#define SEND_PARTS 32
#define SEND_TOGETHER 8192
#define CLIENTS_MAX 1000       /* descriptors are no endless good */

struct sock {
    struct endpoint e;
    struct source source;
    unsigned interest;
    bool eof, drained;
    struct sock *next, **link;
    size_t ahead_at, ahead_len;
    char ahead[AHEAD_MAX];
};

static struct sock *first;
static unsigned count;
static struct host *sock_host;
static struct source listener = { .fd = -1 };

static struct sock *sock_of(struct endpoint *e)
{
    return (struct sock *)(void *)e;
}

static void sock_set_interest(struct sock *s)
{
    const char *bytes;
    char *where;
    unsigned want = 0;

    if (conn_want(&s->e.conn, &where))
        want |= EPOLLIN;
    if (conn_pending(&s->e.conn, &bytes))
        want |= EPOLLOUT;
    if (want != s->interest)
        loop_change(&s->source, want);
    s->interest = want;
}

/* Hands the connection what it wants of what was read; true if there was something. */
static bool sock_feed(struct sock *s)
{
    char *where;
    size_t want = conn_want(&s->e.conn, &where);
    ssize_t n;

    if (!want)
        return false;
    if (s->ahead_at == s->ahead_len) {
        if (s->drained)
            return false;
        n = recv(s->source.fd, s->ahead, sizeof s->ahead, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            s->eof = true;
        s->drained = n < (ssize_t)sizeof s->ahead;
        if (n <= 0)
            return false;
        s->ahead_at = 0;
        s->ahead_len = (size_t)n;
    }
    if (want > s->ahead_len - s->ahead_at)
        want = s->ahead_len - s->ahead_at;
    memcpy(where, s->ahead + s->ahead_at, want);
    s->ahead_at += want;
    conn_got(&s->e.conn, want);
    return true;
}

/* Several answers and events in one call. */
static ssize_t sock_send(struct sock *s)
{
    struct iovec part[SEND_PARTS];
    struct msghdr m = { .msg_iov = part };

    for (struct conn_out *o = s->e.conn.out; o && m.msg_iovlen < SEND_PARTS; o = o->next)
        part[m.msg_iovlen++] = (struct iovec){ o->data + o->sent, o->len - o->sent };
    return sendmsg(s->source.fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static bool sock_flush(struct sock *s)
{
    const char *bytes;
    size_t len;
    ssize_t n;
    bool any = false;

    while (conn_pending(&s->e.conn, &bytes)) {
        n = sock_send(s);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            s->eof = true;
        if (n <= 0)
            break;
        for (; n; n -= (ssize_t)len) {
            len = conn_pending(&s->e.conn, &bytes);
            if (len > (size_t)n)
                len = (size_t)n;
            conn_sent(&s->e.conn, len);
        }
        any = true;
    }
    return any;
}

/* Its next request is here already: the answers may go together. */
static bool sock_has_more(const struct sock *s)
{
    return s->ahead_at < s->ahead_len && !s->eof && !s->e.conn.broken && s->e.conn.out_bytes < SEND_TOGETHER;
}

static bool sock_step(struct endpoint *e)
{
    struct sock *s = sock_of(e);
    bool any = false;

    while (!conn_ready(&e->conn) && sock_feed(s)) /* the head, then what it announces */
        any = true;
    if (conn_ready(&e->conn)) {
        conn_serve(&e->conn);
        any = true;
        if (loop.after)
            loop.after();    /* into the journal before the client hears of it */
    }
    if (any && sock_has_more(s))
        return true;
    any |= sock_flush(s);
    if (s->eof || e->conn.broken)
        e->closing = true;
    return any;
}

static void sock_rest(struct endpoint *e)
{
    sock_set_interest(sock_of(e));
}

static void sock_close(struct endpoint *e)
{
    struct sock *s = sock_of(e);

    conn_reset(&e->conn);
    loop_remove(&s->source);
    close(s->source.fd);
    *s->link = s->next;
    if (s->next)
        s->next->link = s->link;
    count--;
    free(s);
}

static void sock_ready(struct source *src, unsigned events)
{
    struct sock *s = (struct sock *)(void *)((char *)src - offsetof(struct sock, source));

    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP))
        s->drained = false;
    if ((events & (EPOLLHUP | EPOLLERR)) && !(events & EPOLLIN))
        s->eof = true;
    loop_wake(&s->e);
}

struct sock *sock_adopt(int fd)
{
    static const struct who zero = { .domid = 0, .target = NO_DOMAIN, .privileged = true };
    struct ucred cred = { 0 };
    socklen_t len = sizeof cred;
    struct sock *s = xalloc(sizeof *s);
    char name[32];

    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
    snprintf(name, sizeof name, "socket %d pid %d", fd, (int)cred.pid);
    conn_init(&s->e.conn, sock_host, &zero, name);
    s->e.step = sock_step;
    s->e.rest = sock_rest;
    s->e.close = sock_close;
    s->source = (struct source){ .fd = fd, .ready = sock_ready };
    s->interest = EPOLLIN;
    loop_add(&s->source, s->interest);
    s->next = first;
    if (first)
        first->link = &s->next;
    s->link = &first;
    first = s;
    count++;
    return s;
}

static void sock_accept(struct source *src, unsigned events)
{
    int fd, i;

    for (i = 0; i < 16; i++) {
        fd = accept4(src->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            return;
        if (count >= CLIENTS_MAX) {
            sock_host->log("socket: %u clients are connected, no more are taken", count);
            close(fd);
            continue;
        }
        sock_adopt(fd);
    }
}

/* The folders above path. */
static void sock_make_folder(const char *path)
{
    char folder[sizeof((struct sockaddr_un *)0)->sun_path];
    char *slash;

    snprintf(folder, sizeof folder, "%s", path);
    for (slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(folder, 0755);
        *slash = '/';
    }
}

static bool sock_is_answered(const struct sockaddr_un *addr)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool is = !connect(fd, (const struct sockaddr *)addr, sizeof *addr);

    close(fd);
    return is;
}

int sock_listen(struct host *host, const char *path, int fd)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int rc;

    sock_host = host;
    if (fd < 0) {
        if (strlen(path) >= sizeof addr.sun_path)
            return -ENAMETOOLONG;
        strcpy(addr.sun_path, path);
        sock_make_folder(path);
        if (sock_is_answered(&addr)) {
            host->log("the socket %s is another xenstored's, which runs", path);
            return -EADDRINUSE;
        }
        unlink(path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        umask(0177);
        rc = fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof addr) || listen(fd, 1024) ? -errno : 0;
        umask(022);
        if (rc)
            return rc;
    }
    listener = (struct source){ .fd = fd, .ready = sock_accept };
    loop_add(&listener, EPOLLIN);
    return 0;
}

int sock_listen_fd(void)
{
    return listener.fd;
}

void sock_close_all(void)
{
    while (first) {
        loop_forget(&first->e);
        sock_close(&first->e);
    }
    close(listener.fd);
}

struct sock *sock_next(struct sock *s)
{
    return s ? s->next : first;
}

int sock_fd(const struct sock *s)
{
    return s->source.fd;
}

struct conn *sock_conn(struct sock *s)
{
    return &s->e.conn;
}

unsigned sock_count(void)
{
    return count;
}

size_t sock_ahead(const struct sock *s, const char **bytes)
{
    *bytes = s->ahead + s->ahead_at;
    return s->ahead_len - s->ahead_at;
}

void sock_set_ahead(struct sock *s, const char *bytes, size_t len)
{
    s->ahead_at = 0;
    s->ahead_len = len < sizeof s->ahead ? len : sizeof s->ahead;
    memcpy(s->ahead, bytes, s->ahead_len);
    loop_wake(&s->e);
}
