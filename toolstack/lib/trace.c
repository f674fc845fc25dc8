/* SPDX-License-Identifier: MIT */
/* See trace.h. One write a line, so that lines of processes that share the file stay whole. */
#include "trace.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int open_file(void)
{
    const char *path = getenv("ZENDO_TRACE");

    return path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
}

void trace_note(const char *step)
{
    static int fd = -2;
    struct timespec t;
    char line[120];

    if (fd == -2)
        fd = open_file();
    if (fd < 0)
        return;
    clock_gettime(CLOCK_REALTIME, &t);
    int n = snprintf(line, sizeof(line), "%lld.%06ld %d %.60s\n", (long long)t.tv_sec, t.tv_nsec / 1000, (int)getpid(), step);

    if (write(fd, line, (size_t)n) != n) {
        close(fd);
        fd = -1;
    }
}
