/* SPDX-License-Identifier: MIT */
/*
 * A place is a component of a watched path; it exists while something at or below it is watched. Special watches have
 * a tree of their own, since "@x" is also a permitted name in a path.
 */
#include "watch.h"
#include "tree.h"
#include <stdlib.h>
#include <string.h>

struct watch_place {
    struct watch_place *parent;
    struct strmap_entry *entry;        /* in the parent's map */
    struct strmap kids;
    struct watch *first;
};

void watches_init(struct watches *ws, void (*deliver)(struct watch *w, const char *path, size_t len))
{
    ws->plain = xalloc(sizeof *ws->plain);
    ws->special = xalloc(sizeof *ws->special);
    ws->deliver = deliver;
}

/* All watches must have been removed. */
void watches_free(struct watches *ws)
{
    free(ws->plain);
    free(ws->special);
}

static struct watch_place *place_root(struct watches *ws, const char *path)
{
    return path[0] == '@' ? ws->special : ws->plain;
}

static struct watch_place *place_find(struct watches *ws, const char *path)
{
    struct watch_place *p = place_root(ws, path);
    struct strmap_entry *e;
    size_t len;

    for (; p && (len = path_next(&path)); path += len) {
        e = strmap_find(&p->kids, path, len);
        p = e ? e->ptr : NULL;
    }
    return p;
}

static struct watch_place *place_make(struct watches *ws, const char *path)
{
    struct watch_place *p = place_root(ws, path), *kid;
    size_t len;
    bool is_new;

    for (; (len = path_next(&path)); path += len, p = kid) {
        struct strmap_entry *e = strmap_put(&p->kids, path, len, &is_new);

        if (is_new) {
            kid = e->ptr = xalloc(sizeof *kid);
            kid->parent = p;
            kid->entry = e;
        }
        kid = e->ptr;
    }
    return p;
}

static void place_prune(struct watch_place *p)
{
    while (p->parent && !p->first && !p->kids.count) {
        struct watch_place *up = p->parent;

        strmap_remove(&up->kids, p->entry);
        free(p);
        p = up;
    }
}

struct watch *watch_add(struct watches *ws, const struct who *who, const char *path, const char *token, int depth)
{
    struct watch *w = xalloc(sizeof *w);

    w->path = strcpy(xalloc(strlen(path) + 1), path);
    w->token = strcpy(xalloc(strlen(token) + 1), token);
    w->who = who;
    w->depth = depth;
    w->place = place_make(ws, path);
    w->next = w->place->first;
    if (w->next)
        w->next->link = &w->next;
    w->link = &w->place->first;
    *w->link = w;
    ws->count++;
    return w;
}

void watch_remove(struct watches *ws, struct watch *w)
{
    *w->link = w->next;
    if (w->next)
        w->next->link = w->link;
    place_prune(w->place);
    ws->count--;
    free(w->path);
    free(w->token);
    free(w);
}

/* How much of the path a watch is told: all of it, or as deep as it looks. Of a special event ("@releaseDomain/5") the domain is
 * told only to who asked for it. `here`: where in the path the watch's own ends. */
static size_t watch_told(const struct watch *w, const char *path, size_t here)
{
    const char *at = path + here;
    size_t n;
    int i;

    if (path[0] == '@')
        return w->depth == 1 ? strlen(path) : strlen(w->path);
    if (w->depth < 0)
        return strlen(path);
    for (i = 0; i < w->depth && (n = path_next(&at)); i++)
        at += n;
    return path_next(&at) ? (size_t)(at - path - 1) : strlen(path);
}

static void place_fire(struct watches *ws, const struct watch_place *p, const char *path, size_t here, size_t first_len,
                       watch_sees *sees, void *arg)
{
    struct watch *w;

    for (w = p->first; w; w = w->next) {
        size_t len = watch_told(w, path, here);

        /* What a watch with a limit looks at must have changed or come into being. */
        if (w->depth >= 0 && path[0] != '@' && len < first_len)
            continue;
        if (sees(arg, w, path))
            ws->deliver(w, path, len);
    }
}

void watches_fire(struct watches *ws, const char *path, size_t first_len, watch_sees *sees, void *arg)
{
    const struct watch_place *p = place_root(ws, path);
    const char *at = path;
    struct strmap_entry *e;
    size_t len;

    for (;;) {
        place_fire(ws, p, path, (size_t)(at - path), first_len, sees, arg);
        len = path_next(&at);
        e = len ? strmap_find(&p->kids, at, len) : NULL;
        if (!e)
            return;
        p = e->ptr;
        at += len;
    }
}

static void place_fire_below(struct watches *ws, const struct watch_place *p, watch_sees *sees, void *arg)
{
    const struct strmap_entry *e;

    for (e = strmap_next(&p->kids, NULL); e; e = strmap_next(&p->kids, e)) {
        const struct watch_place *kid = e->ptr;
        struct watch *w;

        for (w = kid->first; w; w = w->next)
            if (sees(arg, w, w->path))
                ws->deliver(w, w->path, strlen(w->path));
        place_fire_below(ws, kid, sees, arg);
    }
}

void watches_fire_below(struct watches *ws, const char *path, watch_sees *sees, void *arg)
{
    const struct watch_place *p = place_find(ws, path);

    if (p)
        place_fire_below(ws, p, sees, arg);
}
