/* SPDX-License-Identifier: MIT */
/*
 * Loop devices over raw files, by ioctl. One call sets a device up completely (LOOP_CONFIGURE, Linux 5.8), so that nobody sees
 * it half made; direct I/O leaves caching to the guest and flushes to the disk. Where the file system cannot do that the kernel
 * falls back to its cache by itself.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "disk_private.h"
#include "fault.h"

#define LOOP_TRIES 64

/* /dev/loopN, whose node udev may not have made yet. */
static int loop_open(int number, bool readonly, char *node)
{
    snprintf(node, 32, "/dev/loop%d", number);
    if (access(node, F_OK))
        mknod(node, S_IFBLK | 0600, makedev(7, (unsigned)number));
    return open(node, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
}

static int loop_configure(int loop, int file, const char *name, bool readonly)
{
    struct loop_config c = { .fd = (uint32_t)file };

    c.info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO | (readonly ? LO_FLAGS_READ_ONLY : 0u);
    snprintf((char *)c.info.lo_file_name, sizeof(c.info.lo_file_name), "%s", name);
    return ioctl(loop, LOOP_CONFIGURE, &c) ? -errno : 0;
}

int loop_attach(const char *name, bool readonly, char *node, int *fd)
{
    int rc = -EBUSY;
    int file = open(name, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    int control = file < 0 ? -1 : open("/dev/loop-control", O_RDWR | O_CLOEXEC);

    if (file < 0)
        return fault(-errno, "disk %s: cannot be opened: %s", name, strerror(errno));
    if (control < 0) {
        rc = fault(-errno, "disk %s: there are no loop devices (/dev/loop-control: %s); modprobe loop", name, strerror(errno));
        close(file);
        return rc;
    }
    /* Another program may take the free one between the two calls: then the next. */
    for (int i = 0; i < LOOP_TRIES && rc == -EBUSY; i++) {
        int number = ioctl(control, LOOP_CTL_GET_FREE);
        *fd = number < 0 ? -1 : loop_open(number, readonly, node);
        rc = *fd < 0 ? -errno : loop_configure(*fd, file, name, readonly);
        if (rc && *fd >= 0)
            close(*fd);
    }
    close(control);
    close(file);
    return rc ? fault(rc, "disk %s: no loop device could be set up: %s", name, strerror(-rc)) : 0;
}

static bool loop_is_on(int number, const struct stat *st)
{
    struct loop_info64 info;
    char node[32];

    snprintf(node, sizeof(node), "/dev/loop%d", number);
    int fd = open(node, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool same = !ioctl(fd, LOOP_GET_STATUS64, &info) && info.lo_inode == st->st_ino && info.lo_device == st->st_dev;
    close(fd);
    return same;
}

int loop_find(const struct stat *st)
{
    DIR *dir = opendir("/sys/block");
    struct dirent *e;
    int number, found = -1;

    while (dir && found < 0 && (e = readdir(dir))) {
        char used[sizeof("/sys/block/") + 256 + sizeof("/loop")];
        if (sscanf(e->d_name, "loop%d", &number) != 1)
            continue;
        snprintf(used, sizeof(used), "/sys/block/%s/loop", e->d_name);
        if (!access(used, F_OK) && loop_is_on(number, st))
            found = number;
    }
    if (dir)
        closedir(dir);
    return found;
}
