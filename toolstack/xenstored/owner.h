/* SPDX-License-Identifier: MIT */
/*
 * What each domain has in the store, what it may have, and where its nodes are. A domain's record is found by its number
 * in one step, and its nodes by the few places they are in: when it ends, nothing else is walked.
 */
#pragma once
#include "strmap.h"
#include "who.h"

enum quota { QUOTA_NODES, QUOTA_WATCHES, QUOTA_TRANSACTIONS, QUOTA_NODE_SIZE, QUOTA_PERMISSIONS, QUOTA_PATH_MAX,
             QUOTA_TRANSACTION_NODES, QUOTA_PENDING, QUOTA_MEMORY, QUOTA_COUNT };
extern const char *const quota_names[QUOTA_COUNT];
extern const char *const quota_texts[QUOTA_COUNT];

struct owner {
    uint16_t domid;
    unsigned use[QUOTA_COUNT];         /* now; for sizes: the largest seen */
    unsigned limit[QUOTA_COUNT];       /* of its own where `own` has the bit; 0: none */
    unsigned own, warned, refused;     /* bit per quota */
    unsigned refusals;
    uint64_t dead_gen;                 /* permissions older than this meant another domain of that number */
    struct strmap places;              /* path, cut after PLACE_DEPTH names -> nodes there */
};

struct owners {
    struct owner *of[FIRST_RESERVED];
    unsigned limit[QUOTA_COUNT];
    void (*log)(const char *format, ...) __attribute__((format(printf, 1, 2)));
};

void owners_init(struct owners *os);
void owners_free(struct owners *os);
/* The record, made if there is none; domid below FIRST_RESERVED. */
struct owner *owner_of(struct owners *os, uint16_t domid);
unsigned quota_limit(const struct owners *os, const struct owner *o, enum quota q);
/* -1 for a name that is none. */
int quota_by_name(const char *name);
/* May the domain have `value` of it? Domain 0 may. Says it in the log, once, at four fifths and when it refuses. */
bool quota_allows(struct owners *os, uint16_t domid, enum quota q, uint64_t value);
void owner_use(struct owners *os, uint16_t domid, enum quota q, int delta);
/* A node of the domain came (1) or went (-1) at this path. */
void owner_node(struct owners *os, uint16_t domid, const char *path, int delta);
