/* SPDX-License-Identifier: MIT */
/* Which snapshots there are, and whether all is there that they need. */
#include "domains.h"
#include "fault.h"
#include "snapshot_private.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct listing {
    struct snapshot_info *list;
    unsigned n;
    int rc;
};

static char *same(const char *s)
{
    return s ? strdup(s) : NULL;
}

static void take_disks(struct snapshot_info *i, const struct snap_disks *disks)
{
    i->disk = calloc(disks->n + 1, sizeof(*i->disk));
    for (unsigned k = 0; i->disk && k < disks->n; k++) {
        const struct snap_disk *d = &disks->disk[k];

        i->disk[k] = (struct snapshot_disk_info){ .vdev = same(d->vdev), .target = same(d->target), .method = same(d->how->name), .bytes = d->bytes };
        i->n_disks = k + 1;
    }
}

static void take_damage(struct snapshot_info *i, int rc)
{
    if (rc && !i->damage)
        i->damage = strdup(fault_text());
    fault_clear();
}

static void take_one(struct snapshot_info *i, const char *folder, const char *guest, const char *snap)
{
    struct snap_meta m;
    struct stat st;
    char memory[900];
    int rc = snap_meta_read(&m, folder);

    i->guest = same(guest);
    i->name = same(snap);
    take_damage(i, rc);
    if (!rc) {
        i->when = m.when;
        i->guest_memory = m.guest_memory;
        take_disks(i, &m.disks);
        take_damage(i, snap_disks_check(&m.disks));
    }
    snprintf(memory, sizeof(memory), "%s/memory", folder);
    if (!stat(memory, &st))
        i->memory_bytes = (uint64_t)st.st_blocks * 512;
    else
        take_damage(i, fault(-ENOENT, "%s is missing", memory));
    snap_meta_dispose(&m);
}

static void add(struct listing *l, const char *folder, const char *guest, const char *snap)
{
    struct snapshot_info *more = realloc(l->list, (l->n + 1) * sizeof(*more));

    if (!more) {
        l->rc = fault(-ENOMEM, "snapshots: no memory");
        return;
    }
    l->list = more;
    l->list[l->n] = (struct snapshot_info){ 0 };
    take_one(&l->list[l->n++], folder, guest, snap);
}

static void list_guest(struct listing *l, const char *guest)
{
    char folder[512], path[800];
    DIR *dir = snap_path(folder, sizeof(folder), guest, NULL, NULL, NULL) ? NULL : opendir(folder);
    struct dirent *e;

    while (dir && !l->rc && (e = readdir(dir)))
        if (*e->d_name != '.' && snprintf(path, sizeof(path), "%s/%s", folder, e->d_name) < (int)sizeof(path))
            add(l, path, guest, e->d_name);
    if (dir)
        closedir(dir);
}

static void list_all(struct listing *l)
{
    char folder[512];
    DIR *dir;
    struct dirent *e;

    snprintf(folder, sizeof(folder), "%s/snapshots", domain_state_folder);
    dir = opendir(folder);
    while (dir && !l->rc && (e = readdir(dir)))
        if (*e->d_name != '.')
            list_guest(l, e->d_name);
    if (dir)
        closedir(dir);
}

static int by_guest_and_age(const void *a, const void *b)
{
    const struct snapshot_info *x = a, *y = b;
    int rc = strcmp(x->guest, y->guest);

    return rc ? rc : x->when != y->when ? (x->when > y->when) - (x->when < y->when) : strcmp(x->name, y->name);
}

int snapshot_list(const char *name, struct snapshot_info **list)
{
    struct listing l = { .rc = name ? domain_check_name(name) : 0 };

    if (!l.rc && name && *name != '.')
        list_guest(&l, name);
    else if (!l.rc && !name)
        list_all(&l);
    if (l.n)
        qsort(l.list, l.n, sizeof(*l.list), by_guest_and_age);
    *list = l.list;
    return l.rc ? l.rc : (int)l.n;
}

void snapshot_list_free(struct snapshot_info *list, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        for (unsigned k = 0; k < list[i].n_disks; k++) {
            free(list[i].disk[k].vdev);
            free(list[i].disk[k].target);
            free(list[i].disk[k].method);
        }
        free(list[i].disk);
        free(list[i].guest);
        free(list[i].name);
        free(list[i].damage);
    }
    free(list);
}
