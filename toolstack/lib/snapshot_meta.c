/* SPDX-License-Identifier: MIT */
/* What is known of a snapshot, as JSON beside its memory; each field is checked when it is read, since a person may have edited it. */
#include "domains.h"
#include "fault.h"
#include "snapshot_private.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION 1
#define META_MAX (1 << 20)
#define DISKS_MAX 1024U

static const char *const formats[] = { [DISK_RAW] = "raw", [DISK_QCOW2] = "qcow2", [DISK_QCOW] = "qcow", [DISK_VHD] = "vhd" };
#define N_FORMATS (sizeof(formats) / sizeof(*formats))

int snapshot_check_name(const char *snap)
{
    size_t n = strlen(snap);

    if (!n || n > 63)
        return fault(-EINVAL, "snapshot name '%.20s%s': it has 1 to 63 characters", snap, n > 20 ? "..." : "");
    for (const char *p = snap; *p; p++)
        if (!isalnum((unsigned char)*p) && (p == snap || !strchr("-_.", *p)))
            return fault(-EINVAL, "snapshot name '%s': letters and digits may be in it, and -_. not at its start; choose another", snap);
    if (!snap[strspn(snap, "0123456789")]) /* qemu-img would take it for the number of another one */
        return fault(-EINVAL, "snapshot name '%s': a number alone is no name; put a letter in", snap);
    return 0;
}

int snap_path(char *out, size_t size, const char *guest, const char *snap, const char *kind, const char *file)
{
    int n = snprintf(out, size, "%s/snapshots/%s%s%s%s%s%s%s", domain_state_folder, guest, snap ? "/" : "", kind ? "." : "", snap ? snap : "",
                     kind ? kind : "", file ? "/" : "", file ? file : "");

    return n < (int)size ? 0 : fault(-ENAMETOOLONG, "snapshot of '%.20s...': the path is too long", guest);
}

/* --- writing ------------------------------------------------------------------------------------------------------------- */

static void put(struct json_object *o, const char *key, const char *s)
{
    if (s)
        json_object_object_add(o, key, json_object_new_string(s));
}

static void put_number(struct json_object *o, const char *key, uint64_t n)
{
    json_object_object_add(o, key, json_object_new_int64((int64_t)n));
}

static struct json_object *disk_json(const struct snap_disk *d)
{
    struct json_object *o = json_object_new_object();

    put(o, "vdev", d->vdev);
    put(o, "target", d->target);
    put(o, "format", d->format < N_FORMATS ? formats[d->format] : "raw");
    put(o, "method", d->how->name);
    put(o, "copy", d->copy);
    put_number(o, "bytes", d->bytes);
    return o;
}

static struct json_object *meta_json(const struct snap_meta *m)
{
    struct json_object *o = json_object_new_object(), *list = json_object_new_array();

    put_number(o, "version", VERSION);
    put(o, "guest", m->guest);
    put(o, "snapshot", m->snap);
    put_number(o, "time", (uint64_t)m->when);
    put_number(o, "guest_memory_kib", m->guest_memory);
    put_number(o, "pause_us", m->pause_us);
    for (unsigned i = 0; i < m->disks.n; i++)
        json_object_array_add(list, disk_json(&m->disks.disk[i]));
    json_object_object_add(o, "disks", list);
    return o;
}

int snap_sync_folder(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = fd < 0 || fsync(fd) ? -errno : 0;

    if (fd >= 0)
        close(fd);
    return rc ? fault(rc, "%s: %s", folder, strerror(-rc)) : 0;
}

static int write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), rc = 0;
    size_t n = strlen(text);

    if (fd < 0)
        return -errno;
    if (write(fd, text, n) != (ssize_t)n || fsync(fd))
        rc = errno ? -errno : -EIO;
    close(fd);
    return rc;
}

int snap_meta_write(const struct snap_meta *m, const char *folder)
{
    char path[1024], fresh[1024];
    struct json_object *o = meta_json(m);

    snprintf(path, sizeof(path), "%s/meta.json", folder);
    snprintf(fresh, sizeof(fresh), "%s/meta.new", folder);
    int rc = write_text(fresh, json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));

    json_object_put(o);
    if (!rc && rename(fresh, path))
        rc = -errno;
    return rc ? fault(rc, "%s: cannot be written: %s", path, strerror(-rc)) : snap_sync_folder(folder);
}

/* --- reading ------------------------------------------------------------------------------------------------------------- */

