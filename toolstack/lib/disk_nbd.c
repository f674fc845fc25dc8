/* SPDX-License-Identifier: MIT */
/*
 * qcow2 images and network block devices: stock qemu-nbd (or qemu-storage-daemon, disk_daemon.c) serves the image, the kernel's nbd driver is its
 * client, and /dev/nbdN is then a block device like any other. The server lives until the device is disconnected, or until somebody wants the
 * image for a moment.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/nbd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disk_private.h"
#include "fault.h"
#include "program.h"
#include "store.h"

#define NBD_DEVICES 256
#define NBD_START_MS 10000
#define DAEMON "qemu-storage-daemon"

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
        program_run(argv, NULL, 0);
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
    case DISK_QCOW2: return "qcow2";
    case DISK_QCOW: return "qcow";
    case DISK_VHD: return "vpc";
    default: return "raw";
    }
}

void nbd_path(int number, const char *what, char *out, size_t size)
{
    snprintf(out, size, "/run/zendo/nbd%d.%s", number, what);
}

/* --- which server, and its end ------------------------------------------------------------------------------------------ */

/* The words of a process; false: there is none, or it is no server of images. */
static bool nbd_words(int pid, char *out, size_t size, size_t *bytes)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
    FILE *f = fopen(path, "re");

    if (!f)
        return false;
    *bytes = fread(out, 1, size - 1, f);
    fclose(f);
    out[*bytes] = 0;
    return strstr(out, "qemu-nbd") || strstr(out, DAEMON);
}

/* qemu-nbd's words: the last one is the image. */
static void nbd_take_word(const char *word, struct nbd_server *s)
{
    if (!strncmp(word, "--format=", 9))
        snprintf(s->format, sizeof(s->format), "%.15s", word + 9);
    s->readonly |= !strcmp(word, "--read-only");
    snprintf(s->path, sizeof(s->path), "%.511s", word);
}

/* A daemon has to be told to end: it must be the one that was started with this very file, whatever number its process has. */
static bool nbd_read(int number, struct nbd_server *s)
{
    char path[64], words[2048];
    size_t bytes = 0;
    bool own = false;

    *s = (struct nbd_server){ .number = number };
    nbd_path(number, "pid", path, sizeof(path));
    FILE *f = fopen(path, "re");

    if (!f)
        return false;
    bool got = fscanf(f, "%d", &s->pid) == 1 && nbd_words(s->pid, words, sizeof(words), &bytes);

    fclose(f);
    s->daemon = got && strstr(words, DAEMON);
    for (char *w = words; got && w < words + bytes; w += strlen(w) + 1) {
        own |= !strcmp(w, path);
        if (!s->daemon)
            nbd_take_word(w, s);
        else
            nbd_daemon_word(w, s);
    }
    return got && (own || !s->daemon);
}

static bool nbd_alive(int pid)
{
    char words[2048];
    size_t bytes;

    return nbd_words(pid, words, sizeof(words), &bytes);
}

static int nbd_wait_end(const struct nbd_server *s)
{
    uint64_t until = store_clock_ms() + NBD_START_MS;

    while (nbd_alive(s->pid)) {
        if (store_clock_ms() >= until)
            return fault(-ETIMEDOUT, "disk %s: its server (process %d) does not end", s->path, s->pid);
        usleep(2000);
    }
    return 0;
}

/* qemu-nbd has ended with its connection. */
static void nbd_end_daemon(int number)
{
    struct nbd_server s;

    if (!nbd_read(number, &s) || !s.daemon)
        return;
    kill(s.pid, SIGTERM);
    if (nbd_wait_end(&s)) {
        warn("%s", fault_text());
        fault_clear();
    }
}

/* --- serving ---------------------------------------------------------------------------------------------------------------- */

/* Ends by itself when its connection does. */
static int nbd_start(const struct nbd_server *s)
{
    char socket[64], pid[64], listen[80], pid_file[80], format[32], what[600];

    nbd_path(s->number, "sock", socket, sizeof(socket));
    nbd_path(s->number, "pid", pid, sizeof(pid));
    snprintf(listen, sizeof(listen), "--socket=%s", socket);
    snprintf(pid_file, sizeof(pid_file), "--pid-file=%s", pid);
    snprintf(format, sizeof(format), "--format=%s", s->format);
    snprintf(what, sizeof(what), "disk %s", s->path);
    const char *const argv[] = { nbd_find_tool(), "--fork", listen, pid_file, format, "--discard=unmap", s->readonly ? "--read-only" : "--cache=writeback",
                                 s->path, NULL };

    return argv[0] ? program_need(what, "qemu-utils", argv, NULL, 0) : nbd_check();
}

