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

/* Where the target is and what kind of thing, without opening it: also for one that is in use. */
int disk_find(const struct disk_config *d, struct disk_source *src);
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

/* --- qemu-nbd (disk_nbd.c) --- */

/* Is the tool there that serves this? */
int nbd_check(void);
/* Starts qemu-nbd for a file or URL on a free /dev/nbdN; waits until it has a size. `node` is of 32 bytes. */
int nbd_attach(const struct disk_config *d, const struct disk_source *src, char *node);
void nbd_detach(const char *node);

/*
 * An image out of qemu-nbd's hands for a moment while its device stays with its users: what they ask of it waits, NBD_WAIT_SECONDS at most.
 * nbd_let_go() ends the server, which writes everything to the image first; then other programs may change it; nbd_take_up() starts
 * another one. nbd_find(): which device serves an image (-1: none), and how.
 */
#define NBD_WAIT_SECONDS 60U
struct nbd_server {
    int number, pid;
    char path[512], format[16];
    bool readonly, daemon;       /* daemon: takes orders (below) */
};
int nbd_find(const char *path, struct nbd_server *s);
int nbd_let_go(const struct nbd_server *s);
int nbd_take_up(const struct nbd_server *s);

/* The file of a device's server in /run/zendo: its "sock", "pid", "qmp". */
void nbd_path(int number, const char *what, char *out, size_t size);

/* --- qemu-storage-daemon as the server (disk_daemon.c) --- */

bool nbd_daemon_can(const struct nbd_server *s);
int nbd_daemon_start(const struct nbd_server *s);
/* Is this word of its command line the image? Then path, format and readonly are filled in. */
bool nbd_daemon_word(const char *word, struct nbd_server *s);
/* A connection for orders (qmp_close() it), and the order to make or take away a snapshot within the image; the guest may have it open. qmp_finish() it. */
struct qmp;
int nbd_orders(const struct nbd_server *s, struct qmp **q);
int nbd_snapshot_begin(struct qmp *q, bool make, const char *name);

/* --- the kernel's side (disk_nbd_link.c) --- */

struct nbd_export {
    uint64_t bytes;
    uint16_t flags;
};
/* The descriptor of a connection that is ready for requests. */
int nbd_connect(const char *socket_path, struct nbd_export *e);
/* The kernel keeps the connection, fd may be closed. */
int nbd_link_add(int number, int fd, const struct nbd_export *e);
/* In place of one that has died; a success may also mean that the kernel has not noticed its death yet. */
int nbd_link_replace(int number, int fd);
int nbd_link_remove(int number);
