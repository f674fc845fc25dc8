/* SPDX-License-Identifier: MIT */
/*
 * qcow2 images by qemu-storage-daemon, if it is there: it serves like qemu-nbd, and takes orders meanwhile, so that a snapshot within an
 * image is made while a guest has it open, in a few milliseconds. It does not end with its connection: disk_nbd.c ends it.
 */
#include <errno.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk_private.h"
#include "fault.h"
#include "program.h"
#include "qmp.h"

#define NODE "disk" /* what it calls the image */

static const char *daemon_tool(void)
{
    static const char *const places[] = { "/usr/bin/qemu-storage-daemon", "/usr/local/bin/qemu-storage-daemon", "/bin/qemu-storage-daemon" };

    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        if (!access(places[i], X_OK))
            return places[i];
    return NULL;
}

/* Snapshots are qcow2's. What is given by an address stays with qemu-nbd, which knows more of them. */
bool nbd_daemon_can(const struct nbd_server *s)
{
    struct stat st;

    return !strcmp(s->format, "qcow2") && daemon_tool() && !stat(s->path, &st) && S_ISREG(st.st_mode);
}

/* The image, as an option: JSON, since a path may have any character. To be put away. */
static struct json_object *image_option(const struct nbd_server *s)
{
    struct json_object *o = json_object_new_object(), *file = json_object_new_object();

    json_object_object_add(file, "driver", json_object_new_string("file"));
    json_object_object_add(file, "filename", json_object_new_string(s->path));
    json_object_object_add(file, "read-only", json_object_new_boolean(s->readonly));
    json_object_object_add(file, "discard", json_object_new_string("unmap"));
    json_object_object_add(o, "driver", json_object_new_string(s->format));
    json_object_object_add(o, "node-name", json_object_new_string(NODE));
    json_object_object_add(o, "read-only", json_object_new_boolean(s->readonly));
    json_object_object_add(o, "discard", json_object_new_string("unmap"));
    json_object_object_add(o, "file", file);
    return o;
}

int nbd_daemon_start(const struct nbd_server *s)
{
    char socket[64], orders[64], pid[64], server[120], export[120], chardev[120], what[600];
    struct json_object *image = image_option(s);

    nbd_path(s->number, "sock", socket, sizeof(socket));
    nbd_path(s->number, "qmp", orders, sizeof(orders));
    nbd_path(s->number, "pid", pid, sizeof(pid));
    unlink(orders);
    snprintf(server, sizeof(server), "addr.type=unix,addr.path=%s", socket);
    snprintf(export, sizeof(export), "type=nbd,id=" NODE ",node-name=" NODE ",name=,writable=%s", s->readonly ? "off" : "on");
    snprintf(chardev, sizeof(chardev), "socket,id=orders,path=%s,server=on,wait=off", orders);
    snprintf(what, sizeof(what), "disk %s", s->path);
    const char *const argv[] = { daemon_tool(), "--daemonize", "--pidfile", pid, "--blockdev", json_object_to_json_string_ext(image, JSON_C_TO_STRING_PLAIN),
                                 "--nbd-server", server, "--export", export, "--chardev", chardev, "--monitor", "chardev=orders", NULL };
    int rc = program_need(what, "qemu-system-common", argv, NULL, 0);

    json_object_put(image);
    return rc;
}

/* A word of its command line: is it the image? Then what is to be known of it. */
bool nbd_daemon_word(const char *word, struct nbd_server *s)
{
    struct json_object *o = *word == '{' ? json_tokener_parse(word) : NULL, *file, *name, *format;
    bool is = o && json_object_object_get_ex(o, "file", &file) && json_object_object_get_ex(file, "filename", &name) &&
              json_object_object_get_ex(o, "driver", &format);

    if (is) {
        snprintf(s->path, sizeof(s->path), "%s", json_object_get_string(name));
        snprintf(s->format, sizeof(s->format), "%s", json_object_get_string(format));
        s->readonly = json_object_object_get_ex(o, "read-only", &name) && json_object_get_boolean(name);
    }
    json_object_put(o);
    return is;
}

int nbd_orders(const struct nbd_server *s, struct qmp **q)
{
    char path[64];

    nbd_path(s->number, "qmp", path, sizeof(path));
    return qmp_open(q, path);
}

int nbd_snapshot_begin(struct qmp *q, bool make, const char *name)
{
    struct json_object *o = json_object_new_object();

    json_object_object_add(o, "device", json_object_new_string(NODE));
    json_object_object_add(o, "name", json_object_new_string(name));
    return qmp_begin(q, make ? "blockdev-snapshot-internal-sync" : "blockdev-snapshot-delete-internal-sync", o);
}
