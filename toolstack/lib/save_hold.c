/* SPDX-License-Identifier: MIT */
/* Which process suspends or moves a domain: a lock on a file for each domain number. See save.h. */
#include "fault.h"
#include "save.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

const char *domain_hold_folder = "/run/zendo";

static int held_fd = -1;
static uint32_t held;

bool domain_is_held(uint32_t domid)
{
    return held_fd >= 0 && held == domid;
}

void domain_release(void)
{
    if (held_fd >= 0)
        close(held_fd);
    held_fd = -1;
}

static int busy(int fd, uint32_t domid)
{
    char pid[20] = "";
    ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);

    pid[n > 0 ? n : 0] = 0;
    close(fd);
    return fault(-EBUSY, "domain %u: process %d is saving or moving it, or takes a snapshot; wait until it has ended", domid, atoi(pid));
}

int domain_hold(uint32_t domid)
{
    char path[300];

    if (domain_is_held(domid))
        return 0;
    domain_release();
    mkdir(domain_hold_folder, 0755);
    snprintf(path, sizeof(path), "%.250s/hold.%u", domain_hold_folder, domid);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        return fault(-errno, "%s: %s; be root", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB))
        return busy(fd, domid);
    if (ftruncate(fd, 0) || dprintf(fd, "%d", getpid()) < 0)
        warn("%s: %s", path, strerror(errno)); /* it is for the message only */
    held_fd = fd;
    held = domid;
    return 0;
}
