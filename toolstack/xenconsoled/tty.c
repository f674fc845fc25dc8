/* SPDX-License-Identifier: MIT */
/* See tty.h. */
#include "tty.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <termios.h>
#include <unistd.h>

#include "fault.h"

/* Gives the terminal what waits. */
static void tty_flush(struct tty *t)
{
    while (t->n) {
        size_t part = t->n < TTY_BACKLOG - t->start ? t->n : TTY_BACKLOG - t->start;
        ssize_t done = write(t->source.fd, t->backlog + t->start, part);

        if (done <= 0)
            break;
        t->start = (t->start + (size_t)done) % TTY_BACKLOG;
        t->n -= (size_t)done;
    }
    loop_want(&t->source, (t->source.events & ~(uint32_t)EPOLLOUT) | (t->n ? (uint32_t)EPOLLOUT : 0));
}

static void tty_ready(struct source *s, uint32_t events)
{
    struct tty *t = (struct tty *)s;

    if (events & EPOLLOUT)
        tty_flush(t);
    if (events & EPOLLIN)
        t->input(t);
}

int tty_open(struct tty *t, void *guest, void (*input)(struct tty *t))
{
    struct termios raw;
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

    *t = (struct tty){ .source = { .fd = fd, .ready = tty_ready }, .slave = -1, .guest = guest, .input = input };
    if (fd < 0 || grantpt(fd) || unlockpt(fd) || ptsname_r(fd, t->path, sizeof(t->path)) ||
        (t->slave = open(t->path, O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0 || tcgetattr(t->slave, &raw) ||
        (cfmakeraw(&raw), tcsetattr(t->slave, TCSANOW, &raw)) || fcntl(fd, F_SETFL, O_NONBLOCK)) {
        int rc = fault(-errno, "pseudo terminal: %s", strerror(errno));

        if (fd >= 0)
            close(fd);
        t->source.fd = -1;
        tty_close(t);
        return rc;
    }
    return loop_add(&t->source, EPOLLIN);
}

static void tty_keep(struct tty *t, const char *data, size_t n)
{
    if (!t->backlog && !(t->backlog = malloc(TTY_BACKLOG)))
        return;
    for (size_t i = 0; i < n; i++) {
        t->backlog[(t->start + t->n) % TTY_BACKLOG] = data[i];
        if (t->n < TTY_BACKLOG)
            t->n++;
        else
            t->start = (t->start + 1) % TTY_BACKLOG;
    }
}

void tty_write(struct tty *t, const char *data, size_t n)
{
    if (t->source.fd < 0)
        return;
    if (!t->n) {
        ssize_t done = write(t->source.fd, data, n);

        data += done > 0 ? done : 0;
        n -= done > 0 ? (size_t)done : 0;
    }
    if (n) {
        tty_keep(t, data, n);
        loop_want(&t->source, t->source.events | EPOLLOUT);
    }
}

void tty_close(struct tty *t)
{
    if (t->source.fd >= 0)
        tty_flush(t);
    loop_drop(&t->source);
    if (t->slave >= 0)
        close(t->slave);
    t->slave = -1;
    free(t->backlog);
    t->backlog = NULL;
    t->n = 0;
    t->path[0] = 0;
}
