/* SPDX-License-Identifier: MIT */
/*
 * Devices that go quickly. Domain 0's kernel waits for several RCU grace periods before it has let go of a disk or a network. Each is
 * some ticks of its clock long, unless /sys/kernel/rcu_expedited is other than 0. So it is set while somebody waits for devices to
 * go, and is afterwards what it was. Programs that do so at the same time share a lock: the last one sets it back, also for one
 * that was killed.
 */
#include "device.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

const char *device_hurry_switch = "/sys/kernel/rcu_expedited", *device_hurry_lock = "/run/zendo/hurry.lock";
static int held = -1;
static unsigned depth;

/* The first character of a file; 0 if there is none. */
static char look(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char c = 0;

    if (fd >= 0 && read(fd, &c, 1) != 1)
        c = 0;
    if (fd >= 0)
        close(fd);
    return c;
}

/* An empty value empties the file. */
static bool put(const char *path, const char *value)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | (*value ? 0 : O_TRUNC));
    bool good = fd >= 0 && (!*value || write(fd, value, 1) == 1);

    if (fd >= 0)
        close(fd);
    return good;
}

/* The mark in the lock's file says that it was one of us; a switch that was on before belongs to the host's owner. */
static void switch_on(void)
{
    if (look(device_hurry_switch) == '0' && put(device_hurry_lock, "1") && !put(device_hurry_switch, "1"))
        put(device_hurry_lock, "");
}

static void switch_off(void)
{
    if (look(device_hurry_lock) == '1' && put(device_hurry_switch, "0"))
        put(device_hurry_lock, "");
}

void device_hurry(void)
{
    if (depth++)
        return;
    mkdir("/run/zendo", 0755);
    held = open(device_hurry_lock, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (held >= 0 && !flock(held, LOCK_SH | LOCK_NB)) /* if not: somebody is switching it off just now */
        switch_on();
}

void device_hurry_end(void)
{
    if (--depth || held < 0)
        return;
    if (!flock(held, LOCK_EX | LOCK_NB)) /* if not: somebody else is still waiting */
        switch_off();
    close(held);
    held = -1;
}
