/* SPDX-License-Identifier: MIT */
/*
 * Disks that are qcow2 images on a file system that cannot share blocks: snapshots within the image, so that there is one file and no chain
 * of them. Nobody may change an image that a server has open. qemu-storage-daemon does it itself when told so, in milliseconds, also under
 * a guest that runs; qemu-nbd cannot: the image is taken out of its hands for that moment (disk_private.h) while requests wait.
 */
#include "disk_private.h"
#include "fault.h"
#include "program.h"
#include "qmp.h"
#include "snapshot_private.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PACKAGE "qemu-utils"
#define LOCK_TRIES 50 /* a tenth of a second each: a server that is about to end still has the image */

/* Runs qemu-img on the image, which must be nobody's; waits for a lock that is about to go. */
static int image(const struct snap_disk *d, const char *what, const char *name)
{
    const char *const argv[] = { "qemu-img", "snapshot", "-q", what, name, d->target, NULL };
    char out[512], whose[160];
    int rc = 0;

    for (unsigned i = 0; i < LOCK_TRIES; i++) {
        rc = program_run(argv, out, sizeof(out));
        if (rc <= 0 || !strstr(out, "lock"))
            break;
        usleep(100000);
    }
    if (!rc)
        return 0;
    if (rc == -ENOENT)
        return fault(rc, "disk %s: qemu-img is not there; apt-get install " PACKAGE, d->vdev);
    snprintf(whose, sizeof(whose), "disk %.100s", d->vdev);
    for (char *p = out; *p; p++)
        *p = *p == '\n' ? ';' : *p;
    return fault(rc < 0 ? rc : -EIO, "%s: qemu-img snapshot %s %s %s fails: %s", whose, what, name, d->target, rc < 0 ? strerror(-rc) : out);
}

static bool named(struct json_object *list, const char *name)
{
    for (size_t i = 0; list && json_object_is_type(list, json_type_array) && i < json_object_array_length(list); i++) {
        struct json_object *s = NULL;

        if (json_object_object_get_ex(json_object_array_get_idx(list, i), "name", &s) && json_object_is_type(s, json_type_string) &&
            !strcmp(json_object_get_string(s), name))
            return true;
    }
    return false;
}

/* 1 or 0; may be asked while the image is served. *bytes (may be NULL): the disk's size. */
static int has(const struct snap_disk *d, const char *name, uint64_t *bytes)
{
    static char out[65536];
    const char *const argv[] = { "qemu-img", "info", "-U", "--output=json", "-f", "qcow2", d->target, NULL };
    struct json_object *list = NULL, *size = NULL;
    char what[160];

    snprintf(what, sizeof(what), "disk %.100s", d->vdev);
    int rc = program_need(what, PACKAGE, argv, out, sizeof(out));

    if (rc)
        return rc;
    struct json_object *o = json_tokener_parse(out);

    if (!json_object_is_type(o, json_type_object)) {
        json_object_put(o);
        return fault(-EPROTO, "disk %s: qemu-img info %s: not understood", d->vdev, d->target);
    }
    json_object_object_get_ex(o, "snapshots", &list);
    if (bytes && json_object_object_get_ex(o, "virtual-size", &size))
        *bytes = (uint64_t)json_object_get_int64(size);
    rc = named(list, name);
    json_object_put(o);
    return rc;
}

static int order_over(struct snap_disk *d, int rc)
{
    qmp_close(d->orders);
    d->orders = NULL;
    return rc ? fault(rc, "disk %s: snapshot '%s' in the image %s", d->vdev, d->copy, d->target) : 0;
}

static int order_removal(struct snap_disk *d, const struct nbd_server *s)
{
    int rc = nbd_orders(s, &d->orders);

    rc = rc ? rc : nbd_snapshot_begin(d->orders, false, d->copy);
    rc = rc ? rc : qmp_finish(d->orders);
    return order_over(d, rc);
}

/* Does something to the image while nobody has it. */
static int with_image(const struct snap_disk *d, const char *what, const char *name)
{
    struct nbd_server s;
    bool served = nbd_find(d->target, &s) >= 0;
    int rc = served ? nbd_let_go(&s) : 0;

    if (rc)
        return rc;
    rc = image(d, what, name);
    if (served && nbd_take_up(&s)) /* the worse of the two */
        return -EIO;
    return rc;
}

static int plan(struct snap_disk *d, const struct disk_source *src, const char *snap, const struct snapshot_options *o)
{
    if (d->format != DISK_QCOW2 || !S_ISREG(src->st.st_mode))
        return 0;
    int there = has(d, snap, &d->bytes);

    if (there < 0)
        return there;
    if (there)
        return fault(-EEXIST, "disk %s: the image %s has a snapshot '%s' already; choose another name, or qemu-img snapshot -d %s", d->vdev, d->target,
                     snap, snap);
    d->copy = strdup(snap);
    return d->copy ? 1 : fault(-ENOMEM, "snapshot: no memory");
}

static int ready(struct snap_disk *d)
{
    struct nbd_server s;

    return nbd_find(d->target, &s) >= 0 && s.daemon ? nbd_orders(&s, &d->orders) : 0;
}

static int make(struct snap_disk *d)
{
    if (!d->orders)
        return with_image(d, "-c", d->copy);
    int rc = nbd_snapshot_begin(d->orders, true, d->copy);

    return rc ? order_over(d, rc) : 0;
}

static int finish(struct snap_disk *d)
{
    return d->orders ? order_over(d, qmp_finish(d->orders)) : 0;
}

/* Both write it through. */
static int settle(struct snap_disk *d)
{
    return 0;
}

static int check(struct snap_disk *d)
{
    int there = has(d, d->copy, NULL);

    return there > 0 ? 0 : there < 0 ? there : fault(-ENOENT, "disk %s: the image %s has no snapshot '%s' any more", d->vdev, d->target, d->copy);
}

static int remove_copy(struct snap_disk *d)
{
    if (access(d->target, F_OK)) /* the whole image is gone */
        return 0;
    int there = has(d, d->copy, NULL);

    struct nbd_server s;

    if (there > 0 && nbd_find(d->target, &s) >= 0 && s.daemon)
        return order_removal(d, &s);
    return there > 0 ? with_image(d, "-d", d->copy) : there;
}

static int prepare(struct snap_disk *d)
{
    return check(d);
}

/* The guest has gone; its server goes by itself. */
static int swap(struct snap_disk *d)
{
    return image(d, "-a", d->copy);
}

static void drop(struct snap_disk *d)
{
}

const struct snap_method snap_qcow2 = { "qcow2", plan, ready, make, finish, settle, check, remove_copy, prepare, swap, drop };
