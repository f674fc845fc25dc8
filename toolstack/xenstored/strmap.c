/* SPDX-License-Identifier: MIT */
/*
 * Chained hash map with string keys. The hash is SipHash with one and three rounds, after the paper of Aumasson and
 * Bernstein. The table doubles when there are as many entries as buckets.
 */
#include "strmap.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t secret[2];

void *xrealloc(void *old, size_t size)
{
    void *p = realloc(old, size ? size : 1);

    if (!p) {
        fprintf(stderr, "xenstored: out of memory: %zu bytes are not to be had\n", size);
        abort();
    }
    return p;
}

void *xalloc(size_t size)
{
    return memset(xrealloc(NULL, size), 0, size);
}

void strmap_set_secret(const uint64_t key[2])
{
    memcpy(secret, key, sizeof secret);
}

static inline uint64_t rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1]; v[1] = rotate(v[1], 13) ^ v[0]; v[0] = rotate(v[0], 32);
    v[2] += v[3]; v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3]; v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1]; v[1] = rotate(v[1], 17) ^ v[2]; v[2] = rotate(v[2], 32);
}

uint64_t strmap_hash(const void *data, size_t len)
{
    const unsigned char *p = data;
    uint64_t v[4] = { secret[0] ^ 0x736f6d6570736575, secret[1] ^ 0x646f72616e646f6d,
                      secret[0] ^ 0x6c7967656e657261, secret[1] ^ 0x7465646279746573 };
    uint64_t word, last = (uint64_t)len << 56;
    size_t i;

    for (; len >= 8; p += 8, len -= 8) {
        memcpy(&word, p, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    for (i = 0; i < len; i++)
        last |= (uint64_t)p[i] << (8 * i);
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static struct strmap_entry *strmap_find_hash(const struct strmap *map, const char *key, size_t len, uint64_t hash)
{
    struct strmap_entry *e;

    if (!map->buckets)
        return NULL;
    for (e = map->bucket[hash & (map->buckets - 1)]; e; e = e->next)
        if (e->hash == hash && e->len == len && !memcmp(e->key, key, len))
            return e;
    return NULL;
}

struct strmap_entry *strmap_find(const struct strmap *map, const char *key, size_t len)
{
    return map->count ? strmap_find_hash(map, key, len, strmap_hash(key, len)) : NULL;
}

static void strmap_grow(struct strmap *map)
{
    size_t buckets = map->buckets ? map->buckets * 2 : 8, i;
    struct strmap_entry **bucket = xalloc(buckets * sizeof *bucket), *e, *next;

    for (i = 0; i < map->buckets; i++)
        for (e = map->bucket[i]; e; e = next) {
            next = e->next;
            e->next = bucket[e->hash & (buckets - 1)];
            bucket[e->hash & (buckets - 1)] = e;
        }
    free(map->bucket);
    map->bucket = bucket;
    map->buckets = buckets;
}

struct strmap_entry *strmap_put(struct strmap *map, const char *key, size_t len, bool *is_new)
{
    uint64_t hash = strmap_hash(key, len);
    struct strmap_entry *e = strmap_find_hash(map, key, len, hash), **head;

    if (is_new)
        *is_new = !e;
    if (e)
        return e;
    if (map->count >= map->buckets)
        strmap_grow(map);
    e = xalloc(sizeof *e + len + 1);
    e->hash = hash;
    e->len = len;
    memcpy(e->key, key, len);
    head = &map->bucket[hash & (map->buckets - 1)];
    e->next = *head;
    *head = e;
    map->count++;
    return e;
}

void strmap_remove(struct strmap *map, struct strmap_entry *entry)
{
    struct strmap_entry **p = &map->bucket[entry->hash & (map->buckets - 1)];

    while (*p != entry)
        p = &(*p)->next;
    *p = entry->next;
    free(entry);
    if (!--map->count)
        strmap_clear(map);
}

struct strmap_entry *strmap_next(const struct strmap *map, const struct strmap_entry *entry)
{
    size_t i;

    if (entry && entry->next)
        return entry->next;
    for (i = entry ? (entry->hash & (map->buckets - 1)) + 1 : 0; i < map->buckets; i++)
        if (map->bucket[i])
            return map->bucket[i];
    return NULL;
}

void strmap_clear(struct strmap *map)
{
    struct strmap_entry *e, *next;
    size_t i;

    for (i = 0; i < map->buckets; i++)
        for (e = map->bucket[i]; e; e = next) {
            next = e->next;
            free(e);
        }
    free(map->bucket);
    *map = (struct strmap){ 0 };
}
