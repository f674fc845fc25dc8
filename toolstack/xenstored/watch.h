/* SPDX-License-Identifier: MIT */
/*
 * Watches, found by path: a tree of the paths that are watched, so that firing costs the depth of the changed path and the
 * watches that match, however many there are elsewhere. Whether a watcher may see an event is asked of the caller.
 */
#pragma once
#include "strmap.h"
#include "who.h"

struct watch_place;

struct watch {
    struct watch *next, **link;        /* at its place */
    struct watch *next_of, **link_of;  /* of its connection */
    struct watch_place *place;
    const struct who *who;
    void *conn;
    uint32_t strip;                    /* bytes of a relative watch's base, not to be told */
    int depth;                         /* levels below that count, -1: all */
    char *path, *token;
    uint32_t pending;                  /* events that wait in the connection's queue */
};

struct watches {
    struct watch_place *plain, *special;
    size_t count;
    void (*deliver)(struct watch *w, const char *path, size_t len);
};

/* May the watcher know of this event? path: what it would be told. */
typedef bool watch_sees(void *arg, const struct watch *w, const char *path);

void watches_init(struct watches *ws, void (*deliver)(struct watch *w, const char *path, size_t len));
void watches_free(struct watches *ws);
/* path: absolute, or special ("@..."). The caller links it to its connection. Copies path and token. */
struct watch *watch_add(struct watches *ws, const struct who *who, const char *path, const char *token, int depth);
void watch_remove(struct watches *ws, struct watch *w);
/* path changed; first_len: length of the shortest path that came into being with it (its own length if none did). */
void watches_fire(struct watches *ws, const char *path, size_t first_len, watch_sees *sees, void *arg);
/* All watches on paths below this one, which are told their own path. */
void watches_fire_below(struct watches *ws, const char *path, watch_sees *sees, void *arg);
