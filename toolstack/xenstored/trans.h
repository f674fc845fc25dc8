/* SPDX-License-Identifier: MIT */
/* Transactions as xstore.c sees them: what they touched, what they did. */
#pragma once
#include "xstore.h"

/* What a transaction depends on, by path. That a node exists, or does not, is always part of it. */
enum { TOUCH_NODE = 1 /* value */, TOUCH_KIDS = 2 /* names in it */, TOUCH_PERMS = 4, TOUCH_TREE = 8 /* all below it */ };

struct trans_op {
    struct trans_op *next;
    int op;                            /* XS_WRITE, XS_MKDIR, XS_RM, XS_SET_PERMS */
    struct blob *value;
    struct perms *perms;
    char path[];
};

struct trans {
    struct who who;
    uint32_t id;
    bool doomed, expired;
    struct node *base, *root;          /* as it was, as it is for this transaction */
    struct strmap touched;
    struct strmap use;                 /* domid -> nodes more or less than before */
    struct trans_op *first, **last;
    int bytes;                         /* charged to the domain's memory quota */
};

/* -ENOSPC: it touches more than the quota allows, or the domain's transactions hold too much memory. */
int trans_touch(struct store *s, struct trans *t, const char *path, size_t len, unsigned what);
void trans_log(struct store *s, struct trans *t, int op, const char *path, struct blob *value, struct perms *perms);
/* Nodes more (or less) that the domain has within the transaction. */
int64_t trans_use(const struct trans *t, uint16_t domid);
void trans_add_use(struct trans *t, uint16_t domid, int delta);

/* Changes without questions (edit.c): t's tree or, with NULL, the present one, where they fire watches. */
void edit_write(struct store *s, struct trans *t, const struct who *who, const char *path, struct blob *value, bool set);
void edit_rm(struct store *s, struct trans *t, const struct who *who, const char *path);
void edit_set_perms(struct store *s, struct trans *t, const struct who *who, const char *path, struct perms *perms);
/* What the caller may do with a node of these permissions. */
unsigned perms_for(const struct store *s, const struct who *who, const struct perms *p);
