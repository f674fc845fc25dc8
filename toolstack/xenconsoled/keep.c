/* SPDX-License-Identifier: MIT */
/* See keep.h. Names come from guests' names; all opening is relative to the directory and follows no link. */
#include "keep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault.h"

bool keep_name_good(const char *name)
{
    return *name && *name != '.' && strlen(name) < 200 && !strchr(name, '/');
}

static int dir_make(const char *dir)
{
    char path[512];

    if (strlen(dir) >= sizeof(path))
        return -ENAMETOOLONG;
    strcpy(path, dir);
    for (char *p = path + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = 0;
        mkdir(path, 0755);
        *p = '/';
    }
    return mkdir(path, 0700) && errno != EEXIST ? -errno : 0;
}

static int file_open(struct keep *k)
{
    struct stat st;

    k->fd = openat(k->dir, k->name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0600);
    if (k->fd < 0)
        return -errno;
    if (fstat(k->fd, &st) || !S_ISREG(st.st_mode)) {
        close(k->fd);
        k->fd = -1;
        return -EINVAL;
    }
    k->size = (size_t)st.st_size;
    return 0;
}

static void file_turn(struct keep *k)
{
    if (k->fd >= 0)
        close(k->fd);
    k->fd = -1;
    if (renameat(k->dir, k->name, k->dir, k->old) && errno != ENOENT)
        unlinkat(k->dir, k->name, 0);
    file_open(k);
}

int keep_open(struct keep *k, const char *dir, const char *name, const char *old, size_t limit)
{
    char sub[512];
    const char *slash = strrchr(old, '/');
    int rc = dir_make(dir);

    *k = (struct keep){ .fd = -1, .dir = -1, .limit = limit };
    if (!rc && slash && snprintf(sub, sizeof(sub), "%s/%.*s", dir, (int)(slash - old), old) < (int)sizeof(sub))
        rc = dir_make(sub);
    k->dir = rc ? -1 : open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    k->name = strdup(name);
    k->old = strdup(old);
    if (!rc && (k->dir < 0 || !k->name || !k->old))
        rc = -errno;
    rc = rc ? rc : file_open(k);
    if (rc) {
        keep_close(k);
        return fault(rc, "%s/%s: cannot be written: %s; what the guest prints is not kept", dir, name, strerror(-rc));
    }
    return 0;
}

void keep_restart(const char *dir, const char *name, const char *old)
{
    char from[600], to[600];

    if (snprintf(from, sizeof(from), "%s/%s", dir, old) >= (int)sizeof(from) ||
        snprintf(to, sizeof(to), "%s/.previous", dir) >= (int)sizeof(to))
        return;
    unlink(from);
    dir_make(to);
    if (snprintf(from, sizeof(from), "%s/%s", dir, name) < (int)sizeof(from) &&
        snprintf(to, sizeof(to), "%s/.previous/%s", dir, name) < (int)sizeof(to))
        rename(from, to);
}

void keep_write(struct keep *k, const char *data, size_t n)
{
    if (k->dir < 0)
        return;
    while (n) {
        if (k->fd < 0 || k->size >= k->limit)
            file_turn(k);
        size_t part = n < k->limit - k->size ? n : k->limit - k->size;
        ssize_t done = k->fd < 0 ? -1 : write(k->fd, data, part);
        if (done <= 0) {
            if (!k->failed)
                warn("%s: cannot be written: %s; what the guest prints now is not kept", k->name, strerror(errno));
            k->failed = true;
            return;
        }
        k->failed = false;
        k->size += (size_t)done;
        data += done;
        n -= (size_t)done;
    }
}

void keep_close(struct keep *k)
{
    if (k->fd >= 0)
        close(k->fd);
    if (k->dir >= 0)
        close(k->dir);
    free(k->name);
    free(k->old);
    *k = (struct keep){ .fd = -1, .dir = -1 };
}

/* Appends a file's last bytes, at most `most`. */
static void file_read(int dir, const char *name, size_t most, char *to, size_t *n)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    ssize_t got;

    if (fd < 0)
        return;
    if (!fstat(fd, &st) && S_ISREG(st.st_mode)) {
        if ((size_t)st.st_size > most)
            lseek(fd, st.st_size - (off_t)most, SEEK_SET);
        for (size_t room = most; room && (got = read(fd, to + *n, room)) > 0; room -= (size_t)got)
            *n += (size_t)got;
    }
    close(fd);
}

char *keep_read(const char *dir, const char *name, const char *old, size_t most, size_t *n)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char *s = malloc(2 * most + 1);

    *n = 0;
    if (fd >= 0 && s) {
        if (old)
            file_read(fd, old, most, s, n);
        file_read(fd, name, most, s, n);
    }
    if (fd >= 0)
        close(fd);
    if (*n > most) {
        memmove(s, s + *n - most, most);
        *n = most;
    }
    if (!*n) {
        free(s);
        return NULL;
    }
    return s;
}

struct old_file { struct timespec when; char name[256]; };

static int older_first(const void *a, const void *b)
{
    const struct timespec *x = &((const struct old_file *)a)->when, *y = &((const struct old_file *)b)->when;

    return x->tv_sec != y->tv_sec ? (x->tv_sec < y->tv_sec ? -1 : 1) : (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

static void prune_one(int dir, const char *name)
{
    static const char *const places[] = { "", ".old/", ".previous/" };
    char path[300];

    for (int i = 0; i < 3; i++)
        if (snprintf(path, sizeof(path), "%s%s", places[i], name) < (int)sizeof(path))
            unlinkat(dir, path, 0);
}

void keep_prune(const char *dir, unsigned most, bool (*in_use)(const char *name))
{
    DIR *d = opendir(dir);
    struct old_file *all = NULL;
    unsigned n = 0, room = 0;
    struct stat st;

    for (struct dirent *e; d && (e = readdir(d));) {
        if (*e->d_name == '.' || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode) ||
            in_use(e->d_name))
            continue;
        if (n == room) {
            struct old_file *more = realloc(all, (room = 2 * room + 64) * sizeof(*all));

            if (!more)
                break;
            all = more;
        }
        all[n].when = st.st_mtim;
        snprintf(all[n++].name, sizeof(all[0].name), "%s", e->d_name);
    }
    if (n > most)
        qsort(all, n, sizeof(*all), older_first);
    for (unsigned i = 0; d && n > most && i < n - most; i++)
        prune_one(dirfd(d), all[i].name);
    free(all);
    if (d)
        closedir(d);
}
