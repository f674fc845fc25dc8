/* SPDX-License-Identifier: MIT */
/*
 * A directory: an AVL tree of its entries, sorted by name, in which versions share what they have in common. The
 * functions that change it take over the caller's reference and give back the one to the new version; an entry that
 * somebody else holds too is copied first (kid_own), one that is ours alone is changed in place. So a change costs
 * O(log entries), whether or not older versions are kept.
 */
#include "tree.h"
#include "strmap.h"
#include <stdlib.h>
#include <string.h>

static int name_compare(const char *name, size_t len, const struct node *n)
{
    size_t common = len < n->name_len ? len : n->name_len;
    int c = memcmp(name, n->name, common);

    return c ? c : (len > n->name_len) - (len < n->name_len);
}

static struct kid *kid_get(struct kid *k)
{
    if (k)
        k->refs++;
    return k;
}

/* Recursion is as deep as the directory tree is high, times the depth of the paths: some 30,000 small frames at worst. */
static void kid_put(struct kid *k)
{
    if (!k || --k->refs)
        return;
    kid_put(k->left);
    kid_put(k->right);
    node_put(k->node);
    free(k);
}

void node_put(struct node *n)
{
    if (--n->refs)
        return;
    kid_put(n->kids);
    perms_put(n->perms);
    blob_put(n->value);
    free(n);
}

struct node *node_own(struct node *n)
{
    struct node *copy;

    if (n->refs == 1)
        return n;
    copy = xrealloc(NULL, sizeof *n + n->name_len + 1u);
    memcpy(copy, n, sizeof *n + n->name_len + 1u);
    copy->refs = 1;
    perms_get(copy->perms);
    blob_get(copy->value);
    kid_get(copy->kids);
    n->refs--;
    return copy;
}

static struct kid *kid_own(struct kid *k)
{
    struct kid *copy;

    if (k->refs == 1)
        return k;
    copy = xrealloc(NULL, sizeof *k);
    *copy = *k;
    copy->refs = 1;
    kid_get(copy->left);
    kid_get(copy->right);
    node_get(copy->node);
    k->refs--;
    return copy;
}

static int kid_height(const struct kid *k)
{
    return k ? k->height : 0;
}

static void kid_sum(struct kid *k)
{
    int left = kid_height(k->left), right = kid_height(k->right);

    k->height = (uint8_t)((left > right ? left : right) + 1);
    k->count = 1 + (k->left ? k->left->count : 0) + (k->right ? k->right->count : 0);
    k->bytes = k->node->name_len + 1u + (k->left ? k->left->bytes : 0) + (k->right ? k->right->bytes : 0);
}

static struct kid *kid_rotate_right(struct kid *k)
{
    struct kid *up = kid_own(k->left);

    k->left = up->right;
    up->right = k;
    kid_sum(k);
    kid_sum(up);
    return up;
}

static struct kid *kid_rotate_left(struct kid *k)
{
    struct kid *up = kid_own(k->right);

    k->right = up->left;
    up->left = k;
    kid_sum(k);
    kid_sum(up);
    return up;
}

/* k is owned, its subtrees are in order and differ by two at most. */
static struct kid *kid_balance(struct kid *k)
{
    int lean = kid_height(k->left) - kid_height(k->right);

    if (lean > 1) {
        k->left = kid_own(k->left);
        if (kid_height(k->left->left) < kid_height(k->left->right))
            k->left = kid_rotate_left(k->left);
        return kid_rotate_right(k);
    }
    if (lean < -1) {
        k->right = kid_own(k->right);
        if (kid_height(k->right->right) < kid_height(k->right->left))
            k->right = kid_rotate_right(k->right);
        return kid_rotate_left(k);
    }
    kid_sum(k);
    return k;
}

static struct kid *kid_insert(struct kid *k, struct node *n)
{
    if (!k) {
        k = xalloc(sizeof *k);
        k->refs = 1;
        k->node = n;
        kid_sum(k);
        return k;
    }
    k = kid_own(k);
    if (name_compare(n->name, n->name_len, k->node) < 0)
        k->left = kid_insert(k->left, n);
    else
        k->right = kid_insert(k->right, n);
    return kid_balance(k);
}

void kids_insert(struct kid **kids, struct node *n)
{
    *kids = kid_insert(*kids, n);
}

