/* SPDX-License-Identifier: MIT */
/*
 * A map from byte strings to numbers or pointers. The hash is keyed with a secret of the process, so that a guest that
 * chooses the strings cannot make all of them fall into one bucket. An empty map allocates nothing.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct strmap_entry {
    struct strmap_entry *next;
    uint64_t hash;
    union {
        void *ptr;
        int64_t num;
    };
    size_t len;
    char key[];
};

struct strmap {
    struct strmap_entry **bucket;
    size_t buckets, count;
};

/* To be called once, before the first map is used; without it the key is zero (tests want that). */
void strmap_set_secret(const uint64_t key[2]);
uint64_t strmap_hash(const void *data, size_t len);

struct strmap_entry *strmap_find(const struct strmap *map, const char *key, size_t len);
/* The entry for key, made with num 0 if there is none; *is_new (may be NULL) says so. */
struct strmap_entry *strmap_put(struct strmap *map, const char *key, size_t len, bool *is_new);
void strmap_remove(struct strmap *map, struct strmap_entry *entry);
/* All entries, in no order: strmap_next(map, NULL) is the first. The map may not be changed in between. */
struct strmap_entry *strmap_next(const struct strmap *map, const struct strmap_entry *entry);
void strmap_clear(struct strmap *map);

/* Memory or death: xenstored's memory is bounded by quotas, so there is nothing sensible to refuse when the machine is out of it. */
void *xalloc(size_t size);
void *xrealloc(void *old, size_t size);
