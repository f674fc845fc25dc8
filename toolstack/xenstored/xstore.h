/* SPDX-License-Identifier: MIT */
/*
 * The store: the present tree, transactions on older ones, watches, quotas. No input or output and no clock: what happens
 * is told by the callbacks. Functions return 0 or a negative errno value of those that xs_wire.h can name.
 *
 * Paths are absolute and valid (path_valid), or one of the two special ones where that makes sense. `t` is NULL outside
 * transactions.
 */
#pragma once
#include "owner.h"
#include "tree.h"
#include "watch.h"

#define SPECIAL_INTRODUCE "@introduceDomain"
#define SPECIAL_RELEASE "@releaseDomain"

struct trans;

struct store {
    struct node *root;
    uint64_t gen;                        /* the last given out */
    struct watches watches;
    struct owners owners;
    struct perms *special[2];            /* who may watch introductions and releases */
    uint32_t last_trans;
    /* A change of the present tree, for the journal; may be NULL. op: an XS_ value. */
    void (*changed)(struct store *s, const struct who *who, int op, const char *path, const struct blob *value, const struct perms *perms);
};

void store_init(struct store *s, void (*deliver)(struct watch *w, const char *path, size_t len));
void store_free(struct store *s);

/* The node stays valid until the next call that changes something. */
int store_find(struct store *s, const struct who *who, struct trans *t, const char *path, unsigned touch, struct node **out);
int store_get_perms(struct store *s, const struct who *who, struct trans *t, const char *path, struct perms **out);
int store_write(struct store *s, const struct who *who, struct trans *t, const char *path, const void *value, size_t len);
int store_mkdir(struct store *s, const struct who *who, struct trans *t, const char *path);
int store_rm(struct store *s, const struct who *who, struct trans *t, const char *path);
int store_set_perms(struct store *s, const struct who *who, struct trans *t, const char *path, const struct perm *list, size_t count);

/* @introduceDomain, @releaseDomain; the domain's number is told to watches that want it. */
void store_fire_special(struct store *s, const char *name, uint16_t domid);
int store_watch(struct store *s, const struct who *who, const char *path, const char *token, int depth, struct watch **out);
void store_unwatch(struct store *s, struct watch *w);
/* A domain is no more: its nodes go, with what is below them. died: permissions given to that number are void from now on. */
void store_forget_domain(struct store *s, uint16_t domid, bool died);

int trans_start(struct store *s, const struct who *who, struct trans **out);
/* A transaction of before a restart: goes on from the present tree, but its end says EAGAIN. */
int trans_revive(struct store *s, const struct who *who, uint32_t id, struct trans **out);
/* Ends it in any case. -EAGAIN: something it touched has changed since it began. */
int trans_end(struct store *s, struct trans *t, bool commit);
/* Lets go of the tree it began with (it waits too long): what follows in it, and its end, are -EAGAIN. */
void trans_expire(struct store *s, struct trans *t);
uint32_t trans_id(const struct trans *t);

/* Every count recomputed from the tree and compared: NULL, or what is wrong. */
const char *store_check(struct store *s);
