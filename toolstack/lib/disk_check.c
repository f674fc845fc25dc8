/* SPDX-License-Identifier: MIT */
/*
 * What can be said about a disk before its guest exists. A raw image is never probed for another format: its first bytes belong to
 * the guest, which could make domain 0 open files by writing a header there. A format that was asked for is checked.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "disk_private.h"
#include "fault.h"
#include "store.h"

static bool disk_is_url(const char *target)
{
    return !strncmp(target, "nbd:", 4) || !strncmp(target, "nbd+unix:", 9) || !strncmp(target, "nbds:", 5);
}

/* `phy:sda1` and `phy:vg/lv` are below /dev. */
static int disk_resolve(const struct disk_config *d, struct disk_source *src)
{
    const char *t = d->target;
    bool in_dev = *t != '/' && d->how == DISK_PHY;
    char *full = NULL;
    int n = snprintf(src->path, sizeof(src->path), "%s%s", in_dev ? "/dev/" : "", t);

    if (n >= (int)sizeof(src->path))
        return fault(-ENAMETOOLONG, "disk %.60s...: name too long", t);
    if (!in_dev && *t != '/')
        full = realpath(t, NULL);
    if (full && strlen(full) < sizeof(src->path))
        strcpy(src->path, full);
    free(full);
    return 0;
}

static const char *disk_missing_mend(const struct disk_config *d)
{
    if (d->how == DISK_PHY || !strncmp(d->target, "/dev/", 5))
        return "is the volume active (lvchange -ay) or the device plugged in?";
    return "create it (truncate -s 4G FILE) or mend 'disk ='";
}

static int disk_pick(const struct disk_config *d, struct disk_source *src)
{
    bool block = S_ISBLK(src->st.st_mode), file = S_ISREG(src->st.st_mode);

    if (!block && !file)
        return fault(-EINVAL, "disk %s: is neither a file nor a block device", src->path);
    src->how = d->how;
    if (d->format == DISK_QCOW2 || d->format == DISK_QCOW || d->format == DISK_VHD)
        src->how = DISK_QDISK;
    else if (d->how == DISK_AUTO || d->how == DISK_QDISK)
        src->how = block ? DISK_PHY : DISK_FILE;
    else if (d->how == DISK_PHY && !block)
        return fault(-EINVAL, "disk phy:%s: is a file, not a block device; write file:%s", src->path, src->path);
    else if (d->how == DISK_FILE && block)
        src->how = DISK_PHY;
    return 0;
}

static int disk_open(const struct disk_config *d, struct disk_source *src)
{
    bool block = S_ISBLK(src->st.st_mode);
    int flags = (d->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK | (block && !d->readonly && !d->shared ? O_EXCL : 0);
    int fd = open(src->path, flags);

    if (fd >= 0)
        return fd;
    if (errno == EBUSY)
        return fault(-EBUSY, "disk %s: in use in domain 0 itself (mounted, swap, or part of a volume group or array); unmount it, or say "
                     "'w!' if both can write", src->path);
    if (errno == EROFS || (errno == EACCES && !d->readonly))
        return fault(-errno, "disk %s: cannot be opened for writing: %s; say 'r' for a read-only disk", src->path, strerror(errno));
    return fault(-errno, "disk %s: cannot be opened: %s", src->path, strerror(errno));
}

static int disk_check_format(const struct disk_config *d, const struct disk_source *src, int fd)
{
    char head[8] = "";
    bool got = pread(fd, head, sizeof(head), 0) == sizeof(head);
    bool qcow = got && !memcmp(head, "QFI\xfb", 4);

    if ((d->format == DISK_QCOW2 || d->format == DISK_QCOW) && !qcow)
        return fault(-EINVAL, "disk %s: is no qcow2 image (its first bytes are not 'QFI'); say 'raw', or make one: qemu-img create "
                     "-f qcow2 FILE 4G", src->path);
    if (d->format == DISK_RAW && qcow)
        warn("disk %s looks like qcow2 but is given as raw: the guest will see the container; write 'format=qcow2' if that is wrong",
             src->path);
    return 0;
}

static int disk_measure(const struct disk_config *d, struct disk_source *src, int fd)
{
    if (S_ISBLK(src->st.st_mode)) {
        if (ioctl(fd, BLKGETSIZE64, &src->bytes))
            return fault(-errno, "disk %s: has no size: %s", src->path, strerror(errno));
    } else {
        src->bytes = (uint64_t)src->st.st_size;
    }
    if (d->format != DISK_RAW)
        return 0;
    if (src->bytes < 512)
        return fault(-EINVAL, "disk %s: holds %llu bytes, less than one sector; give it a size: truncate -s 4G %s", src->path,
                     (unsigned long long)src->bytes, src->path);
    if (src->bytes % 512)
        warn("disk %s: its size is no multiple of 512; the guest does not see the last %u bytes", src->path, (unsigned)(src->bytes % 512));
    return 0;
}

int disk_find(const struct disk_config *d, struct disk_source *src)
{
    memset(src, 0, sizeof(*src));
    if (!d->target || !*d->target)
        return fault(-EINVAL, "disk %s: no file or device is named; mend 'disk ='", d->vdev);
    if (disk_is_url(d->target)) {
        src->how = DISK_QDISK;
        snprintf(src->path, sizeof(src->path), "%s", d->target);
        return 0;
    }
    int rc = disk_resolve(d, src);
    if (rc)
        return rc;
    if (stat(src->path, &src->st))
        return fault(-errno, "disk %s: %s; %s", src->path, strerror(errno), disk_missing_mend(d));
    return disk_pick(d, src);
}

int disk_look(const struct disk_config *d, struct disk_source *src)
{
    int rc = disk_find(d, src);
    if (rc)
        return rc;
    if (!src->st.st_mode)
        return nbd_check();
    int fd = disk_open(d, src);
    if (fd < 0)
        return fd;
    rc = disk_check_format(d, src, fd);
    if (!rc)
        rc = disk_measure(d, src, fd);
    close(fd);
    if (!rc && src->how == DISK_QDISK)
        rc = nbd_check();
    return rc;
}

int disk_check(const struct disk_config *d, int domid)
{
    struct disk_source src;
    char script[256];
    unsigned id;
    int rc = d->vdev ? disk_parse_vdev(d->vdev, &id)
                     : fault(-EINVAL, "disk %s: has no name in the guest; write it behind the path, as in '...,xvda,w'", d->target);

    if (rc)
        return rc;
    if (d->backend && strcmp(d->backend, "0") && strcasecmp(d->backend, "Domain-0"))
        return fault(-EOPNOTSUPP, "disk %s: backend '%s': disks are served by domain 0 only; take 'backend=' out", d->vdev, d->backend);
    if (d->format == DISK_EMPTY || !d->target)
        return fault(-EOPNOTSUPP, "disk %s: a drive without a medium is not supported yet; name an image or take the disk out", d->vdev);
    if (d->script)
        rc = device_check_script(d->script, script);
    else
        rc = disk_look(d, &src);
    if (!rc && domid >= 0)
        rc = disk_check_free((uint32_t)domid, d->vdev, id);
    if (!rc && !d->script)
        rc = disk_check_users(d, &src);
    return rc;
}
