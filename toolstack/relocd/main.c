/* SPDX-License-Identifier: MIT */
/*
 * relocd: guests come to this host over TCP with TLS. A connection whose certificate is allowed (relocation.conf) gets an
 * `xm migrate-receive`, which does the rest; so nothing here knows of guests. `relocd --connect HOST` is the other end: the command that
 * `xm migrate --tls` runs. A process for each connection, a few at a time.
 */
#include "relocd.h"
#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 16
#define LINES_A_MINUTE 60   /* of the log, about those who get no further than the handshake */
#define LOG_FILE "/var/log/zendo/relocd.log"

static const char receiver[] = "xm";
static struct relocation conf;
static int log_fd = 2;

/* Anybody who reaches the port can fail as often as he likes; the log's disk is not his to fill. */
static struct {
    time_t minute;
    unsigned lines, more;
} strangers;

static void log_line(const char *what)
{
    char when[32];
    time_t now = time(NULL);
    struct tm tm;

    strftime(when, sizeof(when), "%F %T", localtime_r(&now, &tm));
    dprintf(log_fd, "%s %s\n", when, what);
}

/* A peer that is gone without a word is noticed in a minute. */
static void set_options(int fd)
{
    int on = 1, idle = 20, count = 3;

    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &idle, sizeof(idle));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* --- the client --------------------------------------------------------------------------------------------------------------------- */

static int dial(const char *host, const char *port)
{
    struct addrinfo want = { .ai_socktype = SOCK_STREAM }, *list, *a;
    int n = getaddrinfo(host, port, &want, &list), fd = -1, error = 0;

    if (n)
        return fault(-EHOSTUNREACH, "host %s: %s", host, gai_strerror(n));
    for (a = list; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen)) {
            error = errno;
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(list);
    return fd >= 0 ? fd : fault(-error, "host %s, port %s: %s; does relocd run there?", host, port, strerror(error));
}

static int client(const char *host, const char *port)
{
    gnutls_session_t s;
    int fd = dial(host, port), rc = fd < 0 ? fd : tls_connect(&s, fd, host);

    if (rc) {
        fprintf(stderr, "relocd: %s\n", fault_text());
        return 1;
    }
    set_options(fd);
    pump(s, fd, 0, 1);
    tls_end(s);
    return 0;
}

/* --- the server --------------------------------------------------------------------------------------------------------------------- */

static int run_receiver(int *fd)
{
    int pair[2];
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        return fault(-errno, "no socket: %s", strerror(errno));
    pid = fork();
    if (!pid) {
        dup2(pair[1], 0);
        dup2(pair[1], 1);
        dup2(log_fd, 2);
        execlp(receiver, receiver, "migrate-receive", (char *)NULL);
        _exit(127);
    }
    close(pair[1]);
    *fd = pair[0];
    return pid < 0 ? fault(-errno, "no process: %s", strerror(errno)) : 0;
}

/* One more line about a stranger? Counted by the listening process, for its children. */
static bool stranger_is_told(void)
{
    time_t minute = time(NULL) / 60;
    char line[80];

    if (minute != strangers.minute && strangers.more) {
        snprintf(line, sizeof(line), "%u more connections in a minute, not told of", strangers.more);
        log_line(line);
    }
    if (minute != strangers.minute) {
        strangers.minute = minute;
        strangers.lines = strangers.more = 0;
    }
    strangers.more += strangers.lines >= LINES_A_MINUTE;
    return strangers.lines < LINES_A_MINUTE && ++strangers.lines;
}

static void serve(int fd, const char *from, bool told)
{
    char name[128] = "?", line[600];
    gnutls_session_t s;
    int local = -1, rc;

    signal(SIGCHLD, SIG_DFL);
    set_options(fd);
    rc = tls_accept(&s, fd, &conf, name);
    rc = rc ? rc : run_receiver(&local);
    snprintf(line, sizeof(line), "%s (%s): %s", from, fault_printable(name), rc ? fault_text() : "begins");
    if (told || !rc)
        log_line(line);
    if (rc)
        _exit(1);
    pump(s, fd, local, local);
    tls_end(s);
    snprintf(line, sizeof(line), "%s (%s): ends", from, name);
    log_line(line);
    _exit(0);
}

static int open_listener(void)
{
    struct addrinfo want = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICHOST }, *a;
    int n = getaddrinfo(*conf.address ? conf.address : NULL, conf.port, &want, &a), fd, on = 1, rc = 0;

    if (n)
        return fault(-EINVAL, "listen %s:%s: %s", conf.address, conf.port, gai_strerror(n));
    fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (fd < 0 || bind(fd, a->ai_addr, a->ai_addrlen) || listen(fd, 16))
        rc = fault(-errno, "listen %s:%s: %s", conf.address, conf.port, strerror(errno));
    freeaddrinfo(a);
    return rc ? rc : fd;
}

static void accept_one(int listener, unsigned *running)
{
    struct sockaddr_storage at;
    socklen_t n = sizeof(at);
    char from[100] = "?";
    int fd = accept4(listener, (struct sockaddr *)&at, &n, SOCK_CLOEXEC);

    while (*running && waitpid(-1, NULL, WNOHANG) > 0)
        --*running;
    if (fd < 0)
        return;
    getnameinfo((struct sockaddr *)&at, n, from, sizeof(from), NULL, 0, NI_NUMERICHOST);
    bool told = stranger_is_told();

    if (*running >= CONNECTIONS_MAX) {
        if (told)
            log_line("too many connections at once; one is refused");
    } else {
        pid_t pid = fork();

        if (!pid) {
            close(listener);
            serve(fd, from, told);
        }
        *running += pid > 0;
    }
    close(fd);
}

static int server(bool foreground)
{
    unsigned running = 0;
    int fd = open_listener();
    char line[200];

    if (fd < 0) {
        fprintf(stderr, "relocd: %s\n", fault_text());
        return 1;
    }
    if (!foreground) {
        mkdir("/var/log/zendo", 0755);
        int f = open(LOG_FILE, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);

        log_fd = f >= 0 ? f : 2;
        if (daemon(0, 0)) {
            perror("relocd");
            return 1;
        }
    }
    snprintf(line, sizeof(line), "listens on %s:%s, %u allowed", conf.address, conf.port, conf.n_allow);
    log_line(line);
    for (;;)
        accept_one(fd, &running);
}

static void usage(FILE *out)
{
    fprintf(out, "relocd [--foreground] [--config FILE]        receives guests over TLS as " RELOCATION_CONF " says\n"
                 "relocd --connect HOST [--port PORT]          standard input and output to the one there (xm migrate --tls)\n");
}

int main(int argc, char **argv)
{
    static const struct option options[] = { { "foreground", no_argument, NULL, 'f' }, { "config", required_argument, NULL, 'c' },
        { "connect", required_argument, NULL, 'h' }, { "port", required_argument, NULL, 'p' }, { "help", no_argument, NULL, '?' }, { 0 } };
    const char *file = NULL, *host = NULL, *port = "8002";
    bool foreground = false;
    int o, rc;

    while ((o = getopt_long(argc, argv, "fc:", options, NULL)) != -1)
        switch (o) {
        case 'f': foreground = true; break;
        case 'c': file = optarg; break;
        case 'h': host = optarg; break;
        case 'p': port = optarg; break;
        default: usage(stderr); return 2;
        }
    signal(SIGPIPE, SIG_IGN);
    rc = relocation_load(&conf, file);
    rc = rc ? rc : tls_begin(&conf);
    if (rc) {
        fprintf(stderr, "relocd: %s\n", fault_text());
        return 1;
    }
    return host ? client(host, port) : server(foreground);
}
