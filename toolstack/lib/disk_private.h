/* SPDX-License-Identifier: MIT */
/* Shared by the disk_*.c files alone. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "disk.h"

/* What a disk is served from. */
struct disk_source {
    enum disk_backend how;
    char path[512];              /* resolved; the URL for NBD */
    struct stat st;              /* of the file or device; zero for NBD */
    uint64_t bytes;
};

/* Finds and looks at the target: kind, rights, format, size. Opens it for a moment. */
int disk_look(const struct disk_config *d, struct disk_source *src);
/* Who else uses it, domain 0 included; -EBUSY with a fault that names them. */
int disk_check_users(const struct disk_config *d, const struct disk_source *src);
/* The vdev is free in that domain. */
int disk_check_free(uint32_t domid, const char *vdev, unsigned id);

/* --- loop devices: by ioctl --- */

/*
 * A loop device over a file; it goes by itself after the last user has closed it (autoclear), therefore the caller keeps *fd open
 * until the backend has opened it too. `node` is of 32 bytes.
 */
int loop_attach(const char *file, bool readonly, char *node, int *fd);
/* Which loop device is on the file, number or -1. */
int loop_find(const struct stat *st);

/* --- qemu-nbd --- */

/* Is the tool there that serves this? */
int nbd_check(void);
/* Starts qemu-nbd for a file or URL on a free /dev/nbdN; waits until it has a size. `node` is of 32 bytes. */
int nbd_attach(const struct disk_config *d, const struct disk_source *src, char *node);
void nbd_detach(const char *node);
