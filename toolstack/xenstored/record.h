/* SPDX-License-Identifier: MIT */
/*
 * Records of the state file: a length, a type, and fields one after the other. Everything is the machine's own byte order:
 * the file does not leave it.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct record_out {
    char *data;
    size_t len, room, start;
};

void record_begin(struct record_out *o, char type);
void record_put(struct record_out *o, const void *data, size_t len);
void record_text(struct record_out *o, const char *text);    /* with its NUL */
void record_end(struct record_out *o);
#define record_value(o, v) record_put(o, &(v), sizeof(v))

struct record_in {
    const char *at, *end;
    bool bad;                        /* a field was cut off */
};

/* The next record of a file in memory: its type, or 0 at the end or when it is cut off (*torn). */
char record_next(const char **file, const char *end, struct record_in *in, bool *torn);
void record_get(struct record_in *in, void *data, size_t len);    /* zeros if there is no more */
const char *record_get_text(struct record_in *in);               /* "" if there is none */
#define record_get_value(in, v) record_get(in, &(v), sizeof(v))
