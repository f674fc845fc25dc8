/* SPDX-License-Identifier: MIT */
/*
 * xm console, and `create -c`: a guest's console on this terminal. Our daemon is asked at its socket ("attach NUMBER"); if it does not
 * run, the pseudo terminal that another console daemon wrote into the store is opened.
 */
#include "xm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#define SOCKET "/run/zendo/console.sock"
#define LEAVE 0x1d /* Ctrl-] */
#define WAIT_MS 5000

static int console = -1;

/* Connects and says what is wanted; -ENOENT (no fault) if the daemon does not run. */
static int ask_daemon(const char *request)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = SOCKET };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return fault(-errno, "console: %s", strerror(errno));
    if (connect(fd, (struct sockaddr *)&to, sizeof(to))) {
        close(fd);
        return -ENOENT;
    }
    if (write(fd, request, strlen(request)) != (ssize_t)strlen(request)) {
        close(fd);
        return fault(-EIO, "console: the daemon does not listen at " SOCKET);
    }
    return fd;
}

/* > 0 when the node has a value: its length. */
static int has_tty(const char *path, void *arg)
{
    char *v = store_read("%s", path);
    int n = v ? (int)strlen(v) : 0;

    (void)arg;
    free(v);
    return n;
}

static int open_tty(uint32_t domid)
{
    char path[64];

    snprintf(path, sizeof(path), "/local/domain/%u/console/tty", domid);
    int rc = store_wait(path, WAIT_MS, has_tty, NULL);

    if (rc <= 0)
        return fault(rc == -ETIMEDOUT || !rc ? -ENOENT : rc, "domain %u: no daemon serves its console; start xenconsoled", domid);
    char *tty = store_read("%s", path);
    int fd = tty && !strncmp(tty, "/dev/", 5) ? open(tty, O_RDWR | O_NOCTTY | O_CLOEXEC) : -1;

    if (fd < 0)
        fault(-errno, "domain %u: console %s: %s", domid, tty ? tty : "", strerror(errno));
    free(tty);
    return fd < 0 ? -EIO : fd;
}

int xm_console_begin(uint32_t domid)
{
    char request[40];

    snprintf(request, sizeof(request), "attach %u\n", domid);
    console = ask_daemon(request);
    if (console == -ENOENT)
        console = open_tty(domid);
    return console < 0 ? console : 0;
}

static void raw_mode(int fd, struct termios *old)
{
    struct termios raw;

    tcgetattr(fd, old);
    raw = *old;
    cfmakeraw(&raw);
    tcsetattr(fd, TCSANOW, &raw);
}

static int pass_all(int to, const char *buf, ssize_t n)
{
    for (ssize_t done = 0; done < n;) {
        ssize_t now = write(to, buf + done, (size_t)(n - done));

        if (now < 0 && errno != EINTR && errno != EAGAIN)
            return -1;
        done += now > 0 ? now : 0;
    }
    return 0;
}

/* Until the guest's side ends, or ours does, or the leaving key. */
static void pass_both_ways(void)
{
    struct pollfd p[2] = { { .fd = console, .events = POLLIN }, { .fd = STDIN_FILENO, .events = POLLIN } };
    char buf[4096];

    for (;;) {
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            return;
        if (p[0].revents) {
            ssize_t n = read(console, buf, sizeof(buf));

            if (n <= 0 || pass_all(STDOUT_FILENO, buf, n))
                return;
        }
        if (p[1].revents) {
            ssize_t n = read(STDIN_FILENO, buf, sizeof(buf));
            const char *leave = n > 0 ? memchr(buf, LEAVE, (size_t)n) : NULL;

            if (n <= 0)
                p[1].fd = -1; /* no more input; what the guest says still counts */
            else if (pass_all(console, buf, leave ? leave - buf : n) || leave)
                return;
        }
    }
}

int xm_console_run(void)
{
    struct termios old;
    bool tty = isatty(STDIN_FILENO);

    if (tty)
        raw_mode(STDIN_FILENO, &old);
    pass_both_ways();
    if (tty)
        tcsetattr(STDIN_FILENO, TCSANOW, &old);
    close(console);
    return 0;
}

/* What a guest printed before it ended; the name may be that of one that is gone. */
static int print_last(const char *name)
{
    char request[160], buf[4096];
    ssize_t n;

    snprintf(request, sizeof(request), "last %s\n", name);
    int fd = ask_daemon(request);

    if (fd < 0)
        return fd == -ENOENT ? fault(fd, "console: our daemon does not run, which keeps what guests printed; start xenconsoled") : fd;
    while ((n = read(fd, buf, sizeof(buf))) > 0)
        if (pass_all(STDOUT_FILENO, buf, n))
            break;
    close(fd);
    return 0;
}

int cmd_console(struct args *a)
{
    uint32_t domid;

    if (args_has(a, "last"))
        return print_last(a->operands[0]);
    if (args_has(a, "t") && strcmp(args_value(a, "t"), "pv"))
        return fault(-EOPNOTSUPP, "console: guests have a paravirtual console only; leave -t out");
    if (args_has(a, "n") && strcmp(args_value(a, "n"), "0"))
        return fault(-EOPNOTSUPP, "console: guests have one console, number 0");
    int rc = xm_guest(a->operands[0], &domid, NULL, "reached by this; its console is this host's");

    rc = rc ? rc : xm_console_begin(domid);
    return rc ? rc : xm_console_run();
}