struct reading {
    const char *path;
    int rc;
};

static int bad(struct reading *r, const char *key)
{
    if (!r->rc)
        r->rc = fault(-EBADMSG, "%s: '%s' is missing or makes no sense; the snapshot cannot be used", r->path, key);
    return r->rc;
}

/* A text without control characters; to be freed. */
static char *text_of(struct reading *r, struct json_object *o, const char *key, bool needed)
{
    struct json_object *v = NULL;

    if (!json_object_object_get_ex(o, key, &v) && !needed)
        return NULL;
    if (!json_object_is_type(v, json_type_string) || !*json_object_get_string(v) || strlen(json_object_get_string(v)) > 1000) {
        bad(r, key);
        return NULL;
    }
    for (const char *p = json_object_get_string(v); *p; p++)
        if ((unsigned char)*p < ' ')
            bad(r, key);
    return r->rc ? NULL : strdup(json_object_get_string(v));
}

static uint64_t number_of(struct reading *r, struct json_object *o, const char *key)
{
    struct json_object *v = NULL;

    if (!json_object_object_get_ex(o, key, &v) || !json_object_is_type(v, json_type_int) || json_object_get_int64(v) < 0) {
        bad(r, key);
        return 0;
    }
    return (uint64_t)json_object_get_int64(v);
}

static void read_disk(struct reading *r, struct json_object *o, struct snap_disk *d)
{
    if (!json_object_is_type(o, json_type_object)) {
        bad(r, "disks");
        return;
    }
    char *format = text_of(r, o, "format", true), *method = text_of(r, o, "method", true);

    d->vdev = text_of(r, o, "vdev", true);
    d->target = text_of(r, o, "target", true);
    d->copy = text_of(r, o, "copy", false);
    d->bytes = number_of(r, o, "bytes");
    d->how = method ? snap_method_find(method) : NULL;
    d->made = true;
    unsigned f = 0;

    while (f < N_FORMATS && (!format || strcmp(format, formats[f])))
        f++;
    if (f == N_FORMATS)
        bad(r, "format");
    d->format = (enum disk_format)f;
    if (!d->how)
        bad(r, "method");
    if (d->how != &snap_unchanged && !d->copy)
        bad(r, "copy");
    /* LVM's and QEMU's programs would take it for an option. */
    if (d->copy && (*d->copy == '-' || (d->target && *d->target == '-')))
        bad(r, "copy");
    free(format);
    free(method);
}

static void read_disks(struct reading *r, struct json_object *o, struct snap_disks *all)
{
    struct json_object *list = NULL;
    size_t n = json_object_object_get_ex(o, "disks", &list) && json_object_is_type(list, json_type_array) ? json_object_array_length(list) : SIZE_MAX;

    if (n > DISKS_MAX || !(all->disk = calloc(n + 1, sizeof(*all->disk)))) {
        bad(r, "disks");
        return;
    }
    for (size_t i = 0; i < n && !r->rc; i++) {
        all->n = (unsigned)i + 1;
        read_disk(r, json_object_array_get_idx(list, i), &all->disk[i]);
    }
}

static void read_meta(struct reading *r, struct json_object *o, struct snap_meta *m)
{
    if (!json_object_is_type(o, json_type_object)) {
        bad(r, "{");
        return;
    }
    if (number_of(r, o, "version") != VERSION)
        bad(r, "version");
    m->guest = text_of(r, o, "guest", true);
    m->snap = text_of(r, o, "snapshot", true);
    m->when = (time_t)number_of(r, o, "time");
    m->guest_memory = number_of(r, o, "guest_memory_kib");
    m->pause_us = number_of(r, o, "pause_us");
    if (!r->rc)
        read_disks(r, o, &m->disks);
}

int snap_meta_read(struct snap_meta *m, const char *folder)
{
    char path[1024];
    struct stat st;
    struct reading r = { .path = path };

    *m = (struct snap_meta){ 0 };
    snprintf(path, sizeof(path), "%s/meta.json", folder);
    if (stat(path, &st))
        return fault(-errno, "%s: %s", path, strerror(errno));
    struct json_object *o = st.st_size > META_MAX ? NULL : json_object_from_file(path);

    read_meta(&r, o, m);
    json_object_put(o);
    return r.rc;
}

void snap_meta_dispose(struct snap_meta *m)
{
    free(m->guest);
    free(m->snap);
    snap_disks_dispose(&m->disks);
    *m = (struct snap_meta){ 0 };
}