/* Starts a server and connects to it: the connection's descriptor. */
static int nbd_serve(const struct nbd_server *s, struct nbd_export *e)
{
    char path[64];

    mkdir("/run/zendo", 0755);
    nbd_end_daemon(s->number); /* one that was left */
    nbd_path(s->number, "pid", path, sizeof(path));
    unlink(path);
    nbd_path(s->number, "sock", path, sizeof(path));
    unlink(path);
    int rc = nbd_daemon_can(s) ? nbd_daemon_start(s) : nbd_start(s);

    rc = rc ? rc : nbd_connect(path, e);
    if (rc < 0)
        nbd_end_daemon(s->number);
    return rc;
}

int nbd_attach(const struct disk_config *d, const struct disk_source *src, char *node)
{
    struct nbd_server s = { .readonly = d->readonly };
    struct nbd_export e;
    int rc = nbd_check();

    s.number = rc ? rc : nbd_find_free();
    if (s.number < 0)
        return s.number;
    snprintf(node, 32, "/dev/nbd%d", s.number);
    snprintf(s.path, sizeof(s.path), "%s", src->path);
    snprintf(s.format, sizeof(s.format), "%s", nbd_format(d->format));
    int fd = nbd_serve(&s, &e);

    if (fd < 0)
        return fd;
    rc = nbd_link_add(s.number, fd, &e);
    close(fd);
    if (rc)
        nbd_end_daemon(s.number);
    uint64_t until = store_clock_ms() + NBD_START_MS;
    while (!rc && (!nbd_connected((unsigned)s.number) || !nbd_size((unsigned)s.number))) {
        if (store_clock_ms() >= until) {
            nbd_detach(node);
            return fault(-ETIMEDOUT, "disk %s: it is served but %s has no size after %d s", src->path, node, NBD_START_MS / 1000);
        }
        usleep(10000);
    }
    return rc;
}

/* --- an image out of its server's hands ------------------------------------------------------------------------------- */

int nbd_find(const char *path, struct nbd_server *s)
{
    struct stat wanted, st;
    bool file = !stat(path, &wanted);

    for (int i = 0; i < NBD_DEVICES; i++)
        if (nbd_read(i, s) && (!strcmp(s->path, path) || (file && !stat(s->path, &st) && st.st_dev == wanted.st_dev && st.st_ino == wanted.st_ino)))
            return i;
    return -1;
}

/* A device that was not set up by netlink is let go by ioctl. */
void nbd_detach(const char *node)
{
    int number = -1, fd = open(node, O_RDWR | O_CLOEXEC);
    static const char *const files[] = { "sock", "qmp", "pid" };
    char path[64];

    if (fd < 0)
        return;
    fsync(fd);
    if (sscanf(node, "/dev/nbd%d", &number) != 1 || nbd_link_remove(number)) {
        fault_clear();
        ioctl(fd, NBD_DISCONNECT);
        ioctl(fd, NBD_CLEAR_SOCK);
    }
    close(fd);
    nbd_end_daemon(number);
    for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        nbd_path(number, files[i], path, sizeof(path));
        unlink(path);
    }
}

int nbd_let_go(const struct nbd_server *s)
{
    char node[32];

    snprintf(node, sizeof(node), "/dev/nbd%d", s->number);
    int fd = open(node, O_RDWR | O_CLOEXEC), rc = fd < 0 || fsync(fd) ? -errno : 0;

    if (fd >= 0)
        close(fd);
    if (rc)
        return fault(rc, "disk %s: %s: %s", s->path, node, strerror(-rc));
    kill(s->pid, SIGTERM);
    return nbd_wait_end(s);
}

/* Does the device answer? A read that waits for a server cannot be given up, so another process does it. */
static bool nbd_answers(int number)
{
    char node[32];
    uint64_t until = store_clock_ms() + 2000;
    int status = -1;

    snprintf(node, sizeof(node), "/dev/nbd%d", number);
    pid_t pid = fork();

    if (!pid) {
        static _Alignas(4096) char block[4096];
        int fd = open(node, O_RDONLY | O_DIRECT);

        _exit(fd < 0 || pread(fd, block, sizeof(block), 0) < 0);
    }
    while (pid > 0 && waitpid(pid, &status, WNOHANG) == 0) {
        if (store_clock_ms() >= until) {
            kill(pid, SIGKILL); /* in vain while it waits; init gets it */
            return false;
        }
        usleep(1000);
    }
    return pid > 0 && WIFEXITED(status) && !WEXITSTATUS(status);
}

/* The kernel says yes also when it has not noticed yet that the old connection is dead: then once more. */
int nbd_take_up(const struct nbd_server *s)
{
    struct nbd_export e;
    int rc = 0;

    for (unsigned i = 0; i < 5; i++) {
        int fd = nbd_serve(s, &e);

        if (fd < 0)
            return fd;
        rc = nbd_link_replace(s->number, fd);
        close(fd);
        if (!rc && nbd_answers(s->number))
            return 0;
        usleep(100000);
    }
    return rc ? rc : fault(-EIO, "disk %s: /dev/nbd%d does not come back; the guest's disk is gone: xm destroy it", s->path, s->number);
}
