/* SPDX-License-Identifier: MIT */
/*
 * The tree of the store as values: nodes are counted, shared between versions of the tree, and changed only while
 * nobody else holds them. A version is its root; to keep one is a reference (O(1)), to change one copies what lies on
 * the way to the change. It knows no callers, no quotas and no watches: xstore.c does.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PERM_READ = 1, PERM_WRITE = 2, PERM_BOTH = 3 };

struct blob {
    uint32_t refs, len;
    char bytes[];
};

struct perm {
    uint16_t domid;
    uint8_t bits;
};

/* Entry 0 is the owner, with what everybody may who stands in no other entry. */
struct perms {
    uint32_t refs, count;
    uint64_t gen;            /* of the moment it was made: entries of domains that died later are void */
    struct perm list[];
};

struct node;

/* An entry of a directory; a balanced (AVL) tree of them, sorted by name, is a directory. */
struct kid {
    uint32_t refs;
    uint32_t count;          /* entries in this subtree ... */
    uint64_t bytes;          /* ... and the bytes of their names, each with its NUL */
    struct kid *left, *right;
    struct node *node;
    uint8_t height;
};

struct node {
    uint32_t refs;
    uint16_t name_len;
    struct perms *perms;
    struct blob *value;      /* NULL: empty */
    struct kid *kids;
    uint64_t gen;            /* changes with value and permissions */
    uint64_t kids_gen;       /* changes when an entry comes or goes */
    char name[];
};

struct blob *blob_new(const void *bytes, size_t len);    /* NULL for len 0 */
struct blob *blob_get(struct blob *b);
void blob_put(struct blob *b);
struct perms *perms_new(const struct perm *list, size_t count, uint64_t gen);
struct perms *perms_get(struct perms *p);
void perms_put(struct perms *p);
bool perms_same(const struct perms *a, const struct perms *b);

/* Takes over the references to perms and value. */
struct node *node_new(const char *name, size_t len, struct perms *perms, struct blob *value, uint64_t gen);
struct node *node_get(struct node *n);
void node_put(struct node *n);
/* A node of the same content that nobody else holds, for the caller's reference: n itself if it is the only one. */
struct node *node_own(struct node *n);

struct node *kids_find(const struct kid *kids, const char *name, size_t len);
/* Where the entry's node hangs, all on the way there being owned; the name must be there. */
struct node **kids_own(struct kid **kids, const char *name, size_t len);
/* Takes over the reference to n; the name must not be there. */
void kids_insert(struct kid **kids, struct node *n);
/* The node taken out, for the caller to put; NULL if there is none of that name. */
struct node *kids_remove(struct kid **kids, const char *name, size_t len);
/* The first entry that begins at or after the offset in bytes into the sorted list of names; *begins: where it begins. */
const struct kid *kids_at(const struct kid *kids, uint64_t offset, uint64_t *begins);
/* Calls visit for each in order; stops at the first value other than 0 and returns it. */
int kids_visit(const struct kid *kids, int (*visit)(struct node *n, void *arg), void *arg);

/* The node at an absolute, valid path, or NULL. *near (may be NULL) is the deepest node there is on the way,
 * *near_len the length of its path (0 for the root). */
struct node *tree_find(struct node *root, const char *path, struct node **near, size_t *near_len);
/* The next component of a valid path at *at: its length, and *at moved to its first byte; 0 at the end. */
size_t path_next(const char **at);
/* "/" or "/a/b": no double or trailing slash, only permitted characters, not too long. */
bool path_valid(const char *path, size_t len);
/* Nodes and invariants of a version: the number of nodes, or -1 and *why. */
long tree_check(const struct node *root, const char **why);