/* Takes the leftmost entry out of a tree; its node's reference goes to *first. */
static struct kid *kid_take_first(struct kid *k, struct node **first)
{
    struct kid *rest;

    k = kid_own(k);
    if (k->left) {
        k->left = kid_take_first(k->left, first);
        return kid_balance(k);
    }
    rest = k->right;
    *first = k->node;
    free(k);
    return rest;
}

static struct kid *kid_remove(struct kid *k, const char *name, size_t len, struct node **out)
{
    int c;

    k = kid_own(k);
    c = name_compare(name, len, k->node);
    if (c < 0) {
        k->left = kid_remove(k->left, name, len, out);
    } else if (c > 0) {
        k->right = kid_remove(k->right, name, len, out);
    } else {
        *out = k->node;
        if (!k->left || !k->right) {
            struct kid *rest = k->left ? k->left : k->right;

            free(k);
            return rest;
        }
        k->right = kid_take_first(k->right, &k->node);
    }
    return kid_balance(k);
}

struct node *kids_remove(struct kid **kids, const char *name, size_t len)
{
    struct node *out = NULL;

    if (kids_find(*kids, name, len))
        *kids = kid_remove(*kids, name, len, &out);
    return out;
}

struct node *kids_find(const struct kid *k, const char *name, size_t len)
{
    while (k) {
        int c = name_compare(name, len, k->node);

        if (!c)
            return k->node;
        k = c < 0 ? k->left : k->right;
    }
    return NULL;
}

struct node **kids_own(struct kid **kids, const char *name, size_t len)
{
    for (;;) {
        struct kid *k = *kids = kid_own(*kids);
        int c = name_compare(name, len, k->node);

        if (!c) {
            k->node = node_own(k->node);
            return &k->node;
        }
        kids = c < 0 ? &k->left : &k->right;
    }
}

const struct kid *kids_at(const struct kid *k, uint64_t offset, uint64_t *begins)
{
    const struct kid *best = NULL;
    uint64_t base = 0;

    while (k) {
        uint64_t here = base + (k->left ? k->left->bytes : 0);

        if (here >= offset) {
            best = k;
            *begins = here;
            k = k->left;
        } else {
            base = here + k->node->name_len + 1u;
            k = k->right;
        }
    }
    return best;
}

int kids_visit(const struct kid *k, int (*visit)(struct node *n, void *arg), void *arg)
{
    int rc = 0;

    for (; k && !rc; k = k->right) {
        rc = kids_visit(k->left, visit, arg);
        if (!rc)
            rc = visit(k->node, arg);
    }
    return rc;
}

struct check {
    const struct node *last;
    long nodes;
    const char *why;
};

static int check_node(struct node *n, void *arg);

static void check_kids(const struct kid *k, struct check *c)
{
    int lean;

    if (!k || c->why)
        return;
    check_kids(k->left, c);
    if (!c->why && c->last && name_compare(c->last->name, c->last->name_len, k->node) >= 0)
        c->why = "a directory is out of order";
    check_node(k->node, c);
    c->last = k->node;
    check_kids(k->right, c);
    lean = kid_height(k->left) - kid_height(k->right);
    if (lean < -1 || lean > 1)
        c->why = "a directory is out of balance";
    if (k->count != 1 + (k->left ? k->left->count : 0) + (k->right ? k->right->count : 0))
        c->why = "the count of a directory is wrong";
    if (k->bytes != k->node->name_len + 1u + (k->left ? k->left->bytes : 0) + (k->right ? k->right->bytes : 0))
        c->why = "the length of a directory is wrong";
    if (!k->refs)
        c->why = "an entry is used after its end";
}

static int check_node(struct node *n, void *arg)
{
    struct check *c = arg, below = { 0 };

    c->nodes++;
    if (!n->refs || !n->perms || !n->perms->refs || !n->perms->count)
        c->why = "a node is used after its end";
    check_kids(n->kids, &below);
    c->nodes += below.nodes;
    if (below.why)
        c->why = below.why;
    return 0;
}

long tree_check(const struct node *root, const char **why)
{
    struct check c = { 0 };

    check_node((struct node *)(uintptr_t)root, &c);
    if (why)
        *why = c.why;
    return c.why ? -1 : c.nodes;
}
