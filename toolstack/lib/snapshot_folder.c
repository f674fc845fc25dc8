/* SPDX-License-Identifier: MIT */
/* The folders of snapshots: one command at a time for a guest, and what a killed one has left behind is taken away. */
#include "domains.h"
#include "fault.h"
#include "snapshot_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Only the files that are put there: anything else makes rmdir() refuse. */
int snap_remove_folder(const char *folder)
{
    static const char *const files[] = { "memory", "meta.new", "meta.json" };
    char path[1024];

    for (unsigned i = 0; i < sizeof(files) / sizeof(*files); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
        if (unlink(path) && errno != ENOENT)
            return fault(-errno, "%s: cannot be removed: %s", path, strerror(errno));
    }
    return rmdir(folder) && errno != ENOENT ? fault(-errno, "%s: cannot be removed: %s", folder, strerror(errno)) : 0;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), e = strlen(end);

    return n > e && !strcmp(s + n - e, end);
}

/* One that was being made or deleted: its disks' copies, then itself. What cannot be taken away stays for the next time. */
static void clean_one(const char *folder)
{
    char meta[1100];
    struct snap_meta m = { 0 };
    int rc = 0;

    snprintf(meta, sizeof(meta), "%s/meta.json", folder);
    if (!access(meta, F_OK))
        rc = snap_meta_read(&m, folder);
    rc = rc ? rc : snap_disks_remove(&m.disks);
    rc = rc ? rc : snap_remove_folder(folder);
    snap_meta_dispose(&m);
    if (rc)
        warn("%s, left by a command that was ended, cannot be taken away: %s", folder, fault_text());
    else
        warn("%s, left by a command that was ended, has been taken away", folder);
    fault_clear();
}

static void clean(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *e;
    char path[1024];

    while (dir && (e = readdir(dir))) {
        if (*e->d_name != '.' || (!ends_with(e->d_name, ".new") && !ends_with(e->d_name, ".gone")))
            continue;
        if (snprintf(path, sizeof(path), "%s/%s", folder, e->d_name) < (int)sizeof(path))
            clean_one(path);
    }
    if (dir)
        closedir(dir);
}

static void make_folders(const char *folder)
{
    char root[512];

    mkdir(domain_state_folder, 0755);
    snprintf(root, sizeof(root), "%s/snapshots", domain_state_folder);
    mkdir(root, 0700);
    mkdir(folder, 0700);
}

int snap_lock(const char *guest, bool make)
{
    char folder[512], lock[600];
    int rc = domain_check_name(guest);

    if (!rc && *guest == '.')
        rc = fault(-EINVAL, "guest '%s': a name with a dot at its start can have no snapshots; xm rename", guest);
    rc = rc ? rc : snap_path(folder, sizeof(folder), guest, NULL, NULL, NULL);
    if (rc)
        return rc;
    if (make)
        make_folders(folder);
    else if (access(folder, F_OK))
        return fault(-ENOENT, "guest '%s' has no snapshots (see `xm snapshot list`)", guest);
    snprintf(lock, sizeof(lock), "%s/.lock", folder);
    int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        return fault(-errno, "%s: cannot be made: %s", lock, strerror(errno));
    struct stat st;

    /* ... or the one who had it has just taken the folder away. */
    if (flock(fd, LOCK_EX | LOCK_NB) || fstat(fd, &st) || !st.st_nlink) {
        close(fd);
        return fault(-EBUSY, "guest '%s': another xm snapshot command works on its snapshots; wait until it has ended", guest);
    }
    clean(folder);
    return fd;
}

/* Who waits for a lock that is no longer the folder's own gets -EBUSY or makes the folder anew: nobody waits (LOCK_NB). */
void snap_unlock(int fd, const char *guest)
{
    char folder[512], lock[600];
    struct dirent *e;
    bool empty = true;

    if (!snap_path(folder, sizeof(folder), guest, NULL, NULL, NULL)) {
        DIR *dir = opendir(folder);

        while (dir && (e = readdir(dir)))
            empty &= !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") || !strcmp(e->d_name, ".lock");
        if (dir)
            closedir(dir);
        snprintf(lock, sizeof(lock), "%s/.lock", folder);
        if (dir && empty && !unlink(lock))
            rmdir(folder);
    }
    close(fd);
}
