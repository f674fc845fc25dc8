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

/* Opens a regular file that is not empty; -1 with errno. */
static int open_file(const char *path, struct stat *st)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), e = 0;

    if (fd < 0)
        return -1;
    if (fstat(fd, st))
        e = errno;
    else if (!S_ISREG(st->st_mode))
        e = S_ISDIR(st->st_mode) ? EISDIR : EINVAL;
    else if (!st->st_size)
        e = ENODATA;
    else if ((uint64_t)st->st_size > IMAGE_MAX_BYTES)
        e = EFBIG;
    if (!e)
        return fd;
    close(fd);
    errno = e;
    return -1;
}

/* An image of the cache, mapped: nobody cuts these short. NULL if there is none. */
static void *map_cached(const char *path, size_t *bytes)
{
    struct stat st;
    int fd = open_file(path, &st);
    void *p = fd < 0 ? MAP_FAILED : mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);

    if (fd >= 0)
        close(fd);
    *bytes = p == MAP_FAILED ? 0 : (size_t)st.st_size;
    return p == MAP_FAILED ? NULL : p;
}

/* A copy of a file that others may change meanwhile; NULL with errno. */
static void *read_file(int fd, size_t bytes)
{
    uint8_t *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    size_t done = 0;

    while (p != MAP_FAILED && done < bytes) {
        ssize_t n = read(fd, p + done, bytes - done);

        if (n <= 0) {
            int e = n ? errno : ESTALE;

            munmap(p, bytes);
            errno = e;
            return NULL;
        }
        done += (size_t)n;
    }
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
static void cache_store(const char *folder, const char *name, const struct image *im)
{
    char temporary[4096];

    if (!cache_affords(image_compact_bytes(im)) || (mkdir(folder, 0700) && errno != EEXIST))
        return;
    cache_trim(folder);
    snprintf(temporary, sizeof(temporary), "%s/.new-%d", folder, (int)getpid());
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
    if (fd < 0)
        return;
    bool done = image_write_compact(im, fd);

    close(fd);
    if (!done || rename(temporary, name))
        unlink(temporary);
}

static int open_failed(const char *path)
{
    int e = errno;

    return fault(-e, "kernel %s: cannot be read: %s; mend 'kernel ='", path,
                 e == ENODATA ? "the file is empty" : e == ESTALE ? "it became shorter meanwhile" : strerror(e));
}

/* Unpacks and parses what is in im->mapped; keeps what was unpacked. */
static int unpack_file(struct image *im, const char *path, void *file, size_t bytes, const char *folder, const char *cached)
{
    const uint8_t *payload;
    uint8_t *unpacked;
    size_t payload_bytes;
    int rc = image_unpack(path, file, bytes, IMAGE_MAX_BYTES, &unpacked, &payload, &payload_bytes);

    if (!rc)
        rc = image_parse(im, path, payload, payload_bytes);
    else
        memset(im, 0, sizeof(*im));
    if (!rc && unpacked && folder)
        cache_store(folder, cached, im);
    im->heap = unpacked;
    im->mapped = file;
    im->mapped_bytes = bytes;
    return rc;
}

/* From what was unpacked of it before, or the file. */
static int load_file(struct image *im, const char *path, const char *folder)
{
    char cached[4096];
    struct stat st;
    size_t bytes;
    int fd = open_file(path, &st), rc;

    memset(im, 0, sizeof(*im));
    if (fd < 0)
        return open_failed(path);
    cache_name(cached, sizeof(cached), folder ? folder : "", &st);
    void *old = folder ? map_cached(cached, &bytes) : NULL;
    void *file = old ? NULL : read_file(fd, (size_t)st.st_size);

    close(fd);
    if (old) {
        rc = image_parse(im, path, old, bytes);
        im->mapped = old;
        im->mapped_bytes = bytes;
        return rc;
    }
    return file ? unpack_file(im, path, file, (size_t)st.st_size, folder, cached) : open_failed(path);
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
