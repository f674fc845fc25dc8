/* SPDX-License-Identifier: MIT */
/*
 * Names and numbers of virtual disks. A number says what name a guest should give: the first three kinds are old Linux
 * device numbers (major << 8 | minor), the last has room for more disks and partitions than a minor number has.
 *
 *   hda..hdb, hdc..hdd   3 << 8, 22 << 8, disk << 6     up to 63 partitions
 *   sda..sdp             8 << 8, disk << 4              up to 15
 *   xvda..xvdp           202 << 8, disk << 4            up to 15
 *   xvdq.., xvda16..     1 << 28, disk << 8             up to 255
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk.h"
#include "fault.h"

#define VDEV_EXTENDED (1u << 28)
#define VDEV_DISKS (1u << 20)

static int vdev_refuse(const char *vdev)
{
    return fault(-EINVAL, "disk name '%.40s': unknown; use xvda, xvdb1, sda, hda or a number", vdev);
}

/* "a" = 0, "z" = 25, "aa" = 26. Stops at the first other character. */
static const char *vdev_letters(const char *s, unsigned *disk)
{
    const char *start = s;
    unsigned n = 0;

    for (; *s >= 'a' && *s <= 'z'; s++) {
        n = n * 26 + (unsigned)(*s - 'a') + 1;
        if (n > VDEV_DISKS)
            return NULL;
    }
    *disk = n - 1;
    return s == start ? NULL : s;
}

/* The partition, up to the end of the string: 0 when there is none; -1 if it is something else. */
static int vdev_partition(const char *s)
{
    unsigned n = 0;

    if (!*s)
        return 0;
    if (*s == '0')
        return -1;
    for (; *s; s++) {
        if (!isdigit((unsigned char)*s) || (n = n * 10 + (unsigned)(*s - '0')) > 255)
            return -1;
    }
    return (int)n;
}

static int vdev_plain_number(const char *vdev, unsigned *id)
{
    char *end;

    errno = 0;
    unsigned long n = strtoul(vdev, &end, 0);
    if (errno || *end || n > 0x1fffffff)
        return vdev_refuse(vdev);
    *id = (unsigned)n;
    return 0;
}

int disk_parse_vdev(const char *vdev, unsigned *id)
{
    unsigned disk;
    const char *s = vdev;

    if (!strncmp(s, "/dev/", 5))
        s += 5;
    if (isdigit((unsigned char)*s))
        return vdev_plain_number(s, id);
    const char *letters = !strncmp(s, "xvd", 3) ? s + 3 : !strncmp(s, "sd", 2) || !strncmp(s, "hd", 2) ? s + 2 : NULL;
    const char *rest = letters ? vdev_letters(letters, &disk) : NULL;
    int part = rest ? vdev_partition(rest) : -1;
    if (part < 0)
        return vdev_refuse(vdev);
    if (*s == 'x' && disk < 16 && part < 16)
        *id = 202u << 8 | disk << 4 | (unsigned)part;
    else if (*s == 'x')
        *id = VDEV_EXTENDED | disk << 8 | (unsigned)part;
    else if (*s == 's' && disk < 16 && part < 16)
        *id = 8u << 8 | disk << 4 | (unsigned)part;
    else if (*s == 'h' && disk < 4 && part < 64)
        *id = (disk < 2 ? 3u : 22u) << 8 | (disk & 1) << 6 | (unsigned)part;
    else
        return fault(-EINVAL, "disk name '%.40s': beyond what such names can number; use xvd names", vdev);
    return 0;
}

static void vdev_name(char *out, const char *prefix, unsigned disk, unsigned part)
{
    char letters[8];
    size_t at = sizeof(letters) - 1;

    letters[at] = 0;
    for (unsigned n = disk + 1; n && at; n = (n - 1) / 26)
        letters[--at] = (char)('a' + (n - 1) % 26);
    if (part)
        snprintf(out, 16, "%s%s%u", prefix, letters + at, part);
    else
        snprintf(out, 16, "%s%s", prefix, letters + at);
}

void disk_name_vdev(unsigned id, char *out)
{
    unsigned major = id >> 8;

    if (id >= VDEV_EXTENDED && id < 2 * VDEV_EXTENDED)
        vdev_name(out, "xvd", (id & (VDEV_EXTENDED - 1)) >> 8, id & 255);
    else if (major == 202)
        vdev_name(out, "xvd", id >> 4 & 15, id & 15);
    else if (major == 8)
        vdev_name(out, "sd", id >> 4 & 15, id & 15);
    else if ((major == 3 || major == 22) && (id & 255) < 128)
        vdev_name(out, "hd", (major == 22 ? 2 : 0) + (id >> 6 & 1), id & 63);
    else
        snprintf(out, 16, "%u", id);
}
