/* SPDX-License-Identifier: MIT */
/*
 * A kernel file in memory, unpacked once: the unpacked image stays in a folder of the memory file system, under a name
 * made of the file's device, inode, size and times, so that the next guest with this kernel need not wait for xz. Whoever
 * may write the folder may already write domain 0's memory. Old images go when a new one comes, two are kept.
 */
#include "build_image.h"
#include "fault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#define KEPT 2

/* The whole file, read-only; NULL with errno. */
static void *map_file(const char *path, size_t *bytes, struct stat *st)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *p = MAP_FAILED;

    if (fd < 0)
        return NULL;
    if (!fstat(fd, st)) {
        *bytes = (size_t)st->st_size;
        if (!S_ISREG(st->st_mode))
            errno = S_ISDIR(st->st_mode) ? EISDIR : EINVAL;
        else if (!st->st_size)
            errno = ENODATA;
        else
            p = mmap(NULL, *bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    }
    int saved = errno;

    close(fd);
    errno = saved;
    return p == MAP_FAILED ? NULL : p;
}

static void cache_name(char *out, size_t size, const char *folder, const struct stat *st)
{
    snprintf(out, size, "%s/%llx-%llx-%llx-%llx.%lx-%llx.%lx", folder, (unsigned long long)st->st_dev, (unsigned long long)st->st_ino,
             (unsigned long long)st->st_size, (unsigned long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
             (unsigned long long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
}

/* Makes room: all but the newest KEPT - 1 images go. */
static void cache_trim(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *e;
    char newest[256] = "";
    time_t newest_time = 0;

    for (int pass = 0; dir && pass < KEPT; pass++, rewinddir(dir))
        while ((e = readdir(dir))) {
            struct stat st;

            if (e->d_name[0] == '.' || fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW))
                continue;
            if (pass) {
                if (strcmp(e->d_name, newest))
                    unlinkat(dirfd(dir), e->d_name, 0);
            } else if (st.st_atim.tv_sec >= newest_time) {
                newest_time = st.st_atim.tv_sec;
                snprintf(newest, sizeof(newest), "%s", e->d_name);
            }
        }
    if (dir)
        closedir(dir);
}

/* An image may take a quarter of what memory is free. */
static bool cache_affords(size_t bytes)
{
    struct sysinfo si;

    return !sysinfo(&si) && bytes < ((uint64_t)si.freeram + si.bufferram) * si.mem_unit / 4;
}

/* Not being able to keep an image is no failure. The name appears when the file is complete. */
static void cache_store(const char *folder, const char *name, const uint8_t *data, size_t bytes)
{
    char temporary[4096];
    size_t done = 0;

    if (!cache_affords(bytes) || (mkdir(folder, 0700) && errno != EEXIST))
        return;
    cache_trim(folder);
    snprintf(temporary, sizeof(temporary), "%s/.new-%d", folder, (int)getpid());
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
    if (fd < 0)
        return;
    while (done < bytes) {
        ssize_t n = write(fd, data + done, bytes - done);

        if (n <= 0)
            break;
        done += (size_t)n;
    }
    close(fd);
    if (done < bytes || rename(temporary, name))
        unlink(temporary);
}

static int open_failed(const char *path)
{
    int e = errno;

    return fault(-e, "kernel %s: cannot be read: %s; mend 'kernel ='", path, e == ENODATA ? "the file is empty" : strerror(e));
}

/* From the file, or what was unpacked of it before. */
static int load_file(struct image *im, const char *path, const char *folder)
{
    char cached[4096];
    struct stat st, cached_st;
    size_t bytes, cached_bytes;
    const uint8_t *payload;
    uint8_t *unpacked;
    void *file = map_file(path, &bytes, &st), *old;

    if (!file)
        return open_failed(path);
    cache_name(cached, sizeof(cached), folder ? folder : "", &st);
    old = folder ? map_file(cached, &cached_bytes, &cached_st) : NULL;
    if (old) {
        munmap(file, bytes);
        int rc = image_parse(im, path, old, cached_bytes);

        im->mapped = old;
        im->mapped_bytes = cached_bytes;
        return rc;
    }
    int rc = image_unpack(path, file, bytes, IMAGE_MAX_BYTES, &unpacked, &payload, &bytes);

    if (!rc)
        rc = image_parse(im, path, payload, bytes);
    else
        memset(im, 0, sizeof(*im));
    if (!rc && unpacked && folder)
        cache_store(folder, cached, unpacked, bytes);
    im->heap = unpacked;
    im->mapped = file;
    im->mapped_bytes = (size_t)st.st_size;
    return rc;
}

int image_load(struct image *im, const char *path, const char *cache_folder)
{
    int rc = load_file(im, path, cache_folder);

    if (rc)
        image_dispose(im);
    return rc;
}

void image_dispose(struct image *im)
{
    free(im->heap);
    if (im->mapped)
        munmap(im->mapped, im->mapped_bytes);
    memset(im, 0, sizeof(*im));
}
