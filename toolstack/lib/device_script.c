/* SPDX-License-Identifier: MIT */
/*
 * Users' own scripts, where a configuration names one, and the lock over check and attach. The contract is the one that
 * block and vif scripts are written for: the action as first word, the device in XENBUS_PATH (relative to domain 0's home in the
 * store), answers as `physical-device` and `hotplug-status` in the store, or `hotplug-error`.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device.h"
#include "fault.h"
#include "store.h"

#define SCRIPT_DIR "/etc/xen/scripts"
#define SCRIPT_SECONDS 60

static int lock_fd = -1, lock_depth;

int device_lock(void)
{
    if (lock_depth++)
        return 0;
    mkdir("/run/zendo", 0755);
    lock_fd = open("/run/zendo/devices.lock", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (lock_fd < 0 || flock(lock_fd, LOCK_EX)) {
        int err = errno;
        device_unlock();
        return fault(-err, "/run/zendo/devices.lock: %s; be root", strerror(err));
    }
    return 0;
}

void device_unlock(void)
{
    if (--lock_depth)
        return;
    if (lock_fd >= 0)
        close(lock_fd);
    lock_fd = -1;
}

int device_check_script(const char *script, char *out)
{
    int n = *script == '/' ? snprintf(out, 256, "%s", script) : snprintf(out, 256, SCRIPT_DIR "/%s", script);

    if (n >= 256)
        return fault(-ENAMETOOLONG, "script '%.60s...': name too long", script);
    if (access(out, X_OK))
        return fault(-errno, "script %s: %s; put it there and make it executable, or take 'script=' out", out, strerror(errno));
    return 0;
}

static void script_child(const struct device *dev, const char *script, const char *action, const char *more, const char *vif)
{
    char path[64], *const argv[] = { (char *)script, (char *)action, (char *)more, NULL };

    snprintf(path, sizeof(path), "backend/%s/%u/%u", dev->kind, dev->domid, dev->id);
    setenv("XENBUS_PATH", path, 1);
    setenv("XENBUS_TYPE", dev->kind, 1);
    setenv("XENBUS_BASE_PATH", "backend", 1);
    setenv("script", script, 1);
    if (vif) {
        setenv("vif", vif, 1);
        setenv("INTERFACE", vif, 1);
    }
    if (chdir("/"))
        _exit(126);
    setpgid(0, 0);
    execv(script, argv);
    _exit(127);
}

/* The exit status, or -ETIMEDOUT after the whole group was killed. */
static int script_wait(pid_t pid)
{
    uint64_t until = store_clock_ms() + SCRIPT_SECONDS * 1000;
    int status;

    for (;;) {
        pid_t got = waitpid(pid, &status, WNOHANG);
        if (got == pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        if (got < 0 && errno != EINTR)
            return -errno;
        if (store_clock_ms() >= until)
            break;
        usleep(5000);
    }
    kill(-pid, SIGKILL);
    waitpid(pid, &status, 0);
    return -ETIMEDOUT;
}

int device_run_script(const struct device *dev, const char *script, const char *action, const char *more, const char *vif)
{
    pid_t pid = fork();

    if (pid < 0)
        return fault(-errno, "script %s: cannot start", script);
    if (!pid)
        script_child(dev, script, action, more, vif);
    int status = script_wait(pid);
    if (status == -ETIMEDOUT)
        return fault(-ETIMEDOUT, "script %s %s: did not end within %d s and was killed", script, action, SCRIPT_SECONDS);
    char *why = store_read("%s/hotplug-error", dev->back), *said = store_read("%s/hotplug-status", dev->back);
    int rc = 0;
    if (status || (said && !strcmp(said, "error")))
        rc = fault(-EIO, "script %s %s: failed with status %d%s%s; run it by hand with XENBUS_PATH=backend/%s/%u/%u", script, action,
                   status, why ? ": " : "", why ? why : "", dev->kind, dev->domid, dev->id);
    free(why);
    free(said);
    return rc;
}
