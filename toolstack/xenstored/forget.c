/* SPDX-License-Identifier: MIT */
/*
 * The end of a domain: its nodes are found by the places in its account, not by a walk through the store. And the check
 * that recounts everything.
 */
#include "trans.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xen/io/xs_wire.h>

/* The first node of a domain in a subtree, uppermost first: its path goes to `path`. */
struct search {
    uint16_t domid;
    char path[XENSTORE_ABS_PATH_MAX + 1];
    size_t len;
};

static int search_owned(struct node *n, void *arg)
{
    struct search *f = arg;
    size_t before = f->len;

    f->path[f->len++] = '/';
    memcpy(f->path + f->len, n->name, n->name_len + 1u);
    f->len += n->name_len;
    if (n->perms->list[0].domid == f->domid || kids_visit(n->kids, search_owned, f))
        return 1;
    f->len = before;
    f->path[before] = 0;
    return 0;
}

/* Removes the domain's nodes in one place of its account; true if there was one. */
static bool forget_place(struct store *s, struct search *f, const char *place)
{
    static const struct who zero = { .target = NO_DOMAIN, .privileged = true };
    struct node *n = tree_find(s->root, place, NULL, NULL);
    bool any = false;

    while (n) {
        f->len = (size_t)(strrchr(place, '/') - place);
        memcpy(f->path, place, f->len);
        if (!search_owned(n, f))
            break;
        edit_rm(s, NULL, &zero, f->path);
        any = true;
        n = tree_find(s->root, place, NULL, NULL);
    }
    return any;
}

void store_forget_domain(struct store *s, uint16_t domid, bool died)
{
    struct owner *o = owner_of(&s->owners, domid);
    struct search f = { .domid = domid };
    struct strmap_entry *e;
    char place[XENSTORE_ABS_PATH_MAX + 1];

    while (domid && (e = strmap_next(&o->places, NULL))) {
        memcpy(place, e->key, e->len);
        place[e->len] = 0;
        if (!strcmp(place, "/") || !forget_place(s, &f, place))
            break;
    }
    if (died) {
        o->dead_gen = ++s->gen;
        o->warned = o->refused = o->own = o->refusals = 0;
    }
}

static int check_owner(struct node *n, void *arg)
{
    unsigned *nodes = arg;

    nodes[n->perms->list[0].domid]++;
    return kids_visit(n->kids, check_owner, nodes);
}

const char *store_check(struct store *s)
{
    const char *why = NULL;
    unsigned *nodes, i;

    if (tree_check(s->root, &why) < 0)
        return why;
    nodes = xalloc(FIRST_RESERVED * sizeof *nodes);
    check_owner(s->root, nodes);
    for (i = 0; i < FIRST_RESERVED; i++)
        if (nodes[i] != (s->owners.of[i] ? s->owners.of[i]->use[QUOTA_NODES] : 0))
            why = "the count of a domain's nodes is wrong";
    free(nodes);
    return why;
}
