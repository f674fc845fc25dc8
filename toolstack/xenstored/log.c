/* SPDX-License-Identifier: MIT */
/* The log. Bytes from guests (paths in the trace) are made printable here. */
#include "log.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static int fd = 2;

int log_open(const char *path)
{
    int new_fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640) : 2;

    if (new_fd < 0)
        return -errno;
    if (fd != 2)
        close(fd);
    fd = new_fd;
    return 0;
}

int log_fd(void)
{
    return fd;
}

void log_line(const char *format, ...)
{
    char line[1024];
    struct timespec now;
    struct tm tm;
    size_t len, start;
    va_list ap;
    int n;

    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &tm);
    len = strftime(line, sizeof line, "%Y-%m-%d %H:%M:%S", &tm);
    len = start = len + (size_t)sprintf(line + len, ".%03ld xenstored: ", now.tv_nsec / 1000000);
    va_start(ap, format);
    n = vsnprintf(line + len, sizeof line - len - 1, format, ap);
    va_end(ap);
    len += n < 0 ? 0 : (size_t)n > sizeof line - len - 2 ? sizeof line - len - 2 : (size_t)n;
    for (; start < len; start++)
        if ((unsigned char)line[start] < ' ')
            line[start] = '.';
    line[len++] = '\n';
    if (write(fd, line, len) < 0)
        return;    /* nowhere to say it */
}
