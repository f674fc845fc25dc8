/* SPDX-License-Identifier: MIT */
/* Which process suspends or moves a domain: a lock for each domain number. See save.h. */
#include "fault.h"
#include "save.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
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
    int32_t pid = 0;

    if (pread(fd, &pid, sizeof(pid), (off_t)domid * (off_t)sizeof(pid)) != (ssize_t)sizeof(pid))
        pid = 0;
    close(fd);
    return fault(-EBUSY, "domain %u: process %d is saving or moving it, or takes a snapshot; wait until it has ended", domid, pid);
}

/* A byte of the one file for each domain; the lock is the open file's, so that children have it too. */
int domain_hold(uint32_t domid)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = domid, .l_len = 1 };
    int32_t pid = getpid();
    char path[300];

    if (domain_is_held(domid))
        return 0;
    domain_release();
    mkdir(domain_hold_folder, 0755);
    snprintf(path, sizeof(path), "%.250s/hold", domain_hold_folder);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        return fault(-errno, "%s: %s; be root", path, strerror(errno));
    if (fcntl(fd, F_OFD_SETLK, &lock))
        return busy(fd, domid);
    if (pwrite(fd, &pid, sizeof(pid), (off_t)domid * (off_t)sizeof(pid)) != (ssize_t)sizeof(pid))
        warn("%s: %s", path, strerror(errno)); /* it is for the message only */
    held_fd = fd;
    held = domid;
    return 0;
}
