/* SPDX-License-Identifier: MIT */
/* Runs a program, reads what it says, and waits for it with a bound. */
#include "program.h"
#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* The caller may hold signals back (while a guest stands still): its programs have them as they should be. */
static void child(const char *const argv[], int out)
{
    sigset_t none;
    int null = open("/dev/null", O_RDWR);

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0); /* an interrupt at the terminal is for us alone */
    dup2(null, 0);
    dup2(out, 1);
    dup2(out, 2);
    if (null > 2) /* programs complain about what they have not asked for */
        close(null);
    setenv("LC_ALL", "C", 1);
    execvp(argv[0], (char *const *)argv);
    _exit(127);
}

/* Reads until the other end is closed. A background process that keeps it open is not waited for longer than its parent. */
static int listen_to(int fd, pid_t pid, long long until, char *out, size_t size, int *status)
{
    size_t got = 0;
    char buf[4096];

    for (;;) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        int ready = poll(&p, 1, 100);
        ssize_t n = ready > 0 ? read(fd, buf, sizeof(buf)) : -1;

        for (ssize_t i = 0; i < n; i++)
            if (out && got + 1 < size)
                out[got++] = buf[i];
        if (out && size)
            out[got] = 0;
        if (n == 0)
            return waitpid(pid, status, 0) == pid ? 0 : -errno;
        if (ready == 0 && waitpid(pid, status, WNOHANG) == pid)
            return 0;
        if (now_ms() > until) {
            kill(-pid, SIGKILL);
            waitpid(pid, status, 0);
            return -ETIMEDOUT;
        }
    }
}

static void trim(char *out, size_t size)
{
    size_t n = out && size ? strlen(out) : 0;

    while (n && (out[n - 1] == '\n' || out[n - 1] == ' '))
        out[--n] = 0;
}

int program_run(const char *const argv[], char *out, size_t size)
{
    int fd[2], status = 0;

    if (out && size)
        *out = 0;
    if (pipe2(fd, O_CLOEXEC))
        return -errno;
    pid_t pid = fork();

    if (!pid)
        child(argv, fd[1]);
    close(fd[1]);
    int rc = pid < 0 ? -EAGAIN : listen_to(fd[0], pid, now_ms() + PROGRAM_SECONDS * 1000LL, out, size, &status);

    close(fd[0]);
    trim(out, size);
    if (rc)
        return rc;
    if (WIFEXITED(status))
        return WEXITSTATUS(status) == 127 ? -ENOENT : WEXITSTATUS(status);
    return 128 + WTERMSIG(status);
}

int program_need(const char *what, const char *package, const char *const argv[], char *out, size_t size)
{
    char own[512], *text = out ? out : own;
    int rc = program_run(argv, text, out ? size : sizeof(own));

    if (!rc)
        return 0;
    if (rc == -ENOENT)
        return fault(rc, "%s: %s is not there; apt-get install %s", what, argv[0], package);
    if (rc < 0)
        return fault(rc, "%s: %s: %s", what, argv[0], rc == -ETIMEDOUT ? "did not end within two minutes" : strerror(-rc));
    for (char *p = text; *p; p++)
        if (*p == '\n')
            *p = ';';
    return fault(-EIO, "%s: %s %s fails: %s", what, argv[0], argv[1] ? argv[1] : "", *text ? text : "without a word");
}
