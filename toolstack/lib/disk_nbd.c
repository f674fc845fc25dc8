/* SPDX-License-Identifier: MIT */
/*
 * qcow2 images and network block devices: stock qemu-nbd serves the image to the kernel's nbd driver, and /dev/nbdN is then a
 * block device like any other. qemu-nbd lives until the device is disconnected.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/nbd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disk_private.h"
#include "fault.h"
#include "store.h"

#define NBD_DEVICES 256
#define NBD_START_MS 10000

static const char *nbd_find_tool(void)
{
    static const char *const places[] = { "/usr/bin/qemu-nbd", "/usr/sbin/qemu-nbd", "/usr/local/bin/qemu-nbd", "/bin/qemu-nbd" };

    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (!access(places[i], X_OK))
            return places[i];
    }
    return NULL;
}

int nbd_check(void)
{
    if (!nbd_find_tool())
        return fault(-ENOENT, "disk: qcow2 and NBD disks need qemu-nbd in domain 0: apt-get install qemu-utils; or make the image raw: "
                     "qemu-img convert -O raw");
    return 0;
}

/* Exit status of a program, -errno if it could not be started. */
static int nbd_run(const char *const argv[])
{
    int status;
    pid_t pid = fork();

    if (pid < 0)
        return -errno;
    if (!pid) {
        execvp(argv[0], (char *const *)argv);
        _exit(127);
    }
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static uint64_t nbd_size(unsigned number)
{
    char path[64];
    unsigned long long sectors = 0;

    snprintf(path, sizeof(path), "/sys/block/nbd%u/size", number);
    FILE *f = fopen(path, "re");
    if (!f)
        return UINT64_MAX;
    if (fscanf(f, "%llu", &sectors) != 1)
        sectors = 0;
    fclose(f);
    return sectors;
}

static bool nbd_connected(unsigned number)
{
    char path[64];

    snprintf(path, sizeof(path), "/sys/block/nbd%u/pid", number);
    return access(path, F_OK) == 0;
}

static int nbd_find_free(void)
{
    if (access("/sys/block/nbd0", F_OK)) {
        const char *const argv[] = { "modprobe", "-q", "nbd", "nbds_max=64", NULL };
        nbd_run(argv);
    }
    for (unsigned i = 0; i < NBD_DEVICES; i++) {
        uint64_t size = nbd_size(i);
        if (size == UINT64_MAX)
            return i ? fault(-EBUSY, "disk: all %u network block devices are in use; modprobe -r nbd, then modprobe nbd nbds_max=%u", i, 2 * i)
                     : fault(-ENODEV, "disk: domain 0's kernel has no network block devices: modprobe nbd");
        if (!size && !nbd_connected(i))
            return (int)i;
    }
    return fault(-EBUSY, "disk: all network block devices are in use");
}

static const char *nbd_format(enum disk_format format)
{
    switch (format) {
    case DISK_QCOW2: return "--format=qcow2";
    case DISK_QCOW: return "--format=qcow";
    case DISK_VHD: return "--format=vpc";
    default: return "--format=raw";
    }
}

int nbd_attach(const struct disk_config *d, const struct disk_source *src, char *node)
{
    const char *tool = nbd_find_tool();
    char connect[64], socket[64];
    int rc = nbd_check();
    int number = rc ? rc : nbd_find_free();

    if (number < 0)
        return number;
    snprintf(node, 32, "/dev/nbd%d", number);
    snprintf(connect, sizeof(connect), "--connect=%s", node);
    snprintf(socket, sizeof(socket), "--socket=/run/zendo/nbd%d.sock", number);
    const char *const argv[] = { tool, connect, socket, nbd_format(d->format), "--discard=unmap", src->path, d->readonly ? "--read-only" : NULL,
                                 NULL };
    rc = nbd_run(argv);
    if (rc)
        return fault(-EIO, "disk %s: qemu-nbd refused it (its message is above; status %d)", src->path, rc);
    uint64_t until = store_clock_ms() + NBD_START_MS;
    while (!nbd_connected((unsigned)number) || !nbd_size((unsigned)number)) {
        if (store_clock_ms() >= until) {
            nbd_detach(node);
            return fault(-ETIMEDOUT, "disk %s: qemu-nbd runs but %s has no size after %d s", src->path, node, NBD_START_MS / 1000);
        }
        usleep(10000);
    }
    return 0;
}

void nbd_detach(const char *node)
{
    int fd = open(node, O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return;
    fsync(fd);
    ioctl(fd, NBD_DISCONNECT);
    ioctl(fd, NBD_CLEAR_SOCK);
    close(fd);
}
