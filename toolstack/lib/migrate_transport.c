/* SPDX-License-Identifier: MIT */
/*
 * Ways to the other host: all of them are a line for the shell whose standard input and output lead to `xm migrate-receive` there.
 * ssh by default; what -s says, as xl has it ("exec COMMAND HOST xl migrate-receive": a '#' at its end hides the rest); the relocation
 * daemon through its own client, which does the TLS.
 */
#include "migrate_guest.h"
#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT_DEFAULT 8002U

/* A word of the shell in single quotes (brackets would be a pattern of file names), and no option of ssh. */
static int check_host(const char *host)
{
    if (!*host || strlen(host) > 250 || *host == '-' || host[strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:@%[]")])
        return fault(-EINVAL, "host '%.60s': is no name or address of a host", host);
    return 0;
}

static int fits(int n, size_t size)
{
    return n < 0 || (size_t)n >= size ? fault(-ENAMETOOLONG, "the command that reaches the other host is longer than %zu characters", size) : 0;
}

int migrate_command_line(char *out, size_t size, const char *host, const char *with)
{
    int rc = with && !*with ? 0 : check_host(host);

    if (rc)
        return rc;
    if (with && !*with)
        return fits(snprintf(out, size, "exec %s", host), size);
    return fits(snprintf(out, size, "exec %s '%s' xm migrate-receive", with ? with : "ssh", host), size);
}

int migrate_command_tls(char *out, size_t size, const char *host, unsigned port)
{
    int rc = check_host(host);

    return rc ? rc : fits(snprintf(out, size, "exec relocd --connect '%s' --port %u", host, port ? port : PORT_DEFAULT), size);
}

static void child(const char *line, int fd)
{
    /* Ctrl-C is for xm, which then ends the move in good order and closes the connection. The group of processes stays the
     * terminal's: ssh may have to ask there for a password, and then it takes its own handlers. */
    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_DFL);
    dup2(fd, 0);
    dup2(fd, 1);
    execl("/bin/sh", "sh", "-c", line, (char *)NULL);
    _exit(127);
}

int migrate_connect_command(const char *line, const char *host, struct wire *w)
{
    int fd[2], bytes = 1 << 18;
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd))
        return fault(-errno, "host %s: no socket: %s", host, strerror(errno));
    for (int i = 0; i < 2; i++)
        setsockopt(fd[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    pid = fork();
    if (!pid)
        child(line, fd[1]);
    close(fd[1]);
    if (pid < 0) {
        close(fd[0]);
        return fault(-errno, "host %s: no process: %s", host, strerror(errno));
    }
    int rc = wire_begin(w, fd[0], fcntl(fd[0], F_DUPFD_CLOEXEC, 3), host);

    w->child = pid;
    return rc;
}
