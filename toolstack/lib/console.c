/* SPDX-License-Identifier: MIT */
/* See console.h; the socket's language is in xenconsoled/client.h. */
#include "console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "fault.h"
#include "store.h"

#define TTY_WAIT_MS 5000

const char *console_socket = "/run/zendo/console.sock";

static int write_all(int to, const char *s, size_t n)
{
    while (n) {
        ssize_t done = write(to, s, n);

        if (done < 0 && errno == EAGAIN) {
            struct pollfd p = { .fd = to, .events = POLLOUT };

            poll(&p, 1, -1);
        } else if (done < 0 && errno != EINTR)
            return -errno;
        s += done > 0 ? done : 0;
        n -= done > 0 ? (size_t)done : 0;
    }
    return 0;
}

/* The answer's line, a byte at a time: what is behind it belongs to the console. */
static int answer_read(int fd, const char *word)
{
    char line[400];
    size_t n = 0;

    for (;;) {
        ssize_t got = read(fd, line + n, 1);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return fault(-EIO, "console of %s: xenconsoled closed the connection", word);
        if (line[n] == '\n' || n == sizeof(line) - 2)
            break;
        n++;
    }
    line[n] = 0;
    if (strcmp(line, "ok") == 0)
        return 0;
    return fault(-ENOENT, "console: %s", strncmp(line, "error ", 6) == 0 ? line + 6 : line);
}

/* Connects, asks, reads the answer. -ECONNREFUSED without a fault: no daemon. */
static int ask(const char *what, const char *word)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    char request[300];
    int n = snprintf(request, sizeof(request), "%s %s\n", what, word);
    int fd;

    if (n >= (int)sizeof(request) || strchr(word, '\n'))
        return fault(-EINVAL, "console: '%.40s...' is no guest's name", word);
    snprintf(to.sun_path, sizeof(to.sun_path), "%s", console_socket);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fault(-errno, "console: socket: %s", strerror(errno));
    if (connect(fd, (struct sockaddr *)&to, sizeof(to))) {
        int rc = errno == ENOENT || errno == ECONNREFUSED ? -ECONNREFUSED : fault(-errno, "%s: %s", console_socket, strerror(errno));

        close(fd);
        return rc;
    }
    int rc = write_all(fd, request, (size_t)n) ? fault(-EIO, "%s: xenconsoled does not listen", console_socket) : answer_read(fd, word);
    if (!rc)
        return fd;
    close(fd);
    return rc;
}

static int has_tty(const char *path, void *arg)
{
    char *v = store_read("%s", path);
    int n = v ? (int)strlen(v) : 0;

    free(v);
    return n;
}

static int attach_tty(uint32_t domid)
{
    char path[64];

    snprintf(path, sizeof(path), "/local/domain/%u/console/tty", domid);
    int rc = store_wait(path, TTY_WAIT_MS, has_tty, NULL);
    if (rc <= 0)
        return fault(rc == -ETIMEDOUT || !rc ? -ENOENT : rc, "domain %u: no daemon serves its console; start xenconsoled", domid);
    char *tty = store_read("%s", path);
    int fd = tty && strncmp(tty, "/dev/", 5) == 0 ? open(tty, O_RDWR | O_NOCTTY | O_CLOEXEC) : -1;
    rc = fd >= 0 ? fd : fault(-EIO, "domain %u: console %s cannot be opened: %s", domid, tty ? tty : "", strerror(errno));
    free(tty);
    return rc;
}

int console_attach(uint32_t domid)
{
    char word[16];

    snprintf(word, sizeof(word), "%u", domid);
    int fd = ask("attach", word);
    return fd == -ECONNREFUSED ? attach_tty(domid) : fd;
}

int console_last(const char *name, int out)
{
    char buf[4096];
    ssize_t n;
    int fd = ask("last", name), rc = 0;

    if (fd == -ECONNREFUSED)
        return fault(fd, "console: xenconsoled, which keeps what guests printed, does not run; start it");
    if (fd < 0)
        return fd;
    while (!rc && (n = read(fd, buf, sizeof(buf))) != 0)
        if (n > 0)
            rc = write_all(out, buf, (size_t)n);
        else if (errno != EINTR)
            rc = fault(-errno, "console: %s", strerror(errno));
    close(fd);
    return rc;
}

struct pump { int console, in, out; char buf[1024]; size_t n; bool left; };

static void pump_input(struct pump *p)
{
    ssize_t n = read(p->in, p->buf + p->n, sizeof(p->buf) - p->n);
    const char *leave = n > 0 ? memchr(p->buf + p->n, CONSOLE_LEAVE, (size_t)n) : NULL;

    if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
        p->in = -1;
    if (n <= 0)
        return;
    p->left = leave != NULL;
    p->n = leave ? (size_t)(leave - p->buf) : p->n + (size_t)n;
}

/* Negative: the guest's side is gone. */
static int pump_give(struct pump *p)
{
    ssize_t n = write(p->console, p->buf, p->n);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    p->n -= (size_t)n;
    memmove(p->buf, p->buf + n, p->n);
    return 0;
}

static int pump_output(struct pump *p)
{
    char buf[4096];
    ssize_t n = read(p->console, buf, sizeof(buf));

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    return n <= 0 || write_all(p->out, buf, (size_t)n) ? -1 : 0;
}

int console_pump(int console, int in, int out)
{
    struct pump p = { .console = console, .in = in, .out = out };
    int flags = fcntl(console, F_GETFL);

    if (flags >= 0)
        fcntl(console, F_SETFL, flags | O_NONBLOCK);
    signal(SIGPIPE, SIG_IGN);
    while (!p.left) {
        struct pollfd f[2] = { { .fd = console, .events = POLLIN | (p.n ? POLLOUT : 0) },
                               { .fd = p.n < sizeof(p.buf) ? p.in : -1, .events = POLLIN } };

        if (poll(f, 2, -1) < 0)
            continue;
        if ((f[0].revents & (POLLIN | POLLHUP | POLLERR)) && pump_output(&p) < 0)
            return CONSOLE_GONE;
        if (f[1].revents)
            pump_input(&p);
        if (p.n && pump_give(&p) < 0)
            return CONSOLE_GONE;
    }
    return CONSOLE_LEFT;
}

static struct termios terminal;

static void terminal_restore(int sig)
{
    tcsetattr(STDIN_FILENO, TCSANOW, &terminal);
    signal(sig, SIG_DFL);
    raise(sig);
}

static bool terminal_raw(void)
{
    static const int signals[] = { SIGTERM, SIGHUP, SIGINT, SIGQUIT };
    struct termios raw;

    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &terminal))
        return false;
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        signal(signals[i], terminal_restore);
    raw = terminal;
    cfmakeraw(&raw);
    return tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

int console_run(int console)
{
    bool raw = terminal_raw();
    int how = console_pump(console, STDIN_FILENO, STDOUT_FILENO);

    if (raw) {
        tcsetattr(STDIN_FILENO, TCSANOW, &terminal);
        fputc('\n', stderr);
    }
    close(console);
    return how;
}
